"""``trimtab changes``: model changes that investors' profiles ask for, and what a person has to look at first."""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated, Final

import polars as pl
import typer

from flows.commands.terminal import Json, notice, print_frame, print_json, print_table
from schemas.enums import ChangeState
from tasks.review import decide_changes, find_change, newest_findings
from tasks.runtime import current_actor, open_ledger, settings_of_a_home
from warehouse.lake import open_lake
from warehouse.ledger import Decision

app = typer.Typer(
    no_args_is_help=True,
    help="Look at models that profiles ask for, approve or reject them. An approved one is the model from the next night on.",
)

Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Changes, or the first 6 characters or more.")]
Note = Annotated[str, typer.Option("--note", help="Why; recorded with the decision.")]
In = Annotated[
    list[ChangeState] | None, typer.Option("--state", help="In these states; those that wait where none is given.")
]
LISTED: Final = (
    "change_id",
    "subject_kind",
    "subject_id",
    "from_model_id",
    "to_model_id",
    "est_tax_usd",
    "est_cost_usd",
    "turnover",
    "order_count",
    "approvals_needed",
    "state",
)


@app.command("list")
def list_(state: In = None, *, is_json: Json = False) -> None:
    """Show the model changes that wait for review, with the tax and the cost of the move; the largest trades first."""
    with closing(open_ledger(settings_of_a_home())) as ledger:
        found = ledger.model_changes.model_changes(*(state or [ChangeState.PENDING_REVIEW]))
    if is_json:
        print_json(found.to_dicts())
        return
    shown = found.select(LISTED).with_columns(
        pl.col("est_tax_usd", "est_cost_usd").round(2), pl.col("turnover").round(4)
    )
    print_frame(f"{found.height:,} model changes", shown)


@app.command()
def show(change: Annotated[str, typer.Argument(metavar="ID")], *, is_json: Json = False) -> None:
    """Show one model change with its reason and what was decided."""
    with closing(open_ledger(settings_of_a_home())) as ledger:
        found = find_change(ledger.model_changes, change)
        said = ledger.model_changes.decisions_of(found["change_id"])
    if is_json:
        decisions = [dict(zip(("decided_at", "actor", "decision", "note"), one, strict=True)) for one in said]
        print_json({"change": found, "decisions": decisions})
        return
    print_table(f"Model change {found['change_id']}", ("what", "value"), found.items())
    if said:
        print_table("Decisions", ("decided_at", "actor", "decision", "note"), said)


@app.command()
def findings(*, is_json: Json = False) -> None:
    """Show the profiles that a person has to look at before they lead to a model, as of the newest night."""
    settings = settings_of_a_home()
    with closing(open_ledger(settings)) as ledger:
        run_id, found = newest_findings(open_lake(settings), ledger.runs)
    if is_json:
        print_json(found.to_dicts())
        return
    print_frame(f"{found.height:,} findings of {run_id}", found)


@app.command()
def approve(ids: Ids, note: Note = "", *, is_json: Json = False) -> None:
    """Approve model changes; all of them or, if one cannot be, none."""
    _decide(ids, Decision.APPROVE, note, is_json=is_json)


@app.command()
def reject(ids: Ids, note: Note = "", *, is_json: Json = False) -> None:
    """Reject model changes; needs a note. The same is not asked for again until the profile changes."""
    _decide(ids, Decision.REJECT, note, is_json=is_json)


@app.command()
def withdraw(ids: Ids, note: Note = "", *, is_json: Json = False) -> None:
    """Take approvals back; needs a note. From the next night on the source's own model stands."""
    _decide(ids, Decision.WITHDRAW, note, is_json=is_json)


def _decide(ids: Sequence[str], decision: Decision, note: str, *, is_json: bool) -> None:
    with closing(open_ledger(settings_of_a_home())) as ledger:
        states = decide_changes(
            ledger.model_changes, ids, decision, actor=current_actor(), now=datetime.now(UTC), note=note
        )
    if is_json:
        print_json({"decision": decision, "states": states})
        return
    print_table(f"{decision}: {len(states):,} model changes", ("change", "state now"), states.items())
    waiting = sum(state is ChangeState.PENDING_REVIEW for state in states.values())
    if decision is Decision.APPROVE and waiting:
        notice(f"{waiting:,} still waiting for a second person's approval.")
