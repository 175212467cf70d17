"""Model changes: entering what a night asks for, deciding, and which are in force.

1. A change is named by what it is: whose, from which model to which, and on what profile. The next night that asks for the same finds it again and only
   its figures are new; one that was rejected stays rejected until the profile changes.
2. A pending change that a later night no longer asks for is superseded. One that was approved stays in force until the source says another model
   than it was from, or another change of the same account is approved.
3. Who decides, and how many must, is as for proposals: a reviewer, never the submitter of the run, never one person twice.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from schemas.enums import ChangeState, Role
from schemas.errors import DecisionRefused
from schemas.tables import USD
from warehouse.ledger.access import need_role
from warehouse.ledger.review.change_moves import (
    ChangeMove,
    asked_later,
    change_name,
    change_rows,
    insert_changes,
    move_changes,
    refresh_change,
    supersede_approved,
)
from warehouse.ledger.review.decisions import NOTES, Said, refuse
from warehouse.ledger.review.proposals import MOMENT, to_frame
from warehouse.ledger.runs import run_in
from warehouse.ledger.store import (
    Decision,
    Event,
    Store,
    canonical,
    change_decisions,
    in_chunks,
    insert_columns,
    model_changes,
)
from warehouse.ledger.store import audit_chain as ledger_audit

COLUMNS: Final[dict[str, pl.DataType]] = {
    **{
        name: pl.String()
        for name in (
            "change_id",
            "content_hash",
            "run_id",
            "submitter",
            "subject_kind",
            "subject_id",
            "household_id",
            "investor_id",
            "from_model_id",
            "to_model_id",
        )
    },
    "current_rung": pl.Int64(),
    "to_rung": pl.Int64(),
    "reason": pl.String(),
    "nav_usd": USD,
    "gross_value_usd": USD,
    "est_tax_usd": USD,
    "est_cost_usd": USD,
    "turnover": pl.Float64(),
    "order_count": pl.Int64(),
    "approvals_needed": pl.Int64(),
    "state": pl.String(),
    "last_run_id": pl.String(),
    "created_at": MOMENT,
    "state_changed_at": MOMENT,
}
"""What a model change is in the ledger."""
ASKED: Final = tuple(
    name
    for name in COLUMNS
    if name not in {"change_id", "run_id", "submitter", "state", "last_run_id", "created_at", "state_changed_at"}
)
"""What ``enter_changes`` reads."""
IN_FORCE: Final[dict[str, pl.DataType]] = {
    name: COLUMNS[name] for name in ("change_id", "subject_kind", "subject_id", "from_model_id", "to_model_id")
}
"""What a night reads of a change; the lake's table ``changed_models``."""
FROM: Final[Mapping[Decision, ChangeState]] = {
    Decision.APPROVE: ChangeState.PENDING_REVIEW,
    Decision.REJECT: ChangeState.PENDING_REVIEW,
    Decision.WITHDRAW: ChangeState.APPROVED,
}
"""What can be said of a change, and what it must be."""
TO: Final[Mapping[Decision, ChangeState]] = {
    Decision.APPROVE: ChangeState.APPROVED,
    Decision.REJECT: ChangeState.REJECTED,
    Decision.WITHDRAW: ChangeState.WITHDRAWN,
}
SETTLED: Final = (ChangeState.PENDING_REVIEW, ChangeState.APPROVED, ChangeState.REJECTED)
"""States in which a change that is asked for again stays as it is."""
OPEN: Final = (ChangeState.PENDING_REVIEW, ChangeState.APPROVED)
SUBJECT: Final = ("subject_kind", "subject_id")


