"""One text as a value of its column, exactly; what does not fit raises ``Unreadable``.

Numbers never pass through binary floats. They have at most 12 digits before the point; more than 6 after it are rounded
half-even, where that changes the number by a millionth of itself at most, and fees always. Days are of the years 1900 to 9999. Times have a zone and are turned into UTC; digits beyond microseconds are cut off.
"""

import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final
from zoneinfo import ZoneInfo

from tasks.executions.words import Unreadable, quote_value

MARKET: Final = ZoneInfo("America/New_York")
"""Whose day it is when a trade is made: that of the exchanges in the United States."""
LONGEST_NAME: Final = 200
_MICRO: Final = Decimal("0.000001")
_BOUND: Final = 10**12
_MOST_ROUNDED: Final = _MICRO
"""Share of a number by which rounding may change it."""
_LONGEST_NUMBER: Final = 100
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_DAY: Final = re.compile(r"(?:19|[2-9][0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}")
_COMPACT_DAY: Final = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})")
_MOMENT: Final = re.compile(
    r"(?:19|[2-9][0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,12})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})"
)


def name(text: str, column: str) -> str:
    """An identifier: at most 200 printable characters."""
    if len(text) > LONGEST_NAME or not text.isprintable():
        raise Unreadable(
            f"{column} is {quote_value(text)}; needed at most {LONGEST_NAME} characters, all of them printable"
        )
    return text


def words(text: str, column: str) -> str:
    """Free text; it has no NUL character and can be written as UTF-8."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise Unreadable(f"{column} is {quote_value(text)}; needed text without NUL characters and half characters")
    return text


def number(text: str, column: str) -> Decimal:
    """A finite decimal, with all its digits."""
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        raise Unreadable(f"{column} is {quote_value(text)}; needed a number")
    found = Decimal(text)
    if found.copy_abs() >= _BOUND:
        raise Unreadable(f"{column} is {quote_value(text)}; needed at most 12 digits before the point")
    return found


def exact(text: str, column: str) -> Decimal:
    """A number as ``EXACT`` holds it: rounded half-even to six digits after the point."""
    found = number(text, column)
    rounded = six_digits(found)
    if abs(rounded - found) > _MOST_ROUNDED * abs(found):
        raise Unreadable(
            f"{column} is {quote_value(text)}; needed at most 6 decimals (rounding changes it by more than a millionth)"
        )
    return rounded


def is_long(text: str) -> bool:
    """Whether the text is a number that rounding to six digits after the point changes."""
    return len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text) is not None and _is_changed(Decimal(text))


def _is_changed(found: Decimal) -> bool:
    return found.copy_abs() < _BOUND and six_digits(found) != found


def positive(text: str, column: str) -> Decimal:
    """A number above 0."""
    found = exact(text, column)
    if found <= 0:
        raise Unreadable(f"{column} is {quote_value(text)}; needed a number above 0")
    return found


def not_negative(text: str, column: str) -> Decimal:
    """A number that is 0 or above."""
    return _not_below_zero(exact(text, column), text, column)


def fee(text: str, column: str) -> Decimal:
    """A number that is 0 or above; rounded whatever that changes, for what is left of a fee is less than any that is paid."""
    return _not_below_zero(six_digits(number(text, column)), text, column)


def _not_below_zero(found: Decimal, text: str, column: str) -> Decimal:
    if found < 0:
        raise Unreadable(f"{column} is {quote_value(text)}; needed 0 or above")
    return found.copy_abs()


def six_digits(amount: Decimal) -> Decimal:
    """Rounded half-even to six digits after the point."""
    return amount.quantize(_MICRO, ROUND_HALF_EVEN)


def day(text: str, column: str, needed: str) -> date:
    """A day written as ``YYYY-MM-DD``. ``needed``: how the message says it is written."""
    try:
        return date.fromisoformat(text if _DAY.fullmatch(text) else "")
    except ValueError as error:
        raise Unreadable(f"{column} is {quote_value(text)}; needed {needed}") from error


def moment(text: str, column: str, needed: str) -> datetime:
    """A time with its zone, in UTC. ``needed``: how the message says it is written."""
    try:
        return datetime.fromisoformat(text if _MOMENT.fullmatch(text) else "").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Unreadable(f"{column} is {quote_value(text)}; needed {needed}") from error


def iso_day(text: str | None) -> str | None:
    """``2026-01-05`` for ``20260105``; what is no day stays as it is, to be told of."""
    found = _COMPACT_DAY.fullmatch(text or "")
    if found is None:
        return text
    try:
        return date(*map(int, found.groups())).isoformat()
    except ValueError:
        return text


def market_day(text: str | None) -> str | None:
    """The day in New York of a time with its zone; null where it is none."""
    try:
        return moment(text or "", "", "").astimezone(MARKET).date().isoformat()
    except Unreadable:
        return None


def in_market(local: str) -> str:
    """A time of New York as ``YYYY-MM-DDTHH:MM:SS``, with its zone; what is no time stays as it is."""
    try:
        return datetime.fromisoformat(local).replace(tzinfo=MARKET).isoformat()
    except ValueError:
        return local
