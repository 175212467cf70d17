"""The continuous optimum of an account, by the shortest way that proves it: see ``coupled``."""

import numpy as np

from tasks.core.solver.coupled import Optimum, at_ends, dual_value, price
from tasks.core.solver.kernel import price_of_cash, trade_at
from tasks.core.solver.netting import OFFSET_SIDE, TAXED_SIDE, may_be, rates_at
from tasks.core.solver.objectives import continuous_objective
from tasks.core.solver.programs import solve_program
from tasks.core.solver.workspace import Workspace, compiled

LAST_TRY = 2
"""The first problem, the second, and the first again."""


@compiled
def unraisable(desk: Workspace, account: int) -> float:
    """Cash owed, usd, that cannot be raised within the turnover limit and the gain budget: lots of least gain first."""
    an_account = desk.accounts[account]
    owed = -an_account.cash
    if owed <= 0:
        return 0.0
    turnover, gain = an_account.turnover, an_account.gain
    first, last = an_account.first_lot, an_account.last_lot
    used = np.zeros(last - first, np.bool_)
    for _ in range(last - first):
        best = -1
        for lot in range(first, last):
            a_lot = desk.lots[lot]
            is_open = a_lot.open_cap > 0 and not used[lot - first]
            if is_open and (best < 0 or a_lot.gain < desk.lots[best].gain):
                best = lot
        if best < 0:
            break
        used[best - first] = True
        most = min(desk.lots[best].open_cap, turnover, owed)
        if desk.lots[best].gain > 0:
            most = min(most, gain / desk.lots[best].gain)
        owed, turnover, gain = owed - most, turnover - most, gain - most * desk.lots[best].gain
    return float(max(owed, 0.0))


@compiled
def keep(desk: Workspace, account: int) -> None:
    """Keep the trades on the desk aside."""
    an_account = desk.accounts[account]
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        a_class.kept = a_class.bought_usd
        for lot in range(a_class.first, a_class.last):
            a_lot = desk.lots[lot]
            a_lot.kept = a_lot.sold_usd


@compiled
def bring_back(desk: Workspace, account: int) -> None:
    """Bring back the trades that were kept."""
    an_account = desk.accounts[account]
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        a_class.bought_usd = a_class.kept
        for lot in range(a_class.first, a_class.last):
            a_lot = desk.lots[lot]
            a_lot.sold_usd = a_lot.kept


@compiled
def inside(desk: Workspace, account: int, side: int) -> Optimum:
    """The optimum of one convex problem by the interior point, bounded by the kernel at the prices it found."""
    an_account = desk.accounts[account]
    missing = unraisable(desk, account)
    if missing > 0:
        return Optimum(missing, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    _, own, _ = solve_program(desk, account, account + 1, np.full(1, side))
    value = continuous_objective(desk, account, account + 1)
    short_rate, long_rate = rates_at(desk, account, max(own[0, 3], 0.0), max(own[0, 4], 0.0))
    turnover_price, gain_price = max(own[0, 1], 0.0), max(own[0, 2], 0.0)
    at = Optimum(0.0, 0.0, value, 0.0, short_rate, long_rate, gain_price, turnover_price)
    keep(desk, account)
    price(desk, account, at)
    x, _ = price_of_cash(desk, account)
    mu, bound = own[0, 0], -np.inf
    if np.isfinite(x):
        trade_at(desk, account, x)
        mu = x * an_account.tracking_penalty / an_account.nav
        bound = dual_value(desk, account, x, at)
    bring_back(desk, account)
    return Optimum(0.0, mu, value, bound, short_rate, long_rate, gain_price, turnover_price)


@compiled
def continuous_optimum(desk: Workspace, account: int) -> Optimum:
    """Fill ``sold_usd`` and ``bought_usd`` with the continuous optimum; lots and prices are left as it needs them.

    Where both sides of ``netting`` may hold, the one is solved, then the other, and the first again if it was the better.
    """
    is_taxed_needed, is_offset_needed = may_be(desk, account)
    is_open = is_taxed_needed and is_offset_needed
    side = OFFSET_SIDE if is_offset_needed else TAXED_SIDE
    first, bound = np.inf, np.inf
    for number in range(LAST_TRY + 1):
        found, is_found = at_ends(desk, account, side)
        if not is_found:
            found = inside(desk, account, side)
        bound = min(bound, found.bound)
        if found.shortfall > 0 or not is_open or number == LAST_TRY or (number == 1 and found.value <= first):
            break
        first = min(first, found.value)
        side = TAXED_SIDE if number == 0 else OFFSET_SIDE
    return Optimum(
        found.shortfall,
        found.mu,
        found.value,
        bound,
        found.short_rate,
        found.long_rate,
        found.gain_price,
        found.turnover_price,
    )
