"""Lines of a price stream: what is read, and what is refused with which word."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.monitor.breaches import Verdict
from tasks.core.monitor.quotes import AHEAD, Quote, QuoteFault, read_quote, too_many_out
from tasks.core.monitor.scan import BookLook

NOW = datetime(2026, 1, 6, 15, 30, tzinfo=UTC)


def line(**changed: Any) -> str:
    given = {"security_id": "STK", "price": 101.25, "time": NOW.isoformat()} | changed
    return json.dumps({name: value for name, value in given.items() if value is not None})


def price_of(text: str) -> int:
    found = read_quote(text, NOW)
    assert isinstance(found, Quote), found
    return found.millionths


def test_a_line_is_a_price_of_a_security_at_a_moment() -> None:
    assert read_quote(line(), NOW) == Quote("STK", 101_250_000, NOW)
    assert read_quote(line().encode(), NOW) == Quote("STK", 101_250_000, NOW)
    early = read_quote(line(time="2026-01-06T10:29:59.5-05:00"), NOW)
    assert isinstance(early, Quote)
    assert NOW - early.quoted_at == timedelta(seconds=0.5)
    assert read_quote(line(time=NOW.timestamp()), NOW) == Quote("STK", 101_250_000, NOW)


def test_prices_are_exact_and_rounded_half_to_even_at_the_sixth_digit() -> None:
    assert price_of(line(price="0.1")) == price_of('{"security_id":"S","price":0.10,"time":0}') == 100_000
    assert price_of(line(price="1.0000005")) == 1_000_000
    assert price_of(line(price="1.0000015")) == 1_000_002
    assert price_of(line(price=7)) == 7_000_000


def test_half_way_between_bid_and_ask_is_the_price_where_there_is_no_other() -> None:
    assert price_of(line(price=None, bid=99, ask=102)) == 100_500_000
    assert price_of(line(bid=99, ask=102)) == 101_250_000
    assert price_of(line(price=None, bid=99, ask=99)) == 99_000_000


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", QuoteFault.UNREADABLE),
        ("[1]", QuoteFault.UNREADABLE),
        ("{", QuoteFault.UNREADABLE),
        (b"\xff\xfe\xfd", QuoteFault.UNREADABLE),
        ("[" * 100_000, QuoteFault.UNREADABLE),
        (line(price=True), QuoteFault.UNREADABLE),
        (line(price=[1]), QuoteFault.UNREADABLE),
        (line(price="cheap"), QuoteFault.UNREADABLE),
        (line(price=float("nan")), QuoteFault.UNREADABLE),
        (line(price=float("inf")), QuoteFault.UNREADABLE),
        (line(price="1e999999"), QuoteFault.UNREADABLE),
        (line(price=10**12), QuoteFault.UNREADABLE),
        (line(security_id=None), QuoteFault.NO_SECURITY),
        (line(security_id=7), QuoteFault.NO_SECURITY),
        (line(security_id=""), QuoteFault.NO_SECURITY),
        (line(price=None), QuoteFault.NO_PRICE),
        (line(price=None, bid=1), QuoteFault.NO_PRICE),
        (line(price=0), QuoteFault.NOT_POSITIVE),
        (line(price=-5), QuoteFault.NOT_POSITIVE),
        (line(price="0.0000004"), QuoteFault.NOT_POSITIVE),
        (line(bid=0, ask=5), QuoteFault.NOT_POSITIVE),
        (line(bid=5, ask=-1), QuoteFault.NOT_POSITIVE),
        (line(bid=102, ask=101), QuoteFault.CROSSED),
        (line(time=None), QuoteFault.NO_TIME),
        (line(time="noon"), QuoteFault.NO_TIME),
        (line(time="2026-01-06T15:30:00"), QuoteFault.NO_TIME),
        (line(time=[1]), QuoteFault.NO_TIME),
        (line(time=1e300), QuoteFault.NO_TIME),
        (line(time=(NOW + AHEAD + timedelta(seconds=1)).isoformat()), QuoteFault.AHEAD),
    ],
)
def test_what_is_wrong_with_a_line_is_one_word(text: str | bytes, fault: QuoteFault) -> None:
    assert read_quote(text, NOW) is fault


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_no_line_breaks_the_reader(text: bytes | str) -> None:
    assert isinstance(read_quote(text, NOW), Quote | QuoteFault)


@given(st.decimals(min_value=Decimal("0.000001"), max_value=Decimal(10**11), places=6))
def test_a_price_comes_out_as_it_went_in(price: Decimal) -> None:
    assert Decimal(price_of(line(price=str(price)))) == price * 1_000_000


def look_with(unhandled: int, looked_at: int) -> BookLook:
    nothing = Verdict(pl.DataFrame(), pl.Series())
    return BookLook(looked_at, 0, unhandled, unhandled, 0, nothing)


def test_a_share_of_the_book_beyond_the_limit_holds_a_look() -> None:
    assert too_many_out(look_with(21, 100), 0.2, min_accounts=100) == (
        "21 of 100 accounts are out of band and were not so in the night: 21%, more than 20%"
    )
    assert too_many_out(look_with(20, 100), 0.2, min_accounts=100) is None
    assert too_many_out(look_with(90, 100), None, min_accounts=0) is None
    assert too_many_out(look_with(90, 100), 0.2, min_accounts=101) is None
    assert too_many_out(look_with(0, 0), 0.0, min_accounts=0) is None
