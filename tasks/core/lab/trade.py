"""The trades of accounts that are due: their rules as bounds, and the night's solver.

The bounds are those of ``rules.compile``: destinations and class limits by the same compiled functions, the account's limits by the same
formulas. Every class is one security. What a purchase in the wash-sale window disallows is counted by the solver; a security sold
at a loss is not bought within the window after it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tasks.core.facts import BPS
from tasks.core.lab.standing import Course, Grid, Standing
from tasks.core.rules import USEFUL_BPS, land_account, limit_group
from tasks.core.solver import (
    MILLIONTHS,
    NO_ORDER_LIMIT,
    Answer,
    Book,
    Ints,
    Limits,
    borrow,
    compile_entrance,
    compile_inner,
    rebalance,
    require_types,
    sources_of,
)


class Found(NamedTuple):
    """Accounts that are due as a book, and their answers. ``slots``: where each lot of the book is in its account."""

    book: Book
    limits: Limits
    slots: Ints
    answer: Answer


def find_trades(course: Course, grid: Grid, state: Standing, paths: int, due: Ints) -> Found:
    """The best trades of the accounts ``due`` where they stand; nothing is traded yet."""
    lots = int(state.lot_count[due].sum())
    book, limits, slots = _blank(len(due), len(course.target), lots)
    _describe(course, grid, state, paths, due, book, limits, slots)
    return Found(book, limits, slots, rebalance(book, limits))


def _blank(count: int, classes: int, lots: int) -> tuple[Book, Limits, Ints]:
    """Room for a book of accounts with ``classes`` classes each; the slot of each lot in its account."""
    rows = count * classes
    sizes = {"class_start": count + 1, "lot_start": rows + 1}
    sizes |= dict.fromkeys(
        ("class_value", "class_target", "buy_cap", "buy_cost", "buy_spread", "buy_price", "buy_step"), rows
    )
    sizes |= dict.fromkeys(("class_min", "loss_room"), rows)
    sizes |= {
        name: lots for name in (*Book._fields, *Limits._fields) if name.startswith("lot_") and name != "lot_start"
    }
    book = require_types(Book._make(np.zeros(sizes.get(name, count)) for name in Book._fields))
    limits = require_types(Limits._make(np.zeros(sizes.get(name, count)) for name in Limits._fields))
    book.class_start[:] = np.arange(count + 1) * classes
    return book, limits, np.zeros(lots, np.int64)


@compile_inner
def describe_account(
    course: Course, grid: Grid, state: Standing, a: int, policy: int, row: int, book: Any, limits: Any
) -> None:
    """An account's own columns (``rules.compile.with_limits``)."""
    nav, cash = state.before[a], state.cash[a]
    is_owing = cash < -grid.cash_tolerance[policy]
    book.nav[row], book.tracking_penalty[row] = nav, grid.tracking_penalty[policy]
    book.cash[row] = cash if is_owing or cash > 0 else 0.0
    least, weight = grid.min_trade_usd[policy], grid.min_trade_weight[policy]
    book.min_trade[row] = max(least, weight * nav)
    limits.turnover[row], limits.gain[row] = 2 * grid.turnover[policy] * nav, grid.gain[policy]
    limits.short_before[row] = state.year_gain[a, 0] - state.carried[a, 0]
    limits.long_before[row] = state.year_gain[a, 1] - state.carried[a, 1]
    limits.short_rate[row], limits.long_rate[row] = course.rates[0], course.rates[1]
    limits.max_orders[row], limits.slack[row] = grid.max_orders[policy], grid.slack[policy] * nav
    limits.useful[row] = USEFUL_BPS / BPS * nav if least > 0 or weight > 0 else 0.0


@compile_inner
def describe_classes(
    course: Course, grid: Grid, state: Standing, a: int, path: int, policy: int, row: int, book: Any, limits: Any
) -> None:
    """An account's classes; cash is one of its own, with a target of nothing and no band."""
    at, nav, count = state.at[a], state.before[a], len(course.target)
    first, reach = row * count, grid.trade_to[policy]
    weight, target, landed = np.zeros(count + 1), np.zeros(count + 1), np.zeros(count + 1)
    low, high = np.zeros(count + 1), np.zeros(count + 1)
    weight[count] = state.cash[a] / nav
    for c in range(count):
        value = state.units[a, c] / MILLIONTHS * course.price[path, at, c]
        weight[c], target[c] = value / nav, course.target[c]
        book.class_value[first + c] = value
        band = grid.band[policy, c]
        near = reach * band if np.isfinite(band) else 0.0
        low[c] = max(min(weight[c], target[c]), target[c] - near)
        high[c] = min(max(weight[c], target[c]), target[c] + near)
    low[count], high[count] = max(min(weight[count], 0.0), 0.0), min(max(weight[count], 0.0), 0.0)
    land_account(0, count + 1, weight, target, low, high, landed)
    book.cash_target[row] = landed[count] * nav
    is_owing = book.cash[row] < 0
    for c in range(count):
        k = first + c
        book.class_target[k] = landed[c] * nav
        is_open = state.last_loss[a, c] < course.day[at] - grid.wash_days[policy]
        book.buy_cap[k] = np.inf if is_open else 0.0
        book.buy_cost[k], book.buy_spread[k] = course.spread[c], course.spread[c]
        book.buy_price[k], book.buy_step[k] = course.price[path, at, c], course.step[0]
        deviation = abs(weight[c] - target[c]) * nav
        limits.class_min[k] = 0.0 if is_owing else grid.improvement[policy] * deviation


