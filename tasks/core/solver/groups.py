"""One group of accounts from bounds to orders: an account alone, or the accounts of a managed household."""

import numpy as np

from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.households import cut_household, fewer_of_household, household_optimum
from tasks.core.solver.improve import IMPROVEMENT_OF_NAV, exchange_lots, improve
from tasks.core.solver.kernel import set_prices
from tasks.core.solver.optimum import continuous_optimum, unraisable
from tasks.core.solver.order_rules import fewest_of, orders_of
from tasks.core.solver.orders import cash_floor, close_order, open_bounds, round_off
from tasks.core.solver.positions import BUY, is_first_of_holding, objective_together, stay
from tasks.core.solver.solution import BELOW_IMPROVEMENT, CANNOT_RAISE_CASH, STAYS, TRADED
from tasks.core.solver.workspace import Workspace


@compile_inner
def begin(work: Workspace, accounts: int) -> float:
    """Open the bounds; the objective of doing nothing, usd. An account that cannot raise the cash it owes stays out."""
    for account in range(accounts):
        open_bounds(work, account)
        work.accounts[account].shortfall = unraisable(work, account)
        open_bounds(work, account)
        stay(work, account)
    return objective_together(work, accounts)


@compile_inner
def is_traded(work: Workspace, account: int) -> bool:
    """Whether the account has an order."""
    account_row = work.accounts[account]
    for c in range(account_row.first, account_row.last):
        if work.classes[c].bought != 0:
            return True
    for lot in range(account_row.first_lot, account_row.last_lot):
        if work.lots[lot].sold != 0:
            return True
    return False


@compile_inner
def say_why(work: Workspace, account: int) -> None:
    """Orders that were only made because they were raised to their least are dropped for it."""
    account_row = work.accounts[account]
    for c in range(account_row.first, account_row.last):
        if work.classes[c].is_held:
            work.classes[c].dropped = work.classes[c].is_held
    for lot in range(account_row.first_lot, account_row.last_lot):
        if work.lots[lot].is_held:
            work.lots[lot].dropped = work.lots[lot].is_held


@compile_inner
def finish(work: Workspace, accounts: int, idle: float, missing: float) -> None:
    """Keep the trades where they beat doing nothing, by as much as an order must be worth, or where cash is owed; write the answer.

    Its prices are those in force: of the optimum without the orders that were left out. Where no cash can be raised there are none.
    """
    is_owing = False
    for account in range(accounts):
        account_row = work.accounts[account]
        is_owing = is_owing or (account_row.cash < 0 and account_row.shortfall == 0)
    first = work.accounts[0]
    reached = objective_together(work, accounts)
    is_better = reached < idle - max(IMPROVEMENT_OF_NAV * first.nav, first.useful)
    is_kept = missing <= 0 and (is_owing or is_better)
    for account in range(accounts):
        account_row = work.accounts[account]
        if not is_kept:
            say_why(work, account)
            stay(work, account)
    reached = objective_together(work, accounts)
    for account in range(accounts):
        account_row = work.accounts[account]
        account_row.objective, account_row.cash_after = reached, account_row.cash_now
        account_row.status = TRADED if is_traded(work, account) else STAYS
        if account_row.cash < 0 and missing > 0:
            account_row.shortfall = min(missing, -account_row.cash) if np.isfinite(missing) else -account_row.cash
        if account_row.shortfall > 0:
            account_row.status, account_row.x = CANNOT_RAISE_CASH, 0.0
            set_prices(work, account, 0.0, 0.0, 0.0, 0.0)
        account_row.shadow_price = account_row.x * account_row.tracking_penalty / account_row.nav


@compile_inner
def solve_alone(work: Workspace) -> float:
    """An account by itself; what is missing, usd."""
    if work.accounts[0].shortfall > 0:
        return float(work.accounts[0].shortfall)
    missing, _, bound = continuous_optimum(work, 0)
    account_row = work.accounts[0]
    account_row.lower_bound, account_row.near = bound, bound
    if missing > 0:
        return missing
    left = orders_of(work, 0, round_off(work, 0))
    if left == 0:
        improve(work, 0, cash_floor(work, 0), True)
        exchange_lots(work, 0, cash_floor(work, 0))
        left = fewest_of(work, 0)
        exchange_lots(work, 0, cash_floor(work, 0))
    return left


@compile_inner
def weakest_class(work: Workspace, accounts: int) -> int:
    """The class of which the household trades the least part of what improves it enough; -1: each is enough."""
    first = work.accounts[0]
    least, at = 1 - 1e-9, -1
    for j in range(first.last - first.first):
        traded, wanted = 0.0, work.household_least[j]
        for account in range(accounts):
            class_row = work.classes[work.accounts[account].first + j]
            traded += class_row.sold_usd + class_row.bought_usd
        if wanted > 0 and 0 < traded / wanted < least:
            least, at = traded / wanted, j
    return at


@compile_inner
def close_class(work: Workspace, accounts: int, j: int) -> None:
    """Exclude every order of a class of the household."""
    for account in range(accounts):
        c = work.accounts[account].first + j
        close_order(work, c, BUY, BELOW_IMPROVEMENT)
        for lot in range(work.classes[c].first, work.classes[c].last):
            if is_first_of_holding(work, c, lot):
                close_order(work, c, work.lots[lot].security, BELOW_IMPROVEMENT)


@compile_inner
def solve_together(work: Workspace, accounts: int) -> None:
    """A household. Improvement is the household's: a class of which it trades too little is left out."""
    first = work.accounts[0]
    classes = first.last - first.first
    for j in range(classes):
        work.household_least[j] = 0.0
        for account in range(accounts):
            class_row = work.classes[work.accounts[account].first + j]
            work.household_least[j] = max(work.household_least[j], class_row.least)
            class_row.least = 0.0
    for account in range(accounts):
        work.accounts[account].slack /= accounts
    is_bounded = False
    for _ in range(classes + accounts + 1):
        bound, own = household_optimum(work, accounts)
        for account in range(accounts):
            if not is_bounded:
                work.accounts[account].lower_bound = bound
        is_bounded = cut_household(work, accounts, own)
        if not is_bounded:
            for account in range(accounts):
                open_bounds(work, account)
                stay(work, account)
        weakest = weakest_class(work, accounts) if is_bounded else -1
        if is_bounded and weakest < 0:
            break
        if weakest >= 0:
            close_class(work, accounts, weakest)
    fewer_of_household(work, accounts)


@compile_inner
def rebalance_group(work: Workspace, accounts: int) -> None:
    """The best whole-unit trades of the accounts in the workspace, with their certificate."""
    idle = begin(work, accounts)
    missing = 0.0
    if accounts == 1:
        missing = solve_alone(work)
    else:
        solve_together(work, accounts)
    finish(work, accounts, idle, missing)
