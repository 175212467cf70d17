"""What every place holds to, whatever it is: names that stay inside it, and a file that is another's is left alone."""

from pathlib import PurePosixPath
from typing import Final

from schemas.errors import PlaceUnreachable, Terminal
from tasks.core.export import sha256
from tasks.sources import RemoteUse

DELIVERING: Final = RemoteUse("written", "list, read and write", Terminal, PlaceUnreachable)


def inside(*names: str) -> str:
    """A path inside a place, of folders and a file, each relative to the one before.

    Raises
    ------
    Terminal
        One of them leads elsewhere, or would on a server that takes a backslash for a separator.
    """
    for name in names:
        parts = name.split("/")
        if "\\" in name or not name.isprintable() or {"", ".", ".."} & set(parts):
            raise Terminal(
                f"the path {name!r} does not stay inside the place; needed names of folders and a file, with / between\n\n"
                "Hint: nothing was written. The manifest was changed or is none of ours; export again."
            )
    return str(PurePosixPath(*names))


def other_file(name: str, path: str, content: bytes) -> Terminal:
    """What is said where the final name has other bytes than ours; ``name`` is the place's."""
    return Terminal(
        f"{path} of {name} exists and is another file; needed {len(content)} bytes with the SHA-256 {sha256(content)}\n\n"
        "Hint: nothing was overwritten. Find out who wrote it and whether it was picked up, put it aside, then deliver again."
    )


def no_file(name: str, path: str) -> Terminal:
    """What is said where the final name is a folder's, a link's or a device's."""
    return Terminal(
        f"{path} of {name} exists and is no file; needed that name for one\n\n"
        "Hint: find out who made it, put it aside, then deliver again."
    )
