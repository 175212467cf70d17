"""Landing columns from a record's fields: text in, text out.

A cell that cannot be read as the mapping says keeps its text, so that the gate quarantines its row and shows it. Where the gate
would take that very text for something (``1.5`` in a format of implied decimals, a code that is not listed), it gets a few words
that no contract column accepts.
"""

from datetime import date
from typing import Final

import polars as pl

from schemas.landing_columns import dtypes
from tasks.core.gate import CURRENCY_COLUMN, HOLDING
from tasks.formats.amounts import as_text, column_number
from tasks.formats.mapping import AS_OF, InputColumn, InputMapping, Table
from tasks.formats.parts import Amount, days

BESIDE: Final = {"currency": CURRENCY_COLUMN, "holding": HOLDING}
"""Columns of a mapping that are no contract column, and what they are called for the gate."""
NOT_AS_WRITTEN: Final = " (not as the format writes it)"
NO_CODE: Final = " (no code of the format) "
"""Ends in a space: a short name with it is none."""
_NUMBER: Final = r"^\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?\s*$"
_DAY: Final = r"^\s*[0-9]{4}-[0-9]{2}-[0-9]{2}\s*$"


def landing_cells(table: Table, fields: pl.DataFrame, mapping: InputMapping, as_of: date) -> pl.DataFrame:
    """All columns of the table, and of ``BESIDE`` those that the mapping has, as text. ``fields``: trimmed, blank is null."""
    nothing = pl.Series([None], dtype=pl.String).new_from_index(0, fields.height)
    cells = []
    for name, dtype in {**dtypes(table.table), **dict.fromkeys(BESIDE, pl.String())}.items():
        column = table.columns.get(name)
        if column:
            cell = _cell(column, fields, mapping, as_of, is_number=dtype.is_numeric())
            cells.append(cell.alias(BESIDE.get(name, name)))
        elif name not in BESIDE:
            cells.append(nothing.alias(name))
    return pl.DataFrame(cells)


def _cell(
    column: InputColumn, fields: pl.DataFrame, mapping: InputMapping, as_of: date, *, is_number: bool
) -> pl.Series:
    if column.value is not None:
        text = column.value.replace(AS_OF, as_of.isoformat())
        return pl.Series([text], dtype=pl.String).new_from_index(0, fields.height)
    if column.null:
        cells = pl.col(column.fields or [str(column.field)])
        fields = fields.with_columns(pl.when(~cells.is_in(column.null)).then(cells))
    if column.fields:
        return fields.select(pl.concat_str(column.fields, separator=column.join)).to_series()
    text_cells = fields[str(column.field)]
    if column.codes:
        return _decode(text_cells, column.codes)
    if column.date:
        return _or_text(text_cells, days(text_cells, column.date).dt.to_string("%Y-%m-%d"), _DAY)
    is_written_otherwise = mapping.decimal != "." or mapping.thousands or mapping.currency_sign
    if column.is_computed or (is_number and is_written_otherwise):
        return _or_text(_words(column, fields), as_text(column_number(column, fields, mapping)), _NUMBER)
    return text_cells


def _decode(text: pl.Series, codes: dict[str, str]) -> pl.Series:
    if "" in codes:
        text = text.fill_null("")
    known = text.replace_strict(codes, default=None, return_dtype=pl.String)
    return pl.select(pl.coalesce(known, text + NO_CODE)).to_series()


def _or_text(text: pl.Series, read: pl.Series, readable: str) -> pl.Series:
    """What was read, else the text; marked where the gate would read it."""
    marked = pl.when(text.str.contains(readable)).then(text + NOT_AS_WRITTEN).otherwise(text)
    return pl.select(pl.coalesce(read, marked)).to_series()


def _words(column: InputColumn, fields: pl.DataFrame) -> pl.Series:
    """What a number is made of, as it stands: ``100 D / 0``. Null where the field itself is."""
    words = [_amount_words(column)]
    for sign, operand in ((" * ", column.times), (" / ", column.divided_by)):
        if operand:
            words += [pl.lit(sign), _amount_words(operand).fill_null("empty")]
    return fields.select(pl.concat_str(words).alias("words")).to_series()


def _amount_words(amount: Amount | InputColumn) -> pl.Expr:
    field = pl.col(str(amount.field))
    return field if amount.sign is None else field + pl.lit(" ") + pl.col(amount.sign.field).fill_null("empty")
