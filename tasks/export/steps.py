"""The steps of the flow ``release``, and what they show in the Prefect UI: counts and places, no accounts."""

import re
from collections.abc import Sequence

import polars as pl
from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from schemas.errors import Terminal
from schemas.events import EventName
from tasks.export.deliver import DeliveryResult
from tasks.export.export_all import ExportedRuns
from tasks.export.release import deliver_exported, export_approved
from tasks.runtime import current_settings, give_notice, retry_quietly


@task(name="export_step", cache_policy=NO_CACHE, **retry_quietly)
def export_task(run_id: str | None, custodians: Sequence[str]) -> int:
    """Export what is approved; how many exports were made.

    Raises
    ------
    Terminal
        A run could not be exported; the others were.
    """
    done = export_approved(current_settings(), run_id, custodians)
    _show_exports(done)
    for notice in done.notices:
        give_notice(notice)
    if done.problems:
        raise Terminal(_without_names("\n\n".join(done.problems)))
    return len(done.results)


@task(name="deliver_step", cache_policy=NO_CACHE, **retry_quietly)
def deliver_task(run_id: str | None) -> list[str]:
    """Deliver what is exported; a sentence for each place that does not have all of it."""
    done = deliver_exported(current_settings(), run_id)
    _show_deliveries(done)
    return [f"{one.export_id} is not delivered to {one.name}: {one.told}" for one in done if one.problem]


def _without_names(problem: str) -> str:
    """Problems of exports without the names of accounts' files; the command tells them whole."""
    return re.sub(r"\b(accounts|lots)/[A-Za-z0-9._-]+", r"\1/...", problem)


def _show_exports(done: ExportedRuns) -> None:
    for result in done.results:
        payload = {
            "run_id": result.run_id,
            "export_id": result.export_id,
            "accounts": result.account_count,
            "orders": result.order_count,
            "manifest_sha256": result.manifest_sha256,
        }
        emit_event(
            EventName.EXPORTED, resource={"prefect.resource.id": f"trimtab.run.{result.run_id}"}, payload=payload
        )
    if done.results:
        rows = [
            {
                "export": one.export_id,
                "accounts": one.account_count,
                "orders": one.order_count,
                "folder": str(one.folder),
            }
            for one in done.results
        ]
        create_table_artifact(rows, key="exports", description="Exported now")
    if done.held_back.height:
        kinds = done.held_back.with_columns(pl.col("reason").str.replace("^(fills_not_shown):.*", "${1}"))
        reasons = kinds.group_by("run_id", "reason").agg(proposals=pl.len()).sort("run_id", "reason")
        create_table_artifact(reasons.to_dicts(), key="held-back", description="Approved, and not exported")
        for run_id, count in done.held_back["run_id"].value_counts().sort("run_id").iter_rows():
            emit_event(
                EventName.EXPORT_HELD_BACK,
                resource={"prefect.resource.id": f"trimtab.run.{run_id}"},
                payload={"proposals": count},
            )


def _show_deliveries(done: Sequence[DeliveryResult]) -> None:
    if not done:
        return
    rows = [
        {"export": one.export_id, "place": one.name, "files": one.file_count, "problem": one.told or ""} for one in done
    ]
    create_table_artifact(rows, key="deliveries", description="Delivered now, and what is still to come")
    for one in done:
        name = EventName.DELIVERED if one.problem is None else EventName.DELIVERY_FAILED
        payload = {"export_id": one.export_id, "files": one.file_count, "problem": one.told}
        emit_event(name, resource={"prefect.resource.id": f"trimtab.place.{one.name}"}, payload=payload)
