"""Files of a session with an SFTP server: how each is written whole, and read back.

1. A file is sent to ``.<name>.<random>.part`` beside its final name, flushed where the server can (``fsync@openssh.com``),
   and the size that the server tells is checked.
2. It is renamed by ``SSH_FXP_RENAME``, which fails where the name is taken: draft-ietf-secsh-filexfer-02, 6.5, "It is an
   error if there already exists a file with the name specified by newpath". OpenSSH does so by a link, without a gap.
3. Temporary names of earlier tries go with the next ``put`` of the same file. Nothing else is ever removed.
4. The files of a batch are under way at once, so that many small ones do not wait for the line one after the other.

New folders are 0700, files 0600.

Known limits: some servers rename over a file against the draft; there, one that somebody puts between our look and our
rename is replaced. Two processes that deliver the same file at once disturb each other, and one has to try again.
"""

import asyncio
import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import PurePosixPath
from typing import Any, Final, TypeVar

import asyncssh

from schemas.errors import PlaceUnreachable, Terminal
from tasks.core.export import sha256
from tasks.deliveries.checks import no_file, other_file
from tasks.runtime import FILE_MODE, FOLDER_MODE
from tasks.sources import FILE_TYPES, answer

AT_ONCE: Final = 32
"""Files under way at once."""
_BLOCK: Final = 128 << 10
"""Bytes of a file on the line at once: it must take ``AT_ONCE`` times so many within ``ANSWER_SECONDS``."""
_LEFTOVER: Final = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{16}\.part", re.DOTALL)
_FOLDER_TYPES: Final = (asyncssh.FILEXFER_TYPE_DIRECTORY, asyncssh.FILEXFER_TYPE_UNKNOWN)
_LOST: Final = (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)
_T = TypeVar("_T")


