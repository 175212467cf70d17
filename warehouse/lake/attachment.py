"""A lake that is attached in this process, and attached again where DuckDB has given the database up.

After an error of its own (``INTERNAL``, ``FATAL``) DuckDB answers nothing any more on the database where it happened, whoever asks and
for as long as the process lives. One such error is told of a catalogue in PostgreSQL that went away while rows were read that stand in
it (DuckLake, pull request 1330): what is nothing but a lost connection would end a worker, or the console, for good.

DuckLake remembers the tables of a catalogue and asks again where one of them has changed. Where few rows of a table stand it does not: after a table got
a column, as after an upgrade, moving them to files drops the place of before, and only the process that did it knows (``DropEmptySupersededInlinedTables``
of DuckLake). Every other would fail at that table for as long as it lives.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import duckdb

from schemas.stored import TABLES
from warehouse.lake.attach import SQLITE, attach_lake, retry_conflicts
from warehouse.lake.connection import connect
from warehouse.lake.empty_tables import Filled, make_stand_ins
from warehouse.lake.tables import bring_up_to_date

PRIVATE_FOLDER: Final = 0o700


def attached(address: str, data_address: str, *, is_read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """A connection with the lake attached: made or brought up to date first, unless it may only be read."""
    if not is_read_only:
        if address.startswith(SQLITE):
            Path(address.removeprefix(SQLITE)).parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        if "://" not in data_address:
            Path(data_address).mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    connection = (
        connect("ducklake", "sqlite") if address.startswith(SQLITE) else connect("ducklake", "postgres", "httpfs")
    )
    attach_lake(connection, address, data_address, is_read_only=is_read_only)
    if not is_read_only:
        retry_conflicts(lambda: bring_up_to_date(connection, TABLES))
    make_stand_ins(connection, TABLES)
    return connection


class Attachment:
    """Cursors of one connection to a lake; threads may ask at once."""

    def __init__(self, make: Callable[[], duckdb.DuckDBPyConnection]) -> None:
        self._make, self._lock = make, threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._filled = Filled()

    def cursor(self, instead_of: Filled | None = None) -> tuple[duckdb.DuckDBPyConnection, Filled]:
        """A cursor of its own, and what all of them know of the tables; the lake is attached first where it is not, or not any more.

        ``instead_of``: what was known by a cursor that is of no use now; the lake is attached anew, unless another did so meanwhile.
        """
        with self._lock:
            if self._connection is None or self._filled is instead_of or is_given_up(self._connection):
                self._connection, self._filled = self._make(), Filled()
            return self._connection.cursor(), self._filled

    def close(self) -> None:
        """Close the connection; the next cursor is that of a new one."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None


def is_given_up(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether DuckDB answers nothing any more on the connection's database."""
    try:
        connection.execute("SELECT 1").fetchall()
    except duckdb.FatalException:
        return True
    return False
