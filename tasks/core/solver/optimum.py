"""The continuous optimum of one account: on either side of its tax, and with no class both selling and buying.

1. Where the lo term of ``netting`` may end on either side of zero, both convex problems are solved: the better answer, and the lower
   of their bounds.
2. A class that would both sell and buy, since a loss is worth more than a round trip, is solved one way and the other (branch and bound).
"""

from typing import Any, Final

import numpy as np

from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.coupled import SUM, SUMS, put
from tasks.core.solver.kernel import set_prices
from tasks.core.solver.netting import OFFSET_SIDE, TAXED_SIDE, needed_sides, price_ends
from tasks.core.solver.sides import OF_FIRST, keep_tried, solve_side
from tasks.core.solver.workspace import BUYS_ONLY, EITHER_WAY, SELLS_ONLY, Workspace, mix_aside, set_aside

BOTH_WAYS: Final = 1e-9
"""Share of NAV: less of a round trip is rounding noise."""
MOST_SPLITS: Final = 40
"""How often classes are solved one way and the other."""
BRANCH_CLOSE: Final = 1e-8
"""Share of NAV between answer and bound."""


@compile_inner
def unraisable(work: Workspace, account: int) -> float:
    """Cash owed, usd, that cannot be raised within the turnover limit and the gain budget: lots of least gain first."""
    account_row = work.accounts[account]
    owed = -account_row.cash
    if owed <= 0:
        return 0.0
    turnover, gain = account_row.turnover, account_row.gain
    first, last = account_row.first_lot, account_row.last_lot
    used = np.zeros(last - first, np.bool_)
    set_prices(work, account, 0.0, 0.0, 1.0, 0.0)
    for _ in range(last - first):
        best = -1
        for lot in range(first, last):
            lot_row = work.lots[lot]
            is_open = lot_row.reach > 0 and not used[lot - first]
            if is_open and (best < 0 or lot_row.gain_low < work.lots[best].gain_low):
                best = lot
        if best < 0:
            break
        used[best - first] = True
        most = min(work.lots[best].reach, turnover, owed)
        if work.lots[best].gain_low > 0:
            most = min(most, gain / work.lots[best].gain_low)
        owed, turnover, gain = owed - most, turnover - most, gain - most * work.lots[best].gain_low
    return float(max(owed, 0.0))


@compile_inner
def optimum_of_sides(work: Workspace, account: int) -> tuple[float, float, float]:
    """Steps 1 to 3 on either side of ``netting`` that may hold: the better answer, and the lower bound; shortfall, value, bound, usd.

    Prices found for the offset side that are within the ends of the taxed one bound that as well: then nothing on it is better.
    """
    is_taxed_needed, is_offset_needed = needed_sides(work, account)
    prices, others = np.zeros(SUMS), np.zeros(SUMS)
    side = OFFSET_SIDE if is_offset_needed else TAXED_SIDE
    shortfall, value, bound = solve_side(work, account, side, prices)
    if shortfall > 0 or not (is_taxed_needed and is_offset_needed):
        return shortfall, value, bound
    if prices[SUM] <= price_ends(work, account, TAXED_SIDE)[1]:
        keep_tried(work, account, TAXED_SIDE, prices)
        return 0.0, value, bound
    set_aside(work, account, account + 1, OF_FIRST)
    _, other_value, other_bound = solve_side(work, account, TAXED_SIDE, others)
    if other_value < value:
        return 0.0, other_value, min(bound, other_bound)
    put(work, account, prices)
    mix_aside(work, account, account + 1, OF_FIRST, 1.0)
    return 0.0, value, min(bound, other_bound)


@compile_inner
def both_ways(work: Workspace, account: int) -> int:
    """The class that sells and buys the most of the same; -1: none."""
    account_row = work.accounts[account]
    most, at = BOTH_WAYS * account_row.nav, -1
    for c in range(account_row.first, account_row.last):
        sold = 0.0
        for lot in range(work.classes[c].first, work.classes[c].last):
            sold += work.lots[lot].sold_usd
        both = min(sold, work.classes[c].bought_usd)
        if both > most:
            most, at = both, c
    return at


@compile_inner
def continuous_optimum(work: Workspace, account: int) -> tuple[float, float, float]:
    """Fill ``sold_usd`` and ``bought_usd`` with the continuous optimum; shortfall, value and bound, usd. Its prices are left in force.

    Where a class would do both, it is solved selling only and buying only.
    """
    missing = unraisable(work, account)
    if missing > 0:
        return missing, 0.0, 0.0
    shortfall, value, bound = optimum_of_sides(work, account)
    c = both_ways(work, account) if shortfall == 0 else -1
    if c < 0:
        return shortfall, value, bound
    return one_way_optimum(work, account, c, bound)


@compile_inner
def one_way_optimum(work: Workspace, account: int, c: int, bound: float) -> tuple[float, float, float]:
    """As ``continuous_optimum``, by branch and bound from class ``c``: first down the better way until no class does both, then from the lowest bound.

    The bound is the lowest of all that were left, or settled.
    """
    account_row = work.accounts[account]
    first, nav = account_row.first, account_row.nav
    left, split = np.full(2 * MOST_SPLITS + 1, np.inf), np.full(2 * MOST_SPLITS + 1, -1)
    ways = np.zeros((2 * MOST_SPLITS + 1, account_row.last - first), np.int64)
    left[0], split[0], count = bound, c, 1
    best, best_at, settled, deeper = np.inf, -1, np.inf, 0
    for _ in range(MOST_SPLITS):
        at = deeper if best_at < 0 and deeper >= 0 else int(np.argmin(left))
        if left[at] >= best - BRANCH_CLOSE * nav:
            break
        parent, lowest, deeper = left[at], np.inf, -1
        left[at] = np.inf
        for way in (BUYS_ONLY, SELLS_ONLY):
            ways[count] = ways[at]
            ways[count, split[at] - first] = way
            shortfall, value, found = solve_ways(work, account, ways[count])
            if shortfall > 0:
                continue
            found = max(found, parent)
            split[count] = both_ways(work, account)
            if split[count] >= 0:
                left[count] = found
                if value < lowest:
                    lowest, deeper = value, count
            else:
                settled = min(settled, found)
                if value < best:
                    best, best_at = value, count
            count += 1
    lowest_left = int(np.argmin(left))
    bound = max(bound, min(settled, left[lowest_left])) if count > 1 else bound
    shortfall, value, _ = solve_ways(work, account, ways[best_at if best_at >= 0 else lowest_left])
    for each in range(first, account_row.last):
        work.classes[each].way = EITHER_WAY
    return shortfall, value, bound


@compile_inner
def solve_ways(work: Workspace, account: int, ways: Any) -> tuple[float, float, float]:
    """``optimum_of_sides`` with each class trading the way it is told, where the cash owed can be raised so."""
    first = work.accounts[account].first
    for c in range(first, work.accounts[account].last):
        work.classes[c].way = ways[c - first]
    missing = unraisable(work, account)
    if missing > 0:
        return missing, 0.0, 0.0
    return optimum_of_sides(work, account)
