"""Drift of every account against its model, in bulk (weights, tolerance bands, triggers).

    NAV    = market value of all lots + settled + pending - reserve      (Decimal)
    weight = value / NAV                                                  (Float64 from here on)
    drift  = weight - target_weight                                       positive: overweight
    band   = lesser (or greater) of absolute_band and relative_band * target_weight; null with neither
    out of band where |drift| > band, touching the edge is inside

A class that is held but has no target is compared with 0 and has no band. Cash beyond the reserve is the class ``cash``.

Known limits: an account whose NAV is not positive has null weights; it is never out of band and is reported apart.
"""

from collections.abc import Collection
from typing import Final

import polars as pl

from schemas.enums import BandRule, Calendar, Trigger
from schemas.landing import CASH
from schemas.tables import USD
from tasks.core.facts import CLASS, exact_sum

WEIGHT_TOLERANCE: Final = 1e-9
"""Weights this close are equal: 0.65 - 0.60 > 0.05 in floating point."""


def is_out_of_band(drift: pl.Expr, band: pl.Expr) -> pl.Expr:
    """True where ``|drift| > band``; touching the edge is inside (to 1e-9). Null band or drift: never out."""
    return (drift.abs() > band + WEIGHT_TOLERANCE).fill_null(value=False)


def tolerance_band(target: pl.Expr, absolute: pl.Expr, relative: pl.Expr, rule: pl.Expr) -> pl.Expr:
    """The lesser or greater of ``absolute`` and ``relative * target``; the one that is given; null with neither."""
    both = (absolute, relative * target)
    return pl.when(rule == BandRule.GREATER).then(pl.max_horizontal(*both)).otherwise(pl.min_horizontal(*both))


def class_values(lots: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """``account_id, asset_class, value_usd``: lots (with values) summed, and one row of cash an account.

    A security may itself be of the class ``cash``; it adds to the row.
    """
    held = lots.select("account_id", "asset_class", "value_usd")
    cash = accounts.select("account_id", asset_class=pl.lit(CASH), value_usd=pl.col("cash_usd").cast(USD))
    return pl.concat([held, cash]).group_by("account_id", "asset_class").agg(pl.col("value_usd").sum())


def drift_by_class(lots: pl.DataFrame, accounts: pl.DataFrame, model_targets: pl.DataFrame) -> pl.DataFrame:
    """Drift of each class that an account holds or has a target for.

    Parameters
    ----------
    lots
        ``facts.valued_lots``; one row a lot.
    accounts
        ``facts.account_parameters``; one row an account. All its accounts appear in the result.
    model_targets
        Targets and bands, one row a class of a model.

    Returns
    -------
    pl.DataFrame
        Grain (account_id, asset_class), sorted; columns of the table ``drift`` and ``nav_usd``.
    """
    values = class_values(lots, accounts)
    nav = values.group_by("account_id").agg(nav_usd=pl.col("value_usd").sum())
    targets = accounts.select("account_id", "model_id").join(model_targets, on="model_id").drop("model_id")
    rules = accounts.select("account_id", "band_rule")
    return (
        targets.join(values, on=CLASS, how="full", coalesce=True)
        .join(nav, on="account_id", how="left")
        .join(rules, on="account_id", how="left")
        .with_columns(pl.col("value_usd").fill_null(0), pl.col("target_weight").fill_null(0.0))
        .with_columns(weight=_weight())
        .with_columns(
            drift=pl.col("weight") - pl.col("target_weight"),
            band=tolerance_band(
                pl.col("target_weight"), pl.col("absolute_band"), pl.col("relative_band"), pl.col("band_rule")
            ),
        )
        .with_columns(is_out_of_band=is_out_of_band(pl.col("drift"), pl.col("band")))
        .select(*CLASS, "value_usd", "weight", "target_weight", "drift", "band", "is_out_of_band", "nav_usd")
        .sort(CLASS)
    )


def _weight() -> pl.Expr:
    nav = pl.col("nav_usd").cast(pl.Float64)
    return pl.when(nav > 0).then(pl.col("value_usd").cast(pl.Float64) / nav)


def account_drift(
    drift: pl.DataFrame,
    accounts: pl.DataFrame,
    *,
    due: Collection[Calendar],
    changed_models: pl.DataFrame,
    is_manual: bool = False,
) -> pl.DataFrame:
    """NAV, drift in one number and the triggers of each account; sorted by account.

    Parameters
    ----------
    drift
        Result of ``drift_by_class``.
    accounts
        ``facts.account_parameters``.
    due
        Calendars whose period begins on the as-of date (``calendars.due_on``).
    changed_models
        ``account_id`` of accounts whose model's targets differ from those of their last export.
    is_manual
        True where a person asked for these accounts.

    Returns
    -------
    pl.DataFrame
        Columns of the table ``account_drift``. ``one_way_drift`` is half the sum of absolute drifts, 0 without a NAV.
    """
    is_cash = pl.col("asset_class") == CASH
    totals = drift.group_by("account_id").agg(
        pl.col("nav_usd").first(),
        one_way_drift=exact_sum(pl.col("drift").abs()) / 2,
        max_abs_drift=pl.col("drift").abs().max().fill_null(0.0),
        has_class_out=(pl.col("is_out_of_band") & ~is_cash).any(),
        has_cash_out=(pl.col("is_out_of_band") & is_cash).any(),
    )
    asked = accounts.select(
        "account_id",
        "is_threshold_triggered",
        is_due=pl.col("calendar").is_in(list(due)),
        is_overdrawn=pl.col("cash_usd") < 0,
        is_model_changed=pl.col("account_id").is_in(changed_models["account_id"].implode()),
    )
    conditions = {
        Trigger.DRIFT: pl.col("has_class_out") & pl.col("is_threshold_triggered"),
        Trigger.CASH: (pl.col("has_cash_out") & pl.col("is_threshold_triggered")) | pl.col("is_overdrawn"),
        Trigger.CALENDAR: pl.col("is_due"),
        Trigger.MODEL_CHANGE: pl.col("is_model_changed"),
        Trigger.MANUAL: pl.lit(value=is_manual),
    }
    words = [pl.when(condition).then(pl.lit(str(trigger))) for trigger, condition in conditions.items()]
    return (
        totals.join(asked, on="account_id", how="left")
        .with_columns(triggers=pl.concat_str(words, separator="|", ignore_nulls=True))
        .select("account_id", "nav_usd", "one_way_drift", "max_abs_drift", "triggers")
        .sort("account_id")
    )
