"""Publish: check that the whole night adds up and close the run; then show it in the Prefect UI."""

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl
from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from schemas.enums import Outcome, Step
from schemas.run import GLOBAL_SHARD, RunRef
from tasks.core.drift import chart, drift_counts
from tasks.core.explain import counts_of, exceptions, markdown, timings
from tasks.core.gate import behind_sentence, trace
from tasks.core.propose import conservation
from tasks.propose.solving import need_none
from tasks.runtime import Stores, open_stores, retry_quietly, timed_step, utc_now, write_anchor
from warehouse.ledger import StepRow

TOGETHER: Final = (
    "Accounts are counted one by one. Those that are managed together as a household may each drift further while the "
    "household drifts less."
)


@task(name="publish", cache_policy=NO_CACHE, **retry_quietly)
def publish_task(run: RunRef) -> Mapping[str, int]:
    """Close the run; the number of accounts by outcome, of proposals by route and of orders.

    Raises
    ------
    ConservationBroken
        Accounts in are not outcomes out.
    AuditBroken
        The audit chain does not fit its anchor; the run is closed, and nothing of it leaves.
    """
    with open_stores() as at, timed_step(at.ledger.locks, at.ledger.runs, run, Step.PUBLISH, GLOBAL_SHARD) as step:
        outcomes = at.lake.read("account_outcomes", run.run_id)
        need_none(
            "accounts without exactly one outcome",
            conservation.outcome_gaps(at.lake.read("scope", run.run_id)["account_id"], outcomes),
        )
        counts = counts_of(outcomes, at.lake.read("proposals", run.run_id))
        at.ledger.runs.finish_run(run.run_id, counts, utc_now())
        step.rows = outcomes.height
        write_anchor(at.settings, at.ledger.audit, f"run {run.run_id}")
    return counts


def show_run(run: RunRef, counts: Mapping[str, int]) -> None:
    """The summary, the exceptions, the timings and the chart of drift as Prefect artifacts."""
    with open_stores() as at:
        outcomes, proposals = (at.lake.read(table, run.run_id) for table in ("account_outcomes", "proposals"))
        drift = at.lake.read("account_drift", run.run_id, columns=("account_id", "one_way_drift"))
        steps = at.ledger.runs.step_rows(run.run_id)
        causes = causes_section(at, run) if counts[Outcome.QUARANTINED] else ""
    seconds = {step: sum(row.seconds for row in steps if row.step == step) for step in Step}
    rows = {step: sum(row.rows for row in steps if row.step == step) for step in Step}
    said = markdown(run, counts, proposals, seconds, rows)
    create_markdown_artifact(f"{said}{causes}", key="night-summary", description=run.run_id)
    listed = exceptions(run, outcomes.filter(pl.col("outcome") != Outcome.IN_BAND))
    create_table_artifact(
        listed.to_dicts(),
        key="night-exceptions",
        description=f"{run.run_id}: accounts not traded, by reason; the command lists them, and `trimtab explain ACCOUNT` tells why",
    )
    create_table_artifact(
        timings(_steps(steps)).to_dicts(),
        key="night-timings",
        description=f"{run.run_id}: seconds of work by step, then by shard, the slowest first",
    )
    page = f"# Drift of {run.run_id}, before and after its trades\n\n{chart(drift_counts(drift, proposals))}\n\n{TOGETHER}\n"
    create_markdown_artifact(page, key="night-drift", description=run.run_id)


def causes_section(at: Stores, run: RunRef) -> str:
    """What stands behind the accounts quarantined, for the summary; names no account."""
    stopped = at.lake.read("gate", run.run_id).filter(outcome=str(Outcome.QUARANTINED))
    return f"\n\nQuarantined: {behind_sentence(trace(at.lake.read('quarantine', run.run_id), stopped))}"


def _steps(rows: Sequence[StepRow]) -> pl.DataFrame:
    """``step, shard, rows, seconds``."""
    schema = {"step": pl.String, "shard": pl.Int64, "rows": pl.Int64, "seconds": pl.Float64}
    return pl.DataFrame([(str(row.step), row.shard, row.rows, row.seconds) for row in rows], schema, orient="row")
