"""The lab's trades beside the night's: accounts of a study as landing tables, their drift and orders by the night's own steps.

What a lab account holds on a date becomes lots of a security of its own, priced there; its policy, its model and its year's gains become
rows like any other's. Its drift, its lots' terms, its bounds and its trades are then found by the same functions as at night.

Known limits: of what replaced shares sold at a loss only the last sale is told, so an account some of whose lots of the window have replaced
shares already is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from tasks.core.drift import account_drift, drift_by_class, household_drift
from tasks.core.facts import (
    Facts,
    account_parameters,
    priced_securities,
    valued_lots,
)
from tasks.core.lab.account import holders_of
from tasks.core.lab.advance import advance
from tasks.core.lab.arrays import Holders, LabPolicy, Market, Terms
from tasks.core.lab.as_landed import account_name, as_facts
from tasks.core.lab.booking import make_trades
from tasks.core.lab.standing import (
    Course,
    Grid,
    Standing,
    course_of,
    grid_of,
    lots_at_first,
    new_state,
)
from tasks.core.lab.trade import Found, find_trades
from tasks.core.propose import shard_of, solve_accounts
from tasks.core.rules import harvest_candidates
from tasks.core.solver import MILLIONTHS, Flags, Ints
from tasks.core.tax import netted_tax

TRIGGERS: Final = ("drift", "cash", "harvest")
MOST_LOTS: Final = 256
ROUNDING: Final = 5
"""Millionths of a unit: money is exact at night and a float in the lab."""
TIE_USD: Final = 1e-4
TIE: Final = 1e-8
"""Objectives that differ by less, and by less than so much of them, are one: of two answers as good as each other, what money is rounded to decides."""
PER_NIGHT: Final = 500
"""Accounts of one date that are compared together."""


def night_of(facts: Facts) -> tuple[pl.DataFrame, pl.DataFrame]:
    """``account_id, is_due, objective_usd`` (null: not due) of every account; and of those that are due ``account_id, asset_class, lot_id, units``: sold of a lot (negative), or bought (null)."""
    accounts, securities = account_parameters(facts), priced_securities(facts)
    lots = valued_lots(facts, securities)
    drift = drift_by_class(lots, accounts, facts.model_targets)
    nobody = facts.accounts.select("account_id").clear()
    losses = harvest_candidates(accounts, lots, facts=facts, securities=securities, trade_date=facts.trade_date)
    households = household_drift(drift, accounts, facts.model_targets)
    by_account = account_drift(drift, accounts, households, due=(), changed_models=nobody, harvestable=losses)
    standing = by_account.select(
        "account_id",
        "nav_usd",
        is_due=pl.col("triggers").str.split("|").list.set_intersection(list(TRIGGERS)).list.len() > 0,
    )
    due = accounts.join(standing.filter("is_due").select("account_id", "nav_usd"), on="account_id")
    solved = solve_accounts(due, shard_of(facts, drift, by_account))
    units = (pl.col("sold") * MILLIONTHS).cast(pl.Float64).round().cast(pl.Int64)
    sold = solved.lots.filter(pl.col("sold") > 0).select("account_id", "asset_class", "lot_id", units=-units)
    bought = solved.classes.filter(pl.col("bought") > 0).select(
        "account_id",
        "asset_class",
        lot_id=pl.lit(None, pl.String),
        units=(pl.col("bought") * MILLIONTHS).cast(pl.Float64).round().cast(pl.Int64),
    )
    objective = solved.accounts.select("account_id", "objective_usd")
    return standing.select("account_id", "is_due").join(objective, on="account_id", how="left"), pl.concat(
        [sold, bought]
    )


@dataclass(frozen=True)
class Compared:
    """Accounts of a study compared with a night's on the dates they are due, and those whose trades differ."""

    states: int
    skipped: int
    """Accounts whose recent lots have replaced shares sold at a loss already."""
    ties: int
    """Accounts with other orders than at night that are as good (``TIE_USD``)."""
    differences: tuple[str, ...]


