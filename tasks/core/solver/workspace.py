"""One account, or one household, at work: its rows, with room beside each for what is being decided.

The solver's functions all work on a ``Workspace`` and know nothing of the book it was filled from, so an account's answer cannot
depend on the others, its rows fit the processor's nearest cache, and no input is ever written to. Compiled functions take
three arrays of records instead of some sixty columns: that makes them a tenth as long to compile.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from numba import njit

from tasks.core.solver.arrays import Book, Ints, Limits

F = TypeVar("F", bound=Callable[..., Any])


def compile_inner(function: F) -> F:
    """Compile a function that only compiled code calls: without an entry point for Python that takes a fraction of the time.

    It is cached on disk as part of what calls it (``entry._entrance``), never by itself.
    """
    fast: F = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)  # type: ignore[call-overload]  # options that its stubs leave out
    return fast


def _record(floats: str, whole: str) -> np.dtype[np.void]:
    return np.dtype([(name, np.float64) for name in floats.split()] + [(name, np.int64) for name in whole.split()])


ACCOUNT: Final = _record(
    "nav tracking_penalty cash cash_target min_trade turnover gain short_before long_before short_rate long_rate slack "
    "cash_now gain_left turnover_left "
    "shadow_price objective optimum lower_bound cash_after shortfall short_at long_at gain_price turnover_price",
    "first last first_lot last_lot max_orders status",
)
"""As in ``Book`` and ``Limits``; classes ``first`` to ``last`` and lots likewise; what the trades so far leave of cash and limits; the answer."""
CLASS: Final = _record(
    "value target buy_cap buy_cost buy_spread buy_price buy_step least open_cap buy_base bought_usd sold_usd gap kept best_usd",
    "first last next_lot bought dropped best best_dropped",
)
"""``open_cap``: as long as nothing else is decided. ``buy_base``: cost without shadow prices. ``gap``: value after the trades so far less the destination. ``next_lot``: the next that could be sold (-1: none). ``bought``: steps. ``kept``: usd set aside. ``best``: as the best trades so far are."""
LOT: Final = _record(
    "quantity price step spread cost cap gain open_cap base sold_usd kept best_usd",
    "security is_short home sold dropped best best_dropped",
)
"""``base``: cost of selling without tax that nets and shadow prices. ``home``: where the lot stood. ``sold``: steps."""


class Workspace(NamedTuple):
    """Records of the accounts at work, of their classes and of their lots, the last lot being a spare."""

    accounts: npt.NDArray[np.void]
    classes: npt.NDArray[np.void]
    lots: npt.NDArray[np.void]
    search: npt.NDArray[np.int64]
    """Phase and counts of the search for fewer orders."""
    excluded: npt.NDArray[np.int64]
    """Orders excluded by it: class, security, why."""
    tried: npt.NDArray[np.int64]
    most: npt.NDArray[np.float64]


def largest(book: Book, starts: Ints) -> tuple[int, int, int]:
    """Accounts, classes and lots of the largest group of accounts; group g begins at account ``starts[g]``."""
    classes = book.class_start[starts]
    counts = (starts, classes, book.lot_start[classes])
    accounts, of_classes, of_lots = (int(np.diff(count).max(initial=1)) for count in counts)
    return accounts, of_classes, of_lots


def new_workspace(accounts: int, classes: int, lots: int) -> Workspace:
    """Room for a group of the size."""
    return Workspace(
        np.zeros(accounts, ACCOUNT),
        np.zeros(classes, CLASS),
        np.zeros(lots + 1, LOT),
        np.zeros(4, np.int64),
        np.zeros((classes + lots + 1, 3), np.int64),
        np.zeros((classes + lots + 1, 3), np.int64),
        np.zeros(1),
    )


@compile_inner
def load_account(book: Book, limits: Limits, row: Any, source: int) -> None:
    """Copy an account's own columns."""
    row.nav, row.tracking_penalty = book.nav[source], book.tracking_penalty[source]
    row.cash, row.cash_target, row.min_trade = book.cash[source], book.cash_target[source], book.min_trade[source]
    row.turnover, row.gain, row.slack = limits.turnover[source], limits.gain[source], limits.slack[source]
    row.short_before, row.long_before = limits.short_before[source], limits.long_before[source]
    row.short_rate, row.long_rate = limits.short_rate[source], limits.long_rate[source]
    row.max_orders = limits.max_orders[source]
    row.shadow_price, row.objective, row.optimum, row.lower_bound = 0.0, 0.0, 0.0, 0.0
    row.cash_after, row.shortfall, row.short_at, row.long_at = 0.0, 0.0, 0.0, 0.0
    row.gain_price, row.turnover_price, row.status = 0.0, 0.0, 0


@compile_inner
def load_class(book: Book, limits: Limits, row: Any, source: int) -> None:
    """Copy a class's columns; nothing is bought."""
    row.value, row.target = book.class_value[source], book.class_target[source]
    row.buy_cap, row.open_cap = book.buy_cap[source], book.buy_cap[source]
    row.buy_cost, row.buy_base, row.buy_spread = book.buy_cost[source], book.buy_cost[source], book.buy_spread[source]
    row.buy_price, row.buy_step, row.least = book.buy_price[source], book.buy_step[source], limits.class_min[source]
    row.bought_usd, row.bought, row.dropped = 0.0, 0, 0


@compile_inner
def load_lot(book: Book, limits: Limits, row: Any, source: int, account_row: Any) -> None:
    """Copy a lot's columns; nothing is sold."""
    row.quantity, row.price, row.step = book.lot_quantity[source], book.lot_price[source], book.lot_step[source]
    row.spread, row.cost, row.cap = book.lot_spread[source], book.lot_cost[source], book.lot_cap[source]
    row.gain, row.is_short = limits.lot_gain[source], limits.lot_is_short[source]
    row.security, row.home, row.open_cap = book.lot_security[source], source, book.lot_cap[source]
    rate = account_row.short_rate if limits.lot_is_short[source] else account_row.long_rate
    row.base = row.cost - rate * row.gain
    row.sold_usd, row.sold, row.dropped = 0.0, 0, 0


@compile_inner
def load(book: Book, limits: Limits, work: Workspace, first: int, last: int) -> None:
    """Put accounts ``first`` to ``last`` of the book in the workspace."""
    class_base = book.class_start[first]
    lot_base = book.lot_start[class_base]
    for source in range(first, last):
        account_row = work.accounts[source - first]
        load_account(book, limits, account_row, source)
        account_row.first = book.class_start[source] - class_base
        account_row.last = book.class_start[source + 1] - class_base
        account_row.first_lot = book.lot_start[book.class_start[source]] - lot_base
        account_row.last_lot = book.lot_start[book.class_start[source + 1]] - lot_base
        for c in range(book.class_start[source], book.class_start[source + 1]):
            class_row = work.classes[c - class_base]
            load_class(book, limits, class_row, c)
            class_row.first, class_row.last = book.lot_start[c] - lot_base, book.lot_start[c + 1] - lot_base
            for lot in range(book.lot_start[c], book.lot_start[c + 1]):
                load_lot(book, limits, work.lots[lot - lot_base], lot, account_row)
