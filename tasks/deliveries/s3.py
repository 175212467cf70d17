"""A prefix of a bucket in an object store.

1. An object appears whole at the end of its upload, or not at all: what breaks off underway has no name. A small one goes in
   one request, a big one in parts.
2. Before an upload the name is looked at; after it, the object's size.
3. A few objects are under way at once.

Credentials come from the environment as for ``tasks.sources.s3``.

Known limits: pyarrow offers no conditional writes (``If-None-Match``; apache/arrow#44281), so an object that somebody else
puts between our look and our upload is replaced. Two deliverers of one export write the same bytes. Parts of an upload
that was killed stay in the bucket, unseen, until a lifecycle rule removes them (AbortIncompleteMultipartUpload). A store
that is full, or has no more requests for us just now, is tried again.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

from pyarrow import fs

from schemas.errors import PlaceUnreachable
from schemas.exports import Delivery
from tasks.core.export import sha256
from tasks.deliveries.checks import DELIVERING, inside, other_file
from tasks.sources import no_bucket, open_store, prefix_of, store_errors

THREADS: Final = 16
"""Objects under way at once; each waits for the network most of the time."""
SMALL_BYTES: Final = 5 << 20
"""Up to here an object goes in one request. pyarrow's own limit is 10 MiB."""
_BLOCK: Final = 8 << 20


@contextmanager
def open_place(delivery: Delivery) -> Iterator["Bucket"]:
    """The prefix, in a bucket that is there and lets us in."""
    # Not in the background, pyarrow would give an object its name although one of its parts failed.
    store = open_store(delivery, DELIVERING, background_writes=True)
    place = prefix_of(delivery)
    with store_errors(delivery, DELIVERING):
        bucket = store.get_file_info(place.partition("/")[0])
    if bucket.type == fs.FileType.NotFound:
        raise no_bucket(delivery, DELIVERING)
    with ThreadPoolExecutor(THREADS) as pool:
        yield Bucket(delivery, store, place, pool)


class Bucket:
    """A place that is a prefix of a bucket."""

    def __init__(self, delivery: Delivery, store: Any, place: str, pool: ThreadPoolExecutor) -> None:
        self._delivery = delivery
        self._store = store
        # A stream of this one asks for nothing before it is closed, and then in this thread: a small object is one request. A
        # big one must not go this way: where its upload in parts cannot begin, pyarrow puts an empty object under its name.
        self._small = open_store(delivery, DELIVERING, allow_delayed_open=True, background_writes=False)
        self._place = place
        self._pool = pool

    def hashes(self, folder: str, paths: Collection[str]) -> dict[str, str]:
        """SHA-256 of those of the objects that are there, read back."""
        keys = [self._key(folder, path) for path in paths]
        with store_errors(self._delivery, DELIVERING):
            hashes = dict(zip(paths, self._pool.map(self._hash, keys), strict=True))
        return {path: each for path, each in hashes.items() if each is not None}

    def put(self, folder: str, files: Sequence[tuple[str, bytes]]) -> None:
        """Write objects (path inside ``folder``, content), each whole or not at all."""
        targets = [(self._key(folder, path), content) for path, content in files]
        with store_errors(self._delivery, DELIVERING):
            stand = list(self._pool.map(self._stands, targets))
            missing = [target for target, stands in zip(targets, stand, strict=True) if not stands]
            list(self._pool.map(self._send, missing))

    def _key(self, folder: str, path: str) -> str:
        return f"{self._place}/{inside(folder, path)}"

    def _stands(self, target: tuple[str, bytes]) -> bool:
        """Whether the object is there already; one with other bytes is refused."""
        key, content = target
        found = self._hash(key)
        if found not in {None, sha256(content)}:
            raise other_file(self._delivery.name, f"s3://{key}", content)
        return found is not None

    def _hash(self, key: str) -> str | None:
        """Null where nothing has the name."""
        digest = hashlib.sha256()
        try:
            with self._store.open_input_stream(key, compression=None) as stream:
                while block := stream.read(_BLOCK):
                    digest.update(block)
        except FileNotFoundError:
            return None
        return digest.hexdigest()

    def _send(self, target: tuple[str, bytes]) -> None:
        key, content = target
        store = self._small if len(content) <= SMALL_BYTES else self._store
        stream = store.open_output_stream(key, compression=None)
        stream.write(content)
        stream.close()
        size = self._store.get_file_info(key).size
        if size != len(content):
            raise PlaceUnreachable(
                f"s3://{key} of {self._delivery.name} has {size} bytes; needed the {len(content)} that were sent\n\n"
                "Hint: look at the store. If it stays so, put the object aside, then deliver again."
            )
