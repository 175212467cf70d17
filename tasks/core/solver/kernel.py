"""The rebalance of one account, before whole units, at given prices of what couples its trades: a clip for each lot and class.

One account has classes c with value ``V_c``, destination ``T_c`` and one security to buy at a cost of ``h_c`` per dollar up
to ``m_c``; lots l of which ``u_l`` may be sold at a cost ``p_l`` per dollar (half spread, tax at the rates in force, prices of
limits); and cash ``K0`` beyond its reserve, to become ``K >= 0``. With ``k = kappa / NAV`` minimise

    k/2 * [ sum_c (V_c - sum_l q_l + b_c - T_c)^2 + (K - T_cash)^2 ] + sum_l p_l q_l + sum_c h_c b_c
    subject to  K = K0 + sum_l q_l - sum_c b_c - w,   0 <= q_l <= u_l,   0 <= b_c <= m_c,   K >= 0,
                sales of c at a loss <= H_c,   a class does not both sell and buy,

where ``w`` is between 0 and what half spreads cost: trades that pay all of them from cash, as real ones do, are among those
looked at, so nothing real is below the optimum; and where cash has a price above 0, ``w = 0`` is the best.

Given a multiplier ``mu`` for the cash equation (the account's price of cash, ``x = mu / k``) the problem falls apart by class.
Sales come in order of ``p_l``; lots at a loss only until ``H_c`` is used up (``reach``: what of ``u_l`` that leaves). In dollars,
with ``y = x`` where ``x >= 0`` and ``x`` less what half spreads take of it where cash is unwanted,

    q_l = clip(y - start_l, 0, reach_l),   start_l = p_l / k + T_c - V_c + (reach of the lots before l)
    b_c = clip(T_c - V_c - h_c / k - y, 0, m_c)
    K   = max(T_cash - x, 0)

and where a lot's loss is worth more than a round trip, a class takes the better of selling and of buying. ``F(x) = cash raised
- cash used`` never falls and is piecewise linear: a Newton step from the segment that holds its zero ends on it; else the
bracket is kept and halved. ``F`` negative to the right of every breakpoint: the cash owed cannot be raised.

The value at any prices is a lower bound (Lagrangian duality, also over a class that may not both sell and buy). The lots of a
class are priced with its widest half spread where ``x < 0``, which keeps their order and can only lower it.

Known limits: one security bought per class.
"""

from typing import Final

import numpy as np

from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.workspace import BUYS_ONLY, SELLS_ONLY, Workspace, mix_aside, set_aside

ROUNDING: Final = 1e-9
"""Share of NAV: a shortfall this small is rounding noise."""
EXACT: Final = 1e-13
"""Share of NAV: an excess this small is zero."""
MOST_STEPS: Final = 250
HALVED: Final = 5
"""Every so many steps the bracket is halved whatever Newton says."""
AT_JUMP: Final = 0
"""Level at which trades on one side of a jump of ``F`` are set aside."""


@compile_inner
def swap_lots(work: Workspace, i: int, j: int) -> None:
    """Exchange two lots."""
    spare = len(work.lots) - 1
    work.lots[spare] = work.lots[i]
    work.lots[i] = work.lots[j]
    work.lots[j] = work.lots[spare]


@compile_inner
def is_before(work: Workspace, one: int, two: int) -> bool:
    """Whether a lot is sold before another: by cost at the prices in force, then the larger loss, then as they stood."""
    first, second = work.lots[one], work.lots[two]
    if first.now != second.now:
        return bool(first.now < second.now)
    if first.gain != second.gain:
        return bool(first.gain < second.gain)
    return bool(first.home < second.home)


@compile_inner
def limit_losses(work: Workspace, c: int) -> None:
    """What of each lot may be sold under the class's room for losses, and whether the class could gain by a round trip."""
    class_row = work.classes[c]
    room, cheapest = class_row.share + class_row.spare, np.inf
    class_row.buy_reach = class_row.open_cap if class_row.way != SELLS_ONLY else 0.0
    for lot in range(class_row.first, class_row.last):
        lot_row = work.lots[lot]
        lot_row.reach = lot_row.open_cap if class_row.way != BUYS_ONLY else 0.0
        if lot_row.gain < 0:
            lot_row.reach = min(lot_row.reach, room)
            room -= lot_row.reach
        if lot_row.reach > 0:
            cheapest = min(cheapest, lot_row.now)
    class_row.is_two_way = class_row.buy_reach > 0 and cheapest + class_row.now < 0


