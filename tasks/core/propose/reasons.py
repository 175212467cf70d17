"""Why a class out of band was not, or not fully, traded.

A class counts as fully traded once it is within one unit of its destination, or within ``NEAR_ENOUGH`` of NAV: the last
basis points are what costs leave untraded at the optimum.

Overweight: what locked its unsold lots, else the minimum trade, else tax or cost beyond the benefit.
Underweight: why nothing may be bought, else the minimum trade, else what the money to buy it would cost: its own spread, or
the tax or spread of the lot that the next dollar would come from, the gain budget that it would use up, or there is nothing left to sell.

A member of an index that cannot be bought is measured from what it would hold if it could.

Known limits: a purchase held back because another class's sale is dear names tax or cost, not that class.
"""

from typing import Final

import polars as pl

from schemas.enums import Reason
from schemas.tables import PUBLIC
from tasks.core.facts import BPS, CLASS
from tasks.core.propose.solved import Solved

ACCOUNT_PRICES: Final = ("tracking_penalty", "shadow_price", "gain_price", "turnover_price")
NEAR_ENOUGH: Final = 1e-3
"""Share of NAV: 10 basis points."""


def class_reasons(solved: Solved) -> pl.DataFrame:
    """Rows of the table ``class_reasons``: one for each class out of band that was not fully traded; sorted."""
    nav = pl.col("nav_usd").cast(pl.Float64)
    unit = (pl.col("buy_unit_usd") * pl.col("buy_step").cast(pl.Float64)).fill_null(0.0)
    classes = (
        solved.classes.join(solved.accounts.select("account_id", *ACCOUNT_PRICES), on="account_id")
        .join(_unsold(solved.lots), on=CLASS, how="left")
        .with_columns(off=pl.col("governed_after_usd") - pl.col("destination_usd") - pl.col("handed_usd"))
        .with_columns(worth_bps=pl.col("tracking_penalty") * (1.0 / nav) * pl.col("off") * BPS)
    )
    is_short_of_it = (pl.col("off") * pl.col("drift") > 0) & (
        pl.col("off").abs() > pl.max_horizontal(NEAR_ENOUGH * nav, unit)
    )
    return (
        classes.filter(pl.col("is_out_of_band") & is_short_of_it)
        .join(_cash_sources(classes), on="account_id", how="left")
        .with_columns(
            benefit_bps=pl.col("worth_bps") + pl.col("shadow_price") * BPS,
            drift_before="drift",
            drift_after=pl.col("governed_after_usd") * (1.0 / nav) - pl.col("target_weight"),
        )
        .with_columns(code=pl.when(pl.col("off") > 0).then(_why_not_sold()).otherwise(_why_not_bought()))
        .filter(pl.col("code").is_not_null())  # a member of a household that holds nothing of the class
        .with_columns(detail=_detail())
        .select(PUBLIC["class_reasons"].keys())
        .sort(CLASS)
    )


def _unsold(lots: pl.DataFrame) -> pl.DataFrame:
    """By class: the cheapest lot that could still be sold, and the lock that holds most of the rest."""
    unsold = lots.with_columns(rest=(pl.col("quantity") - pl.col("sold")).cast(pl.Float64) * pl.col("unit_usd"))
    unsold = unsold.filter(pl.col("rest") > 0)
    by_cost = ["cost_at", "security_id", "lot_id"]
    free = (
        unsold.filter(pl.col("lock").is_null())
        .group_by(CLASS)
        .agg(
            next_cost_bps=pl.col("cost_at").min() * BPS,
            next_tax_bps=pl.col("tax_at").sort_by(by_cost).first() * BPS,
            next_gain=pl.col("gain").sort_by(by_cost).first(),
            lot_dropped=pl.col("lot_dropped").drop_nulls().sort().first(),
        )
    )
    locked = (
        unsold.filter(pl.col("lock").is_not_null())
        .group_by(*CLASS, "lock")
        .agg(pl.col("value_usd").sum())
        .sort(*CLASS, "value_usd", "lock", descending=[False, False, True, False])
        .group_by(CLASS, maintain_order=True)
        .agg(pl.col("lock").first())
    )
    return free.join(locked, on=CLASS, how="full", coalesce=True)


