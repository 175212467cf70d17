"""The trades of accounts that are due: their rules as bounds, and the night's solver.

The bounds are those of ``rules.compile``: destinations and class limits by the same compiled functions, the account's limits by the same
formulas. A class buys the first security of its buy list that is open to it, as ``rules.purchases`` and ``rules.with_wants`` say: one that was sold at a loss is not bought
within the window after it, nor one of which a unit is more than the class wants. What a purchase in the window disallows is counted by the solver.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tasks.core.facts import BPS
from tasks.core.lab.harvest import HARVEST_SOURCES, Outright, sell_outright
from tasks.core.lab.lots import describe_lots
from tasks.core.lab.standing import Course, Grid, Standing
from tasks.core.lab.values import class_value, price_at
from tasks.core.rules import USEFUL_BPS, WANT_TOLERANCE, land_account, limit_group
from tasks.core.solver import (
    CANNOT_RAISE_CASH,
    MILLIONTHS,
    NO_ORDER_LIMIT,
    Answer,
    Book,
    Floats,
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
    """Accounts that are due as a book, and their answers.

    ``slots``: where each lot of the book is in its account; ``chosen``: which of the account's securities each class of the book buys;
    ``outright``: usd of loss that counts, positive, of each lot that is harvested. What is sold outright is in the answer.
    """

    book: Book
    limits: Limits
    slots: Ints
    chosen: Ints
    outright: Floats
    answer: Answer

    @property
    def lot_row(self) -> Ints:
        """The account, by its row in the book, of each lot."""
        per_account = np.diff(self.book.lot_start[self.book.class_start])
        return np.repeat(np.arange(len(self.book.nav)), per_account)


def find_trades(course: Course, grid: Grid, state: Standing, paths: int, due: Ints) -> Found:
    """The best trades of the accounts ``due`` where they stand; nothing is traded yet."""
    lots = int(state.lot_count[due].sum())
    classes = course.target.shape[1] - 1
    book, limits, slots = _blank(len(due), classes, lots)
    chosen, counted = np.zeros(len(due) * classes, np.int64), np.zeros(lots)
    _describe(course, grid, state, paths, due, book, limits, slots, chosen, counted)
    answer = rebalance(book, limits)
    if grid.is_harvesting.any():
        is_stuck = np.repeat(answer.status == CANNOT_RAISE_CASH, np.diff(book.lot_start[book.class_start]))
        counted[is_stuck] = 0.0
        answer.sold[:] += np.where(is_stuck, 0, np.rint(limits.lot_outright * MILLIONTHS)).astype(np.int64)
        answer.counted[:] += counted
    return Found(book, limits, slots, chosen, -counted, answer)


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
    course: Course,
    grid: Grid,
    state: Standing,
    a: int,
    path: int,
    policy: int,
    row: int,
    book: Any,
    limits: Any,
    out: Any,
) -> None:
    """An account's own columns (``rules.compile.with_limits``); ``out``: what is sold outright (``harvest.Outright``)."""
    nav, cash, k = state.before[a], state.cash[a], path % len(course.class_of)
    is_owing = cash < -grid.cash_tolerance[policy]
    book.nav[row], book.tracking_penalty[row] = nav, grid.tracking_penalty[policy]
    book.cash[row] = (cash if is_owing or cash > 0 else 0.0) + out.sums[0]
    least, weight = grid.min_trade_usd[policy], grid.min_trade_weight[policy]
    book.min_trade[row] = max(least, weight * nav)
    limits.turnover[row] = 2 * grid.turnover[policy] * nav
    limits.gain[row] = max(grid.gain[policy] - out.sums[1] - out.sums[2], 0.0)
    limits.short_before[row] = state.year_gain[a, 0] - state.carried[a, 0] + out.sums[1]
    limits.long_before[row] = state.year_gain[a, 1] - state.carried[a, 1] + out.sums[2]
    limits.short_rate[row], limits.long_rate[row] = course.rates[k, 0], course.rates[k, 1]
    limits.max_orders[row], limits.slack[row] = grid.max_orders[policy], grid.slack[policy] * nav
    limits.useful[row] = USEFUL_BPS / BPS * nav if least > 0 or weight > 0 else 0.0


