"""Accounts whose trades are coupled beyond their own cash, as a quadratic program for ``interior``.

One account, or the accounts of a household. Rows of a class: its tracking row (of all the accounts together) and, where its lots
at a loss are more than its room for them, the sum of those. One tracking row for cash. Rows of an account: its cash equation and,
where it has them, turnover, gain budget and the two nets of ``netting`` (a net gain is one variable less another; only the first is
taxed). Dollars are divided by NAV. Where an account's cash turns out to be unwanted (its price below 0) half spreads are paid from
it, as in ``kernel``.

Whichever are fewer, rows of classes or rows of accounts, come last; the others are the blocks that ``interior`` eliminates.
"""

from typing import Any, Final

import numpy as np

from tasks.core.solver.arrays import Floats
from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.interior import Program, interior_point
from tasks.core.solver.netting import price_ends
from tasks.core.solver.workspace import BUYS_ONLY, SELLS_ONLY, Workspace

CASH, TURNOVER, GAIN_BUDGET, HI_GAIN, SUM_OF_GAINS = 0, 1, 2, 3, 4
"""An account's own rows, and the prices on them."""
PRICES: Final = (HI_GAIN, SUM_OF_GAINS, GAIN_BUDGET, TURNOVER)
"""Those prices in the order of ``coupled``."""
OWN_ROWS = 5
FIRST_NET = HI_GAIN
"""The rows from here on are nets: a variable enters them from either side."""
SNAP = 1e-8
"""Share of NAV: a trade this close to its bound is at it."""
UNWANTED = 1e-9
"""A price of cash this far below 0 counts."""
ROUNDS = 3
"""How often the choice of whose half spreads are paid from cash is corrected."""


@compile_inner
def class_rows(work: Workspace, first: int, last: int, count: int, tracking: Any, losses: Any, block: Any) -> int:
    """Number the rows of the classes (cash the last), a block each; the number of rows then."""
    classes = work.accounts[first].last - work.accounts[first].first
    for j in range(classes + 1):
        block[j] = count
        tracking[j] = count
        count += 1
        losses[j] = -1
        if j == classes:
            break
        lost = 0.0
        for account in range(first, last):
            c = work.accounts[account].first + j
            for lot in range(work.classes[c].first, work.classes[c].last):
                if work.lots[lot].gain < 0:
                    lost += work.lots[lot].open_cap
        class_row = work.classes[work.accounts[first].first + j]
        room = class_row.loss_room + class_row.spare
        if lost > room > SNAP * work.accounts[first].nav:
            losses[j] = count
            count += 1
    block[classes + 1] = count
    return count


@compile_inner
def account_rows(work: Workspace, first: int, last: int, count: int, sides: Any, own: Any, block: Any) -> int:
    """Number each account's own rows (-1: it has none of the kind), a block each; the number of rows then."""
    own[:] = -1
    for account in range(first, last):
        account_row = work.accounts[account]
        i = account - first
        block[i] = count
        a, b = price_ends(work, account, sides[i])
        has = (True, np.isfinite(account_row.turnover), np.isfinite(account_row.gain), a > 0, b > 0)
        for kind in range(OWN_ROWS):
            if has[kind]:
                own[i, kind] = count
                count += 1
    block[last - first] = count
    return count


@compile_inner
def right_sides(work: Workspace, rows: Any, tracking: Any, losses: Any, count: int, first: int) -> tuple[Any, Any]:
    """Right sides and softness of all rows."""
    scale, k = work.accounts[first].nav, work.accounts[first].tracking_penalty
    last, classes = first + len(rows), len(tracking) - 1
    right, soft = np.zeros(count), np.zeros(count)
    for j in range(classes):
        class_row = work.classes[work.accounts[first].first + j]
        right[tracking[j]], soft[tracking[j]] = class_row.target / scale, 1 / k
        if losses[j] >= 0:
            right[losses[j]] = (class_row.loss_room + class_row.spare) / scale
    right[tracking[classes]], soft[tracking[classes]] = work.accounts[first].cash_target / scale, 1 / k
    for account in range(first, last):
        account_row = work.accounts[account]
        own = rows[account - first]
        for j in range(classes):
            right[tracking[j]] -= work.classes[account_row.first + j].value / scale
        if account_row.shortfall > 0:
            right[tracking[classes]] -= account_row.cash / scale  # stays out, in debt
        else:
            right[own[CASH]] = account_row.cash / scale
        if own[TURNOVER] >= 0:
            right[own[TURNOVER]] = account_row.turnover / scale
        if own[GAIN_BUDGET] >= 0:
            right[own[GAIN_BUDGET]] = account_row.gain / scale
        is_hi_short = account_row.short_rate >= account_row.long_rate
        hi = account_row.short_before if is_hi_short else account_row.long_before
        if own[HI_GAIN] >= 0:
            right[own[HI_GAIN]] = hi / scale
        if own[SUM_OF_GAINS] >= 0:
            right[own[SUM_OF_GAINS]] = (account_row.short_before + account_row.long_before) / scale
    return right, soft


