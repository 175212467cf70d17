"""What each class of an account may buy: the first choice of its buy list that no rule forbids.

1. A choice must be of the class, or be the member of an index that the class is. What forbids it for every account is found once per model, class and tax status: it is not
   tradable, has no price, is restricted for every account or closed to those that do not hold it.
2. Most accounts buy the first choice left. Only those that may not buy it themselves (``restrictions.own_restrictions``), for which
   a unit of it is dearer than what the class wants, and holders of what is closed to the others, are looked at one by one, and
   take the next choice open to them.
"""

from datetime import date
from typing import Final

import polars as pl

from schemas.enums import Reason, RestrictionRule
from tasks.core.facts import CLASS, OF_CLASS, Facts
from tasks.core.rules.restrictions import active_restrictions, not_held, own_restrictions

GROUP: Final = ("model_id", "asset_class", "tax_status")
"""Accounts that share these have the same buy list."""
WANT_TOLERANCE: Final = 1e-9
PREFERENCE: Final = ("rank", "is_general", "security_id")
"""By rank, then a choice made for the tax status before one for any, then by security."""


def purchases(
    classes: pl.DataFrame,
    facts: Facts,
    securities: pl.DataFrame,
    *,
    households: pl.DataFrame,
    trade_date: date,
    sold_at_loss: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Classes with the security each may buy, or why there is none; row order is kept.

    Parameters
    ----------
    classes
        One row a class of an account, with its model_id, tax_status and ``dear_above_usd``: a unit worth more is too dear (null: none is).
    facts, securities
        The shard's facts and ``facts.priced_securities``.
    households
        ``account_id, household_key, wash_sale_days`` of the accounts.
    trade_date
        Date of the purchase.
    sold_at_loss
        ``account_id, security_id`` that the account may not buy because its household sells it at a loss tonight.

    Returns
    -------
    pl.DataFrame
        ``classes`` with ``buy_security_id`` and its symbol, price, factor, step and spread (``buy_*``), all null where nothing may
        be bought; then ``buy_lock`` is what forbids the first choice. ``dear_symbol, dear_unit_usd``: the best choice that is passed over
        for being too dear alone.
    """
    listed = choices(classes, facts, securities, trade_date)
    standard = classes.join(_first_open_choice(listed, GROUP), on=GROUP, how="left", maintain_order="left")
    own = own_restrictions(facts, households, trade_date, sold_at_loss=sold_at_loss)
    _, holders = not_held(facts, trade_date)
    touched = _with_own_choice(standard, listed, own, holders)
    chosen = _with_alternates(standard, _own_choices(touched, listed, own, holders))
    lock = pl.when(pl.col("buy_security_id").is_null()).then(
        pl.coalesce("buy_reason", pl.lit(str(Reason.NOTHING_TO_BUY)))
    )
    return (
        chosen.with_columns(buy_lock=lock)
        .drop("buy_reason")
        .join(_dear_facts(securities), on="dear_security_id", how="left", maintain_order="left")
        .drop("dear_security_id")
        .join(_buy_facts(securities), on="buy_security_id", how="left", maintain_order="left")
    )


def open_choices(
    classes: pl.DataFrame,
    facts: Facts,
    securities: pl.DataFrame,
    *,
    households: pl.DataFrame,
    trade_date: date,
    sold_at_loss: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Every choice that each of ``classes`` may buy; parameters as in ``purchases``, which picks the first of them.

    Returns
    -------
    pl.DataFrame
        ``account_id, asset_class, security_id, position`` (0 = best), sorted; a class with no open choice has no row.
    """
    own = own_restrictions(facts, households, trade_date, sold_at_loss=sold_at_loss)
    _, holders = not_held(facts, trade_date)
    listed = choices(classes, facts, securities, trade_date)
    theirs = _own_choices(classes.select(*CLASS, "model_id", "tax_status", "dear_above_usd"), listed, own, holders)
    is_open = theirs.filter(pl.col("closed_reason").is_null()).unique(
        [*CLASS, "security_id"], keep="first", maintain_order=True
    )
    return is_open.select(*CLASS, "security_id", position=pl.int_range(pl.len()).over(CLASS))


def choices(classes: pl.DataFrame, facts: Facts, securities: pl.DataFrame, trade_date: date) -> pl.DataFrame:
    """Choices of each ``GROUP`` in ``classes``, best first, with ``closed_reason``: why no account (or no new holder) may buy one; null: open."""
    _, everyone = active_restrictions(facts, trade_date, (RestrictionRule.NO_BUY, RestrictionRule.NO_TRADE))
    _, closed = active_restrictions(facts, trade_date, (RestrictionRule.NO_NEW,))
    bar = (
        pl.when(~pl.col("is_tradable"))
        .then(pl.lit(str(Reason.NOT_TRADABLE)))
        .when((pl.col("price_usd") > 0).fill_null(value=False).not_())
        .then(pl.lit(str(Reason.NO_PRICE)))
        .when(pl.col("security_id").is_in(everyone.implode()))
        .then(pl.lit(str(Reason.RESTRICTED)))
        .when(pl.col("security_id").is_in(closed.implode()))
        .then(pl.lit(str(Reason.NOT_HELD)))
    )
    of_class = securities.rename({"asset_class": "security_class"})
    listed = facts.buy_list.rename({"tax_status": "for_tax_status"}).join(of_class, on="security_id")
    is_member = pl.concat_str("security_class", pl.lit(OF_CLASS), "security_id") == pl.col("asset_class")
    listed = listed.filter((pl.col("security_class") == pl.col("asset_class")) | is_member).drop("security_class")
    return (
        classes.select(GROUP)
        .unique()
        .join(listed, on=["model_id", "asset_class"])
        .filter(pl.col("for_tax_status").is_null() | (pl.col("for_tax_status") == pl.col("tax_status")))
        .select(
            *(*GROUP, "rank", "security_id"),
            is_general=pl.col("for_tax_status").is_null(),
            closed_reason=bar,
            step_usd=pl.col("unit_usd") * pl.col("quantity_step").cast(pl.Float64),
        )
        .sort(*GROUP, *PREFERENCE)
    )


def _first_open_choice(listed: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """By ``key``: ``buy_security_id`` (and what a step of it is worth), the first choice that is open (null: none), ``buy_reason``, why the very first is closed, ``dear_security_id``."""
    is_open = pl.col("closed_reason").is_null()
    is_before = is_open.cast(pl.Int64).cum_sum() == 0
    is_dear = (pl.col("closed_reason") == Reason.UNIT_TOO_DEAR).fill_null(value=False) & is_before
    return listed.group_by(key, maintain_order=True).agg(
        buy_security_id=pl.col("security_id").filter(is_open).first(),
        buy_step_usd=pl.col("step_usd").filter(is_open).first(),
        buy_reason=pl.col("closed_reason").first(),
        dear_security_id=pl.col("security_id").filter(is_dear).first(),
    )


def _with_own_choice(
    standard: pl.DataFrame, listed: pl.DataFrame, own: pl.DataFrame, holders: pl.DataFrame
) -> pl.DataFrame:
    """Classes whose account may not buy the standard choice, for which it is too dear, or that hold a choice that is closed to the others."""
    columns = (*CLASS, "model_id", "tax_status", "dear_above_usd")
    restricted = standard.rename({"buy_security_id": "security_id"}).join(
        own, on=["account_id", "security_id"], how="semi"
    )
    closed = listed.filter(pl.col("closed_reason") == Reason.NOT_HELD).select(*GROUP, "security_id")
    spared = standard.join(holders, on="account_id").join(closed, on=[*GROUP, "security_id"], how="semi")
    dear = standard.filter(_is_dear("buy_step_usd"))
    return pl.concat([restricted.select(columns), spared.select(columns), dear.select(columns)]).unique(CLASS)


def _is_dear(step_usd: str) -> pl.Expr:
    """Whether a unit is worth more than what the class wants of it."""
    return (pl.col(step_usd) > pl.col("dear_above_usd") * (1 + WANT_TOLERANCE)).fill_null(value=False)


def _own_choices(classes: pl.DataFrame, listed: pl.DataFrame, own: pl.DataFrame, holders: pl.DataFrame) -> pl.DataFrame:
    """Choices of each class, best first, with ``closed_reason``: why its account may not buy one (null: open)."""
    key = ["account_id", "security_id"]
    is_dear = pl.when(_is_dear("step_usd")).then(pl.lit(str(Reason.UNIT_TOO_DEAR)))
    is_spared = (pl.col("closed_reason") == Reason.NOT_HELD) & pl.col("is_holder").fill_null(value=False)
    return (
        classes.join(listed, on=GROUP)
        .join(own, on=key, how="left")
        .join(holders.with_columns(is_holder=pl.lit(value=True)), on=key, how="left")
        .with_columns(
            closed_reason=pl.coalesce(
                "own_reason", pl.when(~is_spared.fill_null(value=False)).then("closed_reason"), is_dear
            )
        )
        .sort(*CLASS, *PREFERENCE)
    )


def _with_alternates(standard: pl.DataFrame, theirs: pl.DataFrame) -> pl.DataFrame:
    """The classes with a choice of their own where they are among ``theirs``."""
    changed = _first_open_choice(theirs, CLASS).with_columns(is_changed=pl.lit(value=True))
    both = standard.join(changed, on=CLASS, how="left", suffix="_own", maintain_order="left")
    names = ("buy_security_id", "buy_reason", "dear_security_id")
    own_or_standard = [pl.when("is_changed").then(f"{name}_own").otherwise(name).alias(name) for name in names]
    steps = ("buy_step_usd", "buy_step_usd_own")
    return both.with_columns(own_or_standard).drop("is_changed", *steps, *(f"{name}_own" for name in names))


def _dear_facts(securities: pl.DataFrame) -> pl.DataFrame:
    step_usd = pl.col("unit_usd") * pl.col("quantity_step").cast(pl.Float64)
    return securities.select(dear_security_id="security_id", dear_symbol="symbol", dear_unit_usd=step_usd)


def _buy_facts(securities: pl.DataFrame) -> pl.DataFrame:
    return securities.select(
        buy_security_id="security_id",
        buy_symbol="symbol",
        buy_price_usd="price_usd",
        buy_price_factor="price_factor",
        buy_unit_usd="unit_usd",
        buy_step="quantity_step",
        buy_half_spread_bps="half_spread_bps",
        buy_order_in="order_in",
    )
