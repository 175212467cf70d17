"""The continuous optimum of one account whose trades may be coupled by tax that nets, a gain budget or a turnover limit.

Given prices on the coupled sums (``a`` and ``b`` of ``netting``, nu on the gain budget, rho on turnover) the problem is the
kernel's, with the prices added to what a lot or a purchase costs:

    lot       cost + (rate at the margin + nu) * gain + rho          purchase   cost + rho

1. Try the prices at their ends (each gain taxed, or none): mostly the kernel's first answer already stands.
2. Else an interior point finds the optimum and its prices (``programs``), and the kernel's optimum at those prices, plus what
   the prices are paid on, is the lower bound: by weak duality whatever the interior point did.
3. Where the lo term may end on either side of zero, both convex problems are solved and the better is taken; the lower of
   their bounds holds.

Lots are sorted by their price within their class while an account is at work.
"""

from typing import NamedTuple

import numpy as np

from tasks.core.solver.kernel import bound_with_costs_paid, cash_before_costs, objective, price_of_cash, trade_at
from tasks.core.solver.netting import NEAR_ZERO, is_settled, net_gains, price_ends, rates_at, tax_on
from tasks.core.solver.objectives import continuous_objective
from tasks.core.solver.workspace import Workspace, compiled

TRIES = 3
"""How often prices at their ends are tried."""


class Optimum(NamedTuple):
    """The continuous optimum of an account under its coupled sums."""

    shortfall: float
    """Cash owed that cannot be raised, usd (then the rest means nothing)."""
    mu: float
    value: float
    """Objective, usd, costs not paid from cash."""
    bound: float
    """No trades under the same rules have a lower objective, usd."""
    short_rate: float
    """What one more dollar of short-term gain costs."""
    long_rate: float
    gain_price: float
    """nu: what one more dollar of gain budget is worth."""
    turnover_price: float
    """rho: what one more dollar of turnover is worth."""


@compiled
def swap_lots(desk: Workspace, i: int, j: int) -> None:
    """Exchange two lots."""
    spare = len(desk.lots) - 1
    desk.lots[spare] = desk.lots[i]
    desk.lots[i] = desk.lots[j]
    desk.lots[j] = desk.lots[spare]


@compiled
def price(desk: Workspace, account: int, at: Optimum) -> None:
    """Put the prices in ``at`` on lots and purchases, and sort each class's lots by them (ties: as they stood)."""
    an_account = desk.accounts[account]
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        a_class.buy_cost = a_class.buy_base + at.turnover_price
        first, last = a_class.first, a_class.last
        for lot in range(first, last):
            a_lot = desk.lots[lot]
            rate = at.short_rate if a_lot.is_short else at.long_rate
            a_lot.cost = a_lot.base + (rate + at.gain_price) * a_lot.gain + at.turnover_price
        for i in range(first + 1, last):
            j = i
            while j > first and (
                desk.lots[j - 1].cost > desk.lots[j].cost
                or (desk.lots[j - 1].cost == desk.lots[j].cost and desk.lots[j - 1].home > desk.lots[j].home)
            ):
                swap_lots(desk, j - 1, j)
                j -= 1


@compiled
def priced_at(short_rate: float, long_rate: float, gain_price: float, turnover_price: float) -> Optimum:
    """Prices without an answer yet."""
    return Optimum(0.0, 0.0, 0.0, 0.0, short_rate, long_rate, gain_price, turnover_price)


@compiled
def is_within(desk: Workspace, account: int) -> bool:
    """Whether the trades on the desk keep the gain budget and the turnover limit."""
    an_account = desk.accounts[account]
    if np.isinf(an_account.gain) and np.isinf(an_account.turnover):
        return True
    gain, traded = 0.0, 0.0
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        traded += a_class.bought_usd
        for lot in range(a_class.first, a_class.last):
            a_lot = desk.lots[lot]
            traded += a_lot.sold_usd
            gain += a_lot.gain * a_lot.sold_usd
    slack = NEAR_ZERO * an_account.nav
    return bool(gain <= an_account.gain + slack and traded <= an_account.turnover + slack)


@compiled
def dual_value(desk: Workspace, account: int, x: float, at: Optimum) -> float:
    """Lower bound, usd, from the kernel's optimum (on the desk) at the prices in ``at``, which the book now has."""
    an_account = desk.accounts[account]
    mu = x * an_account.tracking_penalty / an_account.nav
    if x >= 0:
        bound = objective(desk, account, cash_before_costs(desk, account))
    else:
        bound = bound_with_costs_paid(desk, account, mu)
    short, long = an_account.short_before, an_account.long_before
    if an_account.short_rate > 0 or an_account.long_rate > 0:
        bound += at.short_rate * short + at.long_rate * long
        bound -= tax_on(short, long, an_account.short_rate, an_account.long_rate)
    if at.gain_price > 0:
        bound -= at.gain_price * an_account.gain
    if at.turnover_price > 0:
        bound -= at.turnover_price * an_account.turnover
    return bound


@compiled
def at_ends(desk: Workspace, account: int, side: int) -> tuple[Optimum, bool]:
    """The optimum of one convex problem where its prices are at their ends; whether they are."""
    an_account = desk.accounts[account]
    a_end, b_end = price_ends(desk, account, side)
    tolerance = NEAR_ZERO * an_account.nav
    is_hi_short = an_account.short_rate >= an_account.long_rate
    hi = an_account.short_before if is_hi_short else an_account.long_before
    a = a_end if hi >= 0 else 0.0
    b = b_end if an_account.short_before + an_account.long_before >= 0 else 0.0
    found = priced_at(0.0, 0.0, 0.0, 0.0)
    for _ in range(TRIES):
        short_rate, long_rate = rates_at(desk, account, a, b)
        found = priced_at(short_rate, long_rate, 0.0, 0.0)
        price(desk, account, found)
        x, shortfall = price_of_cash(desk, account)
        if shortfall > 0:
            return Optimum(shortfall, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), True
        trade_at(desk, account, x)
        short, long = net_gains(desk, account)
        is_a_right = is_settled(a, a_end, short if is_hi_short else long, tolerance)
        is_b_right = is_settled(b, b_end, short + long, tolerance)
        if not is_within(desk, account):
            return found, False
        if is_a_right and is_b_right:
            mu = x * an_account.tracking_penalty / an_account.nav
            value = continuous_objective(desk, account, account + 1)
            bound = dual_value(desk, account, x, found)
            return Optimum(0.0, mu, value, bound, short_rate, long_rate, 0.0, 0.0), True
        if not is_a_right:
            a = 0.0 if a > 0 else a_end
        if not is_b_right:
            b = 0.0 if b > 0 else b_end
    return found, False
