"""Cash whose change is unexplained.

``unexplained = settled - settled then - (sold - bought, quantity x price, after the account was last accepted)``. What was
pending then may have come, whole or in part: it lies between 0 and that. Beyond it, up to the limit, a dividend or a fee may.
"""

from typing import Final

import polars as pl

from schemas.enums import Side
from tasks.core.gate.history import CASH_EXPLAINED, Comparison, plain, share, values_then

_NOTHING: Final = pl.lit(0, pl.Decimal(38, 6))


def unexplained_cash(comparison: Comparison) -> pl.DataFrame:
    """Broken rules (as ``BROKEN``) of tonight's cash. An account that was worth nothing has nothing to compare with."""
    then = comparison.then["cash"].select("account_id", settled_then="settled_usd", pending_then="pending_usd")
    moved = (
        comparison.tonight["cash"]
        .join(then, on="account_id")
        .join(comparison.accounts, on="account_id")
        .join(_net_proceeds(comparison), on="account_id", how="left")
        .with_columns(pl.col("raised_usd").fill_null(0))
    )
    left = pl.col("settled_usd") - pl.col("settled_then") - pl.col("raised_usd")
    pending = pl.col("pending_then")
    beyond = pl.max_horizontal(
        left - pl.max_horizontal(pending, _NOTHING), pl.min_horizontal(pending, _NOTHING) - left, _NOTHING
    )
    moved = moved.with_columns(beyond=beyond).filter(pl.col("beyond") > 0)
    limit = comparison.limits.max_unexplained_cash_fraction
    worth = moved.join(values_then(comparison, moved.select("account_id")), on="account_id")
    broken = worth.filter((pl.col("value_usd") > 0) & (pl.col("beyond") > share(limit, pl.col("value_usd"))))
    sentence = pl.format(
        "settled_usd is {}, {} on {}; needed a change that trades since then ({}) and cash pending then ({}) explain, "
        "within {} % of the account's value then ({}).",
        plain("settled_usd"),
        plain("settled_then"),
        "accepted_date",
        plain("raised_usd"),
        plain("pending_then"),
        pl.lit(f"{limit * 100:g}"),
        plain("value_usd"),
    )
    return broken.select("row_number", rule=pl.lit(CASH_EXPLAINED), sentence=sentence)


def _net_proceeds(comparison: Comparison) -> pl.DataFrame:
    """``account_id, raised_usd``: what sales brought less what purchases cost since the account was last accepted."""
    factors = comparison.prices.select("security_id", "price_factor")
    trades = comparison.tonight["trades"].join(comparison.accounts, on="account_id")
    trades = trades.join(factors, on="security_id", how="left")
    is_since = (pl.col("trade_date") > pl.col("accepted_date")) & (pl.col("trade_date") <= comparison.as_of)
    value = pl.col("quantity") * pl.col("price_usd") * pl.col("price_factor").fill_null(1)
    signed = pl.when(pl.col("side") == Side.SELL).then(value).otherwise(-value)
    return trades.filter(is_since).group_by("account_id").agg(raised_usd=signed.sum())
