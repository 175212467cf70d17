"""Accounts whose trades are coupled beyond their own cash, as a quadratic program for ``interior``.

One account, or the accounts of a household. Rows: a tracking row for each class and one for cash (of all the accounts
together), then for each account its cash equation and, where it has them, turnover, gain budget and the two nets of
``netting`` (a net gain is one variable less another; only the first is taxed). Dollars are divided by NAV.
"""

from typing import Any

import numpy as np

from tasks.core.solver.arrays import Floats
from tasks.core.solver.interior import Program, interior_point
from tasks.core.solver.netting import price_ends
from tasks.core.solver.workspace import Workspace, compile_inner

CASH, TURNOVER, GAIN_BUDGET, HI_GAIN, SUM_OF_GAINS = 0, 1, 2, 3, 4
"""An account's own rows, and the prices on them."""
OWN_ROWS = 5
FIRST_NET = HI_GAIN
"""The rows from here on are nets: a variable enters them from either side."""
SNAP = 1e-7
"""Share of NAV: a trade this close to its bound is at it."""


@compile_inner
def open_row(rows: Any, account: int, kind: int, count: int) -> int:
    """Give an account a row of its own."""
    rows[account, kind] = count
    return count + 1


@compile_inner
def own_rows(work: Workspace, first: int, last: int, count: int, sides: Any) -> tuple[Any, int]:
    """Number of each account's own rows (-1: it has none of the kind), and how many rows there are in all."""
    rows = np.full((last - first, OWN_ROWS), -1)
    for account in range(first, last):
        account_row = work.accounts[account]
        i = account - first
        count = open_row(rows, i, CASH, count)
        if np.isfinite(account_row.turnover):
            count = open_row(rows, i, TURNOVER, count)
        if np.isfinite(account_row.gain):
            count = open_row(rows, i, GAIN_BUDGET, count)
        a, b = price_ends(work, account, sides[i])
        if a > 0:
            count = open_row(rows, i, HI_GAIN, count)
        if b > 0:
            count = open_row(rows, i, SUM_OF_GAINS, count)
    return rows, count


@compile_inner
def right_sides(work: Workspace, rows: Any, first: int, last: int, count: int) -> tuple[Any, Any]:
    """Right sides and softness of all rows."""
    scale, k = work.accounts[first].nav, work.accounts[first].tracking_penalty
    classes = work.accounts[first].last - work.accounts[first].first
    right, soft = np.zeros(count), np.zeros(count)
    for j in range(classes):
        right[j], soft[j] = work.classes[work.accounts[first].first + j].target / scale, 1 / k
    right[classes], soft[classes] = work.accounts[first].cash_target / scale, 1 / k
    for account in range(first, last):
        account_row = work.accounts[account]
        own = rows[account - first]
        for j in range(classes):
            right[j] -= work.classes[account_row.first + j].value / scale
        if account_row.shortfall > 0:
            right[classes] -= account_row.cash / scale  # stays out, in debt
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
def trade_program(work: Workspace, first: int, last: int, sides: Any) -> tuple[Program, Any, Any, Any]:
    """The program; for each variable the lot it sells, and the class it buys (-1: neither); and the accounts' own rows."""
    scale = work.accounts[first].nav
    classes = work.accounts[first].last - work.accounts[first].first
    rows, count = own_rows(work, first, last, classes + 1, sides)
    right, soft = right_sides(work, rows, first, last, count)
    lots = work.accounts[last - 1].last_lot - work.accounts[first].first_lot
    most = lots + (last - first) * (classes + 7)
    cost, cap, start = np.zeros(most), np.zeros(most), np.zeros(most + 1, np.int64)
    row, coefficient = np.zeros(6 * most, np.int64), np.zeros(6 * most)
    of_lot, of_class = np.full(most, -1), np.full(most, -1)
    v, at = 0, 0
    for account in range(first, last):
        account_row = work.accounts[account]
        own = rows[account - first]
        is_hi_short = account_row.short_rate >= account_row.long_rate
        for j in range(classes):
            c = account_row.first + j
            if work.classes[c].open_cap > 0:
                cost[v], cap[v], of_class[v] = work.classes[c].buy_base, work.classes[c].open_cap / scale, c
                row[at], row[at + 1], coefficient[at], coefficient[at + 1] = j, own[CASH], 1.0, 1.0
                at += 2
                if own[TURNOVER] >= 0:
                    row[at], coefficient[at] = own[TURNOVER], 1.0
                    at += 1
                v += 1
                start[v] = at
            for lot in range(work.classes[c].first, work.classes[c].last):
                lot_row = work.lots[lot]
                if lot_row.open_cap > 0:
                    cost[v], cap[v], of_lot[v] = lot_row.base, lot_row.open_cap / scale, lot
                    row[at], row[at + 1], coefficient[at], coefficient[at + 1] = j, own[CASH], -1.0, -1.0
                    at += 2
                    gain = lot_row.gain
                    if own[TURNOVER] >= 0:
                        row[at], coefficient[at] = own[TURNOVER], 1.0
                        at += 1
                    if own[GAIN_BUDGET] >= 0 and gain != 0:
                        row[at], coefficient[at] = own[GAIN_BUDGET], gain
                        at += 1
                    if own[HI_GAIN] >= 0 and gain != 0 and lot_row.is_short == is_hi_short:
                        row[at], coefficient[at] = own[HI_GAIN], -gain
                        at += 1
                    if own[SUM_OF_GAINS] >= 0 and gain != 0:
                        row[at], coefficient[at] = own[SUM_OF_GAINS], -gain
                        at += 1
                    v += 1
                    start[v] = at
        row[at], row[at + 1], coefficient[at], coefficient[at + 1] = classes, own[CASH], 1.0, 1.0
        at, cap[v] = at + 2, np.inf
        v += 1
        start[v] = at
        ends = price_ends(work, account, sides[account - first])
        for kind in range(TURNOVER, OWN_ROWS):
            if own[kind] < 0:
                continue
            row[at], coefficient[at], cap[v] = own[kind], 1.0, np.inf
            if kind >= FIRST_NET:
                cost[v] = ends[kind - FIRST_NET]
            at, v = at + 1, v + 1
            start[v] = at
            if kind >= FIRST_NET:
                row[at], coefficient[at], cap[v] = own[kind], -1.0, np.inf
                at, v = at + 1, v + 1
                start[v] = at
    program = Program(cost[:v], cap[:v], start[: v + 1], row[:at], coefficient[:at], right, soft)
    return program, of_lot, of_class, rows


