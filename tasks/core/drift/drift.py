"""Drift of every account against its model, in bulk (weights, tolerance bands, triggers).

    NAV    = market value of all lots + settled + pending that counts - reserve      (Decimal)
    weight = value / NAV                                                  (Float64 from here on)
    drift  = weight - target_weight                                       positive: overweight
    band   = lesser (or greater) of absolute_band and relative_band * target_weight; null with neither
    out of band where |drift| > band, touching the edge is inside

A class that is held but has no target is compared with 0 and has no band. Cash beyond the reserve is the class ``cash``.
Accounts of a household that is managed together are held to no band of their own: bands and triggers are the household's,
over the value of all its accounts.

Known limits: an account whose NAV is not positive has null weights; it is never out of band and is reported apart.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import polars as pl

from schemas.enums import BandRule, Calendar, Trigger
from schemas.landing_columns import CASH
from schemas.tables import USD
from tasks.core.facts import CLASS, exact_sum

HOUSEHOLD_CLASS: Final = ("household_id", "asset_class")
"""Grain of what is said about a class of a household."""
DRIFT_COLUMNS: Final = ("value_usd", "weight", "target_weight", "drift", "band", "is_out_of_band", "nav_usd")
WEIGHT_TOLERANCE: Final = 1e-9
"""Weights this close are equal: 0.65 - 0.60 > 0.05 in floating point."""

KEY: Final = "class_key"
_OF_TARGET: Final = ("model_id", "asset_class")
_BREACHES: Final = {
    "has_class_out": (pl.col("is_out_of_band") & (pl.col("asset_class") != CASH)).any(),
    "has_cash_out": (pl.col("is_out_of_band") & (pl.col("asset_class") == CASH)).any(),
}
"""Whether a class but cash, and whether cash, is out of band."""


def is_out_of_band(drift: pl.Expr, band: pl.Expr) -> pl.Expr:
    """True where ``|drift| > band``; touching the edge is inside (to 1e-9). Null band or drift: never out."""
    return (drift.abs() > band + WEIGHT_TOLERANCE).fill_null(value=False)


def tolerance_band(target: pl.Expr, absolute: pl.Expr, relative: pl.Expr, rule: pl.Expr) -> pl.Expr:
    """The lesser or greater of ``absolute`` and ``relative * target``; the one that is given; null with neither."""
    both = (absolute, relative * target)
    return pl.when(rule == BandRule.GREATER).then(pl.max_horizontal(*both)).otherwise(pl.min_horizontal(*both))


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
        Grain (account_id, asset_class), sorted; columns of the table ``drift`` and ``nav_usd``. Accounts of managed
        households have no ``band``.
    """
    held = accounts.select(
        *("account_id", "model_id", "band_rule", "cash_usd"), is_alone=pl.col("managed_household_id").is_null()
    )
    held = held.sort("account_id").with_row_index("account_row")
    names = pl.concat([lots["asset_class"], model_targets["asset_class"], pl.Series("asset_class", [CASH])])
    classes = ClassKeys(names.drop_nulls().unique().sort())
    values = _class_values(lots, held, classes)
    nav = values.group_by(account_row=classes.account_row()).agg(nav_usd=pl.col("value_usd").sum())
    targets = held.select("account_row", "model_id").join(model_targets, on="model_id")
    targets = targets.select(classes.key(), *(name for name in model_targets.columns if name not in _OF_TARGET))
    return (
        targets.join(values, on=KEY, how="full", coalesce=True)
        .sort(KEY)
        .with_columns(account_row=classes.account_row(), asset_class=classes.asset_class())
        .join(held.drop("model_id", "cash_usd"), on="account_row", how="left", maintain_order="left")
        .join(nav, on="account_row", how="left", maintain_order="left")
        .with_columns(pl.col("value_usd").fill_null(0), pl.col("target_weight").fill_null(0.0))
        .pipe(_with_drift, has_band=pl.col("is_alone"))
        .select(*CLASS, *DRIFT_COLUMNS)
    )


