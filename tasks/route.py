"""Route: enter the night's proposals in the ledger, to wait for a person or to stand approved by policy."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.enums import Step
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.settings import load_settings
from tasks.retries import retry_quietly
from tasks.steps import timed_step
from tasks.stores import open_ledger, utc_now
from warehouse.lake import open_lake


@task(cache_policy=NO_CACHE, **retry_quietly)
def route(run: RunRef) -> None:
    """Enter proposals, and supersede what older runs left undecided or unexported for the accounts pulled."""
    settings = load_settings()
    lake, ledger = open_lake(settings), open_ledger(settings)
    with timed_step(ledger, run, Step.ROUTE, GLOBAL_SHARD) as step:
        proposals = lake.read("proposals", run.run_id).sort("account_id")
        pulled = lake.read("scope", run.run_id)["account_id"]
        ledger.route_proposals(run.run_id, proposals, pulled, utc_now())
        step.rows = proposals.height
