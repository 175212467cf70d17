"""What an account's orders leave: its lots, its cash, its year's gains, and what has been measured of it.

A loss that a purchase in the wash-sale window disallows moves to the lot that was bought (``solver.wash``).

Known limits: it is added to the basis of the whole lot, not of the single shares that replaced others.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tasks.core.facts import BPS
from tasks.core.lab.arrays import GAP_LIMITS, MEASURES, LabPolicy
from tasks.core.lab.standing import YEAR_TURNOVER, Course, Standing
from tasks.core.lab.trade import Found
from tasks.core.solver import (
    CANNOT_RAISE_CASH,
    MILLIONTHS,
    Answer,
    Book,
    Floats,
    Ints,
    Limits,
    borrow,
    compile_entrance,
    compile_inner,
    sources_of,
)

EVENTS: Final = MEASURES.index("events")
ORDERS: Final = MEASURES.index("orders")
TURNOVER: Final = MEASURES.index("turnover")
COST: Final = MEASURES.index("cost")
GAP_SUM: Final = MEASURES.index("gap_sum")
GAP_MAX: Final = MEASURES.index("gap_max")
SOLVES: Final = MEASURES.index("solves")
WITHIN: Final = MEASURES.index("gaps_0")
HARVESTED: Final = MEASURES.index("harvested")


@compile_inner
def move_losses(state: Standing, a: int, first: int, last: int, book: Any, limits: Any, slots: Any, sold: Any) -> None:
    """Add to recent lots of a class the losses that they disallow (``solver.wash``), as far as they are kept; mark what has replaced."""
    for _ in range(last - first):
        one = -1
        for k in range(first, last):  # first acquired first
            is_loss = sold[k] > 0 and limits.lot_gain[k] < 0 and limits.lot_outside[k] >= 0
            if is_loss and (one < 0 or limits.lot_rank[k] < limits.lot_rank[one]):
                one = k
        if one < 0:
            return
        limits.lot_outside[one] = -1.0  # done
        need = sold[one]
        lost = -limits.lot_gain[one] * book.lot_price[one]
        for slot in range(state.lot_count[a]):
            if slot == slots[one] or state.lot_security[a, slot] != state.lot_security[a, slots[one]]:
                continue
            two = first
            while slots[two] != slot:
                two += 1
            inside = np.int64(np.round(limits.lot_inside[two] * MILLIONTHS))
            moved = min(need, inside)
            if moved <= 0:
                continue
            limits.lot_inside[two] -= moved / MILLIONTHS
            need -= moved
            state.lot_used[a, slot] += moved
            kept = max(state.lot_units[a, slot] - sold[two], 0) / state.lot_units[a, slot]
            left = state.lot_units[a, slot] - sold[two]
            if left > 0:
                state.lot_cost[a, slot] += lost * moved * kept / left


@compile_inner
def book_sales(
    course: Course, state: Standing, a: int, path: int, row: int, book: Any, limits: Any, slots: Any, answer: Any
) -> tuple[int, float, float]:
    """Take what is sold out of the account's lots; how many orders, their usd and what they cost."""
    orders, traded, cost, classes, which = 0, 0.0, 0.0, state.weights.shape[1], path % len(course.class_of)
    is_sold = np.zeros(state.units.shape[1], np.bool_)
    for k in range(row * classes, (row + 1) * classes):
        first, last = book.lot_start[k], book.lot_start[k + 1]
        if course.is_taxed[which]:
            move_losses(state, a, first, last, book, limits, slots, answer.sold)
        for lot in range(first, last):
            units, slot = answer.sold[lot], slots[lot]
            if units <= 0:
                continue
            s = state.lot_security[a, slot]
            orders += not is_sold[s]
            is_sold[s] = True
            usd = units / MILLIONTHS * book.lot_price[lot]
            traded += usd
            cost += usd * book.lot_spread[lot]
            state.cash[a] += usd * (1.0 - book.lot_spread[lot])
            state.year_gain[a, 0 if limits.lot_is_short[lot] else 1] += answer.counted[lot]
            state.units[a, s] -= units
            state.lot_units[a, slot] -= units
            state.lot_used[a, slot] = min(state.lot_used[a, slot], state.lot_units[a, slot])
            if limits.lot_gain[lot] < 0:
                state.last_loss[a, s] = course.day[state.at[a]]
    return orders, traded, cost


