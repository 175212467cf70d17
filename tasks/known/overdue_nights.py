"""Nights that are not done by their deadline: which one is due, how far it is, and whether it may still be caught up.

A night is caught up only while its trading day is the last one that has closed: later its holdings are gone. Whoever runs it
then would trade on those of another day, so that it is told and left to a person.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from schemas.enums import RunKind, RunState
from schemas.settings import Settings
from tasks.runtime import overtaken_by, sessions_to
from warehouse.ledger import Runs

LOOKED_AT: Final = 100
"""How many of the newest runs are looked through for one of the night."""
NOON: Final = time(12)
SENTENCES: Final = {
    RunState.RUNNING: "It is still running.",
    RunState.HELD: "A guard holds it until a person releases it.",
    RunState.FAILED: "It broke off; running it again goes on where it did.",
}


@dataclass(frozen=True, slots=True)
class OverdueNight:
    """A night that should be done and is not. ``state`` null: no run of it is known. ``overtaken_by``: a later day that closed."""

    day: date
    due_at: datetime
    state: RunState | None
    overtaken_by: date | None


def overdue_night(runs: Runs, settings: Settings, now: datetime) -> OverdueNight | None:
    """The night that was due last, unless it is done."""
    due = last_due(settings, now)
    if due is None or runs.full_run_of(due[0]) is not None:
        return None
    day, due_at = due
    states = [
        run.state
        for run in runs.list_runs(LOOKED_AT)
        if run.as_of_date == day and run.kind is RunKind.NIGHTLY and run.scope is None and run.base_run_id is None
    ]
    return OverdueNight(day, due_at, states[0] if states else None, overtaken_by(day, settings.exchange, now))


def last_due(settings: Settings, now: datetime) -> tuple[date, datetime] | None:
    """The last trading day whose deadline has passed, and when that was; null: nobody waits for nights, or none was due yet."""
    if settings.night_deadline is None:
        return None
    zone = ZoneInfo(settings.exchange_time_zone)
    today = now.astimezone(zone).date()
    passed = [
        (day, due_at)
        for day in sessions_to(today, settings.exchange, 2)
        if (due_at := deadline(day, settings.night_deadline, zone)) <= now
    ]
    return passed[-1] if passed else None


def deadline(day: date, at: time, zone: ZoneInfo) -> datetime:
    """When the night of a trading day should be done: that evening, or the next morning where the time is before noon."""
    return datetime.combine(day + timedelta(days=at < NOON), at, tzinfo=zone)
