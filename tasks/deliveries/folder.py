"""A folder on this machine, or on one that is mounted here.

1. Files are written under a temporary name beside the final one, flushed, and their sizes checked.
2. Each is linked to its final name, which fails where the name is taken, and loses the temporary one. Then the folders are
   flushed.
3. Temporary names that a process which is gone left behind go with the next ``put`` of the same file.

Folders are 0700, files 0600.

Known limits: where the file system has no links (FAT, some network mounts) the name is looked at and then given by a
rename, and a file that another program puts there between the two is replaced. On a network mount a process of another
machine is taken for gone, and has to try again. A folder whose mount is missing is written to like any other.
"""

import errno
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from schemas.errors import PlaceUnreachable, Terminal
from schemas.exports import Delivery
from tasks.core.export import sha256
from tasks.deliveries.checks import inside, no_file, other_file
from tasks.runtime import FLUSHERS, flush, hash_file, is_alive, make_folders, temporary_name, write_file

_LEFTOVER: Final = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d{1,7})-[0-9a-f]{16}\.tmp", re.DOTALL)
"""As ``temporary_name`` makes them."""
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})
_PASSING: Final = frozenset(
    {
        errno.ENOENT,  # another process removed it
        errno.EAGAIN,
        errno.EBUSY,
        errno.EIO,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOTCONN,
    }
)
"""What may pass by itself, mostly of network mounts."""


@contextmanager
def open_place(delivery: Delivery) -> Iterator["Folder"]:
    """The folder; made with the first file that is put there."""
    yield Folder(delivery)


class Folder:
    """A place that is a folder."""

    def __init__(self, delivery: Delivery) -> None:
        self._name = delivery.name
        self._root = delivery.folder(Terminal)
        self._left: dict[Path, dict[str, list[Path]]] = {}

    def hashes(self, folder: str, paths: Collection[str]) -> dict[str, str]:
        """SHA-256 of those of the files that are there under their final names, read back."""
        with self._disk_errors():
            hashes = {path: self._hash(self._root / inside(folder, path)) for path in paths}
        return {path: each for path, each in hashes.items() if each is not None}

    def put(self, folder: str, files: Sequence[tuple[str, bytes]]) -> None:
        """Write files (path inside ``folder``, content), each whole under its final name or not at all."""
        targets = [(self._root / inside(folder, path), content) for path, content in files]
        with self._disk_errors():
            for final, _ in targets:
                self._remove_leftovers(final)
            missing = [(final, content) for final, content in targets if not self._stands(final, content)]
            for parent in {final.parent for final, _ in missing}:
                make_folders(parent)
            self._write(missing)

    def _write(self, files: Iterable[tuple[Path, bytes]]) -> None:
        written = [(temporary_name(final), final, content) for final, content in files]
        try:
            for temporary, _, content in written:
                write_file(temporary, content)
            with ThreadPoolExecutor(FLUSHERS) as pool:
                list(pool.map(flush, (temporary for temporary, _, _ in written)))
            for temporary, final, content in written:
                self._check_size(temporary, content)
                self._name_it(temporary, final, content)
        finally:
            for temporary, _, _ in written:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)
        for parent in {final.parent for _, final, _ in written}:
            flush(parent)

    def _check_size(self, temporary: Path, content: bytes) -> None:
        size = temporary.stat().st_size
        if size != len(content):
            raise PlaceUnreachable(
                f"{temporary} of {self._name} has {size} bytes; needed the {len(content)} that were written\n\n"
                "Hint: look at the disk or the mount, then deliver again."
            )

    def _name_it(self, temporary: Path, final: Path, content: bytes) -> None:
        """Give a file its final name, unless that has the same bytes by now."""
        try:
            os.link(temporary, final, follow_symlinks=False)
        except FileExistsError:
            self._stands(final, content)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if not self._stands(final, content):
                temporary.rename(final)

    def _stands(self, final: Path, content: bytes) -> bool:
        """Whether the file is there already; one with other bytes is refused."""
        found = self._hash(final)
        if found not in {None, sha256(content)}:
            raise other_file(self._name, str(final), content)
        return found is not None

    def _hash(self, path: Path) -> str | None:
        """Null where nothing has the name."""
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(mode):
            raise no_file(self._name, str(path))
        return hash_file(path)

    def _remove_leftovers(self, final: Path) -> None:
        """Remove what processes that are gone left of a file. Each folder is looked through once."""
        if final.parent not in self._left:
            self._left[final.parent] = _leftovers(final.parent)
        for path in self._left[final.parent].pop(final.name, ()):
            path.unlink(missing_ok=True)

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Turn what the operating system refuses into our own errors."""
        try:
            yield
        except OSError as error:
            what = f"{error.filename or self._root} of {self._name} could not be read or written: {error.strerror}"
            if error.errno in _PASSING:
                raise PlaceUnreachable(
                    f"{what}; needed the folder {self._root}\n\n"
                    "Hint: look at the disk or the mount; what came whole is not written again."
                ) from error
            raise Terminal(
                f"{what}; needed room in {self._root} and leave to write there\n\n"
                "Hint: make room or give access, then deliver again."
            ) from error


def _leftovers(folder: Path) -> dict[str, list[Path]]:
    """Files of ours that no process writes any more, by the name they were to get."""
    found: dict[str, list[Path]] = {}
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            match = _LEFTOVER.fullmatch(entry.name)
            if match and not is_alive(int(match["pid"])) and entry.is_file(follow_symlinks=False):
                found.setdefault(match["name"], []).append(Path(entry.path))
    return found
