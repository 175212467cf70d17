"""Orders of other runs that the landed trades do not show yet; they count where a household's trades count."""

from typing import Final

import polars as pl

from schemas.enums import Side
from schemas.landing import dtypes
from schemas.stored import INTERNAL

ORDER: Final = ("account_id", "security_id", "side")
"""What an order and the trade that fills it have in common."""
WIDE: Final = pl.Decimal(38, 12)
DAYS: Final = 60
"""Older orders are not looked at: the trades go back about as far."""


def counted(proposals: pl.DataFrame, scope: pl.Series) -> pl.DataFrame:
    """Live proposals of other runs that this run does not replace, with ``is_sent``.

    Those of accounts in scope are superseded by this run, unless an export has claimed them.

    Parameters
    ----------
    proposals
        ``Ledger.live_proposals``.
    scope
        Accounts to be looked at.
    """
    is_replaced = pl.col("account_id").is_in(scope.implode()) & pl.col("export_id").is_null()
    return proposals.filter(~is_replaced).with_columns(is_sent=pl.col("export_id").is_not_null())


def unseen(orders: pl.DataFrame, trades: pl.DataFrame) -> pl.DataFrame:
    """Rows of the table ``pending_orders``: what of the orders may yet be traded, as far as anybody knows; sorted.

    That is all of an order without a trade of the account, security and side since, less what it is known to be filled with;
    nothing of one that is known to be over.

    Parameters
    ----------
    orders
        Orders with ``as_of_date`` and ``is_sent`` of their proposal, and what is known of them: ``filled_quantity`` and ``is_closed``. One
        that was not sent has no trade, whatever was traded.
    trades
        Landed trades of their accounts.
    """
    left = pl.col("quantity") - pl.col("filled_quantity")
    return (
        _without_trade(orders, trades)
        .filter(~pl.col("is_closed") & (left > 0))
        .sort(*ORDER, "order_id")
        .select(*ORDER, left.cast(INTERNAL["pending_orders"]["quantity"]), "is_loss", trade_date="as_of_date")
    )


def known_fills(orders: pl.DataFrame, trades: pl.DataFrame) -> pl.DataFrame:
    """Rows of the table ``known_fills``: fills that brokers told and the landed trades do not show yet; sorted.

    Grain: order. The gain of a sell is against the cost of the lots that were proposed, in proportion to what is filled; null
    where a cost is unknown.

    Parameters
    ----------
    orders, trades
        As for ``unseen``, with ``average_price_usd``, ``last_trade_date`` and ``cost_usd`` of what an order closes.
    """
    filled, price = pl.col("filled_quantity").cast(WIDE), pl.col("average_price_usd").cast(WIDE)
    gain = filled * (price - pl.col("cost_usd").cast(WIDE) / pl.col("quantity").cast(WIDE))
    return (
        _without_trade(orders, trades)
        .filter(pl.col("filled_quantity") > 0)
        .sort(*ORDER, "order_id")
        .select(
            *ORDER,
            trade_date="last_trade_date",
            quantity="filled_quantity",
            price_usd="average_price_usd",
            realized_gain_usd=pl.when(pl.col("side") == Side.SELL).then(gain.round(6, mode="half_to_even")),
        )
        .select(dtypes("trades").keys())
        .cast(dtypes("trades"))  # type: ignore[arg-type]
    )


def _without_trade(orders: pl.DataFrame, trades: pl.DataFrame) -> pl.DataFrame:
    newest = trades.group_by(ORDER).agg(traded_on=pl.col("trade_date").max())
    is_seen = pl.col("is_sent") & (pl.col("traded_on") >= pl.col("as_of_date"))
    return orders.join(newest, on=ORDER, how="left").filter(~is_seen.fill_null(value=False))
