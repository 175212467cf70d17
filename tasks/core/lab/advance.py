"""From one trade to the next: the market moves, cash comes in, the year's tax is paid, and an account is looked at until it is due.

At the end of a step, in this order: dividends and flows are in cash; of a year that has ended the tax is paid; the account is measured
against its targets; on a date on which its policy looks it is due where a class is out of its band, cash is owed or a loss
is to be harvested, as at night (``drift.is_out_of_band``, ``facts.account_parameters``, ``rules.harvest``); it trades; the step's return is what its wealth came to, flow taken off,
over what it was. Cash is held to a band only where a model has a target for it, as at night.

Tax of a year is paid at the end of the first step of the next, that of the last year on the last date, after its trades: gains and losses by ``solver.tax_on``,
dividends at the long-term rate (26 USC 1(h)(11)). Losses that are left are carried on, net short-term against net long-term
(26 USC 1212(b)), as in ``facts``.

What a sale of everything on the last date would cost and owe is taken off ``wealth_liquidated``.
"""

from collections.abc import Callable
from typing import Any, Final

from tasks.core.drift import WEIGHT_TOLERANCE
from tasks.core.lab.arrays import MEASURES, LabPolicy
from tasks.core.lab.harvest import HARVEST_SOURCES, holds_harvest
from tasks.core.lab.standing import YEAR_DRIFT, YEAR_GROWTH, YEAR_TAX, Course, Grid, Standing
from tasks.core.lab.values import class_value, nav_of, price_at, value_of
from tasks.core.solver import (
    MILLIONTHS,
    Ints,
    borrow,
    compile_entrance,
    compile_inner,
    sources_of,
    tax_on,
)

WEALTH: Final = MEASURES.index("wealth")
LIQUIDATED: Final = MEASURES.index("wealth_liquidated")
GROWTH: Final = MEASURES.index("growth")
RETURN_MEAN: Final = MEASURES.index("return_mean")
RETURN_M2: Final = MEASURES.index("return_m2")
EXCESS_MEAN: Final = MEASURES.index("excess_mean")
EXCESS_M2: Final = MEASURES.index("excess_m2")
DRAWDOWN: Final = MEASURES.index("drawdown")
TRACKING_M2: Final = MEASURES.index("tracking_m2")
DRIFT_SUM: Final = MEASURES.index("drift_sum")
DRIFT_SQUARES: Final = MEASURES.index("drift_squares")
TAX: Final = MEASURES.index("tax")
REALIZED_SHORT: Final = MEASURES.index("realized_short")
REALIZED_LONG: Final = MEASURES.index("realized_long")
UNUSED_LOSSES: Final = MEASURES.index("unused_losses")
DEFERRED: Final = MEASURES.index("deferred_tax")


@compile_inner
def settle_year(course: Course, state: Standing, a: int, path: int, year: int) -> None:
    """Pay the tax of a year that has ended, and carry its losses on."""
    short, long = state.year_gain[a, 0] - state.carried[a, 0], state.year_gain[a, 1] - state.carried[a, 1]
    k = path % len(course.class_of)
    tax = tax_on(short, long, course.rates[k, 0], course.rates[k, 1])
    tax += course.rates[k, 1] * max(state.dividends[a], 0.0)
    state.cash[a] -= tax
    state.values[a, TAX] += tax
    state.years[a, year, YEAR_TAX] += tax
    state.values[a, REALIZED_SHORT] += state.year_gain[a, 0]
    state.values[a, REALIZED_LONG] += state.year_gain[a, 1]
    state.carried[a, 0] = -min(short + max(long, 0.0), 0.0)
    state.carried[a, 1] = -min(long + max(short, 0.0), 0.0)
    state.year_gain[a, 0], state.year_gain[a, 1], state.dividends[a] = 0.0, 0.0, 0.0


@compile_inner
def take_step(course: Course, state: Standing, a: int, path: int) -> None:
    """Move to the next date: dividends and flow are in cash, and the tax of a year that has ended is paid."""
    at = state.at[a] + 1
    state.at[a] = at
    k = path % len(course.class_of)
    for s in range(state.units.shape[1]):
        if state.units[a, s] > 0 and course.dividend[course.class_of[k, s]] != 0:
            paid = value_of(course, state, a, path, s) * course.dividend[course.class_of[k, s]]
            state.cash[a] += paid
            state.dividends[a] += paid
    state.cash[a] += course.flow[at - 1]
    if course.year[at] != course.year[at - 1]:
        settle_year(course, state, a, path, course.year[at])


@compile_inner
def measure_drift(course: Course, state: Standing, a: int, path: int) -> None:
    """How far the account is from its targets before any trade."""
    at, nav = state.at[a], nav_of(course, state, a, path)
    state.before[a] = nav
    drift, k, classes = 0.0, path % len(course.class_of), state.weights.shape[1]
    for c in range(classes):
        weight = class_value(course, state, a, path, c) / nav
        state.weights[a, c] += weight
        drift += abs(weight - course.target[k, c])
    drift = 0.5 * (drift + abs(state.cash[a] / nav - course.target[k, classes]))
    state.values[a, DRIFT_SUM] += drift
    state.values[a, DRIFT_SQUARES] += drift * drift
    state.years[a, course.year[at], YEAR_DRIFT] += drift * drift


