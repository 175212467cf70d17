"""Losses of an account of the lab that are harvested where it stands: the night's own rule (``rules.harvest_picks``) on the account's lots.

A lot goes whole; its class buys another security of its list. What is sold outright leaves its class and joins the cash before anything
is solved, as in ``rules.compile``.

Known limits: shares that were bought in the wash-sale window and are held no longer replace nothing.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from tasks.core.lab.standing import Course, Grid, Standing
from tasks.core.lab.values import price_at
from tasks.core.rules import WANT_TOLERANCE, is_worth_harvest, lower_to_steps, pick_harvests
from tasks.core.solver import MILLIONTHS, Flags, Floats, Ints, compile_inner, count_in_order, replaced_units

HARVEST_SOURCES: Final = (is_worth_harvest.__module__, count_in_order.__module__, price_at.__module__, __name__)
"""Modules of which compiled functions that harvest are made."""


@compile_inner
def inside_units(course: Course, grid: Grid, state: Standing, a: int, path: int, policy: int, slot: int) -> int:
    """Millionths of a lot that were bought in the wash-sale window and have replaced nothing yet."""
    bought, today = course.day[state.lot_date[a, slot]], course.day[state.at[a]]
    if not course.is_taxed[path % len(course.class_of)] or today - bought > grid.wash_days[policy]:
        return 0
    return int(max(state.lot_units[a, slot] - state.lot_used[a, slot], 0))


@compile_inner
def free_loss(course: Course, grid: Grid, state: Standing, a: int, path: int, policy: int, slot: int) -> float:
    """Usd of a lot's loss, positive, without what other recent lots of its security disallow."""
    s, bought = state.lot_security[a, slot], state.lot_date[a, slot]
    total, left, held = 0, 0, 0
    for other in range(state.lot_count[a]):
        if state.lot_security[a, other] != s:
            continue
        inside = inside_units(course, grid, state, a, path, policy, other)
        total += inside
        if state.lot_date[a, other] == bought:
            left += inside
            held += state.lot_units[a, other]
    units = state.lot_units[a, slot]
    free = (units - replaced_units(units, total, left, held)) / MILLIONTHS
    return float(
        np.rint(free * (state.lot_cost[a, slot] - price_at(course, path, state.at[a], s)) * MILLIONTHS) / MILLIONTHS
    )


@compile_inner
def mark_worth(course: Course, grid: Grid, state: Standing, a: int, path: int, policy: int, is_out: Any) -> bool:
    """Mark lots whose loss is worth a harvest; whether there is one."""
    is_any, k = False, path % len(course.class_of)
    least, least_fraction = grid.harvest_usd[policy], grid.harvest_fraction[policy]
    for slot in range(state.lot_count[a]):
        s, cost = state.lot_security[a, slot], state.lot_cost[a, slot]
        is_out[slot] = False
        price = price_at(course, path, state.at[a], s)
        loss = state.lot_units[a, slot] / MILLIONTHS * (cost - price)
        if course.can_sell[k, s] and is_worth_harvest(loss, 1.0 - price / cost, least, least_fraction):
            loss = free_loss(course, grid, state, a, path, policy, slot)
            is_out[slot] = is_worth_harvest(loss, 1.0 - price / cost, least, least_fraction)
            is_any = is_any or is_out[slot]
    return is_any


@compile_inner
def find_harvest(course: Course, grid: Grid, state: Standing, a: int, path: int, policy: int, is_out: Any) -> bool:
    """Mark the lots that are harvested where the account stands; whether there is one."""
    k, at, classes = path % len(course.class_of), state.at[a], state.weights.shape[1]
    if not grid.is_harvesting[policy] or not course.is_taxed[k]:
        return False
    if not mark_worth(course, grid, state, a, path, policy, is_out):
        return False
    securities, count = state.units.shape[1], state.lot_count[a]
    value, lot_class = np.zeros(classes), np.zeros(count, np.int64)
    for slot in range(count):
        s = state.lot_security[a, slot]
        lot_class[slot] = course.class_of[k, s]
        if is_out[slot]:
            value[lot_class[slot]] += state.lot_units[a, slot] / MILLIONTHS * price_at(course, path, at, s)
    start, chosen, used = np.zeros(classes + 1, np.int64), np.zeros(securities, np.int64), 0
    for c in range(classes):
        for place in range(1, securities + 1):
            for s in range(securities):
                if value[c] > 0 and course.class_of[k, s] == c and course.choice[k, s] == place:
                    is_open = state.last_loss[a, s] < course.day[at] - grid.wash_days[policy]
                    dear = price_at(course, path, at, s) * course.step[k, s] > value[c] * (1 + WANT_TOLERANCE)
                    if is_open and not dear:
                        chosen[used] = s
                        used += 1
        start[c + 1] = used
    flags, spared, alternate = (
        np.zeros(securities, np.bool_),
        np.zeros(securities, np.bool_),
        np.zeros(classes, np.int64),
    )
    pick_harvests(
        *(0, classes, 0, count, lot_class, state.lot_security[a], start, chosen, flags, spared, is_out, alternate)
    )
    return bool(is_out[:count].any())


