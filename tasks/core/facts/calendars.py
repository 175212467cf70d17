"""Which rebalancing calendars fall due on a date: on the first trading day of the day, week, month, quarter or year."""

from collections.abc import Sequence
from datetime import date

from schemas.enums import Calendar


def due_on(as_of: date, previous_session: date | None, *, is_session: bool) -> frozenset[Calendar]:
    """Calendars whose period begins on ``as_of``, given the trading day before it (null: none known).

    Nothing is due on a day without trading: the period's first trading day is still to come, or has been.
    """
    if not is_session:
        return frozenset()
    if previous_session is None:
        return frozenset(Calendar) - {Calendar.NONE}
    return frozenset(
        calendar
        for calendar in Calendar
        if calendar is not Calendar.NONE and _period(as_of, calendar) != _period(previous_session, calendar)
    )


def _period(day: date, calendar: Calendar) -> Sequence[int]:
    year, week, _ = day.isocalendar()
    periods: dict[Calendar, Sequence[int]] = {
        Calendar.NONE: (),
        Calendar.DAILY: (day.toordinal(),),
        Calendar.WEEKLY: (year, week),
        Calendar.MONTHLY: (day.year, day.month),
        Calendar.QUARTERLY: (day.year, (day.month - 1) // 3),
        Calendar.ANNUAL: (day.year,),
    }
    return periods[calendar]
