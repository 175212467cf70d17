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
IMPROVEMENT_OF_NAV = 1e-9
"""Share of NAV below which a move is not worth making (rounding noise)."""
WHOLE_LOT = -1


@compiled
def steps_of(value: float, unit: float) -> int:
    """Whole units in ``value`` usd, rounded down."""
    return int(np.floor(value / unit + UNIT_TOLERANCE))


@compiled
def is_whole(desk: Desk, lot: int) -> bool:
    """Whether all of a lot may be sold."""
    return bool(desk.lots[lot].open_cap >= desk.lots[lot].quantity * desk.lots[lot].price * (1 - 1e-9))


@compiled
def steps_left(desk: Desk, lot: int) -> int:
    """How many more steps of a lot may be sold, counting a last fraction of a lot that may go whole."""
    if desk.lots[lot].sold == WHOLE_LOT:
        return 0
    if is_whole(desk, lot):
        return int(np.ceil(desk.lots[lot].quantity / desk.lots[lot].step - UNIT_TOLERANCE)) - desk.lots[lot].sold
    return steps_of(desk.lots[lot].open_cap, desk.lots[lot].step * desk.lots[lot].price) - desk.lots[lot].sold


@compiled
def set_sold(desk: Desk, lot: int, steps: int) -> None:
    """Sell ``steps`` of a lot, or the lot whole where that is no more than ``steps``."""
    if steps * desk.lots[lot].step >= desk.lots[lot].quantity * (1 - 1e-12):
        desk.lots[lot].sold = WHOLE_LOT
        desk.lots[lot].sold_usd = desk.lots[lot].quantity * desk.lots[lot].price
    else:
        desk.lots[lot].sold = steps
        desk.lots[lot].sold_usd = steps * desk.lots[lot].step * desk.lots[lot].price


@compiled
def set_bought(desk: Desk, c: int, steps: int) -> None:
    """Buy ``steps`` of a class's security."""
    desk.classes[c].bought = steps
    desk.classes[c].bought_usd = steps * desk.classes[c].buy_step * desk.classes[c].buy_price


@compiled
def cut_down(desk: Desk, account: int) -> None:
    """Move 1: the continuous trades in ``room``, cut to whole units."""
    for c in range(desk.accounts[account].first, desk.accounts[account].last):
        bought = desk.classes[c].bought_usd
        set_bought(desk, c, steps_of(bought, desk.classes[c].buy_price * desk.classes[c].buy_step) if bought > 0 else 0)
        for lot in range(desk.classes[c].first, desk.classes[c].last):
            sold = desk.lots[lot].sold_usd
            if sold <= 0:
                desk.lots[lot].sold, desk.lots[lot].sold_usd = 0, 0.0
            elif sold >= desk.lots[lot].open_cap * (1 - 1e-12) and is_whole(desk, lot):
                desk.lots[lot].sold = WHOLE_LOT
                desk.lots[lot].sold_usd = desk.lots[lot].quantity * desk.lots[lot].price
            else:
                set_sold(desk, lot, steps_of(sold, desk.lots[lot].price * desk.lots[lot].step))


@compiled
def cash_after_costs(desk: Desk, account: int) -> float:
    """Cash beyond the reserve after the trades in ``room`` and their half spreads."""
    cash = desk.accounts[account].cash
    for c in range(desk.accounts[account].first, desk.accounts[account].last):
        cash -= desk.classes[c].bought_usd * (1 + desk.classes[c].buy_spread)
        for lot in range(desk.classes[c].first, desk.classes[c].last):
            cash += desk.lots[lot].sold_usd * (1 - desk.lots[lot].spread)
    return float(cash)


@compiled
def take_stock(desk: Desk, account: int) -> None:
    """Bring the class totals, cash and what the limits leave up to the trades in ``room``."""
    gain_left, turnover_left = desk.accounts[account].gain, desk.accounts[account].turnover
    for c in range(desk.accounts[account].first, desk.accounts[account].last):
        sold, following = 0.0, -1
        for lot in range(desk.classes[c].first, desk.classes[c].last):
            sold += desk.lots[lot].sold_usd
            gain_left -= desk.lots[lot].gain * desk.lots[lot].sold_usd
            if following < 0 and desk.lots[lot].open_cap > 0 and steps_left(desk, lot) > 0:
                following = lot
        turnover_left -= sold + desk.classes[c].bought_usd
        desk.classes[c].gap = desk.classes[c].value - desk.classes[c].target + desk.classes[c].bought_usd - sold
        desk.classes[c].sold_usd, desk.classes[c].next_lot = sold, following
    desk.accounts[account].cash_now = cash_after_costs(desk, account)
    desk.accounts[account].gain_left, desk.accounts[account].turnover_left = gain_left, turnover_left


