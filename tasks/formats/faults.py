"""What in a mapping does not hold together, though each key by itself does: names, places, types of columns."""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import permutations

import polars as pl

from schemas.landing import CONTRACTS, OPTIONAL_COLUMNS
from schemas.landing_columns import dtypes
from tasks.core.gate import column_requirement
from tasks.formats.columns import BESIDE
from tasks.formats.mapping import LINES, InputColumn, InputMapping, Record, Table
from tasks.formats.parts import CellPosition, Place


def faults(mapping: InputMapping) -> Iterator[str]:
    """A sentence for each: the key, what was found, what was needed."""
    if mapping.kind in LINES:
        yield from _faults_of_signs(mapping)
        yield from _faults_of_records(mapping)
        yield from _faults_of_ends(mapping)
    elif mapping.header or mapping.trailer or mapping.records:
        yield f"kind: {mapping.kind} files have no header, trailer or records of their own; needed only tables and as_of"
    if mapping.as_of:
        yield from _unknown(mapping, "as_of", mapping.as_of.record, [mapping.as_of.field])
    for place, table in enumerate(mapping.tables, 1):
        yield from _faults_of_table(mapping, f"tables[{place}]", table)
    drawn = Counter((table.table, table.records) for table in mapping.tables)
    for (table_name, records), times in drawn.items():
        if times > 1:
            yield f"tables: {table_name} is drawn from {records} {times} times; needed once, so that a row has one number"


def _faults_of_signs(mapping: InputMapping) -> Iterator[str]:
    if mapping.decimal == mapping.thousands:
        yield f"thousands: {mapping.thousands} is the decimal sign too; needed another"
    if mapping.currency_sign and mapping.currency_sign in (mapping.thousands, mapping.quote, mapping.separator):
        yield f"currency_sign: {mapping.currency_sign} means something else too; needed another, or none"
    if mapping.kind == "delimited" and mapping.separator == mapping.quote:
        yield f"quote: {mapping.quote} separates fields too; needed another, or none"


def _faults_of_records(mapping: InputMapping) -> Iterator[str]:
    if not mapping.records:
        yield f"records: absent; needed the types of line of a {mapping.kind} file"
    for kind, times in Counter(record.kind for record in mapping.records).items():
        if times > 1:
            yield f"records: {kind} is there {times} times; needed each kind once"
    if len(mapping.records) > 1 and any(record.has_names or not record.match for record in mapping.records):
        yield "records: a type without match, or with has_names, takes every line; needed it to be the only one"
    for one, other in permutations(_matches(mapping), 2):
        if one == other or (mapping.kind == "fixed" and other.startswith(one)):
            yield f"match: a line of {other} is one of {one} too; needed each line to be of one type"
    for record in mapping.records:
        yield from _faults_of_record(mapping.kind, record)


def _matches(mapping: InputMapping) -> list[str]:
    ends = [end.match for end in (mapping.header, mapping.trailer) if end]
    return ends + [record.match for record in mapping.records if record.match]


def _faults_of_record(kind: str, record: Record) -> Iterator[str]:
    key = f"records of kind {record.kind}"
    wanted, words = (
        (tuple, "[start, width]")
        if kind == "fixed"
        else (str, "the names that the columns line gives")
        if record.has_names
        else (int, "the numbers of fields, from 1")
    )
    places: list[Place | None] = [*record.fields.values(), record.line_number]
    if record.has_names and (kind == "fixed" or record.match or record.width or record.line_number):
        yield f"{key}: has_names goes with delimited files, without match, width and line_number; needed one or the other"
    elif record.spare_cells and kind == "fixed":
        yield f"{key}: spare_cells go with delimited files; needed width = [least, most] for spaces at the end of a line"
    elif any(place is not None and not isinstance(place, wanted) for place in places):
        yield f"{key}: needed {words}"
    elif isinstance(record.width, tuple) and record.width[0] > record.width[1]:
        yield f"{key}: width {record.width[0]} to {record.width[1]}; needed the least first"
    elif not record.has_names and least_width(record) < furthest(record):
        yield f"{key}: width {least_width(record)}, but a field ends at {furthest(record)}; needed the whole line"


