"""The moves that ``improve`` makes, one or two at a time: the best of all there are.

No move begins to buy a class that is past its destination nor to sell one that is short of it: where that pays, as for cash, the
continuous optimum does it.

Two moves are tried together where single ones find no more: more of one order and less of another, or a sale that pays for a
purchase, so many steps of the one as come nearest to a step of the other.
"""

from typing import Any, Final

import numpy as np

from tasks.core.solver.class_moves import asked_for, describe_class, describe_steps, first_move
from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.kernel import set_prices
from tasks.core.solver.moves import (
    CASH,
    CLASS,
    LONG,
    OPENED,
    SECURITY,
    SHORT,
    STEP_USD,
    TRADED,
    VALUE,
    make,
    orders_left,
    weigh,
)
from tasks.core.solver.positions import BUY, count_gains, is_first_of_holding, refresh, set_bought, set_lot
from tasks.core.solver.workspace import Workspace

MOST_PAIRED: Final = 20
"""Of more moves than that, only the best are paired."""
MATCHED: Final = 1.5
"""Moves of cash that differ by more are matched by steps."""


@compile_inner
def nothing_beside(work: Workspace) -> Any:
    """The second of two moves where there is only one."""
    nothing = work.moves[len(work.moves) - 1]
    nothing[CLASS] = -1
    return nothing


@compile_inner
def best_move(
    work: Workspace, account: int, floor: float, goal: float, but_class: int, but_security: int
) -> tuple[int, int]:
    """Row of the single move that changes the objective most, and how often it is made; row -1: none by less than ``goal``.

    The order of ``but_security`` in ``but_class`` stays as it is (-1: none does).
    """
    account_row = work.accounts[account]
    k, room = account_row.tracking_penalty / account_row.nav, orders_left(work, account)
    spare, nothing = work.moves[len(work.moves) - 2], nothing_beside(work)
    best, at, times = goal, -1, 1
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        for row in range(first_move(class_row, c), first_move(class_row, c) + class_row.moves):
            move = work.moves[row]
            if move[OPENED] > room or (c == but_class and move[SECURITY] == but_security):
                continue
            change, left = weigh(work, account, move, nothing, floor)
            if change < best and left <= 0:
                best, at, times = change, row, 1
            steps = asked_for(k, move[VALUE], change) if move[STEP_USD] > 0 else 0
            if steps > 1 and move[CASH] < 0:
                steps = int(min(float(steps), max((account_row.cash_now - floor) / -move[CASH], 0.0)))
            if steps > 1 and describe_steps(work, account, move, steps, spare) and spare[OPENED] <= room:
                change, left = weigh(work, account, spare, nothing, floor)
                if change < best and left <= 0:
                    best, at, times = change, row, steps
    return at, times


@compile_inner
def choose_to_pair(work: Workspace, account: int, floor: float, chosen: Any) -> int:
    """Fill in the rows of the moves that worsen the objective least, cash and limits at the prices in force; how many."""
    account_row = work.accounts[account]
    k = account_row.tracking_penalty / account_row.nav
    nothing = nothing_beside(work)
    worth = np.zeros(len(chosen))
    count = 0
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        for row in range(first_move(class_row, c), first_move(class_row, c) + class_row.moves):
            move = work.moves[row]
            change, _ = weigh(work, account, move, nothing, floor)
            change += account_row.gain_price * (move[SHORT] + move[LONG]) + account_row.turnover_price * move[TRADED]
            change -= k * account_row.x * move[CASH]
            if count == len(chosen) and change >= worth[count - 1]:
                continue
            place = min(count, len(chosen) - 1)
            while place > 0 and worth[place - 1] > change:
                worth[place], chosen[place] = worth[place - 1], chosen[place - 1]
                place -= 1
            worth[place], chosen[place] = change, row
            count = min(count + 1, len(chosen))
    return count


@compile_inner
def is_pair(work: Workspace, one: Any, two: Any, room: int) -> bool:
    """Whether two moves may be made together: of different orders, and within the number of orders."""
    if one[OPENED] + two[OPENED] > room:
        return False
    if one[CLASS] != two[CLASS]:
        return True
    is_same = one[SECURITY] == two[SECURITY] or one[SECURITY] == BUY or two[SECURITY] == BUY
    return not is_same and work.classes[int(one[CLASS])].least <= 0


