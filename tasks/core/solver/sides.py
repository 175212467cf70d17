"""The continuous optimum of one account on one side of its tax, its value and its bound.

``coupled`` searches the prices; where that does not end within ``CLOSE`` of the bound, or three prices or more are open, an interior
point finds them (``programs``). The value at the prices found is a bound whatever they are (weak duality): a poor search shows as a
gap, never as a false bound. The prices found last are kept, to bound what the account comes to when less is open.
"""

from typing import Any, Final

import numpy as np

from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.coupled import BUDGET, HI, SUM, SUMS, TURNOVER, highest, put, search
from tasks.core.solver.kernel import set_prices, value_at
from tasks.core.solver.netting import OFFSET_SIDE, TAXED_SIDE, least_gains, needed_sides, rates_at, tax_of, tax_on
from tasks.core.solver.positions import net_out
from tasks.core.solver.programs import PRICES, solve_program
from tasks.core.solver.workspace import Workspace, mix_aside, set_aside

CLOSE: Final = 1e-8
"""Share of NAV between answer and bound."""
OF_SIDE, OF_FIRST = 3, 4
"""Levels at which trades are set aside; the searches of ``coupled`` have 1 and 2, and the kernel has 0."""


@compile_inner
def relaxed_value(work: Workspace, account: int) -> float:
    """The objective, usd, of the trades in the workspace as ``kernel`` has it: half spreads are paid from cash where that is better."""
    account_row = work.accounts[account]
    k = account_row.tracking_penalty / account_row.nav
    squares, paid, spreads, cash = 0.0, 0.0, 0.0, account_row.cash
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        gap = class_row.value - class_row.target + class_row.bought_usd
        paid += class_row.buy_cost * class_row.bought_usd
        spreads += class_row.buy_spread * class_row.bought_usd
        cash -= class_row.bought_usd
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            gap -= lot_row.sold_usd
            paid += lot_row.cost * lot_row.sold_usd
            spreads += lot_row.spread * lot_row.sold_usd
            cash += lot_row.sold_usd
        squares += gap * gap
    cash = max(min(cash, max(account_row.cash_target, cash - spreads)), 0.0)
    short, long = least_gains(work, account)
    return float(
        0.5 * k * (squares + (cash - account_row.cash_target) ** 2) + paid + tax_of(work, account, short, long)
    )


@compile_inner
def bound_at(work: Workspace, account: int, prices: Any) -> float:
    """The dual, usd, at the prices in force; ``prices`` are those of the sums."""
    account_row = work.accounts[account]
    bound = value_at(work, account, account_row.x)
    short, long = account_row.short_before, account_row.long_before
    rs, rl = account_row.short_rate, account_row.long_rate
    if rs > 0 or rl > 0:
        short_rate, long_rate = rates_at(work, account, prices[HI], prices[SUM])
        bound += short_rate * short + long_rate * long - tax_on(short, long, rs, rl)
    if prices[BUDGET] > 0:
        bound -= prices[BUDGET] * account_row.gain
    if prices[TURNOVER] > 0:
        bound -= prices[TURNOVER] * account_row.turnover
    return float(bound)


@compile_inner
def keep_tried(work: Workspace, account: int, side: int, prices: Any) -> None:
    """Keep the prices in force, which are those of a side."""
    account_row = work.accounts[account]
    account_row.tried[side, 0] = account_row.x
    for which in range(SUMS):
        account_row.tried[side, 1 + which] = prices[which]


@compile_inner
def bound_as_tried(work: Workspace, account: int, prices: Any) -> float:
    """A lower bound, usd, within what is open now, at the prices found last for each side; puts them in force."""
    account_row = work.accounts[account]
    needed = needed_sides(work, account)
    bound = np.inf
    for side in (OFFSET_SIDE, TAXED_SIDE):
        if needed[0] if side == TAXED_SIDE else needed[1]:
            for which in range(SUMS):
                prices[which] = min(account_row.tried[side, 1 + which], highest(work, account, which, side))
            short_rate, long_rate = rates_at(work, account, prices[HI], prices[SUM])
            set_prices(work, account, short_rate, long_rate, prices[BUDGET], prices[TURNOVER])
            account_row.x = account_row.tried[side, 0]
            bound = min(bound, bound_at(work, account, prices))
    return bound


@compile_inner
def solve_side(work: Workspace, account: int, side: int, prices: Any) -> tuple[float, float, float]:
    """The optimum of one convex problem: shortfall, value and bound, usd; ``prices`` of the sums, which are in force."""
    account_row = work.accounts[account]
    ends = np.zeros(SUMS)
    for which in range(SUMS):
        prices[which], ends[which] = 0.0, highest(work, account, which, side)
    is_hi_short = account_row.short_rate >= account_row.long_rate
    hi = account_row.short_before if is_hi_short else account_row.long_before
    prices[HI] = ends[HI] if hi >= 0 else 0.0
    prices[SUM] = ends[SUM] if account_row.short_before + account_row.long_before >= 0 else 0.0
    is_found, is_raised = search(work, account, prices, ends)
    if not is_raised:
        return max(-account_row.cash, 0.0), 0.0, 0.0
    value, bound = relaxed_value(work, account), bound_at(work, account, prices)
    keep_tried(work, account, side, prices)
    if is_found and value - bound <= CLOSE * account_row.nav:
        return 0.0, value, bound
    set_aside(work, account, account + 1, OF_SIDE)
    is_tried, tried = is_found, value
    _, own, _, _ = solve_program(work, account, account + 1, np.full(1, side))
    value = relaxed_value(work, account)
    if is_tried and tried < value:
        value = tried
    else:
        set_aside(work, account, account + 1, OF_SIDE)
    for which in range(SUMS):
        prices[which] = min(max(own[0, PRICES[which]], 0.0), ends[which])
    put(work, account, prices)
    found = bound_at(work, account, prices)
    if found > bound:
        keep_tried(work, account, side, prices)
    mix_aside(work, account, account + 1, OF_SIDE, 1.0)
    is_counted = account_row.short_rate > 0 or account_row.long_rate > 0 or np.isfinite(account_row.gain)
    for c in range(account_row.first, account_row.last):
        net_out(work, c, is_counted)
    return 0.0, value, max(bound, found)
