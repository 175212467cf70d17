"""One account, or one household, at work: its rows, with room beside each for what is being decided.

The solver's functions all work on a ``Workspace`` and know nothing of the book it was filled from, so an account's answer cannot
depend on the others, its rows fit the processor's nearest cache, and no input is ever written to. Compiled functions take
three arrays of records instead of some sixty columns: that makes them a tenth as long to compile.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import config

from tasks.core.solver.arrays import MILLIONTHS, Book, Ints, Limits
from tasks.core.solver.compiling import compile_inner

LEVELS: Final = 6
"""How many answers can be set aside at once."""
EITHER_WAY, SELLS_ONLY, BUYS_ONLY = 0, 1, 2
"""Whether a class may trade either way while nothing else is decided."""


def _record(floats: str, whole: str, blocks: Mapping[str, tuple[int, ...]] | None = None) -> np.dtype[np.void]:
    fields: list[Any] = [(name, np.float64) for name in floats.split()] + [(name, np.int64) for name in whole.split()]
    return np.dtype(fields + [(name, np.float64, shape) for name, shape in (blocks or {}).items()])


ACCOUNT: Final = _record(
    "nav tracking_penalty cash cash_target min_trade turnover gain short_before long_before short_rate long_rate slack useful "
    "x short_at long_at gain_price turnover_price near "
    "cash_now short_now long_now traded_now paid_now tax_now "
    "shadow_price objective lower_bound cash_after shortfall",
    "first last first_lot last_lot max_orders status",
    {"tried": (2, 5), "kept": (LEVELS, 6)},
)
"""As in ``Book`` and ``Limits``; the prices in force (``x``: that of cash over k); ``near``: the bound within what is left open; what the trades so far come to; the answer; ``tried``: of each side of its tax, the prices found last, that of cash first (``coupled``); ``kept``: by level, the prices and ``near`` of orders set aside (``orders``)."""
CLASS: Final = _record(
    "value target buy_cap buy_cost buy_spread buy_unit least loss_room spare "
    "open_cap buy_reach now widest share bought_usd sold_usd gap",
    "first last bought dropped is_two_way way is_held moves",
)
"""``open_cap``: as long as nothing else is decided. ``now``: cost at the prices in force. ``buy_reach``: cap as long as it may buy. ``widest``: half spread of its lots. ``share``: of the household's ``loss_room``. ``bought``: steps. ``way``: whether it may sell only, or buy only. ``is_held``: an order that may no longer be dropped. ``moves``: how many are described (``search``)."""
LOT: Final = _record(
    "price spread cost cap gain gain_low open_cap cap_aside now reach sold_usd counted",
    "quantity cap_units step security is_short rank outside inside outright is_replaced home slot sold was dropped is_held",
)
"""``gain_low``: the least that a dollar sold can count as gain. ``now``: cost at the prices in force. ``reach``: cap under ``loss_room``. ``is_replaced``: whether a loss on its holding may be disallowed. ``home``: where the lot stood, ``slot``: in the workspace. ``sold``: millionths. ``counted``: gain that counts, usd."""


class Workspace(NamedTuple):
    """Records of the accounts at work, of their classes and of their lots, the last lot being a spare."""

    accounts: npt.NDArray[np.void]
    classes: npt.NDArray[np.void]
    lots: npt.NDArray[np.void]
    aside_lots: npt.NDArray[np.float64]
    """Usd sold by level and slot, of answers set aside."""
    aside_classes: npt.NDArray[np.float64]
    kept_lots: npt.NDArray[np.int64]
    """Millionths sold by level and slot, of orders set aside."""
    kept_classes: npt.NDArray[np.int64]
    moves: npt.NDArray[np.float64]
    """Moves of each class (``moves``, ``search``); the last two rows are spare."""
    excluded: npt.NDArray[np.int64]
    """Orders that were tried without: class, security."""
    household_least: npt.NDArray[np.float64]


