"""Whether an exchange trades at a moment, from exchange_calendars: holidays, days that end early, breaks."""

from datetime import date, datetime, timedelta

WEEK = timedelta(days=7)
"""A calendar is asked for at least so much around the moment, for it refuses spans without a trading day."""


def session_at(moment: datetime, exchange: str) -> date | None:
    """The trading day whose session the moment is in, from its opening up to its close; null outside of one.

    Parameters
    ----------
    moment
        With its time zone.
    exchange
        A MIC code, as in the settings.
    """
    import exchange_calendars  # noqa: PLC0415 - pandas, a second that only those should pay who ask

    start, end = moment.date() - WEEK, moment.date() + WEEK
    calendar = exchange_calendars.get_calendar(exchange, start=start, end=end)
    minute = moment.replace(second=0, microsecond=0)
    return calendar.minute_to_session(minute).date() if calendar.is_open_on_minute(minute) else None
