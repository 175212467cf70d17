"""Orders of other runs that the landed trades do not show yet; they count where a household's trades count."""

from typing import Final

import polars as pl

ORDER: Final = ("account_id", "security_id", "side")
"""What an order and the trade that fills it have in common."""
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
    """Rows of the table ``pending_orders``: orders without a trade of the account, security and side since; sorted.

    Parameters
    ----------
    orders
        Orders with ``as_of_date`` and ``is_sent`` of their proposal; one that was not sent has no trade, whatever was traded.
    trades
        Landed trades of their accounts.
    """
    newest = trades.group_by(ORDER).agg(traded_on=pl.col("trade_date").max())
    is_seen = pl.col("is_sent") & (pl.col("traded_on") >= pl.col("as_of_date"))
    return (
        orders.join(newest, on=ORDER, how="left")
        .filter(~is_seen.fill_null(value=False))
        .sort(*ORDER, "order_id")
        .select(*ORDER, "quantity", "is_loss", trade_date="as_of_date")
    )
