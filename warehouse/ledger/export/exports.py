"""Exports: a claim, the files, and the publication. An order leaves at most once.

The claim comes first and is one transaction, so of two exporters exactly one writes files. A crash leaves the export
``writing``; the next exporter finds it with ``open_export`` and finishes the same files, unless it is given up
(``ledger_abandons``).

The proposals of a household that is managed together are claimed together or not at all, in one export or, where they go to
different places, in the parts of one claim: exports that leave one after the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import polars as pl
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from schemas.enums import ProposalState, Role, RunState
from schemas.errors import DecisionRefused, RunHeld
from schemas.executions import SENT_ORDERS
from warehouse.ledger.access import need_role
from warehouse.ledger.export.abandons import export_in, need_not_abandoned
from warehouse.ledger.review import (
    BRIEF,
    MOMENT,
    Move,
    change_households,
    expire_late,
    members_of,
    move,
    refuse,
    rows_in,
    to_frame,
)
from warehouse.ledger.runs import need_no_halt, run_in
from warehouse.ledger.store import (
    AT_MARKET_STATES,
    OPEN_STATES,
    RELEASABLE_STATES,
    SENT_STATES,
    Event,
    ExportRow,
    ExportState,
    Store,
    audit,
    canonical,
    export_orders,
    exports,
    in_chunks,
    insert_columns,
    need_proven,
    proposals,
)
from warehouse.ledger.store import audit_chain as ledger_audit

ORDERS: Final[dict[str, pl.DataType]] = {"order_id": pl.String(), "proposal_id": pl.String()}
APPROVED: Final[dict[str, pl.DataType]] = {
    "proposal_id": pl.String(),
    "account_id": pl.String(),
    "custodian": pl.String(),
    "content_hash": pl.String(),
    "order_count": pl.Int64(),
    "export_id": pl.String(),
    "household_id": pl.String(),
}
LAST_EXPORTS: Final[dict[str, pl.DataType]] = {
    "account_id": pl.String(),
    "exported_date": pl.Date(),
    "model_hash": pl.String(),
}
LIVE: Final[dict[str, pl.DataType]] = {
    "proposal_id": pl.String(),
    "run_id": pl.String(),
    "account_id": pl.String(),
    "as_of_date": pl.Date(),
    "export_id": pl.String(),
}


LATE: Final[dict[str, pl.DataType]] = {
    "proposal_id": pl.String(),
    "account_id": pl.String(),
    "custodian": pl.String(),
    "cut_off_at": MOMENT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPart:
    """Orders that are to leave in one export.

    ``orders`` has ``order_id``, ``proposal_id`` and what is known of the other columns of ``SENT_ORDERS``. ``plan`` is what the
    export is written by, as text; it is kept with it. ``sequence`` is the export's number that the orders' blocks are named for.
    """

    orders: pl.DataFrame
    plan: str | None = None
    sequence: int | None = None


def _is_releasable(run_id: str) -> sa.ColumnElement[bool]:
    return (proposals.c.run_id == run_id) & proposals.c.state.in_(RELEASABLE_STATES) & proposals.c.export_id.is_(None)


def _is_in_time(now: datetime) -> sa.ColumnElement[bool]:
    """Before the cut-off of the custodian, if there is one; the moment itself is too late."""
    return proposals.c.cut_off_at.is_(None) | (proposals.c.cut_off_at > now)


def _is_in_time_together(run_id: str, now: datetime) -> sa.ColumnElement[bool]:
    """In time, and so is whatever is decided with it."""
    late = sa.select(proposals.c.household_id).where(
        proposals.c.run_id == run_id, proposals.c.household_id.is_not(None), ~_is_in_time(now)
    )
    return _is_in_time(now) & (proposals.c.household_id.is_(None) | proposals.c.household_id.not_in(late))


def _need_done(connection: Connection, run_id: str) -> None:
    run = run_in(connection, run_id)
    if run.state is RunState.HELD:
        raise RunHeld(f"run {run_id} is held: {run.held_reason}\n\nHint: a releaser can release it with a note.")
    if run.state is not RunState.DONE:
        raise DecisionRefused(f"run {run_id} is {run.state}; only a run that is done can be exported")


def _open_in(connection: Connection, run_id: str) -> ExportRow | None:
    is_open = (exports.c.run_id == run_id) & (exports.c.state == ExportState.WRITING)
    row = connection.execute(sa.select(exports).where(is_open).order_by(exports.c.sequence).limit(1)).one_or_none()
    return None if row is None else ExportRow.of(row)


def _need_releasable(connection: Connection, run_id: str, ids: list[str], now: datetime) -> None:
    """Refuse if one of the proposals is not approved, belongs to another run, is claimed already, past its cut-off, or without another of its household."""
    rows = {row.proposal_id: row for row in rows_in(connection, proposals.c.proposal_id, ids)}
    problems = []
    for one in ids:
        row = rows.get(one)
        if row is None or row.run_id != run_id:
            problems.append(f"{one} is no proposal of run {run_id}")
        elif row.export_id is not None:
            problems.append(f"{one} is already in export {row.export_id}")
        elif row.state not in RELEASABLE_STATES:
            problems.append(f"{one} is {row.state}, not approved")
        elif row.cut_off_at is not None and row.cut_off_at <= now:
            problems.append(f"{one} is past the cut-off of {row.custodian}")
    for (_, household), members in members_of(connection, rows.values()).items():
        if left := [row.proposal_id for row in members if row.proposal_id not in rows]:
            problems.append(f"{left[0]} of the household {household} would not leave with the others")
    refuse(problems, len(ids))


class Exports(Store):
    """What leaves."""

    def runs_to_export(self) -> list[str]:
        """Runs of which something is approved, or being exported; sorted."""
        query = sa.select(proposals.c.run_id).where(proposals.c.state.in_(RELEASABLE_STATES)).distinct()
        with self.reading() as connection:
            return sorted(connection.scalars(query))

    def known_custodians(self) -> list[str]:
        """Custodians of every proposal there was, sorted."""
        with self.reading() as connection:
            return sorted(connection.scalars(sa.select(proposals.c.custodian).distinct()))

    def approved_in(self, run_id: str) -> pl.DataFrame:
        """``APPROVED``: what of a run was approved, whether it has left or not, by proposal."""
        states = (*RELEASABLE_STATES, *SENT_STATES)
        query = sa.select(*proposals.c[tuple(APPROVED)]).where(
            proposals.c.run_id == run_id, proposals.c.state.in_(states)
        )
        with self.reading() as connection:
            return to_frame(connection.execute(query.order_by(proposals.c.proposal_id)).all(), APPROVED)

    def exportable(self, run_id: str, now: datetime) -> list[str]:
        """Proposals of the run that may leave now, sorted; none while the run is not done. Past its cut-off nothing may.

        Of a household that is managed together all may, or none.
        """
        expire_late(self, now)
        may_leave = _is_releasable(run_id) & _is_in_time_together(run_id, now)
        query = sa.select(proposals.c.proposal_id).where(may_leave).order_by(proposals.c.proposal_id)
        with self.reading() as connection:
            return list(connection.scalars(query)) if run_in(connection, run_id).state is RunState.DONE else []

    def custodians_due(self, before: datetime) -> list[str]:
        """Custodians that have something approved which must leave by then, or whenever it is approved; sorted."""
        is_due = proposals.c.cut_off_at.is_(None) | (proposals.c.cut_off_at <= before)
        is_approved = proposals.c.state.in_(RELEASABLE_STATES)
        with self.reading() as connection:
            return sorted(connection.scalars(sa.select(proposals.c.custodian).where(is_approved, is_due).distinct()))

    def past_cut_off(self, run_id: str, now: datetime) -> pl.DataFrame:
        """Approved proposals of the run that came too late for their custodian, by proposal: ``LATE``."""
        is_late = _is_releasable(run_id) & ~_is_in_time(now)
        query = sa.select(*proposals.c[tuple(LATE)]).where(is_late).order_by(proposals.c.proposal_id)
        with self.reading() as connection:
            return to_frame(connection.execute(query).all(), LATE)

    def claim_export(
        self, run_id: str, parts: Sequence[ExportPart], *, actor: str, folder: str, now: datetime
    ) -> ExportRow:
        """Claim orders for the run's next export, or for some that leave one after the other, in one transaction; the first.

        Raises
        ------
        RunHeld
            Everything is halted, or the run is held.
        DecisionRefused
            A role is missing, the run is not done, another export of it is being written, there is no order, a proposal
            may not leave (any more) or leaves without its household, or an order was exported before.
        AuditBroken
            The audit does not say that the run is done, or that a proposal may leave.
        """
        expire_late(self, now)
        ids = [part.orders["proposal_id"].unique().sort().to_list() for part in parts]
        every = sorted({one for some in ids for one in some})
        try:
            with self.writing() as connection:
                need_role(connection, actor, Role.RELEASER)
                need_no_halt(connection)
                _need_done(connection, run_id)
                if (open_now := _open_in(connection, run_id)) is not None:
                    raise DecisionRefused(f"export {open_now.export_id} is being written; finish it first")
                if not all(ids) or not ids:
                    raise DecisionRefused(f"run {run_id} has no order to export")
                _need_next(connection, run_id, parts)
                _need_releasable(connection, run_id, every, now)
                need_proven(connection, run_id, every)
                given = {"actor": actor, "folder": folder, "started_at": now}
                made = [
                    _claim(connection, run_id, part, some, {**given, "part": number})
                    for number, (part, some) in enumerate(zip(parts, ids, strict=True), start=1)
                ]
                _mark(connection, made, ids)
                return made[0]
        except IntegrityError as error:
            raise DecisionRefused(f"nothing was exported: an order of run {run_id} was exported before") from error

    def next_sequence(self, run_id: str) -> int:
        """Number that the run's next export would have."""
        with self.reading() as connection:
            return _last_sequence(connection, run_id) + 1

    def note_refused(self, run_id: str, reasons: Mapping[str, str], *, actor: str, now: datetime) -> int:
        """Audit why approved proposals cannot be exported; what was said before is not said again. How many were new."""
        with self.writing() as connection:
            is_said = (audit.c.run_id == run_id) & (audit.c.event == "export_refused")
            columns = audit.c["proposal_id", "detail"]
            said = {(row.proposal_id, row.detail) for row in connection.execute(sa.select(*columns).where(is_said))}
            wanted = [(one, canonical({"reason": reason})) for one, reason in sorted(reasons.items())]
            fresh = [pair for pair in wanted if pair not in said]
            events = (Event(actor, "export_refused", run_id, one, detail=detail) for one, detail in fresh)
            ledger_audit.append(connection, events, now)
        return len(fresh)

    def open_export(self, run_id: str) -> ExportRow | None:
        """The run's export being written, or null."""
        with self.reading() as connection:
            return _open_in(connection, run_id)

    def export_order_ids(self, export_id: str) -> pl.DataFrame:
        """Orders of an export and their proposals, sorted by order."""
        query = sa.select(*export_orders.c["order_id", "proposal_id"]).where(export_orders.c.export_id == export_id)
        with self.reading() as connection:
            return to_frame(connection.execute(query.order_by(export_orders.c.order_id)).all(), ORDERS)

    def need_proven(self, export_id: str) -> None:
        """Look once more, before an export gets its folder, whether the audit says that what it holds may leave.

        Raises
        ------
        AuditBroken
            It does not; names what differs.
        """
        with self.reading() as connection:
            held = connection.scalars(sa.select(proposals.c.proposal_id).where(proposals.c.export_id == export_id))
            need_proven(connection, export_in(connection, export_id).run_id, held.all())

    def households_in_part(self, export_id: str) -> list[str]:
        """Households of an export that is being written of which something has left in another, sorted."""
        is_theirs = (proposals.c.export_id == export_id) & proposals.c.household_id.is_not(None)
        with self.reading() as connection:
            mine = connection.execute(sa.select(*BRIEF).where(is_theirs)).all()
            households = members_of(connection, mine).items()
            return sorted(name for (_, name), rows in households if any(row.state in SENT_STATES for row in rows))

    def publish_export(self, export_id: str, manifest_sha256: str, now: datetime) -> bool:
        """The files are complete: the export is published, its proposals are exported. False: it was so already.

        Raises
        ------
        WrongUsage
            No such export.
        DecisionRefused
            It was published with another manifest, or given up.
        """
        with self.writing() as connection:
            export = export_in(connection, export_id)
            need_not_abandoned(export)
            if export.manifest_sha256 == manifest_sha256:
                return False
            if export.state is ExportState.PUBLISHED:
                raise DecisionRefused(
                    f"export {export_id} was published with another manifest, {export.manifest_sha256}"
                )
            done = {"state": ExportState.PUBLISHED, "manifest_sha256": manifest_sha256, "finished_at": now}
            connection.execute(sa.update(exports).where(exports.c.export_id == export_id).values(**done))
            _send(connection, export, manifest_sha256, now)
        return True

    def exports_of(self, run_id: str) -> list[ExportRow]:
        """Exports of a run in their order."""
        query = sa.select(exports).where(exports.c.run_id == run_id).order_by(exports.c.sequence)
        with self.reading() as connection:
            return [ExportRow.of(row) for row in connection.execute(query)]

    def last_exports(self) -> pl.DataFrame:
        """Per account the as-of date and model of its newest exported proposal; one that came to nothing does not count."""
        rank = sa.func.row_number().over(
            partition_by=proposals.c.account_id,
            order_by=(proposals.c.as_of_date.desc(), proposals.c.state_changed_at.desc(), proposals.c.proposal_id),
        )
        columns = proposals.c["account_id", "as_of_date", "model_hash"]
        ranked = sa.select(*columns, rank.label("rank")).where(proposals.c.state.in_(AT_MARKET_STATES)).subquery()
        query = sa.select(*ranked.c["account_id", "as_of_date", "model_hash"]).where(ranked.c.rank == 1)
        with self.reading() as connection:
            return to_frame(connection.execute(query.order_by(ranked.c.account_id)).all(), LAST_EXPORTS)

    def live_proposals(self, run_id: str, first: date, last: date, now: datetime) -> pl.DataFrame:
        """Proposals of other runs for dates from ``first`` to ``last`` that may yet be traded, or have been sent to be: one that failed may be filled late after all.

        Those that are open and not claimed by an export count until they expire. Sorted by proposal.
        """
        is_open = proposals.c.state.in_((ProposalState.PROPOSED, *OPEN_STATES))
        is_alive = is_open & (proposals.c.export_id.is_not(None) | (proposals.c.expires_at > now))
        query = (
            sa.select(*proposals.c[tuple(LIVE)])
            .where(proposals.c.run_id != run_id, proposals.c.as_of_date.between(first, last))
            .where(is_alive | proposals.c.state.in_(SENT_STATES))
            .order_by(proposals.c.proposal_id)
        )
        with self.reading() as connection:
            return to_frame(connection.execute(query).all(), LIVE)


