"""Cut-offs: when a custodian's orders must have left, on the days that the exchange trades."""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from schemas.settings import Settings
from tasks.runtime import Session, sessions_from


def next_cut_offs(settings: Settings, now: datetime) -> dict[str, datetime]:
    """By custodian, the first cut-off at or after ``now``, in UTC."""
    if not settings.cut_offs:
        return {}
    zone = ZoneInfo(settings.exchange_time_zone)
    sessions = sessions_from(now.astimezone(zone).date(), settings.exchange)
    return {name: next_cut_off(at, now, sessions, zone) for name, at in settings.cut_offs.items()}


def next_cut_off(at: time, now: datetime, sessions: Sequence[Session], zone: ZoneInfo) -> datetime:
    """The first moment at or after ``now`` that is ``at`` o'clock on a session; where one ends early, its end if that is sooner.

    ``sessions`` in order, beginning with the day of ``now`` or the first after it.
    """
    for session in sessions:
        moment = datetime.combine(session.day, at, zone).astimezone(UTC)
        if session.early_close is not None:
            moment = min(moment, session.early_close)
        if moment >= now:
            return moment
    raise ValueError(f"no session is known after {now}")
