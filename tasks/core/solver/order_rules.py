"""One account from its continuous optimum to whole-unit orders: cut, mend, improve; then what policy asks of orders.

1. The continuous optimum is cut down to whole units; cash and limits are mended, and moves made while one improves (``orders``).
2. *Small orders*, one at a time, the smallest first: without the order (everything else solved again) or with it raised to the
   least, whichever is better. Likewise a class whose orders remove too little of its deviation.
3. *Too many orders*: the one whose loss costs the continuous optimum least is left out, until there are few enough.
4. *Fewer trades*: so is each in turn while the objective stays within what policy gives up for it, and so is an order that is
   worth less than ``useful``.

Known limits: orders are left out one at a time, never two for one. The certificate is against the optimum without these rules, so
its gap shows what they cost.
"""

from typing import Final

import numpy as np

from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.improve import improve
from tasks.core.solver.mending import mend
from tasks.core.solver.moves import missing_usd
from tasks.core.solver.optimum import continuous_optimum
from tasks.core.solver.orders import (
    bound_without,
    cash_floor,
    close_order,
    hold_order,
    least_of,
    order_held,
    order_value,
    raise_order,
    reopen_order,
    solve_units,
)
from tasks.core.solver.positions import BUY, UNIT_TOLERANCE, is_first_of_holding, objective_of, order_count
from tasks.core.solver.search import bring_back, keep
from tasks.core.solver.solution import BELOW_IMPROVEMENT, BELOW_MINIMUM, FEWER_TRADES, ORDER_LIMIT
from tasks.core.solver.workspace import Workspace

SMALL_PARABOLA: Final = 2.0
"""An order worth more than so many times what is useful, by the parabola of what it moves, is not tried without."""


@compile_inner
def smallest_order(work: Workspace, account: int, with_held: int) -> tuple[int, int]:
    """Class and security of the order that is the least part of what it must be (``with_held``: held or not); class -1: each is enough."""
    account_row = work.accounts[account]
    least, at, what = 1 - UNIT_TOLERANCE, -1, BUY
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        if class_row.bought > 0 and (with_held or not class_row.is_held):
            part = class_row.bought_usd / max(least_of(work, account, c, BUY), 1e-300)
            if part < least:
                least, at, what = part, c, BUY
        for lot in range(class_row.first, class_row.last):
            if not is_first_of_holding(work, c, lot):
                continue
            security = work.lots[lot].security
            value = order_value(work, c, security)
            if value <= 0 or (work.lots[lot].is_held and not with_held):
                continue
            part = value / max(least_of(work, account, c, security), 1e-300)
            if part < least:
                least, at, what = part, c, security
    return at, what


@compile_inner
def finish_small(work: Workspace, account: int) -> float:
    """Step 2; what is left broken, usd."""
    account_row = work.accounts[account]
    floor = cash_floor(work, account)
    left = missing_usd(work, account, floor)
    for _ in range(2 * (account_row.last - account_row.first + account_row.last_lot - account_row.first_lot)):
        c, security = smallest_order(work, account, 0)
        if c < 0:
            break
        why = BELOW_MINIMUM if order_value(work, c, security) < account_row.min_trade else BELOW_IMPROVEMENT
        keep(work, account, 0)
        raised, is_raised = np.inf, raise_order(work, account, c, security, why)
        if is_raised:
            if mend(work, account, floor) == 0:
                improve(work, account, floor, False)
                raised = objective_of(work, account)
            keep(work, account, 1)
            hold_order(work, c, security, 0)
        bring_back(work, account, 0)
        left, without = 0.0, np.inf
        if raised > bound_without(work, account, c, security):
            close_order(work, c, security, why)
            left = solve_units(work, account)
            without = objective_of(work, account) if left == 0 else np.inf
        if np.isfinite(raised) and raised <= without:
            reopen_order(work, c, security)
            bring_back(work, account, 1)
            hold_order(work, c, security, why)
            left = 0.0
        elif left > 0:
            reopen_order(work, c, security)
            bring_back(work, account, 0)
            hold_order(work, c, security, why)
            left = missing_usd(work, account, floor)
    return left


@compile_inner
def is_tried(work: Workspace, c: int, security: int, tried: int) -> bool:
    """Whether an order is in the first rows of ``excluded``."""
    for i in range(tried):
        if work.excluded[i, 0] == c and work.excluded[i, 1] == security:
            return True
    return False


@compile_inner
def untried(work: Workspace, c: int, place: int, tried: int) -> tuple[int, float]:
    """Security and usd of the order at a place of a class, the purchase before the lots; 0 usd: none, or one that may not be left out."""
    first = work.classes[c].first
    security = BUY if place < first else work.lots[place].security
    is_first = place < first or is_first_of_holding(work, c, place)
    if not is_first or order_held(work, c, security) or is_tried(work, c, security, tried):
        return security, 0.0
    return security, order_value(work, c, security)


