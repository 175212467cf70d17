"""Route: enter the night's proposals in the ledger, to wait for a person or to stand approved by policy."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.enums import Step
from schemas.run import GLOBAL_SHARD, RunRef
from tasks.propose.cut_offs import next_cut_offs
from tasks.runtime import Stores, open_stores, retry_quietly, timed_step, utc_now
from warehouse.ledger import ROUTED


@task(name="route", cache_policy=NO_CACHE, **retry_quietly)
def route_task(run: RunRef) -> None:
    """Enter proposals, and supersede what older runs left undecided or unexported for the accounts pulled."""
    with open_stores() as at, timed_step(at.ledger, run, Step.ROUTE, GLOBAL_SHARD) as step:
        step.rows = route_run(at, run)


def route_run(at: Stores, run: RunRef) -> int:
    """What ``route_task`` does, on stores that are open; the proposals entered."""
    proposals = at.lake.read("proposals", run.run_id, columns=tuple(ROUTED))
    pulled = at.lake.read("scope", run.run_id)["account_id"]
    now = utc_now()
    at.ledger.route_proposals(run.run_id, proposals, pulled, now, next_cut_offs(at.settings, now))
    return proposals.height
