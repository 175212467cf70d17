"""One group of accounts from bounds to orders: an account alone, or the accounts of a managed household."""

import numpy as np

from tasks.core.solver.households import solve_household
from tasks.core.solver.objectives import objective_reached
from tasks.core.solver.optimum import unraisable
from tasks.core.solver.order_limits import next_try
from tasks.core.solver.rounding import open_bounds, solve_within, stay
from tasks.core.solver.solution import CANNOT_RAISE_CASH, STAYS, TRADED
from tasks.core.solver.units import cash_after_costs
from tasks.core.solver.whole_units import IMPROVEMENT_OF_NAV
from tasks.core.solver.workspace import Workspace, compiled


@compiled
def begin(desk: Workspace, accounts: int) -> float:
    """Open the bounds; the objective of doing nothing, usd. In a household an account that cannot raise the cash it owes stays out."""
    desk.search[:] = 0
    for account in range(accounts):
        open_bounds(desk, account)
        if accounts > 1:
            desk.accounts[account].shortfall = unraisable(desk, account)
            open_bounds(desk, account)
        stay(desk, account)
    return objective_reached(desk, accounts)


@compiled
def is_traded(desk: Workspace, account: int) -> bool:
    """Whether the account has an order."""
    an_account = desk.accounts[account]
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        if a_class.bought != 0:
            return True
        for lot in range(a_class.first, a_class.last):
            if desk.lots[lot].sold != 0:
                return True
    return False


@compiled
def finish(desk: Workspace, accounts: int, idle: float, missing: float) -> None:
    """Keep the trades where they beat doing nothing or where cash is owed; write the answer."""
    is_owing = False
    for account in range(accounts):
        an_account = desk.accounts[account]
        is_owing = is_owing or (an_account.cash < 0 and an_account.shortfall == 0)
    reached = objective_reached(desk, accounts)
    is_kept = missing == 0 and (is_owing or reached < idle - IMPROVEMENT_OF_NAV * desk.accounts[0].nav)
    for account in range(accounts):
        row = desk.accounts[account]
        if not is_kept:
            stay(desk, account)
        row.objective = reached if is_kept else idle
        row.cash_after = cash_after_costs(desk, account)
        row.status = TRADED if is_traded(desk, account) else STAYS
        if row.cash < 0 and missing > 0:
            row.shortfall = min(missing, -row.cash) if np.isfinite(missing) else -row.cash
        if row.shortfall > 0:
            row.status = CANNOT_RAISE_CASH


@compiled
def rebalance_group(desk: Workspace, accounts: int) -> None:
    """The best whole-unit trades of the accounts on the desk, with their certificate."""
    idle = begin(desk, accounts)
    attempt, missing, is_again = 0, 0.0, True
    while is_again:
        missing = solve_within(desk, 0, attempt) if accounts == 1 else solve_household(desk, accounts, attempt)
        attempt = 1
        is_again, missing = next_try(desk, accounts, missing)
    finish(desk, accounts, idle, missing)
