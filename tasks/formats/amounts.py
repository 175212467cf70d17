"""Numbers of a record as exact decimals: how they are written, which way they go, and what is computed from them.

1. A number has at most 13 digits before and 12 after the point; anything else is unreadable, and null here.
2. Order: the digits with their implied decimals, without their sign where ``absolute`` says so, then the sign of a code.
   A number that brings a sign of its own beside a code is unreadable: twice negative would be a guess.
3. ``times`` or ``divided_by``, then ``scale``; the result is rounded half-even to six digits, once: results near a tie are
   computed again with all their digits. Division by zero has no result.
"""

from decimal import Decimal
from fractions import Fraction
from re import escape
from typing import Final

import polars as pl

from tasks.formats.mapping import Column, Mapping
from tasks.formats.parts import Amount, Number

WIDE: Final = pl.Decimal(38, 12)
"""26 digits before the point: two numbers of 13 multiply without overflow."""
_DIGITS: Final = 13
_TIE: Final = Decimal("0.0000005")
_NEAR: Final = Decimal("0.000000001")
_BOUND: Final = Decimal(10) ** 22
"""Times the largest scale it still fits."""


def plain_number(text: pl.Expr, number: Number, mapping: Mapping) -> pl.Expr:
    """Text as ``WIDE`` without regard to its sign field; null where it is not a number as the mapping writes them."""
    if number.number == "signed":
        text = (
            text.str.replace(r"^\(\s*([^()+-]+?)\s*\)$", "-${1}")
            .str.replace(r"^([^()+-]+?)\s*([+-])$", "${2}${1}")
            .str.replace(r"^([+-])\s+", "${1}")
        )
    if mapping.thousands:
        sign = escape(mapping.thousands)
        grouped = rf"^[+-]?[0-9]{{1,3}}(?:{sign}[0-9]{{3}})*(?:[^{sign}]*)$"
        is_right = text.str.contains(grouped) | ~text.str.contains(mapping.thousands, literal=True)
        text = pl.when(is_right).then(text.str.replace_all(mapping.thousands, "", literal=True))
    if mapping.decimal != ".":
        text = pl.when(~text.str.contains(".", literal=True)).then(text.str.replace(mapping.decimal, ".", literal=True))
    if not number.implied_decimals:
        pattern = rf"^[+-]?(?:[0-9]{{1,{_DIGITS}}}(?:\.[0-9]{{0,12}})?|\.[0-9]{{1,12}})$"
        return pl.when(text.str.contains(pattern)).then(text).cast(WIDE, strict=False)
    digits = pl.when(text.str.contains(rf"^[+-]?[0-9]{{1,{_DIGITS + number.implied_decimals}}}$")).then(text)
    return digits.cast(WIDE, strict=False) * pl.lit(Decimal(1).scaleb(-number.implied_decimals), dtype=WIDE)


def amount(amount: Amount | Column, mapping: Mapping) -> pl.Expr:
    """A field with its sign, as ``WIDE``; null where it or its sign is unreadable, or it is null."""
    number = plain_number(pl.col(str(amount.field)), amount, mapping)
    if amount.absolute:
        number = number.abs()
    if amount.sign is None:
        return number
    code = pl.col(amount.sign.field).fill_null("")
    is_negative, is_known = code.is_in(amount.sign.negative), code.is_in(amount.sign.positive)
    known = is_negative | is_known if amount.sign.positive else pl.lit(value=True)
    return pl.when(known & (number >= 0)).then(pl.when(is_negative).then(-number).otherwise(number))


def computed(column: Column, fields: pl.DataFrame, mapping: Mapping) -> pl.Series:
    """The column's number as ``WIDE``, null where it has none."""
    value = fields.select(amount(column, mapping)).to_series()
    operand = column.times or column.divided_by
    if operand is None and column.scale is None:
        return value
    other = fields.select(amount(operand, mapping)).to_series() if operand else _constant(Decimal(1), fields.height)
    if column.divided_by:
        other = other.set(other == 0, None)
    near = value / other if column.divided_by else value * other
    near = near.set(near.abs() >= _BOUND, None) * _constant(column.scale or Decimal(1), fields.height)
    return _rounded(near, value, other, column)


def _constant(number: Decimal, height: int) -> pl.Series:
    return pl.Series([number], dtype=WIDE).new_from_index(0, height)


def _rounded(near: pl.Series, value: pl.Series, other: pl.Series, column: Column) -> pl.Series:
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
