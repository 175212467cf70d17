"""What other runs have proposed or sent for the accounts landed, as far as their trades and holdings do not show it."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import polars as pl

from schemas.run import RunRef
from schemas.stored import INTERNAL
from tasks.core.reconcile import DAYS, known_fills, standing_proposals, to_show, unseen
from tasks.known import holdings_then, known_orders, last_night, runs_from
from tasks.runtime import Stores, next_session


def orders_under_way(
    at: Stores, run: RunRef, *, landed: pl.Series, scope: pl.Series, trades: Iterable[pl.DataFrame], now: datetime
) -> dict[str, pl.DataFrame]:
    """The tables ``pending_orders``, ``known_fills`` and ``fills_to_show``.

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
    live = at.ledger.exports.live_proposals(run.run_id, run.as_of_date - span, run.as_of_date + span, now)
    proposals = standing_proposals(live.join(landed.to_frame("account_id"), on="account_id", how="semi"), scope)
    if proposals.is_empty():
        return {
            name: pl.DataFrame(schema=INTERNAL[name]) for name in ("pending_orders", "known_fills", "fills_to_show")
        }
    known = _with_trade_date(
        known_orders(at.lake, at.ledger.amendments, at.ledger.answers, proposals), at.settings.exchange
    )
    theirs = known.select("account_id").unique()
    traded = pl.concat(batch.join(theirs, on="account_id", how="semi") for batch in trades)
    return {
        "pending_orders": unseen(known, traded),
        "known_fills": known_fills(known, traded),
        "fills_to_show": _to_show(at, run, known),
    }


def _with_trade_date(orders: pl.DataFrame, exchange: str) -> pl.DataFrame:
    """Orders with ``trade_date``, the first session after the night that proposed them."""
    days = orders.select("as_of_date").unique()
    sessions = [next_session(day, exchange) for day in days["as_of_date"]]
    return orders.join(days.with_columns(trade_date=pl.Series(sessions, dtype=pl.Date)), on="as_of_date")


def _to_show(at: Stores, run: RunRef, known: pl.DataFrame) -> pl.DataFrame:
    """Fills told of since the last night over all accounts was pulled, and those that its holdings, or a later run's, did not show."""
    last = last_night(at, run)
    sought = at.ledger.fills.orders_told_since(None if last is None else last.started_at)
    for each in [] if last is None else runs_from(at, last, run.as_of_date):
        sought += at.lake.read("unshown_fills", each.run_id, columns=("order_id",))["order_id"].to_list()
    wanted = known.filter(pl.col("is_sent") & pl.col("order_id").is_in(sought))
    return to_show(known, holdings_then(at.lake, at.ledger.runs, wanted), wanted["order_id"])
