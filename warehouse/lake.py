"""The lake: bulk facts in DuckLake, written per run and shard, never changed after their run is closed.

Embedded, the catalogue is a SQLite file and the data are Parquet files in a folder; grown, PostgreSQL and S3. Only the two
addresses differ. Writing is delete and insert in one transaction, so that a step run twice is a step run once and half a
write is no write. Several processes may read and write at once.
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final, TypeVar

import duckdb
import polars as pl

from schemas.errors import LakeBusy
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.tables import RUN_COLUMNS, TABLES
from warehouse.duck import connect, quoted

ATTEMPTS: Final = 6
BUSY_MILLISECONDS: Final = 30_000
PRIVATE_FOLDER: Final = 0o700
T = TypeVar("T")

_connections: dict[tuple[str, str], duckdb.DuckDBPyConnection] = {}
_lock = threading.Lock()


@cache
def sql(name: str) -> str:
    """The text of ``warehouse/sql/<name>.sql``."""
    return (files("warehouse") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def open_lake(settings: Settings) -> "Lake":
    """The lake at the settings' addresses, made with all its tables if it is not there yet.

    The process attaches an address once; each call returns a cursor of its own, so threads may call freely.
    """
    key = (settings.lake_address, settings.lake_data_address)
    with _lock:
        if key not in _connections:
            _connections[key] = _attach(*key)
        return Lake(_connections[key].cursor())


def _attach(address: str, data_address: str) -> duckdb.DuckDBPyConnection:
    is_embedded = address.startswith("ducklake:sqlite:")
    if is_embedded:
        Path(address.removeprefix("ducklake:sqlite:")).parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    if "://" not in data_address:
        Path(data_address).mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    connection = connect("ducklake", "sqlite") if is_embedded else connect("ducklake", "postgres", "httpfs")
    attach_lake(connection, address, data_address)
    retried(lambda: _create_tables(connection))
    return connection


def attach_lake(
    connection: duckdb.DuckDBPyConnection, address: str, data_address: str, *, is_read_only: bool = False
) -> None:
    """Attach the lake to a connection as ``lake``."""
    options = [f"DATA_PATH {quoted(data_address)}"]
    if is_read_only:
        options.append("READ_ONLY")
    if address.startswith("ducklake:sqlite:"):
        options += [f"META_BUSY_TIMEOUT {BUSY_MILLISECONDS}"] + ([] if is_read_only else ["META_JOURNAL_MODE 'WAL'"])
    if data_address.startswith("s3://"):
        connection.execute("CREATE SECRET (TYPE s3, PROVIDER config)")
    statement = f"ATTACH {quoted(address)} AS lake ({', '.join(options)})"
    retried(lambda: connection.execute(statement))


def _create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    found = connection.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake'").fetchall()
    missing = sorted(set(TABLES) - {name for (name,) in found})
    if not missing:
        return
    connection.execute("BEGIN")
    try:
        for table in missing:
            columns = ", ".join(f'"{name}" {_sql_type(dtype)}' for name, dtype in TABLES[table].items())
            connection.execute(f"CREATE TABLE IF NOT EXISTS lake.{table} ({columns})")
        connection.execute("COMMIT")
    except duckdb.Error:
        connection.execute("ROLLBACK")
        raise


def _sql_type(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Decimal):
        return f"DECIMAL({dtype.precision}, {dtype.scale})"
    names = {pl.String: "VARCHAR", pl.Float64: "DOUBLE", pl.Int64: "BIGINT", pl.Int32: "INTEGER"}
    return {**names, pl.Boolean: "BOOLEAN", pl.Date: "DATE"}[type(dtype)]


def retried(work: Callable[[], T]) -> T:
    """``work()``, again where another writer got in first.

    Raises
    ------
    LakeBusy
        It did every time.
    """
    for attempt in range(ATTEMPTS):
        try:
            return work()
        except duckdb.Error as error:
            if not _is_passing(error):
                raise
            if attempt == ATTEMPTS - 1:
                raise LakeBusy("the lake is being written by others; tried again several times") from error
        time.sleep(random.uniform(0.05, 0.25) * 2**attempt)  # noqa: S311 - spreads retries, guards nothing
    raise AssertionError


def _is_passing(error: duckdb.Error) -> bool:
    text = str(error).lower()
    return any(
        sign in text for sign in ("transaction conflict", "database is locked", "failed to commit", "already exists")
    )


class Lake:
    """Reads and writes lake tables; one thread at a time."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor

    def read(self, table: str, run_id: str, shard: int | None = None, columns: tuple[str, ...] = ()) -> pl.DataFrame:
        """Rows of ``table`` of one run (of one shard where given), without the run columns; in no promised order."""
        schema = {name: dtype for name, dtype in TABLES[table].items() if name not in RUN_COLUMNS}
        wanted = columns or tuple(schema)
        statement = sql("read_rows").format(table=table, columns=", ".join(f'"{name}"' for name in wanted))
        rows = retried(lambda: self._cursor.sql(statement, params={"run_id": run_id, "shard": shard}).pl())
        return rows.cast({name: schema[name] for name in wanted})

    def replace(self, run: RunRef, shard: int, frames: Mapping[str, pl.DataFrame]) -> int:
        """Make ``frames`` the only rows of their tables for this run and shard, all in one transaction; the rows written."""
        retried(lambda: self._replace(run, shard, frames))
        return sum(frame.height for frame in frames.values())

    def load(self, run: RunRef, tables: Iterable[str], batches: Iterable[tuple[str, pl.DataFrame]]) -> int:
        """Make ``batches`` the only rows of ``tables`` for this run, all in one transaction; the rows written.

        A batch carries its own ``shard`` column; it is stored sorted by it, so that reading a shard prunes.
        """
        self._cursor.execute("BEGIN")
        try:
            for table in tables:
                self._cursor.execute(sql("delete_run").format(table=table), {"run_id": run.run_id})
            rows = 0
            for table, frame in batches:
                self._insert(table, frame.sort("shard", maintain_order=True), run)
                rows += frame.height
            self._cursor.execute("COMMIT")
        except duckdb.Error as error:
            self._cursor.execute("ROLLBACK")
            if _is_passing(error):
                raise LakeBusy("the lake is being written by others") from error
            raise
        except BaseException:
            self._cursor.execute("ROLLBACK")
            raise
        return rows

    def _insert(self, table: str, frame: pl.DataFrame, run: RunRef) -> None:
        if frame.height:
            self._cursor.register("incoming", _with_run_columns(frame, table, run).to_arrow())
            self._cursor.execute(sql("insert_shard").format(table=table))
            self._cursor.unregister("incoming")

    def _replace(self, run: RunRef, shard: int, frames: Mapping[str, pl.DataFrame]) -> None:
        key = {"run_id": run.run_id, "shard": shard}
        self._cursor.execute("BEGIN")
        try:
            for table, frame in frames.items():
                self._cursor.execute(sql("delete_shard").format(table=table), key)
                self._insert(table, frame.with_columns(shard=pl.lit(shard, pl.Int32)), run)
            self._cursor.execute("COMMIT")
        except BaseException:
            self._cursor.execute("ROLLBACK")
            raise


def _with_run_columns(frame: pl.DataFrame, table: str, run: RunRef) -> pl.DataFrame:
    filled = frame.with_columns(run_id=pl.lit(run.run_id), as_of_date=pl.lit(run.as_of_date))
    return filled.select(pl.col(name).cast(dtype) for name, dtype in TABLES[table].items())