def _last_sequence(connection: Connection, run_id: str) -> int:
    return connection.scalar(sa.select(sa.func.max(exports.c.sequence)).where(exports.c.run_id == run_id)) or 0


def _need_next(connection: Connection, run_id: str, parts: Sequence[ExportPart]) -> None:
    """Refuse parts that are numbered for another place in the run."""
    first = _last_sequence(connection, run_id) + 1
    if any(part.sequence not in {None, first + number} for number, part in enumerate(parts)):
        raise DecisionRefused(f"another export of run {run_id} was made meanwhile; look again")


def _claim(connection: Connection, run_id: str, part: ExportPart, ids: list[str], values: dict[str, Any]) -> ExportRow:
    """Insert an export and its orders."""
    last = _last_sequence(connection, run_id)
    export_id = f"{run_id}-export-{last + 1}"
    named = {"export_id": export_id, "run_id": run_id, "sequence": last + 1, "state": ExportState.WRITING}
    connection.execute(sa.insert(exports), {**named, "plan": part.plan, **values})
    columns = {name: part.orders[name].to_list() for name in SENT_ORDERS if name in part.orders.columns}
    insert_columns(connection, export_orders, columns, {"export_id": export_id})
    counts = {"orders": part.orders.height, "proposals": len(ids)}
    detail = canonical({"export_id": export_id, **counts, "folder": values["folder"]})
    event = Event(values["actor"], "export_claimed", run_id, detail=detail)
    ledger_audit.append(connection, [event], values["started_at"])
    return export_in(connection, export_id)


