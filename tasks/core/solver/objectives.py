"""What is minimised, at the trades on the desk: for one account, and for accounts tracked together."""

from typing import Any

import numpy as np

from tasks.core.solver.kernel import cash_before_costs
from tasks.core.solver.netting import added_tax
from tasks.core.solver.units import cash_after_costs
from tasks.core.solver.workspace import Workspace, compiled


@compiled
def objective_of(desk: Workspace, first: int, last: int, cash: Any) -> float:
    """What is minimised, usd, at the trades on the desk and each account's final ``cash`` (NaN: as if trades cost nothing)."""
    classes = desk.accounts[first].last - desk.accounts[first].first
    over = np.zeros(classes + 1)
    paid = 0.0
    for account in range(first, last):
        paid += added_tax(desk, account)
        for j in range(classes):
            c = desk.accounts[account].first + j
            over[j] += desk.classes[c].value + desk.classes[c].bought_usd
            paid += desk.classes[c].buy_base * desk.classes[c].bought_usd
            for lot in range(desk.classes[c].first, desk.classes[c].last):
                a_lot = desk.lots[lot]
                over[j] -= a_lot.sold_usd
                paid += a_lot.base * a_lot.sold_usd
        own = cash[account - first]
        over[classes] += cash_before_costs(desk, account) if np.isnan(own) else own
    squares = (over[classes] - desk.accounts[first].cash_target) ** 2
    for j in range(classes):
        squares += (over[j] - desk.classes[desk.accounts[first].first + j].target) ** 2
    return float(0.5 * desk.accounts[first].tracking_penalty / desk.accounts[first].nav * squares + paid)


@compiled
def continuous_objective(desk: Workspace, first: int, last: int) -> float:
    """The objective, usd, as if trades cost no cash."""
    return objective_of(desk, first, last, np.full(last - first, np.nan))


@compiled
def objective_reached(desk: Workspace, accounts: int) -> float:
    """The objective, usd, with costs paid from cash."""
    cash = np.zeros(accounts)
    for account in range(accounts):
        cash[account] = cash_after_costs(desk, account)
    return objective_of(desk, 0, accounts, cash)
