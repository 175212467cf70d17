"""Publish: check that the whole night adds up and close the run; then show it in the Prefect UI."""

from collections.abc import Mapping

import polars as pl
from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from schemas.enums import Outcome, Step
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.settings import load_settings
from tasks.core import conservation
from tasks.core.summary import counts_of, exceptions, markdown
from tasks.propose import need_none
from tasks.retries import retry_quietly
from tasks.steps import timed_step
from tasks.stores import open_ledger, utc_now
from warehouse.lake import open_lake


@task(cache_policy=NO_CACHE, **retry_quietly)
def publish(run: RunRef) -> Mapping[str, int]:
    """Close the run; the number of accounts by outcome, of proposals by route and of orders.

    Raises
    ------
    ConservationBroken
        Accounts in are not outcomes out.
    """
    settings = load_settings()
    lake, ledger = open_lake(settings), open_ledger(settings)
    with timed_step(ledger, run, Step.PUBLISH, GLOBAL_SHARD) as step:
        outcomes = lake.read("account_outcomes", run.run_id)
        need_none(
            "accounts without exactly one outcome",
            conservation.unaccounted(lake.read("scope", run.run_id)["account_id"], outcomes),
        )
        proposals = lake.read("proposals", run.run_id)
        counts = counts_of(outcomes, proposals)
        ledger.finish_run(run.run_id, counts, utc_now())
        step.rows = outcomes.height
    return counts


def show(run: RunRef, counts: Mapping[str, int]) -> None:
    """The summary and the table of exceptions as Prefect artifacts."""
    settings = load_settings()
    lake = open_lake(settings)
    outcomes, proposals = (lake.read(table, run.run_id) for table in ("account_outcomes", "proposals"))
    steps = open_ledger(settings).step_rows(run.run_id)
    seconds = {step: sum(row.seconds for row in steps if row.step == step) for step in Step}
    rows = {step: sum(row.rows for row in steps if row.step == step) for step in Step}
    create_markdown_artifact(
        markdown(run, counts, proposals, seconds, rows), key="night-summary", description=run.run_id
    )
    listed = exceptions(outcomes.filter(pl.col("outcome") != Outcome.IN_BAND))
    create_table_artifact(
        listed.to_dicts(), key="night-exceptions", description=f"{run.run_id}: accounts not traded, by reason"
    )