def furthest(record: Record) -> int:
    """Where the last of the fields ends: its number, or its last character."""
    places = [place for place in (*record.fields.values(), record.line_number) if place is not None]
    ends = [place[0] + place[1] - 1 if isinstance(place, tuple) else place for place in places]
    return max((end for end in ends if isinstance(end, int)), default=1)


def least_width(record: Record) -> int:
    """Fewest fields or characters of a whole line; as many as the fields take where the mapping does not say."""
    return (
        furthest(record)
        if record.width is None
        else widest(record)
        if isinstance(record.width, int)
        else record.width[0]
    )


def widest(record: Record) -> int:
    """Most fields or characters of a whole line."""
    if record.width is None:
        return furthest(record)
    return record.width if isinstance(record.width, int) else record.width[1]


def _faults_of_ends(mapping: InputMapping) -> Iterator[str]:
    header, trailer = mapping.header, mapping.trailer
    spots: list[tuple[str, CellPosition | None]] = []
    if header:
        spots += [("header.as_of", header.as_of), ("header.sequence", header.sequence)]
    if trailer:
        spots += [("trailer.count", trailer.count), *(("trailer.totals", total) for total in trailer.totals)]
    for key, spot in spots:
        if spot and (spot.field is None) == (mapping.kind == "delimited"):
            yield f"{key}: needed {'a field' if mapping.kind == 'delimited' else 'a start and a width'}"
    if not trailer:
        return
    for name in trailer.count.records if trailer.count else ():
        yield from _unknown(mapping, "trailer.count", name, [])
    for total in trailer.totals:
        fields = total.of.field_names
        if not total.records and not any(set(fields) <= set(record.fields) for record in mapping.records):
            yield f"trailer.totals: no records have {' and '.join(fields)}; needed fields of records"
        for name in total.records:
            yield from _unknown(mapping, "trailer.totals", name, fields)


def _unknown(mapping: InputMapping, key: str, kind: str, fields: Iterable[str]) -> Iterator[str]:
    """A kind of record or fields that the mapping names and does not have; readers of other files check their own."""
    if mapping.kind not in LINES:
        return
    record = next((record for record in mapping.records if record.kind == kind), None)
    if record is None:
        yield f"{key}: there are no records of kind {kind}; needed one of {', '.join(r.kind for r in mapping.records)}"
        return
    for field in fields:
        if field not in record.fields:
            yield f"{key}: {kind} has no field {field}; needed one of {', '.join(record.fields)}{_guess(field, record.fields)}"


def _faults_of_table(mapping: InputMapping, key: str, table: Table) -> Iterator[str]:
    if table.table not in CONTRACTS:
        yield f"{key}.table: there is no landing table {table.table}; needed one of {', '.join(CONTRACTS)}"
        return
    used = [field for column in table.columns.values() for field in column.field_names]
    yield from _unknown(mapping, key, table.records, [*used, *(condition.field for condition in table.where)])
    types, schema = dtypes(table.table), CONTRACTS[table.table].to_schema()
    for name, column in table.columns.items():
        if name not in BESIDE and name not in types:
            yield (
                f"{key}.columns: {table.table} has no column {name}; needed columns of {', '.join(types)}{_guess(name, types)}"
            )
        else:
            yield from _unfit(f"{key}.columns.{name}", types.get(name, pl.String()), column)
    optional = OPTIONAL_COLUMNS.get(table.table, frozenset())
    for name in types:
        if name not in table.columns and name not in optional and not schema.columns[name].nullable:
            yield f"{key}.columns: {table.table} lacks {name}; needed {column_requirement(table.table, name)}"


def _unfit(key: str, dtype: pl.DataType, column: InputColumn) -> Iterator[str]:
    if column.date and dtype != pl.Date:
        yield f"{key}: date, but the column holds no days; needed no date"
    if column.is_computed and not dtype.is_numeric():
        yield f"{key}: keys of a number, but the column holds none; needed no such keys"


def _guess(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
