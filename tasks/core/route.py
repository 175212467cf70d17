"""Where each proposal goes: to a person, or straight to approval by its policy's limits."""

from typing import Final

import polars as pl

from schemas.enums import Route, Trigger

TURNOVER: Final = "turnover_above_limit"
TAX: Final = "tax_above_limit"
PERSON: Final = "policy_asks_for_a_person"
FOUR_EYES: Final = "four_eyes"

LARGE_TAX_WEIGHT: Final = 0.005
"""Tax above this share of NAV is worth a look."""
LARGE_TURNOVER: Final = 0.10
LEAST_IMPROVEMENT: Final = 0.005
"""Trades that bring one-way drift down by less are worth a look."""

POINTS: Final[dict[str, int]] = {
    "short_cash": 30,
    "large_tax": 25,
    "new_model": 20,
    "large_turnover": 15,
    "low_improvement": 10,
    "harvest": 5,
}
"""Reasons to look, and what each adds to the priority."""


def with_look(proposals: pl.DataFrame) -> pl.DataFrame:
    """Proposals with ``look_reasons`` and ``priority``: points of the reasons, and 5 for each power of ten of USD traded."""
    nav = pl.col("nav_usd").cast(pl.Float64)
    conditions = {
        "short_cash": pl.col("cash_before_usd") < 0,
        "large_tax": pl.col("est_tax_usd").cast(pl.Float64) > LARGE_TAX_WEIGHT * nav,
        "new_model": _has_trigger(Trigger.MODEL_CHANGE),
        "large_turnover": pl.col("turnover") > LARGE_TURNOVER,
        "low_improvement": pl.col("one_way_drift_before") - pl.col("one_way_drift_after") < LEAST_IMPROVEMENT,
        "harvest": _has_trigger(Trigger.HARVEST),
    }
    words = [pl.when(condition).then(pl.lit(word)) for word, condition in conditions.items()]
    points = [pl.when(condition).then(POINTS[word]).otherwise(0) for word, condition in conditions.items()]
    size = 5 * pl.max_horizontal(pl.col("gross_value_usd").cast(pl.Float64), 1.0).log10().floor()
    return proposals.with_columns(
        look_reasons=pl.concat_str(words, separator="|", ignore_nulls=True),
        priority=(pl.sum_horizontal(points) + size).cast(pl.Int64),
    )


def _has_trigger(trigger: Trigger) -> pl.Expr:
    return pl.col("triggers").str.split("|").list.contains(trigger.value)


def with_route(proposals: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    """Proposals with ``route``, ``route_reasons`` and ``approvals_needed``; row order kept.

    ``limits``: account_id, auto_approve_max_turnover, auto_approve_max_tax_usd, four_eyes_above_usd. A null limit of the first
    two means always a person; orders above the third need two approvers.
    """
    needs_two = (pl.col("gross_value_usd").cast(pl.Float64) > pl.col("four_eyes_above_usd")).fill_null(value=False)
    is_asked = pl.col("auto_approve_max_turnover").is_null() | pl.col("auto_approve_max_tax_usd").is_null()
    conditions = {
        PERSON: is_asked,
        TURNOVER: pl.col("turnover") > pl.col("auto_approve_max_turnover"),
        TAX: pl.col("est_tax_usd").cast(pl.Float64) > pl.col("auto_approve_max_tax_usd"),
        FOUR_EYES: needs_two,
    }
    words = [pl.when(condition).then(pl.lit(word)) for word, condition in conditions.items()]
    return (
        proposals.join(limits, on="account_id", how="left", maintain_order="left")
        .with_columns(
            route_reasons=pl.concat_str(words, separator="|", ignore_nulls=True),
            approvals_needed=pl.when(needs_two).then(2).otherwise(1).cast(pl.Int64),
        )
        .with_columns(
            route=pl.when(pl.col("route_reasons") == "")
            .then(pl.lit(str(Route.AUTO)))
            .otherwise(pl.lit(str(Route.REVIEW)))
        )
        .drop("auto_approve_max_turnover", "auto_approve_max_tax_usd", "four_eyes_above_usd")
    )
