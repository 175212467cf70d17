"""Orders of proposals, with what brokers told of each."""

from collections.abc import Sequence
from typing import Protocol

import polars as pl

from tasks.core.reconcile import KNOWN_ORDERS
from warehouse.ledger import Ledger


class OrderLake(Protocol):
    """The part of the lake that has orders and the holdings that they were made on."""

    def orders_of(self, run_id: str, proposals: pl.Series) -> pl.DataFrame:
        """Orders of the run's proposals named."""

    def rows_of(
        self, table: str, run_id: str, shards: Sequence[int], accounts: pl.Series, columns: tuple[str, ...]
    ) -> pl.DataFrame:
        """Some columns of the rows of some accounts."""


def known_orders(lake: OrderLake, ledger: Ledger, proposals: pl.DataFrame) -> pl.DataFrame:
    """Every order of the proposals (``Exports.live_proposals`` with ``is_sent``), ``KNOWN_ORDERS``; changed ones as they were changed last."""
    if proposals.is_empty():
        return pl.DataFrame(schema=KNOWN_ORDERS)
    stored = [
        lake.orders_of(str(name), some["proposal_id"]) for (name,), some in proposals.sort("run_id").group_by("run_id")
    ]
    versions = ledger.amendments.amended_orders_of(proposals["proposal_id"].to_list())
    of_proposals = proposals.select("proposal_id", "run_id", "as_of_date", "is_sent")
    orders = pl.concat([*stored, versions.select(stored[0].columns)]).join(of_proposals, on="proposal_id")
    told = ledger.answers.states_of(orders["order_id"].to_list())
    return (
        orders.join(told, on="order_id", how="left")
        .with_columns(pl.col("filled_quantity").fill_null(0), pl.col("is_closed").fill_null(value=False))
        .select(KNOWN_ORDERS.keys())
        .cast(KNOWN_ORDERS)  # type: ignore[arg-type]
    )
