"""The lab's trades beside the night's: accounts of a study as landing tables, their drift and orders by the night's own steps.

What a lab account holds on a date becomes lots of a security of its own, priced there; its policy, its model and its year's gains become
rows like any other's. Its drift, its lots' terms, its bounds and its trades are then found by the same functions as at night.

Known limits: of what replaced shares sold at a loss only the last sale is told, so an account some of whose recent lots have replaced
shares already is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from schemas.landing_columns import CASH, dtypes
from schemas.stored import INTERNAL
from tasks.core.drift import account_drift, drift_by_class, household_drift
from tasks.core.facts import (
    BPS,
    Facts,
    account_parameters,
    household_key,
    priced_securities,
    valued_lots,
    with_policy_defaults,
)
from tasks.core.lab.account import holders_of
from tasks.core.lab.advance import advance
from tasks.core.lab.arrays import Holders, LabPolicy, Market, Terms
from tasks.core.lab.booking import make_trades
from tasks.core.lab.standing import (
    LONG_AGO,
    Course,
    Grid,
    Standing,
    course_of,
    grid_of,
    lots_at_first,
    new_state,
    price_of,
)
from tasks.core.lab.trade import Found, find_trades
from tasks.core.propose import shard_of, solve_accounts
from tasks.core.solver import MILLIONTHS, Flags, Ints

TRIGGERS: Final = ("drift", "cash")
EPOCH: Final = date(1970, 1, 1).toordinal()
MOST_LOTS: Final = 256
ROUNDING: Final = 5
"""Millionths of a unit: money is exact at night and a float in the lab."""
PER_NIGHT: Final = 500
"""Accounts of one date that are compared together."""


def as_facts(
    course: Course,
    state: Standing,
    which: Ints,
    *,
    market: Market,
    terms: Terms | Holders,
    policies: Sequence[LabPolicy],
) -> Facts:
    """The accounts ``which``, which all stand on one date, as facts of that night."""
    at = int(state.at[which[0]])
    today, holders = market.dates[at], holders_of(market, terms)
    paths = market.growth.shape[0] * len(holders.names)
    accounts, lots, cash, securities, prices, targets, choices, rules, trades, closed = ([] for _ in range(10))
    for a in which:
        policy, path, name = policies[a // paths], a % paths, _name(a)
        k = path % len(holders.names)
        own = {"account_id": name, "model_id": name, "policy_id": name}
        gains = {"ytd_short_gain_usd": state.year_gain[a, 0], "ytd_long_gain_usd": state.year_gain[a, 1]}
        losses = {
            "loss_carryforward_short_usd": state.carried[a, 0],
            "loss_carryforward_long_usd": state.carried[a, 1],
        }
        rates = {"short_term_rate": holders.rates[k, 0], "long_term_rate": holders.rates[k, 1]}
        status = {
            "tax_status": "taxable" if holders.is_taxed[k] else "tax_exempt",
            "status": "active",
            "custodian": "lab",
        }
        accounts.append({**own, **status, **rates, "cash_reserve_usd": 0, **gains, **losses})
        cash.append({"account_id": name, "settled_usd": state.cash[a], "pending_usd": 0})
        rules.append({"policy_id": name, **policy.policy.model_dump(mode="json")})
        bands = {"absolute_band": policy.absolute_band, "relative_band": policy.relative_band}
        for c, asset_class in enumerate([*market.classes, CASH]):
            if asset_class != CASH or holders.has_cash_band[k]:
                aimed = {"asset_class": asset_class, "target_weight": holders.target[k, c]}
                targets.append({"model_id": name, **aimed, **bands})
        for s in range(holders.class_of.shape[1]):
            if holders.class_of[k, s] < 0:
                continue
            asset_class, security = market.classes[holders.class_of[k, s]], _security(name, s)
            labels = {"symbol": security, "name": security, "security_type": "etf", "is_tradable": True}
            spread = {"quantity_step": holders.step[k, s], "half_spread_bps": holders.spread[k, s] * BPS}
            securities.append({"security_id": security, "asset_class": asset_class, **labels, **spread})
            prices.append({"security_id": security, "price_usd": price_of(course, path, at, s), "price_date": today})
            if holders.choice[k, s] > 0:
                place = {"security_id": security, "rank": int(holders.choice[k, s])}
                choices.append({"model_id": name, "asset_class": asset_class, **place})
            if not holders.can_sell[k, s]:
                closed.append({"account_id": name, "security_id": security, "rule": "no_sell"})
            if state.last_loss[a, s] > LONG_AGO:
                sale = {"account_id": name, "security_id": security, "side": "sell", "price_usd": 1}
                sold = {"quantity": 1 / MILLIONTHS, "realized_gain_usd": -1 / MILLIONTHS}
                trades.append({**sale, **sold, "trade_date": _day(state.last_loss[a, s])})
        for slot in range(state.lot_count[a]):
            lot = {"account_id": name, "lot_id": f"{slot:06d}", "quantity": state.lot_units[a, slot] / MILLIONTHS}
            acquired = _day(course.day[state.lot_date[a, slot]])
            cost = {"unit_cost_usd": state.lot_cost[a, slot], "acquired_date": acquired}
            lots.append({**lot, **cost, "security_id": _security(name, state.lot_security[a, slot])})
    drawn = {"accounts": accounts, "lots": lots, "cash": cash, "securities": securities, "prices": prices}
    drawn |= {
        "model_targets": targets,
        "buy_list": choices,
        "policies": rules,
        "trades": trades,
        "restrictions": closed,
    }
    tables = {name: _table(name, rows) for name, rows in drawn.items()}
    tables["policies"] = with_policy_defaults(tables["policies"])
    empty = {name: _table(name, []) for name in ("households", "location_preferences")}
    known = {name: pl.DataFrame(schema=INTERNAL[name]) for name in ("last_exports", "pending_orders")}
    members = tables["accounts"].select("account_id", household_key=household_key())
    return Facts(as_of=today, trade_date=today, **tables, **empty, **known, members=members)


def night_of(facts: Facts) -> tuple[pl.DataFrame, pl.DataFrame]:
    """``account_id, is_due`` of every account; and of those that are due ``account_id, asset_class, lot_id, units``: sold of a lot (negative), or bought (null)."""
    accounts, securities = account_parameters(facts), priced_securities(facts)
    drift = drift_by_class(valued_lots(facts, securities), accounts, facts.model_targets)
    nobody = facts.accounts.select("account_id").clear()
    households = household_drift(drift, accounts, facts.model_targets)
    by_account = account_drift(drift, accounts, households, due=(), changed_models=nobody)
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
    return standing.select("account_id", "is_due"), pl.concat([sold, bought])


def _table(name: str, rows: list[dict[str, object]]) -> pl.DataFrame:
    """Rows as the landing table; a column that they do not have is null."""
    schema = dtypes(name)
    columns = {column: [row.get(column) for row in rows] for column in schema}
    return pl.DataFrame(columns, strict=False).select(pl.col(column).cast(dtype) for column, dtype in schema.items())


@dataclass(frozen=True)
class Compared:
    """Accounts of a study compared with a night's on the dates they are due, and those whose trades differ."""

    states: int
    skipped: int
    """Accounts whose recent lots have replaced shares sold at a loss already."""
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
    rng, states, skipped, said = np.random.default_rng(seed), 0, 0, list[str]()
    waiting = np.arange(len(state.at), dtype=np.int64)
    moving = waiting[state.is_due == 0]
    advance(course, every_look, state, paths, moving)
    waiting = waiting[state.is_due > 0]
    while len(waiting) and states < most:
        at = rng.choice(state.at[waiting])
        now = waiting[state.at[waiting] == at][:PER_NIGHT]
        due = now[is_stop[now, at]]
        told = now[[not state.lot_used[a, : state.lot_count[a]].any() for a in now]]
        found = find_trades(course, grid, state, paths, due)
        if len(told):
            facts = as_facts(course, state, told, market=market, terms=terms, policies=policies)
            said += _differences(facts, _lab_orders(found, market, due), [_name(a) for a in told], is_first=at == 0)
        states, skipped = states + len(told), skipped + len(now) - len(told)
        make_trades(course, state, paths, due, found)
        advance(course, every_look, state, paths, now)
        waiting = np.concatenate([waiting[~np.isin(waiting, now)], now[state.is_due[now] > 0]])
    return Compared(states, skipped, tuple(said))


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
        orders[_name(a)] = own
    return orders


