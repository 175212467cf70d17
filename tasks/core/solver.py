"""Trades of many accounts at once: the continuous optimum, whole units, the minimum trade and the certificate.

For each account, independently of all others (threads of our own release the interpreter lock: Numba's own parallel loops
may not be entered from two threads at once, and take three times as long to compile):

1. Solve exactly (``kernel``); its objective is the lower bound of the certificate.
2. Cut to whole units (``whole_units``).
3. Orders below the minimum trade are dropped, their lots or purchases barred, and 1 and 2 done again; at most ``MAX_PASSES``.
   What is still below it in the last pass is dropped; where cash is owed, sales are topped up to the minimum instead.
4. Nothing is traded unless that is strictly better than doing nothing, or cash is owed.

The certificate: ``gap_bps = 1e4 * (objective - lower_bound) / NAV`` bounds how much better any answer could be. Where cash has
a price (``mu >= 0``) the continuous optimum is that bound. Where cash is in surplus (``mu < 0``: nothing to buy) it is not,
because paying costs from unwanted cash lowers the tracking term; there the bound is the Lagrangian dual, at ``mu``, of the
problem whose costs are paid from cash (``kernel.bound_with_costs_paid``).
"""

import hashlib
import inspect
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from tasks.core import kernel, whole_units
from tasks.core.kernel import (
    ROUNDING,
    Book,
    Flags,
    Floats,
    Scratch,
    bound_with_costs_paid,
    cash_before_costs,
    compiled,
    objective,
    price_of_cash,
    scratch_for,
    trade_at,
)
from tasks.core.whole_units import (
    CASH_CUSHION,
    IMPROVEMENT_OF_NAV,
    Units,
    cash_after_costs,
    cut_down,
    raise_cash,
    sell_steps,
    set_bought,
    set_sold,
    sold_of,
    spend_cash,
)

MAX_PASSES: Final = 3
ACCOUNTS_PER_THREAD: Final = 500
"""Fewer are not worth a thread."""

TRADED: Final = 0
STAYS: Final = 1
CANNOT_RAISE_CASH: Final = 2


class Answer(NamedTuple):
    """Trades of many accounts, arrays as in ``Book``."""

    status: npt.NDArray[np.int8]
    """``TRADED``, ``STAYS`` (nothing is worth doing) or ``CANNOT_RAISE_CASH``."""
    shadow_price: Floats
    """mu: what one more dollar of cash would lower the objective by, usd."""
    objective: Floats
    optimum: Floats
    """Objective of the continuous optimum, costs not paid from cash, usd."""
    lower_bound: Floats
    """No whole-unit answer has a lower objective, usd."""
    cash: Floats
    """Final cash beyond the reserve after costs, usd."""
    shortfall: Floats
    """Cash owed that cannot be raised, usd."""
    sold: npt.NDArray[np.int64]
    bought: npt.NDArray[np.int64]
    is_lot_dropped: Flags
    """Barred because its order stayed below the minimum trade."""
    is_buy_dropped: Flags


