"""Weights by class after some orders: of an account, or of a household whose accounts are one portfolio."""

from decimal import Decimal

import polars as pl

from schemas.enums import Side
from schemas.landing_columns import CASH
from schemas.tables import USD
from tasks.core.drift import is_out_of_band
from tasks.core.facts import exact_sum


def classes_after(drift: pl.DataFrame, orders: pl.DataFrame, classes: pl.DataFrame, cost_usd: Decimal) -> pl.DataFrame:
    """Rows of ``drift`` with value, weight and drift after the orders, over NAV less their costs; as before where there are none.

    ``drift``: one row a class; ``orders``: ``side, security_id, value_usd``; ``classes``: ``security_id, asset_class`` of all of them.
    Cash comes last. Weights are null where NAV is not positive.
    """
    signed = pl.when(pl.col("side") == Side.BUY).then("value_usd").otherwise(-pl.col("value_usd"))
    traded = (
        orders.join(classes.select("security_id", "asset_class"), on="security_id")
        .group_by("asset_class")
        .agg(traded_usd=signed.sum())
    )
    moved = pl.lit(-cost_usd, USD) - traded["traded_usd"].sum()
    nav = (pl.col("value_usd").sum() - pl.lit(cost_usd, USD)).cast(pl.Float64)
    after = pl.col("value_after_usd").cast(pl.Float64) / nav
    return (
        drift.join(traded, on="asset_class", how="left")
        .with_columns(
            value_after_usd=pl.col("value_usd")
            + pl.when(pl.col("asset_class") == CASH).then(moved).otherwise(pl.col("traded_usd").fill_null(0))
        )
        .with_columns(weight_after=pl.when(nav > 0).then(after))
        .with_columns(drift_after=pl.col("weight_after") - pl.col("target_weight"))
        .with_columns(is_out_of_band_after=is_out_of_band(pl.col("drift_after"), pl.col("band")))
        .drop("traded_usd")
        .sort(pl.col("asset_class") == CASH, "asset_class")
    )


def one_way(drifts: pl.Expr) -> pl.Expr:
    """Half the sum of absolute drifts; null where one of them is."""
    return pl.when(drifts.is_not_null().all()).then(exact_sum(drifts.abs()) / 2)