MOVE_COLUMNS: Final = 11
MOVES_EACH: Final = 4
"""Most single moves of a purchase, or of a holding's sale."""


def largest(book: Book, starts: Ints) -> tuple[int, int, int]:
    """Accounts, classes and lots of the largest group of accounts; group g begins at account ``starts[g]``."""
    classes = book.class_start[starts]
    counts = (starts, classes, book.lot_start[classes])
    accounts, of_classes, of_lots = (int(np.diff(count).max(initial=1)) for count in counts)
    return accounts, of_classes, of_lots


def new_workspace(accounts: int, classes: int, lots: int) -> Workspace:
    """Room for a group of the size."""
    records = (np.zeros(accounts, ACCOUNT), np.zeros(classes, CLASS), np.zeros(lots + 1, LOT))
    if getattr(config, "DISABLE_JIT", 0):  # as plain Python, to measure coverage or to look inside
        records = (records[0].view(np.recarray), records[1].view(np.recarray), records[2].view(np.recarray))
    return Workspace(
        *records,
        np.zeros((LEVELS, lots + 1)),
        np.zeros((LEVELS, classes)),
        np.zeros((LEVELS, lots + 1), np.int64),
        np.zeros((LEVELS, classes), np.int64),
        np.zeros((MOVES_EACH * (classes + lots) + 2, MOVE_COLUMNS)),
        np.zeros((classes + lots + 1, 2), np.int64),
        np.zeros(classes),
    )


@compile_inner
def load_account(book: Book, limits: Limits, row: Any, source: int) -> None:
    """Copy an account's own columns."""
    row.nav, row.tracking_penalty = book.nav[source], book.tracking_penalty[source]
    row.cash, row.cash_target, row.min_trade = book.cash[source], book.cash_target[source], book.min_trade[source]
    row.turnover, row.gain, row.slack = limits.turnover[source], limits.gain[source], limits.slack[source]
    row.short_before, row.long_before = limits.short_before[source], limits.long_before[source]
    row.short_rate, row.long_rate = limits.short_rate[source], limits.long_rate[source]
    row.max_orders, row.useful = limits.max_orders[source], limits.useful[source]
    row.near = -np.inf
    row.x, row.short_at, row.long_at, row.gain_price, row.turnover_price = 0.0, 0.0, 0.0, 0.0, 0.0
    row.shadow_price, row.objective, row.lower_bound = 0.0, 0.0, 0.0
    row.cash_after, row.shortfall, row.status = 0.0, 0.0, 0
    row.tried[:, :] = 0.0


@compile_inner
def load_class(book: Book, limits: Limits, row: Any, source: int) -> None:
    """Copy a class's columns; nothing is bought."""
    row.value, row.target = book.class_value[source], book.class_target[source]
    row.buy_cap, row.open_cap = book.buy_cap[source], book.buy_cap[source]
    row.buy_cost, row.now, row.buy_spread = book.buy_cost[source], book.buy_cost[source], book.buy_spread[source]
    row.least = limits.class_min[source]
    row.buy_unit = book.buy_price[source] * book.buy_step[source]
    row.loss_room, row.share = limits.loss_room[source], limits.loss_room[source]
    row.bought_usd, row.bought, row.dropped, row.is_held, row.is_two_way, row.widest = 0.0, 0, 0, 0, 0, 0.0
    row.way, row.buy_reach = EITHER_WAY, row.buy_cap