class ModelChanges(Store):
    """Entering, deciding and reading model changes."""

    def enter_changes(self, run_id: str, asked: pl.DataFrame, judged: pl.DataFrame, now: datetime) -> int:
        """Enter what a run asks for (``ASKED``), and supersede what waits of the subjects ``judged`` and is not asked for; how many are new.

        Done again it changes nothing. A run that is older than the one which asked last supersedes nothing.
        """
        looked, same = set(judged.select(SUBJECT).iter_rows()), set(asked["content_hash"])
        with self.writing() as connection:
            run = run_in(connection, run_id)
            waiting = change_rows(connection, model_changes.c.state == ChangeState.PENDING_REVIEW)
            later = asked_later(connection, run, waiting)
            over = [
                row
                for row in waiting
                if _subject(row) in looked and row.content_hash not in same and row.change_id not in later
            ]
            detail = canonical({"by_run": run_id})
            moves = [ChangeMove(row.change_id, row.run_id, row.state, detail) for row in over]
            move_changes(connection, moves, ChangeState.SUPERSEDED, event="superseded", actor=run.submitter, now=now)
            taken = {_subject(row) for row in waiting} - {_subject(row) for row in over}
            before = _by_content(connection, same)
            new = []
            for row in asked.select(ASKED).sort(SUBJECT).iter_rows(named=True):
                earlier = before.get(row["content_hash"], [])
                settled = [one for one in earlier if one.state in SETTLED]
                if settled:
                    refresh_change(connection, settled[0].change_id, row, run_id)
                elif (row["subject_kind"], row["subject_id"]) not in taken:
                    new.append({**row, "change_id": change_name(row["content_hash"], len(earlier))})
            insert_changes(connection, run, new, now)
        return len(new)

    def decide_changes(
        self,
        seen: Mapping[str, str | None],
        *,
        decision: Decision,
        actor: str,
        now: datetime,
        note: str = "",
    ) -> dict[str, ChangeState]:
        """Record what a person said of some changes, all or none; the state of each afterwards.

        ``seen``: the content hash that the person saw, by change; null: as it stands.

        Raises
        ------
        DecisionRefused
            A role or a note is missing, or a change is unknown, in another state, not what was seen, submitted by the actor, or approved by
            them already. Nothing was decided.
        """
        with self.writing() as connection:
            need_role(connection, actor, Role.REVIEWER)
            if decision not in FROM:
                raise DecisionRefused(f"a model change is approved, rejected or withdrawn, not {decision}")
            if (decision in NOTES or decision is Decision.WITHDRAW) and not note.strip():
                raise DecisionRefused(NOTES.get(decision, "a withdrawal needs a note that says why"))
            found = {row.change_id: row for row in _named(connection, seen)}
            approvers = _approvers(connection, found)
            problems = [
                f"{one} {problem}"
                for one, content in seen.items()
                if (problem := _problem(found.get(one), content, decision, actor, approvers))
            ]
            refuse(problems, len(seen), what="model changes")
            return _record(connection, [found[one] for one in seen], Said(actor, decision, note, now), approvers)

    def take_over(self, run_id: str, subjects: pl.DataFrame, now: datetime) -> int:
        """Close approved changes whose source says another model than they were from; how many.

        ``subjects``: ``subject_kind, subject_id, model_id``, as the source of the run says.
        """
        says = {(kind, subject): model for kind, subject, model in subjects.iter_rows()}
        with self.writing() as connection:
            run = run_in(connection, run_id)
            rows = change_rows(connection, model_changes.c.state == ChangeState.APPROVED)
            newer = asked_later(connection, run, rows)
            moves = [
                ChangeMove(row.change_id, row.run_id, row.state, canonical({"by_run": run_id, "model_id": said}))
                for row in rows
                if (said := says.get((row.subject_kind, row.subject_id))) is not None
                and said != row.from_model_id
                and row.change_id not in newer
            ]
            move_changes(connection, moves, ChangeState.TAKEN_OVER, event="taken_over", actor=run.submitter, now=now)
        return len(moves)

    def has_open_changes(self) -> bool:
        """Whether any change waits, or is in force."""
        query = sa.select(model_changes.c.change_id).where(model_changes.c.state.in_(OPEN)).limit(1)
        with self.reading() as connection:
            return connection.scalar(query) is not None

    def changes_in_force(self) -> pl.DataFrame:
        """``IN_FORCE``: approved changes, sorted; those back to the model that the source has change nothing and are left out."""
        is_so = (model_changes.c.state == ChangeState.APPROVED) & (
            model_changes.c.from_model_id != model_changes.c.to_model_id
        )
        query = sa.select(*model_changes.c[tuple(IN_FORCE)]).where(is_so)
        with self.reading() as connection:
            return to_frame(connection.execute(query).all(), IN_FORCE).sort(SUBJECT)

    def model_changes(self, *states: ChangeState) -> pl.DataFrame:
        """Model changes in some states, all where none is named; the most expensive first."""
        wanted = model_changes.c.state.in_(states) if states else sa.true()
        query = sa.select(*model_changes.c[tuple(COLUMNS)]).where(wanted)
        with self.reading() as connection:
            found = to_frame(connection.execute(query).all(), COLUMNS)
        return found.sort("gross_value_usd", "change_id", descending=[True, False])

    def decisions_of(self, change_id: str) -> list[tuple[datetime, str, str, str]]:
        """When, who, what and why was said of a change, oldest first."""
        columns = change_decisions.c["decided_at", "actor", "decision", "note"]
        query = sa.select(*columns).where(change_decisions.c.change_id == change_id)
        with self.reading() as connection:
            return [tuple(row) for row in connection.execute(query.order_by(change_decisions.c.decision_id))]