@compile_inner
def set_prices(
    work: Workspace, account: int, short_rate: float, long_rate: float, gain_price: float, turnover_price: float
) -> None:
    """Put prices of gains and turnover in force: on lots, which are sorted by them, and on purchases."""
    account_row = work.accounts[account]
    account_row.short_at, account_row.long_at = short_rate, long_rate
    account_row.gain_price, account_row.turnover_price = gain_price, turnover_price
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        class_row.now = class_row.buy_cost + turnover_price
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            rate = short_rate if lot_row.is_short else long_rate
            lot_row.now = lot_row.cost + (rate + gain_price) * lot_row.gain_low + turnover_price
            j = lot
            while j > class_row.first and is_before(work, j, j - 1):
                swap_lots(work, j - 1, j)
                j -= 1
        limit_losses(work, c)


@compile_inner
def sell_branch(work: Workspace, c: int, y: float, per_cost: float) -> tuple[float, float, float]:
    """What a class sells where cash is worth ``y``, the slope of that, and the branch's value, usd."""
    class_row = work.classes[c]
    k = 1 / per_cost
    price = k * y
    before, sold, rising, paid = class_row.target - class_row.value, 0.0, 0.0, 0.0
    for lot in range(class_row.first, class_row.last):
        lot_row = work.lots[lot]
        wish = y - lot_row.now * per_cost - before
        if lot_row.reach > 0:
            if wish < 0:
                break
            part = min(wish, lot_row.reach)
            rising += 1.0 if wish < lot_row.reach else 0.0
            sold += part
            paid += (lot_row.now - price) * part
            before += lot_row.reach
    left = class_row.value - class_row.target - sold
    return sold, rising, 0.5 * k * left * left + paid


@compile_inner
def buy_branch(work: Workspace, c: int, y: float, per_cost: float) -> tuple[float, float, float]:
    """What a class buys where cash is worth ``y``, how that falls, and the branch's value, usd."""
    class_row = work.classes[c]
    gap = class_row.target - class_row.value
    wish = gap - class_row.now * per_cost - y
    bought, falling = 0.0, 0.0
    if wish > 0 and class_row.buy_reach > 0:
        bought = min(wish, class_row.buy_reach)
        falling = 1.0 if wish <= class_row.buy_reach else 0.0
    left, k = bought - gap, 1 / per_cost
    return bought, falling, 0.5 * k * left * left + (class_row.now + k * y) * bought


@compile_inner
def class_at(work: Workspace, c: int, x: float, per_cost: float) -> tuple[float, float, float, float]:
    """Sold and bought of a class at the price ``x``, slope of the cash that is raised, and the class's value."""
    class_row = work.classes[c]
    selling = x if x >= 0 else x * (1 - class_row.widest)
    buying = x if x >= 0 else x * (1 + class_row.buy_spread)
    kept_of_sale = 1.0 if x >= 0 else 1 - class_row.widest
    paid_for_buy = 1.0 if x >= 0 else 1 + class_row.buy_spread
    sold, rising, sell_value = sell_branch(work, c, selling, per_cost)
    if sold > 0 and not class_row.is_two_way:
        return sold, 0.0, rising * kept_of_sale * kept_of_sale, sell_value
    bought, falling, buy_value = buy_branch(work, c, buying, per_cost)
    if sold > 0 and bought > 0:
        if buy_value < sell_value:
            sold = 0.0
        else:
            bought = 0.0
    if bought > 0:
        return 0.0, bought, falling * paid_for_buy * paid_for_buy, buy_value
    return sold, 0.0, rising * kept_of_sale * kept_of_sale, sell_value


@compile_inner
def excess_at(work: Workspace, account: int, x: float) -> tuple[float, float]:
    """``F`` at ``x``, usd, and its slope to the right of it."""
    account_row = work.accounts[account]
    per_cost = account_row.nav / account_row.tracking_penalty
    over = account_row.cash - max(account_row.cash_target - x, 0.0)
    slope = 1.0 if x < account_row.cash_target else 0.0
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        sold, bought, rising, _ = class_at(work, c, x, per_cost)
        if x >= 0:
            over += sold - bought
        else:
            over += sold * (1 - class_row.widest) - bought * (1 + class_row.buy_spread)
        slope += rising
    return over, slope