@compile_inner
def load_lot(book: Book, limits: Limits, row: Any, source: int) -> None:
    """Copy a lot's columns; nothing is sold."""
    row.price, row.spread, row.cost, row.cap = (
        book.lot_price[source],
        book.lot_spread[source],
        book.lot_cost[source],
        book.lot_cap[source],
    )
    row.quantity = np.int64(np.round(book.lot_quantity[source] * MILLIONTHS))
    row.step = np.int64(np.round(book.lot_step[source] * MILLIONTHS))
    row.cap_units = min(row.quantity, np.int64(np.round(row.cap / row.price * MILLIONTHS)))
    row.gain, row.gain_low, row.is_short = limits.lot_gain[source], limits.lot_gain[source], limits.lot_is_short[source]
    row.rank = limits.lot_rank[source]
    row.outside = np.int64(np.round(limits.lot_outside[source] * MILLIONTHS))
    row.inside = np.int64(np.round(limits.lot_inside[source] * MILLIONTHS))
    row.outright = np.int64(np.round(limits.lot_outright[source] * MILLIONTHS))
    row.security, row.home, row.open_cap, row.reach = book.lot_security[source], source, row.cap, row.cap
    row.now, row.sold_usd, row.sold, row.dropped, row.is_held, row.counted = row.cost, 0.0, 0, 0, 0, 0.0


@compile_inner
def lower_gains(work: Workspace, c: int) -> None:
    """Fill ``is_replaced`` and ``gain_low`` of a class's lots: a lower bound of what a dollar sold counts, whatever else is sold.

    Where P shares bought outside replace shares of Q that could be sold at a loss, whoever sells n of them has at least
    n min(P, Q) / Q disallowed, at the least of their losses: a chord below what counts, which bends at P.
    """
    first, last = work.classes[c].first, work.classes[c].last
    for lot in range(first, last):
        lot_row = work.lots[lot]
        lot_row.is_replaced = lot_row.outside > 0
        for other in range(first, last):
            if work.lots[other].security == lot_row.security and work.lots[other].inside > 0:
                lot_row.is_replaced = 1
        if lot_row.gain >= 0 or lot_row.outside == 0:
            continue
        least, open_units, before = -lot_row.gain, 0, 0
        for other in range(first, last):
            other_row = work.lots[other]
            if other_row.security == lot_row.security and other_row.gain < 0:
                before += other_row.outright
                if other_row.cap_units > 0:
                    open_units += other_row.cap_units
                    least = min(least, -other_row.gain)
        share = max(lot_row.outside - before, 0) / max(open_units, 1)
        lot_row.gain_low = lot_row.gain + min(share, 1.0) * least


@compile_inner
def widen_room(work: Workspace, c: int) -> None:
    """``spare``: a millionth of a share, usd, which rounding to whole millionths may sell of a class beyond its room for losses."""
    class_row = work.classes[c]
    dearest = 0.0
    for lot in range(class_row.first, class_row.last):
        dearest = max(dearest, work.lots[lot].price)
    class_row.spare = dearest / MILLIONTHS


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
                lot_row = work.lots[lot - lot_base]
                load_lot(book, limits, lot_row, lot)
                lot_row.slot = lot - lot_base
                class_row.widest = max(class_row.widest, lot_row.spread)
            lower_gains(work, c - class_base)
            widen_room(work, c - class_base)


@compile_inner
def set_aside(work: Workspace, first: int, last: int, level: int) -> None:
    """Copy the trades of accounts ``first`` to ``last`` aside."""
    for c in range(work.accounts[first].first, work.accounts[last - 1].last):
        work.aside_classes[level, c] = work.classes[c].bought_usd
    for lot in range(work.accounts[first].first_lot, work.accounts[last - 1].last_lot):
        work.aside_lots[level, work.lots[lot].slot] = work.lots[lot].sold_usd


@compile_inner
def mix_aside(work: Workspace, first: int, last: int, level: int, share: float) -> None:
    """Make the trades those set aside, to ``share``, and for the rest those in the workspace."""
    for c in range(work.accounts[first].first, work.accounts[last - 1].last):
        class_row = work.classes[c]
        class_row.bought_usd = share * work.aside_classes[level, c] + (1 - share) * class_row.bought_usd
    for lot in range(work.accounts[first].first_lot, work.accounts[last - 1].last_lot):
        lot_row = work.lots[lot]
        lot_row.sold_usd = share * work.aside_lots[level, lot_row.slot] + (1 - share) * lot_row.sold_usd
