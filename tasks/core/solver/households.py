"""Managed households: the accounts of a household tracked together, each with its own cash; value never moves between accounts.

    minimise  kappa/(2 NAV) * [ sum_c (sum_a value_ac - T_c)^2 + (sum_a K_a - T_cash)^2 ] + costs and taxes of each account

1. The continuous optimum of all its accounts together, by the interior point (``programs``), each account's tax on one side of
   ``netting``; then each account alone, the others' positions folded into the destinations, is asked whether its other side is better,
   and where it is all is solved again.
2. The bound: at any prices of the classes and of cash the problem falls apart into accounts, and each one's part is the lesser of its
   two sides, at any prices of its own. Those of the interior point are taken for the side it solved; those at which the
   account alone is best for the other.
3. Account by account, folded, the trades are cut to whole units and improved as those of an account alone are, some times over, so
   that each account's cash is spent in view of what the others were cut to. An account whose trades cannot be rounded trades nothing;
   where it owes cash it stays out, in debt, and the others are solved without it, optimum and bound.

Assumptions: the accounts have the same classes in the same order, the household's NAV, destinations, room for losses and least
trades stand on each, and the tracking penalty is the household's.

Known limits: whole units are found account by account, so a trade of two accounts that only pays together is missed; the
certificate shows what that leaves.
"""

from typing import Any, Final

import numpy as np

from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.coupled import BUDGET, HI, SUM, SUMS, TURNOVER
from tasks.core.solver.household_bounds import (
    member_terms,
    raise_class_prices,
    raise_own_cash,
    raise_terms,
    shared_terms,
)
from tasks.core.solver.improve import exchange_lots, improve
from tasks.core.solver.kernel import set_prices
from tasks.core.solver.netting import OFFSET_SIDE, TAXED_SIDE, needed_sides, price_ends, rates_at
from tasks.core.solver.order_rules import fewest_of, orders_of
from tasks.core.solver.orders import cash_floor, round_off, solve_units
from tasks.core.solver.positions import net_out, refresh, stay
from tasks.core.solver.programs import CASH, GAIN_BUDGET, HI_GAIN, OWN_ROWS, SUM_OF_GAINS, solve_program
from tasks.core.solver.programs import TURNOVER as OWN_TURNOVER
from tasks.core.solver.sides import solve_side
from tasks.core.solver.workspace import Workspace, mix_aside, set_aside

SWEEPS: Final = 3
"""How often whole units of every account are improved."""
SIDE_ROUNDS: Final = 3
"""How often sides are chosen anew."""
WORTH_A_SIDE: Final = 1e-9
"""Share of NAV by which the other side must be better."""
OF_ASKED: Final = 5
"""Level at which trades are set aside while accounts are asked."""


@compile_inner
def class_after(work: Workspace, c: int) -> float:
    """Value of a class of an account after the trades in the workspace."""
    class_row = work.classes[c]
    value = class_row.value + class_row.bought_usd
    for lot in range(class_row.first, class_row.last):
        value -= work.lots[lot].sold_usd
    return float(value)


@compile_inner
def lost_of(work: Workspace, c: int) -> float:
    """Usd sold at a loss of a class of an account."""
    lost = 0.0
    for lot in range(work.classes[c].first, work.classes[c].last):
        if work.lots[lot].gain < 0:
            lost += work.lots[lot].sold_usd
    return lost


@compile_inner
def cash_of(work: Workspace, account: int, is_paid: bool) -> float:
    """An account's cash after the trades in the workspace, half spreads paid or not."""
    account_row = work.accounts[account]
    cash, part = account_row.cash, 1.0 if is_paid else 0.0
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        cash -= class_row.bought_usd * (1 + part * class_row.buy_spread)
        for lot in range(class_row.first, class_row.last):
            cash += work.lots[lot].sold_usd * (1 - part * work.lots[lot].spread)
    return float(cash)


