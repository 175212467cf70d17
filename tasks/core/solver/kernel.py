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

from tasks.core.solver.workspace import Workspace, compiled

ROUNDING: Final = 1e-9
"""Share of NAV: a shortfall this small is rounding noise."""
EXACT: Final = 1e-13
"""Share of NAV: an excess this small is zero."""
MOST_STEPS: Final = 250
HALVED: Final = 5
"""Every so many steps the bracket is halved whatever Newton says."""


@compiled
def excess_at(desk: Workspace, account: int, x: float) -> tuple[float, float]:
    """``F`` at ``x``, usd, and its slope to the right of it."""
    an_account = desk.accounts[account]
    per_cost = an_account.nav / an_account.tracking_penalty
    over = an_account.cash - max(an_account.cash_target - x, 0.0)
    rising = 1.0 if x < an_account.cash_target else 0.0
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        gap = a_class.target - a_class.value
        wish = gap - a_class.buy_cost * per_cost - x
        if wish > 0 and a_class.open_cap > 0:
            over -= min(wish, a_class.open_cap)
            rising += 1.0 if wish <= a_class.open_cap else 0.0
        before = gap - x
        for lot in range(a_class.first, a_class.last):
            a_lot = desk.lots[lot]
            wish = -(a_lot.cost * per_cost + before)
            if wish >= 0 and a_lot.open_cap > 0:
                over += min(wish, a_lot.open_cap)
                rising += 1.0 if wish < a_lot.open_cap else 0.0
            before += a_lot.open_cap
    return over, rising


@compiled
def last_breakpoint(desk: Workspace, account: int) -> float:
    """Where ``F`` stops to rise."""
    an_account = desk.accounts[account]
    per_cost = an_account.nav / an_account.tracking_penalty
    last = an_account.cash_target
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        before = a_class.target - a_class.value
        last = max(last, before - a_class.buy_cost * per_cost)
        for lot in range(a_class.first, a_class.last):
            before += desk.lots[lot].open_cap
            last = max(last, desk.lots[lot].cost * per_cost + before)
    return float(last)


@compiled
def price_of_cash(desk: Workspace, account: int) -> tuple[float, float]:
    """``x = mu / k`` where cash raised equals cash used, and the shortfall in usd (then x is +inf)."""
    an_account = desk.accounts[account]
    low, high, x = -np.inf, np.inf, min(an_account.cash_target, 0.0)
    for number in range(MOST_STEPS):
        over, rising = excess_at(desk, account, x)
        if abs(over) <= EXACT * an_account.nav:
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
            x = an_account.cash_target - 1.0  # cash itself rises here
        elif x < last_breakpoint(desk, account):
            x = last_breakpoint(desk, account)
        elif over > -ROUNDING * an_account.nav:
            break
        else:
            return np.inf, -over
    return x, 0.0


@compiled
def trade_at(desk: Workspace, account: int, x: float) -> None:
    """Fill ``sold_usd`` of the lots and ``bought_usd`` of the classes with the clips at the price ``x``."""
    an_account = desk.accounts[account]
    per_cost = an_account.nav / an_account.tracking_penalty
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        gap = a_class.target - a_class.value
        a_class.bought_usd = min(max(gap - a_class.buy_cost * per_cost - x, 0.0), a_class.open_cap)
        before = 0.0
        for lot in range(a_class.first, a_class.last):
            a_lot = desk.lots[lot]
            start = a_lot.cost * per_cost + gap + before
            a_lot.sold_usd = min(max(x - start, 0.0), a_lot.open_cap)
            before += a_lot.open_cap


@compiled
def objective(desk: Workspace, account: int, cash: float) -> float:
    """What is minimised, in usd, at the trades on the desk and the final ``cash``."""
    an_account = desk.accounts[account]
    squares = (cash - an_account.cash_target) ** 2
    paid = 0.0
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        value = a_class.value + a_class.bought_usd
        paid += a_class.buy_cost * a_class.bought_usd
        for lot in range(a_class.first, a_class.last):
            a_lot = desk.lots[lot]
            value -= a_lot.sold_usd
            paid += a_lot.cost * a_lot.sold_usd
        squares += (value - a_class.target) ** 2
    return float(0.5 * an_account.tracking_penalty / an_account.nav * squares + paid)


@compiled
def cash_before_costs(desk: Workspace, account: int) -> float:
    """Cash after the trades on the desk if they cost nothing."""
    an_account = desk.accounts[account]
    cash = an_account.cash
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        cash -= a_class.bought_usd
        for lot in range(a_class.first, a_class.last):
            cash += desk.lots[lot].sold_usd
    return float(cash)


@compiled
def bound_with_costs_paid(desk: Workspace, account: int, mu: float) -> float:
    """Lagrangian dual, usd, at ``mu < 0`` of the problem in which ``K = K0 + sum (1 - s) q - sum (1 + h) b``.

    A class either sells or buys. Its lots are priced with the widest spread among them, which keeps their order and can
    only lower the bound.
    """
    an_account = desk.accounts[account]
    k = an_account.tracking_penalty / an_account.nav
    bound = mu * (an_account.cash_target - an_account.cash) - 0.5 * mu * mu / k
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        gap = a_class.value - a_class.target
        price = a_class.buy_cost + mu * (1 + a_class.buy_spread)
        bought = min(max(-gap - price / k, 0.0), a_class.buy_cap)
        buying = 0.5 * k * (gap + bought) ** 2 + price * bought
        widest = 0.0
        for lot in range(a_class.first, a_class.last):
            widest = max(widest, desk.lots[lot].spread)
        left, paid = gap, 0.0
        for lot in range(a_class.first, a_class.last):
            a_lot = desk.lots[lot]
            price = a_lot.cost - mu * (1 - widest)
            sold = min(max(left - price / k, 0.0), a_lot.cap)
            left, paid = left - sold, paid + price * sold
        bound += min(buying, 0.5 * k * left * left + paid)
    return float(bound)
