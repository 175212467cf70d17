"""The lots of accounts that are due, as the solver's book has them; compiled."""

from typing import Any

from tasks.core.lab.harvest import inside_units
from tasks.core.lab.standing import Course, Grid, Standing
from tasks.core.lab.values import price_at
from tasks.core.solver import MILLIONTHS, compile_inner


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
    out_units: Any,
) -> int:
    """An account's lots by class, cheapest to sell first, then by security and acquisition; where the next account's begin."""
    at, count, k = state.at[a], state.weights.shape[1], path % len(course.class_of)
    for c in range(count):
        first = at_lot
        book.lot_start[row * count + c] = first
        for slot in range(state.lot_count[a]):
            s = state.lot_security[a, slot]
            if course.class_of[k, s] != c:
                continue
            bought, price = state.lot_date[a, slot], price_at(course, path, at, s)
            is_short = course.long_from[bought] > course.day[at]
            gain = 1.0 - state.lot_cost[a, slot] / price if course.is_taxed[k] else 0.0
            cost = (
                course.spread[k, s]
                - course.location[k, c]
                + (course.rates[k, 0] if is_short else course.rates[k, 1]) * gain
            )
            lot = at_lot
            while lot > first and (
                cost < book.lot_cost[lot - 1] or (cost == book.lot_cost[lot - 1] and s < book.lot_security[lot - 1])
            ):
                copy_lot(book, limits, slots, lot - 1, lot)
                lot -= 1
            units = state.lot_units[a, slot]
            slots[lot] = slot
            left = units - out_units[slot]
            book.lot_quantity[lot], book.lot_price[lot] = left / MILLIONTHS, price
            book.lot_step[lot], book.lot_spread[lot] = course.step[k, s], course.spread[k, s]
            book.lot_cost[lot], book.lot_security[lot] = cost, s
            book.lot_cap[lot] = left / MILLIONTHS * price if course.can_sell[k, s] else 0.0
            limits.lot_gain[lot], limits.lot_is_short[lot], limits.lot_rank[lot] = gain, is_short, slot
            limits.lot_inside[lot] = inside_units(course, grid, state, a, path, policy, slot) / MILLIONTHS
            limits.lot_outright[lot] = (units - left) / MILLIONTHS
            at_lot += 1
        for lot in range(first, at_lot):
            book.lot_cost[lot] = book.lot_spread[lot] - course.location[k, c]  # tax is for the solver to add
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
    limits.lot_outright[target] = limits.lot_outright[source]