@compile_inner
def fold(work: Workspace, accounts: int, account: int, target: Any, is_paid: bool) -> None:
    """Make an account's destinations, and its room for losses, what the others leave of the household's (``target``, cash the last)."""
    account_row = work.accounts[account]
    classes = len(target) - 1
    for j in range(classes):
        others, lost = 0.0, 0.0
        for other in range(accounts):
            if other != account:
                others += class_after(work, work.accounts[other].first + j)
                lost += lost_of(work, work.accounts[other].first + j)
        class_row = work.classes[account_row.first + j]
        class_row.target, class_row.share = target[j] - others, max(class_row.loss_room - lost, 0.0)
    account_row.cash_target = target[classes]
    for other in range(accounts):
        if other != account:
            account_row.cash_target -= cash_of(work, other, is_paid)


@compile_inner
def unfold(work: Workspace, account: int, target: Any) -> None:
    """Put the household's destinations back."""
    account_row = work.accounts[account]
    for j in range(len(target) - 1):
        class_row = work.classes[account_row.first + j]
        class_row.target, class_row.share = target[j], class_row.loss_room
    account_row.cash_target = target[len(target) - 1]


@compile_inner
def targets_of(work: Workspace) -> Any:
    """The household's destinations, cash the last."""
    first = work.accounts[0]
    target = np.zeros(first.last - first.first + 1)
    for j in range(len(target) - 1):
        target[j] = work.classes[first.first + j].target
    target[len(target) - 1] = first.cash_target
    return target


@compile_inner
def rows_of(prices: Any, mu: float, own: Any) -> None:
    """Prices in the order of ``coupled`` and of cash into an account's own rows as ``programs`` has them."""
    own[CASH], own[HI_GAIN], own[SUM_OF_GAINS] = mu, prices[HI], prices[SUM]
    own[GAIN_BUDGET], own[OWN_TURNOVER] = prices[BUDGET], prices[TURNOVER]


@compile_inner
def use_prices(work: Workspace, account: int, own: Any) -> None:
    """Put an account's own prices in force, which sorts its lots."""
    account_row = work.accounts[account]
    short_rate, long_rate = rates_at(work, account, max(own[HI_GAIN], 0.0), max(own[SUM_OF_GAINS], 0.0))
    set_prices(work, account, short_rate, long_rate, max(own[GAIN_BUDGET], 0.0), max(own[OWN_TURNOVER], 0.0))
    account_row.x = own[CASH] * account_row.nav / account_row.tracking_penalty


@compile_inner
def other_side(side: int) -> int:
    """The other side of ``netting``."""
    return TAXED_SIDE if side == OFFSET_SIDE else OFFSET_SIDE


@compile_inner
def choose_sides(work: Workspace, accounts: int, sides: Any, is_open: Any) -> None:
    """Begin on the side that each account's net gains would be on were nothing traded; mark those that may end on either."""
    for account in range(accounts):
        is_taxed_needed, is_offset_needed = needed_sides(work, account)
        is_open[account] = 1 if is_taxed_needed and is_offset_needed else 0
        sides[account] = OFFSET_SIDE if is_offset_needed else TAXED_SIDE
        if is_open[account]:
            account_row = work.accounts[account]
            is_lo_short = account_row.short_rate < account_row.long_rate
            lo = account_row.short_before if is_lo_short else account_row.long_before
            sides[account] = OFFSET_SIDE if lo < 0 else TAXED_SIDE


@compile_inner
def ask_accounts(work: Workspace, accounts: int, sides: Any, is_open: Any, others: Any) -> int:
    """Ask each account that may end on either side for its prices on the other; those that are better off there change. How many."""
    target, changed = targets_of(work), 0
    prices = np.zeros(SUMS)
    set_aside(work, 0, accounts, OF_ASKED)
    for account in range(accounts):
        if not is_open[account] or work.accounts[account].shortfall > 0:
            continue
        fold(work, accounts, account, target, False)
        missing, value, _ = solve_side(work, account, sides[account], prices)
        _, other, _ = solve_side(work, account, other_side(sides[account]), prices)
        account_row = work.accounts[account]
        mu = account_row.x * account_row.tracking_penalty / account_row.nav
        rows_of(prices, mu, others[account])
        unfold(work, account, target)
        mix_aside(work, account, account + 1, OF_ASKED, 1.0)
        if missing == 0 and other < value - WORTH_A_SIDE * account_row.nav:
            sides[account] = other_side(sides[account])
            changed += 1
    return changed