@compile_inner
def describe_lots(
    course: Course,
    grid: Grid,
    state: Standing,
    a: int,
    path: int,
    policy: int,
    row: int,
    at_lot: int,
    book: Any,
    limits: Any,
    slots: Any,
) -> int:
    """An account's lots by class, cheapest to sell first; where the next account's begin."""
    at, count = state.at[a], len(course.target)
    for c in range(count):
        first = at_lot
        book.lot_start[row * count + c] = first
        price = course.price[path, at, c]
        for slot in range(state.lot_count[a]):
            if state.lot_class[a, slot] != c:
                continue
            bought = state.lot_date[a, slot]
            is_short = course.long_from[bought] > course.day[at]
            gain = 1.0 - state.lot_cost[a, slot] / price if course.is_taxed[0] else 0.0
            cost = (course.rates[0] if is_short else course.rates[1]) * gain
            k = at_lot
            while k > first and cost < book.lot_cost[k - 1]:
                copy_lot(book, limits, slots, k - 1, k)
                k -= 1
            units = state.lot_units[a, slot]
            slots[k] = slot
            book.lot_quantity[k], book.lot_price[k], book.lot_step[k] = units / MILLIONTHS, price, course.step[0]
            book.lot_spread[k], book.lot_cost[k] = course.spread[c], cost
            book.lot_cap[k], book.lot_security[k] = units / MILLIONTHS * price, c
            limits.lot_gain[k], limits.lot_is_short[k], limits.lot_rank[k] = gain, is_short, slot
            is_recent = course.is_taxed[0] and course.day[at] - course.day[bought] <= grid.wash_days[policy]
            limits.lot_inside[k] = max(units - state.lot_used[a, slot], 0) / MILLIONTHS if is_recent else 0.0
            at_lot += 1
        for k in range(first, at_lot):
            book.lot_cost[k] = course.spread[c]  # tax is for the solver to add
    return at_lot


@compile_inner
def copy_lot(book: Any, limits: Any, slots: Any, source: int, target: int) -> None:
    """Move a lot's columns to another row."""
    slots[target] = slots[source]
    book.lot_quantity[target], book.lot_price[target] = book.lot_quantity[source], book.lot_price[source]
    book.lot_step[target], book.lot_spread[target] = book.lot_step[source], book.lot_spread[source]
    book.lot_cost[target], book.lot_cap[target] = book.lot_cost[source], book.lot_cap[source]
    book.lot_security[target] = book.lot_security[source]
    limits.lot_gain[target], limits.lot_is_short[target] = limits.lot_gain[source], limits.lot_is_short[source]
    limits.lot_rank[target], limits.lot_inside[target] = limits.lot_rank[source], limits.lot_inside[source]


def _describe_entrance(sources: str) -> Callable[..., None]:
    @compile_entrance
    def describe(
        course: Course, grid: Grid, state: Standing, paths: int, due: Ints, book: Book, limits: Limits, slots: Ints
    ) -> None:
        if sources:
            market, policies, kept, rows, bounds = (
                borrow(course),
                borrow(grid),
                borrow(state),
                borrow(book),
                borrow(limits),
            )
            classes, at_lot = len(market.target), 0
            unit, is_loose = np.zeros(len(rows.class_value)), np.zeros(len(due), np.bool_)
            shared = np.zeros(len(rows.class_value))
            for row in range(len(due)):
                a = due[row]
                policy, path = a // paths, a % paths
                describe_account(market, policies, kept, a, policy, row, rows, bounds)
                describe_classes(market, policies, kept, a, path, policy, row, rows, bounds)
                at_lot = describe_lots(market, policies, kept, a, path, policy, row, at_lot, rows, bounds, slots)
                is_loose[row] = policies.max_orders[policy] < NO_ORDER_LIMIT or policies.improvement[policy] > 0
                for k in range(row * classes, (row + 1) * classes):
                    unit[k] = rows.buy_price[k] * rows.buy_step[k]
                limit_group(
                    *(row, row + 1, rows.class_start, rows.class_value, rows.class_target, rows.buy_cap, unit),
                    *(rows.cash, rows.cash_target, rows.nav, is_loose, shared, bounds.loss_room),
                )
                for k in range(row * classes, (row + 1) * classes):
                    rows.buy_cap[k] = min(rows.buy_cap[k], shared[k])
            rows.lot_start[len(rows.lot_start) - 1] = at_lot

    return describe


_describe = _describe_entrance(sources_of(limit_group.__module__, land_account.__module__, __name__))
