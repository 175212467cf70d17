"""Read a custodian's file as landing tables.

1. A reader for the file's kind hands on records as text; what the file says of itself (its day, counts, sums) is checked on the way.
2. Each table takes the records that its conditions name and draws its columns from them.
3. Nothing is lost: a record of the wrong length is a row of every table that draws on its kind, for the gate to quarantine, and
   a cell that cannot be read keeps its text.

Known limits: one record is at most one row of a table; rows are never added up.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import polars as pl

from schemas.errors import InputRefused
from schemas.landing_columns import CURRENCY, dtypes
from tasks.core.gate import CURRENCY_COLUMN, HOLDING, LINE, as_json
from tasks.formats.columns import BESIDE, landing_cells
from tasks.formats.contract_file import RawTable
from tasks.formats.line_file import line_records, refuse_other_day, sequence_in_header
from tasks.formats.lines import BLOCK_BYTES
from tasks.formats.mapping import LINES, AsOf, Condition, InputFormat, InputMapping, Table
from tasks.formats.parts import DayOf, days
from tasks.formats.records import Records
from tasks.formats.tally import trim_cells
from tasks.sources import FetchedFile

_PLAIN: Final[list[tuple[type[pl.DataType], str]]] = [
    (pl.Date, r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}$"),
    (pl.Boolean, r"^(?i:true|false|0|1)$"),
    (pl.Int64, r"^[0-9]{1,18}$"),
    (pl.Float64, r"^[+-]?[0-9]{1,12}(?:\.[0-9]+)?$"),
    (pl.Decimal, r"^[+-]?[0-9]{1,12}(?:\.[0-9]{0,6})?$"),
]
"""Text that certainly is of a type; of other text the gate is asked to show what it was."""


def read_format(
    fmt: InputFormat,
    file: FetchedFile,
    as_of: date,
    *,
    tables: Collection[str],
    day_of: DayOf | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[RawTable]:
    """Rows of the landing tables ``tables``, in batches as the file has them; each table comes at least once, maybe empty.

    ``day_of`` says which day a file is of that says a moment; null: the day that it writes. ``block_bytes`` bounds how much of a file of lines is
    held at a time.

    Raises
    ------
    InputRefused
        The file as a whole cannot be used; also at its very end, when all of its rows were handed on.
    """
    mapping = fmt.mapping
    drawn = [_Drawing(table, mapping, as_of) for table in mapping.tables if table.table in tables]
    seen: dict[str, pl.DataFrame] = {}
    is_dated = mapping.as_of is None
    given: set[str] = set()
    for records in _records(fmt, file, as_of, day_of, block_bytes):
        if mapping.as_of and records.kind == mapping.as_of.record:
            is_dated = _check_day(records, mapping.as_of, file.name, as_of, day_of) or is_dated
        for drawing in drawn:
            if drawing.table.records == records.kind:
                rows = drawing.rows(records, seen, file.name)
                if rows.frame.height:
                    given.add(rows.table)
                    yield rows
    if mapping.as_of and not is_dated:
        raise InputRefused(
            f"{file.name} has no {mapping.as_of.record} with a {mapping.as_of.field}; needed the day it is of"
        )
    for name in dict.fromkeys(drawing.table.table for drawing in drawn):
        if name not in given:
            empty = pl.DataFrame(schema=dict.fromkeys(dtypes(name), pl.String))
            yield RawTable(name, empty, is_text=True)


def sequence_of(fmt: InputFormat, file: FetchedFile) -> int | None:
    """Number of the file in its header; null where the format has none."""
    return sequence_in_header(fmt.mapping, file)


def _records(
    fmt: InputFormat, file: FetchedFile, as_of: date, day_of: DayOf | None, block_bytes: int
) -> Iterator[Records]:
    if fmt.mapping.kind in LINES:
        return line_records(fmt.mapping, file, as_of, day_of=day_of, block_bytes=block_bytes)
    if fmt.mapping.kind == "flex":
        from tasks.formats.flex import flex_records  # noqa: PLC0415 - an XML parser that other formats do not need

        return flex_records(fmt, file.path)
    from tasks.formats.ofx import ofx_records  # noqa: PLC0415 - as above

    return ofx_records(fmt, file.path)


def _check_day(records: Records, rule: AsOf, name: str, as_of: date, day_of: DayOf | None) -> bool:
    """Whether any record told a day; refuses another day than the night's."""
    if rule.field not in records.cells.columns:
        return False
    fields = trim_cells(records.cells.select(rule.field))
    sound = (
        records.cells[LINE].is_null()
        if LINE in records.cells.columns
        else pl.repeat(value=True, n=fields.height, eager=True)
    )
    day = days(fields[rule.field], rule.date, day_of)
    odd = (sound & ~day.eq_missing(pl.Series([as_of]))).arg_true()
    if len(odd):
        place = int(odd[0])
        text = fields[rule.field][place] or ""
        where = f"{name}: {records.kind} {records.numbers[place]}"
        refuse_other_day(where, text, day[place], as_of, rule.date)
    return bool(sound.any())


