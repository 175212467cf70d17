"""Quotes of a price stream: one line of JSON each, read or refused with a word; and what stops a look at them.

    {"security_id": "VTI", "price": 251.37, "time": "2026-01-06T15:30:00.125Z"}

``bid`` and ``ask`` may stand beside ``price``, or instead of it: then the price is half-way. ``time`` is ISO 8601 with its zone, or seconds
since 1970. Numbers may be text. A quote that is refused changes nothing: the price before it stands, and grows old.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final

from tasks.core.monitor.resident import MILLION
from tasks.core.monitor.scan import BookLook

AHEAD: Final = timedelta(seconds=60)
"""How far another machine's clock may be before ours."""
MOST_USD: Final = 10**12
"""As much as any amount of the contract."""


class QuoteFault(StrEnum):
    """Why a line of the stream is not used."""

    UNREADABLE = "unreadable"  #: no JSON object, or a number that is none
    NO_SECURITY = "no_security"  #: it names no security
    NO_PRICE = "no_price"  #: neither a price nor both of bid and ask
    NOT_POSITIVE = "not_positive"  #: a price, bid or ask of 0 or less
    CROSSED = "crossed"  #: the bid is above the ask
    NO_TIME = "no_time"  #: no time, or one without its zone
    AHEAD = "ahead"  #: its time is still to come
    OUT_OF_ORDER = "out_of_order"  #: older than the quote before it


@dataclass(frozen=True, slots=True)
class Quote:
    """A price of one security at a moment, in millionths of a dollar."""

    security_id: str
    millionths: int
    quoted_at: datetime


def read_quote(line: str | bytes, now: datetime) -> Quote | QuoteFault:
    """The quote on a line, or what is wrong with it."""
    try:
        found = json.loads(line, parse_float=Decimal, parse_int=Decimal, parse_constant=Decimal)
        if not isinstance(found, dict):
            return QuoteFault.UNREADABLE
        given = {name: _number(found[name]) for name in ("price", "bid", "ask") if found.get(name) is not None}
    except (ValueError, InvalidOperation, RecursionError):
        return QuoteFault.UNREADABLE
    security = found.get("security_id")
    if not isinstance(security, str) or not security:
        return QuoteFault.NO_SECURITY
    price = _price(given)
    if isinstance(price, QuoteFault):
        return price
    quoted_at = _moment(found.get("time"))
    if quoted_at is None:
        return QuoteFault.NO_TIME
    return QuoteFault.AHEAD if quoted_at - now > AHEAD else Quote(security, price, quoted_at)


def too_many_out(found: BookLook, most: float | None, *, min_accounts: int) -> str | None:
    """A sentence where more than the share ``most`` of the accounts looked at is out of band that the night did not find so.

    Books of fewer than ``min_accounts`` are not judged.
    """
    if most is None or found.looked_at < min_accounts or found.unhandled <= most * found.looked_at:
        return None
    return (
        f"{found.unhandled:,} of {found.looked_at:,} accounts are out of band and were not so in the night: "
        f"{found.unhandled / found.looked_at:.0%}, more than {most:.0%}"
    )


def _price(given: Mapping[str, Decimal]) -> int | QuoteFault:
    if any(number <= 0 for number in given.values()):
        return QuoteFault.NOT_POSITIVE
    bid, ask = given.get("bid"), given.get("ask")
    if bid is not None and ask is not None and bid > ask:
        return QuoteFault.CROSSED
    price = given.get("price")
    if price is None and bid is not None and ask is not None:
        price = (bid + ask) / 2
    if price is None:
        return QuoteFault.NO_PRICE
    found = int((price * MILLION).to_integral_value(ROUND_HALF_EVEN))
    return found or QuoteFault.NOT_POSITIVE


def _number(given: Any) -> Decimal:
    """Raises ValueError where it is no number, or greater than any price."""
    number = Decimal(given) if isinstance(given, Decimal | str) else Decimal("NaN")
    if not number.is_finite() or abs(number) >= MOST_USD:
        raise ValueError
    return number


def _moment(given: Any) -> datetime | None:
    try:
        if isinstance(given, Decimal):
            return datetime.fromtimestamp(float(given), UTC)
        found = datetime.fromisoformat(given) if isinstance(given, str) else None
    except (ValueError, OverflowError, OSError):
        return None
    return found if found is not None and found.tzinfo is not None else None
