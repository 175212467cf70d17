"""Orders of other runs that the landed trades do not show yet; they count where a household's trades count."""

from typing import Final

import polars as pl

from schemas.enums import Side
from schemas.landing_columns import dtypes
from schemas.stored import INTERNAL
from schemas.units import EXACT

ORDER: Final = ("account_id", "security_id", "side")
"""What an order and the trade that fills it have in common."""
WIDE: Final = pl.Decimal(38, 12)
KNOWN_ORDERS: Final[dict[str, pl.DataType]] = {
    "order_id": pl.String(),
    "proposal_id": pl.String(),
    "run_id": pl.String(),
    "as_of_date": pl.Date(),
    "account_id": pl.String(),
    "security_id": pl.String(),
    "side": pl.String(),
    "quantity": EXACT,
    "amount_usd": pl.Decimal(38, 6),
    "is_loss": pl.Boolean(),
    "cost_usd": pl.Decimal(38, 6),
    "is_sent": pl.Boolean(),
    "filled_quantity": EXACT,
    "average_price_usd": EXACT,
    "last_trade_date": pl.Date(),
    "is_closed": pl.Boolean(),
    "is_retracted": pl.Boolean(),
}
"""Orders of proposals of other runs, and what brokers reported of each. ``is_retracted``: a fill was busted or corrected, and there is no final word."""
DAYS: Final = 60
"""Older orders are not looked at: the trades go back about as far."""


def standing_proposals(proposals: pl.DataFrame, scope: pl.Series) -> pl.DataFrame:
    """Live proposals of other runs that this run does not replace, with ``is_sent``.

    Those of accounts in scope are superseded by this run, unless an export has claimed them.

    Parameters
    ----------
    proposals
        ``Exports.live_proposals``.
    scope
        Accounts to be looked at.
    """
    is_replaced = pl.col("account_id").is_in(scope.implode()) & pl.col("export_id").is_null()
    return proposals.filter(~is_replaced).with_columns(is_sent=pl.col("export_id").is_not_null())


def unseen(orders: pl.DataFrame, trades: pl.DataFrame) -> pl.DataFrame:
    """Rows of the table ``pending_orders``: what of the orders may yet be traded, as far as is known; sorted.

    That is all of an order but what trades show or brokers reported of it, whichever is more; nothing of one that is known to be over.

    Parameters
    ----------
    orders
        Orders with ``as_of_date``, ``trade_date`` (the session that they were proposed for) and ``is_sent`` of their proposal, and what is known of them: ``filled_quantity`` and ``is_closed``. One
        that was not sent has no trade, whatever was traded.
    trades
        Landed trades of their accounts.
    """
    left = pl.col("quantity") - pl.max_horizontal("filled_quantity", "shown_quantity")
    return (
        with_shown(orders, trades)
        .filter(~pl.col("is_closed") & (left > 0))
        .sort(*ORDER, "order_id")
        .select(*ORDER, left.cast(INTERNAL["pending_orders"]["quantity"]), "is_loss", "trade_date")
    )


def known_fills(orders: pl.DataFrame, trades: pl.DataFrame) -> pl.DataFrame:
    """Rows of the table ``known_fills``: fills that brokers reported and the landed trades do not show yet; sorted.

    Grain: order. The gain of a sell is against the cost of the lots that were proposed, in proportion to what is filled; null
    where a cost is unknown.

    Known limits: an order that was filled on several days stands under the last of them.

    Parameters
    ----------
    orders, trades
        As for ``unseen``, with ``average_price_usd``, ``last_trade_date`` and ``cost_usd`` of what an order closes.
    """
    filled, price = pl.col("hidden_quantity").cast(WIDE), pl.col("average_price_usd").cast(WIDE)
    gain = filled * (price - pl.col("cost_usd").cast(WIDE) / pl.col("quantity").cast(WIDE))
    return (
        with_shown(orders, trades)
        .with_columns(hidden_quantity=pl.col("filled_quantity") - pl.col("shown_quantity"))
        .filter(pl.col("hidden_quantity") > 0)
        .sort(*ORDER, "order_id")
        .select(
            *ORDER,
            trade_date="last_trade_date",
            quantity="hidden_quantity",
            price_usd="average_price_usd",
            realized_gain_usd=pl.when(pl.col("side") == Side.SELL).then(gain.round(6, mode="half_to_even")),
        )
        .select(dtypes("trades").keys())
        .cast(dtypes("trades"))  # type: ignore[arg-type]
    )


def with_shown(orders: pl.DataFrame, trades: pl.DataFrame) -> pl.DataFrame:
    """Orders with ``shown_quantity``: how much of each the landed trades of its account, security and side since its date show.

    A trade shows one order: the oldest first, and of each no more than it may have been filled with.
    """
    most = pl.when(pl.col("is_closed")).then("filled_quantity").otherwise("quantity").cast(WIDE)
    queued = (
        orders.join(_traded_since(orders, trades), on=(*ORDER, "as_of_date"), how="left")
        .sort("as_of_date", "order_id")
        .with_columns(
            pl.col("traded").fill_null(0),
            most=pl.when(pl.col("is_sent")).then(most).otherwise(pl.lit(0, WIDE)),
            place=pl.int_range(pl.len()).over(ORDER),
        )
    )
    shown, left = [], pl.DataFrame(schema={**{name: pl.String() for name in ORDER}, "left": WIDE})
    for place in range(queued["place"].n_unique()):
        pool = pl.min_horizontal("traded", pl.col("left").fill_null(pl.col("traded")))
        at_place = queued.filter(pl.col("place") == place).join(left, on=ORDER, how="left").with_columns(pool=pool)
        taken = at_place.with_columns(shown=pl.min_horizontal("most", "pool"))
        left = taken.select(*ORDER, left=pl.col("pool") - pl.col("shown"))
        shown.append(taken.select(*orders.columns, shown_quantity=pl.col("shown").cast(pl.Decimal(18, 6))))
    return pl.concat([orders.clear().with_columns(shown_quantity=pl.lit(None, pl.Decimal(18, 6))), *shown])


def _traded_since(orders: pl.DataFrame, trades: pl.DataFrame) -> pl.DataFrame:
    """``traded``: what the trades of an account, security and side sum to from each date of its orders on."""
    dates = orders.filter(pl.col("is_sent")).select(*ORDER, "as_of_date").unique()
    theirs = dates.join(trades.select(*ORDER, "trade_date", traded=pl.col("quantity").cast(WIDE)), on=ORDER)
    return (
        theirs.filter(pl.col("trade_date") >= pl.col("as_of_date"))
        .group_by(*ORDER, "as_of_date")
        .agg(pl.col("traded").sum())
    )
