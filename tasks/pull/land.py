"""Lay a night's files end to end, table by table, as parsed rows with a number of their own.

1. The files of a table follow one another in the order in which they were taken: ``row_number`` of a landed row is its place
   in the table, and ``InputRow.first_row`` of its file says which row of which file that is.
2. A file that an earlier run of the same version landed whole, byte for byte the same, is not read again: its rows are
   copied within the lake.
3. Accounts of a custodian whose file has not come are known from before; what was known of them stands, and they are not
   traded (``tasks.pull.carry_forward``).
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

import polars as pl

from schemas.errors import InputRefused, SourceUnreachable
from schemas.landing import CONTRACTS, SHARDED_TABLES, dtypes
from schemas.run import GLOBAL_SHARD
from schemas.stored import LANDED_COLUMNS
from tasks.core.gate import parse
from tasks.formats import RawTable, read_batches, read_format
from tasks.pull.inputs import Input, TakenFiles
from tasks.runtime import give_notice
from warehouse.lake import Copy, Lake
from warehouse.ledger import InputRow, InputState, LandedBefore

WHOLE_FIRST = ("accounts", "households")
"""Tables that are read before any other: they say which account belongs to which shard."""


def raw_tables(each: Input, tables: Collection[str]) -> Iterator[RawTable]:
    """The rows of some of the file's tables as read, batch by batch.

    Raises
    ------
    InputRefused
        The file as a whole cannot be used.
    SourceUnreachable
        It is no longer the file that was taken.
    """
    if each.format is not None:
        yield from read_format(each.format, each.file, each.source.day, tables=tables)
    else:
        try:
            for table in tables:
                yield from read_batches(table, each.file.path)
        except InputRefused as error:  # a database's table is read from a file of ours, which nobody knows by its name
            raise InputRefused(str(error).replace(each.file.path.name, each.file.name)) from error
    _need_unchanged(each)


def _need_unchanged(each: Input) -> None:
    """A file of a folder is read in place, after it was hashed: the run is named after what it was then."""
    if each.source.scheme != "file":
        return
    now = each.file.path.stat()
    if (now.st_size, datetime.fromtimestamp(now.st_mtime, UTC)) != (each.file.size_bytes, each.file.modified_at):
        raise SourceUnreachable(
            f"{each.file.name} of {each.source.name} was replaced while it was read; needed a file that no longer changes"
            "\n\nHint: deliver under a name that ends in .part, then rename."
        )


def without_broken(taken: TakenFiles) -> TakenFiles:
    """The same without sources that serve custodians and cannot be read to their end: their accounts wait."""
    for each in taken.inputs:
        if each.source.custodians and each in taken.inputs:
            try:
                for _ in raw_tables(each, each.tables):
                    pass
            except InputRefused as error:
                taken = taken.without(each.refused(str(error).partition("\n")[0]))
    return taken


@dataclass(slots=True)
class _Spot:
    """Where the rows of one file stand in their table."""

    first_row: int
    row_count: int = 0
    last_row: int = field(init=False)

    def __post_init__(self) -> None:
        self.last_row = self.first_row - 1

    def put(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows with their numbers in the table."""
        placed = frame.with_columns(pl.col("row_number") + (self.first_row - 1))
        self.row_count += placed.height
        newest = placed["row_number"].max()
        self.last_row = max(self.last_row, newest if isinstance(newest, int) else 0)
        return placed