def _mark(connection: Connection, made: Sequence[ExportRow], ids: Sequence[list[str]]) -> None:
    """Name the exports in the proposals: households first, whose members a trigger then claims for the exports that hold their orders."""
    for some in ids:
        change_households(connection, some, is_claimed=True)
    for export, some in zip(made, ids, strict=True):
        for few in in_chunks(some):
            is_one = proposals.c.proposal_id.in_(few)
            connection.execute(sa.update(proposals).where(is_one).values(export_id=export.export_id))


def _send(connection: Connection, export: ExportRow, manifest_sha256: str, now: datetime) -> None:
    """Move the proposals of an export to ``exported`` and audit them and the export."""
    claimed = sa.select(*BRIEF).where(proposals.c.export_id == export.export_id).order_by(proposals.c.proposal_id)
    detail = canonical({"export_id": export.export_id})
    moves = [Move(row.proposal_id, row.run_id, row.state, detail) for row in connection.execute(claimed)]
    move(connection, moves, ProposalState.EXPORTED, event="exported", actor=export.actor, now=now)
    detail = canonical({"export_id": export.export_id, "manifest_sha256": manifest_sha256, "proposals": len(moves)})
    event = Event(export.actor, "export_published", export.run_id, detail=detail)
    ledger_audit.append(connection, [event], now)
