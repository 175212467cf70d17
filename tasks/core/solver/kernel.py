"""The exact rebalance of one account, before whole units: a clip for each lot and class, one price of cash.

One account has classes c with value ``V_c``, destination ``T_c`` and one security to buy at a cost of ``h_c`` per dollar up
to ``m_c``; lots l with value ``u_l`` that may be sold at a cost ``g_l`` per dollar (half spread plus tax, lowest first within a
class); and cash ``K0`` beyond its reserve, to become ``K >= 0``. With ``k = kappa / NAV`` minimise

    k/2 * [ sum_c (V_c - sum_l q_l + b_c - T_c)^2 + (K - T_cash)^2 ] + sum_l g_l q_l + sum_c h_c b_c
    subject to  K = K0 + sum_l q_l - sum_c b_c,   0 <= q_l <= u_l,   0 <= b_c <= m_c,   K >= 0.

Given a multiplier ``mu`` for the cash equation (the account's price of cash) the problem falls apart, and each part is a
parabola cut at its bounds. In dollars, with ``x = mu / k``:

    q_l = clip(x - start_l, 0, u_l),   start_l = g_l / k + T_c - V_c + (what can be sold of the lots before l)
    b_c = clip(T_c - V_c - h_c / k - x, 0, m_c)
    K   = max(T_cash - x, 0)

``F(x) = K0 + sum q - sum b - K`` is piecewise linear and never falls, each part adding slope 0 or 1 between two
breakpoints. A Newton step from any point of the segment that holds its zero ends on the zero itself; from elsewhere it leads
on to another segment, some four in all, kept between a point where ``F`` is negative and one where it is not and halved now
and then, so that it ends. That ``x`` satisfies the Karush-Kuhn-Tucker conditions of a convex problem, so it is the optimum,
in O(L) a step. ``F`` negative to the right of every breakpoint: the cash owed cannot be raised.

Assumptions: ``g_l + h_c >= 0`` in every class, so that no class buys and sells at once; lots of a class sorted by ``g_l``.
Costs enter the objective here and the cash when orders are cut to whole units (``whole_units``).

Known limits: one security bought per class; a lot bought back within the wash-sale window is the rules' concern.
"""

from typing import Final

import numpy as np

from tasks.core.solver.workspace import Workspace, compile_inner

ROUNDING: Final = 1e-9
"""Share of NAV: a shortfall this small is rounding noise."""
EXACT: Final = 1e-13
"""Share of NAV: an excess this small is zero."""
MOST_STEPS: Final = 250
HALVED: Final = 5
"""Every so many steps the bracket is halved whatever Newton says."""


@compile_inner
def excess_at(work: Workspace, account: int, x: float) -> tuple[float, float]:
    """``F`` at ``x``, usd, and its slope to the right of it."""
    account_row = work.accounts[account]
    per_cost = account_row.nav / account_row.tracking_penalty
    over = account_row.cash - max(account_row.cash_target - x, 0.0)
    rising = 1.0 if x < account_row.cash_target else 0.0
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        gap = class_row.target - class_row.value
        wish = gap - class_row.buy_cost * per_cost - x
        if wish > 0 and class_row.open_cap > 0:
            over -= min(wish, class_row.open_cap)
            rising += 1.0 if wish <= class_row.open_cap else 0.0
        before = gap - x
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            wish = -(lot_row.cost * per_cost + before)
            if wish >= 0 and lot_row.open_cap > 0:
                over += min(wish, lot_row.open_cap)
                rising += 1.0 if wish < lot_row.open_cap else 0.0
            before += lot_row.open_cap
    return over, rising


@compile_inner
def last_breakpoint(work: Workspace, account: int) -> float:
    """Where ``F`` stops to rise."""
    account_row = work.accounts[account]
    per_cost = account_row.nav / account_row.tracking_penalty
    last = account_row.cash_target
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        before = class_row.target - class_row.value
        last = max(last, before - class_row.buy_cost * per_cost)
        for lot in range(class_row.first, class_row.last):
            before += work.lots[lot].open_cap
            last = max(last, work.lots[lot].cost * per_cost + before)
    return float(last)


