"""What a proposal replaced: the version before it, or the account's proposal of an earlier night."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import polars as pl

from tasks.core.order_changes import Change, order_changes
from tasks.review import Reader, show
from warehouse.ledger import Filter, Ledger

MOST: Final = 1_000
"""Proposals of one account that are looked through."""

__all__ = ["Change", "changes", "version_before"]


def version_before(ledger: Ledger, proposal: Mapping[str, Any]) -> dict[str, Any] | None:
    """The version that this one replaces, else the account's newest proposal of another run before it; null: neither."""
    if proposal["replaces"]:
        return ledger.get_proposal(proposal["replaces"])
    every = ledger.page(Filter(states=None, account=proposal["account_id"]), limit=MOST).rows
    older = every.filter(
        (pl.col("run_id") != proposal["run_id"]) & (pl.col("created_at") < proposal["created_at"])
    ).sort("created_at", "version", "proposal_id")
    return older.row(-1, named=True) if older.height else None


def changes(
    ledger: Ledger, read: Reader, before: Mapping[str, Any] | None, orders: pl.DataFrame, *, now: datetime
) -> list[Change]:
    """How orders differ from those of the proposal before; none where there is no such proposal."""
    if before is None:
        return []
    return order_changes(show(ledger, before["proposal_id"], read, now=now).orders, orders)