def rebalance(book: Book) -> Answer:
    """The best whole-unit trades of every account of ``book``, with their certificates.

    Accounts do not influence one another: an account's answer is the same alone and among thousands.
    """
    n, m, lots = len(book.nav), len(book.buy_cap), len(book.lot_cap)
    answer = Answer(
        status=np.zeros(n, np.int8),
        shadow_price=np.zeros(n),
        objective=np.zeros(n),
        optimum=np.zeros(n),
        lower_bound=np.zeros(n),
        cash=np.zeros(n),
        shortfall=np.zeros(n),
        sold=np.zeros(lots, np.int64),
        bought=np.zeros(m, np.int64),
        is_lot_dropped=np.zeros(lots, np.bool_),
        is_buy_dropped=np.zeros(m, np.bool_),
    )
    book = Book._make(np.require(column, requirements=["C", "W"]) for column in book)  # one type, so compiled once
    room, units = scratch_for(book), Units(answer.sold, answer.bought)
    workers = min(n // ACCOUNTS_PER_THREAD + 1, os.cpu_count() or 1)
    edges = np.linspace(0, n, workers + 1).astype(np.int64)
    with ThreadPoolExecutor(workers) as pool:
        for done in [
            pool.submit(_rebalance_range, book, room, units, answer, *edge) for edge in pairwise(edges.tolist())
        ]:
            done.result()
    return answer


def warm_up() -> None:
    """Compile the kernel, or load it compiled: some seconds once per installation, which no account should be charged."""
    one, none = np.ones(1), np.zeros(1)
    offsets = np.array([0, 1], np.int64)
    code = np.zeros(1, np.int64)
    lots = (offsets, one, one, one, none, none, one, code)
    rebalance(Book(one, one, one, none, none, offsets, one, one, one, none, one, one, *lots))


@compiled
def _rebalance_one(book: Book, room: Scratch, units: Units, answer: Answer, account: int) -> None:
    _open_bounds(book, room, account)
    _stay(book, room, units, answer, account)
    idle = answer.objective[account]
    k = book.tracking_penalty[account] / book.nav[account]
    x, shortfall = price_of_cash(book, room, account)
    if shortfall > 0:
        answer.status[account], answer.shortfall[account] = CANNOT_RAISE_CASH, shortfall
        return
    trade_at(book, room, account, x)
    answer.shadow_price[account] = x * k
    answer.optimum[account] = objective(book, room, account, cash_before_costs(book, room, account))
    answer.lower_bound[account] = answer.optimum[account] if x >= 0 else bound_with_costs_paid(book, account, x * k)

    floor = min(max(book.cash[account], 0.0), CASH_CUSHION) if book.cash[account] >= 0 else CASH_CUSHION
    short = 0.0
    for attempt in range(MAX_PASSES):
        if attempt > 0:
            x, barred_short = price_of_cash(book, room, account)
            if barred_short > 0:
                x = np.inf
            trade_at(book, room, account, x)
        cut_down(book, room, units, account)
        short = raise_cash(book, room, units, account, floor)
        spend_cash(book, room, units, account, floor)
        if short > 0 or not _bar_small(book, room, answer, account):
            break
    short = _finish_small(book, room, units, account, floor)
    if short > 0:
        _stay(book, room, units, answer, account)
        answer.status[account], answer.shortfall[account] = CANNOT_RAISE_CASH, short
        return
    _certify(book, room, units, answer, account, idle)


@compiled
def _open_bounds(book: Book, room: Scratch, account: int) -> None:
    for c in range(book.class_start[account], book.class_start[account + 1]):
        room.buy_cap[c] = book.buy_cap[c]
        for lot in range(book.lot_start[c], book.lot_start[c + 1]):
            room.lot_cap[lot] = book.lot_cap[lot]


@compiled
def _bar_small(book: Book, room: Scratch, answer: Answer, account: int) -> bool:
    """Bar every order below the minimum; True where there was one."""
    least = book.min_trade[account]
    found = False
    for c in range(book.class_start[account], book.class_start[account + 1]):
        if 0 < room.class_bought[c] < least:
            room.buy_cap[c] = 0.0
            answer.is_buy_dropped[c] = found = True
        for lot in range(book.lot_start[c], book.lot_start[c + 1]):
            if room.lot_cap[lot] > 0 and 0 < sold_of(book, room, c, book.lot_security[lot]) < least:
                answer.is_lot_dropped[lot] = found = True
        for lot in range(book.lot_start[c], book.lot_start[c + 1]):
            if answer.is_lot_dropped[lot]:
                room.lot_cap[lot] = 0.0
    return found


@compiled
def _finish_small(book: Book, room: Scratch, units: Units, account: int, floor: float) -> float:
    """Drop what is still below the minimum; where that leaves cash short, sell more, topped up to the minimum.

    Returns what is still missing, usd.
    """
    first, last = book.class_start[account], book.class_start[account + 1]
    for c in range(first, last):
        _drop_small(book, room, units, account, c)
    if cash_after_costs(book, room, account) >= floor:
        return 0.0
    short = raise_cash(book, room, units, account, floor)
    for c in range(first, last):
        _top_up_small(book, room, units, account, c)
    return float(short)


@compiled
def _drop_small(book: Book, room: Scratch, units: Units, account: int, c: int) -> None:
    """Take back the orders of a class below the minimum, and open its lots again: cash owed may need what was barred."""
    least = book.min_trade[account]
    if room.class_bought[c] < least:
        set_bought(book, room, units, c, 0)
    for lot in range(book.lot_start[c], book.lot_start[c + 1]):
        room.lot_cap[lot] = book.lot_cap[lot]
        if 0 < sold_of(book, room, c, book.lot_security[lot]) < least:
            _drop(book, room, units, c, book.lot_security[lot])


@compiled
def _top_up_small(book: Book, room: Scratch, units: Units, account: int, c: int) -> None:
    """Sell on to the minimum where less of a security is sold, and drop a purchase that was cut below it."""
    least = book.min_trade[account]
    if room.class_bought[c] < least:
        set_bought(book, room, units, c, 0)
    for lot in range(book.lot_start[c], book.lot_start[c + 1]):
        missing = least - sold_of(book, room, c, book.lot_security[lot])
        if 0 < missing < least and room.lot_sold[lot] < room.lot_cap[lot] * (1 - ROUNDING):
            wanted = np.ceil(missing / (book.lot_step[lot] * book.lot_price[lot]))
            set_sold(book, room, units, lot, units.sold[lot] + sell_steps(book, units, lot, wanted))


@compiled
def _drop(book: Book, room: Scratch, units: Units, c: int, security: int) -> None:
    for lot in range(book.lot_start[c], book.lot_start[c + 1]):
        if book.lot_security[lot] == security:
            units.sold[lot], room.lot_sold[lot] = 0, 0.0


@compiled
def _stay(book: Book, room: Scratch, units: Units, answer: Answer, account: int) -> None:
    for c in range(book.class_start[account], book.class_start[account + 1]):
        set_bought(book, room, units, c, 0)
        for lot in range(book.lot_start[c], book.lot_start[c + 1]):
            units.sold[lot], room.lot_sold[lot] = 0, 0.0
    answer.cash[account] = book.cash[account]
    answer.objective[account] = objective(book, room, account, book.cash[account])
    answer.status[account] = STAYS


@compiled
def _certify(book: Book, room: Scratch, units: Units, answer: Answer, account: int, idle: float) -> None:
    """Keep the trades where they beat ``idle``, the objective of doing nothing, or where cash is owed."""
    cash = cash_after_costs(book, room, account)
    reached = objective(book, room, account, cash)
    if book.cash[account] >= 0 and reached >= idle - IMPROVEMENT_OF_NAV * book.nav[account]:
        _stay(book, room, units, answer, account)
        return
    answer.cash[account], answer.objective[account] = cash, reached
    answer.status[account] = TRADED


def _entrance(sources: str) -> Callable[..., None]:
    """The way in from Python, compiled once and kept on disk.

    Numba looks only at the file of the function it keeps, not at those of the functions it calls. ``sources``, which the
    compiled function closes over, is part of the name it is kept under: changed code is never run in its old form.
    """

    @njit(cache=True, nogil=True)
    def rebalance_range(book: Book, room: Scratch, units: Units, answer: Answer, first: int, last: int) -> None:
        if sources:
            for account in range(first, last):
                _rebalance_one(book, room, units, answer, account)

    compiled_range: Callable[..., None] = rebalance_range
    return compiled_range


def _sources() -> str:
    modules = (kernel, whole_units, sys.modules[__name__])
    return hashlib.sha256("".join(inspect.getsource(module) for module in modules).encode()).hexdigest()


_rebalance_range = _entrance(_sources())
