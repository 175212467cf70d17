"""The step of the flow ``reconcile``, and what it shows in the Prefect UI: counts and amounts, no accounts."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import polars as pl
from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from schemas.events import EventName
from tasks.reconcile.execution_files import ExecutionFileResult, reconcile_new, reconcile_one
from tasks.reconcile.reconcile import open_breaks
from tasks.runtime import current_settings, open_ledger, retry_quietly, utc_now
from warehouse.ledger import AnswerGrace


@task(name="reconcile_step", cache_policy=NO_CACHE, **retry_quietly)
def reconcile_task(path: str | None, source: str, fmt: str) -> list[str]:
    """Take in one file, or every new one of the settings' sources; a sentence for each thing that a person must look at."""
    settings = current_settings()
    if path is None:
        found = reconcile_new(settings)
    else:
        done = reconcile_one(settings, Path(path), source=source, fmt=fmt or None)
        found = [ExecutionFileResult(done.source, Path(path).name, done, None)]
    _show(found)
    with closing(open_ledger(settings)) as ledger:
        now = utc_now()
        breaks = open_breaks(ledger.answers, now, AnswerGrace.of(settings, now))
    _show_breaks(breaks)
    return [*_problem_sentences(found)]


def _problem_sentences(found: Sequence[ExecutionFileResult]) -> list[str]:
    """What is wrong with files, and how many alarms each raised: the accounts are for the console and the command."""
    said = [f"{one.name} of {one.source} was refused: {one.problem}" for one in found if one.problem]
    for one in found:
        if one.done is not None and one.done.alarms.height:
            codes = one.done.alarms["code"].value_counts().sort("code")
            counts = ", ".join(f"{count} {code}" for code, count in codes.iter_rows())
            said.append(f"{one.name} of {one.source} is alarming: {counts}\n\nHint: look at `trimtab reconcile`.")
    return said


def _show(found: Sequence[ExecutionFileResult]) -> None:
    rows = [
        {
            "source": one.source,
            "file": one.name,
            "records": 0 if one.done is None else one.done.row_count,
            "taken": 0 if one.done is None else one.done.taken,
            "set aside": 0 if one.done is None else one.done.aside.height,
            "alarms": 0 if one.done is None else one.done.alarms.height,
            "problem": (one.problem or "").split("\n", maxsplit=1)[0],
        }
        for one in found
    ]
    if rows:
        create_table_artifact(rows, key="execution-files", description="Files of executions taken in now")
    for one in found:
        resource = {"prefect.resource.id": f"trimtab.executions.{one.source}"}
        if one.problem:
            emit_event(
                EventName.EXECUTIONS_REFUSED, resource=resource, payload={"file": one.name, "problem": one.problem}
            )
        elif one.done is not None and one.done.alarms.height:
            counts = dict(one.done.alarms["code"].value_counts().sort("code").iter_rows())
            emit_event(EventName.FILL_ALARM, resource=resource, payload={"file": one.name, "alarms": counts})


def _show_breaks(breaks: pl.DataFrame) -> None:
    sums = breaks.group_by("code", "custodian").agg(
        orders=pl.len(), amount_usd=pl.col("amount_usd").sum().cast(pl.String), oldest_days=pl.col("age_days").max()
    )
    create_table_artifact(
        sums.sort("code", "custodian").to_dicts(),
        key="open-breaks",
        description="Orders that are not filled as they left",
    )