@compile_inner
def add_entry(row: Any, coefficient: Any, at: int, number: int, value: float) -> int:
    """One more entry of a column, where there is such a row; where the next goes."""
    if number < 0 or value == 0:
        return at
    row[at], coefficient[at] = number, value
    return at + 1


@compile_inner
def trade_program(
    work: Workspace, first: int, last: int, sides: Any, is_paid: Any
) -> tuple[Program, Any, Any, Any, Any, Any]:
    """The program; for each variable the lot it sells, and the class it buys (-1: neither); the accounts' own rows and the tracking rows.

    ``is_paid``: accounts whose half spreads are paid from cash.
    """
    scale, members = work.accounts[first].nav, last - first
    classes = work.accounts[first].last - work.accounts[first].first
    tracking, losses = np.zeros(classes + 1, np.int64), np.zeros(classes + 1, np.int64)
    rows = np.full((members, OWN_ROWS), -1)
    of_classes, of_accounts = np.zeros(classes + 2, np.int64), np.zeros(members + 1, np.int64)
    if 5 * members <= 2 * classes + 1:
        count = class_rows(work, first, last, 0, tracking, losses, of_classes)
        count = account_rows(work, first, last, count, sides, rows, of_accounts)
        block = of_classes
    else:
        count = account_rows(work, first, last, 0, sides, rows, of_accounts)
        count = class_rows(work, first, last, count, tracking, losses, of_classes)
        block = of_accounts
    right, soft = right_sides(work, rows, tracking, losses, count, first)
    lots = work.accounts[last - 1].last_lot - work.accounts[first].first_lot
    most = lots + members * (classes + 7) + classes
    cost, cap, start = np.zeros(most), np.zeros(most), np.zeros(most + 1, np.int64)
    row, coefficient = np.zeros(7 * most, np.int64), np.zeros(7 * most)
    of_lot, of_class = np.full(most, -1), np.full(most, -1)
    v, at = 0, 0
    for account in range(first, last):
        account_row = work.accounts[account]
        own, paid = rows[account - first], 1.0 if is_paid[account - first] else 0.0
        is_hi_short = account_row.short_rate >= account_row.long_rate
        for j in range(classes):
            class_row = work.classes[account_row.first + j]
            if class_row.open_cap > 0 and class_row.way != SELLS_ONLY:
                cost[v], cap[v], of_class[v] = class_row.buy_cost, class_row.open_cap / scale, account_row.first + j
                at = add_entry(row, coefficient, at, tracking[j], 1.0)
                at = add_entry(row, coefficient, at, own[CASH], 1.0 + paid * class_row.buy_spread)
                at = add_entry(row, coefficient, at, own[TURNOVER], 1.0)
                v += 1
                start[v] = at
            for lot in range(class_row.first, class_row.last):
                lot_row = work.lots[lot]
                most = lot_row.open_cap
                if lot_row.gain < 0:
                    most = min(most, class_row.loss_room + class_row.spare)
                if most <= (SNAP * scale if lot_row.gain < 0 else 0.0) or class_row.way == BUYS_ONLY:
                    continue
                cost[v], cap[v], of_lot[v] = lot_row.cost, most / scale, lot
                gain = lot_row.gain_low
                at = add_entry(row, coefficient, at, tracking[j], -1.0)
                at = add_entry(row, coefficient, at, losses[j], 1.0 if lot_row.gain < 0 else 0.0)
                at = add_entry(row, coefficient, at, own[CASH], -1.0 + paid * class_row.widest)
                at = add_entry(row, coefficient, at, own[TURNOVER], 1.0)
                at = add_entry(row, coefficient, at, own[GAIN_BUDGET], gain)
                is_hi = bool(lot_row.is_short) == is_hi_short
                at = add_entry(row, coefficient, at, own[HI_GAIN], -gain if is_hi else 0.0)
                at = add_entry(row, coefficient, at, own[SUM_OF_GAINS], -gain)
                v += 1
                start[v] = at
        at = add_entry(row, coefficient, at, tracking[classes], 1.0)
        at = add_entry(row, coefficient, at, own[CASH], 1.0)
        cap[v] = np.inf
        v += 1
        start[v] = at
        ends = price_ends(work, account, sides[account - first])
        for kind in range(TURNOVER, OWN_ROWS):
            if own[kind] < 0:
                continue
            at = add_entry(row, coefficient, at, own[kind], 1.0)
            cap[v] = np.inf
            if kind >= FIRST_NET:
                cost[v] = ends[kind - FIRST_NET]
            v += 1
            start[v] = at
            if kind >= FIRST_NET:
                at = add_entry(row, coefficient, at, own[kind], -1.0)
                cap[v] = np.inf
                v += 1
                start[v] = at
    for j in range(classes):
        if losses[j] >= 0:
            at = add_entry(row, coefficient, at, losses[j], 1.0)
            cap[v] = np.inf
            v += 1
            start[v] = at
    program = Program(cost[:v], cap[:v], start[: v + 1], row[:at], coefficient[:at], right, soft, block)
    return program, of_lot, of_class, rows, tracking, losses


