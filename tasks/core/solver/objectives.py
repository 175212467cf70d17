"""What is minimised, at the trades in the workspace: for one account, and for accounts tracked together."""

from typing import Any

import numpy as np

from tasks.core.solver.kernel import cash_before_costs
from tasks.core.solver.netting import added_tax
from tasks.core.solver.units import cash_after_costs
from tasks.core.solver.workspace import Workspace, compile_inner


@compile_inner
def objective_of(work: Workspace, first: int, last: int, cash: Any) -> float:
    """What is minimised, usd, at the trades in the workspace and each account's final ``cash`` (NaN: as if trades cost nothing)."""
    classes = work.accounts[first].last - work.accounts[first].first
    over = np.zeros(classes + 1)
    paid = 0.0
    for account in range(first, last):
        paid += added_tax(work, account)
        for j in range(classes):
            c = work.accounts[account].first + j
            over[j] += work.classes[c].value + work.classes[c].bought_usd
            paid += work.classes[c].buy_base * work.classes[c].bought_usd
            for lot in range(work.classes[c].first, work.classes[c].last):
                lot_row = work.lots[lot]
                over[j] -= lot_row.sold_usd
                paid += lot_row.base * lot_row.sold_usd
        own = cash[account - first]
        over[classes] += cash_before_costs(work, account) if np.isnan(own) else own
    squares = (over[classes] - work.accounts[first].cash_target) ** 2
    for j in range(classes):
        squares += (over[j] - work.classes[work.accounts[first].first + j].target) ** 2
    return float(0.5 * work.accounts[first].tracking_penalty / work.accounts[first].nav * squares + paid)


@compile_inner
def continuous_objective(work: Workspace, first: int, last: int) -> float:
    """The objective, usd, as if trades cost no cash."""
    return objective_of(work, first, last, np.full(last - first, np.nan))


@compile_inner
def objective_reached(work: Workspace, accounts: int) -> float:
    """The objective, usd, with costs paid from cash."""
    cash = np.zeros(accounts)
    for account in range(accounts):
        cash[account] = cash_after_costs(work, account)
    return objective_of(work, 0, accounts, cash)
