"""What the sales of a proposal realize for tax: which losses count, and the tax that they add, lot by lot.

A loss on shares that the household bought back within the wash-sale window is disallowed; of several lots of a security the
first acquired are the ones replaced (26 CFR 1.1091-1(b)). An account's tax is ``tax.netted_tax`` after its sales less that
before them. Each term's part of it (the short first, then the long beside it) is spread over the term's lots by their
gains, so that the lots' taxes sum to the account's.
"""

from typing import Final

import polars as pl

from tasks.core.facts import usd_sum
from tasks.core.rules import HOLDING
from tasks.core.tax import gains_before, is_taxed, netted_tax

LEAST_USD: Final = 1e-9
"""A net gain of a term smaller than this is none: its lots' taxes cancel at any rate."""


def with_allowed_gains(lots: pl.DataFrame) -> pl.DataFrame:
    """Lots sold, with ``allowed_gain_usd`` (Float64): gain at the sale, a disallowed loss left out; 0 where none is known or taxed."""
    sold = pl.col("sold").cast(pl.Float64)
    is_loss = pl.col("true_gain") < 0
    losses = pl.when(is_loss).then(sold).otherwise(0.0)
    before = losses.cum_sum().over(HOLDING) - losses
    disallowed = pl.when(is_loss).then((pl.col("replacing_quantity") - before).clip(0.0, sold)).otherwise(0.0)
    return (
        lots.filter(pl.col("sold") > 0)
        .sort(*HOLDING, "acquired_date", "lot_id")
        .with_columns(disallowed_quantity=disallowed)
        .with_columns(
            allowed_gain_usd=(sold - pl.col("disallowed_quantity")) * pl.col("unit_usd") * pl.col("true_gain")
        )
    )


def losses_by_term(lots: pl.DataFrame) -> pl.DataFrame:
    """``account_id, short_loss, long_loss`` (usd, positive) that the sales realize beyond what is sold outright; accounts with any."""
    if lots.filter((pl.col("sold") > pl.col("outright")) & (pl.col("true_gain") < 0)).is_empty():
        return pl.DataFrame(schema={"account_id": pl.String, "short_loss": pl.Float64, "long_loss": pl.Float64})
    share = 1 - pl.col("outright").cast(pl.Float64) * (1.0 / pl.col("sold").cast(pl.Float64))
    loss = -pl.col("allowed_gain_usd") * share
    return (
        with_allowed_gains(lots)
        .filter((pl.col("true_gain") < 0) & (pl.col("sold") > pl.col("outright")))
        .sort("account_id", "security_id", "lot_id")
        .group_by("account_id", maintain_order=True)
        .agg(
            short_loss=usd_sum(loss.filter(pl.col("is_short"))),
            long_loss=usd_sum(loss.filter(~pl.col("is_short"))),
        )
        .filter(pl.col("short_loss") + pl.col("long_loss") > 0)
    )


def realized_by_account(lots: pl.DataFrame) -> pl.DataFrame:
    """``account_id, short, long`` (usd): allowed gains less losses of each term; accounts that sell."""
    return (
        with_allowed_gains(lots)
        .sort("account_id", "security_id", "lot_id")
        .group_by("account_id", maintain_order=True)
        .agg(
            short=usd_sum(pl.col("allowed_gain_usd").filter(pl.col("is_short"))),
            long=usd_sum(pl.col("allowed_gain_usd").filter(~pl.col("is_short"))),
        )
    )


def net_gains(accounts: pl.DataFrame, lots: pl.DataFrame) -> pl.DataFrame:
    """``account_id, short_before, long_before, short_after, long_after, short_rate, long_rate, added_tax_usd`` of every account."""
    rates = (pl.col("short_rate"), pl.col("long_rate"))
    after = netted_tax(pl.col("short_after"), pl.col("long_after"), *rates)
    before = netted_tax(pl.col("short_before"), pl.col("long_before"), *rates)
    return (
        _before(accounts)
        .join(realized_by_account(lots), on="account_id", how="left", maintain_order="left")
        .with_columns(
            short_after=pl.col("short_before") + pl.col("short").fill_null(0.0),
            long_after=pl.col("long_before") + pl.col("long").fill_null(0.0),
        )
        .with_columns(added_tax_usd=after - before)
        .drop("short", "long")
    )


