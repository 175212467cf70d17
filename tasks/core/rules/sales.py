"""What may be sold, at what price, and what is sold whatever the solver says.

A lot is locked (nothing of it may be sold, the reason kept) where the first of these holds: its account is not traded; selling
is restricted; the lot is frozen; the security is not tradable; the class is not in the model and policy holds such classes; the
basis is missing in a taxable account; the account only buys; a short-term gain is avoided.

A dollar sold costs half the spread plus tax at the account's own rates, less what holding the class in this account would cost
(``location_preferences``). A loss never pays for a sale: the tax it saves is floored at the cost of a round trip, which keeps
the cost of a sale plus that of a purchase in every class at 0 or above, so that no class buys and sells at once.

A loss replaced in part. Where R of the Q shares of a security that stand at a loss were bought back (``wash_sales``), the
first R sold save nothing and the rest save their tax c. That is not convex; its lower convex envelope is the chord,
c (1 - min(R, Q) / Q) on every share. With lots of unequal c the least of them is what each loses, so that the price is never
too high and the certificate holds.

Known limits: the orders of a proposal, not these prices, say what a sale's tax is.
"""

from datetime import date
from typing import Final

import polars as pl

from schemas.enums import AccountStatus, Reason, RestrictionRule, ShortTermGains, Term, TradeMode, Unmodelled
from tasks.core.facts import BPS, CLASS, Facts, usd, usd_sum
from tasks.core.rules.restrictions import active_restrictions
from tasks.core.tax import (
    gain_fraction,
    is_basis_missing,
    is_taxed,
    replaced_quantities,
    tax_rate,
    term,
    unused_purchases,
    with_replaced,
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
        ``SELLING_TERMS``, ``term``, ``gain_fraction``, ``tax_rate``, ``gain`` (what counts in the netting of gains: losses that a
        run realizes offset its gains later), ``true_gain``, ``is_short``, ``replaced_quantity``, ``replacing_quantity``,
        ``lock`` and ``is_fixed``.
    """
    households = accounts.select("account_id", "wash_sale_days").join(facts.members, on="account_id")
    known = with_tax_facts(lots, accounts, facts.model_targets, trade_date)
    return with_locks(with_replaced_quantities(known, facts, households, trade_date), facts, trade_date)


def with_tax_facts(lots: pl.DataFrame, accounts: pl.DataFrame, targets: pl.DataFrame, trade_date: date) -> pl.DataFrame:
    """Lots of ``accounts`` with the accounts' ``SELLING_TERMS``, ``is_unmodelled``, term, gain and tax rate."""
    modelled = targets.select("model_id", "asset_class", is_unmodelled=pl.lit(value=False))
    true_gain = pl.when(is_taxed() & ~is_basis_missing()).then(pl.col("gain_fraction").fill_null(0.0)).otherwise(0.0)
    return (
        lots.join(accounts.select("account_id", *SELLING_TERMS), on="account_id")
        .join(modelled, on=["model_id", "asset_class"], how="left")
        .with_columns(
            pl.col("is_unmodelled").fill_null(value=True),
            term=term(pl.col("acquired_date"), trade_date),
            gain_fraction=gain_fraction(),
        )
        .with_columns(tax_rate=tax_rate(), true_gain=true_gain, is_short=pl.col("term").eq_missing(str(Term.SHORT)))
        .with_columns(gain=pl.col("true_gain").clip(lower_bound=0.0))
    )


def with_replaced_quantities(
    lots: pl.DataFrame, facts: Facts, households: pl.DataFrame, trade_date: date
) -> pl.DataFrame:
    """Lots with ``replaced_quantity``, on how many of a lot's shares a loss is disallowed if it is sold first (at most the lot).

    ``replacing_quantity`` is on how many of the holding's shares, the lot's own purchase left out; both are 0 where nothing was
    bought.
    """
    unused = unused_purchases(facts, households, trade_date)
    total = replaced_quantities(unused).rename({"replaced_quantity": "replacing_quantity"})
    quantity, window = pl.col("quantity").cast(pl.Float64), pl.duration(days="wash_sale_days")
    own = pl.when(pl.col("acquired_date") >= pl.lit(trade_date) - window).then(quantity).otherwise(0.0)
    others = pl.max_horizontal("replaced_quantity", pl.col("replacing_quantity") - own)
    is_part = pl.col("replaced_quantity") < quantity
    lots = lots.with_row_index("row")
    touched = (
        with_replaced(lots.join(total, on=HOLDING), unused)
        .with_columns(replacing_quantity=pl.when(is_part).then("replaced_quantity").otherwise(others))
        .select("row", "replaced_quantity", "replacing_quantity")
    )
    return (
        lots.join(touched, on="row", how="left", maintain_order="left")
        .with_columns(pl.col("replaced_quantity", "replacing_quantity").fill_null(0.0))
        .drop("row")
    )


def with_locks(lots: pl.DataFrame, facts: Facts, trade_date: date) -> pl.DataFrame:
    """Lots with ``lock``: the reason a lot may not be sold, null where it may; ``is_fixed``: true where nothing may ever sell it."""
    pairs, everyone = active_restrictions(facts, trade_date, (RestrictionRule.NO_SELL, RestrictionRule.NO_TRADE))
    is_barred = pl.col("is_barred").fill_null(value=False) | pl.col("security_id").is_in(everyone.implode())
    is_held = pl.col("is_unmodelled") & (pl.col("unmodelled") == Unmodelled.HOLD)
    is_avoided = (pl.col("short_term_gains") == ShortTermGains.AVOID) & pl.col("is_short") & (pl.col("true_gain") > 0)
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


def with_prices(lots: pl.DataFrame, classes: pl.DataFrame) -> pl.DataFrame:
    """Lots with ``class_row`` and ``spread``, ``location`` and ``tax``, fractions of a dollar sold; the tax of a loss as if nothing were bought back.

    A round trip is a sale of the lot and a purchase of what its class in ``classes`` buys. In a managed household the purchase may
    be another account's, at no spread at all: there a loss pays for its own sale and no more, or accounts would trade places.
    """
    spread = pl.col("half_spread_bps") / BPS
    tax = (pl.col("tax_rate") * pl.col("gain_fraction")).fill_null(0.0)
    bought = pl.when(pl.col("managed_household_id").is_null()).then("buy_spread").otherwise(0.0)
    return lots.join(classes.select(*CLASS, "class_row", "buy_spread", "location"), on=CLASS, how="left").with_columns(
        spread=spread, tax=pl.max_horizontal(tax, -spread - bought)
    )


def with_costs(lots: pl.DataFrame) -> pl.DataFrame:
    """Lots with ``cost = spread + tax - location``, and ``is_replaced`` where part of a loss saves no tax; ``tax`` is after that.

    What is sold outright comes first: it uses up what was bought back.
    """
    is_loss = pl.col("gain_fraction").fill_null(0.0) < 0
    lots = lots.with_columns(is_replaced=is_loss & (pl.col("replaced_quantity") > 0))
    touched = lots.filter(pl.col("is_replaced")).select(HOLDING).unique()
    if touched.height:
        losses = lots.filter(is_loss).join(touched, on=HOLDING, how="semi").group_by(HOLDING).agg(*_loss_totals())
        lots = lots.join(losses, on=HOLDING, how="left", maintain_order="left").with_columns(tax=_tax_of_replaced())
        lots = lots.drop("loss_outright", "loss_left", "least_saving")
    return lots.with_columns(cost=pl.col("spread") + pl.col("tax") - pl.col("location").fill_null(0.0))


def _loss_totals() -> tuple[pl.Expr, ...]:
    """By holding: shares at a loss sold outright, those that may still be sold, and the least tax that a dollar of these saves."""
    is_free = pl.col("lock").is_null() & (pl.col("start_quantity") > 0)
    return (
        pl.col("outright").sum().alias("loss_outright"),
        pl.col("start_quantity").filter(is_free).sum().alias("loss_left"),
        pl.col("tax").filter(is_free).max().alias("least_saving"),
    )


def _tax_of_replaced() -> pl.Expr:
    replaced = (pl.col("replacing_quantity") - pl.col("loss_outright").cast(pl.Float64)).clip(lower_bound=0.0)
    share = (replaced / pl.col("loss_left").cast(pl.Float64)).clip(upper_bound=1.0)
    less = pl.when(pl.col("loss_left") > 0).then(pl.col("tax") - share * pl.col("least_saving")).otherwise("tax")
    return pl.when("is_replaced").then(less).otherwise("tax")


def outright_gains(lots: pl.DataFrame) -> pl.DataFrame:
    """``account_id, short_outright_usd, long_outright_usd``: gains of what is sold outright; a loss bought back does not count.

    Of several lots sold the first acquired are the ones replaced (26 CFR 1.1091-1(b)).
    """
    sold = lots.filter(pl.col("outright") > 0).sort(*HOLDING, "acquired_date", "lot_id")
    quantity = pl.col("outright").cast(pl.Float64)
    is_loss = pl.col("true_gain") < 0
    losses = pl.when(is_loss).then(quantity).otherwise(0.0)
    before = losses.cum_sum().over(HOLDING) - losses
    replaced = (pl.col("replacing_quantity") - before).clip(lower_bound=0.0)
    counted = pl.when(is_loss).then((quantity - replaced).clip(lower_bound=0.0)).otherwise(quantity)
    gain = counted * pl.col("unit_usd") * pl.col("true_gain")
    return (
        sold.with_columns(counted_gain=gain)
        .group_by("account_id", maintain_order=True)
        .agg(
            short_outright_usd=usd_sum(pl.col("counted_gain").filter("is_short")),
            long_outright_usd=usd_sum(pl.col("counted_gain").filter(~pl.col("is_short"))),
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
