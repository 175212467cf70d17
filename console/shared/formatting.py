"""How figures and words are written on pages: short, with their units, the same everywhere."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

NONE: Final = "–"
"""Stands where there is no value."""
SHORT: Final = "\N{NO-BREAK SPACE}%"
Number = float | int | Decimal


def dollars(amount: Number | None) -> str:
    """``$1,234``; cents below a hundred dollars, where they tell something."""
    if amount is None:
        return NONE
    value = float(amount)
    digits = 0 if abs(value) >= 100 or abs(value) < 0.005 else 2
    text = f"${abs(value):,.{digits}f}"
    return f"−{text}" if value < 0 and float(f"{value:.{digits}f}") != 0 else text


def large_dollars(amount: Number | None) -> str:
    """``$1.2M``: for sums that nobody reads to the dollar."""
    if amount is None:
        return NONE
    value = float(amount)
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{'−' if value < 0 else ''}${abs(value) / limit:,.1f}{unit}"
    return dollars(value)


def percent(fraction: Number | None, digits: int = 1) -> str:
    """``14.9 %`` of a fraction of 1; the space does not break."""
    return NONE if fraction is None else f"{float(fraction) * 100:.{digits}f}\N{NO-BREAK SPACE}%".replace("-", "−")


def count(number: int) -> str:
    """``12,345``."""
    return f"{number:,}"


def shares(quantity: Number) -> str:
    """Without zeros that say nothing."""
    return f"{Decimal(str(quantity)):,f}".rstrip("0").rstrip(".") if "." in str(quantity) else f"{quantity:,}"


def ordered(quantity: Number, amount_usd: Number | None) -> str:
    """Shares, or ``$1,000.00 (about 12.345)`` of what is ordered in dollars."""
    return shares(quantity) if amount_usd is None else f"${amount_usd:,.2f} (about {shares(quantity)})"


def price(amount: Number | None) -> str:
    """``12.3456``: of a share, to the last digit that says something, cents at least."""
    if amount is None:
        return NONE
    whole, _, digits = f"{Decimal(str(amount)):,f}".partition(".")
    return f"{whole}.{digits.rstrip('0').ljust(2, '0')}"


def size(number: int | None) -> str:
    """``1.2 MB`` of bytes; the space does not break."""
    if number is None:
        return NONE
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= limit:
            return f"{number / limit:.1f}\N{NO-BREAK SPACE}{unit}"
    return f"{number}\N{NO-BREAK SPACE}B"


def word(name: str) -> str:
    """``large_tax`` as people say it."""
    return name.replace("_", " ")


def words(joined: str | None) -> list[str]:
    """The words of a list that a table keeps joined by bars."""
    return [word(each) for each in (joined or "").split("|") if each]


def day(moment: date | None) -> str:
    """A date as ISO 8601."""
    return NONE if moment is None else moment.isoformat()


def clock(moment: datetime | None) -> str:
    """``2026-11-26 14:05 UTC``; the spaces do not break."""
    return NONE if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M UTC}".replace(" ", "\N{NO-BREAK SPACE}")


def from_to(before: Number | None, after: Number | None) -> str:
    """``14.9 → 1.6 %`` of two fractions of 1."""
    first, second = percent(before), percent(after)
    return f"{first.removesuffix(SHORT)}\N{NO-BREAK SPACE}→\N{NO-BREAK SPACE}{second}"


def until(moment: datetime | None, now: datetime) -> str:
    """``in 3 h 20 min``, or ``12 min ago``."""
    if moment is None:
        return NONE
    gap = moment - now
    text = span(abs(gap))
    return f"in {text}" if gap >= timedelta() else f"{text} ago"


def span(length: timedelta) -> str:
    """The two largest units of a time."""
    minutes = int(length.total_seconds() // 60)
    if minutes < 1:
        return f"{int(length.total_seconds())} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def plural(number: int, name: str) -> str:
    """``1 proposal``, ``2 proposals``."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def sentence(text: str) -> str:
    """An error's text as it is said to a person: its first part, capitalized, and the hint behind it."""
    said, _, hint = text.partition("\n\nHint: ")
    joined = f"{said[:1].upper()}{said[1:]}".rstrip(".") + "."
    return f"{joined} {hint[:1].upper()}{hint[1:]}" if hint else joined
