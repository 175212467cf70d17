"""Lay a night's files end to end, table by table, as parsed rows with a number of their own.

1. The files of a table follow one another in the order in which they were taken: ``row_number`` of a landed row is its place
   in the table, and ``InputRow.first_row`` of its file says which row of which file that is.
2. A file that an earlier run of the same version landed whole, byte for byte the same, is not read again: its rows are
   copied within the lake.
3. Accounts of a custodian whose file has not come are known from before; what was known of them stands, and they are not
   traded (``tasks.pull.missing_files``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import polars as pl

from schemas.landing_columns import LANDING, dtypes
from schemas.stored import LANDED_COLUMNS
from tasks.core.gate import rounded_cells
from tasks.pull.inputs import Input, TakenFiles
from tasks.pull.reading import parse_raw, raw_tables
from tasks.runtime import Stores, give_notice, utc_now
from warehouse.lake import Copy, Lake
from warehouse.ledger import InputRow, InputState, LandedBefore, NewRun

WHOLE_FIRST = ("accounts", "households")
"""Tables that are read before any other: they say which account belongs to which shard."""


def landing_of(taken: TakenFiles, run: NewRun, at: Stores) -> "Landing":
    """The files on their way into the lake; rows that earlier runs landed of them are copied where the lake still has them."""
    found = at.ledger.inputs.landed_before([(each.file.sha256, each.source.day) for each in taken.inputs], run)
    earlier = {
        (sha256, reader, table): known
        for (sha256, reader, table), known in found.items()
        if at.lake.has_rows(
            table,
            known.run_id,
            first_row=known.first_row,
            last_row=known.last_row,
            count=known.row_count,
        )
    }
    return Landing(taken, utc_now(), earlier)


@dataclass(slots=True)
class _FileRows:
    """Where the rows of one file stand in their table."""

    first_row: int
    row_count: int = 0
    last_row: int = field(init=False)

    def __post_init__(self) -> None:
        self.last_row = self.first_row - 1

    def number(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows with their numbers in the table."""
        placed = frame.with_columns(pl.col("row_number") + (self.first_row - 1))
        self.row_count += placed.height
        newest = placed["row_number"].max()
        self.last_row = max(self.last_row, newest if isinstance(newest, int) else 0)
        return placed


