"""Orders that accounts wait for: they left, have no final word, and the newest holdings do not show them."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import polars as pl

from schemas.enums import OrderState
from schemas.executions import ORDER_STATES
from schemas.stored import INTERNAL
from tasks.runtime import closed_since
from warehouse.lake import Lake
from warehouse.ledger import Answers, Fills, Runs

WAITED_FOR: Final[dict[str, pl.DataType]] = {
    **{name: pl.String() for name in ("order_id", "account_id", "side", "security_id")},
    "quantity": INTERNAL["open_orders"]["filled_quantity"],
    "filled_quantity": ORDER_STATES["filled_quantity"],
    "proposed_date": pl.Date(),
    "session_count": pl.Int64(),
    "state": pl.String(),
}
"""``filled_quantity``: of it what was told. ``session_count``: trading days after ``proposed_date`` up to the night that looked."""


@dataclass(frozen=True, slots=True)
class OpenOrders:
    """Orders that left and have no final word, whatever holdings show.

    ``oldest_date``: the night that proposed the oldest; ``session_count``: trading days that have closed since. Null where there is none.
    """

    count: int
    oldest_date: date | None
    session_count: int | None


def count_open_orders(fills: Fills, exchange: str, now: datetime) -> OpenOrders:
    """Those of the whole ledger."""
    count, oldest = fills.oldest_open()
    return OpenOrders(count, oldest, None if oldest is None else len(closed_since(oldest, exchange, now)))


def waited_for(lake: Lake, runs: Runs, answers: Answers, account_id: str | None = None) -> pl.DataFrame:
    """``WAITED_FOR``: what the newest night over all accounts and later runs found, less what has its final word now; the oldest first."""
    last = runs.latest_full_run(date.max)
    later = [] if last is None else runs.done_runs_since(last, date.max)
    found = pl.concat(
        [pl.DataFrame(schema=INTERNAL["open_orders"]), *(lake.read("open_orders", one.run_id) for one in later)]
    )
    newest = found.sort("session_count").unique("order_id", keep="last")
    told = answers.states_of(newest["order_id"].to_list()).select(
        "order_id", "state", "is_closed", told="filled_quantity"
    )
    both = newest.join(told, on="order_id", how="left").filter(~pl.col("is_closed").fill_null(value=False))
    if account_id is not None:
        both = both.filter(pl.col("account_id") == account_id)
    return (
        both.rename({"filled_quantity": "quantity", "told": "filled_quantity"})
        .with_columns(pl.col("filled_quantity").fill_null(0), pl.col("state").fill_null(str(OrderState.EXPORTED)))
        .sort("proposed_date", "account_id", "order_id")
        .select(WAITED_FOR.keys())
    )
