"""The continuous optimum of an account, by the shortest way that proves it: see ``coupled``."""

import numpy as np

from tasks.core.solver.coupled import Optimum, dual_value, optimum_at_ends, price, prices_only, shortfall_only
from tasks.core.solver.kernel import price_of_cash, trade_at
from tasks.core.solver.netting import OFFSET_SIDE, TAXED_SIDE, needed_sides, rates_at
from tasks.core.solver.objectives import continuous_objective
from tasks.core.solver.programs import CASH, GAIN_BUDGET, HI_GAIN, SUM_OF_GAINS, TURNOVER, solve_program
from tasks.core.solver.workspace import Workspace, compile_inner

LAST_TRY = 2
"""The first problem, the second, and the first again."""


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
    for _ in range(last - first):
        best = -1
        for lot in range(first, last):
            lot_row = work.lots[lot]
            is_open = lot_row.open_cap > 0 and not used[lot - first]
            if is_open and (best < 0 or lot_row.gain < work.lots[best].gain):
                best = lot
        if best < 0:
            break
        used[best - first] = True
        most = min(work.lots[best].open_cap, turnover, owed)
        if work.lots[best].gain > 0:
            most = min(most, gain / work.lots[best].gain)
        owed, turnover, gain = owed - most, turnover - most, gain - most * work.lots[best].gain
    return float(max(owed, 0.0))


@compile_inner
def set_aside(work: Workspace, account: int) -> None:
    """Copy the trades in the workspace aside."""
    account_row = work.accounts[account]
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        class_row.kept = class_row.bought_usd
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            lot_row.kept = lot_row.sold_usd


@compile_inner
def restore(work: Workspace, account: int) -> None:
    """Restore the trades that were copied aside."""
    account_row = work.accounts[account]
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        class_row.bought_usd = class_row.kept
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            lot_row.sold_usd = lot_row.kept


@compile_inner
def interior_optimum(work: Workspace, account: int, side: int) -> Optimum:
    """The optimum of one convex problem by the interior point, bounded by the kernel at the prices it found."""
    account_row = work.accounts[account]
    missing = unraisable(work, account)
    if missing > 0:
        return shortfall_only(missing)
    _, prices, _ = solve_program(work, account, account + 1, np.full(1, side))
    own = prices[0]
    value = continuous_objective(work, account, account + 1)
    short_rate, long_rate = rates_at(work, account, max(own[HI_GAIN], 0.0), max(own[SUM_OF_GAINS], 0.0))
    turnover_price, gain_price = max(own[TURNOVER], 0.0), max(own[GAIN_BUDGET], 0.0)
    at = prices_only(short_rate, long_rate, gain_price, turnover_price)
    set_aside(work, account)
    price(work, account, at)
    x, _ = price_of_cash(work, account)
    mu, bound = own[CASH], -np.inf
    if np.isfinite(x):
        trade_at(work, account, x)
        mu = x * account_row.tracking_penalty / account_row.nav
        bound = dual_value(work, account, x, at)
    restore(work, account)
    return Optimum(
        shortfall=0.0,
        mu=mu,
        value=value,
        bound=bound,
        short_rate=short_rate,
        long_rate=long_rate,
        gain_price=gain_price,
        turnover_price=turnover_price,
    )


@compile_inner
def continuous_optimum(work: Workspace, account: int) -> Optimum:
    """Fill ``sold_usd`` and ``bought_usd`` with the continuous optimum; lots and prices are left as it needs them.

    Where both sides of ``netting`` may hold, the one is solved, then the other, and the first again if it was the better.
    """
    is_taxed_needed, is_offset_needed = needed_sides(work, account)
    is_open = is_taxed_needed and is_offset_needed
    side = OFFSET_SIDE if is_offset_needed else TAXED_SIDE
    first, bound = np.inf, np.inf
    for number in range(LAST_TRY + 1):
        found, is_found = optimum_at_ends(work, account, side)
        if not is_found:
            found = interior_optimum(work, account, side)
        bound = min(bound, found.bound)
        if found.shortfall > 0 or not is_open or number == LAST_TRY or (number == 1 and found.value <= first):
            break
        first = min(first, found.value)
        side = TAXED_SIDE if number == 0 else OFFSET_SIDE
    return Optimum(
        shortfall=found.shortfall,
        mu=found.mu,
        value=found.value,
        bound=bound,
        short_rate=found.short_rate,
        long_rate=found.long_rate,
        gain_price=found.gain_price,
        turnover_price=found.turnover_price,
    )