class Landing:
    """The files of one run on their way into the lake."""

    def __init__(self, taken: TakenFiles, now: datetime, before: Mapping[tuple[str, str, str], LandedBefore]) -> None:
        """``before``: what earlier runs landed whole, by content, reader and table."""
        self.taken, self._now, self._before = taken, now, before
        self._next = dict.fromkeys(LANDING, 1)
        self._rows: list[InputRow] = []
        self._copies: list[Copy] = []

    def read_whole(self, table: str, lake: Lake) -> pl.DataFrame:
        """Every row of a table, parsed; none of one that is not delivered."""
        parts = [pl.DataFrame(schema={**dtypes(table), **LANDED_COLUMNS})]
        for each in self.taken.of(table):
            known = self._earlier(each, table)
            if known is None:
                parts += [frame for _, frame in self._read(each, (table,))]
            else:
                found = lake.read(f"landed_{table}", known.run_id).filter(
                    pl.col("row_number").is_between(known.first_row, known.last_row)
                )
                shift = self._number_copy(each, table, known)
                parts.append(found.sort("row_number").with_columns(pl.col("row_number") + shift))
        return pl.concat(parts)

    def batches(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """Every other table's rows that have to be read, batch by batch. What can be copied is in ``copies`` afterwards."""
        for each in self.taken.inputs:
            tables = [table for table in each.tables if table not in WHOLE_FIRST]
            for table in list(tables):
                known = self._earlier(each, table)
                if known is not None:
                    shift = self._number_copy(each, table, known)
                    self._copies.append(Copy(table, known.run_id, known.first_row, known.last_row, shift))
                    tables.remove(table)
            if tables:
                yield from self._read(each, tables)

    def carry_forward(self, table: str, rows: pl.DataFrame, night: date) -> pl.DataFrame:
        """Rows of an earlier run of ``night`` that stand in for those of a file that has not come."""
        own = self._next_rows(table)
        placed = own.number(rows.with_columns(row_number=pl.int_range(1, pl.len() + 1, dtype=pl.Int64)))
        self._next[table] = own.last_row + 1
        name = f"{table} of the night of {night}"
        self._record(InputState.COPIED, table, own, name=name)
        return placed

    def read_typed(self, table: str, lake: Lake) -> Iterator[pl.DataFrame]:
        """A table once more, typed, without notices; one frame without rows where it is not delivered."""
        yield pl.DataFrame(schema=dtypes(table))
        names = list(dtypes(table))
        for each in self.taken.of(table):
            known = self._earlier(each, table)
            if known is not None:
                found = lake.read(f"landed_{table}", known.run_id, columns=(*names, "row_number"))
                inside = pl.col("row_number").is_between(known.first_row, known.last_row)
                yield found.filter(inside).select(names)
                continue
            for raw in raw_tables(each, (table,)):
                yield parse_raw(raw).select(names)

    @property
    def copies(self) -> Sequence[Copy]:
        """Rows to be copied within the lake."""
        return self._copies

    @property
    def inputs(self) -> list[InputRow]:
        """What was taken, and what is waited for."""
        waited = [
            InputRow(
                number=0,
                source=each.source.name,
                name=each.source.files or each.source.url,
                table_name=table,
                first_row=0,
                row_count=0,
                last_row=0,
                size_bytes=0,
                sha256="",
                state=InputState.REFUSED if each.is_refused else InputState.AWAITED,
                taken_at=self._now,
                note=each.note,
            )
            for each in self.taken.absent
            for table in each.source.tables or ("",)
        ]
        return [replace(row, number=number) for number, row in enumerate([*self._rows, *waited])]

    def _earlier(self, each: Input, table: str) -> LandedBefore | None:
        return self._before.get((each.file.sha256, each.reader, table))

    def _next_rows(self, table: str) -> _FileRows:
        return _FileRows(self._next[table])

    def _read(self, each: Input, tables: Sequence[str]) -> Iterator[tuple[str, pl.DataFrame]]:
        numbering = {table: self._next_rows(table) for table in tables}
        rounded = dict.fromkeys(tables, 0)
        if each.format is not None and each.format.mapping.notice:
            give_notice(f"{each.file.name}: {each.format.mapping.notice}")
        for raw in raw_tables(each, tables):
            for notice in raw.notices:
                give_notice(notice)
            rows = parse_raw(raw)
            rounded[raw.table] += rounded_cells(raw.table, raw.frame, rows)
            yield raw.table, numbering[raw.table].number(rows)
        for table, own in numbering.items():
            if rounded[table]:
                give_notice(
                    f"{each.file.name}: {rounded[table]:,} numbers of {table} have more than six digits after the point; rounded"
                )
            self._next[table] = own.last_row + 1
            self._record(InputState.READ, table, own, each)

    def _number_copy(self, each: Input, table: str, known: LandedBefore) -> int:
        """Make room for rows that are copied; how much is added to the number of each."""
        own = self._next_rows(table)
        own.row_count = known.row_count
        own.last_row = own.first_row + known.last_row - known.first_row
        self._next[table] = own.last_row + 1
        self._record(InputState.COPIED, table, own, each)
        return own.first_row - known.first_row

    def _record(
        self, state: InputState, table: str, own: _FileRows, each: Input | None = None, *, name: str = ""
    ) -> None:
        row = InputRow(
            number=0,
            source="" if each is None else each.source.name,
            name=name if each is None else each.file.name,
            table_name=table,
            first_row=own.first_row,
            row_count=own.row_count,
            last_row=own.last_row,
            size_bytes=0,
            sha256="",
            state=state,
            taken_at=self._now,
        )
        if each is not None:
            file = each.file
            row = replace(
                row,
                size_bytes=file.size_bytes,
                sha256=file.sha256,
                modified_at=file.modified_at,
                sequence=each.sequence,
                reader=each.reader,
            )
        self._rows.append(row)
