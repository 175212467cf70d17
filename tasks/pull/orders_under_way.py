"""What other runs have proposed or sent for the accounts landed, as far as their trades and holdings do not show it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from schemas.run import RunRef
from schemas.stored import INTERNAL
from tasks.core.reconcile import (
    DAYS,
    is_open,
    known_fills,
    open_to_show,
    standing_proposals,
    to_show,
    unseen,
    with_session_counts,
)
from tasks.known import holdings_then, known_orders, last_night, runs_from
from tasks.runtime import Stores, next_session, sessions_to
from warehouse.ledger import RunRow

TABLES = ("pending_orders", "known_fills", "fills_to_show", "orders_to_show")


def orders_under_way(
    at: Stores, run: RunRef, *, landed: pl.Series, scope: pl.Series, trades: Iterable[pl.DataFrame], now: datetime
) -> dict[str, pl.DataFrame]:
    """The tables ``TABLES``.

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
    before = _unshown_before(at, run)
    span = timedelta(days=DAYS)
    first = min(run.as_of_date - span, before.oldest or run.as_of_date)
    live = at.ledger.exports.live_proposals(run.run_id, first, run.as_of_date + span, now)
    proposals = standing_proposals(live.join(landed.to_frame("account_id"), on="account_id", how="semi"), scope)
    if proposals.is_empty():
        return {name: pl.DataFrame(schema=INTERNAL[name]) for name in TABLES}
    known = _with_trade_date(
        known_orders(at.lake, at.ledger.amendments, at.ledger.answers, proposals), at.settings.exchange
    )
    theirs = known.select("account_id").unique()
    traded = pl.concat(batch.join(theirs, on="account_id", how="semi") for batch in trades)
    return {
        "pending_orders": unseen(known, traded),
        "known_fills": known_fills(known, traded),
        **_to_show(at, run, known, before),
    }


def _with_trade_date(orders: pl.DataFrame, exchange: str) -> pl.DataFrame:
    """Orders with ``trade_date``, the first session after the night that proposed them."""
    days = orders.select("as_of_date").unique()
    sessions = [next_session(day, exchange) for day in days["as_of_date"]]
    return orders.join(days.with_columns(trade_date=pl.Series(sessions, dtype=pl.Date)), on="as_of_date")


@dataclass(frozen=True, slots=True)
class _UnshownBefore:
    """The last night over all accounts, and orders that its holdings, or a later run's, did not show: of those filled, and of those open.

    ``oldest``: the date of the oldest of them; null where there is none.
    """

    last: RunRow | None
    filled: pl.Series
    open: pl.Series
    oldest: date | None


def _unshown_before(at: Stores, run: RunRef) -> _UnshownBefore:
    last = last_night(at, run)
    runs = [] if last is None else [each.run_id for each in runs_from(at, last, run.as_of_date)]
    names = ("order_id", "proposed_date")
    nothing = pl.DataFrame(schema={name: INTERNAL["open_orders"][name] for name in names})
    filled, left = (
        pl.concat([nothing, *(at.lake.read(table, each, columns=names) for each in runs)])
        for table in ("unshown_fills", "open_orders")
    )
    oldest = pl.concat([filled, left])["proposed_date"].min()
    return _UnshownBefore(last, filled["order_id"], left["order_id"], oldest if isinstance(oldest, date) else None)


def _to_show(at: Stores, run: RunRef, known: pl.DataFrame, before: _UnshownBefore) -> dict[str, pl.DataFrame]:
    """``fills_to_show`` and ``orders_to_show``.

    Looked for is what there is news of since the last night over all accounts was pulled, what the holdings did not show then or later, and
    open orders of accounts that were not landed then.
    """
    since = None if before.last is None else before.last.started_at
    told = pl.Series([*at.ledger.fills.orders_told_since(since), *before.filled], dtype=pl.String)
    left = known.filter(is_open())
    news = pl.Series([*at.ledger.fills.open_orders_since(since), *before.open], dtype=pl.String)
    if before.last is not None:
        seen = at.lake.read("scope", before.last.run_id, columns=("account_id",))
        news = pl.concat([news, left.join(seen, on="account_id", how="anti")["order_id"]])
    sought = pl.concat([told, news]).unique()
    wanted = known.filter(pl.col("is_sent") & pl.col("order_id").is_in(sought.implode()))
    assumed = pl.when(is_open()).then("quantity").otherwise("filled_quantity")
    then = holdings_then(at.lake, at.ledger.runs, wanted.with_columns(filled_quantity=assumed))
    filled = wanted.filter(pl.col("order_id").is_in(told.implode()))["order_id"]
    tables = {"fills_to_show": to_show(known, then, filled), "orders_to_show": open_to_show(known, then, news)}
    sessions = sessions_to(run.as_of_date, at.settings.exchange, DAYS)
    return {name: with_session_counts(rows, sessions) for name, rows in tables.items()}
