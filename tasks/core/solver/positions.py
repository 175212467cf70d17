"""What an account's whole-unit trades come to, exactly: cash after costs, tax on what counts as gain, limits used, the objective.

An order is a multiple of ``quantity_step`` or closes the whole position; the lots of a security that it sells are taken in the
order of their cost at the prices in force (specific identification).

Assumptions: quantities are whole millionths of a unit; ``UNIT_TOLERANCE`` absorbs what dollars in doubles lose.
"""

from typing import Any, Final

import numpy as np

from tasks.core.solver.arrays import MILLIONTHS
from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.netting import tax_of
from tasks.core.solver.wash import count_in_order
from tasks.core.solver.workspace import Workspace

UNIT_TOLERANCE: Final = 1e-9
NEAR_UNIT: Final = 1e-4
BUY: Final = -1
"""Stands where a sale has the code of its security."""


@compile_inner
def count_gains(work: Workspace, c: int, security: int) -> None:
    """Fill ``counted`` of the lots of a holding: the gain, usd, that counts of what is sold of each beyond what was sold before."""
    first, last = work.classes[c].first, work.classes[c].last
    is_replaced = 0
    for lot in range(first, last):
        if work.lots[lot].security == security:
            work.lots[lot].counted = work.lots[lot].gain * work.lots[lot].sold_usd
            is_replaced = work.lots[lot].is_replaced
    if not is_replaced:
        return
    order = np.zeros(last - first, np.int64)
    count = 0
    for lot in range(first, last):
        if work.lots[lot].security == security:
            place = count
            while place > 0 and work.lots[order[place - 1]].rank > work.lots[lot].rank:
                order[place] = order[place - 1]
                place -= 1
            order[place] = lot
            count += 1
    sold, before, inside = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
    gain, counted, counted_before = np.zeros(count), np.zeros(count), np.zeros(count)
    outside = work.lots[order[0]].outside
    for i in range(count):
        lot_row = work.lots[order[i]]
        before[i], inside[i] = lot_row.outright, lot_row.inside
        sold[i], gain[i] = lot_row.outright + lot_row.sold, lot_row.gain * lot_row.price / MILLIONTHS
    count_in_order(sold, gain, inside, outside, counted)
    count_in_order(before, gain, inside, outside, counted_before)
    for i in range(count):
        work.lots[order[i]].counted = counted[i] - counted_before[i]


@compile_inner
def set_lot(work: Workspace, lot: int, units: int) -> None:
    """Sell ``units`` millionths of a lot."""
    lot_row = work.lots[lot]
    lot_row.sold = units
    lot_row.sold_usd = units * (lot_row.price / MILLIONTHS)


@compile_inner
def set_bought(work: Workspace, c: int, steps: int) -> None:
    """Buy ``steps`` of a class's security."""
    class_row = work.classes[c]
    class_row.bought = steps
    class_row.bought_usd = steps * class_row.buy_unit


@compile_inner
def room_for_losses(work: Workspace, c: int, security: int) -> float:
    """What a class has left, usd, of its room for losses beside what is sold of its other holdings."""
    class_row = work.classes[c]
    room = class_row.share
    if np.isfinite(room):
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            if lot_row.security != security and lot_row.gain < 0:
                room -= lot_row.sold_usd
    return float(room)


@compile_inner
def part_of_lot(lot_row: Any, more: int, room: float) -> int:
    """How many units a lot sells where its holding is to sell ``more``, and ``room`` usd more may be sold at a loss."""
    most = lot_row.cap_units if lot_row.open_cap > 0 else 0
    if lot_row.gain < 0 and np.isfinite(room):
        unit = lot_row.price / MILLIONTHS
        most = min(most, lot_row.sold + np.int64(max(np.floor(room / unit + 0.5), 0.0)))
    return int(max(min(lot_row.sold + more, most), min(lot_row.sold, most)))


