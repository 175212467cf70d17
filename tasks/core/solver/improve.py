"""The search among whole-unit orders: what improves the objective is made while anything does.

1. The best single move, as long as one improves it.
2. Else the best two together.
3. Else a chain: a move that worsens the objective least, or a lot sold in another's place, then the best of the other orders that
   may follow, until the whole improves it; what does not is taken back. A sale that pays for purchases of two classes, a holding that
   gives up the room for losses that another takes, or a lot of less gain that leaves more of the budget, is found so.

So near the bound that it is not worth looking, none is looked for.

An order's size says nothing of its lots. Which of them are best depends on where the year's net gains end, which the search among orders
moves: at the end lots are exchanged two at a time, all that can be or as many whole steps as take a net gain to nothing, where the tax bends.
"""

from typing import Final

import numpy as np

from tasks.core.solver.arrays import MILLIONTHS
from tasks.core.solver.class_moves import describe_class, first_move
from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.moves import CLASS, OPENED, SECURITY, broken_now, orders_left, weigh
from tasks.core.solver.positions import (
    BUY,
    count_gains,
    objective_of,
    order_count,
    own_cost,
    refresh,
    room_for_losses,
    set_lot,
)
from tasks.core.solver.search import best_move, best_pair, bring_back, choose_to_pair, keep, make_times, nothing_beside
from tasks.core.solver.workspace import Workspace

IMPROVEMENT_OF_NAV: Final = 1e-10
"""Share of NAV below which a move is not worth making (rounding noise)."""
NEAR_ENOUGH: Final = 1e-8
"""Share of NAV: so near the optimum of what is left open no move is looked for."""
WORTH_PAIRS: Final = 1.5e-6
"""Share of NAV: so near the bound no pairs are looked for."""
WORTH_CHAINS: Final = 5e-5
"""And no chains."""
MOST_CHAINS: Final = 12
"""Moves that a chain is begun with."""
LONGEST: Final = 4
"""Moves that may follow."""
BEFORE_CHAIN: Final = 3
"""Level at which orders are kept."""


WORTH_OF_NAV: Final = 1e-9
"""Share of NAV that an exchange must save."""
MOST_EXCHANGES: Final = 20
AMOUNTS: Final = 7


@compile_inner
def exchange(work: Workspace, account: int, c: int, one: int, two: int, units: int) -> None:
    """Sell ``units`` less of a lot and as many more of another of the holding."""
    set_lot(work, one, work.lots[one].sold - units)
    set_lot(work, two, work.lots[two].sold + units)
    count_gains(work, c, work.lots[one].security)
    refresh(work, account)


@compile_inner
def most_exchanged(work: Workspace, c: int, one: int, two: int) -> int:
    """How many units of a lot's sale another could take over, within the class's room for losses."""
    first, second = work.lots[one], work.lots[two]
    if first.security != second.security or second.open_cap <= 0:
        return 0
    most = min(first.sold, second.cap_units - second.sold)
    if second.gain < 0 <= first.gain and np.isfinite(work.classes[c].share):
        room = room_for_losses(work, c, first.security)
        for lot in range(work.classes[c].first, work.classes[c].last):
            lot_row = work.lots[lot]
            if lot_row.security == first.security and lot_row.gain < 0:
                room -= lot_row.sold_usd
        most = min(most, np.int64(max(np.floor(room / (second.price / MILLIONTHS)), 0.0)))
    return int(max(most, 0))


@compile_inner
def fill_amounts(work: Workspace, account: int, one: int, two: int, most: int, amounts: np.ndarray) -> None:
    """Units worth trying: all, and the whole steps next to where the short-term net, the long-term net or their sum is nothing."""
    account_row = work.accounts[account]
    first, second = work.lots[one], work.lots[two]
    unit, step = first.price / MILLIONTHS, first.step
    short = (second.gain * second.is_short - first.gain * first.is_short) * unit
    long = (second.gain * (1 - second.is_short) - first.gain * (1 - first.is_short)) * unit
    amounts[:] = 0
    amounts[0] = most
    for bend in range(3):
        net = (account_row.short_now, account_row.long_now, account_row.short_now + account_row.long_now)[bend]
        slope = (short, long, short + long)[bend]
        if slope * net < 0 and abs(net) < abs(slope) * most:
            steps = np.int64(abs(net / slope)) // step
            amounts[1 + 2 * bend] = steps * step
            amounts[2 + 2 * bend] = min((steps + 1) * step, most)


@compile_inner
def best_exchange(work: Workspace, account: int, floor: float) -> tuple[int, int, int, int, float]:
    """Class, the two lots and the units of the exchange that saves most, and usd saved; class -1: none."""
    account_row = work.accounts[account]
    before, most_broken = own_cost(work, account), broken_now(work, account, floor)
    at, first, second, taken, saved = -1, 0, 0, 0, WORTH_OF_NAV * account_row.nav
    amounts = np.zeros(AMOUNTS, np.int64)
    for c in range(account_row.first, account_row.last):
        for one in range(work.classes[c].first, work.classes[c].last):
            if work.lots[one].sold == 0:
                continue
            for two in range(work.classes[c].first, work.classes[c].last):
                most = most_exchanged(work, c, one, two) if two != one else 0
                if most <= 0:
                    continue
                fill_amounts(work, account, one, two, most, amounts)
                for i in range(AMOUNTS):
                    units = int(amounts[i])
                    if units <= 0:
                        continue
                    exchange(work, account, c, one, two, units)
                    saving = before - own_cost(work, account)
                    if saving > saved and broken_now(work, account, floor) <= most_broken:
                        at, first, second, taken, saved = c, one, two, units, saving
                    exchange(work, account, c, two, one, units)
    return at, first, second, taken, saved