def _subject(row: Row[Any]) -> tuple[str, str]:
    return row.subject_kind, row.subject_id


def _by_content(connection: Connection, contents: Collection[str]) -> dict[str, list[Row[Any]]]:
    """Changes by what they are: the same may have been there before, and be over."""
    found: dict[str, list[Row[Any]]] = {}
    for some in in_chunks(sorted(contents)):
        for row in change_rows(connection, model_changes.c.content_hash.in_(some)):
            found.setdefault(row.content_hash, []).append(row)
    return found


def _named(connection: Connection, change_ids: Iterable[str]) -> list[Row[Any]]:
    return [
        row
        for some in in_chunks(sorted(change_ids))
        for row in change_rows(connection, model_changes.c.change_id.in_(some))
    ]


def _approvers(connection: Connection, change_ids: Collection[str]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = dict.fromkeys(change_ids, frozenset())
    for some in in_chunks(sorted(change_ids)):
        is_approval = change_decisions.c.change_id.in_(some) & (change_decisions.c.decision == Decision.APPROVE)
        for change_id, actor in connection.execute(
            sa.select(*change_decisions.c["change_id", "actor"]).where(is_approval)
        ):
            found[change_id] |= {actor}
    return found


def _problem(
    row: Row[Any] | None,
    content: str | None,
    decision: Decision,
    actor: str,
    approvers: Mapping[str, frozenset[str]],
) -> str | None:
    """Why the decision cannot be taken; null if it can."""
    if row is None:
        return "is no model change"
    if row.state != FROM[decision]:
        return f"is {row.state}; to {decision} it, it must be {FROM[decision]}"
    if content not in {None, row.content_hash}:
        return "has changed since it was looked at; look again"
    if decision is Decision.APPROVE and actor == row.submitter:
        return f"was submitted by {actor}; another person must approve it"
    if decision is Decision.APPROVE and actor in approvers[row.change_id]:
        return f"was already approved by {actor}; a second person is needed"
    return None


def _record(
    connection: Connection, rows: Sequence[Row[Any]], said: Said, approvers: Mapping[str, frozenset[str]]
) -> dict[str, ChangeState]:
    """Insert the decisions, move what moves, audit all."""
    kept = {name: [getattr(row, name) for row in rows] for name in ("change_id", "content_hash", "submitter")}
    shared = {"actor": said.actor, "decision": str(said.decision), "note": said.note, "decided_at": said.now}
    insert_columns(connection, change_decisions, kept, shared)
    after: dict[str, ChangeState] = {}
    for row in rows:
        detail = canonical({"note": said.note, "content_hash": row.content_hash})
        is_enough = said.decision is not Decision.APPROVE or len(approvers[row.change_id]) + 1 >= row.approvals_needed
        to = TO[said.decision] if is_enough else ChangeState(row.state)
        after[row.change_id] = to
        if not is_enough:
            event = Event(said.actor, str(said.decision), row.run_id, row.change_id, row.state, row.state, detail)
            ledger_audit.append(connection, [event], said.now)
            continue
        if to is ChangeState.APPROVED:
            supersede_approved(connection, row, said.actor, said.now)
        moved = [ChangeMove(row.change_id, row.run_id, row.state, detail)]
        move_changes(connection, moved, to, event=str(said.decision), actor=said.actor, now=said.now)
    return after
