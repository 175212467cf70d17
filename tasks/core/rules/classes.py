"""Classes of an account: the least worth trading, and how much may be bought at what price."""

from typing import Final

import polars as pl

from schemas.enums import AccountStatus, Reason, TradeMode
from schemas.landing_columns import CASH
from tasks.core.facts import BPS, CLASS
from tasks.core.rules.purchases import GROUP
from tasks.core.rules.sales import outright_proceeds

CLASS_TERMS: Final = ("account_row", "model_id", "tax_status", "status", "trade_to", "trade_mode", "improvement")
"""What an account's classes need to know of it."""


def with_wants(
    classes: pl.DataFrame, accounts: pl.DataFrame, lots: pl.DataFrame, harvested: pl.DataFrame
) -> pl.DataFrame:
    """Classes with ``dear_above_usd``, what each wants and its account may have to spend on it; null where that is no order's worth.

    A class wants what it lacks of its destination, over its household where it is managed with others, and what is harvested of it. To
    spend there are cash and funds of the class cash and, unless the account only buys, what lies above other destinations and is harvested.

    Parameters
    ----------
    classes
        One row a class but cash of an account, with its destination.
    accounts
        ``facts.account_parameters`` with ``nav_usd``.
    lots
        ``facts.valued_lots``.
    harvested
        ``harvest.harvest_candidates``.
    """
    lots = lots.select("account_id", "security_id", "lot_id", "asset_class", "value_usd")
    out = lots.join(harvested, on=["account_id", "security_id", "lot_id"], how="semi")
    out = out.group_by(CLASS).agg(out_usd=pl.col("value_usd").sum().cast(pl.Float64))
    funds = lots.filter(pl.col("asset_class") == CASH).group_by("account_id")
    terms = accounts.select(
        "account_id",
        group=pl.coalesce("managed_household_id", "account_id"),
        least_usd=pl.max_horizontal("min_trade_usd", pl.col("min_trade_weight") * pl.col("nav_usd").cast(pl.Float64)),
        own_cash="cash_usd",
    ).join(funds.agg(funds=pl.col("value_usd").sum()), on="account_id", how="left", maintain_order="left")
    cash = (pl.col("own_cash") + pl.col("funds").fill_null(0)).cast(pl.Float64).clip(lower_bound=0.0)
    value = pl.col("value_usd").cast(pl.Float64)
    governed = value.sum().over("group", "asset_class")
    gap = pl.col("destination_usd") - governed + pl.col("out_usd").sum().over("group", "asset_class")
    above = pl.min_horizontal(value, (-gap).clip(lower_bound=0.0))
    raised = pl.when(pl.col("trade_mode") == TradeMode.BUY_ONLY).then(0.0).otherwise(above + pl.col("out_usd"))
    want = pl.min_horizontal(gap, cash + raised.sum().over("account_id"))
    return (
        classes.join(terms, on="account_id", how="left", maintain_order="left")
        .join(out, on=CLASS, how="left", maintain_order="left")
        .with_columns(pl.col("out_usd").fill_null(0.0))
        .with_columns(dear_above_usd=want)
        .with_columns(dear_above_usd=pl.when(pl.col("dear_above_usd") >= pl.col("least_usd")).then("dear_above_usd"))
        .drop("group", "least_usd", "own_cash", "funds", "out_usd")
    )


def with_buy_costs(classes: pl.DataFrame, preferences: pl.DataFrame) -> pl.DataFrame:
    """Classes with ``buy_spread``, ``location`` (what holding the class in such an account costs) and their sum ``buy_cost``.

    Fractions of a dollar bought. Nothing to buy: a spread of 0; no preference: a location cost of 0.
    """
    location = pl.col("cost_bps").fill_null(0.0) * (1 / BPS)
    return (
        classes.join(preferences.select(*GROUP, "cost_bps"), on=GROUP, how="left", maintain_order="left")
        .with_columns(buy_spread=pl.col("buy_half_spread_bps").fill_null(0.0) * (1 / BPS), location=location)
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
    room_usd = (pl.col("room") * pl.col("buy_unit_usd")).fill_null(float("inf"))
    return (
        classes.join(room, on=["account_id", "buy_security_id"], how="left", maintain_order="left")
        .with_columns(buy_lock=pl.coalesce("buy_lock", *locks))
        .with_columns(buy_cap_usd=pl.when(pl.col("buy_lock").is_null()).then(room_usd).otherwise(0.0))
        .drop("room")
    )