@compile_inner
def price_of_cash(work: Workspace, account: int) -> tuple[float, float]:
    """``x = mu / k`` where cash raised equals cash used, and the shortfall in usd (then x is +inf)."""
    account_row = work.accounts[account]
    low, high, x = -np.inf, np.inf, min(account_row.cash_target, 0.0)
    for number in range(MOST_STEPS):
        over, rising = excess_at(work, account, x)
        if abs(over) <= EXACT * account_row.nav:
            break
        if over < 0:
            low = x
        else:
            high = x
        step = x - over / rising if rising > 0 else np.inf
        is_bracketed = np.isfinite(low) and np.isfinite(high)
        if low < step < high and not (is_bracketed and number % HALVED == 0):
            x = step
        elif is_bracketed:
            x = 0.5 * (low + high)
        elif over > 0:
            x = account_row.cash_target - 1.0  # cash itself rises here
        elif x < last_breakpoint(work, account):
            x = last_breakpoint(work, account)
        elif over > -ROUNDING * account_row.nav:
            break
        else:
            return np.inf, -over
    return x, 0.0


@compile_inner
def trade_at(work: Workspace, account: int, x: float) -> None:
    """Fill ``sold_usd`` of the lots and ``bought_usd`` of the classes with the clips at the price ``x``."""
    account_row = work.accounts[account]
    per_cost = account_row.nav / account_row.tracking_penalty
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        gap = class_row.target - class_row.value
        class_row.bought_usd = min(max(gap - class_row.buy_cost * per_cost - x, 0.0), class_row.open_cap)
        before = 0.0
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            start = lot_row.cost * per_cost + gap + before
            lot_row.sold_usd = min(max(x - start, 0.0), lot_row.open_cap)
            before += lot_row.open_cap


@compile_inner
def objective(work: Workspace, account: int, cash: float) -> float:
    """What is minimised, in usd, at the trades in the workspace and the final ``cash``."""
    account_row = work.accounts[account]
    squares = (cash - account_row.cash_target) ** 2
    paid = 0.0
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        value = class_row.value + class_row.bought_usd
        paid += class_row.buy_cost * class_row.bought_usd
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            value -= lot_row.sold_usd
            paid += lot_row.cost * lot_row.sold_usd
        squares += (value - class_row.target) ** 2
    return float(0.5 * account_row.tracking_penalty / account_row.nav * squares + paid)


@compile_inner
def cash_before_costs(work: Workspace, account: int) -> float:
    """Cash after the trades in the workspace if they cost nothing."""
    account_row = work.accounts[account]
    cash = account_row.cash
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        cash -= class_row.bought_usd
        for lot in range(class_row.first, class_row.last):
            cash += work.lots[lot].sold_usd
    return float(cash)


@compile_inner
def bound_with_costs_paid(work: Workspace, account: int, mu: float) -> float:
    """Lagrangian dual, usd, at ``mu < 0`` of the problem in which ``K = K0 + sum (1 - s) q - sum (1 + h) b``.

    A class either sells or buys. Its lots are priced with the widest spread among them, which keeps their order and can
    only lower the bound.
    """
    account_row = work.accounts[account]
    k = account_row.tracking_penalty / account_row.nav
    bound = mu * (account_row.cash_target - account_row.cash) - 0.5 * mu * mu / k
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        gap = class_row.value - class_row.target
        price = class_row.buy_cost + mu * (1 + class_row.buy_spread)
        bought = min(max(-gap - price / k, 0.0), class_row.buy_cap)
        buying = 0.5 * k * (gap + bought) ** 2 + price * bought
        widest = 0.0
        for lot in range(class_row.first, class_row.last):
            widest = max(widest, work.lots[lot].spread)
        left, paid = gap, 0.0
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            price = lot_row.cost - mu * (1 - widest)
            sold = min(max(left - price / k, 0.0), lot_row.cap)
            left, paid = left - sold, paid + price * sold
        bound += min(buying, 0.5 * k * left * left + paid)
    return float(bound)
