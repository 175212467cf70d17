"""Decisions by people: checked in words here, and once more by the constraints of the table.

All or nothing: one proposal that cannot be decided refuses the whole batch, and says which and why.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from schemas.enums import ProposalState, Role
from schemas.errors import DecisionRefused
from warehouse import ledger_audit
from warehouse.ledger_audit import Event, canonical
from warehouse.ledger_proposals import Move, Proposals, move, rows_in
from warehouse.ledger_store import in_chunks, insert_columns
from warehouse.ledger_tables import decisions, proposals
from warehouse.ledger_users import need_role
from warehouse.ledger_words import Decision

NEEDED_STATE: Final = {
    Decision.APPROVE: ProposalState.PENDING_REVIEW,
    Decision.REJECT: ProposalState.PENDING_REVIEW,
    Decision.HOLD: ProposalState.PENDING_REVIEW,
    Decision.WITHDRAW: ProposalState.APPROVED,
}
"""What a proposal must be for each decision."""
NEXT_STATE: Final = {
    Decision.REJECT: ProposalState.REJECTED,
    Decision.WITHDRAW: ProposalState.WITHDRAWN,
}
"""Where one decision is enough to lead; a hold leads nowhere, an approval depends on how many are needed."""
NOBODY: Final[frozenset[str]] = frozenset()
NAMED: Final = 5
"""How many refused proposals a message names."""


@dataclass(frozen=True, slots=True)
class Said:
    """A decision before it is recorded."""

    actor: str
    decision: Decision
    note: str
    now: datetime


def _problem(row: Row[Any] | None, said: Said, seen_hash: str | None, approvers: frozenset[str]) -> str | None:
    """Why the decision cannot be taken; null if it can."""
    if row is None:
        return "is no proposal"
    if row.state != NEEDED_STATE[said.decision]:
        return f"is {row.state}; to {said.decision} it, it must be {NEEDED_STATE[said.decision]}"
    if row.export_id is not None:
        return f"is being exported in {row.export_id}"
    if seen_hash != row.content_hash:
        return "has changed since it was looked at; look again"
    return _approver_problem(row, said, approvers) if said.decision is Decision.APPROVE else None


def _approver_problem(row: Row[Any], said: Said, approvers: frozenset[str]) -> str | None:
    if said.actor == row.submitter:
        return f"was submitted by {said.actor}; another person must approve it"
    if said.actor in approvers:
        return f"was already approved by {said.actor}; a second person is needed"
    return None


def _approvers(connection: Connection, rows: Mapping[str, Row[Any]]) -> dict[str, frozenset[str]]:
    """Who approved each proposal as it stands now."""
    found: dict[str, frozenset[str]] = {}
    for some in in_chunks(list(rows)):
        is_approval = decisions.c.proposal_id.in_(some) & (decisions.c.decision == Decision.APPROVE)
        columns = decisions.c["proposal_id", "content_hash", "actor"]
        for proposal_id, content_hash, actor in connection.execute(sa.select(*columns).where(is_approval)):
            if content_hash == rows[proposal_id].content_hash:
                found[proposal_id] = found.get(proposal_id, frozenset()) | {actor}
    return found


def refuse(problems: list[str], total: int) -> None:
    """Say which of the proposals cannot be decided, and why; nothing if there is no problem.

    Raises
    ------
    DecisionRefused
        There is a problem.
    """
    if problems:
        more = f"\nand {len(problems) - NAMED} more" if len(problems) > NAMED else ""
        listed = "\n".join(problems[:NAMED])
        raise DecisionRefused(f"nothing was done, because of {len(problems)} of {total} proposals:\n{listed}{more}")


def _next_state(decision: Decision, row: Row[Any], approvers: frozenset[str]) -> ProposalState | None:
    """The state that the decision leads to; null: it stays where it is."""
    if decision is Decision.APPROVE:
        return ProposalState.APPROVED if len(approvers) + 1 >= row.approvals_needed else None
    return NEXT_STATE.get(decision)


class Decisions(Proposals):
    """Deciding."""

    def decide(
        self,
        proposal_ids: Iterable[str],
        *,
        decision: Decision,
        actor: str,
        now: datetime,
        note: str = "",
        content_hashes: Mapping[str, str] | None = None,
    ) -> dict[str, ProposalState]:
        """Record what a person said of some proposals, in one transaction; the state of each afterwards.

        ``content_hashes`` is what the person saw, by proposal; null: as the proposals stand. With two approvals needed
        the first one leaves ``pending_review``. ``hold`` is recorded and changes no state.

        Raises
        ------
        DecisionRefused
            A role or a note is missing, or a proposal is unknown, in another state, changed, submitted by the actor, or
            already approved by them. Nothing was decided.
        """
        said, ids = Said(actor, Decision(decision), note, now), list(dict.fromkeys(proposal_ids))
        self.expire(now)
        with self.writing() as connection:
            need_role(connection, actor, Role.REVIEWER)
            if said.decision is Decision.REJECT and not note.strip():
                raise DecisionRefused("a rejection needs a note that says why")
            rows = {row.proposal_id: row for row in rows_in(connection, proposals.c.proposal_id, ids)}
            approvers = _approvers(connection, rows)
            seen = (
                content_hashes if content_hashes is not None else {one: row.content_hash for one, row in rows.items()}
            )
            problems = [(one, _problem(rows.get(one), said, seen.get(one), approvers.get(one, NOBODY))) for one in ids]
            refuse([f"{one} {problem}" for one, problem in problems if problem], len(ids))
            return _record(connection, [rows[one] for one in ids], approvers, said)


def _record(
    connection: Connection, rows: list[Row[Any]], approvers: Mapping[str, frozenset[str]], said: Said
) -> dict[str, ProposalState]:
    """Insert the decisions, move what moves, audit all."""
    shared = {"actor": said.actor, "decision": said.decision.value, "note": said.note, "decided_at": said.now}
    columns = {
        name: [getattr(row, name) for row in rows] for name in ("proposal_id", "content_hash", "submitter", "amender")
    }
    insert_columns(connection, decisions, columns, shared)
    after: dict[str, ProposalState] = {}
    moves: dict[ProposalState, list[Move]] = {}
    stays: list[Event] = []
    for row in rows:
        detail = canonical({"note": said.note, "content_hash": row.content_hash})
        to = _next_state(said.decision, row, approvers.get(row.proposal_id, NOBODY))
        after[row.proposal_id] = to or ProposalState(row.state)
        if to is None:
            stays.append(Event(said.actor, said.decision, row.run_id, row.proposal_id, row.state, row.state, detail))
        else:
            moves.setdefault(to, []).append(Move(row.proposal_id, row.run_id, row.state, detail))
    for to, group in moves.items():
        move(connection, group, to, event=said.decision, actor=said.actor, now=said.now)
    ledger_audit.append(connection, stays, said.now)
    return after
