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
from tasks.core.solver.workspace import Workspace, compile_inner


@compile_inner
def begin(work: Workspace, accounts: int) -> float:
    """Open the bounds; the objective of doing nothing, usd. In a household an account that cannot raise the cash it owes stays out."""
    work.search[:] = 0
    for account in range(accounts):
        open_bounds(work, account)
        if accounts > 1:
            work.accounts[account].shortfall = unraisable(work, account)
            open_bounds(work, account)
        stay(work, account)
    return objective_reached(work, accounts)


@compile_inner
def is_traded(work: Workspace, account: int) -> bool:
    """Whether the account has an order."""
    account_row = work.accounts[account]
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        if class_row.bought != 0:
            return True
        for lot in range(class_row.first, class_row.last):
            if work.lots[lot].sold != 0:
                return True
    return False


@compile_inner
def finish(work: Workspace, accounts: int, idle: float, missing: float) -> None:
    """Keep the trades where they beat doing nothing or where cash is owed; write the answer."""
    is_owing = False
    for account in range(accounts):
        account_row = work.accounts[account]
        is_owing = is_owing or (account_row.cash < 0 and account_row.shortfall == 0)
    reached = objective_reached(work, accounts)
    is_kept = missing == 0 and (is_owing or reached < idle - IMPROVEMENT_OF_NAV * work.accounts[0].nav)
    for account in range(accounts):
        account_row = work.accounts[account]
        if not is_kept:
            stay(work, account)
        account_row.objective = reached if is_kept else idle
        account_row.cash_after = cash_after_costs(work, account)
        account_row.status = TRADED if is_traded(work, account) else STAYS
        if account_row.cash < 0 and missing > 0:
            account_row.shortfall = min(missing, -account_row.cash) if np.isfinite(missing) else -account_row.cash
        if account_row.shortfall > 0:
            account_row.status = CANNOT_RAISE_CASH


@compile_inner
def rebalance_group(work: Workspace, accounts: int) -> None:
    """The best whole-unit trades of the accounts in the workspace, with their certificate."""
    idle = begin(work, accounts)
    attempt, missing, is_again = 0, 0.0, True
    while is_again:
        missing = solve_within(work, 0, attempt) if accounts == 1 else solve_household(work, accounts, attempt)
        attempt = 1
        is_again, missing = next_try(work, accounts, missing)
    finish(work, accounts, idle, missing)