@dataclass(slots=True)
class _Drawing:
    """One ``[[tables]]`` entry of a mapping."""

    table: Table
    mapping: InputMapping
    as_of: date
    wanted: list[str] = field(init=False)

    def __post_init__(self) -> None:
        used = [name for column in self.table.columns.values() for name in column.field_names]
        self.wanted = list(dict.fromkeys([*used, *(condition.field for condition in self.table.where)]))

    def rows(self, records: Records, seen: dict[str, pl.DataFrame], name: str) -> RawTable:
        """Rows of the records that are meant; ``seen``: rows of tables that take equal ones once."""
        self._refuse_unknown_fields(records, name)
        records = self._matching(records)
        if self.table.is_distinct:
            records = _at(records, _firsts(records.cells, self.wanted))
        fields = trim_cells(records.cells.select(self.wanted)) if self.wanted else records.cells
        cells = landing_cells(self.table, fields, self.mapping, self.as_of)
        if LINE in records.cells.columns:
            cells = cells.with_columns(records.cells[LINE])
        if self.table.is_distinct:
            places = _new(cells, seen, self.table.table)
            cells, records = cells[places], _at(records, places)
        return RawTable(
            self.table.table,
            cells,
            is_text=True,
            numbers=records.numbers,
            as_read=_as_read(self.table.table, cells, records),
        )

    def _refuse_unknown_fields(self, records: Records, name: str) -> None:
        for field_name in self.wanted:
            if field_name not in records.cells.columns:
                raise InputRefused(
                    f"{name}: its {records.kind} records have no field {field_name}, which {self.table.table} is drawn from; "
                    f"needed it\n\nHint: fields found: {', '.join(records.cells.columns)[:400]}."
                )

    def _matching(self, records: Records) -> Records:
        """Records that meet the conditions; one of the wrong length meets all of them."""
        if not self.table.where:
            return records
        fields = trim_cells(records.cells.select({condition.field for condition in self.table.where}))
        is_meant = pl.all_horizontal(_holds(condition) for condition in self.table.where)
        mask = fields.select(is_meant).to_series()
        if LINE in records.cells.columns:
            mask |= records.cells[LINE].is_not_null()
        return Records(records.kind, records.cells.filter(mask), records.numbers.filter(mask))


def _holds(condition: Condition) -> pl.Expr:
    text = pl.col(condition.field).fill_null("")
    return text.is_in(condition.is_) if condition.is_ is not None else ~text.is_in(condition.not_ or ())


def _at(records: Records, places: pl.Series) -> Records:
    return Records(records.kind, records.cells[places], records.numbers.gather(places))


def _firsts(cells: pl.DataFrame, names: list[str]) -> pl.Series:
    """Places of the rows that no row before equals in the columns ``names``; lines of the wrong length always count."""
    if LINE not in cells.columns:
        return cells.select(pl.struct(names).is_first_distinct()).to_series().arg_true()
    return cells.select(pl.struct(*names, LINE).is_first_distinct() | pl.col(LINE).is_not_null()).to_series().arg_true()


def _new(cells: pl.DataFrame, seen: dict[str, pl.DataFrame], table: str) -> pl.Series:
    """Places of the rows that no row before, of any batch, equals in every cell; lines of the wrong length always count."""
    names = [*dtypes(table), *BESIDE.values()]
    rows = cells.with_columns(pl.lit(None, pl.String).alias(name) for name in names if name not in cells.columns)
    places = pl.DataFrame({"(place)": _firsts(rows, names)})
    rows = rows[places["(place)"]]
    ragged = rows[LINE].is_not_null() if LINE in rows.columns else pl.repeat(value=False, n=rows.height, eager=True)
    rows = rows.select(names).hstack([places["(place)"], ragged.alias(LINE)])
    if table in seen:
        known = rows.filter(~pl.col(LINE)).join(seen[table], on=names, how="semi", nulls_equal=True)["(place)"]
        rows = rows.filter(~pl.col("(place)").is_in(known.implode()))
    fresh = rows.filter(~pl.col(LINE)).select(names)
    seen[table] = pl.concat([seen[table], fresh]) if table in seen else fresh
    return rows["(place)"]


def _as_read(table: str, cells: pl.DataFrame, records: Records) -> pl.Series:
    """Each record as JSON of its fields; a line of the wrong length as its text under ``line``.

    Where a cell may not be readable, the landing column's text is added, unless a field has its name.
    """
    fields = records.cells.drop(LINE, strict=False)
    texts = as_json(fields) if fields.width else pl.repeat("{}", fields.height, eager=True)
    added = [name for name in cells.columns if name not in fields.columns and name not in (LINE, HOLDING)]
    odd = cells.select(pl.any_horizontal(pl.lit(value=False), *_doubts(table, added))).to_series()
    places = odd.fill_null(value=False).arg_true()
    if len(places) and len(odd) == cells.height:
        texts = texts.scatter(places, as_json(fields[places].hstack(cells[places].select(added))))
    if LINE not in cells.columns:
        return texts
    ragged = cells[LINE].is_not_null().arg_true()
    return texts.scatter(ragged, as_json(cells[ragged].select(pl.col(LINE).alias("line"))))


def _doubts(table: str, names: list[str]) -> Iterator[pl.Expr]:
    """Whether a cell may not be readable, for each column that holds no text."""
    types = dtypes(table)
    for name in names:
        if name == CURRENCY_COLUMN:
            yield pl.col(name).is_not_null() & (pl.col(name) != CURRENCY)
        for dtype, pattern in _PLAIN:
            if isinstance(types.get(name), dtype):
                yield pl.col(name).is_not_null() & ~pl.col(name).str.contains(pattern)
