"""Rows of model changes: found, entered, made anew and moved from state to state, each with its row of the audit, inside the caller's transaction."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from schemas.enums import ChangeState
from warehouse.ledger.runs import run_in
from warehouse.ledger.store import Event, RunRow, canonical, in_chunks, insert_columns, model_changes
from warehouse.ledger.store import audit_chain as ledger_audit

NONE: Final = "proposed"
FIGURES: Final = ("nav_usd", "gross_value_usd", "est_tax_usd", "est_cost_usd", "turnover", "order_count", "reason")
"""What a later night says anew of the same change."""


@dataclass(frozen=True, slots=True)
class ChangeMove:
    """A change on its way to another state."""

    change_id: str
    run_id: str
    from_state: str
    detail: str = "{}"


def change_rows(connection: Connection, condition: sa.ColumnElement[bool]) -> list[Row[Any]]:
    """Changes of which something is so, oldest first."""
    query = sa.select(model_changes).where(condition).order_by(model_changes.c.created_at, model_changes.c.change_id)
    return list(connection.execute(query))


def asked_later(connection: Connection, run: RunRow, rows: Sequence[Row[Any]]) -> set[str]:
    """Changes that a run of a later date asked for."""
    dates = {name: run_in(connection, name).as_of_date for name in {row.last_run_id for row in rows}}
    return {row.change_id for row in rows if dates[row.last_run_id] > run.as_of_date}


def change_name(content_hash: str, times: int) -> str:
    """Named by what it is, and how often the same was there before and is over."""
    return hashlib.sha256(f"{content_hash} {times}".encode()).hexdigest()[:16]


def insert_changes(connection: Connection, run: RunRow, new: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Enter changes that wait for a person from now on."""
    if not new:
        return
    born = (
        Event(
            run.submitter,
            "model_change_proposed",
            run.run_id,
            row["change_id"],
            NONE,
            str(ChangeState.PENDING_REVIEW),
            canonical({"content_hash": row["content_hash"]}),
        )
        for row in new
    )
    ledger_audit.append(connection, born, now)
    shared = {"run_id": run.run_id, "submitter": run.submitter, "last_run_id": run.run_id, "created_at": now}
    shared |= {"state": str(ChangeState.PENDING_REVIEW), "state_changed_at": now}
    insert_columns(connection, model_changes, {name: [row[name] for row in new] for name in new[0]}, shared)


def refresh_change(connection: Connection, change_id: str, row: Mapping[str, Any], run_id: str) -> None:
    """What a later run says of the same change, while it waits."""
    values = {name: row[name] for name in FIGURES} | {"last_run_id": run_id}
    # More people than before may be needed where more is traded; fewer never.
    values["approvals_needed"] = sa.case(
        (model_changes.c.approvals_needed < row["approvals_needed"], row["approvals_needed"]),
        else_=model_changes.c.approvals_needed,
    )
    is_waiting = model_changes.c.state == ChangeState.PENDING_REVIEW
    connection.execute(
        sa.update(model_changes).where(model_changes.c.change_id == change_id, is_waiting).values(**values)
    )


def supersede_approved(connection: Connection, row: Row[Any], actor: str, now: datetime) -> None:
    """Close what was in force of the same subject."""
    is_same = (model_changes.c.subject_kind == row.subject_kind) & (model_changes.c.subject_id == row.subject_id)
    over = change_rows(connection, is_same & (model_changes.c.state == ChangeState.APPROVED))
    detail = canonical({"by_change": row.change_id})
    moves = [ChangeMove(one.change_id, one.run_id, one.state, detail) for one in over]
    move_changes(connection, moves, ChangeState.SUPERSEDED, event="superseded", actor=actor, now=now)


def move_changes(
    connection: Connection,
    moves: Sequence[ChangeMove],
    to: ChangeState,
    *,
    event: str,
    actor: str,
    now: datetime,
) -> None:
    """Append one audit row each and change the state of changes."""
    events = (Event(actor, event, one.run_id, one.change_id, one.from_state, str(to), one.detail) for one in moves)
    ledger_audit.append(connection, events, now)
    for some in in_chunks([one.change_id for one in moves]):
        is_one = model_changes.c.change_id.in_(some)
        connection.execute(sa.update(model_changes).where(is_one).values(state=str(to), state_changed_at=now))
