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
from tasks.core.solver.workspace import Workspace, compiled

PRICES = 5
"""Prices of an account's own rows: cash, turnover, gain budget, gain of the hi term, sum of gains."""
FIRST_NET = 3
"""The prices from here on are of nets: rows that a variable enters from either side."""
SNAP = 1e-7
"""Share of NAV: a trade this close to its bound is at it."""


@compiled
def open_row(rows: Any, account: int, kind: int, count: int) -> int:
    """Give an account a row of its own."""
    rows[account, kind] = count
    return count + 1


@compiled
def own_rows(desk: Workspace, first: int, last: int, count: int, sides: Any) -> tuple[Any, int]:
    """Number of each account's own rows (-1: it has none of the kind), and how many rows there are in all."""
    rows = np.full((last - first, PRICES), -1)
    for account in range(first, last):
        an_account = desk.accounts[account]
        i = account - first
        count = open_row(rows, i, 0, count)
        if np.isfinite(an_account.turnover):
            count = open_row(rows, i, 1, count)
        if np.isfinite(an_account.gain):
            count = open_row(rows, i, 2, count)
        a, b = price_ends(desk, account, sides[i])
        if a > 0:
            count = open_row(rows, i, 3, count)
        if b > 0:
            count = open_row(rows, i, 4, count)
    return rows, count


@compiled
def right_sides(desk: Workspace, rows: Any, first: int, last: int, count: int) -> tuple[Any, Any]:
    """Right sides and softness of all rows."""
    scale, k = desk.accounts[first].nav, desk.accounts[first].tracking_penalty
    classes = desk.accounts[first].last - desk.accounts[first].first
    right, soft = np.zeros(count), np.zeros(count)
    for j in range(classes):
        right[j], soft[j] = desk.classes[desk.accounts[first].first + j].target / scale, 1 / k
    right[classes], soft[classes] = desk.accounts[first].cash_target / scale, 1 / k
    for account in range(first, last):
        an_account = desk.accounts[account]
        own = rows[account - first]
        for j in range(classes):
            right[j] -= desk.classes[an_account.first + j].value / scale
        if an_account.shortfall > 0:
            right[classes] -= an_account.cash / scale  # stays out, in debt
        else:
            right[own[0]] = an_account.cash / scale
        if own[1] >= 0:
            right[own[1]] = an_account.turnover / scale
        if own[2] >= 0:
            right[own[2]] = an_account.gain / scale
        row = desk.accounts[account]
        hi = row.short_before if row.short_rate >= row.long_rate else row.long_before
        if own[3] >= 0:
            right[own[3]] = hi / scale
        if own[4] >= 0:
            right[own[4]] = (an_account.short_before + an_account.long_before) / scale
    return right, soft


