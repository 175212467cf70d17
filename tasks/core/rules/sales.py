"""What may be sold, at what price, and what is sold whatever the solver says.

A lot is locked (nothing of it may be sold, the reason kept) where the first of these holds: its account is not traded; selling
is restricted; the lot is frozen; the security is not tradable; the class is not in the model and policy holds such classes; the
basis is missing in a taxable account; the account only buys; a short-term gain is avoided.

A dollar sold costs half the spread, less what holding the class in this account would cost (``location_preferences``); tax is
the solver's, on the year's net gains. ``tax`` is the lot's own at the account's rates, by which lots are ordered where a rule sells.
"""

from datetime import date
from typing import Final

import numpy as np
import polars as pl

from schemas.enums import AccountStatus, Reason, RestrictionRule, ShortTermGains, Term, TradeMode, Unmodelled
from tasks.core.facts import BPS, CLASS, Facts, usd, usd_sum
from tasks.core.rules.restrictions import active_restrictions
from tasks.core.solver import MILLIONTHS, counted_gains
from tasks.core.tax import (
    gain_fraction,
    is_basis_missing,
    is_taxed,
    tax_rate,
    term,
    unused_purchases,
    with_replaced,
    with_replacing,
)

SELLING_TERMS: Final = (
    "account_row",
    "model_id",
    "tax_status",
    "status",
    "short_term_rate",
    "long_term_rate",
    "trade_mode",
    "unmodelled",
    "short_term_gains",
    "wash_sale_days",
    "managed_household_id",
)
"""What an account's lots need to know of it."""
HOLDING: Final = ("account_id", "security_id")
"""Grain of what is said about a security of an account."""


def described_lots(lots: pl.DataFrame, accounts: pl.DataFrame, facts: Facts, trade_date: date) -> pl.DataFrame:
    """Lots of ``accounts`` with all that does not depend on what their classes buy.

    Parameters
    ----------
    lots
        ``facts.valued_lots``.
    accounts
        ``facts.account_parameters`` with ``account_row``, their place in the problem.
    facts
        The shard's facts; households are looked at whole.
    trade_date
        Date of the sale.

    Returns
    -------
    pl.DataFrame
        ``SELLING_TERMS``, ``term``, ``gain_fraction``, ``tax_rate``, ``gain`` (per dollar sold; 0 where none is taxed or known),
        ``is_short``, ``replaced_quantity``, ``inside_quantity``, ``outside_quantity``, ``lock`` and ``is_fixed``.
    """
    households = accounts.select("account_id", "wash_sale_days").join(facts.members, on="account_id")
    known = with_tax_facts(lots, accounts, facts.model_targets, trade_date)
    return with_locks(with_replaced_quantities(known, facts, households, trade_date), facts, trade_date)


def with_tax_facts(lots: pl.DataFrame, accounts: pl.DataFrame, targets: pl.DataFrame, trade_date: date) -> pl.DataFrame:
    """Lots of ``accounts`` with the accounts' ``SELLING_TERMS``, ``is_unmodelled``, term, gain and tax rate."""
    modelled = targets.select("model_id", "asset_class", is_unmodelled=pl.lit(value=False))
    gain = pl.when(is_taxed() & ~is_basis_missing()).then(pl.col("gain_fraction").fill_null(0.0)).otherwise(0.0)
    return (
        lots.join(accounts.select("account_id", *SELLING_TERMS), on="account_id")
        .join(modelled, on=["model_id", "asset_class"], how="left")
        .with_columns(
            pl.col("is_unmodelled").fill_null(value=True),
            term=term(pl.col("acquired_date"), trade_date),
            gain_fraction=gain_fraction(),
        )
        .with_columns(tax_rate=tax_rate(), gain=gain, is_short=pl.col("term").eq_missing(str(Term.SHORT)))
    )


def with_replaced_quantities(
    lots: pl.DataFrame, facts: Facts, households: pl.DataFrame, trade_date: date
) -> pl.DataFrame:
    """Lots with ``replaced_quantity``, on how many of a lot's shares a loss is disallowed if it is sold first (at most the lot).

    ``inside_quantity`` and ``outside_quantity`` say which purchases replace losses (``tax.with_replacing``).
    """
    unused = unused_purchases(facts, households, trade_date)
    return with_replaced(with_replacing(lots, unused), unused)


