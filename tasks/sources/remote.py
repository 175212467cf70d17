"""What is said when a server that files are fetched from or delivered to cannot be used."""

from dataclasses import dataclass
from typing import Final

from schemas.errors import InputRefused, Retryable, SourceUnreachable, Terminal


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