def _cash_sources(classes: pl.DataFrame) -> pl.DataFrame:
    """By account: of the lot that its next dollar of cash would come from, whether tax is most of its cost, whether the gain budget stops it, and why it was dropped, if it was."""
    return (
        classes.filter(pl.col("next_cost_bps").is_not_null())
        .sort("account_id", pl.col("next_cost_bps") - pl.col("worth_bps"), "asset_class")
        .group_by("account_id", maintain_order=True)
        .agg(
            is_source_taxed=_is_mostly_tax().first(),
            is_source_budgeted=_is_budgeted().first(),
            source_dropped=pl.col("lot_dropped").first(),
        )
    )


def _is_mostly_tax() -> pl.Expr:
    return pl.col("next_tax_bps") > pl.col("next_cost_bps") - pl.col("next_tax_bps")


def _is_budgeted() -> pl.Expr:
    return (pl.col("gain_price") > 0) & (pl.col("next_gain") > 0)


def _why_not_sold() -> pl.Expr:
    return (
        pl.when(pl.col("next_cost_bps").is_null())
        .then("lock")
        .when(pl.col("lot_dropped").is_not_null())
        .then("lot_dropped")
        .when(_is_budgeted())
        .then(pl.lit(str(Reason.GAIN_BUDGET_REACHED)))
        .when(pl.col("turnover_price") > 0)
        .then(pl.lit(str(Reason.TURNOVER_LIMIT_REACHED)))
        .when(_is_mostly_tax())
        .then(pl.lit(str(Reason.TAX_EXCEEDS_BENEFIT)))
        .otherwise(pl.lit(str(Reason.COST_EXCEEDS_BENEFIT)))
    )


def _why_not_bought() -> pl.Expr:
    is_dear = pl.col("shadow_price") * BPS > pl.col("buy_half_spread_bps").fill_null(0.0)
    return (
        pl.when(pl.col("buy_lock").is_not_null())
        .then("buy_lock")
        .when(pl.col("buy_dropped").is_not_null())
        .then("buy_dropped")
        .when(pl.col("turnover_price") > 0)
        .then(pl.lit(str(Reason.TURNOVER_LIMIT_REACHED)))
        .when(is_dear & pl.col("source_dropped").is_not_null())
        .then("source_dropped")
        .when(is_dear & pl.col("is_source_taxed").is_null())
        .then(pl.lit(str(Reason.NO_CASH_TO_BUY)))
        .when(is_dear & pl.col("is_source_budgeted"))
        .then(pl.lit(str(Reason.GAIN_BUDGET_REACHED)))
        .when(is_dear & pl.col("is_source_taxed"))
        .then(pl.lit(str(Reason.TAX_EXCEEDS_BENEFIT)))
        .otherwise(pl.lit(str(Reason.COST_EXCEEDS_BENEFIT)))
    )


def _detail() -> pl.Expr:
    dear = pl.format(
        "the next dollar sold would cost {} bps (tax {}) and is worth {} bps",
        pl.col("next_cost_bps").round(1),
        pl.col("next_tax_bps").round(1),
        pl.col("benefit_bps").round(1),
    )
    scarce = pl.format(
        "a dollar of cash costs {} bps to raise and is worth {} bps here",
        (pl.col("shadow_price") * BPS).round(1),
        (pl.col("shadow_price") * BPS - pl.col("benefit_bps")).round(1),
    )
    is_priced = pl.col("code").is_in([Reason.TAX_EXCEEDS_BENEFIT, Reason.COST_EXCEEDS_BENEFIT])
    unit = pl.format(
        "a unit of {} is worth {} USD, the class wants {} USD",
        "dear_symbol",
        pl.col("dear_unit_usd").round(2),
        pl.col("dear_above_usd").round(2),
    )
    return (
        pl.when(pl.col("code") == Reason.UNIT_TOO_DEAR)
        .then(unit)
        .when(is_priced & (pl.col("off") > 0))
        .then(dear)
        .when(is_priced)
        .then(scarce)
        .otherwise(pl.lit(""))
    )
