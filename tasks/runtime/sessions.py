"""Trading days of an exchange and its hours, from exchange_calendars: holidays, days that end early, breaks."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

LONGEST_CLOSURE = timedelta(days=30)
"""No exchange of the calendars was closed for longer within living memory of our data."""
WEEK = timedelta(days=7)
"""A calendar is asked for at least so much around the moment, for it refuses spans without a trading day."""


def previous_session(day: date, exchange: str) -> tuple[bool, date | None]:
    """Whether ``day`` is a trading day of ``exchange``, and the trading day before it (null: none within a month)."""
    sessions = _sessions(day, exchange, LONGEST_CLOSURE)
    before = [session for session in sessions if session < day]
    return day in sessions, before[-1] if before else None


def next_session(day: date, exchange: str) -> date:
    """The first trading day of ``exchange`` after ``day``: when what a night of that date proposes can trade at the earliest."""
    end = day + LONGEST_CLOSURE
    return next(session for session in _sessions(end, exchange, LONGEST_CLOSURE) if session > day)


def sessions_to(day: date, exchange: str, count: int) -> list[date]:
    """The last ``count`` trading days up to ``day``, itself included where it is one; in order."""
    return [
        session for session in _sessions(day, exchange, LONGEST_CLOSURE + 2 * timedelta(days=count)) if session <= day
    ][-count:]


def sessions_between(first: date, last: date, exchange: str) -> int:
    """How many trading days there are after ``first`` up to ``last``, itself included."""
    return sum(first < session for session in sessions_to(last, exchange, (last - first).days))


def overtaken_by(day: date, exchange: str, moment: datetime) -> date | None:
    """The last trading day after ``day`` that had closed by a moment (with its time zone); null: none had.

    A night that was due on ``day`` and starts only then would trade on holdings of another day.
    """
    over = closed_since(day, exchange, moment)
    return over[-1] if over else None


def closed_since(day: date, exchange: str, moment: datetime) -> list[date]:
    """The trading days after ``day`` that had closed by a moment (with its time zone), in order."""
    closes = _closes(day, max(moment.date(), day) + LONGEST_CLOSURE, exchange)
    return [session for session, closed in closes if session > day and closed <= moment]


@cache
def _closes(day: date, end: date, exchange: str) -> tuple[tuple[date, datetime], ...]:
    calendar = _calendar(exchange, day, end)
    sessions = [session for session in calendar.sessions if day <= session.date() <= end]
    return tuple((session.date(), calendar.session_close(session).to_pydatetime()) for session in sessions)


@cache
def _sessions(day: date, exchange: str, span: timedelta) -> tuple[date, ...]:
    first, last = day - span, day + timedelta(days=1)
    sessions = (session.date() for session in _calendar(exchange, first, last).sessions)
    return tuple(session for session in sessions if first <= session <= last)


def _calendar(exchange: str, first: date, last: date) -> Any:
    """One that has both days: of whole years, because it takes as long to make as one of a week."""
    return _calendar_of(exchange, first.year, last.year)


@cache
def _calendar_of(exchange: str, first_year: int, last_year: int) -> Any:
    import exchange_calendars  # noqa: PLC0415 - it pulls in pandas, a second that only the night should pay

    return exchange_calendars.get_calendar(exchange, start=date(first_year, 1, 1), end=date(last_year, 12, 31))


@dataclass(frozen=True, slots=True)
class Session:
    """A trading day. ``early_close``: when it ends, in UTC, where it ends earlier than usual."""

    day: date
    early_close: datetime | None


def sessions_from(day: date, exchange: str) -> list[Session]:
    """The trading days of the month that begins with ``day``, itself included where it is one; in order."""
    end = day + LONGEST_CLOSURE
    early = {session.date() for session in _calendar(exchange, day, end).early_closes}
    return [Session(session, close if session in early else None) for session, close in _closes(day, end, exchange)]


def session_at(moment: datetime, exchange: str) -> date | None:
    """The trading day whose session the moment is in, from its opening up to its close; null outside of one.

    Parameters
    ----------
    moment
        With its time zone.
    exchange
        A MIC code, as in the settings.
    """
    calendar = _calendar(exchange, moment.date() - WEEK, moment.date() + WEEK)
    minute = moment.replace(second=0, microsecond=0)
    return calendar.minute_to_session(minute).date() if calendar.is_open_on_minute(minute) else None
