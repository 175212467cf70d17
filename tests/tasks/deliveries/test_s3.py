import gc
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import create_server, socket
from typing import Any

import httpx
import pytest
from pyarrow import fs

from schemas.errors import PlaceUnreachable, Terminal
from tasks.core.export.files import sha256
from tasks.deliveries import s3 as module
from tasks.deliveries.place import open_place
from tasks.sources import s3 as sources
from tests.support.delivery_scene import RUN, BucketScene, Line, bucket_scene
from tests.support.servers import S3_KEY, ObjectStore, free_port

SMALL = b"x" * module.SMALL_BYTES
BIG = os.urandom(22_000_000)
"""Three parts."""


@pytest.fixture
def place(s3: ObjectStore) -> BucketScene:
    return bucket_scene(s3)


def open_only(place: BucketScene, **changes: Any) -> None:
    with open_place(place.delivery.model_copy(update=changes)):
        pass


@contextmanager
def closed_to_strangers(s3: ObjectStore) -> Iterator[None]:
    """Whoever has no account there is turned away; nobody has one."""
    reset = f"{s3.endpoint}/moto-api/reset-auth"
    httpx.post(reset, content=b"0").raise_for_status()
    try:
        yield
    finally:
        httpx.post(reset, content=b"inf").raise_for_status()


def test_an_object_of_many_parts_arrives_whole(place: BucketScene) -> None:
    place.put(("blocks.csv", BIG))
    assert place.hashes("blocks.csv") == {"blocks.csv": sha256(BIG)}
    assert place.contents() == {"blocks.csv": BIG}


class Choosy(Line):
    """A line that breaks the first times that a certain word is said on it, as often as a request is tried."""

    def __init__(self, target: int, word: bytes) -> None:
        self._word = word
        self._times = 3
        super().__init__(target, 1 << 40)

    def pass_on(self, block: bytes, far: socket) -> None:
        if self._word in block and self._times:
            self._times -= 1
            raise ConnectionError
        super().pass_on(block, far)


STEPS = (
    (SMALL, b"PUT /"),
    (BIG, b"?uploads"),
    (BIG, b"partNumber=1&"),
    (BIG, b"partNumber=2&"),
    (BIG, b"?uploadId="),
)


def test_an_object_of_which_a_step_fails_is_not_there_and_arrives_with_the_next_try(s3: ObjectStore) -> None:
    def try_without(content: bytes, step: bytes) -> None:
        place = bucket_scene(s3)
        with closing(Choosy(s3.port, step)) as line:
            with pytest.raises(PlaceUnreachable, match=r"could not be written at .* \(NETWORK_CONNECTION\)"):
                place.put(("blocks.csv", content), endpoint=f"http://127.0.0.1:{line.port}")
            gc.collect()  # a stream that is thrown away must not give an object its name either
            assert place.contents() == {}
        place.put(("blocks.csv", content))
        assert place.hashes("blocks.csv") == {"blocks.csv": sha256(content)}

    with ThreadPoolExecutor(len(STEPS)) as pool:  # each waits a while before it gives up
        list(pool.map(try_without, *zip(*STEPS, strict=True)))


def test_a_bucket_itself_is_a_place(s3: ObjectStore) -> None:
    bucket = s3.new_bucket()
    place = BucketScene(bucket_scene(s3).delivery.model_copy(update={"url": f"s3://{bucket}/"}), s3, bucket)
    place.put(("blocks.csv", b"x"))
    assert place.contents() == {"blocks.csv": b"x"}


@pytest.mark.parametrize("url", ["s3://nobody/in", "s3://nobody"])
def test_a_bucket_that_does_not_exist_is_refused(place: BucketScene, url: str) -> None:
    with pytest.raises(Terminal, match=r"bank has no bucket nobody; needed one that exists(.|\n)*Hint"):
        open_only(place, url=url)


def test_denied_access_is_refused_with_the_variables_to_set_and_no_secret(s3: ObjectStore, place: BucketScene) -> None:
    with (
        closed_to_strangers(s3),
        pytest.raises(Terminal, match=r"list, read and write it\n\nHint: set AWS_ACC") as told,
    ):
        open_only(place)
    assert S3_KEY[1] not in str(told.value)


def test_access_that_ends_underway_is_refused(s3: ObjectStore, place: BucketScene) -> None:
    with open_place(place.delivery) as there:
        there.put(RUN, [("a.csv", b"x")])
        with closed_to_strangers(s3), pytest.raises(Terminal, match="gives no access"):
            there.put(RUN, [("b.csv", b"x")])
    assert place.contents() == {"a.csv": b"x"}


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "ftp://host", "http://"])
def test_an_endpoint_that_is_none_is_refused(place: BucketScene, endpoint: str) -> None:
    with pytest.raises(Terminal, match=f"the endpoint of bank is {endpoint}; needed http://"):
        open_only(place, endpoint=endpoint)


def test_a_store_that_is_not_there_is_unreachable(place: BucketScene) -> None:
    with pytest.raises(PlaceUnreachable, match=r"bank could not be written at http://127.* \(NETWORK_CONNECTION\)"):
        open_only(place, endpoint=f"http://127.0.0.1:{free_port()}")


def test_a_store_that_never_answers_is_unreachable(place: BucketScene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "SILENCE_SECONDS", 1)
    with (
        closing(create_server(("127.0.0.1", 0))) as silent,
        pytest.raises(PlaceUnreachable, match="NETWORK_CONNECTION"),
    ):
        open_only(place, endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")


class Busy(BaseHTTPRequestHandler):
    """A store that has no more requests for us just now."""

    def do_HEAD(self) -> None:
        self.send_response(503, "Slow Down")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_store_that_asks_for_fewer_requests_is_unreachable(place: BucketScene) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            with pytest.raises(PlaceUnreachable, match="bank could not be written"):
                open_only(place, endpoint=f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()


class Halving:
    """A store that keeps half of what it is sent."""

    def __init__(self, store: fs.S3FileSystem) -> None:
        self.get_file_info = store.get_file_info
        self.open_input_stream = store.open_input_stream
        self._open = store.open_output_stream

    def open_output_stream(self, key: str, **options: Any) -> "Halving.Stream":
        return Halving.Stream(self._open(key, **options))

    class Stream:
        def __init__(self, stream: Any) -> None:
            self._stream = stream
            self.close = stream.close

        def write(self, content: bytes) -> None:
            self._stream.write(content[: len(content) // 2])


def test_an_object_that_came_to_another_size_is_not_taken_for_delivered(
    place: BucketScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.open_store
    monkeypatch.setattr(module, "open_store", lambda *words, **options: Halving(real(*words, **options)))
    with pytest.raises(PlaceUnreachable, match=r"blocks\.csv of bank has 2 bytes; needed the 4 that were sent"):
        place.put(("blocks.csv", b"four"))
