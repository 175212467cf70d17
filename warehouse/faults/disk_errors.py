"""Tells what the machine refuses, room or access, from a statement that is wrong: a person makes room or gives access.

Python, SQLite, PostgreSQL, DuckDB and object stores say it each in words of their own, some with the password of an address
among them. So ours are other words.
"""

import errno
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import duckdb
from sqlalchemy.exc import DBAPIError

from schemas.errors import StoreRefused

NO_ROOM: Final = ("no room is left on the disk", "make room, `df -h` shows where, then the same command again.")
NO_ACCESS: Final = (
    "access is denied",
    "work as the user whose files they are, or give access, then the same command again.",
)
READ_ONLY: Final = ("the disk is read-only", "see why it was mounted so, then the same command again.")
NOT_OPENED: Final = ("it cannot be opened", "is it a file, and may you read and write it? Then the same command again.")
NO_KEY: Final = (
    "the object store denies access",
    "look at the keys and at what they may do, then the same command again.",
)
BROKEN: Final = ("the disk reports an error", "look into the system's log; a backup may be needed.")

NUMBERS: Final = {
    errno.ENOSPC: NO_ROOM,
    errno.EDQUOT: NO_ROOM,
    errno.EACCES: NO_ACCESS,
    errno.EPERM: NO_ACCESS,
    errno.EROFS: READ_ONLY,
    errno.EIO: BROKEN,
}
STATUSES: Final = {401: NO_KEY, 403: NO_KEY, 507: NO_ROOM}
SIGNS: Final[Mapping[str, tuple[str, str]]] = {
    "no space left on device": NO_ROOM,
    "disk quota exceeded": NO_ROOM,
    "database or disk is full": NO_ROOM,
    "permission denied": NO_ACCESS,
    "unable to open database": NOT_OPENED,
    "readonly database": NO_ACCESS,
    "read-only file system": READ_ONLY,
    "read-only transaction": READ_ONLY,
    "disk i/o error": BROKEN,
    "input/output error": BROKEN,
}


@contextmanager
def translate_disk_errors(what: str) -> Iterator[None]:
    """Turn a refusal of the machine into ``StoreRefused``, a sentence about ``what``; other errors pass."""
    try:
        yield
    except (OSError, sqlite3.Error, duckdb.Error, DBAPIError) as error:
        if told := disk_refusal(what, error):
            raise told from error
        raise


def disk_refusal(what: str, error: Exception) -> StoreRefused | None:
    """What is to be raised in the place of ``error``; null: it is something else."""
    found = _why(error)
    if found is None:
        return None
    return StoreRefused(f"{what} cannot be read or written: {found[0]}\n\nHint: {found[1]}")


def _why(error: Exception) -> tuple[str, str] | None:
    if isinstance(error, OSError):
        return NUMBERS.get(error.errno or 0)
    if (status := getattr(error, "status_code", None)) in STATUSES:  # DuckDB's HTTPException has one
        return STATUSES[status]
    text = str(error.orig if isinstance(error, DBAPIError) else error).lower()
    return next((found for sign, found in SIGNS.items() if sign in text), None)
