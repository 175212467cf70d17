"""The folder where the fetched files of a source and a night stand, and what is remembered of them.

1. A file is written under a temporary name, hashed on the way, flushed and renamed: what stands under its own name is whole.
2. An index beside the files says what the source called the version fetched (its stamp), and the size and hash of the copy.
   A file whose stamp is the same and whose copy was not touched since is not fetched again.
3. One process fetches into a folder at a time. What a killed one left half-written is removed by the next.

The folder is 0700, files are 0600. An index that cannot be read counts as none.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ValidationError

from schemas.errors import SourceUnreachable, Terminal
from schemas.sources import Source
from tasks.runtime import flush, make_folders
from tasks.sources.fetched_file import FetchedFile
from warehouse.file_lock import lock_file

INDEX: Final = ".index.json"
"""No file that is taken starts with a dot, so none is called like this."""
_LOCK: Final = ".lock"
_UNFINISHED: Final = ".part"


class FetchedCopy(BaseModel):
    """A file that was fetched: ``stamp`` is its version at the source, the rest is of the copy."""

    stamp: str
    size_bytes: int
    mtime_ns: int
    sha256: str
    modified_at: datetime | None


class Index(BaseModel):
    """What was fetched from an address, by name of the file."""

    url: str
    files: dict[str, FetchedCopy] = {}

    @classmethod
    def read(cls, path: Path, url: str) -> Self:
        """The index at ``path``; an empty one where there is none, it is damaged, or it is of another address."""
        try:
            found = cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return cls(url=url)
        return found if found.url == url else cls(url=url)


class IncomingFile:
    """A file being written under a temporary name. ``size_bytes`` and ``sha256`` are of what was written so far."""

    closed = False

    def __init__(self, file: FileIO, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._file = file
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """As hex."""
        return self._digest.hexdigest()

    def write(self, block: bytes) -> None:
        """All of the block.

        Raises
        ------
        Terminal
            The disk is full, or refuses.
        """
        rest = memoryview(block)
        with _disk_errors(self.path):
            while rest:  # a full disk may take a part before it refuses the rest
                rest = rest[self._file.write(rest) :]
        self._digest.update(block)
        self.size_bytes += len(block)

    def flush(self) -> None:
        """Nothing is held back."""


class Staging:
    """The staging folder of a source and a night, held by this process. Made by ``open_staging``."""

    def __init__(self, folder: Path, source: str, index: Index) -> None:
        self._folder = folder
        self.source_name = source
        self._index = index

    def earlier_copy(self, name: str, stamp: str) -> FetchedFile | None:
        """The copy of an earlier fetch, where the source still calls its version ``stamp`` and the copy is as it was."""
        known = self._index.files.get(name)
        if known is None or known.stamp != stamp:
            return None
        try:
            found = (self._folder / name).stat()
        except FileNotFoundError:
            return None
        if (found.st_size, found.st_mtime_ns) != (known.size_bytes, known.mtime_ns):
            return None
        return self._fetched_file(name, known)

    @contextmanager
    def incoming(self) -> Iterator[IncomingFile]:
        """A new file to write; gone at the end unless ``place`` gave it a name."""
        with _disk_errors(self._folder):
            descriptor, name = tempfile.mkstemp(_UNFINISHED, ".", self._folder)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            try:
                yield IncomingFile(file, Path(name))
            finally:
                Path(name).unlink(missing_ok=True)

    def place(
        self,
        incoming: IncomingFile,
        name: str,
        stamp: str = "",
        modified_at: datetime | None = None,
        *,
        shown_as: str = "",
    ) -> FetchedFile:
        """Give a whole file its name, and remember it. ``shown_as``: what it is called at the source, where not ``name``."""
        path = self._folder / name
        with _disk_errors(path):
            flush(incoming.path)
            incoming.path.rename(path)
            known = FetchedCopy(
                stamp=stamp,
                size_bytes=incoming.size_bytes,
                mtime_ns=path.stat().st_mtime_ns,
                sha256=incoming.sha256,
                modified_at=modified_at,
            )
            self._index.files[name] = known
            self._save()
        return self._fetched_file(name, known, shown_as)

    def _save(self) -> None:
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", suffix=_UNFINISHED, delete=False) as file:
            file.write(self._index.model_dump_json().encode())
        Path(file.name).rename(self._folder / INDEX)

    def _fetched_file(self, name: str, known: FetchedCopy, shown_as: str = "") -> FetchedFile:
        path = self._folder / name
        return FetchedFile(self.source_name, shown_as or name, path, known.size_bytes, known.sha256, known.modified_at)


@contextmanager
def open_staging(folder: Path, source: Source) -> Iterator[Staging]:
    """The staging folder, made if missing, held until the end.

    Raises
    ------
    SourceUnreachable
        Another process fetches into it right now.
    Terminal
        The folder cannot be written.
    """
    with _disk_errors(folder):
        make_folders(folder)
        lock = lock_file(folder / _LOCK)
    if lock is None:
        raise SourceUnreachable(
            f"the files of {source.name} are being fetched by another process; needed to be the only one\n\n"
            "Hint: try again when it is done."
        )
    with lock:
        with _disk_errors(folder):
            for path in folder.glob(f".*{_UNFINISHED}"):
                path.unlink()
            index = Index.read(folder / INDEX, source.url)
        yield Staging(folder, source.name, index)


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Terminal(
            f"{path} could not be written: {error.strerror}; needed room for the files of the night\n\n"
            "Hint: make room or give access, then run again."
        ) from error
