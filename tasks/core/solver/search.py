"""The search among whole-unit orders: moves made while one improves the objective.

No move begins to buy a class that is past its destination nor to sell one that is short of it: where that pays, as for cash, the
continuous optimum does it.

Two moves are tried together where single ones find no more: more of one order and less of another, or a sale that pays for a
purchase, so many steps of the one as come nearest to a step of the other.
"""

from typing import Any, Final

import numpy as np

from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.moves import (
    BETTER,
    CASH,
    CLASS,
    LONG,
    OPENED,
    PRICED,
    SECURITY,
    SHORT,
    STEP_USD,
    TRADED,
    UNITS,
    VALUE,
    broken_now,
    describe_purchase,
    describe_sale,
    make,
    weigh,
)
from tasks.core.solver.positions import (
    BUY,
    UNIT_TOLERANCE,
    holding,
    is_first_of_holding,
    nearest_units,
    objective_of,
    order_count,
)
from tasks.core.solver.workspace import Workspace

IMPROVEMENT_OF_NAV: Final = 1e-10
"""Share of NAV below which a move is not worth making (rounding noise)."""
MOST_PAIRED: Final = 20
"""Of more moves than that, only the best are paired."""
NEAR_ENOUGH: Final = 1e-8
"""Share of NAV: so near the optimum of what is left open no move is looked for."""
WORTH_PAIRS: Final = 1.5e-6
"""Share of NAV: so near the bound no pairs are looked for."""
MATCHED: Final = 1.5
"""Moves of cash that differ by more are matched by steps."""


