"""A folder on an SFTP server, written over one connection. The host key is checked as for sources.

How a file is written there, and the known limits, are said in ``tasks.deliveries.sftp_files``.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import PurePosixPath

import asyncssh

from schemas.exports import Delivery
from tasks.deliveries.checks import DELIVERING, inside
from tasks.deliveries.sftp_files import Files
from tasks.sources import Runner, SftpHost, open_session, own_loop, server_errors, sftp_host


@contextmanager
def open_place(delivery: Delivery) -> Iterator["Server"]:
    """The folder, on a server that lets us in; made with the first file that is put there."""
    host = sftp_host(delivery, DELIVERING)
    with own_loop() as run:
        connection = AsyncExitStack()
        with server_errors(delivery, host, DELIVERING):
            session = run(connection.enter_async_context(open_session(host)))
        try:
            yield Server(delivery, host, session, run)
        finally:
            with suppress(OSError, asyncssh.Error):
                run(connection.aclose())


class Server:
    """A place that is a folder on an SFTP server."""

    def __init__(self, delivery: Delivery, host: SftpHost, session: asyncssh.SFTPClient, run: Runner) -> None:
        self._delivery = delivery
        self._host = host
        self._files = Files(delivery.name, session)
        self._run = run

    def hashes(self, folder: str, paths: Collection[str]) -> dict[str, str]:
        """SHA-256 of those of the files that are there under their final names, read back."""
        targets = [self._target(folder, path) for path in paths]
        with server_errors(self._delivery, self._host, DELIVERING):
            hashes = dict(zip(paths, self._run(self._files.hashes(targets)), strict=True))
        return {path: each for path, each in hashes.items() if each is not None}

    def put(self, folder: str, files: Sequence[tuple[str, bytes]]) -> None:
        """Write files (path inside ``folder``, content), each whole under its final name or not at all."""
        targets = [(self._target(folder, path), content) for path, content in files]
        with server_errors(self._delivery, self._host, DELIVERING):
            self._run(self._files.put(targets))

    def _target(self, folder: str, path: str) -> PurePosixPath:
        return PurePosixPath(self._host.folder, inside(folder, path))
