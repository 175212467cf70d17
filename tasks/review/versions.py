"""Versions of proposals: the newest in the place of what the lake holds, and what each replaced."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tasks.core.propose import OrderChange, order_changes
from tasks.review.review import Reader, orders_and_lots
from warehouse.ledger import Amended, Amendments, Proposals


def newest_rows(tables: Mapping[str, pl.DataFrame], known: Amended) -> dict[str, pl.DataFrame]:
    """The tables ``proposals``, ``orders`` and ``lot_relief`` of a run with the newest versions in the place of those replaced.

    Tables that are not there, and others, stay as they are; ``orders`` must be there where ``lot_relief`` is.
    """
    if not known.replaced:
        return dict(tables)
    replaced = sorted(known.replaced)
    is_replaced = pl.col("proposal_id").is_in(replaced)
    found = dict(tables)
    if "lot_relief" in tables:
        old_orders = tables["orders"].filter(is_replaced)["order_id"]
        kept = tables["lot_relief"].filter(~pl.col("order_id").is_in(old_orders.implode()))
        found["lot_relief"] = pl.concat([kept, known.lots.select(kept.columns)])
    for table, rows in (("proposals", known.proposals), ("orders", known.orders)):
        if table in tables:
            kept = tables[table].filter(~is_replaced)
            found[table] = pl.concat([kept, rows.select(kept.columns)])
    return found


def version_before(proposals: Proposals, proposal: Mapping[str, Any]) -> dict[str, Any] | None:
    """The version that this one replaces, else the account's newest proposal of another run before it; null: neither."""
    if proposal["replaces"]:
        return proposals.get_proposal(proposal["replaces"])
    every = proposals.list_proposals(account_id=proposal["account_id"])
    older = every.filter(
        (pl.col("run_id") != proposal["run_id"]) & (pl.col("created_at") < proposal["created_at"])
    ).sort("created_at", "version", "proposal_id")
    return older.row(-1, named=True) if older.height else None


def changes(
    amendments: Amendments, read: Reader, before: Mapping[str, Any] | None, orders: pl.DataFrame
) -> Sequence[OrderChange]:
    """How orders differ from those of the proposal before; none where there is no such proposal."""
    if before is None:
        return []
    return order_changes(orders_and_lots(amendments, read, before)[0], orders)