class Files:
    """The files of a session. ``place``: how messages call it."""

    def __init__(self, place: str, session: asyncssh.SFTPClient) -> None:
        self._place = place
        self._session = session
        self._made: set[PurePosixPath] = set()
        self._left: dict[PurePosixPath, dict[str, list[str]]] = {}

    async def hashes(self, paths: Iterable[PurePosixPath]) -> list[str | None]:
        """SHA-256 of each file, read back; null where nothing has the name."""
        return await _together(self._hash(path) for path in paths)

    async def put(self, files: Sequence[tuple[PurePosixPath, bytes]]) -> None:
        """Write what is not there already."""
        stand = await _together(self._stands(path, content) for path, content in files)
        for folder in sorted({path.parent for path, _ in files}):
            with self._refusals(folder):
                await self._make(folder)
                await self._look_for_leftovers(folder)
        await _together(self._remove_leftovers(path) for path, _ in files)
        missing = [file for file, stands in zip(files, stand, strict=True) if not stands]
        await _together(self._send(path, content) for path, content in missing)

    async def _send(self, path: PurePosixPath, content: bytes) -> None:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
        left = self._left[path.parent].setdefault(path.name, [])
        left.append(temporary.name)
        with self._refusals(path):
            try:
                await self._write(temporary, content)
                await self._check_size(temporary, content)
                await self._rename(temporary, path, content)
            except _LOST:
                raise
            except (Terminal, asyncssh.SFTPError):
                with suppress(asyncssh.SFTPError):
                    await answer(self._session.remove(str(temporary)))
                raise
        left.remove(temporary.name)

    async def _write(self, temporary: PurePosixPath, content: bytes) -> None:
        async with self._open(temporary, "xb") as file:
            for start in range(0, len(content), _BLOCK):
                await answer(file.write(content[start : start + _BLOCK], start))
            with suppress(asyncssh.SFTPOpUnsupported):
                await answer(file.fsync())

    @asynccontextmanager
    async def _open(self, path: PurePosixPath, mode: str) -> AsyncIterator[asyncssh.SFTPClientFile]:
        """A file, closed at the end unless the line is broken."""
        file = await answer(self._session.open(str(path), mode, asyncssh.SFTPAttrs(permissions=FILE_MODE)))
        try:
            yield file
        except _LOST:
            raise
        except asyncssh.SFTPError:
            with suppress(asyncssh.SFTPError):
                await answer(file.close())
            raise
        await answer(file.close())

    async def _check_size(self, temporary: PurePosixPath, content: bytes) -> None:
        size = (await answer(self._session.stat(str(temporary)))).size
        if size != len(content):
            raise PlaceUnreachable(
                f"{temporary} of {self._place} has {size} bytes; needed the {len(content)} that were sent\n\n"
                "Hint: ask whoever runs the server whether its disk is full; what came whole is not sent again."
            )

    async def _rename(self, temporary: PurePosixPath, path: PurePosixPath, content: bytes) -> None:
        """Give a file its final name, unless that has the same bytes by now."""
        try:
            await answer(self._session.rename(str(temporary), str(path)))
        except (*_LOST, asyncssh.SFTPNoSuchFile):
            raise
        except asyncssh.SFTPError as error:
            if await self._stands(path, content):
                await answer(self._session.remove(str(temporary)))
                return
            raise Terminal(
                f"the server of {self._place} does not rename {temporary.name} to {path} ({type(error).__name__}); needed "
                "that, so that no file is there by halves\n\nHint: ask whoever runs the server for leave to rename files."
            ) from error

    async def _stands(self, path: PurePosixPath, content: bytes) -> bool:
        """Whether the file is there already; one with other bytes is refused."""
        found = await self._hash(path)
        if found not in {None, sha256(content)}:
            raise other_file(self._place, str(path), content)
        return found is not None

    async def _hash(self, path: PurePosixPath) -> str | None:
        """Null where nothing has the name."""
        with self._refusals(path):
            try:
                found = await answer(self._session.lstat(str(path)))
            except asyncssh.SFTPNoSuchFile:
                return None
            if found.type not in FILE_TYPES:
                raise no_file(self._place, str(path))
            digest = hashlib.sha256()
            async with self._open(path, "rb") as file:
                size = found.size or 0
                for start in range(0, size, _BLOCK):
                    block: bytes = await answer(file.read(min(_BLOCK, size - start), start))
                    digest.update(block)
            return digest.hexdigest()

    async def _make(self, folder: PurePosixPath) -> None:
        """Create a folder and its missing parents, each for its owner alone."""
        if folder in self._made:
            return
        try:
            found = await answer(self._session.stat(str(folder)))
        except asyncssh.SFTPNoSuchFile:
            if folder == folder.parent:
                raise
            await self._make(folder.parent)
            found = await self._new_folder(folder)
        if found.type not in _FOLDER_TYPES:
            raise Terminal(
                f"{folder} of {self._place} is a file; needed a folder\n\n"
                "Hint: put the file aside or correct url, then deliver again."
            )
        self._made.add(folder)

    async def _new_folder(self, folder: PurePosixPath) -> asyncssh.SFTPAttrs:
        try:
            await answer(self._session.mkdir(str(folder), asyncssh.SFTPAttrs(permissions=FOLDER_MODE)))
        except asyncssh.SFTPFailure as error:
            try:  # somebody else made it meanwhile
                return await answer(self._session.stat(str(folder)))
            except asyncssh.SFTPNoSuchFile:
                raise error from None
        return await answer(self._session.stat(str(folder)))

    async def _look_for_leftovers(self, folder: PurePosixPath) -> None:
        """Note temporary names of ours, by the name they were to get. Each folder is looked through once."""
        if folder in self._left:
            return
        left: dict[str, list[str]] = {}
        async for entry in self._names(folder):
            if match := _LEFTOVER.fullmatch(entry):
                left.setdefault(match["name"], []).append(entry)
        self._left[folder] = left

    async def _names(self, folder: PurePosixPath) -> AsyncIterator[str]:
        entries = aiter(self._session.scandir(str(folder)))
        with suppress(StopAsyncIteration):
            while True:
                yield str((await answer(anext(entries))).filename)

    async def _remove_leftovers(self, path: PurePosixPath) -> None:
        for name in self._left[path.parent].pop(path.name, ()):
            with self._refusals(path), suppress(asyncssh.SFTPNoSuchFile):
                await answer(self._session.remove(str(path.with_name(name))))

    @contextmanager
    def _refusals(self, path: PurePosixPath) -> Iterator[None]:
        """Sentences for what the server refuses. Of its own words only the kind is shown."""
        try:
            yield
        except _LOST:
            raise
        except asyncssh.SFTPNoSuchFile as error:
            raise PlaceUnreachable(
                f"{path} of {self._place} vanished while it was written; needed a file that stays\n\n"
                "Hint: see that nobody else delivers there at the same time or clears the folder; try again."
            ) from error
        except asyncssh.SFTPPermissionDenied as error:
            raise Terminal(
                f"the server of {self._place} gives no access to {path}; needed leave to list, read, write and rename "
                "there\n\nHint: ask whoever runs the server."
            ) from error
        except asyncssh.SFTPError as error:
            raise Terminal(
                f"the server of {self._place} refuses to write {path} ({type(error).__name__}); needed room and leave to "
                "write there\n\nHint: ask whoever runs the server whether its disk or our quota is full, or it is read-only."
            ) from error


async def _together(work: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """What each comes to, some dozens at a time. All are ended before the first that failed is told."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def in_turn(each: Coroutine[Any, Any, _T]) -> _T:
        async with turn:
            return await each

    done = await asyncio.gather(*(in_turn(each) for each in work), return_exceptions=True)
    for each in done:
        if isinstance(each, BaseException):
            raise each
    return [each for each in done if not isinstance(each, BaseException)]