def compare_with_night(
    market: Market, policies: Sequence[LabPolicy], terms: Terms | Holders, most: int, seed: int = 0
) -> Compared:
    """Run a study and compare up to ``most`` of its accounts' looks, drawn over all its dates, with what a night would do.

    On each look it is asked whether the account is due, and of those that are which of their lots are sold and what is bought.

    Raises
    ------
    ValueError
        An account has more lots than a comparison has room for.
    """
    holders = holders_of(market, terms)
    paths = market.growth.shape[0] * len(holders.names)
    course, grid = course_of(market, holders), grid_of(policies, market, holders)
    every_look = grid._replace(cash_tolerance=np.full(len(policies), -np.inf))
    room = lots_at_first(holders) + MOST_LOTS
    is_stop = _stops(course, grid, new_state(market, holders, len(policies), room), paths)
    state = new_state(market, holders, len(policies), room)
    rng, states, skipped, ties, said = np.random.default_rng(seed), 0, 0, 0, list[str]()
    waiting = np.arange(len(state.at), dtype=np.int64)
    moving = waiting[state.is_due == 0]
    advance(course, every_look, state, paths, moving)
    waiting = waiting[state.is_due > 0]
    while len(waiting) and states < most:
        at = rng.choice(state.at[waiting])
        now = waiting[state.at[waiting] == at][:PER_NIGHT]
        due = now[is_stop[now, at]]
        told = now[[not _has_replaced(course, grid, state, a, a // paths) for a in now]]
        found = find_trades(course, grid, state, paths, due)
        if len(told):
            facts = as_facts(course, state, told, market=market, terms=terms, policies=policies)
            lab = (_lab_orders(found, market, due), _lab_objectives(found, due))
            other, tied = _differences(facts, *lab, [account_name(a) for a in told], is_first=at == 0)
            said, ties = said + other, ties + tied
        states, skipped = states + len(told), skipped + len(now) - len(told)
        make_trades(course, state, paths, due, found)
        advance(course, every_look, state, paths, now)
        waiting = np.concatenate([waiting[~np.isin(waiting, now)], now[state.is_due[now] > 0]])
    return Compared(states, skipped, ties, tuple(said))


def _has_replaced(course: Course, grid: Grid, state: Standing, a: int, policy: int) -> bool:
    """Whether a lot of the window has replaced shares sold at a loss."""
    count = state.lot_count[a]
    age = course.day[state.at[a]] - course.day[state.lot_date[a, :count]]
    return bool(state.lot_used[a, :count][age <= grid.wash_days[policy]].any())


def _stops(course: Course, grid: Grid, state: Standing, paths: int) -> Flags:
    """(A, D) the dates on which each account is due in the lab."""
    is_stop = np.zeros((len(state.at), len(course.year)), np.bool_)
    advance(course, grid, state, paths, np.flatnonzero(state.is_due == 0))
    due = np.flatnonzero(state.is_due > 0)
    while len(due):
        is_stop[due, state.at[due]] = True
        if not make_trades(course, state, paths, due, find_trades(course, grid, state, paths, due)):
            message = f"an account has more than {MOST_LOTS} lots, for which a comparison has room"
            raise ValueError(message)
        advance(course, grid, state, paths, due)
        due = due[state.is_due[due] > 0]
    return is_stop


Orders = dict[tuple[str, str | None], int]
"""Millionths of an account's lots sold (negative), by class and lot, and of its classes bought (no lot)."""


def _lab_orders(found: Found, market: Market, due: Ints) -> dict[str, Orders]:
    classes = len(market.classes)
    orders: dict[str, Orders] = {}
    for row, a in enumerate(due):
        own: Orders = {}
        for c, asset_class in enumerate(market.classes):
            k = row * classes + c
            if found.answer.bought[k] > 0:
                own[asset_class, None] = round(found.answer.bought[k] * found.book.buy_step[k] * MILLIONTHS)
            for lot in range(found.book.lot_start[k], found.book.lot_start[k + 1]):
                if found.answer.sold[lot] > 0:
                    own[asset_class, f"{found.slots[lot]:06d}"] = -int(found.answer.sold[lot])
        orders[account_name(a)] = own
    return orders


def _lab_objectives(found: Found, due: Ints) -> dict[str, float]:
    """By account, usd: the solver's, and what is sold outright costs and adds to tax (``propose.solved``)."""
    book, limits = found.book, found.limits
    lots = pl.DataFrame(
        {
            "row": found.lot_row,
            "cost": limits.lot_outright * book.lot_price * book.lot_spread,
            "short": np.where(limits.lot_is_short, -found.outright, 0.0),
            "long": np.where(limits.lot_is_short, 0.0, -found.outright),
        }
    )
    rates = {"short_rate": limits.short_rate, "long_rate": limits.long_rate}
    own = {"row": np.arange(len(due)), "s": limits.short_before, "l": limits.long_before, **rates}
    both = (
        pl.DataFrame(own).join(lots.group_by("row").sum(), on="row", how="left", maintain_order="left").fill_null(0.0)
    )
    rate = (pl.col("short_rate"), pl.col("long_rate"))
    then = netted_tax(pl.col("s") - pl.col("short"), pl.col("l") - pl.col("long"), *rate)
    added = both.select(pl.col("cost") + netted_tax(pl.col("s"), pl.col("l"), *rate) - then).to_series()
    return {account_name(a): float(usd) for a, usd in zip(due, found.answer.objective + added.to_numpy(), strict=True)}


def _differences(
    facts: Facts, lab: dict[str, Orders], objectives: dict[str, float], told: Sequence[str], *, is_first: bool
) -> tuple[list[str], int]:
    """A sentence for each account whose trades, or objective, differ from the night's; and how many have others that are as good."""
    standing, orders = night_of(facts)
    night: dict[str, Orders] = {name: {} for name in told}
    for account, asset_class, lot, units in orders.iter_rows():
        night[account][asset_class, lot] = units
    said, ties = [], 0
    for name, is_due, objective in standing.iter_rows():
        if is_due != (name in lab) and not is_first:
            where = "due in the lab and not at night" if name in lab else "due at night and not in the lab"
            said.append(f"{facts.as_of} {name}: {where}")
        elif is_due and abs(objectives[name] - objective) > TIE_USD + TIE * objective:
            said.append(f"{facts.as_of} {name}: objective {objectives[name]} in the lab, {objective} at night")
        elif is_due and not _is_same(lab[name], night[name]):
            ties += 1
    return said, ties


def _is_same(one: Orders, two: Orders) -> bool:
    """Whether orders are the same but for what rounding to millionths may make of them."""
    return all(abs(one.get(key, 0) - two.get(key, 0)) <= ROUNDING for key in one.keys() | two.keys())
