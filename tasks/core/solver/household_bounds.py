"""The lower bound of a managed household by duality."""

from typing import Any

import numpy as np

from tasks.core.solver.netting import rates_at, tax_on
from tasks.core.solver.programs import CASH, GAIN_BUDGET, HI_GAIN, SUM_OF_GAINS, TURNOVER
from tasks.core.solver.workspace import Workspace, compile_inner


@compile_inner
def member_terms(work: Workspace, account: int, own: Any, of_classes: Any, paid_share: float) -> float:
    """An account's part of the dual at the prices ``own`` of its own rows (see ``programs``) and the classes' ``of_classes``, usd."""
    account_row = work.accounts[account]
    mu, turnover_price, gain_price = own[CASH], max(own[TURNOVER], 0.0), max(own[GAIN_BUDGET], 0.0)
    rs, rl = account_row.short_rate, account_row.long_rate
    short_rate, long_rate = rates_at(work, account, max(own[HI_GAIN], 0.0), max(own[SUM_OF_GAINS], 0.0))
    short, long = account_row.short_before, account_row.long_before
    is_out = account_row.shortfall > 0
    bound = (of_classes[len(of_classes) - 1] if is_out else -mu) * account_row.cash
    if rs > 0 or rl > 0:
        bound += short_rate * short + long_rate * long - tax_on(short, long, rs, rl)
    if turnover_price > 0:
        bound -= turnover_price * account_row.turnover
    if gain_price > 0:
        bound -= gain_price * account_row.gain
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        value = of_classes[c - account_row.first]
        if np.isfinite(class_row.open_cap):
            spread = class_row.buy_spread * paid_share
            reduced = class_row.buy_base + turnover_price + mu * (1 + spread) + value
            bound += min(reduced, 0.0) * class_row.open_cap
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            rate = short_rate if lot_row.is_short else long_rate
            spread = lot_row.spread * paid_share
            reduced = lot_row.base + (rate + gain_price) * lot_row.gain + turnover_price
            bound += min(reduced - mu * (1 - spread) - value, 0.0) * lot_row.open_cap
    return float(bound)


@compile_inner
def dual_of_household(work: Workspace, first: int, last: int, prices: Any, of_classes: Any) -> float:
    """Lower bound, usd, at each account's own prices and the price of every class, cash the last (``k`` times what it is over).

    With ``k y^2 / 2 >= v y - v^2 / (2 k)`` for every v, the Lagrangian falls apart into one clip a lot and purchase, so any prices
    give a bound; those without a limit to buy are raised until the bound is finite. Where cash has a negative price
    it is that of the problem whose costs are paid from cash (see ``kernel.bound_with_costs_paid``).
    """
    classes = work.accounts[first].last - work.accounts[first].first
    k = work.accounts[first].tracking_penalty / work.accounts[first].nav
    at = of_classes.copy()
    for account in range(first, last):
        mu = prices[account - first, CASH]
        at[classes] = max(at[classes], -mu)
        for j in range(classes):
            c = work.accounts[account].first + j
            if np.isinf(work.classes[c].open_cap):
                spread = work.classes[c].buy_spread if mu < 0 else 0.0
                cost = work.classes[c].buy_base + max(prices[account - first, TURNOVER], 0.0)
                at[j] = max(at[j], -(cost + mu * (1 + spread)))
    bound = -at[classes] * work.accounts[first].cash_target - at[classes] ** 2 / (2 * k)
    for j in range(classes):
        over = -work.classes[work.accounts[first].first + j].target
        for account in range(first, last):
            over += work.classes[work.accounts[account].first + j].value
        bound += at[j] * over - at[j] ** 2 / (2 * k)
    for account in range(first, last):
        own = prices[account - first]
        bound += member_terms(work, account, own, at, 1.0 if own[CASH] < 0 else 0.0)
    return float(bound)
