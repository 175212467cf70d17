"""A session with a source's PostgreSQL server: one read-only transaction, and sentences for what goes wrong in it.

Credentials come by libpq's own means (``PGPASSWORD``, ``PGPASSFILE``, ``PGSSLMODE``, ...).

Known limits: libpq says what went wrong while connecting in words only. They are known in English; in another language a
refused password is taken for an outage, to be tried again.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import adbc_driver_manager
import pyarrow as pa
from adbc_driver_postgresql import dbapi  # type: ignore[import-untyped]

from schemas.errors import InputRefused, SourceUnreachable, TrimtabError
from schemas.sources import Source

LOCK_SECONDS: Final = 30
"""How long a table that someone alters is waited for."""
_OPTIONS: Final = {
    "application_name": "trimtab",
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""Parameters of libpq that an address gets where it does not say otherwise."""
_BEGIN: Final = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'",
    "SET LOCAL client_encoding = 'UTF8'",
    "SET LOCAL datestyle = 'ISO, YMD'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL timezone = 'UTC'",
)
"""What the text of a value depends on is the same everywhere."""
_TURNED_AWAY: Final = re.compile(
    r"authentication failed|no password supplied|pg_hba\.conf|does not exist|not permitted|permission denied|invalid (?:URI|port|ss)"
    r"|SSL was required|certificate|unsupported|too long"
)
_PASSING: Final = ("08", "40", "53", "55", "57", "58", "XX")
"""Classes of SQLSTATE that a later try may not meet: the connection, conflicts, resources, locks, a server that stops."""
_SPOKEN: Final = ("3D", "3F", "42")
"""Classes whose message names relations and columns, never a value."""
_DENIED: Final = "42501"
_WRONG_VALUE: Final = "22000"


@contextmanager
def session(source: Source) -> Iterator[Any]:
    """A cursor in one REPEATABLE READ, READ ONLY transaction: all it reads is as of one moment.

    Raises
    ------
    SourceUnreachable
        The server does not answer.
    InputRefused
        It turned us away, or has no such database.
    """
    connection = _connect(source)
    try:
        with connection.cursor() as cursor:
            with answers(source):
                for statement in _BEGIN:
                    cursor.execute(statement)
            yield cursor
    finally:
        connection.close()


@contextmanager
def answers(source: Source, relation: str = "") -> Iterator[None]:
    """Sentences for what the server answers in place of rows, or among them."""
    try:
        yield
    except adbc_driver_manager.Error as error:
        raise _error_for(source, relation, error, error.sqlstate or "") from error
    except (OSError, pa.ArrowException) as error:  # among rows, where the driver has no SQLSTATE
        is_of_the_query = "ERROR:" in str(error) and "canceling statement" not in str(error)
        raise _error_for(source, relation, error, _WRONG_VALUE if is_of_the_query else "") from error


def _connect(source: Source) -> Any:
    given = dict(parse_qsl(urlsplit(source.url).query))
    options = {name: value for name, value in _OPTIONS.items() if name not in given}
    joint = "&" if urlsplit(source.url).query else "?"
    try:
        return dbapi.connect(f"{source.url.rstrip('?')}{joint}{urlencode(options)}")
    except adbc_driver_manager.Error as error:
        said = _server_words(error)
        if _TURNED_AWAY.search(said):
            raise InputRefused(
                f"the database of {source.name} turned us away ({said}); needed a session\n\n"
                "Hint: look at user and database in url, and at PGPASSWORD, PGPASSFILE and PGSSLMODE."
            ) from error
        raise SourceUnreachable(
            f"the database of {source.name} did not answer ({said}); needed a session\n\n"
            "Hint: look at the server and the network, then try again."
        ) from error


def _error_for(source: Source, relation: str, error: Exception, state: str) -> TrimtabError:
    place = f"{relation} of {source.name}" if relation else f"the database of {source.name}"
    if state == _DENIED:
        return InputRefused(
            f"{place} may not be read ({_server_words(error)}); needed leave to read it\n\n"
            "Hint: GRANT USAGE ON SCHEMA and GRANT SELECT to the user of the night."
        )
    said = _server_words(error) if state.startswith(_SPOKEN) else f"SQLSTATE {state or 'none'}"
    if state.startswith(_PASSING) or not state:
        return SourceUnreachable(
            f"{place} broke off ({said}); needed all its rows\n\nHint: look at the server's log, then try again."
        )
    return InputRefused(
        f"{place} cannot be read ({said}); needed a table or view whose rows can all be read\n\n"
        "Hint: the server's log says more; a view may compute what its rows do not allow."
    )


def _server_words(error: Exception) -> str:
    """What the server or libpq said, in one line: without our query, which the driver adds, or hints."""
    text = str(error).strip()
    found = re.search(r"(?:ERROR|FATAL|PANIC):\s+(.*)", text)
    line = found[1] if found else text.partition("\n")[0]
    return line.removeprefix("IO: [libpq] Failed to connect: ")
