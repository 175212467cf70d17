"""What other runs have proposed or sent for the accounts landed, as far as their trades do not show it."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import polars as pl

from schemas.run import RunRef
from schemas.stored import INTERNAL
from tasks.core.pending import DAYS, counted, unseen
from tasks.steps import Stores


def pending_orders(
    at: Stores, run: RunRef, *, landed: pl.Series, scope: pl.Series, trades: Iterable[pl.DataFrame], now: datetime
) -> pl.DataFrame:
    """Rows of the table ``pending_orders``.

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
        return pl.DataFrame(schema=INTERNAL["pending_orders"])
    stored = [
        at.lake.orders_of(str(name), some["proposal_id"])
        for (name,), some in proposals.sort("run_id").group_by("run_id")
    ]
    versions = at.ledger.amended_orders_of(proposals["proposal_id"].to_list())
    orders = pl.concat([*stored, versions.select(stored[0].columns)]).join(
        proposals.select("proposal_id", "as_of_date", "is_sent"), on="proposal_id"
    )
    theirs = orders.select("account_id").unique()
    return unseen(orders, pl.concat(batch.join(theirs, on="account_id", how="semi") for batch in trades))