@compile_inner
def net_out(work: Workspace, c: int) -> None:
    """Set a class's purchase off against its sales, last lots first: where a round trip is free, an inner answer makes both."""
    class_row = work.classes[c]
    for i in range(class_row.last - class_row.first):
        lot_row = work.lots[class_row.last - 1 - i]
        both = min(class_row.bought_usd, lot_row.sold_usd)
        if both > 0:
            class_row.bought_usd -= both
            lot_row.sold_usd -= both


@compile_inner
def solve_program(work: Workspace, first: int, last: int, sides: Any) -> tuple[bool, Floats, Floats]:
    """Fill ``sold_usd`` and ``bought_usd`` with the optimum; whether it was found, and its prices.

    Prices of each account's own rows: of cash (a dollar more is worth so much), turnover, gain budget, and ``a`` and ``b`` of
    ``netting``; and of each class, cash the last: what a dollar less of it is worth.
    """
    program, of_lot, of_class, rows = trade_program(work, first, last, sides)
    x, prices, is_solved = interior_point(program)
    scale = work.accounts[first].nav
    for c in range(work.accounts[first].first, work.accounts[last - 1].last):
        work.classes[c].bought_usd = 0.0
    for lot in range(work.accounts[first].first_lot, work.accounts[last - 1].last_lot):
        work.lots[lot].sold_usd = 0.0
    for v in range(len(x)):
        if not is_solved:
            break
        value = 0.0 if x[v] < SNAP else (program.cap[v] if program.cap[v] - x[v] < SNAP else x[v])
        if of_lot[v] >= 0:
            lot_row = work.lots[of_lot[v]]
            lot_row.sold_usd = lot_row.open_cap if value == program.cap[v] else value * scale
        elif of_class[v] >= 0:
            work.classes[of_class[v]].bought_usd = value * scale
    for c in range(work.accounts[first].first, work.accounts[last - 1].last):
        net_out(work, c)
    own = np.zeros((last - first, OWN_ROWS))
    for i in range(last - first):
        for kind in range(OWN_ROWS):
            if rows[i, kind] >= 0:
                price = prices[rows[i, kind]]
                own[i, kind] = price if kind >= FIRST_NET else -price
    return is_solved, own, -prices[: work.accounts[first].last - work.accounts[first].first + 1]