def counted_tax(accounts: pl.DataFrame, lots: pl.DataFrame) -> pl.DataFrame:
    """``account_id, counted_tax_usd``: the tax that an account's trades are weighed with; ``reckoned_tax_usd``: as the solver did.

    What is sold outright counts in full. Of the rest the gains count with what they add on top of the losses; that the losses
    themselves save tax on gains of before is left out, since without harvesting nothing is sold for the tax alone.
    """
    gain = (pl.col("sold") - pl.col("outright")).cast(pl.Float64) * pl.col("unit_usd") * pl.col("gain")
    gains = lots.group_by("account_id", maintain_order=True).agg(
        short=usd_sum(gain.filter(pl.col("is_short"))), long=usd_sum(gain.filter(~pl.col("is_short")))
    )
    rates = (pl.col("short_rate"), pl.col("long_rate"))
    start = (pl.col("short_before") + pl.col("short_outright"), pl.col("long_before") + pl.col("long_outright"))
    lost = (start[0] - pl.col("short_loss"), start[1] - pl.col("long_loss"))
    assumed = (pl.col("short_assumed"), pl.col("long_assumed"))
    outright = netted_tax(*start, *rates) - netted_tax(pl.col("short_before"), pl.col("long_before"), *rates)

    def added_tax(before: tuple[pl.Expr, pl.Expr]) -> pl.Expr:
        after = (before[0] + pl.col("short"), before[1] + pl.col("long"))
        return netted_tax(*after, *rates) - netted_tax(*before, *rates)

    own = accounts.select(
        "account_id",
        short_outright="short_outright_usd",
        long_outright="long_outright_usd",
        short_assumed="short_before_usd",
        long_assumed="long_before_usd",
    )
    return (
        _before(accounts)
        .join(own, on="account_id", maintain_order="left")
        .join(gains, on="account_id", how="left", maintain_order="left")
        .join(losses_by_term(lots), on="account_id", how="left", maintain_order="left")
        .with_columns(pl.col("short", "long", "short_loss", "long_loss").fill_null(0.0))
        .select("account_id", counted_tax_usd=outright + added_tax(lost), reckoned_tax_usd=added_tax(assumed))
    )


def with_tax(lots: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """Lots sold, with ``allowed_gain_usd`` and ``tax_usd`` (Float64, negative where it saves tax), which sum to the account's added tax."""
    allowed = with_allowed_gains(lots)
    rates = (
        realized_by_account(lots)
        .join(_before(accounts), on="account_id")
        .select("account_id", short_rate_paid=_rate(is_short=True), long_rate_paid=_rate(is_short=False))
    )
    rate = pl.when("is_short").then("short_rate_paid").otherwise("long_rate_paid")
    return (
        allowed.join(rates, on="account_id", how="left", maintain_order="left")
        .with_columns(tax_usd=rate * pl.col("allowed_gain_usd"))
        .drop("short_rate_paid", "long_rate_paid")
    )


def _before(accounts: pl.DataFrame) -> pl.DataFrame:
    """Net gains before tonight's sales, and the rates on them."""
    return gains_before(accounts).select(
        "account_id",
        short_before="short_before_usd",
        long_before="long_before_usd",
        short_rate=pl.when(is_taxed()).then("short_term_rate").otherwise(0.0),
        long_rate=pl.when(is_taxed()).then("long_term_rate").otherwise(0.0),
    )


def _rate(*, is_short: bool) -> pl.Expr:
    """Tax of a term's net gain tonight, per dollar of it."""
    short, long = pl.col("short_before"), pl.col("long_before")
    rates = (pl.col("short_rate"), pl.col("long_rate"))
    with_short = netted_tax(short + pl.col("short"), long, *rates)
    if is_short:
        added, gain, own = with_short - netted_tax(short, long, *rates), pl.col("short"), rates[0]
    else:
        both = netted_tax(short + pl.col("short"), long + pl.col("long"), *rates)
        added, gain, own = both - with_short, pl.col("long"), rates[1]
    return pl.when(gain.abs() > LEAST_USD).then(added * (1.0 / gain)).otherwise(own)
