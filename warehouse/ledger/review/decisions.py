"""Decisions by people: checked in words here, and once more by the constraints of the table.

``decide`` is all or nothing: one proposal that cannot be decided refuses the whole batch, and says which and why.
``decide_seen`` takes those that can be and says of the others why not, unless it is asked for all or none. Either is one
transaction.

A decision on one proposal of a household that is managed together is a decision on all of its proposals, as they stand: where one of
them cannot be decided none is. Only a comment is on one alone.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from schemas.enums import ProposalState, Role
from schemas.errors import DecisionRefused
from warehouse.ledger.access import need_role, roles_in
from warehouse.ledger.review.proposals import Move, change_households, expire_late, move, rows_in, with_members
from warehouse.ledger.store import (
    RELEASABLE_STATES,
    Decision,
    Event,
    Store,
    canonical,
    decisions,
    in_chunks,
    insert_columns,
    proposals,
)
from warehouse.ledger.store import audit_chain as ledger_audit

WAITING: Final = (ProposalState.PENDING_REVIEW,)
NEEDED_STATES: Final[dict[Decision, Sequence[ProposalState]]] = {
    Decision.APPROVE: WAITING,
    Decision.REJECT: WAITING,
    Decision.HOLD: WAITING,
    Decision.UNHOLD: WAITING,
    Decision.WITHDRAW: RELEASABLE_STATES,
}
"""What a proposal must be for each decision; a comment is taken on any."""
NEXT_STATE: Final = {
    Decision.REJECT: ProposalState.REJECTED,
    Decision.WITHDRAW: ProposalState.WITHDRAWN,
}
"""Where one decision is enough to lead; a hold leads nowhere, an approval depends on how many are needed."""
NOBODY: Final[frozenset[str]] = frozenset()
NAMED: Final = 5
"""How many refused proposals a message names."""
NOTES: Final = {
    Decision.REJECT: "a rejection needs a note that says why",
    Decision.COMMENT: "a comment needs a text",
}


@dataclass(frozen=True, slots=True)
class ReviewedVersion:
    """What a person looked at; a proposal that is not this any more is not decided. ``revision`` null: any."""

    content_hash: str
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """A decision before it is recorded."""

    actor: str
    decision: Decision
    note: str
    now: datetime


@dataclass(frozen=True, slots=True)
class BatchDecision:
    """What became of a batch: the state of each proposal decided, and why the others were not."""

    states: dict[str, ProposalState]
    refused: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Makers:
    """Who may not approve: people who did so already, and those who made a version of it. By proposal."""

    approvers: Mapping[str, frozenset[str]]
    amenders: Mapping[str, frozenset[str]]


SUBMITTED: Final = "was submitted by"
HINT_OF_MAKERS: Final = (
    "\n\nHint: who starts a night cannot decide on it. Add somebody with `trimtab users add NAME --role reviewer`, or let a schedule start "
    "the nights, as another user than the person who decides."
)


def state_problem(
    row: Row[Any] | None, seen: ReviewedVersion | None, needed: Sequence[ProposalState], verb: str
) -> str | None:
    """Why nobody can do this to a proposal as it stands; null if it can be done. ``needed`` empty: in any state."""
    if row is None:
        return "is no proposal"
    if needed and row.state not in needed:
        return f"is {row.state}; to {verb} it, it must be {' or '.join(needed)}"
    if needed and row.export_id is not None:
        return f"is being exported in {row.export_id}; `trimtab export abandon {row.export_id} --note WHY` gives up all of that"
    if seen is None or seen.content_hash != row.content_hash or seen.revision not in {None, row.revision}:
        return "has changed since it was looked at; look again"
    return None


def _problem(row: Row[Any] | None, said: Said, seen: ReviewedVersion | None, makers: _Makers) -> str | None:
    """Why the decision cannot be taken; null if it can."""
    problem = state_problem(row, seen, NEEDED_STATES.get(said.decision, ()), said.decision)
    if problem or row is None:
        return problem
    if said.decision in {Decision.HOLD, Decision.UNHOLD}:
        return _hold_problem(row, said)
    return _approval_problem(row, said, makers) if said.decision is Decision.APPROVE else None


def _hold_problem(row: Row[Any], said: Said) -> str | None:
    if said.decision is Decision.HOLD:
        return f"is held by {row.held_by} already" if row.held_by not in {None, said.actor} else None
    if row.held_by is None:
        return "is not held"
    if row.held_by != said.actor and not said.note.strip():
        return f"is held by {row.held_by}; say in a note why it may go on"
    return None


def _approval_problem(row: Row[Any], said: Said, makers: _Makers) -> str | None:
    if said.actor == row.submitter:
        return f"{SUBMITTED} {said.actor}; another person must approve it"
    if said.actor in makers.amenders.get(row.proposal_id, NOBODY):
        return f"was changed by {said.actor}; another person must approve it"
    if said.actor in makers.approvers.get(row.proposal_id, NOBODY):
        return f"was already approved by {said.actor}; a second person is needed"
    return held_problem(row, said.actor)


def held_problem(row: Row[Any], actor: str) -> str | None:
    """Why somebody else's hold stops the actor; null if it does not."""
    if row.held_by is not None and row.held_by != actor:
        return f"is held by {row.held_by}; it must be released first"
    return None


