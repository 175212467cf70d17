"""What a connection to an SFTP server needs: where it is, its known key, and who we are to it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncssh

from schemas.addresses import Address
from tasks.sources.remote import FETCHING, RemoteUse


@dataclass(frozen=True, slots=True, repr=False)
class SftpHost:
    """A server and how to log in. ``credentials``: arguments of ``asyncssh.connect``; never shown."""

    name: str
    port: int
    folder: str
    known_hosts: asyncssh.SSHKnownHosts
    known_hosts_path: Path
    credentials: dict[str, Any]

    @property
    def is_known(self) -> bool:
        """Whether ``known_hosts`` has any key of this server."""
        return any(self.known_hosts.match(self.name, "", self.port))


def sftp_host(remote: Address, use: RemoteUse = FETCHING) -> SftpHost:
    """The server of an address, and how to log in.

    Raises
    ------
    Terminal
        The address, ``known_hosts``, the key or the variable of the password cannot be used; it is ``use.refused``.
    """
    parts = urlsplit(remote.url)
    try:
        name, port = parts.hostname, parts.port or asyncssh.DEFAULT_PORT
    except ValueError:
        name, port = None, 0
    if not name:
        raise use.refused(f"the address of {remote.name} is {remote.url}; needed sftp://user@host[:port]/folder")
    path = Path(remote.known_hosts or "~/.ssh/known_hosts").expanduser()
    known_hosts = _known_hosts(remote, use, path, name, port)
    credentials = {"username": unquote(parts.username) if parts.username else (), **_credentials(remote, use)}
    return SftpHost(name, port, unquote(parts.path) or "/", known_hosts, path, credentials)


def scan_hint(name: str, port: int, path: Path) -> str:
    """What a person does about a host key."""
    return (
        f"Hint: run ssh-keyscan -p {port} {name}, compare the key's fingerprint (ssh-keygen -lf) with the one the owner of "
        f"the server tells you by another way, and only then put it into {path}."
    )


def _known_hosts(remote: Address, use: RemoteUse, path: Path, name: str, port: int) -> asyncssh.SSHKnownHosts:
    try:
        return asyncssh.read_known_hosts(str(path))
    except (OSError, ValueError) as error:
        raise use.refused(
            f"the known hosts of {remote.name} in {path} cannot be read ({_reason(error)}); "
            f"needed the host key of {name}\n\n{scan_hint(name, port, path)}"
        ) from error


def _credentials(remote: Address, use: RemoteUse) -> dict[str, Any]:
    """The key named, else the password, else the user's own keys."""
    secret = _secret(remote, use)
    if remote.key_file:
        return {"client_keys": [_key(remote, use, secret)], "agent_path": None}
    return {"password": secret, "client_keys": None, "agent_path": None} if secret else {}


def _secret(remote: Address, use: RemoteUse) -> str | None:
    if not remote.password_variable:
        return None
    secret = os.environ.get(remote.password_variable)
    if not secret:
        raise use.refused(
            f"the variable {remote.password_variable} is not set; needed the password (or the key's passphrase) of "
            f"{remote.name} in it\n\nHint: set it for the user that runs the night, not in trimtab.toml."
        )
    return secret


def _key(remote: Address, use: RemoteUse, passphrase: str | None) -> asyncssh.SSHKey:
    path = Path(remote.key_file).expanduser()
    try:
        return asyncssh.read_private_key(path, passphrase)
    except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise use.refused(
            f"the key {path} of {remote.name} cannot be used ({_reason(error)}); needed a private key\n\n"
            "Hint: where it has a passphrase, name the variable that holds it in password_variable."
        ) from error


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