@compiled
def sell_more(desk: Desk, account: int, c: int, lot: int, steps: int) -> None:
    """Sell ``steps`` more of a lot and keep the totals."""
    before = desk.lots[lot].sold_usd
    set_sold(desk, lot, desk.lots[lot].sold + steps)
    value = desk.lots[lot].sold_usd - before
    desk.classes[c].gap -= value
    desk.classes[c].sold_usd += value
    desk.accounts[account].cash_now += value * (1 - desk.lots[lot].spread)
    desk.accounts[account].gain_left -= value * desk.lots[lot].gain
    desk.accounts[account].turnover_left -= value
    if lot == desk.classes[c].next_lot and steps_left(desk, lot) <= 0:
        desk.classes[c].next_lot = -1
        for following in range(desk.classes[c].first, desk.classes[c].last):
            if desk.lots[following].open_cap > 0 and steps_left(desk, following) > 0:
                desk.classes[c].next_lot = following
                break


@compiled
def buy_more(desk: Desk, account: int, c: int, steps: int) -> None:
    """Buy ``steps`` more (or less, where negative) of a class and keep the totals."""
    before = desk.classes[c].bought_usd
    set_bought(desk, c, desk.classes[c].bought + steps)
    value = desk.classes[c].bought_usd - before
    desk.classes[c].gap += value
    desk.accounts[account].cash_now -= value * (1 + desk.classes[c].buy_spread)
    desk.accounts[account].turnover_left -= value


@compiled
def move_value(k: float, gap: float, over: float, value: float, paid: float, cost: float) -> float:
    """Change of the objective when a class moves by ``value`` usd, cash by ``paid``, at ``cost`` usd.

    ``gap`` and ``over`` are how far class and cash lie above their destinations.
    """
    return 0.5 * k * (value * (2 * gap + value) + paid * (2 * over + paid)) + cost


@compiled
def sell_steps(desk: Desk, account: int, lot: int, wanted: float) -> tuple[int, float]:
    """How many more steps of a lot to sell for about ``wanted``, and their value, usd: at least 1 where the limits leave it, else 0."""
    steps = int(max(1.0, min(float(steps_left(desk, lot)), wanted)))
    unit = desk.lots[lot].step * desk.lots[lot].price
    if desk.lots[lot].gain > 0:
        steps = int(min(float(steps), np.floor(desk.accounts[account].gain_left / (unit * desk.lots[lot].gain))))
    steps = int(min(float(steps), np.floor(desk.accounts[account].turnover_left / unit)))
    whole = desk.lots[lot].quantity * desk.lots[lot].price - desk.lots[lot].sold_usd
    return max(steps, 0), float(min(max(steps, 0) * unit, whole))


@compiled
def raise_cash(desk: Desk, account: int, floor: float) -> float:
    """Move 2: until cash after costs is at ``floor``; returns what is still missing, usd (0 = none)."""
    k = desk.accounts[account].tracking_penalty / desk.accounts[account].nav
    first, last = desk.accounts[account].first, desk.accounts[account].last
    while True:
        short = floor - desk.accounts[account].cash_now
        if short <= 0:
            return 0.0
        over = desk.accounts[account].cash_now - desk.accounts[account].cash_target
        best, best_class, best_steps = np.inf, -1, 0
        for c in range(first, last):
            lot = desk.classes[c].next_lot
            if desk.classes[c].bought > 0:
                unit = desk.classes[c].buy_step * desk.classes[c].buy_price
                steps = int(min(desk.classes[c].bought, np.ceil(short / (unit * (1 + desk.classes[c].buy_spread)))))
                value = steps * unit
                raised = value * (1 + desk.classes[c].buy_spread)
                cost = -value * desk.classes[c].buy_cost
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
            worse = move_value(k, desk.classes[c].gap, over, -value, raised, cost) / raised
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
    sold = 0.0
    for lot in range(desk.classes[c].first, desk.classes[c].last):
        if desk.lots[lot].security == security:
            sold += desk.lots[lot].sold_usd
    return float(sold)


