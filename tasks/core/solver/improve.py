"""The search among whole-unit orders: what improves the objective is made while anything does.

1. The best single move, as long as one improves it.
2. Else the best two together.
3. Else a chain: a move that worsens the objective least, or a lot sold in another's place, then the best of the other orders that
   may follow, until the whole improves it; what does not is taken back. A sale that pays for purchases of two classes, a holding that
   gives up the room for losses that another takes, or a lot of less gain that leaves more of the budget, is found so.

So near the bound that it is not worth looking, none is looked for.
"""

from typing import Final

import numpy as np

from tasks.core.solver.class_moves import describe_class, first_move
from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.kept_orders import bring_back, keep
from tasks.core.solver.lot_exchange import exchange, most_exchanged
from tasks.core.solver.moves import CLASS, OPENED, SECURITY, broken_now, orders_left, weigh
from tasks.core.solver.positions import BUY, objective_of, order_count
from tasks.core.solver.search import best_move, best_pair, choose_to_pair, make_times, nothing_beside
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
