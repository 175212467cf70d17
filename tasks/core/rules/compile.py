"""Every rule as a bound or a price: accounts, their classes and their lots as frames, and the solver's arrays of them.

Lots: ``sales`` (locks and prices), ``hold_ranges`` (what an account must keep, and may) and ``harvest``. Classes: ``classes``
and ``purchases`` (the first security of the buy list that the account may buy). Accounts: the limits that couple their trades.

What is sold outright comes first: it leaves its class and joins the cash, less half the spread, before anything is solved
(``start_value_usd``, ``start_cash_usd`` and ``start_quantity`` are after it; ``value_usd``, ``cash_usd`` and ``quantity`` before).

Households that are managed together are compiled apart from the other accounts: every member has a row for every class of
its household, whose destination is the household's; values, cash and purchases are its own.

Known limits: but for harvests, this run's own loss sales bar purchases only where the caller says so (``sold_at_loss``). With
``trade_to`` above 0 the destinations of an account need not sum to its NAV.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from schemas.landing import CASH
from tasks.core.facts import BPS, CLASS, Facts
from tasks.core.rules.classes import CLASS_TERMS, destinations, with_buy_caps, with_buy_costs, with_start_values
from tasks.core.rules.harvest import harvest_candidates, household_losses, with_harvest
from tasks.core.rules.hold_ranges import held_ranges, room_to_buy, with_caps, with_excess_sold
from tasks.core.rules.purchases import purchases
from tasks.core.rules.sales import HOLDING, described_lots, outright_gains, outright_proceeds, with_costs, with_prices
from tasks.core.solver import NO_ORDER_LIMIT, Book, Floats, Ints, Limits
from tasks.core.tax import gains_before, is_taxed

INF: Final = float("inf")


@dataclass(frozen=True)
class Problem:
    """Accounts to be solved, as frames whose row order is that of the arrays in ``book`` and ``limits``.

    ``accounts``: one row an account, with ``governed_nav_usd``, its own NAV or its household's. ``classes``: one row a class but
    cash, with its destination and what it may buy. ``lots``: one row a lot, cheapest to sell first within its class, with
    ``lock`` (null: free). ``household_start``: none for accounts managed alone, else where each household's accounts begin.
    """

    accounts: pl.DataFrame
    classes: pl.DataFrame
    lots: pl.DataFrame
    book: Book
    limits: Limits
    household_start: Ints | None = None


@dataclass(frozen=True)
class CompileContext:
    """What the accounts are compiled from beside themselves."""

    lots: pl.DataFrame
    facts: Facts
    securities: pl.DataFrame
    as_of: date
    sold_at_loss: pl.DataFrame | None


def compile_book(
    accounts: pl.DataFrame,
    drift: pl.DataFrame,
    lots: pl.DataFrame,
    *,
    facts: Facts,
    securities: pl.DataFrame,
    as_of: date,
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
    as_of
        Date of the sale.
    sold_at_loss
        ``account_id, security_id`` that the account may not buy because its household sells it at a loss tonight.
    """
    accounts = accounts.sort("account_id").with_row_index("account_row").with_columns(governed_nav_usd="nav_usd")
    aimed = destinations(drift.join(accounts.select("account_id", *CLASS_TERMS), on="account_id"))
    return _compile_problem(
        accounts, aimed, CompileContext(lots, facts, securities, as_of, sold_at_loss), own_target="account_id"
    )