@compile_inner
def other_terms(
    work: Workspace, account: int, side: int, own: Any, asked: Any, of_classes: Any, of_losses: Any
) -> float:
    """An account's part of the dual on the side it was not solved on, usd: from the prices it was asked for, and from its own."""
    ends = np.zeros(OWN_ROWS)
    ends[HI_GAIN], ends[SUM_OF_GAINS] = price_ends(work, account, side)
    start = own.copy()
    for row in (HI_GAIN, SUM_OF_GAINS):
        start[row] = min(max(start[row], 0.0), ends[row])
    one = raise_terms(work, account, asked, ends, of_classes, of_losses)
    return max(one, raise_terms(work, account, start, ends, of_classes, of_losses))


@compile_inner
def household_optimum(work: Workspace, accounts: int) -> tuple[float, Any]:
    """Steps 1 and 2: fill in the continuous optimum; the household's lower bound, usd, and each account's prices."""
    sides, is_open = np.zeros(accounts, np.int64), np.zeros(accounts, np.int64)
    choose_sides(work, accounts, sides, is_open)
    others, bound = np.zeros((accounts, OWN_ROWS)), -np.inf
    own = np.zeros((accounts, OWN_ROWS))
    for number in range(SIDE_ROUNDS):
        _, own, of_classes, of_losses = solve_program(work, 0, accounts, sides)
        for c in range(work.accounts[accounts - 1].last):
            net_out(work, c, False)
        solved = sides.copy()
        changed = ask_accounts(work, accounts, sides, is_open, others)
        raise_class_prices(work, accounts, own, of_classes)
        for account in range(accounts):
            if is_open[account]:
                raise_own_cash(work, account, others, of_classes)
        found = shared_terms(work, accounts, of_classes, of_losses)
        for account in range(accounts):
            term = member_terms(work, account, own[account], of_classes, of_losses)
            if is_open[account]:
                term = min(
                    term,
                    other_terms(
                        work, account, other_side(solved[account]), own[account], others[account], of_classes, of_losses
                    ),
                )
            found += term
        bound = max(bound, found)
        if changed == 0:
            break
        if number == SIDE_ROUNDS - 1:
            sides[:] = solved
    return bound, own


@compile_inner
def leave_out(work: Workspace, account: int, left: float) -> bool:
    """Trade nothing in an account whose orders leave ``left`` usd broken; whether it stays out of the household, in debt."""
    account_row = work.accounts[account]
    if left <= 0:
        return False
    if account_row.cash < 0:
        account_row.shortfall = min(left, -account_row.cash) if np.isfinite(left) else -account_row.cash
    stay(work, account)
    refresh(work, account)
    return bool(account_row.shortfall > 0)


@compile_inner
def cut_household(work: Workspace, accounts: int, own: Any) -> bool:
    """Step 3; False where an account stays out that did not before: then the others are to be solved without it."""
    target = targets_of(work)
    for account in range(accounts):
        use_prices(work, account, own[account])
    for sweep in range(SWEEPS):
        for account in range(accounts):
            if work.accounts[account].shortfall > 0:
                continue
            fold(work, accounts, account, target, sweep > 0)
            is_out = False
            if sweep == 0:
                left = round_off(work, account)
                if left > 0:
                    left = solve_units(work, account)
                is_out = leave_out(work, account, left)
            else:
                refresh(work, account)
                if sweep == 1:
                    is_out = leave_out(work, account, orders_of(work, account, 0.0))
                if not is_out:
                    improve(work, account, cash_floor(work, account), sweep == SWEEPS - 1)
            unfold(work, account, target)
            if is_out:
                return False
    return True


@compile_inner
def fewer_of_household(work: Workspace, accounts: int) -> None:
    """Orders of each account that are worth less than what policy gives up for fewer are left out."""
    target = targets_of(work)
    for account in range(accounts):
        if work.accounts[account].shortfall > 0:
            continue
        fold(work, accounts, account, target, True)
        exchange_lots(work, account, cash_floor(work, account))
        if not leave_out(work, account, fewest_of(work, account)):
            exchange_lots(work, account, cash_floor(work, account))
        unfold(work, account, target)