@compile_inner
def is_due(course: Course, grid: Grid, state: Standing, a: int, path: int, policy: int) -> bool:
    """Whether a class is out of its band, cash is owed, or a loss is to be harvested."""
    nav, k, classes = state.before[a], path % len(course.class_of), state.weights.shape[1]
    if not nav > 0:
        return False
    if state.cash[a] < -grid.cash_tolerance[policy]:
        return True
    if abs(state.cash[a] / nav - course.target[k, classes]) > grid.band[policy, k, classes] + WEIGHT_TOLERANCE:
        return True
    for c in range(classes):
        weight = class_value(course, state, a, path, c) / nav
        if abs(weight - course.target[k, c]) > grid.band[policy, k, c] + WEIGHT_TOLERANCE:
            return True
    return holds_harvest(course, grid, state, a, path, policy)


@compile_inner
def add_to(values: Any, a: int, mean: int, squares: int, count: int, number: float) -> None:
    """The running mean and sum of squared deviations with one number more (Welford)."""
    off = number - values[a, mean]
    values[a, mean] += off / count
    values[a, squares] += off * (number - values[a, mean])


@compile_inner
def close_step(course: Course, state: Standing, a: int, path: int) -> None:
    """The return of the step that ends where the account stands, after its trades."""
    at = state.at[a]
    if at == 0:
        return
    if at == len(course.year) - 1:
        settle_year(course, state, a, path, course.year[at])
    wealth = nav_of(course, state, a, path)
    earned = (wealth - course.flow[at - 1]) / state.wealth[a] - 1.0 if state.wealth[a] > 0 else 0.0
    state.wealth[a] = wealth
    values = state.values
    values[a, GROWTH] *= 1.0 + earned
    state.years[a, course.year[at], YEAR_GROWTH] *= 1.0 + earned
    add_to(values, a, RETURN_MEAN, RETURN_M2, at, earned)
    add_to(values, a, EXCESS_MEAN, EXCESS_M2, at, earned - course.risk_free[path // len(course.class_of), at - 1])
    state.peak[a] = max(state.peak[a], state.values[a, GROWTH])
    values[a, DRAWDOWN] = max(values[a, DRAWDOWN], 1.0 - values[a, GROWTH] / state.peak[a])
    aimed, k, m = 0.0, path % len(course.class_of), path // len(course.class_of)
    for c in range(state.weights.shape[1]):
        growth = course.level[m, at, c] / course.level[m, at - 1, c] * (1.0 + course.dividend[c])
        aimed += course.target[k, c] * (growth - 1.0)
    values[a, TRACKING_M2] += (earned - aimed) ** 2


@compile_inner
def finish(course: Course, state: Standing, a: int, path: int) -> None:
    """Wealth on the last date, before and after a sale of everything."""
    at, k = state.at[a], path % len(course.class_of)
    state.values[a, WEALTH] = state.wealth[a]
    cost, short, long = 0.0, -state.carried[a, 0], -state.carried[a, 1]
    for lot in range(state.lot_count[a]):
        s = state.lot_security[a, lot]
        units, price = state.lot_units[a, lot] / MILLIONTHS, price_at(course, path, at, s)
        cost += units * price * course.spread[k, s]
        gain = units * (price - state.lot_cost[a, lot])
        if course.long_from[state.lot_date[a, lot]] > course.day[at]:
            short += gain
        else:
            long += gain
    owed = tax_on(short, long, course.rates[k, 0], course.rates[k, 1])
    state.values[a, LIQUIDATED] = state.wealth[a] - cost - owed
    state.values[a, DEFERRED] = owed
    state.values[a, UNUSED_LOSSES] = state.carried[a, 0] + state.carried[a, 1]


def _entrance(sources: str) -> Callable[..., None]:
    @compile_entrance
    def advance(course: Course, grid: Grid, state: Standing, paths: int, which: Ints) -> None:
        if sources:
            market, policies, kept = borrow(course), borrow(grid), borrow(state)
            end = len(market.year) - 1
            for a in which:
                policy, path = a // paths, a % paths
                while True:
                    if kept.is_due[a]:
                        kept.is_due[a] = 0
                        close_step(market, kept, a, path)
                    if kept.at[a] == end:
                        finish(market, kept, a, path)
                        break
                    take_step(market, kept, a, path)
                    measure_drift(market, kept, a, path)
                    at = kept.at[a]
                    if policies.is_look[policy, at - 1] and is_due(market, policies, kept, a, path, policy):
                        kept.is_due[a] = 1
                        break
                    close_step(market, kept, a, path)

    return advance


advance = _entrance(sources_of(tax_on.__module__, LabPolicy.__module__, *HARVEST_SOURCES, __name__))
"""Take the accounts ``which``, whose trades are made, to where they are due next, or to the last date; ``paths``: how many there are."""
