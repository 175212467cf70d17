"""Recognises what an error of a database or the disk means: one table an engine, its codes first, its English where it has none.

DuckDB passes on what its catalogue (SQLite or PostgreSQL), the object store and the operating system say, as text alone;
so all tables of words apply to its errors. SQLAlchemy marks a connection that it had and lost; for one that could not be made
PostgreSQL gives no code (psycopg, ``OperationalError.sqlstate``), else one of class 08 or 57P ("PostgreSQL Error Codes",
PostgreSQL documentation, Appendix A).
"""

import errno
import sqlite3
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import duckdb
from sqlalchemy.exc import DBAPIError, OperationalError


class EngineFault(StrEnum):
    """What an error means. The same call may succeed later where it is BUSY or LOST; for the others a person is needed."""

    BUSY = "another process writes"
    LOST = "the server went away"
    NO_KEY = "the object store denies access"
    NO_ROOM = "no room is left on the disk"
    NO_ACCESS = "access is denied"
    NOT_OPENED = "it cannot be opened"
    READ_ONLY = "the disk is read-only"
    BROKEN = "the disk reports an error"


SYSTEM_NUMBERS: Final = {
    errno.ENOSPC: EngineFault.NO_ROOM,
    errno.EDQUOT: EngineFault.NO_ROOM,
    errno.EACCES: EngineFault.NO_ACCESS,
    errno.EPERM: EngineFault.NO_ACCESS,
    errno.EROFS: EngineFault.READ_ONLY,
    errno.EIO: EngineFault.BROKEN,
}
SYSTEM: Final = {
    "no space left on device": EngineFault.NO_ROOM,
    "disk quota exceeded": EngineFault.NO_ROOM,
    "permission denied": EngineFault.NO_ACCESS,
    "read-only file system": EngineFault.READ_ONLY,
    "input/output error": EngineFault.BROKEN,
}
"""The operating system, in an error that a database passes on."""
SQLITE: Final = {
    "database is locked": EngineFault.BUSY,
    "database table is locked": EngineFault.BUSY,
    "database schema is locked": EngineFault.BUSY,
    "database or disk is full": EngineFault.NO_ROOM,
    "unable to open database": EngineFault.NOT_OPENED,
    "readonly database": EngineFault.NO_ACCESS,
    "disk i/o error": EngineFault.BROKEN,
}
POSTGRES_STATES: Final = {
    "40001": EngineFault.BUSY,  # serialization failure
    "40P01": EngineFault.BUSY,  # deadlock
    "55P03": EngineFault.BUSY,  # lock not available
    "08": EngineFault.LOST,
    "57P": EngineFault.LOST,
}
"""How an SQLSTATE begins."""
POSTGRES: Final = {"read-only transaction": EngineFault.READ_ONLY}
STALE: Final = "failed to read inlined data"
"""What a process remembers of the lake's tables names one that another has taken away (``Attachment``)."""
DUCKDB: Final = {
    STALE: EngineFault.BUSY,
    "transaction conflict": EngineFault.BUSY,
    "failed to commit": EngineFault.BUSY,
    "already exists": EngineFault.BUSY,
    "failed to get files scheduled for deletion": EngineFault.BUSY,  # a writer took its file back while orphans were looked for
    # its catalogue in PostgreSQL, to which it connects anew by itself
    "could not serialize access": EngineFault.BUSY,
    "deadlock detected": EngineFault.BUSY,
    "server closed the connection": EngineFault.LOST,
    "terminating connection": EngineFault.LOST,
    "unable to connect to postgres": EngineFault.LOST,
    "no connection to the server": EngineFault.LOST,
    "could not receive data from server": EngineFault.LOST,
    'failed to execute query "rollback"': EngineFault.LOST,
    # DuckLake looks at the first column of an answer that is an error, where rows that stand in the catalogue are read; then all else fails
    "attempted to access index 0 within vector of size 0": EngineFault.LOST,
    "database has been invalidated": EngineFault.LOST,
    "current transaction is aborted": EngineFault.LOST,  # the first that is heard where a result breaks off while it is fetched
    # its object store
    "could not establish connection": EngineFault.LOST,
    "connection error for http": EngineFault.LOST,
}
DUCKDB_STATUSES: Final = {
    401: EngineFault.NO_KEY,
    403: EngineFault.NO_KEY,
    507: EngineFault.NO_ROOM,
    **dict.fromkeys((408, 429, 500, 502, 503, 504), EngineFault.LOST),
}
"""HTTP status of its object store."""


def faults_of(error: BaseException) -> frozenset[EngineFault]:
    """Everything that an error of an engine or the disk says; empty where the statement is wrong, or the error another's."""
    if isinstance(error, OSError):
        return _of(SYSTEM_NUMBERS.get(error.errno or 0))
    if isinstance(error, duckdb.Error):
        status = DUCKDB_STATUSES.get(getattr(error, "status_code", 0))
        return _of(status) | _of_words(error, DUCKDB, SQLITE, POSTGRES, SYSTEM)
    if isinstance(error, DBAPIError):
        return _of_connection(error) | _of_words(error.orig, SQLITE, POSTGRES, SYSTEM)
    if isinstance(error, sqlite3.Error):
        return _of_words(error, SQLITE, SYSTEM)
    return frozenset()


def is_disconnect(error: BaseException) -> bool:
    """Whether the server of a database or an object store went away; the same call may succeed when it is back."""
    return EngineFault.LOST in faults_of(error)


def is_busy(error: BaseException) -> bool:
    """Whether another process got in first; the same call may succeed later."""
    return EngineFault.BUSY in faults_of(error)


def is_stale(error: BaseException) -> bool:
    """Whether what this process remembers of the lake is not true any more; it has to be attached anew."""
    return isinstance(error, duckdb.Error) and STALE in str(error).lower()


def is_passing(error: BaseException) -> bool:
    """Whether the same call may succeed later, for either reason."""
    return is_busy(error) or is_disconnect(error)


def _of(fault: EngineFault | None) -> frozenset[EngineFault]:
    return frozenset() if fault is None else frozenset({fault})


def _of_words(error: BaseException | None, *tables: Mapping[str, EngineFault]) -> frozenset[EngineFault]:
    text = str(error).lower()
    return frozenset(fault for table in tables for words, fault in table.items() if words in text)


def _of_connection(error: DBAPIError) -> frozenset[EngineFault]:
    """What SQLAlchemy's mark and PostgreSQL's code say."""
    code = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    found = {fault for begin, fault in POSTGRES_STATES.items() if code and code.startswith(begin)}
    is_postgres = isinstance(error, OperationalError) and type(error.orig).__module__.startswith("psycopg")
    if error.connection_invalidated or (is_postgres and code is None):
        found.add(EngineFault.LOST)
    return frozenset(found)
