"""Trading days of an exchange, from exchange_calendars."""

from datetime import date, timedelta
from functools import cache

LONGEST_CLOSURE = timedelta(days=30)
"""No exchange of the calendars was closed for longer within living memory of our data."""


@cache
def previous_session(day: date, exchange: str) -> tuple[bool, date | None]:
    """Whether ``day`` is a trading day of ``exchange``, and the trading day before it (null: none within a month)."""
    import exchange_calendars  # noqa: PLC0415 - it pulls in pandas, a second that only the night should pay

    calendar = exchange_calendars.get_calendar(exchange, start=day - LONGEST_CLOSURE, end=day + timedelta(days=1))
    sessions = [session.date() for session in calendar.sessions]
    before = [session for session in sessions if session < day]
    return day in sessions, before[-1] if before else None