@dataclass(frozen=True)
class ClassKeys:
    """A number for each class of each account, in the order of ``CLASS``: numbers are joined, added up and sorted twice as fast as names.

    ``names``: every class, sorted; a class that no security has, null, comes before them. An account's number is ``account_row``, its place among
    the accounts, sorted.
    """

    names: pl.Series

    def key(self) -> pl.Expr:
        """From ``account_row`` and ``asset_class``."""
        number = (pl.col("asset_class").cast(pl.Enum(self.names)).to_physical().cast(pl.UInt64) + 1).fill_null(0)
        return (pl.col("account_row").cast(pl.UInt64) * self._count + number).alias(KEY)

    def account_row(self) -> pl.Expr:
        """From the number."""
        return (pl.col(KEY) // self._count).cast(pl.UInt32)

    def asset_class(self) -> pl.Expr:
        """From the number."""
        return pl.lit(pl.concat([pl.Series([None], dtype=pl.String), self.names])).gather(pl.col(KEY) % self._count)

    @property
    def _count(self) -> int:
        return len(self.names) + 1


def _class_values(lots: pl.DataFrame, accounts: pl.DataFrame, classes: ClassKeys) -> pl.DataFrame:
    """``KEY, value_usd``: lots (with values) of the accounts summed, and one row of cash an account.

    A security may itself be of the class ``cash``; it adds to the row.
    """
    own = lots.select("account_id", "asset_class", "value_usd")
    own = own.join(accounts.select("account_id", "account_row"), on="account_id")
    cash = accounts.select("account_row", asset_class=pl.lit(CASH), value_usd=pl.col("cash_usd").cast(USD))
    rows = pl.concat([part.select(classes.key(), "value_usd") for part in (own, cash)])
    return rows.group_by(KEY).agg(pl.col("value_usd").sum())


def household_drift(drift: pl.DataFrame, accounts: pl.DataFrame, model_targets: pl.DataFrame) -> pl.DataFrame:
    """Drift of each class over all accounts of a household that is managed together.

    Parameters
    ----------
    drift
        Result of ``drift_by_class``.
    accounts
        ``facts.account_parameters``: of a household, the accounts that passed the gate.
    model_targets
        Targets and bands, one row a class of a model.

    Returns
    -------
    pl.DataFrame
        Grain (household_id, asset_class), sorted; columns of the table ``household_drift``.
    """
    members = accounts.filter(pl.col("managed_household_id").is_not_null()).select(
        "account_id", "model_id", "band_rule", household_id="managed_household_id"
    )
    return (
        drift.join(members, on="account_id")
        .group_by("household_id", "asset_class")
        .agg(pl.col("value_usd").sum(), pl.col("target_weight", "model_id", "band_rule").first())
        .with_columns(nav_usd=pl.col("value_usd").sum().over("household_id"))
        .join(model_targets.drop("target_weight"), on=["model_id", "asset_class"], how="left")
        .pipe(_with_drift, has_band=pl.lit(value=True))
        .select(*HOUSEHOLD_CLASS, *DRIFT_COLUMNS)
        .sort(HOUSEHOLD_CLASS)
    )


def _with_drift(classes: pl.DataFrame, *, has_band: pl.Expr) -> pl.DataFrame:
    """Classes with ``weight``, ``drift``, ``band`` (null where it has none) and ``is_out_of_band``."""
    band = tolerance_band(
        pl.col("target_weight"), pl.col("absolute_band"), pl.col("relative_band"), pl.col("band_rule")
    )
    return (
        classes.with_columns(weight=_weight())
        .with_columns(drift=pl.col("weight") - pl.col("target_weight"), band=pl.when(has_band).then(band))
        .with_columns(is_out_of_band=is_out_of_band(pl.col("drift"), pl.col("band")))
    )


def _weight() -> pl.Expr:
    """Value over NAV, by its reciprocal: Polars divides so where all have one NAV, and an account alone must weigh the same."""
    nav = pl.col("nav_usd").cast(pl.Float64)
    return pl.when(nav > 0).then(pl.col("value_usd").cast(pl.Float64) * (1 / nav))


def account_drift(
    drift: pl.DataFrame,
    accounts: pl.DataFrame,
    households: pl.DataFrame,
    *,
    due: Collection[Calendar],
    changed_models: pl.DataFrame,
    harvestable: pl.DataFrame | None = None,
    is_manual: bool = False,
) -> pl.DataFrame:
    """NAV, drift in one number and the triggers of each account; sorted by account.

    Accounts of a managed household have its triggers: what is true of one of them, or of the household, is true of all.

    Parameters
    ----------
    drift
        Result of ``drift_by_class``.
    accounts
        ``facts.account_parameters``.
    households
        Result of ``household_drift``.
    due
        Calendars whose period begins on the as-of date (``calendars.due_on``).
    changed_models
        ``account_id`` of accounts whose model's targets differ from those of their last export.
    harvestable
        ``account_id`` of accounts with lots to be harvested; None: no account.
    is_manual
        True where a person asked for these accounts.

    Returns
    -------
    pl.DataFrame
        Columns of the table ``account_drift``. ``one_way_drift`` is half the sum of absolute drifts, 0 without a NAV.
    """
    totals = drift.group_by("account_id").agg(
        pl.col("nav_usd").first(),
        one_way_drift=one_way(),
        max_abs_drift=pl.col("drift").abs().max().fill_null(0.0),
        **_BREACHES,
    )
    joint = households.group_by(managed_household_id="household_id").agg(**_BREACHES)
    named = accounts.with_columns(
        is_changed=_is_among(changed_models),
        has_harvest=pl.lit(value=False) if harvestable is None else _is_among(harvestable),
    )
    asked = named.select(
        "account_id",
        "managed_household_id",
        "is_threshold_triggered",
        is_due=pl.col("calendar").is_in(list(due)),
        is_overdrawn=_in_household(pl.col("is_owing")),
        is_model_changed=_in_household(pl.col("is_changed")),
        is_harvestable=_in_household(pl.col("has_harvest")),
    ).join(joint, on="managed_household_id", how="left")
    conditions = {
        Trigger.DRIFT: pl.col("has_class_out") & pl.col("is_threshold_triggered"),
        Trigger.CASH: (pl.col("has_cash_out") & pl.col("is_threshold_triggered")) | pl.col("is_overdrawn"),
        Trigger.CALENDAR: pl.col("is_due"),
        Trigger.MODEL_CHANGE: pl.col("is_model_changed"),
        Trigger.HARVEST: pl.col("is_harvestable"),
        Trigger.MANUAL: pl.lit(value=is_manual),
    }
    words = [pl.when(condition).then(pl.lit(str(trigger))) for trigger, condition in conditions.items()]
    return (
        totals.join(asked, on="account_id", how="left", suffix="_jointly")
        .with_columns(pl.coalesce(f"{name}_jointly", name).alias(name) for name in _BREACHES)
        .with_columns(triggers=pl.concat_str(words, separator="|", ignore_nulls=True))
        .select("account_id", "nav_usd", "one_way_drift", "max_abs_drift", "triggers")
        .sort("account_id")
    )


def one_way() -> pl.Expr:
    """Half the sum of absolute drifts, of the classes of an account."""
    return exact_sum(pl.col("drift").abs()) / 2


def _is_among(accounts: pl.DataFrame) -> pl.Expr:
    return pl.col("account_id").is_in(accounts["account_id"].unique().implode())


def _in_household(flag: pl.Expr) -> pl.Expr:
    """Whether the flag, a column, is true of the account or, in a managed household, of any of its accounts.

    No membership of a list: within ``over`` Polars copies the list for every household.
    """
    household = "managed_household_id"
    return pl.when(pl.col(household).is_null()).then(flag).otherwise(flag.any().over(household))
