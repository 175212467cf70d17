"""Connections to the ledger: one writer at a time, readers never wait, and a database that is busy or gone says so in our own words.

Writers queue. In SQLite a write begins with ``BEGIN IMMEDIATE``; in PostgreSQL it first locks the row of ``audit_head``.
What a write reads is therefore still true when it commits, on either database.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from schemas.errors import LedgerBusy, LedgerUnreachable, WrongUsage
from warehouse.faults import disk_refusal, is_busy, is_disconnect, translate_disk_errors
from warehouse.ledger.store.tables import audit_head

BUSY_SECONDS: Final = 30
"""How long a writer waits for the one before it."""
WRITES: Final = "trimtab_writes"
"""Execution option of connections that will write."""
UPGRADE_LOCK: Final = 7_286_145
"""PostgreSQL advisory lock for which two first openings race; any number that nobody else uses."""

Item = TypeVar("Item")


def create_engine(address: str) -> Engine:
    """Engine of a ledger address; SQLite files are made readable by their owner alone.

    Raises
    ------
    WrongUsage
        The address names a driver that cannot be called from here.
    """
    url = sa.make_url(address)
    if url.get_backend_name() != "sqlite":
        # A database without an encoding of its own (SQL_ASCII) would give bytes for text.
        said = {"client_encoding": "utf8"} if url.get_driver_name() == "psycopg" else {}
        engine = sa.create_engine(url, pool_pre_ping=True, connect_args=said)
        if engine.dialect.is_async:
            raise WrongUsage(f"{url.drivername} is for asynchronous programs\n\nHint: postgresql+psycopg://host/db.")
        return engine
    _make_private(url.database)
    wait = {} if "timeout" in url.query else {"timeout": BUSY_SECONDS}
    engine = sa.create_engine(url, connect_args=wait)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private(database: str | None) -> None:
    """Create the file for its owner alone; SQLite gives its WAL files the same mode.

    The file is made elsewhere and linked, never opened here: closing it would drop the locks that SQLite holds on it in
    other threads of this process.
    """
    if database in {None, "", ":memory:"} or (path := Path(str(database))).exists():
        return
    with translate_disk_errors("the ledger"):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, empty = tempfile.mkstemp(dir=path.parent, prefix=".ledger-")
        os.close(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(empty, path)
        Path(empty).unlink()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = FULL", "cache_size = -65536"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    is_writer = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")


class Store:
    """Holds the engine; the parts of the ledger derive from it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view; never waits for a writer.

        Raises
        ------
        LedgerUnreachable
            The ledger's server does not answer, or broke off.
        """
        with translate_db_errors(self.engine), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, alone among writers: all of it or nothing.

        Raises
        ------
        LedgerBusy
            Another writer did not finish in time.
        LedgerUnreachable
            As ``reading``; what was written may stand where the server broke off at the end.
        """
        writer = self.engine.execution_options(**{WRITES: True})
        with translate_db_errors(self.engine), writer.connect() as connection, connection.begin():
            queue_up(connection)
            yield connection

    @contextmanager
    def upgrading(self) -> Iterator[Connection]:
        """As ``writing``, before the tables are there; SQLite's foreign keys are looked at once, at the end."""
        writer = self.engine.execution_options(**{WRITES: True})
        with (
            translate_db_errors(self.engine),
            writer.connect() as connection,
            _foreign_keys_off(connection),
            connection.begin(),
        ):
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(UPGRADE_LOCK)))
            yield connection
            if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise WrongUsage("the ledger's rows do not belong together; it was left as it is")

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


@contextmanager
def _foreign_keys_off(connection: Connection) -> Iterator[None]:
    """SQLite lets a table be made anew under its name only while its foreign keys are off, and outside a transaction."""
    if connection.dialect.name != "sqlite":
        yield
        return
    raw: Any = connection.connection.driver_connection
    for pragma in ("foreign_keys = OFF", "legacy_alter_table = ON"):
        raw.execute(f"PRAGMA {pragma}").close()
    try:
        yield
    finally:
        for pragma in ("foreign_keys = ON", "legacy_alter_table = OFF"):
            raw.execute(f"PRAGMA {pragma}").close()


def queue_up(connection: Connection) -> None:
    """In PostgreSQL, wait for the writer before us; SQLite has done so at BEGIN."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'")
        connection.execute(sa.select(audit_head.c.one).with_for_update())


@contextmanager
def translate_db_errors(engine: Engine) -> Iterator[None]:
    """Turn what is foreseen into our own errors; others pass.

    "Locked" and "conflict" of either database become ``LedgerBusy``, a lost server ``LedgerUnreachable``, no room and no access
    ``StoreRefused``.
    """
    try:
        yield
    except DBAPIError as error:
        if is_busy(error):
            raise LedgerBusy("the ledger is busy: another writer did not finish in time\n\nHint: try again.") from error
        if is_disconnect(error):
            raise LedgerUnreachable(_unreachable(engine, error)) from error
        if refusal := disk_refusal("the ledger", error):
            raise refusal from error
        raise


def _unreachable(engine: Engine, error: DBAPIError) -> str:
    """The driver's reason goes on for lines; the first one says it."""
    reason = next(iter(str(error.orig).splitlines()), "") or "the connection was lost"
    shown = engine.url.render_as_string(hide_password=True)
    return f"the ledger at {shown} cannot be reached: {reason}\n\nHint: try again when its server answers."


def in_chunks(values: list[Item], size: int = 5_000) -> Iterator[list[Item]]:
    """Lists short enough for the parameters of one statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def insert_columns(
    connection: Connection, table: sa.Table, columns: Mapping[str, Sequence[Any]], shared: Mapping[str, Any]
) -> None:
    """Insert many rows given column by column; ``shared`` holds what all of them have in common.

    Values are bound column by column: row by row it takes longer than the database itself.
    """
    count = len(next(iter(columns.values())))
    if count == 0:
        return
    compiled = sa.insert(table).inline().compile(dialect=connection.dialect, column_keys=[*columns, *shared])
    order = getattr(compiled, "positiontup", None)
    names = order or [*columns, *shared]
    bound = [_bind_column(connection, table.c[name], columns.get(name), shared.get(name), count) for name in names]
    rows: list[Any] = list(zip(*bound, strict=True))
    if not order:
        rows = [dict(zip(names, row, strict=True)) for row in rows]
    connection.exec_driver_sql(str(compiled), rows)


def _bind_column(
    connection: Connection, column: sa.Column[Any], values: Sequence[Any] | None, shared: Any, count: int
) -> Iterable[Any]:
    """A column as the driver wants it."""
    bind = column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    if values is None:
        return repeat(bind(shared) if bind else shared, count)
    return map(bind, values) if bind else values
