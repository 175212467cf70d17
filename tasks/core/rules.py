"""Every rule as a bound or a price: which lots may be sold at what cost, what each class may buy.

Lots. A lot is locked (its cap is 0, the reason kept) where selling is restricted, the security is not tradable, the basis is
missing in a taxable account, the class is not in the model and policy holds such classes, or a short-term gain is avoided.
Otherwise its cost per dollar is half the spread plus tax. A loss whose security the household bought within the wash-sale
window saves no tax. With harvesting off a loss never pays for a sale: the tax is floored at minus the cost of a round trip.

Purchases. Of the class's buy list the first security that the account may buy (``purchases``).

Known limits: partial replacement within the window counts as whole; this run's own loss sales do not bar purchases by the
other accounts of the household.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from schemas.enums import Reason, RestrictionRule, ShortTermGains, Term, Unmodelled
from schemas.landing import CASH
from tasks.core.bars import bars, recent_purchases
from tasks.core.facts import BPS, CLASS, Facts
from tasks.core.kernel import Book
from tasks.core.purchases import purchases
from tasks.core.tax import gain_fraction, is_basis_missing, is_taxed, tax_rate, term

SELLING_TERMS: Final = (
    "model_id",
    "tax_status",
    "short_term_rate",
    "long_term_rate",
    "unmodelled",
    "short_term_gains",
    "wash_sale_days",
)
"""What an account's lots need to know of it."""


@dataclass(frozen=True)
class Problem:
    """Accounts to be solved, as frames whose row order is that of the arrays in ``book``.

    ``accounts``: one row an account. ``classes``: one row a class but cash, with its destination and what it may buy.
    ``lots``: one row a lot, cheapest to sell first within its class, with ``lock`` (null: free).
    """

    accounts: pl.DataFrame
    classes: pl.DataFrame
    lots: pl.DataFrame
    book: Book


def with_locks(lots: pl.DataFrame, facts: Facts, as_of: date) -> pl.DataFrame:
    """Lots with ``lock``: the reason a lot may not be sold, null where it may."""
    pairs, everyone = bars(facts, as_of, (RestrictionRule.NO_SELL, RestrictionRule.NO_TRADE))
    is_gain = pl.col("gain_fraction") > 0
    return (
        lots.join(pairs.with_columns(is_barred=pl.lit(value=True)), on=["account_id", "security_id"], how="left")
        .with_columns(
            lock=pl.when(pl.col("is_barred").fill_null(value=False) | pl.col("security_id").is_in(everyone.implode()))
            .then(pl.lit(str(Reason.RESTRICTED)))
            .when(~pl.col("is_tradable"))
            .then(pl.lit(str(Reason.NOT_TRADABLE)))
            .when((pl.col("asset_class") != CASH) & pl.col("is_unmodelled") & (pl.col("unmodelled") == Unmodelled.HOLD))
            .then(pl.lit(str(Reason.UNMODELLED_HELD)))
            .when(is_taxed() & is_basis_missing())
            .then(pl.lit(str(Reason.MISSING_BASIS)))
            .when(
                (pl.col("short_term_gains") == ShortTermGains.AVOID)
                & is_taxed()
                & is_gain
                & (pl.col("term") == Term.SHORT)
            )
            .then(pl.lit(str(Reason.SHORT_TERM_GAIN_AVOIDED)))
        )
        .drop("is_barred")
    )


def destinations(drift: pl.DataFrame) -> pl.DataFrame:
    """Drift rows with ``destination_usd = NAV * (target + clip(drift, -trade_to * band, trade_to * band))``; no band counts as 0."""
    reach = (pl.col("trade_to") * pl.col("band")).fill_null(0.0)
    weight = pl.col("target_weight") + pl.col("drift").clip(-reach, reach)
    return drift.with_columns(destination_usd=weight * pl.col("nav_usd").cast(pl.Float64))


def compile_book(
    accounts: pl.DataFrame,
    drift: pl.DataFrame,
    lots: pl.DataFrame,
    *,
    facts: Facts,
    securities: pl.DataFrame,
    as_of: date,
) -> Problem:
    """The accounts to be solved as bounds and prices.

    Parameters
    ----------
    accounts
        ``facts.account_parameters`` of the accounts to trade, with ``nav_usd``; NAV > 0.
    drift
        ``drift.drift_by_class`` of all accounts.
    lots
        ``facts.valued_lots`` of all accounts.
    facts, securities
        The shard's facts (households are looked at whole) and ``facts.priced_securities``.
    as_of
        Date of the sale.
    """
    accounts = accounts.sort("account_id")
    households = accounts.select("account_id", "wash_sale_days").join(facts.members, on="account_id")
    terms = accounts.select("account_id", "model_id", "tax_status", "trade_to")
    aimed = destinations(drift.join(terms, on="account_id")).sort(CLASS)
    is_cash = pl.col("asset_class") == CASH
    classes = purchases(aimed.filter(~is_cash), facts, securities, households=households, as_of=as_of)
    described = with_tax_facts(lots, accounts, facts.model_targets, as_of).join(
        recent_purchases(facts, households, as_of), on=["account_id", "security_id"], how="left"
    )
    selling = with_costs(with_locks(described, facts, as_of), classes, as_of)
    accounts = with_cash_target(accounts, aimed.filter(is_cash), selling.filter(is_cash))
    selling = selling.filter(~is_cash).sort(*CLASS, "cost", "security_id", "lot_id")
    return Problem(accounts, classes, selling, to_arrays(accounts, classes, selling))


