"""Managed households: the accounts of a household tracked together, each with its own cash; value never moves between accounts.

    minimise  kappa/(2 NAV) * [ sum_c (sum_a value_ac - T_c)^2 + (sum_a K_a - T_cash)^2 ] + costs and taxes of each account

1. The continuous optimum of all its accounts together, by the interior point (``programs``); where the lo term of some
   account's tax may end on either side of zero, every choice of sides is solved and the best taken.
2. Its dual value at the prices found is the household's lower bound (``dual_of_household``).
3. Account by account, the others' positions folded into the destinations, the trades are cut to whole units as those of an
   account alone are, twice over, so that each account's cash is spent in view of what the others were cut to.
Assumptions: the accounts have the same classes in the same order, the household's NAV and destinations stand on each, and the
tracking penalty is the household's.

Known limits: whole units are found account by account, so a trade of two accounts that only pays together is missed; the
certificate shows what that leaves. Above ``MOST_SIDES`` accounts whose tax may end on either side, no bound is given (-inf).
"""

from typing import Any

import numpy as np

from tasks.core.solver.coupled import Optimum, price, prices_only
from tasks.core.solver.household_bounds import dual_of_household
from tasks.core.solver.kernel import cash_before_costs
from tasks.core.solver.netting import OFFSET_SIDE, TAXED_SIDE, needed_sides, rates_at
from tasks.core.solver.objectives import continuous_objective
from tasks.core.solver.optimum import unraisable
from tasks.core.solver.programs import CASH, GAIN_BUDGET, HI_GAIN, OWN_ROWS, SUM_OF_GAINS, TURNOVER, solve_program
from tasks.core.solver.rounding import MAX_PASSES, cash_floor, exclude_small, reopen_lots, to_units
from tasks.core.solver.units import update_totals
from tasks.core.solver.whole_units import spend_cash
from tasks.core.solver.workspace import Workspace, compile_inner

MOST_SIDES = 6
SWEEPS = 2


@compile_inner
def best_sides(work: Workspace, accounts: int, sides: Any) -> tuple[float, Any]:
    """Choose the side of each account's tax (into ``sides``); the household's lower bound and the prices at the best."""
    open_sides = np.zeros(accounts, np.int64)
    count = 0
    for account in range(accounts):
        is_taxed_needed, is_offset_needed = needed_sides(work, account)
        sides[account] = OFFSET_SIDE if is_offset_needed else TAXED_SIDE
        if is_taxed_needed and is_offset_needed:
            open_sides[count] = account
            count += 1
    tried = min(count, MOST_SIDES)
    best, bound, choice, prices = np.inf, np.inf, 0, np.zeros((accounts, OWN_ROWS))
    for number in range(2**tried + 1):
        is_again = number == 2**tried
        if is_again and tried == 0:
            break
        for i in range(tried):
            sides[open_sides[i]] = ((choice if is_again else number) >> i) & 1
        _, own, of_classes = solve_program(work, 0, accounts, sides)
        bound = min(bound, dual_of_household(work, 0, accounts, own, of_classes))
        value = continuous_objective(work, 0, accounts)
        if value < best:
            best, choice, prices = value, number, own
    return (bound if count <= MOST_SIDES else -np.inf), prices


@compile_inner
def totals(work: Workspace, accounts: int, held: Any) -> None:
    """Value of each class, and cash (last), after the trades in the workspace; cash as if trades cost nothing."""
    held[:] = 0.0
    classes = len(held) - 1
    for account in range(accounts):
        for j in range(classes):
            c = work.accounts[account].first + j
            held[j] += class_after(work, c)
        held[classes] += cash_before_costs(work, account)


@compile_inner
def class_after(work: Workspace, c: int) -> float:
    """Value of a class of an account after the trades in the workspace."""
    class_row = work.classes[c]
    value = class_row.value + class_row.bought_usd
    for lot in range(class_row.first, class_row.last):
        value -= work.lots[lot].sold_usd
    return float(value)


