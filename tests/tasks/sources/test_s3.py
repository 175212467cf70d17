import hashlib
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import create_server
from typing import Any

import httpx
import pytest

from schemas.errors import InputRefused, SourceUnreachable
from schemas.sources import Source
from tasks.sources import s3 as module
from tasks.sources.fetched_file import FetchedFile
from tasks.sources.s3 import fetch
from tests.support.servers import S3_KEY, ObjectStore, free_port


def every(_: str) -> bool:
    return True


def source(s3: ObjectStore, place: str, **more: Any) -> Source:
    return Source(name="bank", url=f"s3://{place}", endpoint=s3.endpoint, **more)


@contextmanager
def closed_to_strangers(s3: ObjectStore) -> Iterator[None]:
    """Whoever has no account there is turned away; nobody has one."""
    reset = f"{s3.endpoint}/moto-api/reset-auth"
    httpx.post(reset, content=b"0").raise_for_status()
    try:
        yield
    finally:
        httpx.post(reset, content=b"inf").raise_for_status()


def test_wanted_objects_of_the_prefix_and_no_deeper_are_copied_with_their_hash(s3: ObjectStore, tmp_path: Path) -> None:
    bucket = s3.new_bucket()
    content = os.urandom(9_000_000)
    for name, each in {"lots.csv": content, "cash.csv": b"cash", "old/cash.csv": b"x", "note": b"x"}.items():
        s3.put(f"{bucket}/in/{name}", each)
    cash, lots = fetch(source(s3, f"{bucket}/in"), is_wanted=lambda name: name.endswith(".csv"), staging=tmp_path)
    assert (cash.name, lots.name) == ("cash.csv", "lots.csv")
    assert lots.path.read_bytes() == content
    assert (lots.size_bytes, lots.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert lots.modified_at is not None


def test_a_bucket_without_a_prefix_is_its_top(s3: ObjectStore, tmp_path: Path) -> None:
    bucket = s3.new_bucket()
    s3.put(f"{bucket}/lots.csv", b"x")
    assert len(fetch(source(s3, bucket), is_wanted=every, staging=tmp_path)) == 1
    assert len(fetch(source(s3, f"{bucket}/"), is_wanted=every, staging=tmp_path)) == 1


def test_no_prefix_delivers_nothing(s3: ObjectStore, tmp_path: Path) -> None:
    assert fetch(source(s3, f"{s3.new_bucket()}/2026-01-02"), is_wanted=every, staging=tmp_path) == ()


def test_a_marker_says_which_objects_are_complete(s3: ObjectStore, tmp_path: Path) -> None:
    bucket = s3.new_bucket()
    for name in ("lots.csv", "cash.csv", "cash.csv.done", "prices.csv.part"):
        s3.put(f"{bucket}/{name}", b"x")
    marked = source(s3, bucket, marker=".done")
    assert [file.name for file in fetch(marked, is_wanted="cash.csv".__eq__, staging=tmp_path)] == ["cash.csv"]
    with pytest.raises(SourceUnreachable, match=r"lots\.csv has no lots\.csv\.done beside it"):
        fetch(marked, is_wanted=every, staging=tmp_path)


def taken_again(s3: ObjectStore, place: str, staging: Path) -> tuple[FetchedFile, ...]:
    return fetch(source(s3, place), is_wanted=every, staging=staging)


def test_an_object_is_copied_again_only_when_it_or_its_copy_changed(s3: ObjectStore, tmp_path: Path) -> None:
    bucket = s3.new_bucket()
    s3.put(f"{bucket}/lots.csv", b"one")
    (first,) = taken_again(s3, bucket, tmp_path)
    before = first.path.stat().st_ino
    assert taken_again(s3, bucket, tmp_path) == (first,)
    assert first.path.stat().st_ino == before
    s3.put(f"{bucket}/lots.csv", b"two")
    (second,) = taken_again(s3, bucket, tmp_path)
    assert second.path.read_bytes() == b"two"
    os.truncate(second.path, 1)
    assert taken_again(s3, bucket, tmp_path)[0].path.read_bytes() == b"two"
    s3.files.delete_file(f"{bucket}/lots.csv")
    assert taken_again(s3, bucket, tmp_path) == ()


def test_an_object_replaced_while_it_is_copied_is_to_be_tried_again(
    s3: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = s3.new_bucket()
    s3.put(f"{bucket}/lots.csv", b"first")
    real = module._store

    class Replacing:
        """The store, where somebody puts another version while the first is read."""

        def __init__(self, wanted: Source) -> None:
            self.get_file_info = real(wanted).get_file_info
            self._open = real(wanted).open_input_stream
            self.opened = 0

        def open_input_stream(self, path: str) -> object:
            self.opened += 1
            if self.opened == 2:
                s3.put(path, b"other")
            return self._open(path)

    monkeypatch.setattr(module, "_store", Replacing)
    with pytest.raises(SourceUnreachable, match=r"lots\.csv of bank was replaced while it was copied"):
        taken_again(s3, bucket, tmp_path)
    assert not (tmp_path / "lots.csv").exists()


@pytest.mark.parametrize("place", ["nobody/in", "nobody"])
def test_a_bucket_that_does_not_exist_is_refused(s3: ObjectStore, tmp_path: Path, place: str) -> None:
    with pytest.raises(InputRefused, match=r"bank has no bucket nobody; needed one that exists(.|\n)*Hint"):
        fetch(source(s3, place), is_wanted=every, staging=tmp_path)


def test_denied_access_is_refused_with_the_variables_to_set_and_no_secret(s3: ObjectStore, tmp_path: Path) -> None:
    bucket = s3.new_bucket()
    s3.put(f"{bucket}/lots.csv", b"x")
    with closed_to_strangers(s3), pytest.raises(InputRefused, match=r"gives no access(.|\n)*AWS_ACCESS_KEY_ID") as told:
        fetch(source(s3, bucket), is_wanted=every, staging=tmp_path)
    assert S3_KEY[1] not in str(told.value)


def test_a_store_that_is_not_there_is_unreachable(s3: ObjectStore, tmp_path: Path) -> None:
    away = source(s3, "bucket/in").model_copy(update={"endpoint": f"http://127.0.0.1:{free_port()}"})
    with pytest.raises(SourceUnreachable, match=r"bank could not be read at http://127.* \(NETWORK_CONNECTION\)"):
        fetch(away, is_wanted=every, staging=tmp_path)


def test_a_store_that_never_answers_is_unreachable(
    s3: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE_SECONDS", 1)
    with closing(create_server(("127.0.0.1", 0))) as silent:
        mute = source(s3, "bucket/in").model_copy(update={"endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}"})
        with pytest.raises(SourceUnreachable, match="NETWORK_CONNECTION"):
            fetch(mute, is_wanted=every, staging=tmp_path)


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "ftp://host", "http://"])
def test_an_endpoint_that_is_none_is_refused(s3: ObjectStore, tmp_path: Path, endpoint: str) -> None:
    odd = source(s3, "bucket/in").model_copy(update={"endpoint": endpoint})
    with pytest.raises(InputRefused, match=f"the endpoint of bank is {endpoint}; needed http://"):
        fetch(odd, is_wanted=every, staging=tmp_path)