def with_tax_facts(lots: pl.DataFrame, accounts: pl.DataFrame, targets: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Lots of ``accounts`` with the accounts' ``SELLING_TERMS``, ``is_unmodelled``, ``term``, ``gain_fraction`` and ``tax_rate``."""
    modelled = targets.select("model_id", "asset_class", is_unmodelled=pl.lit(value=False))
    return (
        lots.join(accounts.select("account_id", *SELLING_TERMS), on="account_id")
        .join(modelled, on=["model_id", "asset_class"], how="left")
        .with_columns(
            pl.col("is_unmodelled").fill_null(value=True),
            term=term(pl.col("acquired_date"), as_of),
            gain_fraction=gain_fraction(),
        )
        .with_columns(tax_rate=tax_rate())
    )


def with_costs(lots: pl.DataFrame, classes: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Lots with ``is_replaced``, ``spread``, ``tax`` (per dollar sold, as the solver sees it) and ``cost``, the sum of the two.

    A round trip is a sale of the lot and a purchase of what its class in ``classes`` buys.
    """
    spread = pl.col("half_spread_bps") / BPS
    round_trip = spread + pl.col("buy_half_spread_bps").fill_null(0.0) / BPS
    is_recent = pl.col("acquired_date") >= pl.lit(as_of) - pl.duration(days="wash_sale_days")
    own = pl.when(is_recent).then("quantity").otherwise(0)
    is_replaced = (pl.col("recent_quantity").fill_null(0) > own) & (pl.col("gain_fraction") < 0)
    tax = (pl.col("tax_rate") * pl.col("gain_fraction")).fill_null(0.0)
    return (
        lots.join(classes.select(*CLASS, "buy_half_spread_bps"), on=CLASS, how="left")
        .with_columns(spread=spread, is_replaced=is_replaced.fill_null(value=False))
        .with_columns(
            tax=pl.when(pl.col("is_replaced")).then(0.0).otherwise(pl.max_horizontal(tax, -round_trip)),
        )
        .with_columns(cost=pl.col("spread") + pl.col("tax"))
    )


def with_cash_target(accounts: pl.DataFrame, cash: pl.DataFrame, held_as_cash: pl.DataFrame) -> pl.DataFrame:
    """Accounts with ``cash_target_usd``: the destination of the class cash less securities that are of that class."""
    fund = held_as_cash.group_by("account_id").agg(fund_usd=pl.col("value_usd").sum().cast(pl.Float64))
    return (
        accounts.join(cash.select("account_id", "destination_usd"), on="account_id", how="left", maintain_order="left")
        .join(fund, on="account_id", how="left", maintain_order="left")
        .with_columns(cash_target_usd=pl.col("destination_usd") - pl.col("fund_usd").fill_null(0.0))
        .drop("destination_usd", "fund_usd")
    )


def to_arrays(accounts: pl.DataFrame, classes: pl.DataFrame, lots: pl.DataFrame) -> Book:
    """Flat arrays of the three frames, which are sorted by account and class."""
    floor = pl.max_horizontal("min_trade_usd", pl.col("min_trade_weight") * pl.col("nav_usd").cast(pl.Float64))

    def numbers(frame: pl.DataFrame, expr: pl.Expr) -> np.ndarray:
        return frame.select(expr.cast(pl.Float64)).to_series().to_numpy()

    free = pl.when(pl.col("lock").is_null()).then("value_usd").otherwise(0)
    return Book(
        nav=numbers(accounts, pl.col("nav_usd")),
        tracking_penalty=numbers(accounts, pl.col("tracking_penalty")),
        cash=numbers(accounts, pl.col("cash_usd")),
        cash_target=numbers(accounts, pl.col("cash_target_usd")),
        min_trade=numbers(accounts, floor),
        class_start=starts(accounts, classes, "account_id"),
        class_value=numbers(classes, pl.col("value_usd")),
        class_target=numbers(classes, pl.col("destination_usd")),
        buy_cap=numbers(classes, pl.when(pl.col("buy_lock").is_null()).then(float("inf")).otherwise(0.0)),
        buy_cost=numbers(classes, pl.col("buy_half_spread_bps").fill_null(0.0) / BPS),
        buy_price=numbers(classes, pl.col("buy_price_usd").fill_null(1)),
        buy_step=numbers(classes, pl.col("buy_step").fill_null(1)),
        lot_start=starts(classes, lots, *CLASS),
        lot_quantity=numbers(lots, pl.col("quantity")),
        lot_price=numbers(lots, pl.col("price_usd")),
        lot_step=numbers(lots, pl.col("quantity_step")),
        lot_spread=numbers(lots, pl.col("spread")),
        lot_cost=numbers(lots, pl.col("cost")),
        lot_cap=numbers(lots, free),
        lot_security=lots.select(pl.col("security_id").rank("dense")).to_series().cast(pl.Int64).to_numpy(),
    )


def starts(parents: pl.DataFrame, children: pl.DataFrame, *key: str) -> np.ndarray:
    """Offsets (parents + 1) of each parent's children, both frames sorted by ``key``."""
    counts = children.group_by(*key).len("count")
    ordered = parents.select(key).join(counts, on=key, how="left", maintain_order="left")["count"].fill_null(0)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(ordered.to_numpy(), dtype=np.int64)])
