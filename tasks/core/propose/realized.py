"""What the sales of a proposal realize for tax: which losses count, and the tax that they add, lot by lot.

What of a loss counts is the solver's rule (``rules.with_counted_gains``). An account's tax is ``tax.netted_tax`` after its sales less that
before them. Each term's part of it (the short first, then the long beside it) is spread over the term's lots by their
gains, so that the lots' taxes sum to the account's.
"""

from typing import Final

import polars as pl

from tasks.core.facts import usd_sum
from tasks.core.rules import HOLDING, with_counted_gains
from tasks.core.tax import gains_before, is_taxed, netted_tax

LEAST_USD: Final = 1e-9
"""A net gain of a term smaller than this is none: its lots' taxes cancel at any rate."""


def with_allowed_gains(lots: pl.DataFrame) -> pl.DataFrame:
    """Lots sold, with ``allowed_gain_usd`` (Float64): the gain that counts, a disallowed loss left out; 0 where none is known or taxed."""
    holdings = lots.filter(pl.col("sold") > 0).select(HOLDING).unique()
    counted = with_counted_gains(lots.join(holdings, on=HOLDING, how="semi"), "sold")
    return counted.filter(pl.col("sold") > 0).rename({"counted_gain_usd": "allowed_gain_usd"})


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
