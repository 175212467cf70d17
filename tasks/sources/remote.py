"""A server that files are fetched from or delivered to: how it is addressed, and what is said when it cannot be used."""

from dataclasses import dataclass
from typing import Final, Protocol

from schemas.errors import InputRefused, Retryable, SourceUnreachable, Terminal


class Remote(Protocol):
    """What the settings say about a server, as ``Source`` and ``Delivery`` do."""

    @property
    def name(self) -> str:
        """How messages call it."""

    @property
    def url(self) -> str:
        """``s3://bucket/prefix`` or ``sftp://user@host[:port]/folder``."""

    @property
    def endpoint(self) -> str:
        """``s3://``: address of the server where it is not Amazon's."""

    @property
    def region(self) -> str:
        """``s3://``."""

    @property
    def known_hosts(self) -> str:
        """``sftp://``: file with the host's key; empty: ``~/.ssh/known_hosts``."""

    @property
    def key_file(self) -> str:
        """``sftp://``: private key; empty: the user's own keys, unless there is a password."""

    @property
    def password_variable(self) -> str:
        """``sftp://``: environment variable that holds the password, or the passphrase of the key."""


@dataclass(frozen=True, slots=True)
class RemoteUse:
    """What we do with a server, in the words of messages, and the errors that say that it cannot be done.

    ``done``: it could not be ... . ``leave``: what we must be allowed to do there. ``refused``: until a person acts.
    ``unreachable``: the next try may succeed.
    """

    done: str
    leave: str
    refused: type[Terminal]
    unreachable: type[Retryable]


FETCHING: Final = RemoteUse("read", "list and read", InputRefused, SourceUnreachable)
