"""An SFTP server inside the test, for what OpenSSH does not do on demand: passwords, odd names, files that change underway."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from tests.support.servers import PASSWORD


@dataclass
class OddServer:
    """Where it is, and the file with its key."""

    port: int
    known_hosts: Path

    def url(self, folder: str = "/") -> str:
        return f"sftp://ann@127.0.0.1:{self.port}{folder}"


class _Login(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return bool(username)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("ann", PASSWORD)


@contextmanager
def odd_server(folder: Path, kind: type[asyncssh.SFTPServer] = asyncssh.SFTPServer) -> Iterator[OddServer]:
    """A server of ``folder`` that behaves like ``kind``; user ``ann`` has the password ``PASSWORD``."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    root = folder / "served"
    root.mkdir(exist_ok=True)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    listener = asyncio.run_coroutine_threadsafe(_listening(root, key, kind), loop).result()
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{listener.get_port()} {key.export_public_key().decode()}")
    try:
        yield OddServer(listener.get_port(), known_hosts)
    finally:
        asyncio.run_coroutine_threadsafe(_closed(listener), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listening(root: Path, key: asyncssh.SSHKey, kind: type[asyncssh.SFTPServer]) -> asyncssh.SSHAcceptor:
    return await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=_Login,
        server_host_keys=[key],
        sftp_factory=lambda channel: kind(channel, chroot=str(root).encode()),
    )


async def _closed(listener: asyncssh.SSHAcceptor) -> None:
    listener.close()
    await listener.wait_closed()
