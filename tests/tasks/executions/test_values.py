from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.executions import values
from tasks.executions.words import Unreadable


@given(st.decimals(-(10**11), 10**11, places=6))
def test_a_number_of_six_decimals_is_read_with_every_digit(number: Decimal) -> None:
    assert values.exact(f"{number:f}", "x") == number


@pytest.mark.parametrize(
    ("text", "number"), [("1.5000000000", "1.5"), ("+7", "7"), (".5", "0.5"), ("5.", "5"), ("1e3", "1000"), ("-0", "0")]
)
def test_a_number_may_be_written_in_odd_ways(text: str, number: str) -> None:
    assert values.exact(text, "x") == Decimal(number)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.1000002", "price is '0.1000002'; needed at most 6 decimals (rounding changes it by more than a millionth)"),
        ("NaN", "price is 'NaN'; needed a number"),
        ("Infinity", "price is 'Infinity'; needed a number"),
        ("1,000", "price is '1,000'; needed a number"),
        ("$5", "price is '$5'; needed a number"),
        ("٣", "price is '٣'; needed a number"),
        ("1_000", "price is '1_000'; needed a number"),
        ("1e9999", "price is '1e9999'; needed a number"),
        ("1e999", "price is '1e999'; needed at most 12 digits before the point"),
        ("1000000000000", "price is '1000000000000'; needed at most 12 digits before the point"),
        ("-1", "price is '-1'; needed a number above 0"),
        ("0", "price is '0'; needed a number above 0"),
        ("9" * 101, f"price is '{'9' * 40}...'; needed a number"),
    ],
)
def test_what_is_no_price_is_told(text: str, message: str) -> None:
    with pytest.raises(Unreadable) as found:
        values.positive(text, "price")
    assert str(found.value) == message


@pytest.mark.parametrize("text", ["2026-02-30", "20260105", "26-01-05", "0099-01-01", "2026-1-5", "2026-W01-1", ""])
def test_what_is_no_day_is_told(text: str) -> None:
    with pytest.raises(Unreadable) as found:
        values.day(text, "trade_date", "a day as YYYY-MM-DD")
    assert str(found.value) == f"trade_date is {text!r}; needed a day as YYYY-MM-DD"


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-01-05T14:30:00Z", 14),
        ("2026-01-05 09:30:00-05:00", 14),
        ("2026-01-05T09:30:00.000-0500", 14),
        ("2026-01-05T15:30+01:00", 14),
    ],
)
def test_a_time_is_turned_into_utc(text: str, hour: int) -> None:
    assert values.moment(text, "at", "") == datetime(2026, 1, 5, hour, 30, tzinfo=UTC)


def test_nanoseconds_are_cut_off() -> None:
    found = values.moment("2022-04-19T14:12:30.602193999Z", "at", "")
    assert found == datetime(2022, 4, 19, 14, 12, 30, 602193, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-01-05T14:30:00", "2026-01-05", "2026-01-05T25:00:00Z", "9999-12-31T23:00:00-05:00", "now"]
)
def test_what_is_no_time_with_a_zone_is_told(text: str) -> None:
    with pytest.raises(Unreadable, match="needed a time"):
        values.moment(text, "at", "a time")


@pytest.mark.parametrize(
    ("text", "day"),
    [("2026-01-06T04:59:59Z", "2026-01-05"), ("2026-01-06T05:00:00Z", "2026-01-06"), ("no time", None), (None, None)],
)
def test_the_day_of_the_market_is_that_of_new_york(text: str | None, day: str | None) -> None:
    assert values.market_day(text) == day


def test_a_time_of_new_york_follows_the_summer_there() -> None:
    assert values.in_market("2026-01-05T09:30:00") == "2026-01-05T09:30:00-05:00"
    assert values.in_market("2026-07-06T09:30:00") == "2026-07-06T09:30:00-04:00"


@pytest.mark.parametrize("text", ["a\nb", "a\0b", "a\x01b", "\ud800", "x" * 201])
def test_an_identifier_is_printable_and_not_endless(text: str) -> None:
    with pytest.raises(Unreadable, match="needed at most 200 characters, all of them printable"):
        values.name(text, "execution_id")


@pytest.mark.parametrize("text", ["a\0b", "half \ud800 a character"])
def test_text_can_be_stored(text: str) -> None:
    with pytest.raises(Unreadable, match="needed text without NUL characters"):
        values.words(text, "text")


def test_a_day_of_the_last_century_is_a_day() -> None:
    assert values.day("1999-12-31", "x", "") == date(1999, 12, 31)
