"""Attach the lake to a DuckDB connection, to read or to write, and try again where another process got in first.

Apart from ``lake``, whose tables bring the landing contract with them and that takes a second to import.
"""

import ctypes
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final, TypeVar

import duckdb

from schemas.errors import LakeBusy
from warehouse.faults import is_disconnect, is_passing, translate_disk_errors
from warehouse.lake.connection import s3_secret, sql_literal

SQLITE: Final = "ducklake:sqlite:"
"""How the address of a lake begins whose catalogue is a SQLite file."""
ATTEMPTS: Final = 6
BUSY_MILLISECONDS: Final = 30_000
INCLUDED: Final = re.compile(r"\[\[(\w+)\]\]")
T = TypeVar("T")


@cache
def sql(name: str) -> str:
    """The text of ``warehouse/sql/<name>.sql``; ``[[other]]`` in it stands for the text of another."""
    text = (files("warehouse") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    return INCLUDED.sub(lambda found: sql(found[1]), text)


def attach_lake(
    connection: duckdb.DuckDBPyConnection, address: str, data_address: str, *, is_read_only: bool = False
) -> None:
    """Attach the lake to a connection as ``lake``.

    The catalogue notes where the data were first. A folder with both may be moved; else another place is refused, because
    it is more likely a slip in the settings.
    """
    options = [f"DATA_PATH {sql_literal(data_address)}"]
    if is_one_folder(address, data_address):
        options.append("OVERRIDE_DATA_PATH true")
    if is_read_only:
        options.append("READ_ONLY")
    if address.startswith(SQLITE):
        options += [f"META_BUSY_TIMEOUT {BUSY_MILLISECONDS}"] + ([] if is_read_only else ["META_JOURNAL_MODE 'WAL'"])
    if data_address.startswith("s3://"):
        connection.execute(s3_secret(os.environ))
    statement = f"ATTACH {sql_literal(address)} AS lake ({', '.join(options)})"
    retry_conflicts(lambda: connection.execute(statement))


def is_one_folder(address: str, data_address: str) -> bool:
    """Whether the data lie in a folder beside the catalogue, which is a file."""
    catalogue = Path(address.removeprefix(SQLITE))
    return address.startswith(SQLITE) and Path(data_address).parent == catalogue.parent


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of it or nothing, whatever is raised inside."""
    connection.execute("BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        try:
            connection.execute("ROLLBACK")
        except duckdb.FatalException:
            _keep_for_ever(connection)
        except duckdb.Error:
            pass  # a commit that fails has rolled back already, and a lost catalogue by itself
        raise


def _keep_for_ever(connection: duckdb.DuckDBPyConnection) -> None:
    """Let the connection never be closed: DuckDB ends the process where a transaction is, of a database that it gave up.

    Also at the end of the process, where Python lets go of what it has: so a reference is counted that nobody holds.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def retry_conflicts(work: Callable[[], T], between: Callable[[duckdb.Error], None] = lambda _: None) -> T:
    """``work()``, again where another writer got in first; ``between`` is called with what happened before each further attempt.

    Raises
    ------
    LakeBusy
        It did every time, or catalogue or object store did not answer.
    StoreRefused
        The machine, or the object store, does not let it be read or written.
    """
    last: duckdb.Error | None = None
    for attempt in range(ATTEMPTS):
        try:
            with translate_disk_errors("the lake"):
                if last is not None:
                    between(last)
                return work()
        except duckdb.Error as error:
            last = error
            if not is_passing(error):
                raise
            if attempt == ATTEMPTS - 1:
                raise LakeBusy(why_not(error, "; tried again several times")) from error
        time.sleep(random.uniform(0.05, 0.25) * 2**attempt)  # noqa: S311 - spreads retries, guards nothing
    raise AssertionError


def why_not(error: duckdb.Error, tried: str = "") -> str:
    """A sentence in our own words: DuckDB's tells the address that it tried, with the password."""
    if is_disconnect(error):
        return f"the lake cannot be reached{tried}\n\nHint: try again when its catalogue and object store answer."
    return f"the lake is being written by others{tried}\n\nHint: try again."