@compile_inner
def fold(work: Workspace, account: int, held: Any, target: Any, own_cash: float) -> None:
    """Make an account's destinations what the others leave of the household's."""
    account_row = work.accounts[account]
    classes = len(held) - 1
    for j in range(classes):
        c = account_row.first + j
        held[j] -= class_after(work, c)
        work.classes[c].target = target[j] - held[j]
    held[classes] -= own_cash
    account_row.cash_target = target[classes] - held[classes]


@compile_inner
def unfold(work: Workspace, account: int, held: Any, target: Any, own_cash: float) -> None:
    """Count the account's position again, and put the household's destinations back."""
    account_row = work.accounts[account]
    classes = len(held) - 1
    for j in range(classes):
        c = account_row.first + j
        held[j] += class_after(work, c)
        work.classes[c].target = target[j]
    held[classes] += own_cash
    account_row.cash_target = target[classes]


@compile_inner
def member_prices(work: Workspace, account: int, own: Any) -> Optimum:
    """The household's prices as they bear on one account."""
    short_rate, long_rate = rates_at(work, account, max(own[HI_GAIN], 0.0), max(own[SUM_OF_GAINS], 0.0))
    return prices_only(short_rate, long_rate, max(own[GAIN_BUDGET], 0.0), max(own[TURNOVER], 0.0))


@compile_inner
def cut_household(work: Workspace, accounts: int, prices: Any) -> float:
    """Whole units of the continuous trades in the workspace, account by account; the cash that is missing, usd."""
    first = work.accounts[0].first
    classes = work.accounts[0].last - first
    held, target = np.zeros(classes + 1), np.zeros(classes + 1)
    totals(work, accounts, held)
    for j in range(classes):
        target[j] = work.classes[first + j].target
    target[classes] = work.accounts[0].cash_target
    missing = 0.0
    for sweep in range(SWEEPS):
        for account in range(accounts):
            account_row = work.accounts[account]
            if account_row.shortfall > 0:
                continue
            fold(work, account, held, target, cash_before_costs(work, account) if sweep == 0 else account_row.cash_now)
            if sweep == 0:
                price(work, account, member_prices(work, account, prices[account]))
                missing += to_units(work, account)
            update_totals(work, account)
            spend_cash(work, account, cash_floor(work, account))
            unfold(work, account, held, target, account_row.cash_now)
    return missing


@compile_inner
def note_household(work: Workspace, accounts: int, bound: float, value: float, prices: Any) -> None:
    """Keep the continuous optimum for the certificate and for the reasons."""
    for account in range(accounts):
        account_row, own = work.accounts[account], prices[account]
        at = member_prices(work, account, own)
        account_row.lower_bound, account_row.optimum, account_row.shadow_price = bound, value, own[CASH]
        account_row.turnover_price, account_row.gain_price = at.turnover_price, at.gain_price
        account_row.short_at, account_row.long_at = at.short_rate, at.long_rate


@compile_inner
def reopen_owing(work: Workspace, accounts: int) -> None:
    """Let accounts sell every lot again that could raise the cash they owe and, for what was excluded, no longer can."""
    for account in range(accounts):
        if work.accounts[account].shortfall == 0 and unraisable(work, account) > 0:
            reopen_lots(work, account)


@compile_inner
def solve_household(work: Workspace, accounts: int, attempt: int) -> float:
    """Steps 1 to 3 within the bounds in the workspace; the cash that is missing, usd. The first attempt keeps its optimum."""
    sides, prices = np.zeros(accounts, np.int64), np.zeros((accounts, OWN_ROWS))
    for number in range(attempt, MAX_PASSES + attempt):
        reopen_owing(work, accounts)
        bound, prices = best_sides(work, accounts, sides)
        if number == 0:
            note_household(work, accounts, bound, continuous_objective(work, 0, accounts), prices)
        is_small = False
        for account in range(accounts):
            is_small = exclude_small(work, account) or is_small
        if not is_small:
            break
    reopen_owing(work, accounts)
    return cut_household(work, accounts, prices)
