"""Limits on the number of orders: an account's own, and orders worth less than policy gives up to trade less often.

After each solution ``next_try`` says whether to solve again, and with which orders excluded:

1. While an account has more orders than its limit: its smallest is excluded.
2. Where policy gives something up (``slack``): each order, smallest first, is excluded if the solution without it stays
   within the slack of the one that step 1 left and has fewer orders.

Known limits: orders are tried one at a time, smallest first; another choice of as many orders may be better. The certificate
is against the optimum without either rule, so its gap shows what they cost.
"""

from typing import Any

import numpy as np

from tasks.core.solver.arrays import NO_ORDER_LIMIT
from tasks.core.solver.objectives import objective_reached
from tasks.core.solver.rounding import open_bounds
from tasks.core.solver.solution import FEWER_TRADES, ORDER_LIMIT
from tasks.core.solver.units import sold_of
from tasks.core.solver.workspace import Workspace, compile_inner

BUY = -1
"""Stands where a sale has the code of its security."""
LIMITING, TRYING = 0, 1
"""What the last solution was for: the limit; an order left out on trial."""
PHASE, EXCLUDED, TRIED, ORDERS = 0, 1, 2, 3
"""Where ``Workspace.search`` keeps the phase, how many orders are excluded and tried, and how many the best trades so far make."""


@compile_inner
def is_among(orders: Any, count: int, c: int, security: int) -> bool:
    """Whether an order is among the first ``count`` of ``orders``."""
    for i in range(count):
        if orders[i, 0] == c and orders[i, 1] == security:
            return True
    return False


@compile_inner
def order_count(work: Workspace, account: int) -> int:
    """How many orders the account's trades make."""
    account_row = work.accounts[account]
    orders = 0
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        orders += class_row.bought_usd > 0
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            is_new = lot_row.sold_usd > 0
            for before in range(class_row.first, lot):
                is_same = work.lots[before].security == lot_row.security
                is_new = is_new and not (is_same and work.lots[before].sold_usd > 0)
            orders += is_new
    return orders


@compile_inner
def smallest_order(work: Workspace, account: int, tried: Any, count: int) -> tuple[int, int, float]:
    """Class, security (``BUY`` for a purchase) and usd of the smallest order not yet tried; class -1: none."""
    account_row = work.accounts[account]
    least, at, what = np.inf, -1, BUY
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        value = class_row.bought_usd
        if 0 < value < least and not is_among(tried, count, c, BUY):
            least, at, what = value, c, BUY
        for lot in range(class_row.first, class_row.last):
            security = work.lots[lot].security
            value = sold_of(work, c, security)
            if 0 < value < least and not is_among(tried, count, c, security):
                least, at, what = value, c, security
    return at, what, least


@compile_inner
def apply_exclusions(work: Workspace, accounts: int) -> None:
    """Open every bound again but those of the excluded orders."""
    for account in range(accounts):
        open_bounds(work, account)
    for i in range(work.search[EXCLUDED]):
        c, security, why = work.excluded[i, 0], work.excluded[i, 1], work.excluded[i, 2]
        if security == BUY:
            work.classes[c].open_cap, work.classes[c].dropped = 0.0, why
            continue
        for lot in range(work.classes[c].first, work.classes[c].last):
            lot_row = work.lots[lot]
            if lot_row.security == security:
                lot_row.open_cap, lot_row.dropped = 0.0, why


@compile_inner
def exclude_order(work: Workspace, accounts: int, c: int, security: int, why: int) -> None:
    """Exclude one more order."""
    count = work.search[EXCLUDED]
    work.excluded[count, 0], work.excluded[count, 1], work.excluded[count, 2] = c, security, why
    work.search[EXCLUDED] = count + 1
    apply_exclusions(work, accounts)


