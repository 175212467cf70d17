"""Solve the accounts and sum each one's orders up in a proposal.

Floats are multiplied by a reciprocal, not divided: Polars divides so itself where all rows share a divisor, and bytes repeat.
Money and shares are Decimal once units are whole: an account's cash after is exactly its cash before plus sells less buys less
estimated costs.
"""

from typing import Final

import polars as pl

from schemas.enums import Side, TaxRegime, Term
from schemas.tables import PUBLIC, USD
from tasks.core.export import content_hashes
from tasks.core.facts import BPS, exact_sum
from tasks.core.propose.realized import net_gains
from tasks.core.propose.solved import Solved
from tasks.core.solver import TRADED
from tasks.core.tax import is_taxed

RATE_TOLERANCE: Final = 1e-9
ROUTED: Final = (
    "route",
    "route_reasons",
    "household_id",
    "look_reasons",
    "priority",
    "approvals_needed",
    "ttl_hours",
    "custodian",
    "model_hash",
)
"""Columns of a proposal that routing adds."""
CHECKED: Final = ("cash_after", "cash_floor_usd")
"""What a proposal is checked by: the solver's own figure of its cash, and the least it may end with, which is below 0 by what is tolerated."""


def proposal_rows(
    solved: Solved, orders: pl.DataFrame, relief: pl.DataFrame, account_drift: pl.DataFrame
) -> pl.DataFrame:
    """Rows of the table ``proposals`` but for what routing adds, with ``CHECKED``; sorted by account.

    ``orders`` and ``relief`` as ``orders.order_rows`` gives them, ``account_drift`` as the table.
    """
    totals = _order_totals(orders)
    before = account_drift.select("account_id", "nav_usd", "triggers", one_way_drift_before="one_way_drift")
    nav, governed_nav = pl.col("nav_usd").cast(pl.Float64), pl.col("governed_nav_usd").cast(pl.Float64)
    return (
        solved.accounts.filter(pl.col("status") == TRADED)
        .drop("nav_usd")
        .join(before, on="account_id")
        .join(totals, on="account_id")
        .join(_gains(relief), on="account_id", how="left")
        .join(_drift_after(solved, totals.select("account_id", "est_cost_usd")), on="account_id")
        .with_columns(
            pl.col("realized_short_gain_usd", "realized_long_gain_usd").fill_null(0),
            turnover=pl.col("gross_value_usd").cast(pl.Float64) * (0.5 / nav),
            gap_bps=(pl.col("objective_usd") - pl.col("lower_bound_usd")) * (BPS / governed_nav),
            cash_before_usd="cash_usd",
            cash_floor_usd=pl.when("is_owing").then(0).otherwise(pl.min_horizontal("cash_usd", 0)).cast(USD),
            cash_after_usd=pl.col("cash_usd") + pl.col("net_usd") - pl.col("est_cost_usd"),
        )
        .join(_tax_regimes(solved), on="account_id")
        .join(content_hashes(orders), on="proposal_id")
        .select(*(name for name in PUBLIC["proposals"] if name not in ROUTED), *CHECKED)
        .sort("account_id")
    )


def _tax_regimes(solved: Solved) -> pl.DataFrame:
    """``account_id, tax_regime, marginal_short_rate, marginal_long_rate``: where the year's net gains stand after the sales.

    At an edge between two regimes the rates are the solver's, between those of the two.
    """
    at = (pl.col("short_rate_at"), pl.col("long_rate_at"))
    short, long, rates = pl.col("short_after"), pl.col("long_after"), (pl.col("short_rate"), pl.col("long_rate"))
    none = pl.lit(0.0)
    regimes = {
        TaxRegime.NONE: (~is_taxed(), none, none),
        TaxRegime.EDGE: (_is_between(at[0], *rates) | _is_between(at[1], *rates), *at),
        TaxRegime.TAXED: ((short >= 0) & (long >= 0), *rates),
        TaxRegime.UNTAXED: (short + long <= 0, none, none),
        TaxRegime.SHORT_OFFSET: (short < 0, rates[1], rates[1]),
    }
    words: tuple[pl.Expr, ...] = (pl.lit(str(TaxRegime.LONG_OFFSET)), rates[0], rates[0])
    for regime, (condition, *of_terms) in reversed(regimes.items()):
        new = (pl.lit(str(regime)), *of_terms)
        words = tuple(pl.when(condition).then(one).otherwise(other) for one, other in zip(new, words, strict=True))
    named = dict(zip(("tax_regime", "marginal_short_rate", "marginal_long_rate"), words, strict=True))
    return (
        net_gains(solved.accounts, solved.lots)
        .join(solved.accounts.select("account_id", "tax_status", "short_rate_at", "long_rate_at"), on="account_id")
        .select("account_id", **named)
    )


def _is_between(rate: pl.Expr, short_rate: pl.Expr, long_rate: pl.Expr) -> pl.Expr:
    """Whether a marginal rate is neither 0 nor one of the account's own."""
    ends = (pl.lit(0.0), short_rate, long_rate)
    return pl.all_horizontal((rate - end).abs() > RATE_TOLERANCE for end in ends)


def _order_totals(orders: pl.DataFrame) -> pl.DataFrame:
    """By account: proposal_id, number of orders, costs, tax, value traded and ``net_usd``, sells less buys."""
    is_sell = pl.col("side") == Side.SELL
    return orders.group_by("account_id").agg(
        pl.col("proposal_id").first(),
        pl.col("est_cost_usd", "est_tax_usd").sum(),
        order_count=pl.len().cast(pl.Int64),
        gross_value_usd=pl.col("value_usd").sum(),
        net_usd=pl.when(is_sell).then("value_usd").otherwise(-pl.col("value_usd")).sum(),
    )


def _gains(relief: pl.DataFrame) -> pl.DataFrame:
    """By account: gains of lots of known basis, losses negative."""
    gain = pl.col("gain_usd")
    return relief.group_by("account_id").agg(
        realized_short_gain_usd=gain.filter(pl.col("term") == Term.SHORT).sum(),
        realized_long_gain_usd=gain.filter(pl.col("term") == Term.LONG).sum(),
    )


def _drift_after(solved: Solved, costs: pl.DataFrame) -> pl.DataFrame:
    """``account_id, one_way_drift_after``: half the sum of absolute drifts after the trades, over NAV less their costs.

    The class cash is what the others leave of 1, in weight and in target.
    """
    nav = pl.col("nav_usd").cast(pl.Float64) - pl.col("est_cost_usd").cast(pl.Float64)
    off = pl.col("after_usd") * (1.0 / pl.col("nav_after")) - pl.col("target_weight")
    return (
        solved.classes.drop("nav_usd")
        .join(solved.accounts.select("account_id", "nav_usd").join(costs, on="account_id"), on="account_id")
        .with_columns(nav_after=nav)
        .with_columns(off=off)
        .group_by("account_id")
        .agg(classes=exact_sum(pl.col("off").abs()), cash=exact_sum(pl.col("off")).abs())
        .select("account_id", one_way_drift_after=(pl.col("classes") + pl.col("cash")) / 2)
    )
