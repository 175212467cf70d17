"""Cut one account's continuous optimum to whole units of ``quantity_step``, pay the costs, spend what is left.

1. Buys are cut down; sells are cut down, but a lot sold whole stays whole (its quantity need not be a multiple of the step).
2. While cash after costs is short: take back a purchase or sell more, whichever worsens the objective least per dollar raised.
3. While something improves the objective: the best single move, buying more of a class that buys (or could) or selling more
   of a class that sells (or could), as many units at once as its parabola asks for and cash allows.

No move goes past what the gain budget and the turnover limit leave. The class totals that the moves look at are kept up to
date from move to move, so that a move costs O(classes).

Assumptions: quantities, prices and steps are exact decimals with six digits, so a double holds them to a relative 1e-16;
``UNIT_TOLERANCE`` absorbs that. Cash keeps ``CASH_CUSHION`` usd so that rounding money to six digits cannot break the reserve.

Known limits: the moves are single, so a swap that needs two at once is not found; the certificate shows what that leaves.
"""

from typing import Any

import numpy as np

from tasks.core.desk import Desk, compiled

CASH_CUSHION = 1e-3
UNIT_TOLERANCE = 1e-6
NEAR_UNIT = 1e-4
IMPROVEMENT_OF_NAV = 1e-9
"""Share of NAV below which a move is not worth making (rounding noise)."""
WHOLE_LOT = -1


@compiled
def steps_of(value: float, unit: float, tolerance: float) -> int:
    """Whole units in ``value`` usd, rounded down; a unit that misses no more than ``tolerance`` of itself counts."""
    return int(np.floor(value / unit + tolerance))


@compiled
def is_whole(desk: Desk, lot: int) -> bool:
    """Whether all of a lot may be sold."""
    a_lot = desk.lots[lot]
    return bool(a_lot.open_cap >= a_lot.quantity * a_lot.price * (1 - 1e-9))


@compiled
def steps_left(desk: Desk, lot: int) -> int:
    """How many more steps of a lot may be sold, counting a last fraction of a lot that may go whole."""
    a_lot = desk.lots[lot]
    if a_lot.sold == WHOLE_LOT:
        return 0
    if is_whole(desk, lot):
        return int(np.ceil(a_lot.quantity / a_lot.step - UNIT_TOLERANCE) - a_lot.sold)
    return int(steps_of(a_lot.open_cap, a_lot.step * a_lot.price, UNIT_TOLERANCE) - a_lot.sold)


@compiled
def set_sold(desk: Desk, lot: int, steps: int) -> None:
    """Sell ``steps`` of a lot, or the lot whole where that is no more than ``steps``."""
    a_lot = desk.lots[lot]
    if steps * a_lot.step >= a_lot.quantity * (1 - 1e-12):
        a_lot.sold = WHOLE_LOT
        a_lot.sold_usd = a_lot.quantity * a_lot.price
    else:
        a_lot.sold = steps
        a_lot.sold_usd = steps * a_lot.step * a_lot.price


@compiled
def set_bought(desk: Desk, c: int, steps: int) -> None:
    """Buy ``steps`` of a class's security."""
    a_class = desk.classes[c]
    a_class.bought = steps
    a_class.bought_usd = steps * a_class.buy_step * a_class.buy_price


@compiled
def cut_down(desk: Desk, account: int) -> None:
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
def cash_after_costs(desk: Desk, account: int) -> float:
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
def take_stock(desk: Desk, account: int) -> None:
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
def sell_more(desk: Desk, account: int, c: int, lot: int, steps: int) -> None:
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
def buy_more(desk: Desk, account: int, c: int, steps: int) -> None:
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
def move_value(k: float, gap: float, over: float, value: float, paid: float, cost: float) -> float:
    """Change of the objective when a class moves by ``value`` usd, cash by ``paid``, at ``cost`` usd.

    ``gap`` and ``over`` are how far class and cash lie above their destinations.
    """
    return 0.5 * k * (value * (2 * gap + value) + paid * (2 * over + paid)) + cost


@compiled
def sell_steps(desk: Desk, account: int, lot: int, wanted: float) -> tuple[int, float]:
    """How many more steps of a lot to sell for about ``wanted``, and their value, usd: at least 1 where the limits leave it, else 0."""
    a_lot = desk.lots[lot]
    an_account = desk.accounts[account]
    steps = int(max(1.0, min(float(steps_left(desk, lot)), wanted)))
    unit = a_lot.step * a_lot.price
    if a_lot.gain > 0:
        steps = int(min(float(steps), np.floor(an_account.gain_left / (unit * a_lot.gain))))
    steps = int(min(float(steps), np.floor(an_account.turnover_left / unit)))
    whole = a_lot.quantity * a_lot.price - a_lot.sold_usd
    return max(steps, 0), float(min(max(steps, 0) * unit, whole))


