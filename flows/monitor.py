"""Monitor: one look at drift on fresh prices within the session; what is newly out of band starts a run of its own."""

from datetime import UTC, date, datetime
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run as this_run
from prefect.states import Completed

from tasks.monitor import MonitorResult, has_night, monitor_task
from tasks.runtime import current_settings, foreseen_as_state, private_files, session_at


@flow(name="monitor", validate_parameters=False)
@foreseen_as_state
def monitor(as_of: date | str | None = None) -> MonitorResult | State[Any]:
    """One look. Without ``as_of`` it is of the session that the scheduled moment is in.

    It is skipped then outside of a session, and until the first night is done.
    """
    private_files()
    exchange = current_settings().exchange
    given = date.fromisoformat(as_of) if isinstance(as_of, str) else as_of
    day = given or session_at(_moment(), exchange)
    if day is None:
        return Completed(name="Skipped", message=f"{exchange} does not trade now")
    if given is None and not has_night(day):
        return Completed(name="Skipped", message=f"no night up to {day} is done yet")
    told = monitor_task(day)
    get_run_logger().info(
        "%d accounts looked at, %d out of band, %d newly", told.looked_at, told.out_of_band, told.newly
    )
    return told


def _moment() -> datetime:
    due = this_run.scheduled_start_time
    return due if isinstance(due, datetime) else datetime.now(UTC)