@compile_inner
def sold_of(work: Workspace, c: int, security: int) -> tuple[int, float]:
    """Units sold of a holding, and what is left, usd, of the class's room for losses beside all that it sells."""
    sold, room = 0, room_for_losses(work, c, security)
    for lot in range(work.classes[c].first, work.classes[c].last):
        lot_row = work.lots[lot]
        if lot_row.security == security:
            sold += lot_row.sold
            if lot_row.gain < 0:
                room -= lot_row.sold * (lot_row.price / MILLIONTHS)
    return sold, room


@compile_inner
def set_holding(work: Workspace, c: int, security: int, units: int) -> int:
    """Sell ``units`` of a holding in all; what could not be sold.

    What is more goes from the cheapest lots that have some left, within the class's room for losses, and what is less stays in the dearest: at
    prices at which two lots cost the same the best trades may sell part of each.
    """
    sold, room = sold_of(work, c, security)
    more = units - sold
    first, last = work.classes[c].first, work.classes[c].last
    for place in range(last - first):
        lot = first + place if more >= 0 else last - 1 - place
        lot_row = work.lots[lot]
        if lot_row.security != security:
            continue
        taken = part_of_lot(lot_row, more, room) if more > 0 else lot_row.sold - min(lot_row.sold, -more)
        if lot_row.gain < 0:
            room -= (taken - lot_row.sold) * (lot_row.price / MILLIONTHS)
        more -= taken - lot_row.sold
        set_lot(work, lot, taken)
    count_gains(work, c, security)
    return more


@compile_inner
def holding(work: Workspace, c: int, security: int) -> tuple[int, int, int, int, float]:
    """Of a holding: units sold, most that may be, units held, quantity step, and usd of a step. All held is sold, or whole steps."""
    sold, most, held, step, price = 0, 0, 0, 1, 0.0
    class_row = work.classes[c]
    for lot in range(class_row.first, class_row.last):
        lot_row = work.lots[lot]
        if lot_row.security == security:
            sold += lot_row.sold
            most += lot_row.cap_units if lot_row.open_cap > 0 else 0
            held += lot_row.quantity
            step, price = lot_row.step, lot_row.price
    return sold, most, held, step, step * (price / MILLIONTHS)


@compile_inner
def nearest_units(units: int, most: int, held: int, step: int) -> int:
    """``units`` of a holding rounded down to what an order may be: all that is held, or whole steps."""
    if most == held and units >= held:
        return held
    return min(units, most) // step * step


@compile_inner
def refresh(work: Workspace, account: int) -> None:
    """Bring an account's totals up to the trades in the workspace; gains as counted."""
    account_row = work.accounts[account]
    cash, paid, traded = account_row.cash, 0.0, 0.0
    short, long = account_row.short_before, account_row.long_before
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        sold = 0.0
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            sold += lot_row.sold_usd
            cash += lot_row.sold_usd * (1 - lot_row.spread)
            paid += lot_row.sold_usd * lot_row.cost
            if lot_row.is_short:
                short += lot_row.counted
            else:
                long += lot_row.counted
        cash -= class_row.bought_usd * (1 + class_row.buy_spread)
        paid += class_row.bought_usd * class_row.buy_cost
        traded += sold + class_row.bought_usd
        class_row.sold_usd = sold
        class_row.gap = class_row.value - class_row.target + class_row.bought_usd - sold
    account_row.cash_now, account_row.paid_now, account_row.traded_now = cash, paid, traded
    account_row.short_now, account_row.long_now = short, long
    account_row.tax_now = tax_of(work, account, short, long)


@compile_inner
def own_cost(work: Workspace, account: int) -> float:
    """Costs and tax, usd, of an account's trades."""
    account_row = work.accounts[account]
    return float(account_row.paid_now + account_row.tax_now)


@compile_inner
def objective_of(work: Workspace, account: int) -> float:
    """The objective, usd, of an account's trades, as ``refresh`` left them."""
    account_row = work.accounts[account]
    squares = (account_row.cash_now - account_row.cash_target) ** 2
    for c in range(account_row.first, account_row.last):
        squares += work.classes[c].gap ** 2
    return float(0.5 * account_row.tracking_penalty / account_row.nav * squares + own_cost(work, account))


