"""Orders of proposals, with what brokers told of each."""

import polars as pl

from tasks.core.reconcile import KNOWN_ORDERS
from warehouse.lake import Lake
from warehouse.ledger import Amendments, Answers


def known_orders(lake: Lake, amendments: Amendments, answers: Answers, proposals: pl.DataFrame) -> pl.DataFrame:
    """Every order of the proposals (``Exports.live_proposals`` with ``is_sent``), ``KNOWN_ORDERS``; changed ones as they were changed last."""
    if proposals.is_empty():
        return pl.DataFrame(schema=KNOWN_ORDERS)
    stored = [
        lake.orders_of(str(name), some["proposal_id"]) for (name,), some in proposals.sort("run_id").group_by("run_id")
    ]
    versions = amendments.amended_orders_of(proposals["proposal_id"].to_list())
    of_proposals = proposals.select("proposal_id", "run_id", "as_of_date", "is_sent")
    orders = pl.concat([*stored, versions.select(stored[0].columns)]).join(of_proposals, on="proposal_id")
    told = answers.states_of(orders["order_id"].to_list())
    is_unclosed = told.filter(~pl.col("is_closed"))["order_id"]
    retracted = answers.retracted_orders(is_unclosed.to_list())
    return (
        orders.join(told, on="order_id", how="left")
        .with_columns(pl.col("filled_quantity").fill_null(0), pl.col("is_closed").fill_null(value=False))
        .with_columns(is_retracted=pl.col("order_id").is_in(retracted))
        .select(KNOWN_ORDERS.keys())
        .cast(KNOWN_ORDERS)  # type: ignore[arg-type]
    )
