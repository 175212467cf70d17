"""Numbers of a record as exact decimals: how they are written, which way they go, and what is computed from them.

1. A number has at most 13 digits before and 12 after the point; anything else is unreadable, and null here. The mapping's currency sign
   may stand before or behind it, inside or outside of its sign and parentheses. A thousands separator that is a space may be one that does
   not break.
2. Order: the digits with their implied decimals, without their sign where ``is_absolute`` says so, then the sign of a code.
   A number that brings a sign of its own beside a code is unreadable: twice negative would be a guess.
3. ``times`` or ``divided_by``, then ``scale``; the result is rounded half-even to six digits, once: results near a tie are
   computed again with all their digits. Division by zero has no result.
"""

from decimal import Decimal
from fractions import Fraction
from re import escape
from typing import Final

import polars as pl

from tasks.formats.mapping import InputColumn, InputMapping
from tasks.formats.parts import Amount, Number

WIDE: Final = pl.Decimal(38, 12)
"""26 digits before the point: two numbers of 13 multiply without overflow."""
_DIGITS: Final = 13
_PERCENT: Final = Decimal("0.01")
_TIE: Final = Decimal("0.0000005")
_NEAR: Final = Decimal("0.000000001")
_BOUND: Final = Decimal(10) ** 22
"""Times the largest scale it still fits."""


def plain_number(text: pl.Series, number: Number, mapping: InputMapping) -> pl.Series:
    """Text as ``WIDE`` without regard to its sign field; null where it is not a number as the mapping writes them."""
    text = _without_currency_sign(text, mapping.currency_sign)
    if mapping.thousands == " ":
        text = text.str.replace_all("[\u00a0\u2009\u202f]", " ")
    body = text.str.strip_chars("+-() %")
    if mapping.thousands:
        body = body.str.replace_all(mapping.thousands, "", literal=True)
    if mapping.decimal != ".":
        body = body.str.replace(mapping.decimal, ".", literal=True)
    read = _where(body.cast(WIDE, strict=False), text.str.contains(_pattern(number, mapping)))
    if number.implied_decimals:
        read *= _constant(Decimal(1).scaleb(-number.implied_decimals), len(read))
    if number.is_percent:
        read *= _constant(_PERCENT, len(read))
    is_negative = text.str.contains("[-(]")
    return pl.select(pl.when(is_negative).then(-read).otherwise(read)).to_series() if is_negative.any() else read


def _without_currency_sign(text: pl.Series, sign: str) -> pl.Series:
    """Text without the sign where it stands once, at the start or the end of the number."""
    if not sign:
        return text
    once = text.str.count_matches(sign, literal=True) == 1
    start, end = rf"^([+-]?\s*\(?\s*[+-]?){escape(sign)}\s*", rf"\s*{escape(sign)}(\s*[+-]?\)?)$"
    bare = text.str.replace(start, "${1}").str.replace(end, "${1}")
    return pl.select(pl.when(once).then(bare).otherwise(text).alias(text.name)).to_series()


def _pattern(number: Number, mapping: InputMapping) -> str:
    """What the whole text of a number looks like."""
    point, group = escape(mapping.decimal), escape(mapping.thousands)
    digits = rf"[0-9]{{1,{_DIGITS + number.implied_decimals}}}"
    if mapping.thousands:
        digits = rf"(?:[0-9]{{1,3}}(?:{group}[0-9]{{3}}){{1,4}}|{digits})"
    if not number.implied_decimals:
        digits = rf"(?:{digits}(?:{point}[0-9]{{0,12}})?|{point}[0-9]{{1,12}})"
    if number.is_percent:
        digits = rf"{digits}\s*%"
    if number.number == "signed":
        return rf"^(?:[+-]?\s*{digits}|{digits}\s*[+-]|\(\s*{digits}\s*\))$"
    return rf"^[+-]?{digits}$"


def _where(cells: pl.Series, mask: pl.Series) -> pl.Series:
    return pl.select(pl.when(mask).then(cells).alias(cells.name)).to_series()


def amount(amount: Amount | InputColumn, fields: pl.DataFrame, mapping: InputMapping) -> pl.Series:
    """A field with its sign, as ``WIDE``; null where it or its sign is unreadable, or it is null."""
    number = plain_number(fields[str(amount.field)], amount, mapping)
    if amount.is_absolute:
        number = number.abs()
    if amount.sign is None:
        return number
    code = fields[amount.sign.field].fill_null("")
    is_negative = code.is_in(amount.sign.negative)
    number = _where(number, (number >= 0) & (is_negative | code.is_in(amount.sign.positive or code.unique())))
    return pl.select(pl.when(is_negative).then(-number).otherwise(number).alias(number.name)).to_series()


def column_number(column: InputColumn, fields: pl.DataFrame, mapping: InputMapping) -> pl.Series:
    """The column's number as ``WIDE``, null where it has none."""
    value = amount(column, fields, mapping)
    operand = column.times or column.divided_by
    if operand is None and column.scale is None:
        return value
    other = amount(operand, fields, mapping) if operand else _constant(Decimal(1), fields.height)
    if column.divided_by:
        other = other.set(other == 0, None)
    near = value / other if column.divided_by else value * other
    near = near.set(near.abs() >= _BOUND, None) * _constant(column.scale or Decimal(1), fields.height)
    return _round_exactly(near, value, other, column)


def _constant(number: Decimal, height: int) -> pl.Series:
    return pl.Series([number], dtype=WIDE).new_from_index(0, height)


def _round_exactly(near: pl.Series, value: pl.Series, other: pl.Series, column: InputColumn) -> pl.Series:
    """``near``, which is off by less than ``_NEAR``, to six digits as if it were exact."""
    down = near.round(6, mode="half_to_even")
    is_tie = ((near - down).abs() - _TIE).abs() <= _NEAR
    ties = is_tie.fill_null(value=False).arg_true()
    if ties.is_empty():
        return down
    scale = Fraction(column.scale or 1)
    exact = [
        round((Fraction(a) / Fraction(b) if column.divided_by else Fraction(a) * Fraction(b)) * scale * 10**6)
        for a, b in zip(value.gather(ties), other.gather(ties), strict=True)
    ]
    return down.scatter(ties, pl.Series([Decimal(each).scaleb(-6) for each in exact], dtype=WIDE))


def as_text(numbers: pl.Series) -> pl.Series:
    """Decimals as text without zeros that say nothing: ``12.5``, ``100``."""
    return numbers.cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")
