"""Exports that are given up: claimed, never left, and never to leave.

Whoever asks has first made sure that the export's folder cannot appear any more (``tasks.export.abandon``); the ledger cannot
see folders. Its proposals are withdrawn for good and its number stays taken; triggers hold both.

Exports that are being written and hold members of the same households are given up together: half a household does not leave
because a person gave up the other half. Only where a part has left already the rest is given up without it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from schemas.enums import ProposalState, Role
from schemas.errors import DecisionRefused, WrongUsage
from warehouse.ledger.access import need_role
from warehouse.ledger.review import BRIEF, Move, members_of, move
from warehouse.ledger.store import Event, ExportRow, ExportState, Store, canonical, exports, proposals
from warehouse.ledger.store import audit_chain as ledger_audit


@dataclass(frozen=True, slots=True)
class Deadline:
    """When the first proposal of an export is too late to leave; the moment itself is too late."""

    at: datetime
    proposal_id: str
    custodian: str
    is_cut_off: bool
    """The custodian's cut-off; else the proposal expires."""


def export_in(connection: Connection, export_id: str) -> ExportRow:
    """One export.

    Raises
    ------
    WrongUsage
        There is none of that name.
    """
    row = connection.execute(sa.select(exports).where(exports.c.export_id == export_id)).one_or_none()
    if row is None:
        raise WrongUsage(f"there is no export {export_id}")
    return ExportRow.of(row)


def need_not_abandoned(export: ExportRow) -> None:
    """Refuse an export that was given up.

    Raises
    ------
    DecisionRefused
        It was; who did so and why.
    """
    if export.state is ExportState.ABANDONED:
        raise DecisionRefused(
            f"export {export.export_id} was given up by {export.abandoned_by}: {export.abandon_note}; no order of it may leave"
        )


class Abandons(Store):
    """Giving up."""

    def need_abandonable(self, export_id: str, *, actor: str, note: str) -> list[ExportRow]:
        """The export, where the actor may give it up or somebody did so already, and those that are given up with it.

        Raises
        ------
        WrongUsage
            No such export.
        DecisionRefused
            The actor is no releaser, the note is missing, or it has left.
        """
        with self.reading() as connection:
            export = _abandonable_in(connection, export_id, actor, note)
            return [export, *(export_in(connection, one) for one in _bound_to(connection, export_id)[1:])]

    def abandon_export(self, export_id: str, *, actor: str, note: str, now: datetime) -> bool:
        """Give an export up with those bound to it: their proposals are withdrawn, they are over. False: it was so already.

        Raises
        ------
        WrongUsage, DecisionRefused
            As ``need_abandonable``.
        """
        with self.writing() as connection:
            export = _abandonable_in(connection, export_id, actor, note)
            if export.state is ExportState.ABANDONED:
                return False
            bound = _bound_to(connection, export_id)
            counts = _withdraw(connection, bound, actor, note, now)
            change = {"state": ExportState.ABANDONED, "abandoned_by": actor, "abandon_note": note, "finished_at": now}
            connection.execute(sa.update(exports).where(exports.c.export_id.in_(bound)).values(**change))
            details = (canonical({"export_id": one, "note": note, "proposals": counts[one]}) for one in bound)
            ledger_audit.append(
                connection, [Event(actor, "export_abandoned", export.run_id, detail=one) for one in details], now
            )
        return True

    def need_claim(self, export_id: str) -> None:
        """Refuse to go on with an export that was given up since it was looked at.

        Raises
        ------
        DecisionRefused
            It was.
        """
        with self.reading() as connection:
            need_not_abandoned(export_in(connection, export_id))

    def deadline_of(self, export_id: str) -> Deadline | None:
        """The first moment at which a proposal of the export, or of one bound to it, may not leave any more; null: it holds none.

        Nothing brings it nearer: a proposal's times are given when it is made.
        """
        columns = proposals.c["proposal_id", "custodian", "cut_off_at", "expires_at"]
        with self.reading() as connection:
            query = sa.select(*columns).where(proposals.c.export_id.in_(_bound_to(connection, export_id)))
            found = [_deadline(row) for row in connection.execute(query)]
        return min(found, key=lambda one: (one.at, one.proposal_id), default=None)


def _deadline(row: Any) -> Deadline:
    is_cut_off = row.cut_off_at is not None and row.cut_off_at <= row.expires_at
    return Deadline(row.cut_off_at if is_cut_off else row.expires_at, row.proposal_id, row.custodian, is_cut_off)


def _abandonable_in(connection: Connection, export_id: str, actor: str, note: str) -> ExportRow:
    need_role(connection, actor, Role.RELEASER)
    if not note.strip():
        raise DecisionRefused("giving an export up needs a note that says why")
    export = export_in(connection, export_id)
    if export.state is ExportState.PUBLISHED:
        raise DecisionRefused(f"export {export_id} has left: it was published as {export.manifest_sha256}")
    return export


def _bound_to(connection: Connection, export_id: str) -> list[str]:
    """The export, and those being written that hold members of its households, or of theirs: first it, then by name."""
    bound, held = [export_id], {export_id}
    is_member = proposals.c.household_id.is_not(None)
    while held:
        mine = connection.execute(sa.select(*BRIEF).where(proposals.c.export_id.in_(sorted(held)), is_member)).all()
        others = {row.export_id for rows in members_of(connection, mine).values() for row in rows} - {None, *bound}
        is_open = exports.c.export_id.in_(sorted(others)) & (exports.c.state == ExportState.WRITING)
        held = set(connection.scalars(sa.select(exports.c.export_id).where(is_open)))
        bound += sorted(held)
    return bound


def _withdraw(connection: Connection, bound: list[str], actor: str, note: str, now: datetime) -> dict[str, int]:
    """Take the proposals out of the exports and withdraw them; how many of each."""
    is_claimed = proposals.c.export_id.in_(bound)
    rows = connection.execute(sa.select(*BRIEF).where(is_claimed).order_by(proposals.c.proposal_id)).all()
    details = {one: canonical({"export_id": one, "note": note}) for one in bound}
    moves = [Move(row.proposal_id, row.run_id, row.state, details[row.export_id]) for row in rows]
    move(connection, moves, ProposalState.WITHDRAWN, event="withdrawn", actor=actor, now=now)
    return {one: sum(row.export_id == one for row in rows) for one in bound}