@compile_inner
def exchange_lots(work: Workspace, account: int, floor: float) -> None:
    """Exchange lots while one exchange saves tax and costs; of an account that is not taxed they are right as they are."""
    account_row = work.accounts[account]
    refresh(work, account)
    if account_row.short_rate == 0 and account_row.long_rate == 0:
        return
    for _ in range(MOST_EXCHANGES):
        c, one, two, units, _ = best_exchange(work, account, floor)
        if c < 0:
            return
        exchange(work, account, c, one, two, units)


@compile_inner
def describe_all(work: Workspace, account: int) -> None:
    """Describe the moves of every class."""
    for c in range(work.accounts[account].first, work.accounts[account].last):
        describe_class(work, account, c)


@compile_inner
def best_mending(work: Workspace, account: int, floor: float, c: int, security: int) -> int:
    """Row of the move of another order that leaves least of a limit broken; -1: none mends any."""
    account_row = work.accounts[account]
    room, nothing = orders_left(work, account), nothing_beside(work)
    least, at = broken_now(work, account, floor), -1
    for each in range(account_row.first, account_row.last):
        class_row = work.classes[each]
        for row in range(first_move(class_row, each), first_move(class_row, each) + class_row.moves):
            move = work.moves[row]
            if move[OPENED] > room or (each == c and move[SECURITY] == security):
                continue
            _, left = weigh(work, account, move, nothing, floor)
            if left < least:
                least, at = left, row
    return at


@compile_inner
def worth_now(work: Workspace, account: int) -> float:
    """The objective, usd, of the orders in the workspace, and what each must be worth."""
    return float(objective_of(work, account) + work.accounts[account].useful * order_count(work, account))


@compile_inner
def follow(work: Workspace, account: int, floor: float, goal: float, c: int, security: int) -> bool:
    """Make what may follow a chain's first step, that order staying as it is (class -1: none); whether it comes to less than ``goal``, usd."""
    for _ in range(LONGEST):
        if broken_now(work, account, floor) > 0:
            row, times = best_mending(work, account, floor, c, security), 1
        else:
            row, times = best_move(work, account, floor, 0.0, c, security)
        if row < 0:
            return False
        make_times(work, account, row, times)
        if broken_now(work, account, floor) == 0 and worth_now(work, account) < goal:
            return True
    return False


@compile_inner
def take_back(work: Workspace, account: int) -> None:
    """Restore the orders there were before a chain."""
    bring_back(work, account, BEFORE_CHAIN)
    describe_all(work, account)


@compile_inner
def chain(work: Workspace, account: int, floor: float, goal: float) -> bool:
    """Step 3; False where no chain comes to less than ``goal``, usd: then nothing is changed."""
    rows, begun = np.zeros(MOST_CHAINS, np.int64), np.zeros((MOST_CHAINS, work.moves.shape[1]))
    count = choose_to_pair(work, account, floor, rows)
    room = orders_left(work, account)
    for i in range(count):
        begun[i] = work.moves[rows[i]]
    keep(work, account, BEFORE_CHAIN)
    for i in range(count):
        if begun[i, OPENED] > room:
            continue
        work.moves[len(work.moves) - 1] = begun[i]
        make_times(work, account, len(work.moves) - 1, 1)
        if follow(work, account, floor, goal, int(begun[i, CLASS]), int(begun[i, SECURITY])):
            return True
        take_back(work, account)
    return chain_of_lots(work, account, floor, goal)


@compile_inner
def chain_of_lots(work: Workspace, account: int, floor: float, goal: float) -> bool:
    """Chains that begin with a step of a holding sold from another lot, of less gain; as ``chain``."""
    account_row = work.accounts[account]
    if not np.isfinite(account_row.gain):
        return False
    tried = 0
    for c in range(account_row.first, account_row.last):
        size = work.classes[c].last - work.classes[c].first
        for pair in range(size * size):
            one, two = work.classes[c].first + pair // size, work.classes[c].first + pair % size
            units = min(most_exchanged(work, c, one, two), work.lots[one].step)
            if units <= 0 or work.lots[two].gain >= work.lots[one].gain:
                continue
            tried += 1
            exchange(work, account, c, one, two, units)
            describe_class(work, account, c)
            if follow(work, account, floor, goal, -1, BUY):
                return True
            take_back(work, account)
            if tried == MOST_CHAINS:
                return False
    return False


@compile_inner
def improve(work: Workspace, account: int, floor: float, with_pairs: bool) -> None:
    """Step 1, and ``with_pairs`` the others."""
    account_row = work.accounts[account]
    nav = account_row.nav
    classes = account_row.last - account_row.first
    goal = -IMPROVEMENT_OF_NAV * nav
    is_described = False
    for _ in range(20 * classes + 40):
        off = objective_of(work, account) - account_row.near
        if off <= NEAR_ENOUGH * nav and broken_now(work, account, floor) == 0:
            return
        if not is_described:
            describe_all(work, account)
            is_described = True
        row, times = best_move(work, account, floor, goal, -1, BUY)
        if row >= 0:
            make_times(work, account, row, times)
            continue
        if not with_pairs or off <= WORTH_PAIRS * nav:
            return
        one, two, of_one, of_two = best_pair(work, account, floor, goal)
        if one < 0:
            if off <= WORTH_CHAINS * nav or not chain(work, account, floor, worth_now(work, account) + goal):
                return
            continue
        second = work.moves[two].copy()
        make_times(work, account, one, of_one)
        work.moves[len(work.moves) - 1, :] = second
        make_times(work, account, len(work.moves) - 1, of_two)