class Landing:
    """The files of one run on their way into the lake."""

    def __init__(self, taken: TakenFiles, now: datetime, before: dict[tuple[str, str, str], LandedBefore]) -> None:
        """``before``: what earlier runs landed whole, by content, reader and table."""
        self.taken, self._now, self._before = taken, now, before
        self._next = dict.fromkeys(CONTRACTS, 1)
        self._rows: list[InputRow] = []
        self._copies: list[Copy] = []

    def whole(self, table: str, lake: Lake) -> pl.DataFrame:
        """Every row of a table, parsed; none of one that is not delivered."""
        parts = [pl.DataFrame(schema={**dtypes(table), **LANDED_COLUMNS})]
        for each in self.taken.of(table):
            known = self._known(each, table)
            if known is None:
                parts += [frame for _, frame in self._read(each, (table,))]
            else:
                found = lake.read(f"landed_{table}", known.run_id).filter(
                    pl.col("row_number").is_between(known.first_row, known.last_row)
                )
                shift = self._copied(each, table, known)
                parts.append(found.sort("row_number").with_columns(pl.col("row_number") + shift))
        return pl.concat(parts)

    def rest(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """Every other table's rows that have to be read, batch by batch. What can be copied is in ``copies`` afterwards."""
        for each in self.taken.inputs:
            tables = [table for table in each.tables if table not in WHOLE_FIRST]
            for table in list(tables):
                known = self._known(each, table)
                if known is not None:
                    shift = self._copied(each, table, known)
                    self._copies.append(Copy(table, known.run_id, known.first_row, known.last_row, shift))
                    tables.remove(table)
            if tables:
                yield from self._read(each, tables)

    def remembered(self, table: str, rows: pl.DataFrame, night: date) -> pl.DataFrame:
        """Rows of an earlier run of ``night`` that stand in for those of a file that has not come."""
        spot = self._spot(table)
        placed = spot.put(rows.with_columns(row_number=pl.int_range(1, pl.len() + 1, dtype=pl.Int64)))
        self._next[table] = spot.last_row + 1
        name = f"{table} of the night of {night}"
        self._note(InputState.COPIED, table, spot, name=name)
        return placed

    def typed(self, table: str, lake: Lake) -> Iterator[pl.DataFrame]:
        """A table once more, typed, without notices; one frame without rows where it is not delivered."""
        yield pl.DataFrame(schema=dtypes(table))
        names = list(dtypes(table))
        for each in self.taken.of(table):
            known = self._known(each, table)
            if known is not None:
                found = lake.read(f"landed_{table}", known.run_id, columns=(*names, "row_number"))
                inside = pl.col("row_number").is_between(known.first_row, known.last_row)
                yield found.filter(inside).select(names)
                continue
            for raw in raw_tables(each, (table,)):
                yield _parsed(raw).select(names)

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

    def _known(self, each: Input, table: str) -> LandedBefore | None:
        return self._before.get((each.file.sha256, each.reader, table))

    def _spot(self, table: str) -> _Spot:
        return _Spot(self._next[table])

    def _read(self, each: Input, tables: Sequence[str]) -> Iterator[tuple[str, pl.DataFrame]]:
        spots = {table: self._spot(table) for table in tables}
        if each.format is not None and each.format.mapping.notice:
            give_notice(f"{each.file.name}: {each.format.mapping.notice}")
        for raw in raw_tables(each, tables):
            if raw.first_row == 1:
                for notice in raw.notices:
                    give_notice(notice)
            yield raw.table, spots[raw.table].put(_parsed(raw))
        for table, spot in spots.items():
            self._next[table] = spot.last_row + 1
            self._note(InputState.READ, table, spot, each)

    def _copied(self, each: Input, table: str, known: LandedBefore) -> int:
        """Make room for rows that are copied; how much is added to the number of each."""
        spot = self._spot(table)
        spot.row_count = known.row_count
        spot.last_row = spot.first_row + known.last_row - known.first_row
        self._next[table] = spot.last_row + 1
        self._note(InputState.COPIED, table, spot, each)
        return spot.first_row - known.first_row

    def _note(self, state: InputState, table: str, spot: _Spot, each: Input | None = None, *, name: str = "") -> None:
        row = InputRow(
            number=0,
            source="" if each is None else each.source.name,
            name=name if each is None else each.file.name,
            table_name=table,
            first_row=spot.first_row,
            row_count=spot.row_count,
            last_row=spot.last_row,
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


def with_the_others(shards: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """``account_id, shard`` of the accounts of a run, and of all others of the night with a shard of null."""
    named = accounts.select("account_id").drop_nulls().unique()
    others = named.join(shards, on="account_id", how="anti")
    return pl.concat([shards, others.with_columns(shard=pl.lit(None, pl.Int32))])


def with_shard(table: str, frame: pl.DataFrame, shards: pl.DataFrame, *, is_narrow: bool) -> pl.DataFrame:
    """The rows with their shard; rows of accounts whose shard is null are left out.

    Rows of accounts nobody delivered go to shard 0, where they are quarantined; in a run over accounts that somebody named
    (``is_narrow``) they are left out: they are the business of the night's other runs.
    """
    if table not in SHARDED_TABLES:
        return frame.with_columns(shard=pl.lit(GLOBAL_SHARD, pl.Int32))
    known = shards.with_columns(is_known=pl.lit(value=True))
    placed = frame.join(known, on="account_id", how="left", maintain_order="left")
    is_global = pl.col("account_id").is_null() & (table == "restrictions")
    is_stray = pl.col("is_known").is_null()
    wanted = is_global | pl.col("shard").is_not_null() | (is_stray & (not is_narrow))
    elsewhere = pl.when(is_global).then(GLOBAL_SHARD).otherwise(0)
    return placed.filter(wanted).drop("is_known").with_columns(shard=pl.coalesce("shard", elsewhere).cast(pl.Int32))


def _parsed(raw: RawTable) -> pl.DataFrame:
    return parse(
        raw.table, raw.frame, is_text=raw.is_text, first_row=raw.first_row, numbers=raw.numbers, as_read=raw.as_read
    )
