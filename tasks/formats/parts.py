"""Parts of a mapping: where a cell stands, how a day and a number are written."""

import re
from datetime import date
from decimal import Decimal
from typing import Annotated, Final, Literal, Self

import polars as pl
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Whole = Annotated[int, Field(ge=1, strict=True)]
Span = tuple[Whole, Whole]
"""Start, from 1, and width in characters."""
LARGEST_SCALE: Final = 1000
_TRIAL: Final = date(2026, 12, 31)


def _day_format(text: str) -> str:
    """A format that gives back the day it wrote; a year of two digits would be a guess at the century."""
    read = pl.Series([_TRIAL.strftime(text)]).str.to_date(text, strict=False)
    if re.search("%[ygD]", text) or read[0] != _TRIAL:
        raise ValueError(f"{text} does not tell a day; needed %Y, %m and %d, as in %m/%d/%Y")
    return text


def _is_scale(number: Decimal | None) -> Decimal | None:
    if number is not None and not (0 < abs(number) <= LARGEST_SCALE and round(number, 12) == number):
        raise ValueError(
            f"needed a number other than 0, up to {LARGEST_SCALE} and of at most 12 digits after the point"
        )
    return number


DayFormat = Annotated[str, BeforeValidator(_day_format)]
Scale = Annotated[Decimal | None, AfterValidator(_is_scale)]


class Model(BaseModel):
    """Frozen; refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Spot(Model):
    """A cell of the header or the trailer: ``field`` counts from 1 (delimited), ``start`` too (fixed)."""

    field: Whole | None = None
    start: Whole | None = None
    width: Whole | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.field is None) == (self.start is None) or (self.start is None) != (self.width is None):
            raise ValueError("needed a field (delimited), or a start and a width (fixed)")
        return self


class DaySpot(Spot):
    """A day in the header."""

    date: DayFormat


class Sign(Model):
    """A field that says which way a number goes; with ``positive``, a code of neither list is unreadable."""

    field: str
    negative: tuple[str, ...]
    positive: tuple[str, ...] = ()


class Number(Model):
    """How a number is written. ``signed``: a trailing minus and parentheses are understood; a leading sign always is."""

    number: Literal["plain", "signed"] = "plain"
    implied_decimals: Annotated[int, Field(ge=0, le=12)] = 0
    sign: Sign | None = None
    absolute: bool = False


class Amount(Number):
    """A field of a record as a number."""

    field: str

    @property
    def used(self) -> tuple[str, ...]:
        """Every field it reads."""
        return (self.field, self.sign.field) if self.sign else (self.field,)


Operand = Annotated[Amount, BeforeValidator(lambda given: {"field": given} if isinstance(given, str) else given)]