@compile_inner
def last_breakpoint(work: Workspace, account: int) -> float:
    """Where ``F`` stops to rise."""
    account_row = work.accounts[account]
    per_cost = account_row.nav / account_row.tracking_penalty
    last = max(account_row.cash_target, 0.0)
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        before = class_row.target - class_row.value
        last = max(last, before - class_row.now * per_cost)
        dearest, reached = 0.0, 0.0
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            if lot_row.reach > 0:
                reached += lot_row.reach
                dearest = lot_row.now
        last = max(last, dearest * per_cost + before + reached)
    return float(last)


@compile_inner
def bracket_price(work: Workspace, account: int) -> tuple[float, float, float, bool]:
    """Prices of cash between which ``F`` crosses 0 (the same where it is 0), the shortfall in usd, and whether it jumps there."""
    account_row = work.accounts[account]
    low, high, x = -np.inf, np.inf, min(account_row.cash_target, 0.0)
    for number in range(MOST_STEPS):
        over, rising = excess_at(work, account, x)
        if abs(over) <= EXACT * account_row.nav:
            return x, x, 0.0, False
        if over < 0:
            low = x
        else:
            high = x
        step = x - over / rising if rising > 0 else np.inf
        is_bracketed = np.isfinite(low) and np.isfinite(high)
        if is_bracketed and high - low <= EXACT * account_row.nav:
            return low, high, 0.0, True
        if low < step < high and not (is_bracketed and number % HALVED == 0):
            x = step
        elif is_bracketed:
            x = 0.5 * (low + high)
        elif over > 0:
            x = account_row.cash_target - 1.0  # cash itself rises here
        elif x < last_breakpoint(work, account):
            x = last_breakpoint(work, account)
        elif over > -ROUNDING * account_row.nav:
            return x, x, 0.0, False
        else:
            return np.inf, np.inf, -over, False
    return low, high, 0.0, True


@compile_inner
def trade_at(work: Workspace, account: int, x: float) -> None:
    """Fill ``sold_usd`` of the lots and ``bought_usd`` of the classes with the clips at the price ``x``."""
    account_row = work.accounts[account]
    per_cost = account_row.nav / account_row.tracking_penalty
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        sold, bought, _, _ = class_at(work, c, x, per_cost)
        class_row.bought_usd = bought
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            lot_row.sold_usd = min(lot_row.reach, sold)
            sold -= lot_row.sold_usd


@compile_inner
def trade_within_cash(work: Workspace, account: int) -> float:
    """Fill in the trades at which cash raised is cash used, at the prices in force; the shortfall, usd (0: none).

    Where ``F`` jumps over 0 they are a mixture of those on either side.
    """
    account_row = work.accounts[account]
    low, high, shortfall, is_jump = bracket_price(work, account)
    account_row.x = 0.5 * (low + high) if low < 0 < high else high
    if shortfall > 0:
        return float(shortfall)
    trade_at(work, account, high)
    if is_jump:
        above, _ = excess_at(work, account, high)
        below, _ = excess_at(work, account, low)
        set_aside(work, account, account + 1, AT_JUMP)
        trade_at(work, account, low)
        mix_aside(work, account, account + 1, AT_JUMP, -below / (above - below) if above > below else 1.0)
    return 0.0


@compile_inner
def value_at(work: Workspace, account: int, x: float) -> float:
    """Value, usd, of the dual at the prices in force and ``x``; what prices of gains and turnover are paid on is not in it."""
    account_row = work.accounts[account]
    k = account_row.tracking_penalty / account_row.nav
    cash = max(account_row.cash_target - x, 0.0)
    value = 0.5 * k * (cash - account_row.cash_target) ** 2 + k * x * (cash - account_row.cash)
    for c in range(account_row.first, account_row.last):
        selling = x if x >= 0 else x * (1 - work.classes[c].widest)
        buying = x if x >= 0 else x * (1 + work.classes[c].buy_spread)
        _, _, sell_value = sell_branch(work, c, selling, 1 / k)
        _, _, buy_value = buy_branch(work, c, buying, 1 / k)
        value += min(sell_value, buy_value)
    return float(value)
