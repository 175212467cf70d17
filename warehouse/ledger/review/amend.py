"""Versions of a proposal that a person made: entered beside the one they replace, which is superseded and never changed.

The lake holds what a run proposed; what people made of it is in the ledger, whole: the row, its orders and their lots.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

import polars as pl
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from schemas.enums import ProposalState, Role
from schemas.tables import PUBLIC, USD
from warehouse.ledger.access import need_role
from warehouse.ledger.review.decisions import WAITING, ReviewedVersion, held_problem, refuse, state_problem
from warehouse.ledger.review.proposals import ROUTED, Move, expire_late, move, to_frame
from warehouse.ledger.store import (
    Decision,
    Event,
    Store,
    amended_lots,
    amended_orders,
    amended_proposals,
    canonical,
    decisions,
    in_chunks,
    insert_columns,
    proposals,
)
from warehouse.ledger.store import audit_chain as ledger_audit

TABLES: Final = {"proposals": amended_proposals, "orders": amended_orders, "lot_relief": amended_lots}
"""Where the versions' rows of a public table are."""
KEPT: Final = ("run_id", "submitter", "as_of_date", "expires_at", "cut_off_at", "assignee")
"""What a version has of the row before it."""


@dataclass(frozen=True, slots=True)
class Amended:
    """What people made of some proposals of a run.

    ``replaced``: proposals that are not the newest version any more. The frames have the columns of the public tables, and hold
    the newest versions alone.
    """

    replaced: frozenset[str]
    proposals: pl.DataFrame
    orders: pl.DataFrame
    lots: pl.DataFrame