@compile_inner
def describe_classes(
    course: Course,
    grid: Grid,
    state: Standing,
    a: int,
    path: int,
    policy: int,
    row: int,
    book: Any,
    limits: Any,
    chosen: Any,
    out: Any,
) -> None:
    """An account's classes, and cash, which has a target and a band only where the model has them.

    ``out``: what is sold outright (``harvest.Outright``); a security that is harvested is not bought.
    """
    nav, count, k = state.before[a], state.weights.shape[1], path % len(course.class_of)
    first, reach = row * count, grid.trade_to[policy]
    weight, target, landed = np.zeros(count + 1), np.zeros(count + 1), np.zeros(count + 1)
    low, high = np.zeros(count + 1), np.zeros(count + 1)
    for c in range(count + 1):
        value = class_value(course, state, a, path, c) if c < count else state.cash[a]
        if c < count:
            book.class_value[first + c] = value
        weight[c] = value / nav
        target[c] = course.target[k, c]
        band = grid.band[policy, k, c]
        near = reach * band if np.isfinite(band) else 0.0
        low[c] = max(min(weight[c], target[c]), target[c] - near)
        high[c] = min(max(weight[c], target[c]), target[c] + near)
    land_account(0, count + 1, weight, target, low, high, landed)
    book.cash_target[row] = landed[count] * nav
    is_owing, to_spend = book.cash[row] < 0, max(state.cash[a], 0.0)
    for c in range(count):
        book.class_target[first + c] = landed[c] * nav
        gap = book.class_target[first + c] - book.class_value[first + c] + out.wanted[c]
        to_spend += min(book.class_value[first + c], max(-gap, 0.0)) + out.wanted[c]
    for c in range(count):
        wanted = min(book.class_target[first + c] - book.class_value[first + c] + out.wanted[c], to_spend)
        dear = wanted if wanted >= book.min_trade[row] else np.inf
        choose(course, grid, state, a, path, policy, c, dear, first + c, book, chosen, out.is_gone)
        book.class_value[first + c] -= out.usd[c]
        deviation = abs(weight[c] - target[c]) * nav
        limits.class_min[first + c] = 0.0 if is_owing else grid.improvement[policy] * deviation


@compile_inner
def choose(
    course: Course,
    grid: Grid,
    state: Standing,
    a: int,
    path: int,
    policy: int,
    c: int,
    dear: float,
    row: int,
    book: Any,
    chosen: Any,
    is_gone: Any,
) -> None:
    """The security that a class buys: the first of its buy list that is open; none is bought where none is."""
    at, k, best, is_open = state.at[a], path % len(course.class_of), -1, False
    for s in range(state.units.shape[1]):
        if course.class_of[k, s] != c:
            continue
        fits = course.choice[k, s] > 0 and state.last_loss[a, s] < course.day[at] - grid.wash_days[policy]
        fits = fits and not is_gone[s]
        if fits and price_at(course, path, at, s) * course.step[k, s] > dear * (1 + WANT_TOLERANCE):
            fits = False
        if best < 0 or (fits and (not is_open or course.choice[k, s] < course.choice[k, best])):
            best, is_open = s, fits
    chosen[row] = best
    book.buy_cap[row] = np.inf if is_open else 0.0
    if best < 0:
        book.buy_price[row], book.buy_step[row] = 1.0, 1.0
        return
    book.buy_spread[row] = course.spread[k, best]
    book.buy_cost[row] = course.spread[k, best] + course.location[k, c]
    book.buy_price[row], book.buy_step[row] = price_at(course, path, at, best), course.step[k, best]


def _describe_entrance(sources: str) -> Callable[..., None]:
    @compile_entrance
    def describe(
        course: Course,
        grid: Grid,
        state: Standing,
        paths: int,
        due: Ints,
        book: Book,
        limits: Limits,
        slots: Ints,
        chosen: Ints,
        counted: Floats,
    ) -> None:
        if sources:
            market, policies, kept, rows, bounds = (
                borrow(course),
                borrow(grid),
                borrow(state),
                borrow(book),
                borrow(limits),
            )
            classes, at_lot = kept.weights.shape[1], 0
            unit, is_loose = np.zeros(len(rows.class_value)), np.zeros(len(due), np.bool_)
            shared, held = np.zeros(len(rows.class_value)), kept.units.shape[1]
            most = kept.lot_units.shape[1]
            flags, units, gains = np.zeros(most, np.bool_), np.zeros(most, np.int64), np.zeros(most)
            by_class = (np.zeros(classes), np.zeros(classes))
            out = Outright(flags, units, gains, np.zeros(held, np.bool_), by_class[0], by_class[1], np.zeros(3))
            for row in range(len(due)):
                a = due[row]
                policy, path = a // paths, a % paths
                sell_outright(market, policies, kept, a, path, policy, out)
                describe_account(market, policies, kept, a, path, policy, row, rows, bounds, out)
                describe_classes(market, policies, kept, a, path, policy, row, rows, bounds, chosen, out)
                first_lot = at_lot
                at_lot = describe_lots(
                    market, policies, kept, a, path, policy, row, at_lot, rows, bounds, slots, out.units
                )
                for lot in range(first_lot, at_lot):
                    counted[lot] = out.counted[slots[lot]]
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


_describe = _describe_entrance(
    sources_of(limit_group.__module__, land_account.__module__, *HARVEST_SOURCES, describe_lots.__module__, __name__)
)
