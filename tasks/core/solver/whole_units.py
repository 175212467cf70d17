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
from tasks.core.solver.workspace import Workspace, compile_inner

CASH_CUSHION = 1e-3
IMPROVEMENT_OF_NAV = 1e-9
"""Share of NAV below which a move is not worth making (rounding noise)."""


@compile_inner
def move_value(k: float, gap: float, over: float, value: float, paid: float, cost: float) -> float:
    """Change of the objective when a class moves by ``value`` usd, cash by ``paid``, at ``cost`` usd.

    ``gap`` and ``over`` are how far class and cash lie above their destinations.
    """
    return 0.5 * k * (value * (2 * gap + value) + paid * (2 * over + paid)) + cost


@compile_inner
def sell_steps(work: Workspace, account: int, lot: int, wanted: float) -> tuple[int, float]:
    """How many more steps of a lot to sell for about ``wanted``, and their value, usd: at least 1 where the limits leave it, else 0."""
    lot_row = work.lots[lot]
    account_row = work.accounts[account]
    steps = int(max(1.0, min(float(steps_left(work, lot)), wanted)))
    unit = lot_row.step * lot_row.price
    if lot_row.gain > 0:
        steps = int(min(float(steps), np.floor(account_row.gain_left / (unit * lot_row.gain))))
    steps = int(min(float(steps), np.floor(account_row.turnover_left / unit)))
    whole = lot_row.quantity * lot_row.price - lot_row.sold_usd
    return max(steps, 0), float(min(max(steps, 0) * unit, whole))


@compile_inner
def raise_cash(work: Workspace, account: int, floor: float) -> float:
    """Move 2: until cash after costs is at ``floor``; returns what is still missing, usd (0 = none)."""
    account_row = work.accounts[account]
    k = account_row.tracking_penalty / account_row.nav
    first, last = account_row.first, account_row.last
    while True:
        short = floor - account_row.cash_now
        if short <= 0:
            return 0.0
        over = account_row.cash_now - account_row.cash_target
        best, best_class, best_steps = np.inf, -1, 0
        for c in range(first, last):
            class_row = work.classes[c]
            lot = class_row.next_lot
            if class_row.bought > 0:
                unit = class_row.buy_step * class_row.buy_price
                steps = int(min(class_row.bought, np.ceil(short / (unit * (1 + class_row.buy_spread)))))
                value = steps * unit
                raised = value * (1 + class_row.buy_spread)
                cost = -value * class_row.buy_cost
            elif lot >= 0:
                unit = work.lots[lot].step * work.lots[lot].price
                wanted = np.ceil(short / (unit * (1 - work.lots[lot].spread)))
                steps, value = sell_steps(work, account, lot, wanted)
                raised = value * (1 - work.lots[lot].spread)
                cost = value * work.lots[lot].cost
            else:
                continue
            if steps < 1:
                continue
            worse = move_value(k, class_row.gap, over, -value, raised, cost) / raised
            if worse < best:
                best, best_class, best_steps = worse, c, steps
        if best_class < 0:
            return float(short)
        if work.classes[best_class].bought > 0:
            buy_more(work, account, best_class, -best_steps)
        else:
            sell_more(work, account, best_class, work.classes[best_class].next_lot, best_steps)


@compile_inner
def more_to_buy(work: Workspace, account: int, c: int, floor: float) -> tuple[float, int]:
    """Change of the objective and steps of the best further purchase in a class that leaves ``floor``; (0, 0): none."""
    class_row = work.classes[c]
    account_row = work.accounts[account]
    k = account_row.tracking_penalty / account_row.nav
    gap, over = class_row.gap, account_row.cash_now - account_row.cash_target
    unit = class_row.buy_step * class_row.buy_price
    paid = unit * (1 + class_row.buy_spread)
    slope = -gap * unit + over * paid - class_row.buy_cost * unit / k
    square = unit * unit + paid * paid
    if 2 * slope <= square or account_row.cash_now - floor < paid:
        return 0.0, 0
    most = min((account_row.cash_now - floor) / paid, (class_row.open_cap - class_row.bought_usd) / unit)
    most = min(most, account_row.turnover_left / unit)
    steps = int(min(np.round(max(slope / square, 1.0)), np.floor(most)))
    if steps < 1 or (class_row.bought_usd == 0 and steps * unit < max(account_row.min_trade, class_row.least)):
        return 0.0, 0
    return move_value(k, gap, over, steps * unit, -steps * paid, steps * unit * class_row.buy_cost), steps


@compile_inner
def more_to_sell(work: Workspace, account: int, c: int, lot: int) -> tuple[float, int]:
    """Change of the objective and steps of the best further sale of ``lot``, the next of its class; (0, 0): none."""
    lot_row = work.lots[lot]
    class_row = work.classes[c]
    account_row = work.accounts[account]
    k = account_row.tracking_penalty / account_row.nav
    gap, over = class_row.gap, account_row.cash_now - account_row.cash_target
    unit = lot_row.step * lot_row.price
    paid = unit * (1 - lot_row.spread)
    slope = gap * unit - over * paid - lot_row.cost * unit / k
    square = unit * unit + paid * paid
    left = steps_left(work, lot)
    if 2 * slope <= square and left > 1:
        return 0.0, 0
    steps, value = sell_steps(work, account, lot, np.round(slope / square))
    if steps < 1 or (class_row.sold_usd == 0 and value < class_row.least):
        return 0.0, 0
    if value < account_row.min_trade and sold_of(work, c, lot_row.security) == 0:
        return 0.0, 0
    raised = value * (1 - lot_row.spread)
    return move_value(k, gap, over, -value, raised, value * lot_row.cost), steps


@compile_inner
def spend_cash(work: Workspace, account: int, floor: float) -> None:
    """Move 3: the best single move while one improves the objective; never opens an order below the minimum."""
    account_row = work.accounts[account]
    first, last = account_row.first, account_row.last
    for _ in range(8 * (last - first) + 16):
        best, best_class, best_steps, is_sale = -IMPROVEMENT_OF_NAV * account_row.nav, -1, 0, False
        for c in range(first, last):
            class_row = work.classes[c]
            if class_row.sold_usd == 0 and class_row.open_cap > 0:
                better, steps = more_to_buy(work, account, c, floor)
                if better < best:
                    best, best_class, best_steps, is_sale = better, c, steps, False
            lot = class_row.next_lot
            if lot >= 0 and class_row.bought == 0:
                better, steps = more_to_sell(work, account, c, lot)
                if better < best:
                    best, best_class, best_steps, is_sale = better, c, steps, True
        if best_class < 0:
            return
        if is_sale:
            sell_more(work, account, best_class, work.classes[best_class].next_lot, best_steps)
        else:
            buy_more(work, account, best_class, best_steps)