def compile_households(
    accounts: pl.DataFrame,
    household_drift: pl.DataFrame,
    lots: pl.DataFrame,
    *,
    facts: Facts,
    securities: pl.DataFrame,
    as_of: date,
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
    night = CompileContext(lots, facts, securities, as_of, sold_at_loss)
    problem = _compile_problem(accounts, destinations(aimed), night, own_target=household)
    row = accounts[household].rank("dense")
    return replace(problem, household_start=starts(row.unique().sort(), row))


def _compile_problem(accounts: pl.DataFrame, aimed: pl.DataFrame, night: CompileContext, *, own_target: str) -> Problem:
    """The problem of ``accounts`` in the order of ``account_row``; ``aimed``: their classes with destinations."""
    facts, securities, as_of = night.facts, night.securities, night.as_of
    is_cash = pl.col("asset_class") == CASH
    harvested = harvest_candidates(
        accounts, night.lots, facts=facts, securities=securities, as_of=as_of, sold_at_loss=night.sold_at_loss
    )
    losses = household_losses(harvested, facts)
    if night.sold_at_loss is not None:
        losses = pl.concat([losses, night.sold_at_loss.select(HOLDING)]).unique()
    aimed = aimed.sort("account_row", "asset_class")
    households = accounts.select("account_id", "wash_sale_days").join(facts.members, on="account_id")
    chosen = purchases(
        aimed.filter(~is_cash), facts, securities, households=households, as_of=as_of, sold_at_loss=losses
    )
    classes = with_buy_costs(chosen, facts.location_preferences).with_row_index("class_row")
    accounts = with_cash_target(accounts, aimed.filter(is_cash), night.lots.filter(is_cash), own_target)
    described = described_lots(night.lots.filter(~is_cash), accounts, facts, as_of)
    priced = with_prices(with_harvest(described, harvested), classes)
    bought = classes.select("account_id", security_id="buy_security_id")
    ranges = held_ranges(pl.concat([priced.select(HOLDING), bought]), facts, securities, as_of)
    selling = with_caps(with_costs(with_excess_sold(priced, ranges)), ranges)
    selling = selling.sort("class_row", "cost", "security_id", "lot_id")
    accounts = with_limits(accounts, selling)
    classes = with_buy_caps(with_start_values(classes, selling), room_to_buy(ranges, selling))
    classes = with_owing_free(classes, accounts)
    return Problem(accounts, classes, selling, *to_arrays(accounts, classes, selling))


def with_cash_target(
    accounts: pl.DataFrame, cash: pl.DataFrame, held_as_cash: pl.DataFrame, own_target: str
) -> pl.DataFrame:
    """Accounts with ``cash_target_usd``: the destination of the class cash less securities that are of that class.

    Accounts with the same ``own_target`` (an account itself, or its household) share one destination.
    """
    owner = accounts.select("account_id", owner=own_target)
    fund = held_as_cash.join(owner, on="account_id").group_by("owner").agg(fund_usd=_floats_sum("value_usd"))
    return (
        accounts.join(cash.select("account_id", "destination_usd"), on="account_id", how="left", maintain_order="left")
        .join(fund, left_on=own_target, right_on="owner", how="left", maintain_order="left")
        .with_columns(cash_target_usd=pl.col("destination_usd") - pl.col("fund_usd").fill_null(0.0))
        .drop("destination_usd", "fund_usd")
    )


def _floats_sum(name: str) -> pl.Expr:
    return pl.col(name).sum().cast(pl.Float64)


def with_limits(accounts: pl.DataFrame, lots: pl.DataFrame) -> pl.DataFrame:
    """Accounts with ``start_cash_usd`` and the limits that couple their trades, after what is sold outright.

    A loss realized outright adds room to the gain budget. No limit: inf, or ``NO_ORDER_LIMIT`` orders.
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
            start_cash_usd=pl.col("cash_usd") + pl.col("proceeds_usd").fill_null(0),
            short_before_usd=pl.col("short_before_usd") + short,
            long_before_usd=pl.col("long_before_usd") + long,
            gain_cap_usd=(pl.col("max_realized_gain_usd") - short - long).clip(lower_bound=0.0).fill_null(INF),
            turnover_cap_usd=(2 * pl.col("max_turnover") * nav).clip(lower_bound=0.0).fill_null(INF),
            max_orders=pl.col("max_orders").fill_null(NO_ORDER_LIMIT),
            fewest_trades_usd=pl.col("fewest_trades_bps") / BPS * nav,
        )
        .drop("proceeds_usd")
    )


def with_owing_free(classes: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """Classes with ``class_min_usd`` 0 where the account owes cash: it must raise it, however small the trade."""
    owing = accounts.filter(pl.col("start_cash_usd") < 0)["account_id"]
    is_owing = pl.col("account_id").is_in(owing.implode())
    return classes.with_columns(class_min_usd=pl.when(is_owing).then(0.0).otherwise("class_min_usd"))


def to_arrays(accounts: pl.DataFrame, classes: pl.DataFrame, lots: pl.DataFrame) -> tuple[Book, Limits]:
    """Flat arrays of the three frames, whole accounts in the order of ``account_row`` and ``class_row``."""
    floor = pl.max_horizontal("min_trade_usd", pl.col("min_trade_weight") * pl.col("nav_usd").cast(pl.Float64))
    book = Book(
        nav=_floats(accounts, "governed_nav_usd"),
        tracking_penalty=_floats(accounts, "tracking_penalty"),
        cash=_floats(accounts, "start_cash_usd"),
        cash_target=_floats(accounts, "cash_target_usd"),
        min_trade=_floats(accounts, floor),
        class_start=starts(accounts["account_row"], classes["account_row"]),
        class_value=_floats(classes, "start_value_usd"),
        class_target=_floats(classes, "destination_usd"),
        buy_cap=_floats(classes, "buy_cap_usd"),
        buy_cost=_floats(classes, "buy_cost"),
        buy_spread=_floats(classes, "buy_spread"),
        buy_price=_floats(classes, pl.col("buy_price_usd").fill_null(1)),
        buy_step=_floats(classes, pl.col("buy_step").fill_null(1)),
        lot_start=starts(classes["class_row"], lots["class_row"]),
        lot_quantity=_floats(lots, "start_quantity"),
        lot_price=_floats(lots, "price_usd"),
        lot_step=_floats(lots, "quantity_step"),
        lot_spread=_floats(lots, "spread"),
        lot_cost=_floats(lots, "cost"),
        lot_cap=_floats(lots, pl.when(pl.col("lock").is_null()).then("cap_usd").otherwise(0.0)),
        lot_security=_codes(lots["security_id"]),
    )
    return book, _limits(accounts, classes, lots)


def _limits(accounts: pl.DataFrame, classes: pl.DataFrame, lots: pl.DataFrame) -> Limits:
    rates = [
        _floats(accounts, pl.when(is_taxed()).then(rate).otherwise(0.0))
        for rate in ("short_term_rate", "long_term_rate")
    ]
    return Limits(
        turnover=_floats(accounts, "turnover_cap_usd"),
        gain=_floats(accounts, "gain_cap_usd"),
        short_before=_floats(accounts, "short_before_usd"),
        long_before=_floats(accounts, "long_before_usd"),
        short_rate=rates[0],
        long_rate=rates[1],
        max_orders=accounts["max_orders"].cast(pl.Int64).to_numpy(),
        slack=_floats(accounts, "fewest_trades_usd"),
        class_min=_floats(classes, "class_min_usd"),
        lot_gain=_floats(lots, "gain"),
        lot_is_short=lots["is_short"].to_numpy(),
    )


def _codes(names: pl.Series) -> Ints:
    """A number for each name, in the order of the names."""
    return names.cast(pl.Enum(names.unique().sort())).to_physical().cast(pl.Int64).to_numpy()


def _floats(frame: pl.DataFrame, column: str | pl.Expr) -> Floats:
    expr = pl.col(column) if isinstance(column, str) else column
    return frame.select(expr.cast(pl.Float64)).to_series().to_numpy()


def starts(parents: pl.Series, children: pl.Series) -> Ints:
    """Offsets (parents + 1) of each parent's children: row numbers of the parents, and each child's parent's, both ascending."""
    first = np.searchsorted(children.to_numpy(), parents.to_numpy())
    return np.append(first, len(children)).astype(np.int64)
