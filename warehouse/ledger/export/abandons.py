"""Exports that are given up: claimed, never left, and never to leave.

Whoever asks has first made sure that the export's folder cannot appear any more (``tasks.export.abandon``); the ledger cannot
see folders. Its proposals are withdrawn for good and its number stays taken; triggers hold both.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from schemas.enums import ProposalState, Role
from schemas.errors import DecisionRefused, WrongUsage
from warehouse.ledger.access import need_role
from warehouse.ledger.review import BRIEF, Move, move
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

    def need_abandonable(self, export_id: str, *, actor: str, note: str) -> ExportRow:
        """The export, where the actor may give it up or somebody did so already.

        Raises
        ------
        WrongUsage
            No such export.
        DecisionRefused
            The actor is no releaser, the note is missing, or it has left.
        """
        with self.reading() as connection:
            return _abandonable_in(connection, export_id, actor, note)

    def abandon_export(self, export_id: str, *, actor: str, note: str, now: datetime) -> bool:
        """Give an export up: its proposals are withdrawn, and it is over. False: it was so already.

        Raises
        ------
        WrongUsage, DecisionRefused
            As ``need_abandonable``.
        """
        with self.writing() as connection:
            export = _abandonable_in(connection, export_id, actor, note)
            if export.state is ExportState.ABANDONED:
                return False
            count = _withdraw(connection, export_id, actor, note, now)
            change = {"state": ExportState.ABANDONED, "abandoned_by": actor, "abandon_note": note, "finished_at": now}
            connection.execute(sa.update(exports).where(exports.c.export_id == export_id).values(**change))
            detail = canonical({"export_id": export_id, "note": note, "proposals": count})
            ledger_audit.append(connection, [Event(actor, "export_abandoned", export.run_id, detail=detail)], now)
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
        """The first moment at which a proposal of the export may not leave any more; null where it holds none.

        Nothing changes it: a proposal's times are given when it is made.
        """
        columns = proposals.c["proposal_id", "custodian", "cut_off_at", "expires_at"]
        query = sa.select(*columns).where(proposals.c.export_id == export_id)
        with self.reading() as connection:
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


def _withdraw(connection: Connection, export_id: str, actor: str, note: str, now: datetime) -> int:
    """Take the proposals out of the export and withdraw them; how many."""
    is_claimed = proposals.c.export_id == export_id
    rows = connection.execute(sa.select(*BRIEF).where(is_claimed).order_by(proposals.c.proposal_id)).all()
    detail = canonical({"export_id": export_id, "note": note})
    connection.execute(sa.update(proposals).where(is_claimed).values(export_id=None))
    moves = [Move(row.proposal_id, row.run_id, row.state, detail) for row in rows]
    move(connection, moves, ProposalState.WITHDRAWN, event="withdrawn", actor=actor, now=now)
    return len(moves)
