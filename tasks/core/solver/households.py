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

from tasks.core.solver.coupled import Optimum, price, priced_at
from tasks.core.solver.household_bounds import dual_of_household
from tasks.core.solver.kernel import cash_before_costs
from tasks.core.solver.netting import OFFSET_SIDE, TAXED_SIDE, may_be, rates_at
from tasks.core.solver.objectives import continuous_objective
from tasks.core.solver.optimum import unraisable
from tasks.core.solver.programs import PRICES, solve_program
from tasks.core.solver.rounding import MAX_PASSES, bar_small, cash_floor, reopen_lots, to_units
from tasks.core.solver.units import take_stock
from tasks.core.solver.whole_units import spend_cash
from tasks.core.solver.workspace import Workspace, compiled

MOST_SIDES = 6
SWEEPS = 2


@compiled
def best_sides(desk: Workspace, accounts: int, sides: Any) -> tuple[float, Any]:
    """Choose the side of each account's tax (into ``sides``); the household's lower bound and the prices at the best."""
    open_sides = np.zeros(accounts, np.int64)
    count = 0
    for account in range(accounts):
        is_taxed_needed, is_offset_needed = may_be(desk, account)
        sides[account] = OFFSET_SIDE if is_offset_needed else TAXED_SIDE
        if is_taxed_needed and is_offset_needed:
            open_sides[count] = account
            count += 1
    tried = min(count, MOST_SIDES)
    best, bound, choice, prices = np.inf, np.inf, 0, np.zeros((accounts, PRICES))
    for number in range(2**tried + 1):
        is_again = number == 2**tried
        if is_again and tried == 0:
            break
        for i in range(tried):
            sides[open_sides[i]] = ((choice if is_again else number) >> i) & 1
        _, own, of_classes = solve_program(desk, 0, accounts, sides)
        bound = min(bound, dual_of_household(desk, 0, accounts, own, of_classes))
        value = continuous_objective(desk, 0, accounts)
        if value < best:
            best, choice, prices = value, number, own
    return (bound if count <= MOST_SIDES else -np.inf), prices


@compiled
def totals(desk: Workspace, accounts: int, held: Any) -> None:
    """Value of each class, and cash (last), after the trades on the desk; cash as if trades cost nothing."""
    held[:] = 0.0
    classes = len(held) - 1
    for account in range(accounts):
        for j in range(classes):
            c = desk.accounts[account].first + j
            held[j] += class_after(desk, c)
        held[classes] += cash_before_costs(desk, account)


@compiled
def class_after(desk: Workspace, c: int) -> float:
    """Value of a class of an account after the trades on the desk."""
    a_class = desk.classes[c]
    value = a_class.value + a_class.bought_usd
    for lot in range(a_class.first, a_class.last):
        value -= desk.lots[lot].sold_usd
    return float(value)


@compiled
def fold(desk: Workspace, account: int, held: Any, target: Any, own_cash: float) -> None:
    """Make an account's destinations what the others leave of the household's."""
    an_account = desk.accounts[account]
    classes = len(held) - 1
    for j in range(classes):
        c = an_account.first + j
        held[j] -= class_after(desk, c)
        desk.classes[c].target = target[j] - held[j]
    held[classes] -= own_cash
    an_account.cash_target = target[classes] - held[classes]


@compiled
def unfold(desk: Workspace, account: int, held: Any, target: Any, own_cash: float) -> None:
    """Count the account's position again, and put the household's destinations back."""
    an_account = desk.accounts[account]
    classes = len(held) - 1
    for j in range(classes):
        c = an_account.first + j
        held[j] += class_after(desk, c)
        desk.classes[c].target = target[j]
    held[classes] += own_cash
    an_account.cash_target = target[classes]


@compiled
def priced_member(desk: Workspace, account: int, own: Any) -> Optimum:
    """The household's prices as they bear on one account."""
    short_rate, long_rate = rates_at(desk, account, max(own[3], 0.0), max(own[4], 0.0))
    return priced_at(short_rate, long_rate, max(own[2], 0.0), max(own[1], 0.0))


@compiled
def cut_household(desk: Workspace, accounts: int, prices: Any) -> float:
    """Whole units of the continuous trades on the desk, account by account; the cash that is missing, usd."""
    first = desk.accounts[0].first
    classes = desk.accounts[0].last - first
    held, target = np.zeros(classes + 1), np.zeros(classes + 1)
    totals(desk, accounts, held)
    for j in range(classes):
        target[j] = desk.classes[first + j].target
    target[classes] = desk.accounts[0].cash_target
    missing = 0.0
    for sweep in range(SWEEPS):
        for account in range(accounts):
            row = desk.accounts[account]
            if row.shortfall > 0:
                continue
            fold(desk, account, held, target, cash_before_costs(desk, account) if sweep == 0 else row.cash_now)
            if sweep == 0:
                price(desk, account, priced_member(desk, account, prices[account]))
                missing += to_units(desk, account)
            take_stock(desk, account)
            spend_cash(desk, account, cash_floor(desk, account))
            unfold(desk, account, held, target, row.cash_now)
    return missing


@compiled
def note_household(desk: Workspace, accounts: int, bound: float, value: float, prices: Any) -> None:
    """Keep the continuous optimum for the certificate and for the reasons."""
    for account in range(accounts):
        row, own = desk.accounts[account], prices[account]
        at = priced_member(desk, account, own)
        row.lower_bound, row.optimum, row.shadow_price = bound, value, own[0]
        row.turnover_price, row.gain_price = at.turnover_price, at.gain_price
        row.short_at, row.long_at = at.short_rate, at.long_rate


@compiled
def reopen_owing(desk: Workspace, accounts: int) -> None:
    """Let accounts sell every lot again that could raise the cash they owe and, for what was barred, no longer can."""
    for account in range(accounts):
        if desk.accounts[account].shortfall == 0 and unraisable(desk, account) > 0:
            reopen_lots(desk, account)


@compiled
def solve_household(desk: Workspace, accounts: int, attempt: int) -> float:
    """Steps 1 to 3 within the bounds on the desk; the cash that is missing, usd. The first attempt keeps its optimum."""
    sides, prices = np.zeros(accounts, np.int64), np.zeros((accounts, PRICES))
    for number in range(attempt, MAX_PASSES + attempt):
        reopen_owing(desk, accounts)
        bound, prices = best_sides(desk, accounts, sides)
        if number == 0:
            note_household(desk, accounts, bound, continuous_objective(desk, 0, accounts), prices)
        is_small = False
        for account in range(accounts):
            is_small = bar_small(desk, account) or is_small
        if not is_small:
            break
    reopen_owing(desk, accounts)
    return cut_household(desk, accounts, prices)
