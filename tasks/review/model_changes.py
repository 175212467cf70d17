"""Model changes for people: found by the beginning of their names, decided, and what profiles need a person for."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import polars as pl

from schemas.enums import ChangeState, RunKind, RunState
from schemas.errors import WrongUsage
from schemas.tables import PUBLIC
from tasks.review.review import MIN_PREFIX
from warehouse.lake import Lake
from warehouse.ledger import Decision, ModelChanges, Runs


def find_change(changes: ModelChanges, name: str) -> dict[str, Any]:
    """A model change given in full or by a beginning of at least ``MIN_PREFIX`` characters.

    Raises
    ------
    WrongUsage
        The beginning is too short, unknown, or shared by several.
    """
    if len(name) < MIN_PREFIX:
        raise WrongUsage(f"{name!r} is too short; name a model change by at least {MIN_PREFIX} characters")
    known = changes.model_changes()
    found = known.filter(pl.col("change_id").str.starts_with(name)).to_dicts()
    if not found:
        raise WrongUsage(f"there is no model change {name}\n\nHint: `trimtab changes list` shows those that wait.")
    if len(found) > 1:
        raise WrongUsage(f"{name} is the beginning of several model changes, {found[0]['change_id']} among them")
    return found[0]


def decide_changes(
    changes: ModelChanges, names: Iterable[str], decision: Decision, *, actor: str, now: datetime, note: str = ""
) -> dict[str, ChangeState]:
    """Decide model changes given by name, as they stand, all or none. See ``ModelChanges.decide_changes``."""
    rows = [find_change(changes, name) for name in names]
    seen = {row["change_id"]: row["content_hash"] for row in rows}
    return changes.decide_changes(seen, decision=decision, actor=actor, now=now, note=note)


def newest_findings(lake: Lake, runs: Runs) -> tuple[str, pl.DataFrame]:
    """The newest night that is done, and its table ``profile_findings``; no night: no findings.

    Raises
    ------
    WrongUsage
        No night is done yet.
    """
    done = [row for row in runs.list_runs(None) if row.kind is RunKind.NIGHTLY and row.state is RunState.DONE]
    if not done:
        raise WrongUsage("no night is done yet\n\nHint: `trimtab nightly --as-of DATE` runs one.")
    newest = max(done, key=lambda row: (row.as_of_date, row.started_at))
    found = lake.read("profile_findings", newest.run_id)
    return newest.run_id, found.select(PUBLIC["profile_findings"].keys()).sort(pl.all())
