"""One account's orders in whole units: cut from the continuous optimum, mended and improved; one of them closed, reopened or raised."""

from typing import Final

import numpy as np

from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.coupled import SUMS
from tasks.core.solver.improve import improve
from tasks.core.solver.kernel import set_prices
from tasks.core.solver.mending import mend
from tasks.core.solver.optimum import continuous_optimum
from tasks.core.solver.positions import (
    BUY,
    UNIT_TOLERANCE,
    cut_down,
    holding,
    is_first_of_holding,
    nearest_units,
    refresh,
    set_bought,
    set_holding,
    set_lot,
)
from tasks.core.solver.sides import bound_as_tried
from tasks.core.solver.workspace import Workspace

CASH_CUSHION: Final = 1e-3
"""Usd kept so that rounding money to six digits cannot break the reserve."""


@compile_inner
def cash_floor(work: Workspace, account: int) -> float:
    """Least cash beyond the reserve that an account may end with, usd."""
    account_row = work.accounts[account]
    return min(account_row.cash, CASH_CUSHION) if account_row.cash >= 0 else CASH_CUSHION


@compile_inner
def open_bounds(work: Workspace, account: int) -> None:
    """Let an account trade what its own bounds allow; nothing where the cash it owes cannot be raised."""
    account_row = work.accounts[account]
    is_stuck = account_row.shortfall > 0
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        class_row.open_cap, class_row.dropped, class_row.is_held = 0.0 if is_stuck else class_row.buy_cap, 0, 0
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            lot_row.open_cap = 0.0 if is_stuck else lot_row.cap
            lot_row.dropped, lot_row.is_held = 0, 0


@compile_inner
def hold_order(work: Workspace, c: int, security: int, is_held: int) -> None:
    """Say why an order may no longer be dropped (0: it may)."""
    if security == BUY:
        work.classes[c].is_held = is_held
        return
    for lot in range(work.classes[c].first, work.classes[c].last):
        if work.lots[lot].security == security:
            work.lots[lot].is_held = is_held


@compile_inner
def close_order(work: Workspace, c: int, security: int, why: int) -> None:
    """Exclude an order."""
    hold_order(work, c, security, 0)
    if security == BUY:
        work.classes[c].open_cap, work.classes[c].dropped = 0.0, why
        set_bought(work, c, 0)
        return
    for lot in range(work.classes[c].first, work.classes[c].last):
        lot_row = work.lots[lot]
        if lot_row.security == security:
            if lot_row.open_cap > 0:
                lot_row.dropped = why
            lot_row.open_cap = 0.0
            set_lot(work, lot, 0)
            lot_row.counted = 0.0


@compile_inner
def reopen_order(work: Workspace, c: int, security: int) -> None:
    """Let an order be made again."""
    if security == BUY:
        work.classes[c].open_cap, work.classes[c].dropped = work.classes[c].buy_cap, 0
        return
    for lot in range(work.classes[c].first, work.classes[c].last):
        lot_row = work.lots[lot]
        if lot_row.security == security:
            lot_row.open_cap, lot_row.dropped = lot_row.cap, 0


@compile_inner
def bound_without(work: Workspace, account: int, c: int, security: int) -> float:
    """A lower bound, usd, of what the account comes to without an order. Nothing is changed."""
    account_row = work.accounts[account]
    class_row = work.classes[c]
    x, short_at, long_at = account_row.x, account_row.short_at, account_row.long_at
    gain_price, turnover_price = account_row.gain_price, account_row.turnover_price
    cap = class_row.open_cap
    if security == BUY:
        class_row.open_cap = 0.0
    for lot in range(class_row.first, class_row.last):
        lot_row = work.lots[lot]
        lot_row.cap_aside = lot_row.open_cap
        if lot_row.security == security:
            lot_row.open_cap = 0.0
    bound = bound_as_tried(work, account, np.zeros(SUMS))
    class_row.open_cap = cap
    for lot in range(class_row.first, class_row.last):
        work.lots[lot].open_cap = work.lots[lot].cap_aside
    set_prices(work, account, short_at, long_at, gain_price, turnover_price)
    account_row.x = x
    return bound


@compile_inner
def order_value(work: Workspace, c: int, security: int) -> float:
    """Usd of an order."""
    if security == BUY:
        return float(work.classes[c].bought_usd)
    value = 0.0
    for lot in range(work.classes[c].first, work.classes[c].last):
        if work.lots[lot].security == security:
            value += work.lots[lot].sold_usd
    return float(value)


@compile_inner
def order_held(work: Workspace, c: int, security: int) -> bool:
    """Whether an order may no longer be dropped."""
    if security == BUY:
        return bool(work.classes[c].is_held)
    for lot in range(work.classes[c].first, work.classes[c].last):
        if work.lots[lot].security == security:
            return bool(work.lots[lot].is_held)
    return False


@compile_inner
def least_of(work: Workspace, account: int, c: int, security: int) -> float:
    """Least usd of an order: the account's, or what its class asks for where the rest of it trades less."""
    class_row = work.classes[c]
    others = class_row.sold_usd + class_row.bought_usd - order_value(work, c, security)
    return float(max(work.accounts[account].min_trade, class_row.least - others))


@compile_inner
def raise_order(work: Workspace, account: int, c: int, security: int, why: int) -> bool:
    """Raise an order to its least and hold it there for ``why``; False where that cannot be."""
    least = least_of(work, account, c, security)
    if security == BUY:
        class_row = work.classes[c]
        steps = int(np.ceil(least / class_row.buy_unit - UNIT_TOLERANCE))
        if steps * class_row.buy_unit > class_row.open_cap * (1 + UNIT_TOLERANCE):
            return False
        set_bought(work, c, steps)
    else:
        _, most, held, step, usd = holding(work, c, security)
        units = nearest_units(int(np.ceil(least / usd - UNIT_TOLERANCE)) * step, most, held, step)
        if set_holding(work, c, security, units) > 0 or order_value(work, c, security) < least * (1 - UNIT_TOLERANCE):
            return False
    hold_order(work, c, security, why)
    refresh(work, account)
    return True


@compile_inner
def raise_held(work: Workspace, account: int) -> None:
    """Raise the orders that may not be dropped to their least again."""
    account_row = work.accounts[account]
    for c in range(account_row.first, account_row.last):
        if work.classes[c].is_held and work.classes[c].bought_usd < least_of(work, account, c, BUY):
            raise_order(work, account, c, BUY, work.classes[c].is_held)
        for lot in range(work.classes[c].first, work.classes[c].last):
            security = work.lots[lot].security
            if not work.lots[lot].is_held or not is_first_of_holding(work, c, lot):
                continue
            if order_value(work, c, security) < least_of(work, account, c, security):
                raise_order(work, account, c, security, work.lots[lot].is_held)


@compile_inner
def round_off(work: Workspace, account: int) -> float:
    """The continuous trades in the workspace as whole units, improved by single moves; what is left broken, usd."""
    floor = cash_floor(work, account)
    cut_down(work, account)
    refresh(work, account)
    raise_held(work, account)
    left = mend(work, account, floor)
    improve(work, account, floor, False)
    return left


@compile_inner
def solve_units(work: Workspace, account: int) -> float:
    """Step 1 within the bounds in the workspace; what is missing or left broken, usd."""
    missing, _, bound = continuous_optimum(work, account)
    if missing > 0:
        return missing
    work.accounts[account].near = bound
    return round_off(work, account)