@compiled
def more_to_buy(desk: Desk, account: int, c: int, floor: float) -> tuple[float, int]:
    """Change of the objective and steps of the best further purchase in a class that leaves ``floor``; (0, 0): none."""
    k = desk.accounts[account].tracking_penalty / desk.accounts[account].nav
    gap, over = desk.classes[c].gap, desk.accounts[account].cash_now - desk.accounts[account].cash_target
    unit = desk.classes[c].buy_step * desk.classes[c].buy_price
    paid = unit * (1 + desk.classes[c].buy_spread)
    slope = -gap * unit + over * paid - desk.classes[c].buy_cost * unit / k
    square = unit * unit + paid * paid
    if 2 * slope <= square or desk.accounts[account].cash_now - floor < paid:
        return 0.0, 0
    most = min(
        (desk.accounts[account].cash_now - floor) / paid, (desk.classes[c].open_cap - desk.classes[c].bought_usd) / unit
    )
    most = min(most, desk.accounts[account].turnover_left / unit)
    steps = int(min(np.round(max(slope / square, 1.0)), np.floor(most)))
    if steps < 1 or (
        desk.classes[c].bought_usd == 0 and steps * unit < max(desk.accounts[account].min_trade, desk.classes[c].least)
    ):
        return 0.0, 0
    return move_value(k, gap, over, steps * unit, -steps * paid, steps * unit * desk.classes[c].buy_cost), steps


@compiled
def more_to_sell(desk: Desk, account: int, c: int, lot: int) -> tuple[float, int]:
    """Change of the objective and steps of the best further sale of ``lot``, the next of its class; (0, 0): none."""
    k = desk.accounts[account].tracking_penalty / desk.accounts[account].nav
    gap, over = desk.classes[c].gap, desk.accounts[account].cash_now - desk.accounts[account].cash_target
    unit = desk.lots[lot].step * desk.lots[lot].price
    paid = unit * (1 - desk.lots[lot].spread)
    slope = gap * unit - over * paid - desk.lots[lot].cost * unit / k
    square = unit * unit + paid * paid
    left = steps_left(desk, lot)
    if 2 * slope <= square and left > 1:
        return 0.0, 0
    steps, value = sell_steps(desk, account, lot, np.round(slope / square))
    if steps < 1 or (desk.classes[c].sold_usd == 0 and value < desk.classes[c].least):
        return 0.0, 0
    if value < desk.accounts[account].min_trade and sold_of(desk, c, desk.lots[lot].security) == 0:
        return 0.0, 0
    raised = value * (1 - desk.lots[lot].spread)
    return move_value(k, gap, over, -value, raised, value * desk.lots[lot].cost), steps


@compiled
def spend_cash(desk: Desk, account: int, floor: float) -> None:
    """Move 3: the best single move while one improves the objective; never opens an order below the minimum."""
    first, last = desk.accounts[account].first, desk.accounts[account].last
    for _ in range(8 * (last - first) + 16):
        best, best_class, best_steps, is_sale = -IMPROVEMENT_OF_NAV * desk.accounts[account].nav, -1, 0, False
        for c in range(first, last):
            if desk.classes[c].sold_usd == 0 and desk.classes[c].open_cap > 0:
                better, steps = more_to_buy(desk, account, c, floor)
                if better < best:
                    best, best_class, best_steps, is_sale = better, c, steps, False
            lot = desk.classes[c].next_lot
            if lot >= 0 and desk.classes[c].bought == 0:
                better, steps = more_to_sell(desk, account, c, lot)
                if better < best:
                    best, best_class, best_steps, is_sale = better, c, steps, True
        if best_class < 0:
            return
        if is_sale:
            sell_more(desk, account, best_class, desk.classes[best_class].next_lot, best_steps)
        else:
            buy_more(desk, account, best_class, best_steps)