@compile_inner
def objective_together(work: Workspace, accounts: int) -> float:
    """The objective, usd, of all the accounts in the workspace tracked together; brings their totals up to their trades."""
    first = work.accounts[0]
    squares, paid, cash = 0.0, 0.0, 0.0
    for account in range(accounts):
        refresh(work, account)
        paid += own_cost(work, account)
        cash += work.accounts[account].cash_now
    for j in range(first.last - first.first):
        over = -work.classes[first.first + j].target
        for account in range(accounts):
            class_row = work.classes[work.accounts[account].first + j]
            over += class_row.gap + class_row.target
        squares += over * over
    squares += (cash - first.cash_target) ** 2
    return float(0.5 * first.tracking_penalty / first.nav * squares + paid)


@compile_inner
def stay(work: Workspace, account: int) -> None:
    """Trade nothing."""
    account_row = work.accounts[account]
    for c in range(account_row.first, account_row.last):
        set_bought(work, c, 0)
        for lot in range(work.classes[c].first, work.classes[c].last):
            set_lot(work, lot, 0)
            work.lots[lot].counted = 0.0


@compile_inner
def net_out(work: Workspace, c: int, is_loss_kept: bool) -> None:
    """Set a class's purchase off against its sales, last lots first, but for those at a loss where ``is_loss_kept``: an inner answer makes both where that is free."""
    class_row = work.classes[c]
    for i in range(class_row.last - class_row.first):
        lot_row = work.lots[class_row.last - 1 - i]
        both = min(class_row.bought_usd, lot_row.sold_usd)
        if both > 0 and not (is_loss_kept and lot_row.gain_low < 0):
            class_row.bought_usd -= both
            lot_row.sold_usd -= both


@compile_inner
def cut_down(work: Workspace, account: int) -> None:
    """The continuous trades in the workspace, cut down to whole units; a unit of which next to nothing is missing counts."""
    account_row = work.accounts[account]
    for c in range(account_row.first, account_row.last):
        net_out(work, c, False)
        class_row = work.classes[c]
        steps = np.floor(class_row.bought_usd / class_row.buy_unit + NEAR_UNIT)
        if np.isfinite(class_row.open_cap):
            steps = min(steps, np.floor(class_row.open_cap / class_row.buy_unit + UNIT_TOLERANCE))
        set_bought(work, c, int(max(steps, 0.0)))
        for lot in range(class_row.first, class_row.last):
            if is_first_of_holding(work, c, lot):
                cut_holding(work, c, work.lots[lot].security)


@compile_inner
def cut_holding(work: Workspace, c: int, security: int) -> None:
    """A holding's continuous sale in whole units, of each lot all or whole steps: what is left over goes from the cheapest that have some."""
    total = 0
    for lot in range(work.classes[c].first, work.classes[c].last):
        lot_row = work.lots[lot]
        if lot_row.security == security:
            units = int(lot_row.sold_usd / lot_row.price * MILLIONTHS + NEAR_UNIT * lot_row.step)
            total += min(units, lot_row.cap_units)
            whole = lot_row.cap_units if units >= lot_row.cap_units else units // lot_row.step * lot_row.step
            set_lot(work, lot, whole)
    _, most, held, step, _ = holding(work, c, security)
    units = nearest_units(total, most, held, step)
    missing = set_holding(work, c, security, units)
    if missing > 0:
        set_holding(work, c, security, nearest_units(units - missing, most, held, step))


@compile_inner
def is_first_of_holding(work: Workspace, c: int, lot: int) -> bool:
    """Whether a lot is the first of its holding as they stand."""
    for before in range(work.classes[c].first, lot):
        if work.lots[before].security == work.lots[lot].security:
            return False
    return True


@compile_inner
def order_count(work: Workspace, account: int) -> int:
    """How many orders the account's trades make."""
    account_row = work.accounts[account]
    orders = 0
    for c in range(account_row.first, account_row.last):
        orders += work.classes[c].bought > 0
        for lot in range(work.classes[c].first, work.classes[c].last):
            if is_first_of_holding(work, c, lot):
                orders += holding(work, c, work.lots[lot].security)[0] > 0
    return orders
