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
from tasks.core.solver.workspace import Workspace, compile_inner

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


@compile_inner
def swap_lots(work: Workspace, i: int, j: int) -> None:
    """Exchange two lots."""
    spare = len(work.lots) - 1
    work.lots[spare] = work.lots[i]
    work.lots[i] = work.lots[j]
    work.lots[j] = work.lots[spare]


@compile_inner
def price(work: Workspace, account: int, at: Optimum) -> None:
    """Put the prices in ``at`` on lots and purchases, and sort each class's lots by them (ties: as they stood)."""
    account_row = work.accounts[account]
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        class_row.buy_cost = class_row.buy_base + at.turnover_price
        first, last = class_row.first, class_row.last
        for lot in range(first, last):
            lot_row = work.lots[lot]
            rate = at.short_rate if lot_row.is_short else at.long_rate
            lot_row.cost = lot_row.base + (rate + at.gain_price) * lot_row.gain + at.turnover_price
        for i in range(first + 1, last):
            j = i
            while j > first and (
                work.lots[j - 1].cost > work.lots[j].cost
                or (work.lots[j - 1].cost == work.lots[j].cost and work.lots[j - 1].home > work.lots[j].home)
            ):
                swap_lots(work, j - 1, j)
                j -= 1


@compile_inner
def prices_only(short_rate: float, long_rate: float, gain_price: float, turnover_price: float) -> Optimum:
    """Prices on the coupled sums, without an answer yet."""
    return Optimum(
        shortfall=0.0,
        mu=0.0,
        value=0.0,
        bound=0.0,
        short_rate=short_rate,
        long_rate=long_rate,
        gain_price=gain_price,
        turnover_price=turnover_price,
    )


@compile_inner
def shortfall_only(shortfall: float) -> Optimum:
    """No answer: cash owed that cannot be raised, usd."""
    return Optimum(
        shortfall=shortfall,
        mu=0.0,
        value=0.0,
        bound=0.0,
        short_rate=0.0,
        long_rate=0.0,
        gain_price=0.0,
        turnover_price=0.0,
    )


@compile_inner
def is_within(work: Workspace, account: int) -> bool:
    """Whether the trades in the workspace keep the gain budget and the turnover limit."""
    account_row = work.accounts[account]
    if np.isinf(account_row.gain) and np.isinf(account_row.turnover):
        return True
    gain, traded = 0.0, 0.0
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        traded += class_row.bought_usd
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            traded += lot_row.sold_usd
            gain += lot_row.gain * lot_row.sold_usd
    slack = NEAR_ZERO * account_row.nav
    return bool(gain <= account_row.gain + slack and traded <= account_row.turnover + slack)


@compile_inner
def dual_value(work: Workspace, account: int, x: float, at: Optimum) -> float:
    """Lower bound, usd, from the kernel's optimum (in the workspace) at the prices in ``at``, which the book now has."""
    account_row = work.accounts[account]
    mu = x * account_row.tracking_penalty / account_row.nav
    if x >= 0:
        bound = objective(work, account, cash_before_costs(work, account))
    else:
        bound = bound_with_costs_paid(work, account, mu)
    short, long = account_row.short_before, account_row.long_before
    if account_row.short_rate > 0 or account_row.long_rate > 0:
        bound += at.short_rate * short + at.long_rate * long
        bound -= tax_on(short, long, account_row.short_rate, account_row.long_rate)
    if at.gain_price > 0:
        bound -= at.gain_price * account_row.gain
    if at.turnover_price > 0:
        bound -= at.turnover_price * account_row.turnover
    return bound


@compile_inner
def optimum_at_ends(work: Workspace, account: int, side: int) -> tuple[Optimum, bool]:
    """The optimum of one convex problem where its prices are at their ends; whether they are."""
    account_row = work.accounts[account]
    a_end, b_end = price_ends(work, account, side)
    tolerance = NEAR_ZERO * account_row.nav
    is_hi_short = account_row.short_rate >= account_row.long_rate
    hi = account_row.short_before if is_hi_short else account_row.long_before
    a = a_end if hi >= 0 else 0.0
    b = b_end if account_row.short_before + account_row.long_before >= 0 else 0.0
    found = prices_only(0.0, 0.0, 0.0, 0.0)
    for _ in range(TRIES):
        short_rate, long_rate = rates_at(work, account, a, b)
        found = prices_only(short_rate, long_rate, 0.0, 0.0)
        price(work, account, found)
        x, shortfall = price_of_cash(work, account)
        if shortfall > 0:
            return shortfall_only(shortfall), True
        trade_at(work, account, x)
        short, long = net_gains(work, account)
        is_a_right = is_settled(a, a_end, short if is_hi_short else long, tolerance)
        is_b_right = is_settled(b, b_end, short + long, tolerance)
        if not is_within(work, account):
            return found, False
        if is_a_right and is_b_right:
            mu = x * account_row.tracking_penalty / account_row.nav
            value = continuous_objective(work, account, account + 1)
            bound = dual_value(work, account, x, found)
            found = Optimum(
                shortfall=0.0,
                mu=mu,
                value=value,
                bound=bound,
                short_rate=short_rate,
                long_rate=long_rate,
                gain_price=0.0,
                turnover_price=0.0,
            )
            return found, True
        if not is_a_right:
            a = 0.0 if a > 0 else a_end
        if not is_b_right:
            b = 0.0 if b > 0 else b_end
    return found, False
