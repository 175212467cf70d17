"""What a night's gains cost in tax, and what a sale of everything tonight would owe.

    tax accrued = T(year's gains tonight) - T(year's gains at the night before)         T: ``tasks.core.tax.netted_tax``
    pre-liquidation return    r - tax accrued / what earned r, cumulated
    post-liquidation return   (1 + pre-liquidation) (1 - owed / value) - 1,     owed = T(year's gains + gains of every lot) - T(year's gains)

Gains are net of losses carried forward, so that a loss that is kept saves its tax when a gain meets it, and not before. The custodian's
year-to-date gains are what counts: a correction of theirs is tax, or tax given back, of the night that shows it. A year that begins owes nothing yet.

Source: SEC rule on after-tax returns of funds (17 CFR 274.11A, item 26(b)(2) and (3) of Form N-1A), with the account's own rates.

Known limits: tax is counted when a gain is realized, not when it is paid from some other pocket. Lots of unknown cost or date owe nothing.
"""

from datetime import date

import polars as pl

from schemas.enums import Term
from tasks.core.tax import gain_fraction, gains_before, is_basis_missing, is_taxed, netted_tax, term


def year_tax(short: pl.Expr, long: pl.Expr) -> pl.Expr:
    """Tax on an account's net gains of the year, USD; 0 where it pays none. Needs ``tax_status`` and the two rates."""
    tax = netted_tax(short, long, pl.col("short_term_rate"), pl.col("long_term_rate"))
    return pl.when(is_taxed()).then(tax).otherwise(0.0)


def open_gains(lots: pl.DataFrame, on: date) -> pl.DataFrame:
    """``account_id, open_short_usd, open_long_usd``: gain of every lot of known cost and date were it sold on a day at its price.

    ``lots``: ``facts.valued_lots``.
    """
    known = lots.filter(~is_basis_missing() & (pl.col("price_usd") > 0)).with_columns(
        term=term(pl.col("acquired_date"), on), gain=gain_fraction() * pl.col("value_usd").cast(pl.Float64)
    )
    exact = pl.col("gain").round(6).cast(pl.Decimal(38, 6))
    return known.group_by("account_id").agg(
        exact.filter(pl.col("term") == each).sum().cast(pl.Float64).alias(f"open_{each}_usd") for each in Term
    )


def taxed_accounts(accounts: pl.DataFrame, lots: pl.DataFrame, on: date) -> pl.DataFrame:
    """``account_id``, the year's gains as the custodian has them, ``year_tax_usd`` on them and ``liquidation_tax_usd``, what a sale of everything would owe.

    Parameters
    ----------
    accounts
        ``facts.account_parameters`` of the as-of date's year.
    lots
        ``facts.valued_lots`` of the same accounts.
    on
        The day of which terms are judged.
    """
    rows = gains_before(accounts).join(open_gains(lots, on), on="account_id", how="left")
    short, long = pl.col("short_before_usd"), pl.col("long_before_usd")
    opened = (pl.col("open_short_usd").fill_null(0.0), pl.col("open_long_usd").fill_null(0.0))
    return rows.with_columns(year_tax_usd=year_tax(short, long)).select(
        "account_id",
        "year_tax_usd",
        year_short_usd=pl.col("ytd_short_gain_usd"),
        year_long_usd=pl.col("ytd_long_gain_usd"),
        liquidation_tax_usd=year_tax(short + opened[0], long + opened[1]) - pl.col("year_tax_usd"),
    )


def liquidated_return(after_tax: pl.Expr, owed: pl.Expr, value: pl.Expr) -> pl.Expr:
    """Post-liquidation return since inception; that before it where the account is worth nothing."""
    share = pl.when(value > 0).then(owed * (1 / value)).otherwise(0.0)
    return (1 + after_tax) * (1 - share) - 1