def _makers(connection: Connection, rows: Mapping[str, Row[Any]]) -> _Makers:
    """Who approved each proposal as it stands now, and who made the versions up to it."""
    approvers: dict[str, frozenset[str]] = {}
    amenders: dict[str, frozenset[str]] = {}
    for some in in_chunks(list(rows)):
        is_approval = decisions.c.proposal_id.in_(some) & (decisions.c.decision == Decision.APPROVE)
        columns = decisions.c["proposal_id", "content_hash", "actor"]
        for proposal_id, content_hash, actor in connection.execute(sa.select(*columns).where(is_approval)):
            if content_hash == rows[proposal_id].content_hash:
                approvers[proposal_id] = approvers.get(proposal_id, NOBODY) | {actor}
    of_unit: dict[tuple[str, str], list[str]] = {}
    for one, row in rows.items():
        if row.household_id is not None:
            of_unit.setdefault((row.run_id, row.household_id), []).append(one)
        if row.amender:
            same = (proposals.c.run_id == row.run_id) & (proposals.c.account_id == row.account_id)
            amenders[one] = frozenset(connection.scalars(sa.select(proposals.c.amender).where(same)))
    for members in of_unit.values():  # somebody approved a household who approved all of it
        everyone = frozenset.intersection(*(approvers.get(one, NOBODY) for one in members))
        approvers |= dict.fromkeys(members, everyone)
    return _Makers(approvers, amenders)


def refuse(problems: list[str], total: int, *, what: str = "proposals") -> None:
    """Say which of the proposals cannot be decided, and why; nothing if there is no problem.

    Raises
    ------
    DecisionRefused
        There is a problem.
    """
    if problems:
        more = f"\nand {len(problems) - NAMED} more" if len(problems) > NAMED else ""
        listed = "\n".join(problems[:NAMED])
        hint = HINT_OF_MAKERS if any(SUBMITTED in problem for problem in problems) else ""
        raise DecisionRefused(f"nothing was done, because of {len(problems)} of {total} {what}:\n{listed}{more}{hint}")


def _next_state(decision: Decision, row: Row[Any], approvers: frozenset[str]) -> ProposalState | None:
    """The state that the decision leads to; null: it stays where it is."""
    if decision is Decision.APPROVE:
        return ProposalState.APPROVED if len(approvers) + 1 >= row.approvals_needed else None
    return NEXT_STATE.get(decision)


