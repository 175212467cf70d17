"""What other runs have proposed or sent for the accounts landed, as far as their trades do not show it."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import polars as pl

from schemas.run import RunRef
from schemas.stored import INTERNAL
from tasks.core.pending import DAYS, counted, known_fills, unseen
from tasks.steps import Stores


def orders_under_way(
    at: Stores, run: RunRef, *, landed: pl.Series, scope: pl.Series, trades: Iterable[pl.DataFrame], now: datetime
) -> dict[str, pl.DataFrame]:
    """The tables ``pending_orders`` and ``known_fills``.

    Parameters
    ----------
    at
        Ledger and lake.
    run
        The run that is pulled; its own proposals do not count.
    landed, scope
        Accounts landed, and those of them to be looked at.
    trades
        The landed trades, batch by batch; read only where there are orders to be looked for.
    now
        Proposals that expired before do not count.
    """
    span = timedelta(days=DAYS)
    live = at.ledger.live_proposals(run.run_id, run.as_of_date - span, run.as_of_date + span, now)
    proposals = counted(live.join(landed.to_frame("account_id"), on="account_id", how="semi"), scope)
    if proposals.is_empty():
        return {name: pl.DataFrame(schema=INTERNAL[name]) for name in ("pending_orders", "known_fills")}
    stored = [
        at.lake.orders_of(str(name), some["proposal_id"])
        for (name,), some in proposals.sort("run_id").group_by("run_id")
    ]
    versions = at.ledger.amended_orders_of(proposals["proposal_id"].to_list())
    orders = pl.concat([*stored, versions.select(stored[0].columns)]).join(
        proposals.select("proposal_id", "as_of_date", "is_sent"), on="proposal_id"
    )
    theirs = orders.select("account_id").unique()
    traded = pl.concat(batch.join(theirs, on="account_id", how="semi") for batch in trades)
    known = orders.join(at.ledger.states_of(orders["order_id"].to_list()), on="order_id", how="left").with_columns(
        pl.col("filled_quantity").fill_null(0), pl.col("is_closed").fill_null(value=False)
    )
    return {"pending_orders": unseen(known, traded), "known_fills": known_fills(known, traded)}