@compile_inner
def best_pair(work: Workspace, account: int, floor: float, goal: float) -> tuple[int, int, int, int]:
    """Rows of the best two moves together that change the objective by less than ``goal``, and how often each is made (first -1: none)."""
    chosen = np.zeros(MOST_PAIRED, np.int64)
    count = choose_to_pair(work, account, floor, chosen)
    best, first, second, of_first, of_second = goal, -1, -1, 1, 1
    spare = work.moves[len(work.moves) - 2]
    room = orders_left(work, account)
    for i in range(count):
        one = work.moves[chosen[i]]
        for j in range(i):
            two = work.moves[chosen[j]]
            if not is_pair(work, one, two, room):
                continue
            change, left = weigh(work, account, one, two, floor)
            if change < best and left <= 0:
                best, first, second, of_first, of_second = change, chosen[i], chosen[j], 1, 1
            is_matched = one[CASH] * two[CASH] < 0 and one[STEP_USD] > 0 and two[STEP_USD] > 0
            if not is_matched:
                continue
            ratio = abs(one[CASH] / two[CASH])
            if ratio >= MATCHED:
                steps = int(np.round(min(ratio, 1e6)))
                if describe_steps(work, account, two, steps, spare) and one[OPENED] + spare[OPENED] <= room:
                    change, left = weigh(work, account, one, spare, floor)
                    if change < best and left <= 0:
                        best, first, second, of_first, of_second = change, chosen[i], chosen[j], 1, steps
            elif ratio <= 1 / MATCHED:
                steps = int(np.round(min(1 / ratio, 1e6)))
                if describe_steps(work, account, one, steps, spare) and two[OPENED] + spare[OPENED] <= room:
                    change, left = weigh(work, account, spare, two, floor)
                    if change < best and left <= 0:
                        best, first, second, of_first, of_second = change, chosen[i], chosen[j], steps, 1
    return first, second, of_first, of_second


@compile_inner
def make_times(work: Workspace, account: int, row: int, times: int) -> None:
    """Make a move so many times, and describe its class anew."""
    move = work.moves[row]
    if times > 1:
        move = work.moves[len(work.moves) - 2]
        describe_steps(work, account, work.moves[row], times, move)
    c = int(move[CLASS])
    make(work, account, move)
    describe_class(work, account, c)


@compile_inner
def keep(work: Workspace, account: int, level: int) -> None:
    """Set the whole-unit orders aside, and the prices in force."""
    account_row = work.accounts[account]
    kept = account_row.kept[level]
    kept[0], kept[1], kept[2] = account_row.x, account_row.short_at, account_row.long_at
    kept[3], kept[4], kept[5] = account_row.gain_price, account_row.turnover_price, account_row.near
    for c in range(account_row.first, account_row.last):
        work.kept_classes[level, c] = work.classes[c].bought
    for lot in range(account_row.first_lot, account_row.last_lot):
        work.kept_lots[level, work.lots[lot].slot] = work.lots[lot].sold


@compile_inner
def bring_back(work: Workspace, account: int, level: int) -> None:
    """Restore the orders that were set aside, within the bounds that are open now, and put their prices in force."""
    account_row = work.accounts[account]
    kept = account_row.kept[level]
    account_row.x, account_row.near = kept[0], kept[5]
    set_prices(work, account, kept[1], kept[2], kept[3], kept[4])
    for c in range(account_row.first, account_row.last):
        set_bought(work, c, work.kept_classes[level, c])
        for lot in range(work.classes[c].first, work.classes[c].last):
            set_lot(work, lot, work.kept_lots[level, work.lots[lot].slot])
    for c in range(account_row.first, account_row.last):
        for lot in range(work.classes[c].first, work.classes[c].last):
            if is_first_of_holding(work, c, lot):
                count_gains(work, c, work.lots[lot].security)
    refresh(work, account)