@compile_inner
def cheapest_to_drop(work: Workspace, account: int, tried: int, most_usd: float, limit: float) -> tuple[int, int]:
    """Class and security of the order without which the continuous optimum is best, and less than ``limit``; class -1: none.

    Not those in the first ``tried`` rows of ``excluded``, nor those worth more than ``most_usd``. The one of the lowest bound is solved
    without, and so on until the best found is below the bounds of all that are left.
    """
    account_row = work.accounts[account]
    places = account_row.last - account_row.first + account_row.last_lot - account_row.first_lot
    of_class, of_security = np.zeros(places, np.int64), np.zeros(places, np.int64)
    bounds, count = np.zeros(places), 0
    for c in range(account_row.first, account_row.last):
        for place in range(work.classes[c].first - 1, work.classes[c].last):
            security, value = untried(work, c, place, tried)
            if 0 < value <= most_usd:
                of_class[count], of_security[count] = c, security
                bounds[count] = bound_without(work, account, c, security)
                count += 1
    keep(work, account, 0)
    best, at, what = limit, -1, BUY
    for _ in range(count):
        i = int(np.argmin(bounds[:count]))
        if bounds[i] >= best:
            break
        c, security = of_class[i], of_security[i]
        bounds[i] = np.inf
        close_order(work, c, security, ORDER_LIMIT)
        missing, without, _ = continuous_optimum(work, account)
        reopen_order(work, c, security)
        bring_back(work, account, 0)
        if missing == 0 and without < best:
            best, at, what = without, c, security
    return at, what


@compile_inner
def smallest_untried(work: Workspace, account: int, tried: int, most_usd: float) -> tuple[int, int]:
    """Class and security of the smallest order worth less than ``most_usd`` and not among those tried; class -1: none."""
    account_row = work.accounts[account]
    least, at, what = most_usd, -1, BUY
    for c in range(account_row.first, account_row.last):
        for place in range(work.classes[c].first - 1, work.classes[c].last):
            security, value = untried(work, c, place, tried)
            if 0 < value < least:
                least, at, what = value, c, security
    return at, what


@compile_inner
def limit_orders(work: Workspace, account: int) -> float:
    """Step 3; what is left broken, usd (inf: the limit cannot be kept)."""
    account_row = work.accounts[account]
    left = missing_usd(work, account, cash_floor(work, account))
    while order_count(work, account) > account_row.max_orders:
        c, security = cheapest_to_drop(work, account, 0, np.inf, np.inf)
        if c < 0:
            return np.inf
        close_order(work, c, security, ORDER_LIMIT)
        left = solve_units(work, account)
        if left == 0:
            left = finish_small(work, account)
        if left > 0:
            return left
    return left


@compile_inner
def fewer_orders(work: Workspace, account: int) -> None:
    """Step 4."""
    account_row = work.accounts[account]
    if account_row.slack == 0 and account_row.useful == 0:
        return
    most = objective_of(work, account) + account_row.slack
    small = np.inf
    if account_row.slack == 0:
        small = np.sqrt(SMALL_PARABOLA * account_row.useful * account_row.nav / account_row.tracking_penalty)
    tried = 0
    for _ in range(len(work.excluded)):
        before, orders = objective_of(work, account), order_count(work, account)
        limit = max(most, before + account_row.useful)
        if account_row.slack > 0:
            c, security = cheapest_to_drop(work, account, tried, small, limit)
        else:
            c, security = smallest_untried(work, account, tried, small)
        if c < 0:
            return
        if account_row.slack == 0 and bound_without(work, account, c, security) >= limit:
            work.excluded[tried, 0], work.excluded[tried, 1] = c, security
            tried += 1
            continue
        keep(work, account, 2)
        close_order(work, c, security, FEWER_TRADES)
        left = solve_units(work, account)
        if left == 0:
            left = finish_small(work, account)
        after = objective_of(work, account)
        is_cheap = after <= most or after < before + account_row.useful
        if left == 0 and is_cheap and order_count(work, account) < orders:
            most = max(most, after) if after > most else most
            continue
        reopen_order(work, c, security)
        bring_back(work, account, 2)
        work.excluded[tried, 0], work.excluded[tried, 1] = c, security
        tried += 1


@compile_inner
def drop_small(work: Workspace, account: int) -> float:
    """Leave out what is still too small, were it held or not; what is left broken, usd. Cash owed is raised whatever the order."""
    account_row = work.accounts[account]
    left = missing_usd(work, account, cash_floor(work, account))
    if account_row.cash < 0:
        return left
    for _ in range(account_row.last - account_row.first + account_row.last_lot - account_row.first_lot):
        c, security = smallest_order(work, account, 1)
        if c < 0:
            break
        close_order(work, c, security, BELOW_MINIMUM)
        left = solve_units(work, account)
    return left


@compile_inner
def orders_of(work: Workspace, account: int, left: float) -> float:
    """Steps 2 and 3 after step 1 left ``left`` usd broken; what is left broken then."""
    if left == 0:
        left = finish_small(work, account)
    if left == 0:
        left = limit_orders(work, account)
    return drop_small(work, account) if left == 0 else left


@compile_inner
def fewest_of(work: Workspace, account: int) -> float:
    """Step 4 after the others; what is left broken, usd."""
    fewer_orders(work, account)
    return drop_small(work, account)