@compiled
def raise_cash(desk: Desk, account: int, floor: float) -> float:
    """Move 2: until cash after costs is at ``floor``; returns what is still missing, usd (0 = none)."""
    an_account = desk.accounts[account]
    k = an_account.tracking_penalty / an_account.nav
    first, last = an_account.first, an_account.last
    while True:
        short = floor - an_account.cash_now
        if short <= 0:
            return 0.0
        over = an_account.cash_now - an_account.cash_target
        best, best_class, best_steps = np.inf, -1, 0
        for c in range(first, last):
            a_class = desk.classes[c]
            lot = a_class.next_lot
            if a_class.bought > 0:
                unit = a_class.buy_step * a_class.buy_price
                steps = int(min(a_class.bought, np.ceil(short / (unit * (1 + a_class.buy_spread)))))
                value = steps * unit
                raised = value * (1 + a_class.buy_spread)
                cost = -value * a_class.buy_cost
            elif lot >= 0:
                unit = desk.lots[lot].step * desk.lots[lot].price
                wanted = np.ceil(short / (unit * (1 - desk.lots[lot].spread)))
                steps, value = sell_steps(desk, account, lot, wanted)
                raised = value * (1 - desk.lots[lot].spread)
                cost = value * desk.lots[lot].cost
            else:
                continue
            if steps < 1:
                continue
            worse = move_value(k, a_class.gap, over, -value, raised, cost) / raised
            if worse < best:
                best, best_class, best_steps = worse, c, steps
        if best_class < 0:
            return float(short)
        if desk.classes[best_class].bought > 0:
            buy_more(desk, account, best_class, -best_steps)
        else:
            sell_more(desk, account, best_class, desk.classes[best_class].next_lot, best_steps)


@compiled
def sold_of(desk: Desk, c: int, security: Any) -> float:
    """Usd sold of one security in a class."""
    a_class = desk.classes[c]
    sold = 0.0
    for lot in range(a_class.first, a_class.last):
        a_lot = desk.lots[lot]
        if a_lot.security == security:
            sold += a_lot.sold_usd
    return float(sold)


@compiled
def more_to_buy(desk: Desk, account: int, c: int, floor: float) -> tuple[float, int]:
    """Change of the objective and steps of the best further purchase in a class that leaves ``floor``; (0, 0): none."""
    a_class = desk.classes[c]
    an_account = desk.accounts[account]
    k = an_account.tracking_penalty / an_account.nav
    gap, over = a_class.gap, an_account.cash_now - an_account.cash_target
    unit = a_class.buy_step * a_class.buy_price
    paid = unit * (1 + a_class.buy_spread)
    slope = -gap * unit + over * paid - a_class.buy_cost * unit / k
    square = unit * unit + paid * paid
    if 2 * slope <= square or an_account.cash_now - floor < paid:
        return 0.0, 0
    most = min((an_account.cash_now - floor) / paid, (a_class.open_cap - a_class.bought_usd) / unit)
    most = min(most, an_account.turnover_left / unit)
    steps = int(min(np.round(max(slope / square, 1.0)), np.floor(most)))
    if steps < 1 or (a_class.bought_usd == 0 and steps * unit < max(an_account.min_trade, a_class.least)):
        return 0.0, 0
    return move_value(k, gap, over, steps * unit, -steps * paid, steps * unit * a_class.buy_cost), steps


@compiled
def more_to_sell(desk: Desk, account: int, c: int, lot: int) -> tuple[float, int]:
    """Change of the objective and steps of the best further sale of ``lot``, the next of its class; (0, 0): none."""
    a_lot = desk.lots[lot]
    a_class = desk.classes[c]
    an_account = desk.accounts[account]
    k = an_account.tracking_penalty / an_account.nav
    gap, over = a_class.gap, an_account.cash_now - an_account.cash_target
    unit = a_lot.step * a_lot.price
    paid = unit * (1 - a_lot.spread)
    slope = gap * unit - over * paid - a_lot.cost * unit / k
    square = unit * unit + paid * paid
    left = steps_left(desk, lot)
    if 2 * slope <= square and left > 1:
        return 0.0, 0
    steps, value = sell_steps(desk, account, lot, np.round(slope / square))
    if steps < 1 or (a_class.sold_usd == 0 and value < a_class.least):
        return 0.0, 0
    if value < an_account.min_trade and sold_of(desk, c, a_lot.security) == 0:
        return 0.0, 0
    raised = value * (1 - a_lot.spread)
    return move_value(k, gap, over, -value, raised, value * a_lot.cost), steps


@compiled
def spend_cash(desk: Desk, account: int, floor: float) -> None:
    """Move 3: the best single move while one improves the objective; never opens an order below the minimum."""
    an_account = desk.accounts[account]
    first, last = an_account.first, an_account.last
    for _ in range(8 * (last - first) + 16):
        best, best_class, best_steps, is_sale = -IMPROVEMENT_OF_NAV * an_account.nav, -1, 0, False
        for c in range(first, last):
            a_class = desk.classes[c]
            if a_class.sold_usd == 0 and a_class.open_cap > 0:
                better, steps = more_to_buy(desk, account, c, floor)
                if better < best:
                    best, best_class, best_steps, is_sale = better, c, steps, False
            lot = a_class.next_lot
            if lot >= 0 and a_class.bought == 0:
                better, steps = more_to_sell(desk, account, c, lot)
                if better < best:
                    best, best_class, best_steps, is_sale = better, c, steps, True
        if best_class < 0:
            return
        if is_sale:
            sell_more(desk, account, best_class, desk.classes[best_class].next_lot, best_steps)
        else:
            buy_more(desk, account, best_class, best_steps)