@compile_inner
def keep_trades(work: Workspace, first: int, last: int, p: Program, x: Any, of_lot: Any, of_class: Any) -> None:
    """Put the program's answer in the workspace, what is next to a bound on it."""
    scale = work.accounts[first].nav
    for c in range(work.accounts[first].first, work.accounts[last - 1].last):
        work.classes[c].bought_usd = 0.0
    for lot in range(work.accounts[first].first_lot, work.accounts[last - 1].last_lot):
        work.lots[lot].sold_usd = 0.0
    for v in range(len(x)):
        value = 0.0 if x[v] < SNAP else (p.cap[v] if p.cap[v] - x[v] < SNAP else x[v])
        if of_lot[v] >= 0:
            lot_row = work.lots[of_lot[v]]
            lot_row.sold_usd = min(lot_row.open_cap, value * scale)
        elif of_class[v] >= 0:
            work.classes[of_class[v]].bought_usd = value * scale


@compile_inner
def solve_program(work: Workspace, first: int, last: int, sides: Any) -> tuple[bool, Floats, Floats, Floats]:
    """Fill ``sold_usd`` and ``bought_usd`` with the optimum, in which a class may do both; whether it was found, and its prices.

    Prices of each account's own rows: of cash (a dollar more is worth so much), turnover, gain budget, and ``a`` and ``b`` of
    ``netting``; and of each class, cash the last: what a dollar less of it is
    worth; and of each class's room for losses.
    """
    members = last - first
    is_paid, own = np.zeros(members, np.int64), np.zeros((members, OWN_ROWS))
    of_classes = np.zeros(work.accounts[first].last - work.accounts[first].first + 1)
    of_losses = np.zeros(len(of_classes))
    is_solved = False
    for number in range(ROUNDS):
        program, of_lot, of_class, rows, tracking, losses = trade_program(work, first, last, sides, is_paid)
        x, prices, is_solved = interior_point(program)
        keep_trades(work, first, last, program, x, of_lot, of_class)
        is_changed = False
        for i in range(members):
            for kind in range(OWN_ROWS):
                if rows[i, kind] >= 0:
                    price = prices[rows[i, kind]]
                    own[i, kind] = price if kind >= FIRST_NET else -price
            if own[i, CASH] < -UNWANTED and not is_paid[i] and number < ROUNDS - 1:
                is_paid[i], is_changed = 1, True
        for j in range(len(tracking)):
            of_classes[j] = -prices[tracking[j]]
            of_losses[j] = max(-prices[losses[j]], 0.0) if losses[j] >= 0 else 0.0
        if not is_changed:
            break
    return is_solved, own, of_classes, of_losses