class Decisions(Store):
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
        the first one leaves ``pending_review``. ``hold`` and ``comment`` change no state.

        Raises
        ------
        DecisionRefused
            A role or a note is missing, or a proposal is unknown, in another state, changed, held by somebody else,
            made by the actor, or already approved by them. Nothing was decided.
        """
        said, ids = Said(actor, Decision(decision), note, now), list(dict.fromkeys(proposal_ids))
        seen = (
            None
            if content_hashes is None
            else {one: ReviewedVersion(content) for one, content in content_hashes.items()}
        )
        return self._decide(ids, said, seen, is_all_or_none=True).states

    def decide_seen(
        self,
        seen: Mapping[str, ReviewedVersion],
        *,
        decision: Decision,
        actor: str,
        now: datetime,
        note: str = "",
        is_all_or_none: bool = False,
    ) -> BatchDecision:
        """Decide those of the proposals that still are what was seen and can be, in one transaction; say why others cannot.

        Raises
        ------
        DecisionRefused
            A role or a note is missing; with ``is_all_or_none``, one of the proposals cannot be decided.
        """
        said = Said(actor, Decision(decision), note, now)
        return self._decide(list(seen), said, seen, is_all_or_none=is_all_or_none)

    def approvers_of(self, proposal_ids: Iterable[str]) -> dict[str, list[str]]:
        """Who approved each proposal as it stands now, in order of time; those that nobody approved are left out."""
        is_current = (decisions.c.proposal_id == proposals.c.proposal_id) & (
            decisions.c.content_hash == proposals.c.content_hash
        )
        query = (
            sa.select(decisions.c.proposal_id, decisions.c.actor)
            .join(proposals, is_current)
            .where(decisions.c.decision == Decision.APPROVE)
            .order_by(decisions.c.decision_id)
        )
        found: dict[str, list[str]] = {}
        with self.reading() as connection:
            for some in in_chunks(list(proposal_ids)):
                for name, actor in connection.execute(query.where(decisions.c.proposal_id.in_(some))):
                    found.setdefault(name, []).append(actor)
        return found

    def households_of(self, proposal_ids: Iterable[str]) -> dict[str, int]:
        """By household that is managed together, how many of the proposals are decided as one; sorted."""
        with self.reading() as connection:
            rows = rows_in(connection, proposals.c.proposal_id, list(proposal_ids))
            return dict(sorted(Counter(row.household_id for row in rows if _is_member(row)).items()))

    def assign(self, proposal_ids: Iterable[str], assignee: str | None, *, actor: str, now: datetime) -> None:
        """Say who is to look at some waiting proposals, all or none; null: nobody in particular.

        Raises
        ------
        DecisionRefused
            The actor or the assignee may not review, or a proposal does not wait for review.
        """
        ids = list(dict.fromkeys(proposal_ids))
        with self.writing() as connection:
            need_role(connection, actor, Role.REVIEWER)
            if assignee is not None:
                need_role(connection, assignee, Role.REVIEWER)
            rows = {row.proposal_id: row for row in _meant(connection, ids)}
            ids = list(dict.fromkeys([*ids, *rows]))
            found = [(one, rows.get(one)) for one in ids]
            problems = [
                (one, state_problem(row, ReviewedVersion(row.content_hash) if row else None, WAITING, "assign"))
                for one, row in found
            ]
            refuse([f"{one} {problem}" for one, problem in problems if problem], len(ids))
            _change(connection, ids, assignee=assignee)
            detail = canonical({"assignee": assignee})
            events = [
                Event(actor, "assigned", row.run_id, one, row.state, row.state, detail) for one, row in rows.items()
            ]
            ledger_audit.append(connection, events, now)

    def _decide(
        self, ids: list[str], said: Said, seen: Mapping[str, ReviewedVersion] | None, *, is_all_or_none: bool
    ) -> BatchDecision:
        expire_late(self, said.now)
        with self.writing() as connection:
            _need_right(connection, said)
            is_comment = said.decision is Decision.COMMENT
            named = rows_in(connection, proposals.c.proposal_id, ids)
            rows = {row.proposal_id: row for row in (named if is_comment else _meant(connection, ids))}
            ids = list(dict.fromkeys([*ids, *rows]))
            makers = _makers(connection, rows) if said.decision is Decision.APPROVE else _Makers({}, {})
            looked = {
                one: ReviewedVersion(row.content_hash) for one, row in rows.items() if seen is None or _is_member(row)
            }
            looked |= seen or {}
            found = [(one, _problem(rows.get(one), said, looked.get(one), makers)) for one in ids]
            refused = {one: problem for one, problem in found if problem}
            if not is_comment:
                refused |= _refused_with(rows, refused)
            if is_all_or_none:
                refuse([f"{one} {problem}" for one, problem in refused.items()], len(ids))
            taken = [rows[one] for one in ids if one not in refused]
            return BatchDecision(_record(connection, taken, makers.approvers, said), refused)


def _meant(connection: Connection, ids: list[str]) -> list[Row[Any]]:
    """The proposals named and the others of their households."""
    return with_members(connection, rows_in(connection, proposals.c.proposal_id, ids))


def _is_member(row: Row[Any]) -> bool:
    return row.household_id is not None


def _refused_with(rows: Mapping[str, Row[Any]], refused: Mapping[str, str]) -> dict[str, str]:
    """Of households of which a proposal cannot be decided, why the others are not."""
    why = {(row.run_id, row.household_id): one for one, row in rows.items() if _is_member(row) and one in refused}
    return {
        one: f"is decided with {first} of the household {row.household_id}, which {refused[first]}"
        for one, row in rows.items()
        if one not in refused and (first := why.get((row.run_id, row.household_id)))
    }


def _need_right(connection: Connection, said: Said) -> None:
    """Refuse somebody without the role, and a decision without its note."""
    if said.decision is Decision.COMMENT and roles_in(connection, said.actor):
        pass
    else:
        need_role(connection, said.actor, Role.REVIEWER)
    if said.decision in NOTES and not said.note.strip():
        raise DecisionRefused(NOTES[said.decision])


def _record(
    connection: Connection, rows: list[Row[Any]], approvers: Mapping[str, frozenset[str]], said: Said
) -> dict[str, ProposalState]:
    """Insert the decisions, move what moves, audit all."""
    if not rows:
        return {}
    shared = {"actor": said.actor, "decision": said.decision.value, "note": said.note, "decided_at": said.now}
    kept = ("proposal_id", "content_hash", "submitter", "amender")
    insert_columns(connection, decisions, {name: [getattr(row, name) for row in rows] for name in kept}, shared)
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
    if said.decision is not Decision.COMMENT:
        held_by = {Decision.HOLD: {"held_by": said.actor}, Decision.WITHDRAW: {}}
        still = [str(event.proposal_id) for event in stays]
        _change(connection, still, **held_by.get(said.decision, {"held_by": None}))
    ledger_audit.append(connection, stays, said.now)
    return after


def _change(connection: Connection, proposal_ids: list[str], **values: str | None) -> None:
    """Set columns of proposals that stay in their state, of a household all."""
    change_households(connection, proposal_ids, **values)
    for some in in_chunks(proposal_ids):
        change = {"revision": proposals.c.revision + 1, **values}
        connection.execute(sa.update(proposals).where(proposals.c.proposal_id.in_(some)).values(**change))
