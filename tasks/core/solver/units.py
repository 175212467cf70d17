"""An account's trades in whole units of ``quantity_step``, and the totals that follow from them.

Assumptions: quantities, prices and steps are exact decimals with six digits, so a double holds them to a relative 1e-16;
``UNIT_TOLERANCE`` absorbs that.
"""

from typing import Any

import numpy as np

from tasks.core.solver.workspace import Workspace, compile_inner

UNIT_TOLERANCE = 1e-6
NEAR_UNIT = 1e-4
WHOLE_LOT = -1


@compile_inner
def steps_of(value: float, unit: float, tolerance: float) -> int:
    """Whole units in ``value`` usd, rounded down; a unit that misses no more than ``tolerance`` of itself counts."""
    return int(np.floor(value / unit + tolerance))


@compile_inner
def is_whole(work: Workspace, lot: int) -> bool:
    """Whether all of a lot may be sold."""
    lot_row = work.lots[lot]
    return bool(lot_row.open_cap >= lot_row.quantity * lot_row.price * (1 - 1e-9))


@compile_inner
def steps_left(work: Workspace, lot: int) -> int:
    """How many more steps of a lot may be sold, counting a last fraction of a lot that may go whole."""
    lot_row = work.lots[lot]
    if lot_row.sold == WHOLE_LOT:
        return 0
    if is_whole(work, lot):
        return int(np.ceil(lot_row.quantity / lot_row.step - UNIT_TOLERANCE) - lot_row.sold)
    return int(steps_of(lot_row.open_cap, lot_row.step * lot_row.price, UNIT_TOLERANCE) - lot_row.sold)


@compile_inner
def set_sold(work: Workspace, lot: int, steps: int) -> None:
    """Sell ``steps`` of a lot, or the lot whole where that is no more than ``steps``."""
    lot_row = work.lots[lot]
    if steps * lot_row.step >= lot_row.quantity * (1 - 1e-12):
        lot_row.sold = WHOLE_LOT
        lot_row.sold_usd = lot_row.quantity * lot_row.price
    else:
        lot_row.sold = steps
        lot_row.sold_usd = steps * lot_row.step * lot_row.price


@compile_inner
def set_bought(work: Workspace, c: int, steps: int) -> None:
    """Buy ``steps`` of a class's security."""
    class_row = work.classes[c]
    class_row.bought = steps
    class_row.bought_usd = steps * class_row.buy_step * class_row.buy_price


@compile_inner
def cut_down(work: Workspace, account: int) -> None:
    """Move 1: the continuous trades in the workspace, cut to whole units.

    Without limits on turnover and gains a unit of which next to nothing is missing counts: the interior point's answers are a
    little off.
    """
    account_row = work.accounts[account]
    is_limited = np.isfinite(account_row.turnover) or np.isfinite(account_row.gain)
    near = UNIT_TOLERANCE if is_limited else NEAR_UNIT
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        unit = class_row.buy_price * class_row.buy_step
        steps = steps_of(class_row.bought_usd, unit, near) if class_row.bought_usd > 0 else 0
        if np.isfinite(class_row.open_cap):
            steps = min(steps, steps_of(class_row.open_cap, unit, UNIT_TOLERANCE))
        set_bought(work, c, steps)
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            sold = lot_row.sold_usd
            if sold <= 0:
                lot_row.sold, lot_row.sold_usd = 0, 0.0
            elif sold >= lot_row.open_cap * (1 - 1e-12) and is_whole(work, lot):
                lot_row.sold = WHOLE_LOT
                lot_row.sold_usd = lot_row.quantity * lot_row.price
            else:
                lot_row.sold = 0
                steps = steps_of(sold, lot_row.price * lot_row.step, near)
                set_sold(work, lot, min(steps, steps_left(work, lot)))


@compile_inner
def cash_after_costs(work: Workspace, account: int) -> float:
    """Cash beyond the reserve after the trades in the workspace and their half spreads."""
    account_row = work.accounts[account]
    cash = account_row.cash
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        cash -= class_row.bought_usd * (1 + class_row.buy_spread)
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            cash += lot_row.sold_usd * (1 - lot_row.spread)
    return float(cash)


@compile_inner
def update_totals(work: Workspace, account: int) -> None:
    """Bring the class totals, cash and what the limits leave up to the trades in the workspace."""
    account_row = work.accounts[account]
    gain_left, turnover_left = account_row.gain, account_row.turnover
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        sold, following = 0.0, -1
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            sold += lot_row.sold_usd
            gain_left -= lot_row.gain * lot_row.sold_usd
            if following < 0 and lot_row.open_cap > 0 and steps_left(work, lot) > 0:
                following = lot
        turnover_left -= sold + class_row.bought_usd
        class_row.gap = class_row.value - class_row.target + class_row.bought_usd - sold
        class_row.sold_usd, class_row.next_lot = sold, following
    account_row.cash_now = cash_after_costs(work, account)
    account_row.gain_left, account_row.turnover_left = gain_left, turnover_left


@compile_inner
def sell_more(work: Workspace, account: int, c: int, lot: int, steps: int) -> None:
    """Sell ``steps`` more of a lot and keep the totals."""
    lot_row = work.lots[lot]
    class_row = work.classes[c]
    account_row = work.accounts[account]
    before = lot_row.sold_usd
    set_sold(work, lot, lot_row.sold + steps)
    value = lot_row.sold_usd - before
    class_row.gap -= value
    class_row.sold_usd += value
    account_row.cash_now += value * (1 - lot_row.spread)
    account_row.gain_left -= value * lot_row.gain
    account_row.turnover_left -= value
    if lot == class_row.next_lot and steps_left(work, lot) <= 0:
        class_row.next_lot = -1
        for following in range(class_row.first, class_row.last):
            if work.lots[following].open_cap > 0 and steps_left(work, following) > 0:
                class_row.next_lot = following
                break


@compile_inner
def buy_more(work: Workspace, account: int, c: int, steps: int) -> None:
    """Buy ``steps`` more (or less, where negative) of a class and keep the totals."""
    class_row = work.classes[c]
    account_row = work.accounts[account]
    before = class_row.bought_usd
    set_bought(work, c, class_row.bought + steps)
    value = class_row.bought_usd - before
    class_row.gap += value
    account_row.cash_now -= value * (1 + class_row.buy_spread)
    account_row.turnover_left -= value


@compile_inner
def sold_of(work: Workspace, c: int, security: Any) -> float:
    """Usd sold of one security in a class."""
    class_row = work.classes[c]
    sold = 0.0
    for lot in range(class_row.first, class_row.last):
        lot_row = work.lots[lot]
        if lot_row.security == security:
            sold += lot_row.sold_usd
    return float(sold)
