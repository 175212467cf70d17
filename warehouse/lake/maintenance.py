"""Upkeep of the lake beside those who write and read it: old rows, old snapshots, small files, files that nobody names.

DuckLake's own functions do the work (DuckLake 1.0, "Maintenance", https://ducklake.select/docs/stable/duckdb/maintenance):

1. Rows of runs are deleted table by table. What they fill on disk comes back when the snapshots that show them expire.
2. A snapshot expires by its age alone; the newest never does. The lake then no longer shows how it was at that moment.
3. Files below ``SMALL_BYTES`` become one, in the order in which they were written: rows of a run and a shard stay together, so
   that the statistics of row groups still say where they are. Each file made is a transaction of its own.
4. A file that was replaced stays until nobody can be reading it any more.
5. A file that the catalogue does not name is a killed process's, or is being written right now. It goes when it is older than
   anything that can be under way. DuckLake once took living files for such (duckdb/ducklake#815): nothing is removed when one
   of their names is in the catalogue.

A transaction that meets another writer's is tried again; then the table is left for the next time. So it is where no moment
without readers is found on a catalogue in SQLite (``warehouse.lake.sharing``).

Known limits: a file that lost a part of its rows is not written anew, because the old one would have to stay beside it as long
as a snapshot shows it.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb

from schemas.errors import LakeBusy, Terminal
from schemas.settings import Settings
from warehouse.lake.attach import SQLITE, attach_lake, retry_conflicts, sql
from warehouse.lake.connection import connect, sql_literal
from warehouse.lake.sharing import QUIET_SECONDS, Sharing

SMALL_BYTES: Final = 32 * 1024 * 1024
"""A file from this size on is left as it is; many smaller ones become one."""
MEMORY: Final = "1GB"
"""Most memory that a merge may take; the rest goes to a folder in the home."""
THREADS: Final = 2
LESS_SECONDS: Final = 10.0
"""How long to wait for a moment without readers where one was waited for in vain before."""


@dataclass(frozen=True, slots=True)
class Merged:
    """Files of a table before and after."""

    table: str
    files_before: int
    files_after: int


@contextmanager
def open_upkeep(settings: Settings) -> Iterator["Upkeep"]:
    """The lake, which must be there, on a connection of its own with bounded memory."""
    is_embedded = settings.lake_address.startswith(SQLITE)
    wheels = ("ducklake", "sqlite") if is_embedded else ("ducklake", "postgres", "httpfs")
    with TemporaryDirectory(prefix=".maintain-", dir=settings.home) as folder, connect(*wheels) as connection:
        connection.execute(f"SET memory_limit = {sql_literal(MEMORY)}")
        connection.execute(f"SET threads = {THREADS}")
        connection.execute(f"SET temp_directory = {sql_literal(folder)}")
        attach_lake(connection, settings.lake_address, settings.lake_data_address)
        yield Upkeep(connection, Sharing.of(settings.lake_address))


class Upkeep:
    """What can be done to an attached lake; one thread at a time. Each method is retried and may raise ``LakeBusy``."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, sharing: Sharing) -> None:
        self._connection, self._sharing = connection, sharing
        self._patience = QUIET_SECONDS

    def _rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """What a statement gives that takes nothing out of the catalogue."""

        def shared() -> list[tuple[Any, ...]]:
            with self._sharing.shared():
                return self._connection.execute(statement, values).fetchall()

        return retry_conflicts(shared)

    def _taken(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """What a statement gives that may take rows out of the catalogue: while nobody else is at it."""

        def alone() -> list[tuple[Any, ...]]:
            with self._sharing.alone(self._patience):
                return self._connection.execute(statement, values).fetchall()

        try:
            return retry_conflicts(alone)
        except LakeBusy:
            self._patience = LESS_SECONDS
            raise

    def tables(self) -> list[str]:
        """Names of the lake's tables."""
        rows = self._rows("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake' ORDER BY table_name")
        return [name for (name,) in rows]

    def run_counts(self) -> dict[str, tuple[int, int]]:
        """Accounts and orders of each run."""
        return {run: (accounts, orders) for run, accounts, orders in self._rows(sql("run_counts"))}

    def delete_runs(self, table: str, runs: Sequence[str], *, is_dry_run: bool) -> int:
        """Delete the rows of some runs from a table; how many there are."""
        count = int(self._rows(sql("runs_count").format(table=table), runs=list(runs))[0][0])
        if count and not is_dry_run:
            self._taken(sql("delete_runs").format(table=table), runs=list(runs))
        return count

    def old_studies(self, before: date) -> list[str]:
        """Studies of the lab that were asked for last before a day; of one whose day is unknown nothing is said."""
        if not self._rows(sql("studies_have_dates")):
            return []
        return [study for (study,) in self._rows(sql("old_studies"), before=before)]

    def expire_snapshots(self, before: datetime, *, is_dry_run: bool) -> int:
        """Expire snapshots made before a moment; how many they are."""
        return len(self._call("ducklake_expire_snapshots", before, is_dry_run=is_dry_run))

    def _call(self, function: str, before: datetime, *, is_dry_run: bool) -> list[tuple[Any, ...]]:
        moment = f"TIMESTAMPTZ {sql_literal(before.isoformat())}"
        rows = self._rows if is_dry_run else self._taken
        return rows(f"CALL {function}('lake', dry_run => {is_dry_run}, older_than => {moment})")

    def flush_inlined(self, table: str) -> int:
        """Write rows that are few, and so stand in the catalogue, to a file; how many."""
        rows = self._taken(f"CALL ducklake_flush_inlined_data('lake', table_name => {sql_literal(table)})")
        return sum(int(row[-1]) for row in rows)

    def small_files(self) -> dict[str, int]:
        """How many files could become fewer, by table."""
        return dict(self._rows(sql("small_files"), bytes=SMALL_BYTES))

    def merge_files(self, table: str) -> Merged:
        """Make one file of many small ones, and again until nothing is left to merge."""
        before = after = 0
        while (done := self._merge_once(table))[0] > done[1]:
            before, after = before + done[0], after + done[1]
        return Merged(table, before, after)

    def _merge_once(self, table: str) -> tuple[int, int]:
        rows = self._taken(
            f"CALL ducklake_merge_adjacent_files('lake', {sql_literal(table)}, max_compacted_files => 1, "
            f"max_file_size => {SMALL_BYTES})"
        )
        return sum(row[-2] for row in rows), sum(row[-1] for row in rows)

    def remove_replaced(self, before: datetime, *, is_dry_run: bool) -> int:
        """Remove files that no snapshot shows any more and that were replaced before a moment; how many."""
        return len(self._call("ducklake_cleanup_old_files", before, is_dry_run=is_dry_run))

    def remove_orphans(self, before: datetime, *, is_dry_run: bool) -> int:
        """Remove files that the catalogue does not name and that were last written before a moment; how many.

        Raises
        ------
        Terminal
            The catalogue does name one of them; nothing was removed.
        """
        found = _names(row[0] for row in self._call("ducklake_delete_orphaned_files", before, is_dry_run=True))
        if named := found & _names(row[0] for row in self._rows(sql("known_files"))):
            raise Terminal(
                f"{len(named)} files of the lake count as nobody's though its catalogue names them, {min(named)} first; "
                "needed none. No file was removed.\n\n"
                "Hint: is TRIMTAB_LAKE_DATA_URL the place that the lake was made with, spelled the same way?"
            )
        if found and not is_dry_run:
            self._call("ducklake_delete_orphaned_files", before, is_dry_run=False)
        return len(found)


def _names(paths: Iterable[str]) -> set[str]:
    return {PurePosixPath(path).name for path in paths}
