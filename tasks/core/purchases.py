"""What each class of an account may buy: the first choice of its buy list that nothing bars.

1. A choice must be of the class. What bars it for everyone is found once per model, class and tax status: it is not
   tradable, has no price or is restricted for every account.
2. Most accounts buy the first choice left. Only those that are barred from it themselves (``bars.own_bars``) are looked at
   one by one, and take the next alternate.
"""

from datetime import date
from typing import Final

import polars as pl

from schemas.enums import Reason, RestrictionRule
from tasks.core.bars import bars, own_bars
from tasks.core.facts import CLASS, Facts

GROUP: Final = ("model_id", "asset_class", "tax_status")
"""Accounts that share these have the same buy list."""
PREFERENCE: Final = ("rank", "is_general", "security_id")
"""By rank, then a choice made for the tax status before one for any, then by security."""


def purchases(
    classes: pl.DataFrame, facts: Facts, securities: pl.DataFrame, *, households: pl.DataFrame, as_of: date
) -> pl.DataFrame:
    """Classes with the security each may buy, or why there is none; row order is kept.

    Parameters
    ----------
    classes
        One row a class of an account, with its model_id and tax_status.
    facts, securities
        The shard's facts and ``facts.priced_securities``.
    households
        ``account_id, household_key, wash_sale_days`` of the accounts.
    as_of
        Date of the purchase.

    Returns
    -------
    pl.DataFrame
        ``classes`` with ``buy_security_id`` and its symbol, price, step and spread (``buy_*``), all null where nothing may
        be bought; then ``buy_lock`` is what bars the first choice.
    """
    listed = choices(classes, facts, securities, as_of)
    standard = classes.join(_picked(listed, GROUP), on=GROUP, how="left", maintain_order="left")
    chosen = _with_alternates(standard, listed, own_bars(facts, households, as_of))
    lock = pl.when(pl.col("buy_security_id").is_null()).then(pl.coalesce("buy_bar", pl.lit(str(Reason.NOTHING_TO_BUY))))
    return (
        chosen.with_columns(buy_lock=lock)
        .drop("buy_bar")
        .join(_buy_facts(securities), on="buy_security_id", how="left", maintain_order="left")
    )


def choices(classes: pl.DataFrame, facts: Facts, securities: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Choices of each ``GROUP`` in ``classes``, best first, with ``bar``: why nobody may buy one (null: open)."""
    _, everyone = bars(facts, as_of, (RestrictionRule.NO_BUY, RestrictionRule.NO_TRADE))
    bar = (
        pl.when(~pl.col("is_tradable"))
        .then(pl.lit(str(Reason.NOT_TRADABLE)))
        .when(pl.col("price_usd").is_null())
        .then(pl.lit(str(Reason.NO_PRICE)))
        .when(pl.col("security_id").is_in(everyone.implode()))
        .then(pl.lit(str(Reason.RESTRICTED)))
    )
    listed = facts.buy_list.rename({"tax_status": "for_tax_status"}).join(securities, on=["security_id", "asset_class"])
    return (
        classes.select(GROUP)
        .unique()
        .join(listed, on=["model_id", "asset_class"])
        .filter(pl.col("for_tax_status").is_null() | (pl.col("for_tax_status") == pl.col("tax_status")))
        .select(*GROUP, "rank", "security_id", is_general=pl.col("for_tax_status").is_null(), bar=bar)
        .sort(*GROUP, *PREFERENCE)
    )


def _picked(listed: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """By ``key``: ``buy_security_id``, the first choice that is open (null: none), and ``buy_bar``, what bars the very first."""
    return listed.group_by(key, maintain_order=True).agg(
        buy_security_id=pl.col("security_id").filter(pl.col("bar").is_null()).first(),
        buy_bar=pl.col("bar").first(),
    )


def _with_alternates(standard: pl.DataFrame, listed: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """The classes with a choice of their own where the account is barred from the standard one."""
    key = ["account_id", "security_id"]
    touched = (
        standard.rename({"buy_security_id": "security_id"})
        .join(own, on=key, how="semi")
        .select(*CLASS, "model_id", "tax_status")
    )
    theirs = (
        touched.join(listed, on=GROUP)
        .join(own, on=key, how="left")
        .with_columns(bar=pl.coalesce("own_bar", "bar"))
        .sort(*CLASS, *PREFERENCE)
    )
    changed = _picked(theirs, CLASS).with_columns(is_changed=pl.lit(value=True))
    both = standard.join(changed, on=CLASS, how="left", suffix="_own", maintain_order="left")
    names = ("buy_security_id", "buy_bar")
    own_or_standard = [pl.when("is_changed").then(f"{name}_own").otherwise(name).alias(name) for name in names]
    return both.with_columns(own_or_standard).drop("is_changed", *(f"{name}_own" for name in names))


def _buy_facts(securities: pl.DataFrame) -> pl.DataFrame:
    return securities.select(
        buy_security_id="security_id",
        buy_symbol="symbol",
        buy_price_usd="price_usd",
        buy_step="quantity_step",
        buy_half_spread_bps="half_spread_bps",
    )
