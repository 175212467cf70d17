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

import numpy as np

from tasks.core.solver.units import buy_more, sell_more, sold_of, steps_left
from tasks.core.solver.workspace import Workspace, compiled

CASH_CUSHION = 1e-3
IMPROVEMENT_OF_NAV = 1e-9
"""Share of NAV below which a move is not worth making (rounding noise)."""


@compiled
def move_value(k: float, gap: float, over: float, value: float, paid: float, cost: float) -> float:
    """Change of the objective when a class moves by ``value`` usd, cash by ``paid``, at ``cost`` usd.

    ``gap`` and ``over`` are how far class and cash lie above their destinations.
    """
    return 0.5 * k * (value * (2 * gap + value) + paid * (2 * over + paid)) + cost


@compiled
def sell_steps(desk: Workspace, account: int, lot: int, wanted: float) -> tuple[int, float]:
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
def raise_cash(desk: Workspace, account: int, floor: float) -> float:
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
def more_to_buy(desk: Workspace, account: int, c: int, floor: float) -> tuple[float, int]:
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
def more_to_sell(desk: Workspace, account: int, c: int, lot: int) -> tuple[float, int]:
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
def spend_cash(desk: Workspace, account: int, floor: float) -> None:
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