@compiled
def trade_program(desk: Workspace, first: int, last: int, sides: Any) -> tuple[Program, Any, Any, Any]:
    """The program; for each variable the lot it sells, and the class it buys (-1: neither); and the accounts' own rows."""
    scale = desk.accounts[first].nav
    classes = desk.accounts[first].last - desk.accounts[first].first
    rows, count = own_rows(desk, first, last, classes + 1, sides)
    right, soft = right_sides(desk, rows, first, last, count)
    lots = desk.accounts[last - 1].last_lot - desk.accounts[first].first_lot
    most = lots + (last - first) * (classes + 7)
    cost, cap, start = np.zeros(most), np.zeros(most), np.zeros(most + 1, np.int64)
    row, coefficient = np.zeros(6 * most, np.int64), np.zeros(6 * most)
    of_lot, of_class = np.full(most, -1), np.full(most, -1)
    v, at = 0, 0
    for account in range(first, last):
        an_account = desk.accounts[account]
        own = rows[account - first]
        is_hi_short = an_account.short_rate >= an_account.long_rate
        for j in range(classes):
            c = an_account.first + j
            if desk.classes[c].open_cap > 0:
                cost[v], cap[v], of_class[v] = desk.classes[c].buy_base, desk.classes[c].open_cap / scale, c
                row[at], row[at + 1], coefficient[at], coefficient[at + 1] = j, own[0], 1.0, 1.0
                at += 2
                if own[1] >= 0:
                    row[at], coefficient[at] = own[1], 1.0
                    at += 1
                v += 1
                start[v] = at
            for lot in range(desk.classes[c].first, desk.classes[c].last):
                a_lot = desk.lots[lot]
                if a_lot.open_cap > 0:
                    cost[v], cap[v], of_lot[v] = a_lot.base, a_lot.open_cap / scale, lot
                    row[at], row[at + 1], coefficient[at], coefficient[at + 1] = j, own[0], -1.0, -1.0
                    at += 2
                    gain = a_lot.gain
                    if own[1] >= 0:
                        row[at], coefficient[at] = own[1], 1.0
                        at += 1
                    if own[2] >= 0 and gain != 0:
                        row[at], coefficient[at] = own[2], gain
                        at += 1
                    if own[3] >= 0 and gain != 0 and a_lot.is_short == is_hi_short:
                        row[at], coefficient[at] = own[3], -gain
                        at += 1
                    if own[4] >= 0 and gain != 0:
                        row[at], coefficient[at] = own[4], -gain
                        at += 1
                    v += 1
                    start[v] = at
        row[at], row[at + 1], coefficient[at], coefficient[at + 1] = classes, own[0], 1.0, 1.0
        at, cap[v] = at + 2, np.inf
        v += 1
        start[v] = at
        ends = price_ends(desk, account, sides[account - first])
        for kind in range(1, PRICES):
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


@compiled
def net_out(desk: Workspace, c: int) -> None:
    """Set a class's purchase off against its sales, last lots first: where a round trip is free, an inner answer makes both."""
    a_class = desk.classes[c]
    for i in range(a_class.last - a_class.first):
        lot = desk.lots[a_class.last - 1 - i]
        both = min(a_class.bought_usd, lot.sold_usd)
        if both > 0:
            a_class.bought_usd -= both
            lot.sold_usd -= both


@compiled
def solve_program(desk: Workspace, first: int, last: int, sides: Any) -> tuple[bool, Floats, Floats]:
    """Fill ``sold_usd`` and ``bought_usd`` with the optimum; whether it was found, and its prices.

    Prices of each account's own rows: of cash (a dollar more is worth so much), turnover, gain budget, and ``a`` and ``b`` of
    ``netting``; and of each class, cash the last: what a dollar less of it is worth.
    """
    program, of_lot, of_class, rows = trade_program(desk, first, last, sides)
    x, prices, is_solved = interior_point(program)
    scale = desk.accounts[first].nav
    for c in range(desk.accounts[first].first, desk.accounts[last - 1].last):
        desk.classes[c].bought_usd = 0.0
    for lot in range(desk.accounts[first].first_lot, desk.accounts[last - 1].last_lot):
        desk.lots[lot].sold_usd = 0.0
    for v in range(len(x)):
        if not is_solved:
            break
        value = 0.0 if x[v] < SNAP else (program.cap[v] if program.cap[v] - x[v] < SNAP else x[v])
        if of_lot[v] >= 0:
            lot = desk.lots[of_lot[v]]
            lot.sold_usd = lot.open_cap if value == program.cap[v] else value * scale
        elif of_class[v] >= 0:
            desk.classes[of_class[v]].bought_usd = value * scale
    for c in range(desk.accounts[first].first, desk.accounts[last - 1].last):
        net_out(desk, c)
    own = np.zeros((last - first, PRICES))
    for i in range(last - first):
        for kind in range(PRICES):
            if rows[i, kind] >= 0:
                price = prices[rows[i, kind]]
                own[i, kind] = price if kind >= FIRST_NET else -price
    return is_solved, own, -prices[: desk.accounts[first].last - desk.accounts[first].first + 1]
