from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.runtime.sessions import next_session, previous_session


@pytest.mark.parametrize(
    ("day", "session"),
    [
        ("2026-11-20", "2026-11-23"),  # a Friday: after the weekend
        ("2026-11-21", "2026-11-23"),  # a Saturday
        ("2026-11-25", "2026-11-27"),  # the eve of Thanksgiving: a half day is a session
        ("2026-11-27", "2026-11-30"),  # the half day itself
        ("2026-12-31", "2027-01-04"),  # New Year's Day is a Friday
        ("2027-12-31", "2028-01-03"),  # a weekend that begins a year: no holiday is made up for
        ("2028-02-28", "2028-02-29"),  # a leap day
        ("2026-07-02", "2026-07-06"),  # Independence Day is kept on the Friday before
        ("2012-10-26", "2012-10-31"),  # a hurricane
    ],
)
def test_orders_of_a_night_trade_on_the_next_day_of_trading(day: str, session: str) -> None:
    assert next_session(date.fromisoformat(day), "XNYS") == date.fromisoformat(session)


def test_each_exchange_has_its_own() -> None:
    assert next_session(date(2026, 11, 25), "XLON") == date(2026, 11, 26)
    assert next_session(date(2026, 12, 24), "XLON") == date(2026, 12, 29)


@settings(max_examples=40, deadline=None)
@given(st.dates(date(2015, 1, 1), date(2027, 6, 30)))
def test_no_session_lies_between(day: date) -> None:
    session = next_session(day, "XNYS")
    is_session, before = previous_session(session, "XNYS")
    assert is_session
    assert before is not None
    assert before <= day < session
    assert session - day <= timedelta(days=5)
