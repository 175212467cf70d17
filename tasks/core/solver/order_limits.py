"""Fewer orders: an account's limit on their number, and orders that are worth less than policy gives up for fewer.

After each solution ``next_try`` says whether to solve again, and with which orders barred:

1. While an account has more orders than its limit: its smallest is barred.
2. Where policy gives something up (``slack``): each order, smallest first, is barred if the solution without it stays
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
from tasks.core.solver.workspace import Workspace, compiled

BUY = -1
"""Stands where a sale has the code of its security."""
LIMITING, TRYING = 0, 1
"""What the last solution was for: the limit; an order left out on trial."""
PHASE, BARRED, TRIED, ORDERS = 0, 1, 2, 3
"""Where ``Desk.search`` keeps the phase, how many orders are barred and tried, and how many the best trades so far make."""


@compiled
def is_among(orders: Any, count: int, c: int, security: int) -> bool:
    """Whether an order is among the first ``count`` of ``orders``."""
    for i in range(count):
        if orders[i, 0] == c and orders[i, 1] == security:
            return True
    return False


@compiled
def order_count(desk: Workspace, account: int) -> int:
    """How many orders the account's trades make."""
    an_account = desk.accounts[account]
    orders = 0
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        orders += a_class.bought_usd > 0
        for lot in range(a_class.first, a_class.last):
            a_lot = desk.lots[lot]
            is_new = a_lot.sold_usd > 0
            for before in range(a_class.first, lot):
                is_same = desk.lots[before].security == a_lot.security
                is_new = is_new and not (is_same and desk.lots[before].sold_usd > 0)
            orders += is_new
    return orders


@compiled
def smallest_order(desk: Workspace, account: int, tried: Any, count: int) -> tuple[int, int, float]:
    """Class, security (``BUY`` for a purchase) and usd of the smallest order not yet tried; class -1: none."""
    an_account = desk.accounts[account]
    least, at, what = np.inf, -1, BUY
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        value = a_class.bought_usd
        if 0 < value < least and not is_among(tried, count, c, BUY):
            least, at, what = value, c, BUY
        for lot in range(a_class.first, a_class.last):
            security = desk.lots[lot].security
            value = sold_of(desk, c, security)
            if 0 < value < least and not is_among(tried, count, c, security):
                least, at, what = value, c, security
    return at, what, least


@compiled
def apply_bars(desk: Workspace, accounts: int) -> None:
    """Open every bound again but those of the barred orders."""
    for account in range(accounts):
        open_bounds(desk, account)
    for i in range(desk.search[BARRED]):
        c, security, why = desk.barred[i, 0], desk.barred[i, 1], desk.barred[i, 2]
        if security == BUY:
            desk.classes[c].open_cap, desk.classes[c].dropped = 0.0, why
            continue
        for lot in range(desk.classes[c].first, desk.classes[c].last):
            a_lot = desk.lots[lot]
            if a_lot.security == security:
                a_lot.open_cap, a_lot.dropped = 0.0, why


@compiled
def bar(desk: Workspace, accounts: int, c: int, security: int, why: int) -> None:
    """Bar one more order."""
    count = desk.search[BARRED]
    desk.barred[count, 0], desk.barred[count, 1], desk.barred[count, 2] = c, security, why
    desk.search[BARRED] = count + 1
    apply_bars(desk, accounts)


@compiled
def is_limited(desk: Workspace, accounts: int) -> int:
    """Bar the smallest order of an account that has too many: 1 where there was one, -1 where nothing is left to bar, else 0."""
    for account in range(accounts):
        an_account = desk.accounts[account]
        if an_account.max_orders < NO_ORDER_LIMIT:
            if order_count(desk, account) <= an_account.max_orders:
                continue
            c, security, _ = smallest_order(desk, account, desk.barred, desk.search[BARRED])
            if c < 0:
                return -1
            bar(desk, accounts, c, security, ORDER_LIMIT)
            return 1
    return 0


@compiled
def is_trying(desk: Workspace, accounts: int) -> bool:
    """Bar the smallest order that was not tried yet, on trial; False where every one was."""
    best, at, what = np.inf, -1, BUY
    for account in range(accounts):
        c, security, value = smallest_order(desk, account, desk.tried, desk.search[TRIED])
        if c >= 0 and value < best:
            best, at, what = value, c, security
    if at < 0:
        return False
    count = desk.search[TRIED]
    desk.tried[count, 0], desk.tried[count, 1] = at, what
    desk.search[TRIED] = count + 1
    desk.search[PHASE] = TRYING
    bar(desk, accounts, at, what, FEWER_TRADES)
    return True


@compiled
def all_orders(desk: Workspace, accounts: int) -> int:
    """How many orders the trades of all the accounts make."""
    orders = 0
    for account in range(accounts):
        orders += order_count(desk, account)
    return orders


@compiled
def keep_best(desk: Workspace, accounts: int) -> None:
    """Keep the trades on the desk as the best so far; the records go with their lots when these are sorted."""
    desk.search[ORDERS] = all_orders(desk, accounts)
    for c in range(desk.accounts[0].first, desk.accounts[accounts - 1].last):
        row = desk.classes[c]
        row.best, row.best_usd, row.best_dropped = row.bought, row.bought_usd, row.dropped
    for i in range(desk.accounts[0].first_lot, desk.accounts[accounts - 1].last_lot):
        lot = desk.lots[i]
        lot.best, lot.best_usd, lot.best_dropped = lot.sold, lot.sold_usd, lot.dropped


@compiled
def bring_back_best(desk: Workspace, accounts: int) -> None:
    """Bring back the best trades so far. To solve again might find others that are as good, but more."""
    for c in range(desk.accounts[0].first, desk.accounts[accounts - 1].last):
        row = desk.classes[c]
        row.bought, row.bought_usd, row.dropped = row.best, row.best_usd, row.best_dropped
    for i in range(desk.accounts[0].first_lot, desk.accounts[accounts - 1].last_lot):
        lot = desk.lots[i]
        lot.sold, lot.sold_usd, lot.dropped = lot.best, lot.best_usd, lot.best_dropped


@compiled
def is_fewer(desk: Workspace, accounts: int) -> bool:
    """Whether a trial saved orders and kept the limits: where cash is owed, lots that were barred may have been sold after all."""
    for account in range(accounts):
        if order_count(desk, account) > desk.accounts[account].max_orders:
            return False
    return bool(all_orders(desk, accounts) < desk.search[ORDERS])


@compiled
def next_try(desk: Workspace, accounts: int, missing: float) -> tuple[bool, float]:
    """Whether to solve again (the bounds are set then), and the cash that is missing or, where a limit cannot be kept, owed."""
    row = desk.accounts[0]
    if desk.search[PHASE] == LIMITING:
        if missing > 0:
            return False, missing
        found = is_limited(desk, accounts)
        if found != 0:
            return found > 0, 0.0 if found > 0 else np.inf
        if row.slack == 0:
            return False, 0.0
        desk.most[0] = objective_reached(desk, accounts) + row.slack
        keep_best(desk, accounts)
        return is_trying(desk, accounts), 0.0
    if desk.search[PHASE] == TRYING:
        if missing > 0 or objective_reached(desk, accounts) > desk.most[0] or not is_fewer(desk, accounts):
            desk.search[BARRED] -= 1
            bring_back_best(desk, accounts)
        else:
            keep_best(desk, accounts)
    return is_trying(desk, accounts), 0.0
