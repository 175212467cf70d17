"""What waits in the queue, added up by the database: for whose decision, or for an export, and until when."""

from datetime import datetime
from typing import Any, Final

import polars as pl
import sqlalchemy as sa

from schemas.enums import ProposalState
from warehouse.ledger.review.proposals import COLUMNS, MOMENT, to_frame
from warehouse.ledger.store import OPEN_STATES, Decision, Store, decisions, proposals

WAITING: Final[dict[str, pl.DataType]] = {
    **{name: COLUMNS[name] for name in ("state", "custodian", "submitter", "held_by")},
    "approvals": pl.Int64(),
    "proposals": pl.Int64(),
    "gross_value_usd": COLUMNS["gross_value_usd"],
    "expires_at": MOMENT,
    "cut_off_at": MOMENT,
}
"""Proposals alike in state, custodian, submitter, holder and in how many people have approved them so far; the first of their expiries and
cut-offs."""
KEY: Final = 5


class Waits(Store):
    """Reading what waits."""

    def waiting_groups(self) -> pl.DataFrame:
        """``WAITING``: what is undecided or unexported, sorted by what is alike."""
        columns = proposals.c
        approvals = sa.select(sa.func.count()).where(_is_approval()).correlate(proposals).scalar_subquery()
        needs_two = (columns.state == str(ProposalState.PENDING_REVIEW)) & (columns.approvals_needed > 1)
        key: tuple[Any, ...] = (
            *(columns[name] for name in ("state", "custodian", "submitter", "held_by")),
            sa.case((needs_two, approvals), else_=0).label("approvals"),
        )
        is_open = columns.state.in_([str(state) for state in OPEN_STATES])
        summed = [columns[name] for name in ("gross_value_usd", "expires_at", "cut_off_at")]
        rows = sa.select(*key, *summed).where(is_open).subquery().c
        with self.reading() as connection:
            found = connection.execute(_sum_query(rows)).all()
        summed_up = to_frame(found, {**WAITING, "gross_value_usd": pl.Float64()})
        exact = pl.col("gross_value_usd").round(6).cast(WAITING["gross_value_usd"])
        return summed_up.with_columns(exact).sort(list(WAITING)[:KEY], nulls_last=True)

    def waiting_for(self, name: str) -> tuple[int, datetime | None]:
        """How many proposals a reviewer of that name could approve now, and when the first of them expires.

        Not those that they submitted, changed or approved already, nor those that another person holds.
        """
        columns = proposals.c
        has_approved = sa.exists().where(_is_approval(), decisions.c.actor == name).correlate(proposals)
        query = sa.select(sa.func.count(), sa.func.min(columns.expires_at)).where(
            columns.state == str(ProposalState.PENDING_REVIEW),
            columns.submitter != name,
            columns.amender != name,
            columns.held_by.is_(None) | (columns.held_by == name),
            ~has_approved,
        )
        with self.reading() as connection:
            count, first = connection.execute(query).one()
        return count, first


def _sum_query(rows: Any) -> sa.Select[Any]:
    key = [rows[name] for name in list(WAITING)[:KEY]]
    sums = (
        sa.func.count(),
        sa.func.sum(sa.cast(rows.gross_value_usd, sa.Double)),
        sa.func.min(rows.expires_at),
        sa.func.min(rows.cut_off_at),
    )
    return sa.select(*key, *sums).group_by(*key)


def _is_approval() -> sa.ColumnElement[bool]:
    """That a decision approves a proposal as it stands now."""
    return (
        (decisions.c.proposal_id == proposals.c.proposal_id)
        & (decisions.c.content_hash == proposals.c.content_hash)
        & (decisions.c.decision == str(Decision.APPROVE))
    )
