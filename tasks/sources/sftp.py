"""Files of a folder on an SFTP server, copied to the staging folder over one connection.

1. The server's host key must be the one in ``known_hosts``. There is no way to go on without.
2. A file is taken when it is complete: its marker stands beside it (where the source has one), its size and time are the
   same before and after the copy, and the copy has that size. One that is not is left for the next look.
3. What does not answer within ``ANSWER_SECONDS`` is unreachable.

Known limits: servers tell times in whole seconds, so a file rewritten within the second, in the same size, after it was
fetched, looks unchanged. ``~/.ssh/config`` is not read.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol, TypeVar

import asyncssh

from schemas.addresses import Address
from schemas.errors import InputRefused, SourceUnreachable
from schemas.sources import Source
from tasks.sources.fetched_file import FetchedFile
from tasks.sources.host_keys import SftpHost, scan_hint, sftp_host
from tasks.sources.names import names_to_take
from tasks.sources.remote import FETCHING, RemoteUse
from tasks.sources.staging import IncomingFile, Staging, open_staging

ANSWER_SECONDS: Final = 25
_GOODBYE_SECONDS: Final = 5
_BLOCK: Final = 1 << 20
"""Bytes asked for at once: a line must bring so many within ``ANSWER_SECONDS``."""
_REQUESTS: Final = 16
"""Requests under way at once."""
_HOST_KEY_KINDS: Final = (
    "+ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256"
)
"""After the kinds that are known: a server without those shows another key, and is refused for that in words."""
FILE_TYPES: Final = (asyncssh.FILEXFER_TYPE_REGULAR, asyncssh.FILEXFER_TYPE_UNKNOWN)
_T = TypeVar("_T")


def fetch(source: Source, *, is_wanted: Callable[[str], bool], staging: Path) -> tuple[FetchedFile, ...]:
    """The wanted files of the source's folder that are complete, copied to ``staging``; sorted by name.

    Raises
    ------
    SourceUnreachable
        The server does not answer or broke off.
    InputRefused
        The host key is not the known one, the server turned us away, or a key or variable is missing.
    """
    host = sftp_host(source)
    with open_staging(staging, source) as stage, server_errors(source, host, FETCHING), own_loop() as run:
        return run(_take(source, host, is_wanted, stage))


class Runner(Protocol):
    """Waits for work that is done in another thread."""

    def __call__(self, work: Coroutine[Any, Any, _T], /) -> _T:
        """What it comes to."""


@contextmanager
def own_loop() -> Iterator[Runner]:
    """A loop of our own in a thread of its own: this one may be running another. What is connected in it stays so to the end.

    Work whose waiting is interrupted is cancelled.
    """
    runner = asyncio.Runner()
    with ThreadPoolExecutor(1) as pool:
        loop = pool.submit(runner.get_loop).result()
        # Of questions that nobody waits for any more nothing is said: the one that is waited for tells what went wrong.
        loop.set_exception_handler(lambda _, context: context.clear())

        def run(work: Coroutine[Any, Any, _T]) -> _T:
            done = pool.submit(runner.run, work)
            try:
                return done.result()
            finally:
                if not done.done():
                    loop.call_soon_threadsafe(_cancel_all, loop)

        try:
            yield run
        finally:
            pool.submit(runner.close).result()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()


async def _take(
    source: Source, host: SftpHost, is_wanted: Callable[[str], bool], stage: Staging
) -> tuple[FetchedFile, ...]:
    async with open_session(host) as sftp:
        try:
            entries = await answer(sftp.readdir(host.folder))
        except asyncssh.SFTPNoSuchFile:
            return ()
        except asyncssh.SFTPPermissionDenied as error:
            raise InputRefused(
                f"the server of {source.name} does not let us list {host.folder}; needed leave to read it\n\n"
                "Hint: ask whoever runs the server."
            ) from error
        names = names_to_take([str(entry.filename) for entry in entries], is_wanted, source.marker)
        taken = [await _fetch_file(sftp, host.folder, name, stage) for name in names]
    return tuple(file for file in taken if file)


@asynccontextmanager
async def open_session(host: SftpHost) -> AsyncIterator[asyncssh.SFTPClient]:
    """A session on the server, whose host key is the known one."""
    connection = await asyncssh.connect(
        host.name,
        host.port,
        config=None,
        connect_timeout=ANSWER_SECONDS,
        login_timeout=ANSWER_SECONDS,
        known_hosts=host.known_hosts,
        server_host_key_algs=_HOST_KEY_KINDS,
        **host.credentials,
    )
    try:
        yield await answer(connection.start_sftp_client(path_errors="surrogateescape"))
    finally:
        connection.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await connection.wait_closed()


async def answer(question: Awaitable[_T]) -> _T:
    """The server's answer.

    Raises
    ------
    TimeoutError
        It does not come within ``ANSWER_SECONDS``.
    """
    async with asyncio.timeout(ANSWER_SECONDS):
        return await question


async def _fetch_file(sftp: asyncssh.SFTPClient, folder: str, name: str, stage: Staging) -> FetchedFile | None:
    """The file's copy: the one there is, where its version is the same, else a new one; null where it is no file.

    Raises
    ------
    SourceUnreachable
        It is still being written, or goes away: the night must not run on the others alone.
    """
    path = str(PurePosixPath(folder, name))
    try:
        before = await answer(sftp.stat(path))
    except asyncssh.SFTPNoSuchFile:  # a link to nowhere
        return None
    if before.type not in FILE_TYPES:
        return None
    try:
        known = stage.earlier_copy(name, _version(before))
        if known:
            return known
        with stage.incoming() as incoming:
            await _copy(sftp, path, incoming, before.size or 0)
            after = await answer(sftp.stat(path))
            if _version(after) != _version(before) or incoming.size_bytes != after.size:
                raise SourceUnreachable(
                    f"{name} of {stage.source_name} changed while it was copied; needed a file that is complete\n\n"
                    "Hint: run the night again when the server has all of it; a marker would say when."
                )
            return stage.place(incoming, name, _version(after), _time(after))
    except asyncssh.SFTPNoSuchFile as error:
        raise SourceUnreachable(
            f"{name} of {stage.source_name} vanished while it was copied; needed a file that stays\n\n"
            "Hint: run the night again."
        ) from error
    except asyncssh.SFTPPermissionDenied as error:
        raise InputRefused(
            f"the server of {stage.source_name} does not let us read {path}; needed leave to read it\n\n"
            "Hint: ask whoever runs the server."
        ) from error


async def _copy(sftp: asyncssh.SFTPClient, path: str, incoming: IncomingFile, size_bytes: int) -> None:
    """All bytes of the file, and one block more of one that has grown beyond ``size_bytes``."""
    handle = await answer(sftp.open(path, "rb", encoding=None, max_requests=_REQUESTS))
    while block := await answer(handle.read(_BLOCK, incoming.size_bytes)):
        incoming.write(bytes(block, "latin-1") if isinstance(block, str) else block)
        if incoming.size_bytes > size_bytes:
            break
    await answer(handle.close())


def _version(found: asyncssh.SFTPAttrs) -> str:
    return f"{found.size} {found.mtime}"


def _time(found: asyncssh.SFTPAttrs) -> datetime | None:
    return None if found.mtime is None else datetime.fromtimestamp(found.mtime, UTC)


@contextmanager
def server_errors(remote: Address, host: SftpHost, use: RemoteUse) -> Iterator[None]:
    """Sentences for what goes wrong between us and the server."""
    where = f"{host.name}:{host.port}"
    try:
        yield
    except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
        found = "shows another key than" if host.is_known else "has no key in"
        raise use.refused(
            f"the server {where} of {remote.name} {found} {host.known_hosts_path}; needed the key that is known\n\n"
            f"{scan_hint(host.name, host.port, host.known_hosts_path)}"
        ) from error
    except asyncssh.PermissionDenied as error:
        raise use.refused(
            f"the server {where} of {remote.name} turned us away; needed a user, and a key or password, that it accepts\n\n"
            "Hint: look at the user in url, at key_file and password_variable."
        ) from error
    except (OSError, TimeoutError, asyncssh.Error) as error:
        raise use.unreachable(
            f"the server {where} of {remote.name} did not answer or broke off ({type(error).__name__}); "
            f"needed its folder {host.folder}\n\nHint: look at the network; what came whole is not sent again."
        ) from error