@compile_inner
def drop_empty(state: Standing, a: int) -> None:
    """Close up the account's lots, which keep their order."""
    count = 0
    for slot in range(state.lot_count[a]):
        if state.lot_units[a, slot] > 0:
            state.lot_units[a, count], state.lot_cost[a, count] = state.lot_units[a, slot], state.lot_cost[a, slot]
            state.lot_security[a, count], state.lot_date[a, count] = (
                state.lot_security[a, slot],
                state.lot_date[a, slot],
            )
            state.lot_used[a, count] = state.lot_used[a, slot]
            count += 1
    state.lot_count[a] = count


@compile_inner
def book_purchases(state: Standing, a: int, row: int, book: Any, chosen: Any, answer: Any) -> tuple[int, float, float]:
    """Add a lot of each class that is bought; how many orders (-1: there is no room for their lots), their usd and what they cost."""
    orders, traded, cost, classes = 0, 0.0, 0.0, state.weights.shape[1]
    for k in range(row * classes, (row + 1) * classes):
        slot, s = state.lot_count[a], chosen[k]
        if answer.bought[k] <= 0:
            continue
        if slot == state.lot_units.shape[1]:
            return -1, traded, cost
        units = np.int64(np.round(answer.bought[k] * book.buy_step[k] * MILLIONTHS))
        usd = units / MILLIONTHS * book.buy_price[k]
        orders += 1
        traded += usd
        cost += usd * book.buy_spread[k]
        state.cash[a] -= usd * (1.0 + book.buy_spread[k])
        state.units[a, s] += units
        state.lot_units[a, slot], state.lot_cost[a, slot] = units, book.buy_price[k]
        state.lot_security[a, slot], state.lot_date[a, slot], state.lot_used[a, slot] = s, state.at[a], 0
        state.lot_count[a] += 1
    return orders, traded, cost


@compile_inner
def book_trades(
    course: Course,
    state: Standing,
    a: int,
    path: int,
    row: int,
    book: Any,
    limits: Any,
    slots: Any,
    chosen: Any,
    outright: Any,
    answer: Any,
) -> bool:
    """Put an account's orders into its lots, cash and measures; whether there was room for its lots."""
    sales, sold, sale_cost = book_sales(course, state, a, path, row, book, limits, slots, answer)
    drop_empty(state, a)
    buys, bought, buy_cost = book_purchases(state, a, row, book, chosen, answer)
    if buys < 0:
        return False
    values, at = state.values, state.at[a]
    values[a, COST] += sale_cost + buy_cost
    classes = state.weights.shape[1]
    for lot in range(book.lot_start[row * classes], book.lot_start[(row + 1) * classes]):
        values[a, HARVESTED] += outright[lot]
    if at > 0 and sales + buys > 0:
        turnover = (sold + bought) / (2.0 * book.nav[row])
        values[a, EVENTS] += 1
        values[a, ORDERS] += sales + buys
        values[a, TURNOVER] += turnover
        state.years[a, course.year[at], YEAR_TURNOVER] += turnover
    if answer.status[row] != CANNOT_RAISE_CASH:
        gap = BPS * (answer.objective[row] - answer.lower_bound[row]) / book.nav[row]
        values[a, GAP_SUM] += gap
        values[a, GAP_MAX] = max(values[a, GAP_MAX], gap)
        values[a, SOLVES] += 1
        for place in range(len(GAP_LIMITS)):
            values[a, WITHIN + place] += gap <= GAP_LIMITS[place]
    return True


def _apply_entrance(sources: str) -> Callable[..., bool]:
    @compile_entrance
    def apply(
        course: Course,
        state: Standing,
        paths: int,
        due: Ints,
        book: Book,
        limits: Limits,
        slots: Ints,
        chosen: Ints,
        outright: Floats,
        answer: Answer,
    ) -> bool:
        has_room = True
        if sources:
            market, kept, rows, bounds, found = (
                borrow(course),
                borrow(state),
                borrow(book),
                borrow(limits),
                borrow(answer),
            )
            for row in range(len(due)):
                a = due[row]
                is_whole = book_trades(market, kept, a, a % paths, row, rows, bounds, slots, chosen, outright, found)
                has_room = is_whole and has_room
        return has_room

    return apply


_apply = _apply_entrance(sources_of(LabPolicy.__module__, __name__))


def make_trades(course: Course, state: Standing, paths: int, due: Ints, found: Found) -> bool:
    """Make the trades ``found`` of the accounts ``due``; False where one has more lots than there is room for: nothing of it is right then."""
    return bool(_apply(course, state, paths, due, *found))
