"""Tax of selling a lot: its term, the tax per dollar sold, and the tax of a year's gains and losses netted.

Source of the term: Internal Revenue Service, Publication 544 (holding period): count from the day after acquisition; long-term
if held more than one year. Bought 28 Feb 2015: counted from 1 Mar 2015, long-term from 1 Mar 2016.

Source of the netting: 26 USC 1222 (short-term gains and losses make one net, long-term ones another, and a net loss of one
is set against a net gain of the other) and 26 USC 1(h) (what is left of a long-term gain has its own rate).

Known limits: marginal rates are the account's own columns, the same for every dollar. A net loss saves nothing this year:
the deduction of up to 3,000 USD of it from ordinary income (26 USC 1211(b)) is left out, as is what it saves in years to come.
"""

from datetime import date
from typing import Final

import polars as pl

from schemas.enums import TaxStatus, Term

LEAP_DAY: Final = (2, 29)


def long_term_from(acquired: pl.Expr) -> pl.Expr:
    """First date on which a sale is long-term; null where the acquisition date is unknown."""
    counted = acquired.dt.offset_by("1d")
    is_leap_day = (counted.dt.month() == LEAP_DAY[0]) & (counted.dt.day() == LEAP_DAY[1])
    anniversary = counted.dt.offset_by("1y")
    return pl.when(is_leap_day).then(anniversary.dt.offset_by("1d")).otherwise(anniversary)


def term(acquired: pl.Expr, trade_date: date) -> pl.Expr:
    """``long`` or ``short`` for a sale on ``trade_date``; null where the acquisition date is unknown."""
    return (
        pl.when(acquired.is_null())
        .then(None)
        .when(long_term_from(acquired) <= trade_date)
        .then(pl.lit(str(Term.LONG)))
        .otherwise(pl.lit(str(Term.SHORT)))
    )


def is_taxed() -> pl.Expr:
    """True where the account pays tax on a sale."""
    return pl.col("tax_status") == TaxStatus.TAXABLE


def is_basis_missing() -> pl.Expr:
    """True where a lot's cost or date is unknown; a cost of 0 is a real zero."""
    return pl.col("unit_cost_usd").is_null() | pl.col("acquired_date").is_null()


def gain_fraction() -> pl.Expr:
    """Gain per dollar sold: ``1 - unit_cost / price``; negative at a loss, null where the cost is unknown or the price is 0."""
    price = pl.col("price_usd").cast(pl.Float64)
    return 1.0 - pl.col("unit_cost_usd").cast(pl.Float64) * (1.0 / pl.when(price != 0).then(price))


def tax_rate() -> pl.Expr:
    """The account's rate for the lot's ``term``; 0 in an account that pays none or for a lot of unknown basis."""
    rate = pl.when(pl.col("term") == Term.LONG).then("long_term_rate").otherwise("short_term_rate")
    return pl.when(is_taxed() & ~is_basis_missing()).then(rate).otherwise(0.0)


def netted_tax(short: pl.Expr, long: pl.Expr, short_rate: pl.Expr, long_rate: pl.Expr) -> pl.Expr:
    """Tax, usd, on a net short-term and a net long-term gain (usd, losses negative): never below 0.

    A net loss of one term is set against the gain of the other, and what is left of that gain is taxed at its own rate:
    ``short_rate * max(short + min(long, 0), 0) + long_rate * max(long + min(short, 0), 0)``.
    """
    left_short = (short + long.clip(upper_bound=0.0)).clip(lower_bound=0.0)
    left_long = (long + short.clip(upper_bound=0.0)).clip(lower_bound=0.0)
    return short_rate * left_short + long_rate * left_long


def gains_before(accounts: pl.DataFrame) -> pl.DataFrame:
    """Accounts with ``short_before_usd`` and ``long_before_usd`` (floats): the year's gain to date less the loss carried forward.

    A loss carried forward is given as a positive amount; null is none.
    """
    return accounts.with_columns(
        (pl.col(f"ytd_{term}_gain_usd") - pl.col(f"loss_carryforward_{term}_usd").fill_null(0))
        .cast(pl.Float64)
        .alias(f"{term}_before_usd")
        for term in Term
    )