@compile_inner
def holds_harvest(course: Course, grid: Grid, state: Standing, a: int, path: int, policy: int) -> bool:
    """Whether the account holds a loss that is to be harvested where it stands."""
    if not grid.is_harvesting[policy]:
        return False
    return find_harvest(course, grid, state, a, path, policy, np.zeros(state.lot_units.shape[1], np.bool_))


class Outright(NamedTuple):
    """What is sold outright of one account."""

    is_out: Flags
    """Of each lot: it is to be harvested."""
    units: Ints
    """Millionths of each lot that go."""
    counted: Floats
    """Usd of each lot's gain that counts."""
    is_gone: Flags
    """Of each security: it is harvested, and not bought."""
    wanted: Floats
    """Usd by class of lots to be harvested."""
    usd: Floats
    """Usd by class of what goes of them."""
    sums: Floats
    """Usd: proceeds, short-term and long-term gain that counts."""


@compile_inner
def take_holding(
    course: Course, grid: Grid, state: Standing, a: int, path: int, policy: int, s: int, out: Outright
) -> None:
    """Fill ``units`` and ``counted`` of the account's lots of one security."""
    count, at, k, some = state.lot_count[a], state.at[a], path % len(course.class_of), 0
    slots = np.zeros(count, np.int64)
    for slot in range(count):
        if state.lot_security[a, slot] == s:
            slots[some] = slot
            some += 1
    price, dearest = price_at(course, path, at, s), np.zeros(some, np.int64)
    sold, gain, inside = np.zeros(some, np.int64), np.zeros(some), np.zeros(some, np.int64)
    for i in range(some):  # what saves least first, of alike the last
        place, slot = i, slots[i]
        while place > 0 and state.lot_cost[a, slot] <= state.lot_cost[a, slots[dearest[place - 1]]]:
            dearest[place] = dearest[place - 1]
            place -= 1
        dearest[place] = i
        gain[i] = (price - state.lot_cost[a, slot]) / MILLIONTHS
        inside[i] = inside_units(course, grid, state, a, path, policy, slot)
    for place in range(some):
        slot = slots[dearest[place]]
        sold[place] = state.lot_units[a, slot] if out.is_out[slot] else 0
    lower_to_steps(0, some, sold, state.units[a, s], int(np.rint(course.step[k, s] * MILLIONTHS)))
    for place in range(some):
        out.units[slots[dearest[place]]] = sold[place]
    for i in range(some):
        sold[i] = out.units[slots[i]]
    own = np.zeros(some)
    count_in_order(sold, gain, inside, 0, own)
    for i in range(some):
        out.counted[slots[i]] = own[i]


@compile_inner
def sell_outright(course: Course, grid: Grid, state: Standing, a: int, path: int, policy: int, out: Outright) -> None:
    """What is sold outright of the account where it stands."""
    out.is_out[:], out.units[:], out.counted[:], out.is_gone[:] = False, 0, 0.0, False
    out.wanted[:], out.usd[:], out.sums[:] = 0.0, 0.0, 0.0
    if not find_harvest(course, grid, state, a, path, policy, out.is_out):
        out.is_out[:] = False
        return
    at, k = state.at[a], path % len(course.class_of)
    for slot in range(state.lot_count[a]):
        if out.is_out[slot]:
            out.is_gone[state.lot_security[a, slot]] = True
    for s in range(len(out.is_gone)):
        if out.is_gone[s]:
            take_holding(course, grid, state, a, path, policy, s, out)
    for slot in range(state.lot_count[a]):
        if out.is_out[slot]:
            s = state.lot_security[a, slot]
            price, c = price_at(course, path, at, s), course.class_of[k, s]
            usd = out.units[slot] / MILLIONTHS * price
            is_short = course.long_from[state.lot_date[a, slot]] > course.day[at]
            out.wanted[c] += state.lot_units[a, slot] / MILLIONTHS * price
            out.usd[c] += usd
            out.sums[0] += usd * (1.0 - course.spread[k, s])
            out.sums[1 if is_short else 2] += out.counted[slot]
