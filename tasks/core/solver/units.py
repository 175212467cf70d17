"""An account's trades in whole units of ``quantity_step``, and the totals that follow from them.

Assumptions: quantities, prices and steps are exact decimals with six digits, so a double holds them to a relative 1e-16;
``UNIT_TOLERANCE`` absorbs that.
"""

from typing import Any

import numpy as np

from tasks.core.solver.workspace import Workspace, compiled

UNIT_TOLERANCE = 1e-6
NEAR_UNIT = 1e-4
WHOLE_LOT = -1


@compiled
def steps_of(value: float, unit: float, tolerance: float) -> int:
    """Whole units in ``value`` usd, rounded down; a unit that misses no more than ``tolerance`` of itself counts."""
    return int(np.floor(value / unit + tolerance))


@compiled
def is_whole(desk: Workspace, lot: int) -> bool:
    """Whether all of a lot may be sold."""
    a_lot = desk.lots[lot]
    return bool(a_lot.open_cap >= a_lot.quantity * a_lot.price * (1 - 1e-9))


@compiled
def steps_left(desk: Workspace, lot: int) -> int:
    """How many more steps of a lot may be sold, counting a last fraction of a lot that may go whole."""
    a_lot = desk.lots[lot]
    if a_lot.sold == WHOLE_LOT:
        return 0
    if is_whole(desk, lot):
        return int(np.ceil(a_lot.quantity / a_lot.step - UNIT_TOLERANCE) - a_lot.sold)
    return int(steps_of(a_lot.open_cap, a_lot.step * a_lot.price, UNIT_TOLERANCE) - a_lot.sold)


@compiled
def set_sold(desk: Workspace, lot: int, steps: int) -> None:
    """Sell ``steps`` of a lot, or the lot whole where that is no more than ``steps``."""
    a_lot = desk.lots[lot]
    if steps * a_lot.step >= a_lot.quantity * (1 - 1e-12):
        a_lot.sold = WHOLE_LOT
        a_lot.sold_usd = a_lot.quantity * a_lot.price
    else:
        a_lot.sold = steps
        a_lot.sold_usd = steps * a_lot.step * a_lot.price


@compiled
def set_bought(desk: Workspace, c: int, steps: int) -> None:
    """Buy ``steps`` of a class's security."""
    a_class = desk.classes[c]
    a_class.bought = steps
    a_class.bought_usd = steps * a_class.buy_step * a_class.buy_price


@compiled
def cut_down(desk: Workspace, account: int) -> None:
    """Move 1: the continuous trades on the desk, cut to whole units.

    Without limits on turnover and gains a unit of which next to nothing is missing counts: the interior point's answers are a
    little off.
    """
    an_account = desk.accounts[account]
    is_limited = np.isfinite(an_account.turnover) or np.isfinite(an_account.gain)
    near = UNIT_TOLERANCE if is_limited else NEAR_UNIT
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        unit = a_class.buy_price * a_class.buy_step
        steps = steps_of(a_class.bought_usd, unit, near) if a_class.bought_usd > 0 else 0
        if np.isfinite(a_class.open_cap):
            steps = min(steps, steps_of(a_class.open_cap, unit, UNIT_TOLERANCE))
        set_bought(desk, c, steps)
        for lot in range(a_class.first, a_class.last):
            a_lot = desk.lots[lot]
            sold = a_lot.sold_usd
            if sold <= 0:
                a_lot.sold, a_lot.sold_usd = 0, 0.0
            elif sold >= a_lot.open_cap * (1 - 1e-12) and is_whole(desk, lot):
                a_lot.sold = WHOLE_LOT
                a_lot.sold_usd = a_lot.quantity * a_lot.price
            else:
                a_lot.sold = 0
                steps = steps_of(sold, a_lot.price * a_lot.step, near)
                set_sold(desk, lot, min(steps, steps_left(desk, lot)))


@compiled
def cash_after_costs(desk: Workspace, account: int) -> float:
    """Cash beyond the reserve after the trades on the desk and their half spreads."""
    an_account = desk.accounts[account]
    cash = an_account.cash
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        cash -= a_class.bought_usd * (1 + a_class.buy_spread)
        for lot in range(a_class.first, a_class.last):
            a_lot = desk.lots[lot]
            cash += a_lot.sold_usd * (1 - a_lot.spread)
    return float(cash)


@compiled
def take_stock(desk: Workspace, account: int) -> None:
    """Bring the class totals, cash and what the limits leave up to the trades on the desk."""
    an_account = desk.accounts[account]
    gain_left, turnover_left = an_account.gain, an_account.turnover
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        sold, following = 0.0, -1
        for lot in range(a_class.first, a_class.last):
            a_lot = desk.lots[lot]
            sold += a_lot.sold_usd
            gain_left -= a_lot.gain * a_lot.sold_usd
            if following < 0 and a_lot.open_cap > 0 and steps_left(desk, lot) > 0:
                following = lot
        turnover_left -= sold + a_class.bought_usd
        a_class.gap = a_class.value - a_class.target + a_class.bought_usd - sold
        a_class.sold_usd, a_class.next_lot = sold, following
    an_account.cash_now = cash_after_costs(desk, account)
    an_account.gain_left, an_account.turnover_left = gain_left, turnover_left


@compiled
def sell_more(desk: Workspace, account: int, c: int, lot: int, steps: int) -> None:
    """Sell ``steps`` more of a lot and keep the totals."""
    a_lot = desk.lots[lot]
    a_class = desk.classes[c]
    an_account = desk.accounts[account]
    before = a_lot.sold_usd
    set_sold(desk, lot, a_lot.sold + steps)
    value = a_lot.sold_usd - before
    a_class.gap -= value
    a_class.sold_usd += value
    an_account.cash_now += value * (1 - a_lot.spread)
    an_account.gain_left -= value * a_lot.gain
    an_account.turnover_left -= value
    if lot == a_class.next_lot and steps_left(desk, lot) <= 0:
        a_class.next_lot = -1
        for following in range(a_class.first, a_class.last):
            if desk.lots[following].open_cap > 0 and steps_left(desk, following) > 0:
                a_class.next_lot = following
                break


@compiled
def buy_more(desk: Workspace, account: int, c: int, steps: int) -> None:
    """Buy ``steps`` more (or less, where negative) of a class and keep the totals."""
    a_class = desk.classes[c]
    an_account = desk.accounts[account]
    before = a_class.bought_usd
    set_bought(desk, c, a_class.bought + steps)
    value = a_class.bought_usd - before
    a_class.gap += value
    an_account.cash_now -= value * (1 + a_class.buy_spread)
    an_account.turnover_left -= value


@compiled
def sold_of(desk: Workspace, c: int, security: Any) -> float:
    """Usd sold of one security in a class."""
    a_class = desk.classes[c]
    sold = 0.0
    for lot in range(a_class.first, a_class.last):
        a_lot = desk.lots[lot]
        if a_lot.security == security:
            sold += a_lot.sold_usd
    return float(sold)