@compile_inner
def limit_orders(work: Workspace, accounts: int) -> int:
    """Exclude the smallest order of an account that has too many: 1 where there was one, -1 where nothing is left to exclude, else 0."""
    for account in range(accounts):
        account_row = work.accounts[account]
        if account_row.max_orders < NO_ORDER_LIMIT:
            if order_count(work, account) <= account_row.max_orders:
                continue
            c, security, _ = smallest_order(work, account, work.excluded, work.search[EXCLUDED])
            if c < 0:
                return -1
            exclude_order(work, accounts, c, security, ORDER_LIMIT)
            return 1
    return 0


@compile_inner
def try_without_smallest(work: Workspace, accounts: int) -> bool:
    """Exclude the smallest order that was not tried yet, on trial; False where every one was."""
    best, at, what = np.inf, -1, BUY
    for account in range(accounts):
        c, security, value = smallest_order(work, account, work.tried, work.search[TRIED])
        if c >= 0 and value < best:
            best, at, what = value, c, security
    if at < 0:
        return False
    count = work.search[TRIED]
    work.tried[count, 0], work.tried[count, 1] = at, what
    work.search[TRIED] = count + 1
    work.search[PHASE] = TRYING
    exclude_order(work, accounts, at, what, FEWER_TRADES)
    return True


@compile_inner
def all_orders(work: Workspace, accounts: int) -> int:
    """How many orders the trades of all the accounts make."""
    orders = 0
    for account in range(accounts):
        orders += order_count(work, account)
    return orders


@compile_inner
def keep_best(work: Workspace, accounts: int) -> None:
    """Keep the trades in the workspace as the best so far; the records go with their lots when these are sorted."""
    work.search[ORDERS] = all_orders(work, accounts)
    for c in range(work.accounts[0].first, work.accounts[accounts - 1].last):
        class_row = work.classes[c]
        class_row.best, class_row.best_usd = class_row.bought, class_row.bought_usd
        class_row.best_dropped = class_row.dropped
    for i in range(work.accounts[0].first_lot, work.accounts[accounts - 1].last_lot):
        lot_row = work.lots[i]
        lot_row.best, lot_row.best_usd, lot_row.best_dropped = lot_row.sold, lot_row.sold_usd, lot_row.dropped


@compile_inner
def restore_best(work: Workspace, accounts: int) -> None:
    """Restore the best trades so far. To solve again might find others that are as good, but more."""
    for c in range(work.accounts[0].first, work.accounts[accounts - 1].last):
        class_row = work.classes[c]
        class_row.bought, class_row.bought_usd = class_row.best, class_row.best_usd
        class_row.dropped = class_row.best_dropped
    for i in range(work.accounts[0].first_lot, work.accounts[accounts - 1].last_lot):
        lot_row = work.lots[i]
        lot_row.sold, lot_row.sold_usd, lot_row.dropped = lot_row.best, lot_row.best_usd, lot_row.best_dropped


@compile_inner
def is_improved(work: Workspace, accounts: int) -> bool:
    """Whether a trial saved orders and kept the limits: where cash is owed, lots that were excluded may have been sold after all."""
    for account in range(accounts):
        if order_count(work, account) > work.accounts[account].max_orders:
            return False
    return bool(all_orders(work, accounts) < work.search[ORDERS])


@compile_inner
def next_try(work: Workspace, accounts: int, missing: float) -> tuple[bool, float]:
    """Whether to solve again (the bounds are set then), and the cash that is missing or, where a limit cannot be kept, owed."""
    account_row = work.accounts[0]
    if work.search[PHASE] == LIMITING:
        if missing > 0:
            return False, missing
        found = limit_orders(work, accounts)
        if found != 0:
            return found > 0, 0.0 if found > 0 else np.inf
        if account_row.slack == 0:
            return False, 0.0
        work.most[0] = objective_reached(work, accounts) + account_row.slack
        keep_best(work, accounts)
        return try_without_smallest(work, accounts), 0.0
    if work.search[PHASE] == TRYING:
        if missing > 0 or objective_reached(work, accounts) > work.most[0] or not is_improved(work, accounts):
            work.search[EXCLUDED] -= 1
            restore_best(work, accounts)
        else:
            keep_best(work, accounts)
    return try_without_smallest(work, accounts), 0.0