class Amendments(Store):
    """Making versions, and reading them."""

    def amend_proposal(
        self,
        proposal_id: str,
        seen: ReviewedVersion,
        *,
        proposal: pl.DataFrame,
        orders: pl.DataFrame,
        lots: pl.DataFrame,
        actor: str,
        note: str,
        now: datetime,
    ) -> str:
        """Put a version in the place of a waiting proposal, in one transaction; the new proposal's name.

        ``proposal`` (one row), ``orders`` and ``lots`` have the columns of the public tables. The note stands as the first comment on
        the version, so that whoever decides on it reads why it was made.

        Raises
        ------
        DecisionRefused
            A role or the note is missing, or the proposal does not wait, has changed since it was seen, or is held by
            somebody else. Nothing was changed.
        """
        expire_late(self, now)
        new = proposal.row(0, named=True)
        with self.writing() as connection:
            need_role(connection, actor, Role.REVIEWER)
            row = _waiting(connection, proposal_id, seen, actor=actor, note=note)
            detail = canonical({"by": new["proposal_id"], "note": note, "content_hash": seen.content_hash})
            was = Move(proposal_id, row.run_id, ProposalState.PENDING_REVIEW, detail)
            move(connection, [was], ProposalState.SUPERSEDED, event="amended", actor=actor, now=now)
            told = canonical({"content_hash": new["content_hash"], "replaces": proposal_id, "note": note})
            state = str(ProposalState.PENDING_REVIEW)
            born = Event(
                actor, "version_made", was.run_id, new["proposal_id"], str(ProposalState.PROPOSED), state, told
            )
            ledger_audit.append(connection, [born], now)
            _insert(connection, row, new, actor=actor, now=now)
            for table, frame in (("proposals", proposal), ("orders", orders), ("lot_relief", lots)):
                _store(connection, table, frame, new["proposal_id"])
            said = {name: new[name] for name in ("proposal_id", "content_hash")}
            said |= {
                "submitter": row.submitter,
                "amender": actor,
                "actor": actor,
                "note": note,
                "decided_at": now,
            }
            connection.execute(sa.insert(decisions), {**said, "decision": str(Decision.COMMENT)})
        return str(new["proposal_id"])

    def amended(self, run_id: str, account_id: str | None = None) -> Amended:
        """What people made of a run's proposals, or of one account's."""
        is_meant = (proposals.c.run_id == run_id) & proposals.c.replaces.is_not(None)
        if account_id is not None:
            is_meant &= proposals.c.account_id == account_id
        with self.reading() as connection:
            versions = connection.execute(sa.select(*proposals.c["proposal_id", "replaces"]).where(is_meant)).all()
            replaced = frozenset(row.replaces for row in versions)
            newest = [row.proposal_id for row in versions if row.proposal_id not in replaced]
            return Amended(replaced, *(_rows(connection, table, newest) for table in TABLES))

    def version_rows(self, proposal_id: str) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Orders and lots of a version that a person made; columns of the public tables."""
        with self.reading() as connection:
            orders, lots = (_rows(connection, table, [proposal_id]) for table in ("orders", "lot_relief"))
        return orders, lots

    def amended_orders_of(self, proposal_ids: Collection[str]) -> pl.DataFrame:
        """Orders of versions among the proposals named, as ``Lake.orders_of`` gives them; the rest are in the lake."""
        with self.reading() as connection:
            orders, lots = (_rows(connection, table, list(proposal_ids)) for table in ("orders", "lot_relief"))
        cost = (pl.col("quantity").cast(USD) * pl.col("unit_cost_usd").cast(USD)).sum()
        is_known = pl.col("unit_cost_usd").is_not_null().all()
        losing = lots.group_by("order_id").agg(
            is_loss=pl.col("gain_usd").sum() < 0, cost_usd=pl.when(is_known).then(cost)
        )
        return orders.join(losing, on="order_id", how="left").select(
            "order_id",
            "proposal_id",
            "account_id",
            "security_id",
            "side",
            "quantity",
            "amount_usd",
            is_loss=pl.col("is_loss").fill_null(value=False) & (pl.col("side") == "sell"),
            cost_usd="cost_usd",
        )


def _waiting(connection: Connection, proposal_id: str, seen: ReviewedVersion, *, actor: str, note: str) -> Row[Any]:
    """The proposal's row.

    Raises
    ------
    DecisionRefused
        The actor cannot change it, or gives no reason.
    """
    found = connection.execute(sa.select(proposals).where(proposals.c.proposal_id == proposal_id)).one_or_none()
    problem = state_problem(found, seen, WAITING, "change")
    if not problem and not note.strip():
        problem = "is not changed without a note that says why"
    row = cast("Row[Any]", found)  # what is no proposal has a problem already
    if not problem and row.household_id is not None:
        problem = (
            f"is decided with the household {row.household_id}, whose proposals are approved or rejected as they are"
        )
    problem = problem or held_problem(row, actor)
    refuse([f"{proposal_id} {problem}"] if problem else [], 1)
    return row


def _insert(connection: Connection, before: Row[Any], new: Mapping[str, Any], *, actor: str, now: datetime) -> None:
    """The version's row in the queue."""
    old = before._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    values = {name: old[name] for name in KEPT}
    values |= {name: new[name] for name in ROUTED if name != "ttl_hours"}
    values |= {
        "state": str(ProposalState.PENDING_REVIEW),
        "version": old["version"] + 1,
        "amender": actor,
        "replaces": old["proposal_id"],
        "revision": 1,
        "created_at": now,
        "state_changed_at": now,
        "held_by": old["held_by"],
    }
    connection.execute(sa.insert(proposals), values)


def _store(connection: Connection, table: str, frame: pl.DataFrame, proposal_id: str) -> None:
    columns = {name: frame[name].to_list() for name in PUBLIC[table]}
    shared = {} if "proposal_id" in PUBLIC[table] else {"proposal_id": proposal_id}
    insert_columns(connection, TABLES[table], columns, shared)


def _rows(connection: Connection, table: str, proposal_ids: list[str]) -> pl.DataFrame:
    """Rows of a public table that belong to the versions."""
    source = TABLES[table]
    columns = [source.c[name] for name in PUBLIC[table]]
    found: list[Any] = []
    for some in in_chunks(proposal_ids):
        found += connection.execute(sa.select(*columns).where(source.c.proposal_id.in_(some))).all()
    return to_frame(found, PUBLIC[table])
