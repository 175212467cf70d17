"""Copies of the ledger and of the lake's catalogue as of one moment, taken while both are in use; and back again.

1. SQLite is copied by its own backup function, with what is still in the write-ahead log.
2. A ledger in PostgreSQL becomes a ledger in SQLite: the same tables, read in one repeatable-read transaction. It can so be
   opened and its audit chain checked wherever the backup is, and be loaded into either database.
3. A catalogue in PostgreSQL becomes a folder: ``tables.json`` with its columns and keys, and one file of each table in
   PostgreSQL's COPY text format, read in one repeatable-read transaction. No client program is needed.

Sources: https://www.sqlite.org/backup.html; PostgreSQL, "COPY" and "Transaction Isolation".
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from schemas.errors import Retryable, Terminal, WrongUsage
from warehouse.faults import translate_disk_errors
from warehouse.lake import SQLITE, connect, retry_conflicts, s3_secret, sql
from warehouse.ledger import HEAD, Store, create_engine, metadata, stored_revision, translate_db_errors, upgrade

POSTGRES: Final = "ducklake:postgres:"
STRUCTURE: Final = "tables.json"
CATALOGUE: Final = "catalog.sqlite"
"""Name of a SQLite catalogue in a backup; one of PostgreSQL is a folder without it."""
ROWS: Final = 5_000
"""Rows of the ledger in memory at a time."""


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database as of one moment; only the owner may read the copy. An existing target is refused."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    address = f"{source.resolve().as_uri()}?mode=ro"
    with (
        translate_disk_errors(source.name),
        closing(sqlite3.connect(address, uri=True)) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)
        new.execute("PRAGMA journal_mode = DELETE")  # one file; whoever opens it to write sets it again


# --- the ledger


def copy_ledger(address: str, target: Path) -> None:
    """The ledger as of one moment, as a SQLite file, whichever database it is in."""
    url = sa.make_url(address)
    if url.get_backend_name() == "sqlite":
        copy_sqlite(Path(str(url.database)), target)
        return
    engine = create_engine(address)
    try:
        with (
            translate_db_errors(engine),
            engine.connect().execution_options(isolation_level="REPEATABLE READ") as there,
            there.begin(),
        ):
            _fill(f"sqlite:///{target}", there)
    finally:
        engine.dispose()


def load_ledger(source: Path, address: str) -> None:
    """Make a copy the ledger of a database in which there is none.

    Raises
    ------
    WrongUsage
        There is one.
    """
    url = sa.make_url(address)
    if url.get_backend_name() == "sqlite":
        _place(source, Path(str(url.database)))
        return
    engine = create_engine(f"sqlite:///{source}")
    try:
        with engine.connect() as there, there.begin():
            _fill(address, there)
    finally:
        engine.dispose()


def _place(source: Path, target: Path) -> None:
    """The ledger's file appears whole under its name."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.restore")
    partial.unlink(missing_ok=True)
    copy_sqlite(source, partial)
    try:
        os.link(partial, target)
    except FileExistsError:
        raise WrongUsage(f"{target} is there already; needed a home without a ledger") from None
    finally:
        partial.unlink()


def has_ledger(address: str) -> bool:
    """Whether there is a ledger at an address; looking makes none."""
    url = sa.make_url(address)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        return False
    engine = create_engine(address)
    try:
        with translate_db_errors(engine), engine.connect() as connection:
            return stored_revision(connection) is not None
    finally:
        engine.dispose()


def _fill(address: str, there: Connection) -> None:
    """Make the tables at an address and fill them, in one transaction; foreign keys hold at its end."""
    if (found := stored_revision(there)) != HEAD:
        raise WrongUsage(
            f"the ledger is at version {found}, needed {HEAD}\n\nHint: `trimtab status` brings it up to date."
        )
    store = Store(create_engine(address))
    try:
        with store.upgrading() as here:
            if stored_revision(here) is not None:
                raise WrongUsage("there is a ledger already; needed an empty database")
            upgrade(here)
            with _rules_off(here):
                for table in metadata.sorted_tables:
                    _copy_rows(table, there, here)
    finally:
        store.close()


def _copy_rows(table: sa.Table, there: Connection, here: Connection) -> None:
    here.execute(sa.delete(table))  # what a migration put there
    rows = there.execution_options(yield_per=ROWS).execute(sa.select(table)).mappings()
    for part in rows.partitions():
        here.execute(sa.insert(table), [dict(row) for row in part])
    if here.dialect.name == "postgresql":
        _go_on_counting(table, here)


def _go_on_counting(table: sa.Table, here: Connection) -> None:
    """Numbers that PostgreSQL gives go on behind those that are there."""
    column = table.autoincrement_column
    if column is not None:
        newest = here.scalar(sa.select(sa.func.max(column)))
        name = sa.func.pg_get_serial_sequence(table.name, column.name)
        if newest is not None:
            here.execute(sa.select(sa.func.setval(name, newest)))


