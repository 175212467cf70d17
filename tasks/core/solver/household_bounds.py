"""The lower bound of a managed household by duality."""

from typing import Any

import numpy as np

from tasks.core.solver.netting import rates_at, tax_on
from tasks.core.solver.workspace import Workspace, compiled


@compiled
def member_terms(desk: Workspace, account: int, at: Any, of_classes: Any, paid_share: float) -> float:
    """An account's part of the dual at its prices ``at`` (see ``programs``) and the classes' ``of_classes``, usd."""
    an_account = desk.accounts[account]
    mu, turnover_price, gain_price = at[0], max(at[1], 0.0), max(at[2], 0.0)
    rs, rl = an_account.short_rate, an_account.long_rate
    short_rate, long_rate = rates_at(desk, account, max(at[3], 0.0), max(at[4], 0.0))
    short, long = an_account.short_before, an_account.long_before
    is_out = an_account.shortfall > 0
    bound = (of_classes[len(of_classes) - 1] if is_out else -mu) * an_account.cash
    if rs > 0 or rl > 0:
        bound += short_rate * short + long_rate * long - tax_on(short, long, rs, rl)
    if turnover_price > 0:
        bound -= turnover_price * an_account.turnover
    if gain_price > 0:
        bound -= gain_price * an_account.gain
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        value = of_classes[c - an_account.first]
        if np.isfinite(a_class.open_cap):
            spread = a_class.buy_spread * paid_share
            reduced = a_class.buy_base + turnover_price + mu * (1 + spread) + value
            bound += min(reduced, 0.0) * a_class.open_cap
        for lot in range(a_class.first, a_class.last):
            a_lot = desk.lots[lot]
            rate = short_rate if a_lot.is_short else long_rate
            spread = a_lot.spread * paid_share
            reduced = a_lot.base + (rate + gain_price) * a_lot.gain + turnover_price
            bound += min(reduced - mu * (1 - spread) - value, 0.0) * a_lot.open_cap
    return float(bound)


@compiled
def dual_of_household(desk: Workspace, first: int, last: int, prices: Any, of_classes: Any) -> float:
    """Lower bound, usd, at each account's own prices and the price of every class, cash the last (``k`` times what it is over).

    With ``k y^2 / 2 >= v y - v^2 / (2 k)`` for every v, the Lagrangian falls apart into one clip a lot and purchase, so any prices
    give a bound; those without a limit to buy are raised until the bound is finite. Where cash has a negative price
    it is that of the problem whose costs are paid from cash (see ``kernel.bound_with_costs_paid``).
    """
    classes = desk.accounts[first].last - desk.accounts[first].first
    k = desk.accounts[first].tracking_penalty / desk.accounts[first].nav
    at = of_classes.copy()
    for account in range(first, last):
        mu = prices[account - first, 0]
        at[classes] = max(at[classes], -mu)
        for j in range(classes):
            c = desk.accounts[account].first + j
            if np.isinf(desk.classes[c].open_cap):
                spread = desk.classes[c].buy_spread if mu < 0 else 0.0
                cost = desk.classes[c].buy_base + max(prices[account - first, 1], 0.0)
                at[j] = max(at[j], -(cost + mu * (1 + spread)))
    bound = -at[classes] * desk.accounts[first].cash_target - at[classes] ** 2 / (2 * k)
    for j in range(classes):
        over = -desk.classes[desk.accounts[first].first + j].target
        for account in range(first, last):
            over += desk.classes[desk.accounts[account].first + j].value
        bound += at[j] * over - at[j] ** 2 / (2 * k)
    for account in range(first, last):
        own = prices[account - first]
        bound += member_terms(desk, account, own, at, 1.0 if own[0] < 0 else 0.0)
    return float(bound)
