"""Classes of an account: where a rebalance lands, the least worth trading, and how much may be bought at what price."""

from typing import Final

import polars as pl

from schemas.enums import AccountStatus, Reason, TradeMode
from tasks.core.facts import BPS, CLASS
from tasks.core.rules.purchases import GROUP
from tasks.core.rules.sales import outright_proceeds

CLASS_TERMS: Final = ("account_row", "model_id", "tax_status", "status", "trade_to", "trade_mode", "improvement")
"""What an account's classes need to know of it."""


def destinations(drift: pl.DataFrame) -> pl.DataFrame:
    """Drift rows with ``destination_usd = NAV * (target + clip(drift, -trade_to * band, trade_to * band))``; no band counts as 0."""
    reach = (pl.col("trade_to") * pl.col("band")).fill_null(0.0)
    weight = pl.col("target_weight") + pl.col("drift").clip(-reach, reach)
    return drift.with_columns(destination_usd=weight * pl.col("nav_usd").cast(pl.Float64))


def with_buy_costs(classes: pl.DataFrame, preferences: pl.DataFrame) -> pl.DataFrame:
    """Classes with ``buy_spread``, ``location`` (what holding the class in such an account costs) and their sum ``buy_cost``.

    Fractions of a dollar bought. Nothing to buy: a spread of 0; no preference: a location cost of 0.
    """
    location = pl.col("cost_bps").fill_null(0.0) / BPS
    return (
        classes.join(preferences.select(*GROUP, "cost_bps"), on=GROUP, how="left", maintain_order="left")
        .with_columns(buy_spread=pl.col("buy_half_spread_bps").fill_null(0.0) / BPS, location=location)
        .with_columns(buy_cost=pl.col("buy_spread") + pl.col("location"))
        .drop("cost_bps")
    )


def with_start_values(classes: pl.DataFrame, lots: pl.DataFrame) -> pl.DataFrame:
    """Classes with ``start_value_usd``, what is left of their value after outright sales, and ``class_min_usd``.

    ``class_min_usd = improvement * |value - target|``, from the model's target and not from the destination.
    """
    deviation = (pl.col("drift") * pl.col("nav_usd").cast(pl.Float64)).abs()
    sold = outright_proceeds(lots).select(*CLASS, "outright_usd")
    return (
        classes.join(sold, on=CLASS, how="left", maintain_order="left")
        .with_columns(
            start_value_usd=pl.col("value_usd") - pl.col("outright_usd").fill_null(0),
            class_min_usd=(pl.col("improvement") * deviation).fill_null(0.0),
        )
        .drop("outright_usd")
    )


def with_buy_caps(classes: pl.DataFrame, room: pl.DataFrame) -> pl.DataFrame:
    """Classes with ``buy_cap_usd``, the most that may be bought (inf: no limit), and ``buy_lock`` where it is 0.

    ``room`` (``hold_ranges.room_to_buy``) says what a holding's maximum leaves. Only a class whose purchase no other rule
    forbids is locked for the account's sake: not traded, or selling only.
    """
    rules = {
        Reason.MEMBER_NOT_TRADED: pl.col("status") != AccountStatus.ACTIVE,
        Reason.SELL_ONLY: pl.col("trade_mode") == TradeMode.SELL_ONLY,
        Reason.HOLD_RANGE: pl.col("room").fill_null(1.0) <= 0,
    }
    locks = (pl.when(condition).then(pl.lit(str(reason))) for reason, condition in rules.items())
    room_usd = (pl.col("room") * pl.col("buy_price_usd").cast(pl.Float64)).fill_null(float("inf"))
    return (
        classes.join(room, on=["account_id", "buy_security_id"], how="left", maintain_order="left")
        .with_columns(buy_lock=pl.coalesce("buy_lock", *locks))
        .with_columns(buy_cap_usd=pl.when(pl.col("buy_lock").is_null()).then(room_usd).otherwise(0.0))
        .drop("room")
    )