def with_locks(lots: pl.DataFrame, facts: Facts, trade_date: date) -> pl.DataFrame:
    """Lots with ``lock``: the reason a lot may not be sold, null where it may; ``is_fixed``: true where nothing may ever sell it."""
    pairs, everyone = active_restrictions(facts, trade_date, (RestrictionRule.NO_SELL, RestrictionRule.NO_TRADE))
    is_barred = pl.col("is_barred").fill_null(value=False) | pl.col("security_id").is_in(everyone.implode())
    is_held = pl.col("is_unmodelled") & (pl.col("unmodelled") == Unmodelled.HOLD)
    is_avoided = (pl.col("short_term_gains") == ShortTermGains.AVOID) & pl.col("is_short") & (pl.col("gain") > 0)
    rules = {
        Reason.MEMBER_NOT_TRADED: pl.col("status") != AccountStatus.ACTIVE,
        Reason.RESTRICTED: is_barred,
        Reason.LOT_FROZEN: pl.col("is_frozen").fill_null(value=False),
        Reason.NOT_TRADABLE: ~pl.col("is_tradable") | (pl.col("unit_usd") == 0),
        Reason.UNMODELLED_HELD: is_held,
        Reason.MISSING_BASIS: is_taxed() & is_basis_missing(),
        Reason.BUY_ONLY: pl.col("trade_mode") == TradeMode.BUY_ONLY,
        Reason.SHORT_TERM_GAIN_AVOIDED: is_avoided,
    }
    preferred = {Reason.UNMODELLED_HELD, Reason.BUY_ONLY, Reason.SHORT_TERM_GAIN_AVOIDED}
    lock = pl.lit(None, pl.String)
    for reason, condition in reversed(rules.items()):
        lock = pl.when(condition).then(pl.lit(str(reason))).otherwise(lock)
    is_fixed = pl.any_horizontal(condition for reason, condition in rules.items() if reason not in preferred)
    return (
        lots.join(pairs.with_columns(is_barred=pl.lit(value=True)), on=HOLDING, how="left")
        .with_columns(lock=lock, is_fixed=is_fixed)
        .drop("is_barred")
    )


def with_costs(lots: pl.DataFrame, classes: pl.DataFrame) -> pl.DataFrame:
    """Lots with ``class_row`` and, as fractions of a dollar sold, ``spread``, ``location``, ``tax`` and ``cost``, which is all three together."""
    spread = pl.col("half_spread_bps") * (1 / BPS)
    return (
        lots.join(classes.select(*CLASS, "class_row", "location"), on=CLASS, how="left")
        .with_columns(
            spread=spread, location=pl.col("location").fill_null(0.0), tax=pl.col("tax_rate") * pl.col("gain")
        )
        .with_columns(cost=pl.col("spread") + pl.col("tax") - pl.col("location"))
    )


def with_counted_gains(lots: pl.DataFrame, quantity: str) -> pl.DataFrame:
    """Lots with ``counted_gain_usd`` (float): what of the gain on ``quantity`` shares counts for tax (``solver.counted_gains``).

    Row order is that of holdings, and within them that of acquisition.
    """
    lots = lots.sort(*HOLDING, "acquired_date", "lot_id", nulls_last=True)
    units = [_units(pl.col(name)) for name in (quantity, "inside_quantity", "outside_quantity")]
    sold, inside, outside = (lots.select(each).to_series().to_numpy() for each in units)
    holding = lots.select(pl.struct(HOLDING).rle_id()).to_series().to_numpy()
    start = np.append(np.searchsorted(holding, np.arange(holding[-1] + 1 if len(holding) else 0)), len(holding))
    gain = lots.select(pl.col("gain") * pl.col("unit_usd") * (1 / MILLIONTHS)).to_series().to_numpy()
    counted = counted_gains(
        *(np.require(start, np.int64, ["C", "W"]), np.require(sold, np.int64, ["C", "W"])),
        *(np.require(gain, np.float64, ["C", "W"]), np.require(inside, np.int64, ["C", "W"])),
        np.require(outside, np.int64, ["C", "W"]),
    )
    return lots.with_columns(counted_gain_usd=pl.Series(counted, dtype=pl.Float64))


def _units(quantity: pl.Expr) -> pl.Expr:
    """A quantity in millionths."""
    return (quantity.cast(pl.Float64) * MILLIONTHS).round().cast(pl.Int64)


def outright_gains(lots: pl.DataFrame) -> pl.DataFrame:
    """``account_id, short_outright_usd, long_outright_usd``: gains that count of what is sold outright."""
    holdings = lots.filter(pl.col("outright") > 0).select(HOLDING).unique()
    counted = pl.col("counted_gain_usd")
    return (
        with_counted_gains(lots.join(holdings, on=HOLDING, how="semi"), "outright")
        .group_by("account_id", maintain_order=True)
        .agg(
            short_outright_usd=usd_sum(counted.filter("is_short")),
            long_outright_usd=usd_sum(counted.filter(~pl.col("is_short"))),
        )
    )


def outright_proceeds(lots: pl.DataFrame) -> pl.DataFrame:
    """``account_id, asset_class, outright_usd, outright_cost_usd`` of what is sold outright: its value and half the spread on it."""
    value = usd(pl.col("outright"), pl.col("price_usd"))
    cost = (value.cast(pl.Float64) * pl.col("spread")).round(6).cast(pl.Decimal(38, 6))
    return (
        lots.filter(pl.col("outright") > 0)
        .with_columns(outright_usd=value, outright_cost_usd=cost)
        .group_by(CLASS)
        .agg(pl.col("outright_usd", "outright_cost_usd").sum())
    )