@contextmanager
def _rules_off(here: Connection) -> Iterator[None]:
    """The rows were checked when they were first written, in the order in which things happened; keys are looked at, at the end."""
    if here.dialect.name == "sqlite":
        found = here.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all()
        for name, _ in found:
            here.exec_driver_sql(f'DROP TRIGGER "{name}"')
        yield
        for _, text in found:
            here.exec_driver_sql(text)
        return
    keys = here.exec_driver_sql(sql("pg_foreign_keys")).all()
    _alter(here, (f'"{table}" DROP CONSTRAINT "{name}"' for table, name, _ in keys))
    _alter(here, (f'"{table.name}" DISABLE TRIGGER USER' for table in metadata.sorted_tables))
    yield
    _alter(here, (f'"{table.name}" ENABLE TRIGGER USER' for table in metadata.sorted_tables))
    _alter(here, (f'"{table}" ADD CONSTRAINT "{name}" {text}' for table, name, text in keys))


def _alter(here: Connection, changes: Iterable[str]) -> None:
    for change in changes:
        here.exec_driver_sql(f"ALTER TABLE {change}")


# --- the lake's catalogue


def copy_catalogue(address: str, folder: Path) -> dict[str, int]:
    """The catalogue as of one moment, into a folder; the size of each file that it names, by its path in the lake's data.

    Raises
    ------
    Terminal
        The catalogue names a file elsewhere.
    """
    if address.startswith(SQLITE):
        copy_sqlite(Path(address.removeprefix(SQLITE)), folder / CATALOGUE)
        with closing(sqlite3.connect(folder / CATALOGUE)) as copy:
            return _files(copy.execute(sql("lake_files")).fetchall())
    with _postgres(address) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        _dump(connection, folder)
        return _files(connection.execute(sql("lake_files").encode()).fetchall())


def _files(rows: list[Any]) -> dict[str, int]:
    for path, _, is_inside in rows:
        if not is_inside:
            raise Terminal(
                f"the lake's catalogue names {path}, which is not in the lake's folder; needed all files there"
            )
    return {path: size for path, size, _ in rows}


@contextmanager
def _postgres(address: str) -> Iterator[psycopg.Connection[Any]]:
    """One transaction in the catalogue's database."""
    try:
        with psycopg.connect(address.removeprefix(POSTGRES)) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise Retryable(f"the lake's catalogue cannot be reached: {str(error).splitlines()[0]}") from error


def _dump(connection: psycopg.Connection[Any], folder: Path) -> None:
    columns = connection.execute(sql("pg_columns").encode()).fetchall()
    keys = connection.execute(sql("pg_constraints").encode()).fetchall()
    tables = {
        name: {
            "columns": [list(row[1:]) for row in rows],
            "keys": [definition for table, definition in keys if table == name],
        }
        for name, rows in groupby(columns, key=lambda row: row[0])
    }
    for name in tables:
        text = f'COPY "{name}" TO STDOUT'.encode()
        with (folder / f"{name}.copy").open("xb") as file, connection.cursor().copy(text) as rows:
            for block in rows:
                file.write(block)
    (folder / STRUCTURE).write_text(json.dumps(tables, indent=1), encoding="utf-8")


def objects_at(place: str) -> set[str]:
    """What lies in an object store at the address of a lake's data, by its path there."""
    prefix = place.rstrip("/") + "/"
    with connect("httpfs") as connection:
        if prefix.startswith("s3://"):
            connection.execute(s3_secret(os.environ))
        rows = retry_conflicts(
            lambda: connection.execute("SELECT file FROM glob($pattern)", {"pattern": f"{prefix}**"}).fetchall()
        )
    return {path.removeprefix(prefix) for (path,) in rows}


def has_catalogue(address: str) -> bool:
    """Whether there is a lake at an address."""
    if address.startswith(SQLITE):
        return Path(address.removeprefix(SQLITE)).exists()
    with _postgres(address) as connection:
        found = connection.execute("SELECT to_regclass('ducklake_metadata')").fetchone()
        return found is not None and found[0] is not None


def load_catalogue(folder: Path, address: str, data_address: str) -> None:
    """Make a copy the catalogue at an address at which there is none, of data at another place than then, where it is another.

    Raises
    ------
    WrongUsage
        The copy is of the other kind of database.
    """
    place = data_address.rstrip("/") + "/"
    is_sqlite = address.startswith(SQLITE)
    if is_sqlite != (folder / CATALOGUE).is_file():
        kind = "PostgreSQL" if is_sqlite else "SQLite"
        raise WrongUsage(f"the backup's catalogue is of {kind}\n\nHint: set TRIMTAB_LAKE_URL to one of that kind.")
    if is_sqlite:
        target = Path(address.removeprefix(SQLITE))
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy_sqlite(folder / CATALOGUE, target)
        with closing(sqlite3.connect(target)) as copy, copy:
            copy.execute("UPDATE ducklake_metadata SET value = ? WHERE key = 'data_path'", (place,))
        return
    with _postgres(address) as connection:
        for name, table in json.loads((folder / STRUCTURE).read_text(encoding="utf-8")).items():
            _load(connection, folder, name, table)
        connection.execute("UPDATE ducklake_metadata SET value = %s WHERE key = 'data_path'", (place,))


def _load(connection: psycopg.Connection[Any], folder: Path, name: str, table: dict[str, Any]) -> None:
    parts = [f'"{column}" {kind}{" NOT NULL" if is_needed else ""}' for column, kind, is_needed in table["columns"]]
    connection.execute(f'CREATE TABLE "{name}" ({", ".join([*parts, *table["keys"]])})'.encode())
    with (
        (folder / f"{name}.copy").open("rb") as file,
        connection.cursor().copy(f'COPY "{name}" FROM STDIN'.encode()) as rows,
    ):
        while block := file.read(1 << 20):
            rows.write(block)
