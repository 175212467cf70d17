"""Watch: nights that are late are told of, and started where nothing has; a halt, and a follower of the price stream that fell silent, are told of."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client

from tasks.known import look_after, overdue_night
from tasks.monitor import (
    HALT_KEY,
    LATE_KEY,
    SILENT_KEY,
    announce_halt,
    announce_late,
    announce_silent,
    is_announced,
    silent_follower,
)
from tasks.runtime import Stores, foreseen_as_state, open_stores, private_files


@flow(name="watch")
@foreseen_as_state
def watch() -> int:
    """Look once, and tell of each night, each halt and each silence once; how much was told. Meant to run every quarter of an hour."""
    private_files()
    with open_stores() as at:
        now = datetime.now(UTC)
        return _halt(at) + _silence(at, now) + _night(at, now)


def _night(at: Stores, now: datetime) -> int:
    night = overdue_night(at.ledger.runs, at.settings, now)
    if night is None or is_announced(LATE_KEY, night.day.isoformat()):
        return 0
    with get_client(sync_client=True) as client:
        found = look_after(client, night, ZoneInfo(at.settings.exchange_time_zone))
    if found is None:
        return 0
    get_run_logger().warning("the night of %s is late: %s", night.day, found.sentence)
    announce_late(night, found)
    return 1


def _halt(at: Stores) -> int:
    halt = at.ledger.halts.current_halt()
    if halt is None or is_announced(HALT_KEY, halt.halted_at.isoformat()):
        return 0
    get_run_logger().warning("everything is halted since %s", halt.halted_at)
    announce_halt(halt)
    return 1


def _silence(at: Stores, now: datetime) -> int:
    row = silent_follower(at.ledger.followers, now)
    if row is None or is_announced(SILENT_KEY, row.looked_at_time.isoformat()):
        return 0
    get_run_logger().warning("the follower of the price stream is silent since %s", row.looked_at_time)
    announce_silent(row)
    return 1
