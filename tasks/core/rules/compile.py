"""Every rule as a bound or a price: accounts, their classes and their lots as frames, and the solver's arrays of them.

Lots: ``sales`` (locks and prices), ``hold_ranges`` (what an account must keep, and may), ``indexes`` (how far from its index) and ``harvest``. Classes: ``classes``
and ``purchases`` (the first security of the buy list that the account may buy). Accounts: the limits that couple their trades.

What is sold outright comes first: it leaves its class and joins the cash, less half the spread, before anything is solved
(``start_value_usd``, ``start_cash_usd`` and ``start_quantity`` are after it; ``value_usd``, ``cash_usd`` and ``quantity`` before).

Households that are managed together are compiled apart from the other accounts: every member has a row for every class of
its household, whose destination is the household's; values, cash and purchases are its own.

Known limits: but for harvests, this run's own loss sales bar purchases only where the caller says so (``sold_at_loss``).
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import polars as pl

from schemas.landing_columns import CASH
from schemas.tables import USD
from tasks.core.facts import BPS, CLASS, Facts, rounded_usd, usd_sum
from tasks.core.rules.book_arrays import starts, to_arrays
from tasks.core.rules.cash_funds import FUND_TERMS, fund_terms, with_fund_lots, with_room_for_funds
from tasks.core.rules.class_limits import with_class_limits
from tasks.core.rules.classes import (
    CLASS_TERMS,
    with_buy_caps,
    with_buy_costs,
    with_start_values,
    with_wants,
)
from tasks.core.rules.destinations import destinations
from tasks.core.rules.harvest import harvest_candidates, household_losses, with_harvest
from tasks.core.rules.hold_ranges import held_ranges, room_to_buy, with_caps, with_excess_sold
from tasks.core.rules.indexes import tracking_floors, with_floors, with_parts, with_stand_ins
from tasks.core.rules.purchases import purchases
from tasks.core.rules.sales import HOLDING, described_lots, outright_gains, outright_proceeds, with_costs
from tasks.core.rules.whole_orders import with_whole_outright
from tasks.core.solver import NO_ORDER_LIMIT, Book, Ints, Limits
from tasks.core.tax import gains_before

INF: Final = float("inf")
USEFUL_BPS: Final = 0.05
"""Basis points of NAV that an order must be worth where policy sets a smallest order."""


@dataclass(frozen=True)
class Problem:
    """Accounts to be solved, as frames whose row order is that of the arrays in ``book`` and ``limits``.

    ``accounts``: one row an account, with ``governed_nav_usd``, its own NAV or its household's. ``classes``: one row a class but
    cash, with its destination and what it may buy. ``lots``: one row a lot, cheapest to sell first within its class, with
    ``lock`` (null: free). ``funds``: lots of the class cash (``cash_funds``), which are in no array. ``household_start``: none for accounts
    managed alone, else where each household's accounts begin.
    """

    accounts: pl.DataFrame
    classes: pl.DataFrame
    lots: pl.DataFrame
    funds: pl.DataFrame
    book: Book
    limits: Limits
    household_start: Ints | None = None


@dataclass(frozen=True)
class CompileContext:
    """What the accounts are compiled from beside themselves."""

    lots: pl.DataFrame
    facts: Facts
    securities: pl.DataFrame
    trade_date: date
    sold_at_loss: pl.DataFrame | None


def compile_book(
    accounts: pl.DataFrame,
    drift: pl.DataFrame,
    lots: pl.DataFrame,
    *,
    facts: Facts,
    securities: pl.DataFrame,
    trade_date: date,
    sold_at_loss: pl.DataFrame | None = None,
) -> Problem:
    """The accounts to be solved, each managed alone, as bounds and prices.

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
    trade_date
        Date of the sale.
    sold_at_loss
        ``account_id, security_id`` that the account may not buy because its household sells it at a loss tonight.
    """
    accounts = accounts.sort("account_id").with_row_index("account_row").with_columns(governed_nav_usd="nav_usd")
    aimed = destinations(drift.join(accounts.select("account_id", *CLASS_TERMS), on="account_id"))
    return _compile_problem(
        accounts, aimed, CompileContext(lots, facts, securities, trade_date, sold_at_loss), own_target="account_id"
    )


def compile_households(
    accounts: pl.DataFrame,
    household_drift: pl.DataFrame,
    lots: pl.DataFrame,
    *,
    facts: Facts,
    securities: pl.DataFrame,
    trade_date: date,
    sold_at_loss: pl.DataFrame | None = None,
) -> Problem:
    """The accounts of households that are managed together, as bounds and prices; parameters as in ``compile_book``.

    ``accounts`` are all members of the households to trade, with ``managed_household_id``; a member that is frozen or closed
    counts and is not traded. ``household_drift`` has one row a class of a household: its weight, drift, band and NAV, which
    stand in the classes of every member beside ``household_value_usd``; ``value_usd`` there is the member's own.
    """
    household = "managed_household_id"
    household_drift = household_drift.rename({"household_id": household})
    nav = household_drift.group_by(household).agg(governed_nav_usd=pl.col("nav_usd").first())
    accounts = (
        accounts.sort(household, "account_id")
        .with_row_index("account_row")
        .join(nav, on=household, how="left", maintain_order="left")
    )
    held = lots.join(accounts, on="account_id", how="semi").group_by(CLASS).agg(own_usd=pl.col("value_usd").sum())
    aimed = (
        accounts.select("account_id", household, *CLASS_TERMS)
        .join(household_drift, on=household)
        .join(held, on=CLASS, how="left")
        .with_columns(household_value_usd="value_usd", value_usd=pl.col("own_usd").fill_null(0))
        .drop("own_usd")
    )
    night = CompileContext(lots, facts, securities, trade_date, sold_at_loss)
    problem = _compile_problem(accounts, destinations(aimed), night, own_target=household)
    row = accounts[household].rank("dense")
    return replace(problem, household_start=starts(row.unique().sort(), row))


def _compile_problem(accounts: pl.DataFrame, aimed: pl.DataFrame, night: CompileContext, *, own_target: str) -> Problem:
    """The problem of ``accounts`` in the order of ``account_row``; ``aimed``: their classes with destinations."""
    facts, securities, trade_date = night.facts, night.securities, night.trade_date
    is_cash = pl.col("asset_class") == CASH
    harvested = harvest_candidates(
        accounts, night.lots, facts=facts, securities=securities, trade_date=trade_date, sold_at_loss=night.sold_at_loss
    )
    losses = household_losses(harvested, facts)
    if night.sold_at_loss is not None:
        losses = pl.concat([losses, night.sold_at_loss.select(HOLDING)]).unique()
    aimed = aimed.sort("account_row", "asset_class")
    households = accounts.select("account_id", "wash_sale_days").join(facts.members, on="account_id")
    wanted = with_wants(aimed.filter(~is_cash), accounts, night.lots, harvested)
    chosen = purchases(wanted, facts, securities, households=households, trade_date=trade_date, sold_at_loss=losses)
    classes = with_buy_costs(chosen, facts.location_preferences).with_row_index("class_row")
    described = _with_funds_free(described_lots(night.lots, accounts, facts, trade_date))
    priced = with_costs(with_harvest(described, harvested), classes)
    bought = classes.select("account_id", security_id="buy_security_id")
    ranges = held_ranges(pl.concat([priced.select(HOLDING), bought]), facts, securities, trade_date)
    ranges = with_floors(ranges, tracking_floors(accounts, night.lots, facts, securities, harvested))
    every = with_caps(with_whole_outright(with_excess_sold(priced, ranges)), ranges)
    funds = with_fund_lots(every.filter(is_cash), accounts)
    selling = every.filter(~is_cash).sort("class_row", "cost", "security_id", "lot_id")
    accounts = with_cash_target(_with_fund_terms(accounts, funds), aimed.filter(is_cash), own_target)
    accounts = with_limits(with_parts(accounts, facts), every)
    classes = with_buy_caps(with_start_values(classes, selling), room_to_buy(ranges, selling))
    classes = with_owing_free(with_class_limits(with_stand_ins(classes, facts), accounts), accounts)
    return Problem(accounts, classes, selling, funds, *to_arrays(accounts, classes, selling))


def _with_funds_free(lots: pl.DataFrame) -> pl.DataFrame:
    """Lots of the class cash without the locks that policy only prefers."""
    is_free = (pl.col("asset_class") == CASH) & ~pl.col("is_fixed")
    return lots.with_columns(lock=pl.when(~is_free).then("lock"))


def _with_fund_terms(accounts: pl.DataFrame, funds: pl.DataFrame) -> pl.DataFrame:
    terms = fund_terms(funds)
    joined = accounts.join(terms, on="account_id", how="left", maintain_order="left")
    return joined.with_columns(pl.col(name).fill_null(0) for name in FUND_TERMS)


def with_cash_target(accounts: pl.DataFrame, cash: pl.DataFrame, own_target: str) -> pl.DataFrame:
    """Accounts with ``cash_target_usd``: the destination of the class cash less funds of that class that may not be sold.

    Accounts with the same ``own_target`` (an account itself, or its household) share one destination.
    """
    kept = usd_sum(pl.col("fund_kept_usd")).over(own_target)
    return (
        accounts.join(cash.select("account_id", "destination_usd"), on="account_id", how="left", maintain_order="left")
        .with_columns(cash_target_usd=pl.col("destination_usd") - kept)
        .drop("destination_usd")
    )


def with_limits(accounts: pl.DataFrame, lots: pl.DataFrame) -> pl.DataFrame:
    """Accounts with ``start_cash_usd`` and the limits that couple their trades, after what is sold outright.

    A loss realized outright adds room to the gain budget. No limit: inf, or ``NO_ORDER_LIMIT`` orders. What an order must be worth is
    a ``parts``-th (``indexes.with_parts``).
    """
    nav = pl.col("nav_usd").cast(pl.Float64)
    proceeds = (pl.col("outright_usd") - pl.col("outright_cost_usd")).sum()
    cash = outright_proceeds(lots).group_by("account_id").agg(proceeds_usd=proceeds)
    short, long = pl.col("short_outright_usd"), pl.col("long_outright_usd")
    return (
        gains_before(accounts)
        .join(cash, on="account_id", how="left", maintain_order="left")
        .join(outright_gains(lots), on="account_id", how="left", maintain_order="left")
        .with_columns(short.fill_null(0.0), long.fill_null(0.0))
        .with_columns(
            start_cash_usd=_counted_cash() + pl.col("proceeds_usd").fill_null(0),
            short_before_usd=pl.col("short_before_usd") + short,
            long_before_usd=pl.col("long_before_usd") + long,
            gain_cap_usd=(pl.col("max_realized_gain_usd") - short - long).clip(lower_bound=0.0).fill_null(INF),
            turnover_cap_usd=(2 * pl.col("max_turnover") * nav).clip(lower_bound=0.0).fill_null(INF),
            max_orders=pl.col("max_orders").fill_null(NO_ORDER_LIMIT),
            fewest_trades_usd=pl.col("fewest_trades_bps") * (1 / BPS) * nav,
            useful_usd=pl.when((pl.col("min_trade_usd") > 0) | (pl.col("min_trade_weight") > 0))
            .then(USEFUL_BPS / BPS * pl.col("governed_nav_usd").cast(pl.Float64) / pl.col("parts"))
            .otherwise(0.0),
        )
        .drop("proceeds_usd", "parts")
        .pipe(with_room_for_funds)
    )


def _counted_cash() -> pl.Expr:
    """Cash beyond the reserve, with funds that may be sold; what policy tolerates below zero is not owed."""
    own = pl.when(pl.col("is_owing") | (pl.col("cash_usd") > 0)).then("cash_usd").otherwise(0)
    has_funds = pl.col("fund_usd") > 0
    return pl.when(has_funds).then(own + rounded_usd(pl.col("fund_usd"))).otherwise(own).cast(USD)


def with_owing_free(classes: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """Classes with ``class_min_usd`` 0 where the account owes cash: it must raise it, however small the trade."""
    owing = accounts.filter(pl.col("start_cash_usd") < 0)["account_id"]
    is_owing = pl.col("account_id").is_in(owing.implode())
    return classes.with_columns(class_min_usd=pl.when(is_owing).then(0.0).otherwise("class_min_usd"))
