"""Whether states are what the audit chain says of them: a proposal or a run is in the state of its newest row, and came there step by step.

A state that was set by hand has no row, or a row that does not follow from the one before; so has content that is not what was routed,
and an approval by fewer people than it needs. The schema refuses such a state when it is written (``creation``); this finds one that
was written around it, before an export and in ``trimtab audit verify``.

Known limits: whoever can write whole rows of the chain and its head can make a state with its row; the anchor (``tasks.runtime``) is
what tells of rows that were taken away or replaced.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from schemas.enums import ProposalState
from schemas.errors import AuditBroken
from warehouse.ledger.store.audit_chain import row_hash
from warehouse.ledger.store.change_tables import model_changes
from warehouse.ledger.store.rows import AuditRow
from warehouse.ledger.store.store import in_chunks
from warehouse.ledger.store.tables import audit, proposals, runs
from warehouse.ledger.store.words import RUN_EVENTS, Decision

MOVES: Final = audit.c.to_state.is_not(None)
ABOUT: Final = proposals.c["proposal_id", "state", "content_hash", "submitter", "amender", "approvals_needed"]
SHOWN: Final = 20
"""Faults that a message names; the rest are counted."""


def state_faults(connection: Connection, proposal_ids: Collection[str] | None = None) -> Iterator[str]:
    """A sentence for each proposal of which the audit does not say what its row says; null: of all proposals and runs."""
    if proposal_ids is None:
        yield from run_faults(connection)
        yield from change_faults(connection)
        proposal_ids = list(connection.scalars(sa.select(proposals.c.proposal_id).order_by(proposals.c.proposal_id)))
    for some in in_chunks(sorted(proposal_ids)):
        trails = _trails(connection, audit.c.proposal_id, audit.c.proposal_id.in_(some))
        rows = connection.execute(sa.select(*ABOUT).where(ABOUT.proposal_id.in_(some)).order_by(ABOUT.proposal_id))
        for row in rows.all():
            trail = trails[row.proposal_id]
            yield from _trail_faults(f"proposal {row.proposal_id}", row.state, trail)
            makers = {row.submitter, row.amender}
            yield from _content_faults(
                f"proposal {row.proposal_id}", row.content_hash, row.approvals_needed, makers, trail
            )


def run_faults(connection: Connection, run_id: str | None = None) -> Iterator[str]:
    """As ``state_faults``, of a run or of all."""
    is_run = audit.c.event.in_(RUN_EVENTS) & audit.c.proposal_id.is_(None)
    is_meant = runs.c.run_id == run_id if run_id is not None else sa.true()
    trails = _trails(connection, audit.c.run_id, is_run & audit.c.run_id.in_(sa.select(runs.c.run_id).where(is_meant)))
    for row in connection.execute(sa.select(*runs.c["run_id", "state"]).where(is_meant).order_by(runs.c.run_id)).all():
        yield from _trail_faults(f"run {row.run_id}", row.state, trails[row.run_id])


def change_faults(connection: Connection) -> Iterator[str]:
    """As ``state_faults``, of all model changes."""
    names = sa.select(model_changes.c.change_id)
    trails = _trails(connection, audit.c.proposal_id, audit.c.proposal_id.in_(names))
    for row in connection.execute(sa.select(model_changes).order_by(model_changes.c.change_id)).all():
        trail, what = trails[row.change_id], f"model change {row.change_id}"
        yield from _trail_faults(what, row.state, trail)
        yield from _content_faults(what, row.content_hash, row.approvals_needed, {row.submitter}, trail)


def need_proven(connection: Connection, run_id: str, proposal_ids: Collection[str]) -> None:
    """Refuse to let proposals of a run leave of which the audit does not say that they may.

    Raises
    ------
    AuditBroken
        Names what differs.
    """
    faults = [*run_faults(connection, run_id), *state_faults(connection, proposal_ids)]
    if faults:
        raise AuditBroken(
            None,
            f"nothing was exported: {told(faults)}\n\n"
            "Hint: somebody wrote to the ledger past this program; keep it as it is, `trimtab audit verify` looks at all of it.",
        )


def told(faults: Sequence[str]) -> str:
    """The first faults, a line each, and how many more there are."""
    more = f"\nand {len(faults) - SHOWN:,} more" if len(faults) > SHOWN else ""
    return "\n".join(faults[:SHOWN]) + more


def _trails(
    connection: Connection, name: sa.ColumnElement[Any], condition: sa.ColumnElement[bool]
) -> defaultdict[str, list[AuditRow]]:
    """Rows that moved something, oldest first, by what they moved."""
    found: defaultdict[str, list[AuditRow]] = defaultdict(list)
    for row in connection.execute(sa.select(name, audit).where(condition, MOVES).order_by(audit.c.seq)):
        found[row[0]].append(AuditRow(*row[1:]))
    return found


def _trail_faults(what: str, state: str, trail: Sequence[AuditRow]) -> Iterator[str]:
    newest = trail[-1] if trail else None
    if newest is None:
        yield f"{what} is {state}, and no row of the audit says so"
    elif newest.to_state != state:
        yield f"{what} is {state}, and the newest row of the audit about it, {newest.seq}, says {newest.to_state}"
    before = None
    for row in trail:
        if row_hash(row) != row.hash:
            yield f"{what}: audit row {row.seq} is not what was written"
        elif before is not None and row.from_state != before:
            yield f"{what}: audit row {row.seq} says that it was {row.from_state}, the one before says {before}"
        before = row.to_state


def _content_faults(
    what: str, content_hash: str, needed: int, makers: set[str], trail: Sequence[AuditRow]
) -> Iterator[str]:
    """Content that is not what was entered first, and an approval by fewer people than it needs."""
    for first in trail[:1]:
        if f'"content_hash":"{content_hash}"' not in first.detail:
            yield f"{what} has other content than was routed by audit row {first.seq}"
    approval = next((one for one in trail[1:] if one.to_state == ProposalState.APPROVED), None)
    if approval is not None:
        people = {one.actor for one in trail[1:] if one.event == Decision.APPROVE} - makers
        if len(people) < needed:
            yield f"{what} was approved by {len(people)} in audit row {approval.seq}; needed {needed}"
