"""Enter the night's proposals in the ledger, to wait for a person or to stand approved by policy, each with its cut-off.

A cut-off is when a custodian's orders must have left, on the days that the exchange trades.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.enums import Step
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.settings import Settings
from tasks.propose.model_changes import enter_changes
from tasks.runtime import Session, Stores, open_stores, retry_quietly, sessions_from, timed_step, utc_now
from warehouse.ledger import ROUTED


@task(name="route", cache_policy=NO_CACHE, **retry_quietly)
def route_task(run: RunRef) -> None:
    """Enter proposals, and supersede what older runs left undecided or unexported for the accounts pulled."""
    with open_stores() as at, timed_step(at.ledger.locks, at.ledger.runs, run, Step.ROUTE, GLOBAL_SHARD) as step:
        step.rows = route_run(at, run)


def route_run(at: Stores, run: RunRef) -> int:
    """What ``route_task`` does, on stores that are open; the proposals entered."""
    proposals = at.lake.read("proposals", run.run_id, columns=tuple(ROUTED))
    pulled = at.lake.read("scope", run.run_id)["account_id"]
    now = utc_now()
    at.ledger.proposals.route_proposals(run.run_id, proposals, pulled, now, next_cut_offs(at.settings, now))
    enter_changes(at, run)
    return proposals.height


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
