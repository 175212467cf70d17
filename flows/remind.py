"""Reminders: shortly before a custodian's cut-off, of what still waits for a person."""

from datetime import UTC, datetime

from prefect import flow, get_run_logger

from tasks.monitor import remind as give_reminders
from tasks.runtime import foreseen_as_state, open_stores, private_files


@flow(name="remind")
@foreseen_as_state
def remind() -> int:
    """Remind of each cut-off once; how many reminders were given. Meant to run every few minutes of the session."""
    private_files()
    with open_stores() as at:
        given = give_reminders(at, datetime.now(UTC))
    for one in given:
        get_run_logger().warning(
            "%d proposals wait for a person before a cut-off at %s", one.waiting, one.cut_off_at.isoformat()
        )
    return len(given)
