"""Parts of a mapping: where a cell stands, how a day and a number are written."""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Final, Literal, Self

import polars as pl
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from schemas.mappings import MappingPart

Whole = Annotated[int, Field(ge=1, strict=True)]
Span = tuple[Whole, Whole]
"""Start, from 1, and width in characters."""
LARGEST_SCALE: Final = 1000
_TRIAL: Final = datetime(2026, 12, 31)  # noqa: DTZ001 - a day to try formats on
_ADJACENT: Final = re.compile("%[YmdjHMS]%[YmdjHMS]")


def _place(given: object) -> object:
    numbers = given if isinstance(given, list) and len(given) == 2 else [given]  # noqa: PLR2004 - start and width
    are_numbers = all(isinstance(each, int) and not isinstance(each, bool) and each > 0 for each in numbers)
    if not are_numbers and (not isinstance(given, str) or not given):
        raise ValueError("needed a number of a field, from 1; or [start, width]; or the name of a column")
    return given


DayOf = Callable[[datetime], date]
"""Which day a file is of that says this moment, at its own place."""


def days(text: pl.Series, day_format: str, day_of: DayOf | None = None) -> pl.Series:
    """Days as Date; null where the text is none, or where digits that run together could be read in two ways.

    ``day_of``: of texts with a time, else the day that is written counts.
    """
    has_time = "%H" in day_format
    read = text.str.to_datetime(day_format, strict=False) if has_time else text.str.to_date(day_format, strict=False)
    if _ADJACENT.search(day_format):
        is_same = read.dt.to_string(day_format).str.to_lowercase() == text.str.to_lowercase()
        read = read.set(~is_same.fill_null(value=False), None)
    if day_of is None or not has_time:
        return read.cast(pl.Date)
    moments = read.drop_nulls().unique()
    told = pl.Series([day_of(moment) for moment in moments], dtype=pl.Date)
    return read.replace_strict(moments, told, default=None, return_dtype=pl.Date)


def _day_format(text: str) -> str:
    """A format that gives back the day it wrote; a year of two digits would be a guess at the century."""
    try:
        is_read = days(pl.Series([_TRIAL.strftime(text)]), text)[0] == _TRIAL.date()
    except pl.exceptions.PolarsError:
        is_read = False
    if not is_read or re.search("%[ygD]", text):
        raise ValueError(f"{text} does not tell a day; needed %Y, %m and %d, as in %m/%d/%Y")
    return text


def _is_scale(number: Decimal | None) -> Decimal | None:
    if number is not None and not (0 < abs(number) <= LARGEST_SCALE and round(number, 12) == number):
        raise ValueError(
            f"needed a number other than 0, up to {LARGEST_SCALE} and of at most 12 digits after the point"
        )
    return number


Place = Annotated[int | Span | str, BeforeValidator(_place)]
"""Where a field stands: its number, its span, or its name in the line that names the fields."""
DayFormat = Annotated[str, BeforeValidator(_day_format)]
Scale = Annotated[Decimal | None, AfterValidator(_is_scale)]


class CellPosition(MappingPart):
    """A cell of the header or the trailer: ``field`` counts from 1 (delimited), ``start`` too (fixed)."""

    field: Whole | None = None
    start: Whole | None = None
    width: Whole | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.field is None) == (self.start is None) or (self.start is None) != (self.width is None):
            raise ValueError("needed a field (delimited), or a start and a width (fixed)")
        return self


class DayPosition(CellPosition):
    """A day in the header."""

    date: DayFormat


class NumberSign(MappingPart):
    """A field that says which way a number goes; with ``positive``, a code of neither list is unreadable."""

    field: str
    negative: tuple[str, ...]
    positive: tuple[str, ...] = ()


class Number(MappingPart):
    """How a number is written. ``signed``: a trailing minus and parentheses are understood; a leading sign always is.

    ``is_percent``: it ends in a percent sign, and is read as a fraction.
    """

    number: Literal["plain", "signed"] = "plain"
    implied_decimals: Annotated[int, Field(ge=0, le=12)] = 0
    sign: NumberSign | None = None
    is_absolute: bool = False
    is_percent: bool = False


class Amount(Number):
    """A field of a record as a number."""

    field: str

    @property
    def field_names(self) -> tuple[str, ...]:
        """Every field it reads."""
        return (self.field, self.sign.field) if self.sign else (self.field,)


Operand = Annotated[Amount, BeforeValidator(lambda given: {"field": given} if isinstance(given, str) else given)]
