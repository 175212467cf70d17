"""Restrictions that keep a holding within a range: what may be sold, what must be, and what may be bought.

Of several ranges on a security (the account's own and everyone's) the tightest counts. A range given in dollars is one of
shares at the reference price, and none at a price of 0. Where a minimum lies above a maximum the minimum counts.

Within a class the cheaper lot is always sold first, so a minimum cuts what may be sold from the dearest lot upward.

Known limits: cheapest is at the account's own tax rates, before gains and losses are netted.
"""

from datetime import date
from typing import Final

import polars as pl

from schemas.enums import Reason, RestrictionRule
from schemas.units import EXACT
from tasks.core.facts import Facts
from tasks.core.rules.sales import HOLDING

TOLERANCE: Final = 1e-9
"""Share of a quantity step that is rounding noise."""


def held_ranges(holdings: pl.DataFrame, facts: Facts, securities: pl.DataFrame, trade_date: date) -> pl.DataFrame:
    """``account_id, security_id, least, most`` (shares; null: no limit) of those ``holdings`` that a range is in force for."""
    active = facts.restrictions.filter(
        (pl.col("rule") == RestrictionRule.HOLD_RANGE)
        & (pl.col("until_date").is_null() | (pl.col("until_date") >= trade_date))
    )
    securities_ranged = active["security_id"].unique().implode()
    ranged = holdings.select(HOLDING).filter(pl.col("security_id").is_in(securities_ranged)).unique()
    limits = active.drop("rule", "until_date")
    own = ranged.join(limits, on=HOLDING)
    everyones = limits.filter(pl.col("account_id").is_null()).drop("account_id")
    shared = ranged.join(everyones, on="security_id").select(own.columns)
    price = pl.when(pl.col("unit_usd") > 0).then("unit_usd")
    given = [pl.col(name).cast(pl.Float64) for name in ("min_quantity", "max_quantity")]
    worth = [pl.col(name).cast(pl.Float64) * (1.0 / price) for name in ("min_value_usd", "max_value_usd")]
    return (
        pl.concat([own, shared])
        .join(securities.select("security_id", "unit_usd"), on="security_id", how="left")
        .with_columns(least=pl.max_horizontal(given[0], worth[0]), most=pl.min_horizontal(given[1], worth[1]))
        .group_by(HOLDING)
        .agg(pl.col("least").max(), pl.col("most").min())
        .with_columns(most=pl.when(pl.col("most").is_not_null()).then(pl.max_horizontal("least", "most")))
    )


def with_excess_sold(lots: pl.DataFrame, ranges: pl.DataFrame) -> pl.DataFrame:
    """Lots with what is held above a maximum added to ``outright``: cheapest first, in whole steps, rounded up.

    A maximum is firmer than what policy prefers: only lots that nothing may ever sell (``is_fixed``) are left alone.
    ``start_quantity`` is what is left to the solver.
    """
    limits = ranges.filter(pl.col("most").is_not_null())
    start = (pl.col("quantity") - pl.col("outright")).alias("start_quantity")
    if limits.is_empty():
        return lots.with_columns(start)
    lots = lots.with_row_index("row")
    held = pl.col("start_quantity").cast(pl.Float64)
    excess = (
        lots.with_columns(start)
        .join(limits, on=HOLDING)
        .with_columns(excess=held.sum().over(HOLDING) - pl.col("most"), cost=pl.col("spread") + pl.col("tax"))
        .filter(~pl.col("is_fixed"))
        .sort(*HOLDING, "cost", "lot_id")
        .with_columns(take=_take_in_order(pl.col("excess"), held))
        .select("row", more=_in_steps(pl.col("take"), round_up=True))
        .filter(pl.col("more") > 0)
    )
    return (
        lots.join(excess, on="row", how="left", maintain_order="left")
        .with_columns(
            outright=pl.col("outright") + pl.col("more").fill_null(0),
            outright_reason=pl.coalesce(
                "outright_reason", pl.when(pl.col("more") > 0).then(pl.lit(str(Reason.HOLD_RANGE)))
            ),
        )
        .with_columns(start)
        .drop("row", "more")
    )


