"""The lake as it was: read only, at a snapshot that its catalogue still has.

DuckLake keeps every committed state until snapshots are expired and reads one with ``AT (VERSION => number)``
(https://ducklake.select/docs/stable/duckdb/usage/time_travel). Nothing here writes: not a table that is missing, not a column
that came since.

``Lake`` notes with each snapshot the run that wrote it (https://ducklake.select/docs/stable/duckdb/usage/snapshots), and no
snapshot loses its note by merging files or moving small writes. So a run's end is found without a clock.

Known limits: snapshots of before there were notes are matched by time. The catalogue's clock must then not be ahead of the ledger's by
more than lies between a run's last write and its end. Snapshots are taken to expire oldest first, as ``maintain`` has them: where
somebody expires a run's last one by its number and leaves an earlier one of the run, that one is taken for the last.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple

import polars as pl

from schemas.settings import Settings
from schemas.stored import TABLES
from schemas.tables import RUN_COLUMNS
from warehouse.lake.attach import sql
from warehouse.lake.attachment import Attachment, attached
from warehouse.lake.empty_tables import LAKE_TABLE
from warehouse.lake.lake import Lake
from warehouse.lake.sharing import Sharing

MICROSECONDS: Final = 1_000_000


class Snapshot(NamedTuple):
    """A committed state of the lake. ``run_id``: the run that wrote it; null = somebody else, or before runs were noted."""

    number: int
    made_at: datetime
    run_id: str | None = None


class LakeAt(Lake):
    """What ``Lake.read`` gives, of one snapshot. A table that was not there is empty, a column that was not there is null."""

    def __init__(self, attachment: Attachment, sharing: Sharing, snapshot: Snapshot) -> None:
        super().__init__(attachment, sharing)
        self.snapshot: Final = snapshot
        found = self._cursor.execute(sql("columns_at"), {"number": snapshot.number}).fetchall()
        self._had = {table: {name for there, name in found if there == table} for table in {row[0] for row in found}}

    def columns_of(self, table: str) -> tuple[str, ...]:
        """Columns that the table had, of those that it has today, without the run columns."""
        return tuple(name for name in TABLES[table] if name not in RUN_COLUMNS and name in self._had.get(table, ()))

    def _rows_once(
        self, statement: str, table: str, values: Mapping[str, str | int | None], columns: tuple[str, ...]
    ) -> pl.DataFrame:
        wanted = columns or tuple(name for name in TABLES[table] if name not in RUN_COLUMNS)
        there = tuple(name for name in wanted if name in self.columns_of(table))
        if not there:
            return pl.DataFrame(schema={name: TABLES[table][name] for name in wanted})
        rows = super()._rows_once(statement, table, values, there)
        return rows.with_columns(
            pl.lit(None, TABLES[table][name]).alias(name) for name in wanted if name not in there
        ).select(wanted)

    def _fetch(self, statement: str, values: Mapping[str, str | int | list[int] | None]) -> pl.DataFrame:
        text = self._filled.stood_in(statement, self._cursor)
        return super()._fetch(LAKE_TABLE.sub(rf"lake.\1 AT (VERSION => {self.snapshot.number})", text), values)


class Past:
    """The snapshots of a lake."""

    def __init__(self, attachment: Attachment, sharing: Sharing) -> None:
        self._attachment, self._sharing = attachment, sharing
        cursor, _ = attachment.cursor()
        rows = cursor.execute(sql("snapshots")).fetchall()
        self.snapshots: Final = [
            Snapshot(number, datetime.fromtimestamp(made_us / MICROSECONDS, UTC), run_id)
            for number, made_us, run_id in rows
        ]

    @property
    def newest(self) -> LakeAt:
        """The lake as it stands."""
        return self.at(self.snapshots[-1])

    def at(self, snapshot: Snapshot) -> LakeAt:
        """The lake at one of the snapshots."""
        return LakeAt(self._attachment, self._sharing, snapshot)


@contextmanager
def past_of(settings: Settings) -> Iterator[Past]:
    """The past of the settings' lake, by a connection of its own."""
    with closing(
        Attachment(partial(attached, settings.lake_address, settings.lake_data_address, is_read_only=True))
    ) as attachment:
        yield Past(attachment, Sharing.of(settings.lake_address))


def end_of(snapshots: Sequence[Snapshot], run_id: str, moment: datetime) -> Snapshot:
    """The state that a run left: its last write. Where none of its writes is left or was noted, the state at its end by the clock."""
    own = [one for one in snapshots if one.run_id == run_id]
    return own[-1] if own else last_before(snapshots, moment)


def last_before(snapshots: Sequence[Snapshot], moment: datetime) -> Snapshot:
    """The state at a moment: the last snapshot made until then.

    Where that one was expired, the next that is left: nothing that was there at the moment is older.
    """
    until = [one for one in snapshots if one.made_at <= moment]
    later = [one for one in snapshots if one.made_at > moment]
    if until and (not later or later[0].number == until[-1].number + 1):
        return until[-1]
    return later[0] if later else until[-1]