def _differences(facts: Facts, lab: dict[str, Orders], told: Sequence[str], *, is_first: bool) -> list[str]:
    """A sentence for each account whose trades differ from the night's."""
    standing, orders = night_of(facts)
    is_due = dict(standing.rows())
    night: dict[str, Orders] = {name: {} for name in told}
    for account, asset_class, lot, units in orders.iter_rows():
        night[account][asset_class, lot] = units
    said = []
    for name in told:
        if is_due[name] != (name in lab) and not is_first:
            where = "due in the lab and not at night" if name in lab else "due at night and not in the lab"
            said.append(f"{facts.as_of} {name}: {where}")
        elif is_due[name] and not _is_same(lab[name], night[name]):
            said.append(f"{facts.as_of} {name}: {lab[name]} in the lab, {night[name]} at night")
    return said


def _is_same(one: Orders, two: Orders) -> bool:
    """Whether orders are the same but for what rounding to millionths may make of them."""
    return all(abs(one.get(key, 0) - two.get(key, 0)) <= ROUNDING for key in one.keys() | two.keys())


def _security(account: str, number: int) -> str:
    return f"{account} {number:04d}"


def _day(number: int) -> date:
    return date.fromordinal(EPOCH + int(number))


def _name(account: int) -> str:
    return f"A{account:09d}"