@compile_inner
def steps_from(units: int, steps: int, most: int, held: int, step: int) -> int:
    """Units of a holding sold after so many steps more, or less; what closes the position counts as a step."""
    if steps > 0:
        return nearest_units((units // step + steps) * step, most, held, step)
    whole = (units + step - 1) // step + steps
    return max(whole, 0) * step


@compile_inner
def add_move(work: Workspace, account: int, count: int, is_good: bool, floor: float) -> int:
    """Keep the move described in the row after the last, weighed; how many there are then."""
    if not is_good or count >= len(work.moves) - 2:
        return count
    nothing = work.moves[len(work.moves) - 1]
    nothing[CLASS] = -1
    change, left = weigh(work, account, work.moves[count], nothing, floor)
    move, account_row = work.moves[count], work.accounts[account]
    move[BETTER], move[STEP_USD] = change if left <= 0 else np.inf, 0.0
    move[PRICED] = (
        change
        - account_row.tracking_penalty / account_row.nav * account_row.x * move[CASH]
        + account_row.gain_price * (move[SHORT] + move[LONG])
        + account_row.turnover_price * move[TRADED]
    )
    return count + 1


@compile_inner
def add_sale(work: Workspace, account: int, c: int, security: int, units: int, count: int, floor: float) -> int:
    """Keep the move that sells ``units`` of a holding in all, where it may; how many there are then."""
    is_good = describe_sale(work, account, c, security, units, work.moves[count])
    return add_move(work, account, count, is_good, floor)


@compile_inner
def asked_for(k: float, usd: float, change: float) -> int:
    """Steps at which the parabola through one step's change has its lowest point."""
    if usd == 0:
        return 0
    best = 0.5 - change / (2 * k * usd * usd)
    return int(min(max(np.round(best), 0.0), 1e9))


@compile_inner
def add_purchases(work: Workspace, account: int, c: int, count: int, floor: float) -> int:
    """Moves of a class's purchase: a step more or less, as many as pay, the least order, none."""
    class_row, account_row = work.classes[c], work.accounts[account]
    is_wanted = class_row.bought > 0 or class_row.value < class_row.target
    if class_row.sold_usd > 0 or class_row.open_cap <= 0 or not is_wanted:
        return count
    k, bought = account_row.tracking_penalty / account_row.nav, class_row.bought
    least = int(np.ceil(max(account_row.min_trade, class_row.least) / class_row.buy_unit - UNIT_TOLERANCE))
    for sign in (1, -1):
        first = bought + sign if bought + sign >= least or sign < 0 else max(least, 1)
        if first < 0:
            continue
        first = 0 if first < least else first
        before = count
        is_good = describe_purchase(work, account, c, first, work.moves[count])
        count = add_move(work, account, count, is_good, floor)
        if count == before:
            continue
        work.moves[before, STEP_USD] = class_row.buy_unit
        nothing = work.moves[len(work.moves) - 1]
        change, _ = weigh(work, account, work.moves[before], nothing, floor)
        steps = asked_for(k, work.moves[before, VALUE], change) * abs(first - bought)
        if sign > 0:
            left = (account_row.cash_now - floor) / (class_row.buy_unit * (1 + class_row.buy_spread))
            steps = int(min(float(steps), max(left, 0.0)))
        if steps > 1:
            is_good = describe_purchase(work, account, c, max(bought + sign * steps, 0), work.moves[count])
            count = add_move(work, account, count, is_good, floor)
    if bought > 1:
        count = add_move(work, account, count, describe_purchase(work, account, c, 0, work.moves[count]), floor)
    return count


@compile_inner
def add_sales(work: Workspace, account: int, c: int, lot: int, count: int, floor: float) -> int:
    """Moves of the sale of the holding that ``lot`` is the first of: as ``add_purchases``, and all that may go."""
    class_row, account_row = work.classes[c], work.accounts[account]
    security = work.lots[lot].security
    sold, most, held, step, usd = holding(work, c, security)
    is_spare = class_row.sold_usd > 0 or class_row.value > class_row.target
    if class_row.bought > 0 or most == 0 or not is_spare:
        return count
    k = account_row.tracking_penalty / account_row.nav
    least = nearest_units(int(np.ceil(account_row.min_trade / usd - UNIT_TOLERANCE)) * step, most, held, step)
    all_of_it = nearest_units(most, most, held, step)
    for sign in (1, -1):
        units = steps_from(sold, sign, most, held, step)
        if sign > 0 and sold == 0:
            units = max(units, least)
            others = class_row.least - class_row.sold_usd
            if others > 0:
                units = max(units, nearest_units(int(np.ceil(others / usd)) * step, most, held, step))
        if sign < 0 and units < least:
            units = 0
        before = count
        count = add_sale(work, account, c, security, units, count, floor)
        if count == before:
            continue
        work.moves[before, STEP_USD] = usd
        nothing = work.moves[len(work.moves) - 1]
        change, _ = weigh(work, account, work.moves[before], nothing, floor)
        steps = asked_for(k, work.moves[before, VALUE], change) * max(abs(units - sold) // step, 1)
        if steps > 1:
            many = steps_from(sold, sign * steps, most, held, step)
            count = add_sale(work, account, c, security, many, count, floor)
    count = add_sale(work, account, c, security, 0, count, floor)
    return add_sale(work, account, c, security, all_of_it, count, floor)


@compile_inner
def all_moves(work: Workspace, account: int, floor: float) -> int:
    """Describe and weigh every single move; how many there are."""
    account_row = work.accounts[account]
    count = 0
    for c in range(account_row.first, account_row.last):
        count = add_purchases(work, account, c, count, floor)
        for lot in range(work.classes[c].first, work.classes[c].last):
            if is_first_of_holding(work, c, lot):
                count = add_sales(work, account, c, lot, count, floor)
    return count


@compile_inner
def describe_steps(work: Workspace, account: int, move: Any, steps: int, into: Any) -> bool:
    """Fill in ``into`` with the move that goes as far as ``steps`` times ``move`` does."""
    c, security = int(move[CLASS]), int(move[SECURITY])
    if security == BUY:
        bought = work.classes[c].bought
        many = max(bought + (int(move[UNITS]) - bought) * steps, 0)
        return describe_purchase(work, account, c, many, into)
    sold, most, held, step, _ = holding(work, c, security)
    sign = 1 if move[UNITS] > sold else -1
    return describe_sale(work, account, c, security, steps_from(sold, sign * steps, most, held, step), into)


@compile_inner
def best_pair(work: Workspace, account: int, count: int, floor: float, goal: float) -> tuple[float, int, int, int, int]:
    """The best two moves together that change the objective by less than ``goal``: change, the two, and their steps (first -1: none)."""
    best, first, second, of_first, of_second = goal, -1, -1, 1, 1
    spare = work.moves[len(work.moves) - 2]
    room = work.accounts[account].max_orders - order_count(work, account)
    for i in range(count):
        one = work.moves[i]
        for j in range(i):
            two = work.moves[j]
            if one[OPENED] + two[OPENED] > room:
                continue
            if one[CLASS] == two[CLASS]:
                is_same = one[SECURITY] == two[SECURITY] or one[SECURITY] == BUY or two[SECURITY] == BUY
                if is_same or work.classes[int(one[CLASS])].least > 0:
                    continue
            change, left = weigh(work, account, one, two, floor)
            if change < best and left <= 0:
                best, first, second, of_first, of_second = change, i, j, 1, 1
            is_matched = one[CASH] * two[CASH] < 0 and one[STEP_USD] > 0 and two[STEP_USD] > 0
            if not is_matched:
                continue
            ratio = abs(one[CASH] / two[CASH])
            if ratio >= MATCHED:
                steps = int(np.round(min(ratio, 1e6)))
                if describe_steps(work, account, two, steps, spare):
                    change, left = weigh(work, account, one, spare, floor)
                    if change < best and left <= 0:
                        best, first, second, of_first, of_second = change, i, j, 1, steps
            elif ratio <= 1 / MATCHED:
                steps = int(np.round(min(1 / ratio, 1e6)))
                if describe_steps(work, account, one, steps, spare):
                    change, left = weigh(work, account, spare, two, floor)
                    if change < best and left <= 0:
                        best, first, second, of_first, of_second = change, i, j, steps, 1
    return best, first, second, of_first, of_second


@compile_inner
def keep_best_moves(work: Workspace, count: int) -> int:
    """Bring the ``MOST_PAIRED`` moves that worsen the objective least to the front; how many there are to pair."""
    most = min(count, MOST_PAIRED)
    if count > MOST_PAIRED:
        for i in range(most):
            best = i
            for j in range(i + 1, count):
                if work.moves[j, PRICED] < work.moves[best, PRICED]:
                    best = j
            for column in range(work.moves.shape[1]):
                work.moves[i, column], work.moves[best, column] = work.moves[best, column], work.moves[i, column]
    return most


@compile_inner
def improve(work: Workspace, account: int, floor: float, with_pairs: bool) -> None:
    """Make the best move, or (``with_pairs``) the best two together, while one improves the objective.

    So near the optimum of what is left open that it is not worth looking, none is looked for.
    """
    account_row = work.accounts[account]
    nav = account_row.nav
    classes = account_row.last - account_row.first
    for _ in range(20 * classes + 40):
        off = objective_of(work, account) - account_row.near
        if off <= NEAR_ENOUGH * nav and broken_now(work, account, floor) == 0:
            return
        count = all_moves(work, account, floor)
        best, at = -IMPROVEMENT_OF_NAV * nav, -1
        for i in range(count):
            if work.moves[i, BETTER] < best:
                best, at = work.moves[i, BETTER], i
        if at >= 0:
            make(work, account, work.moves[at])
            continue
        if not with_pairs or off <= WORTH_PAIRS * nav:
            return
        paired = keep_best_moves(work, count)
        _, one, two, of_one, of_two = best_pair(work, account, paired, floor, best)
        if one < 0:
            return
        make_pair(work, account, one, two, of_one, of_two)


@compile_inner
def make_pair(work: Workspace, account: int, one: int, two: int, of_one: int, of_two: int) -> None:
    """Make two moves, so many steps of each."""
    first, second = work.moves[one].copy(), work.moves[two].copy()
    if of_one > 1:
        describe_steps(work, account, work.moves[one], of_one, first)
    if of_two > 1:
        describe_steps(work, account, work.moves[two], of_two, second)
    make(work, account, first)
    make(work, account, second)