def with_caps(lots: pl.DataFrame, ranges: pl.DataFrame) -> pl.DataFrame:
    """Lots with ``cap_quantity`` and ``cap_usd``, the most that may be sold of each, and a lock, ``least_reason`` of the range, where a minimum leaves nothing.

    A lot whose gain is avoided keeps its cap: it counts where the lock is taken off to raise cash, after the free ones.
    """
    is_opened = pl.col("lock").is_null() | (pl.col("lock") == Reason.SHORT_TERM_GAIN_AVOIDED)
    price = pl.col("unit_usd")
    whole = pl.when(is_opened).then("start_quantity").otherwise(0).cast(EXACT)
    limits = ranges.filter(pl.col("least").is_not_null())
    if limits.is_empty():
        return lots.with_columns(cap_quantity=whole).with_columns(
            cap_usd=pl.col("cap_quantity").cast(pl.Float64) * price
        )
    lots = lots.with_row_index("row")
    held = pl.col("start_quantity").cast(pl.Float64)
    cut = (
        lots.join(limits, on=HOLDING)
        .with_columns(excess=held.sum().over(HOLDING) - pl.col("least"))
        .filter(is_opened)
        .sort(*HOLDING, pl.col("lock").is_not_null(), "cost", "lot_id")
        .with_columns(take=_take_in_order(pl.col("excess"), held))
        .select("row", "least_reason", cut_quantity=_in_steps(pl.col("take"), round_up=False))
    )
    is_closed = pl.col("lock").is_null() & (pl.col("cut_quantity") == 0) & (pl.col("start_quantity") > 0)
    return (
        lots.join(cut, on="row", how="left", maintain_order="left")
        .with_columns(
            cap_quantity=pl.coalesce("cut_quantity", whole).cast(EXACT),
            lock=pl.when(is_closed.fill_null(value=False)).then("least_reason").otherwise("lock"),
        )
        .with_columns(cap_usd=pl.col("cap_quantity").cast(pl.Float64) * price)
        .drop("row", "cut_quantity", "least_reason")
    )


def room_to_buy(ranges: pl.DataFrame, lots: pl.DataFrame) -> pl.DataFrame:
    """``account_id, buy_security_id, room`` (shares, >= 0): how much more each range lets an account hold."""
    limits = ranges.filter(pl.col("most").is_not_null())
    held = lots.join(limits, on=HOLDING, how="semi").group_by(HOLDING).agg(held=pl.col("start_quantity").sum())
    room = pl.col("most") - pl.col("held").cast(pl.Float64).fill_null(0.0)
    return limits.join(held, on=HOLDING, how="left").select(
        "account_id", buy_security_id="security_id", room=room.clip(lower_bound=0.0)
    )


def _take_in_order(total: pl.Expr, quantity: pl.Expr) -> pl.Expr:
    """How much of each lot goes when ``total`` is taken of a holding's lots in the order they stand."""
    before = quantity.cum_sum().over(HOLDING) - quantity
    return pl.max_horizontal(pl.min_horizontal(total - before, quantity), 0.0)


def _in_steps(quantity: pl.Expr, *, round_up: bool) -> pl.Expr:
    """Shares in whole quantity steps; a lot that goes whole stays whole."""
    steps = quantity * (1.0 / pl.col("quantity_step").cast(pl.Float64))
    rounded = (steps - TOLERANCE).ceil() if round_up else (steps + TOLERANCE).floor()
    shares = (rounded.cast(pl.Int64) * pl.col("quantity_step")).cast(EXACT)
    is_whole = quantity >= pl.col("start_quantity").cast(pl.Float64) - TOLERANCE
    return pl.when(is_whole | (shares > pl.col("start_quantity"))).then("start_quantity").otherwise(shares)
