"""Cut one account's continuous optimum to whole units of ``quantity_step``, pay the costs, spend what is left.

1. Buys are cut down; sells are cut down, but a lot sold whole stays whole (its quantity need not be a multiple of the step).
2. While cash after costs is short: take back a purchase or sell more, whichever worsens the objective least per dollar raised.
3. While something improves the objective: the best single move, buying more of a class that buys (or could) or selling more
   of a class that sells (or could), as many units at once as its parabola asks for and cash allows.

Assumptions: quantities, prices and steps are exact decimals with six digits, so a double holds them to a relative 1e-16;
``UNIT_TOLERANCE`` absorbs that. Cash keeps ``CASH_CUSHION`` usd so that rounding money to six digits cannot break the reserve.

Known limits: the moves are single, so a swap that needs two at once is not found; the certificate shows what that leaves.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.core.kernel import Book, Scratch, compiled

CASH_CUSHION = 1e-3
UNIT_TOLERANCE = 1e-6
IMPROVEMENT_OF_NAV = 1e-9
"""Share of NAV below which a move is not worth making (rounding noise)."""


class Units(NamedTuple):
    """Whole-unit trades of many accounts."""

    sold: npt.NDArray[np.int64]
    """Steps sold of a lot; ``WHOLE_LOT`` = the lot whole."""
    bought: npt.NDArray[np.int64]
    """Steps bought of a class's security."""


WHOLE_LOT = -1


@compiled
def set_sold(book: Book, room: Scratch, units: Units, lot: int, steps: int) -> None:
    """Sell ``steps`` of a lot, or the lot whole where that is no more than ``steps``."""
    if steps * book.lot_step[lot] >= book.lot_quantity[lot] * (1 - 1e-12):
        units.sold[lot] = WHOLE_LOT
        room.lot_sold[lot] = book.lot_quantity[lot] * book.lot_price[lot]
    else:
        units.sold[lot] = steps
        room.lot_sold[lot] = steps * book.lot_step[lot] * book.lot_price[lot]


@compiled
def set_bought(book: Book, room: Scratch, units: Units, c: int, steps: int) -> None:
    """Buy ``steps`` of a class's security."""
    units.bought[c] = steps
    room.class_bought[c] = steps * book.buy_step[c] * book.buy_price[c]


@compiled
def cut_down(book: Book, room: Scratch, units: Units, account: int) -> None:
    """Move 1: the continuous trades in ``room``, cut to whole units."""
    for c in range(book.class_start[account], book.class_start[account + 1]):
        steps = 0
        if room.class_bought[c] > 0:
            steps = int(np.floor(room.class_bought[c] / (book.buy_price[c] * book.buy_step[c]) + UNIT_TOLERANCE))
        set_bought(book, room, units, c, steps)
        for lot in range(book.lot_start[c], book.lot_start[c + 1]):
            sold = room.lot_sold[lot]
            if sold >= room.lot_cap[lot] * (1 - 1e-12) and sold > 0:
                steps = int(np.ceil(book.lot_quantity[lot] / book.lot_step[lot]))
            else:
                steps = int(np.floor(sold / (book.lot_price[lot] * book.lot_step[lot]) + UNIT_TOLERANCE))
            set_sold(book, room, units, lot, steps)


@compiled
def cash_after_costs(book: Book, room: Scratch, account: int) -> float:
    """Cash beyond the reserve after the trades in ``room`` and their half spreads."""
    cash = book.cash[account]
    for c in range(book.class_start[account], book.class_start[account + 1]):
        cash -= room.class_bought[c] * (1 + book.buy_cost[c])
        for lot in range(book.lot_start[c], book.lot_start[c + 1]):
            cash += room.lot_sold[lot] * (1 - book.lot_spread[lot])
    return float(cash)


@compiled
def class_gap(book: Book, room: Scratch, c: int) -> tuple[float, float, int]:
    """Value above the destination, usd sold, and the next lot that could be sold (-1: none)."""
    gap = book.class_value[c] - book.class_target[c] + room.class_bought[c]
    sold, following = 0.0, -1
    for lot in range(book.lot_start[c], book.lot_start[c + 1]):
        sold += room.lot_sold[lot]
        left = room.lot_cap[lot] - room.lot_sold[lot]
        if following < 0 and room.lot_cap[lot] > 0 and left > 1e-9 * room.lot_cap[lot]:
            following = lot
    return gap - sold, sold, following


@compiled
def move_value(k: float, gap: float, over: float, value: float, paid: float, cost: float) -> float:
    """Change of the objective when a class moves by ``value`` usd, cash by ``paid``, at ``cost`` usd.

    ``gap`` and ``over`` are how far class and cash lie above their destinations.
    """
    return 0.5 * k * (value * (2 * gap + value) + paid * (2 * over + paid)) + cost


@compiled
def sell_steps(book: Book, units: Units, lot: int, wanted: float) -> int:
    """How many more steps of a lot to sell for about ``wanted``: at least 1, at most what is left (counting a last fraction)."""
    left = book.lot_quantity[lot] / book.lot_step[lot] - units.sold[lot]
    return int(max(1.0, min(np.ceil(left - UNIT_TOLERANCE), wanted)))


@compiled
def value_of_steps(book: Book, room: Scratch, lot: int, steps: int) -> float:
    """Usd that ``steps`` more of a lot bring; never more than is left of it."""
    whole = book.lot_quantity[lot] * book.lot_price[lot] - room.lot_sold[lot]
    return float(min(steps * book.lot_step[lot] * book.lot_price[lot], whole))


@compiled
def raise_cash(book: Book, room: Scratch, units: Units, account: int, floor: float) -> float:
    """Move 2: until cash after costs is at ``floor``; returns what is still missing, usd (0 = none)."""
    k = book.tracking_penalty[account] / book.nav[account]
    first, last = book.class_start[account], book.class_start[account + 1]
    while True:
        cash = cash_after_costs(book, room, account)
        short = floor - cash
        if short <= 0:
            return 0.0
        over = cash - book.cash_target[account]
        best, best_class, best_lot, best_steps = np.inf, -1, -1, 0
        for c in range(first, last):
            gap, _, following = class_gap(book, room, c)
            if units.bought[c] > 0:
                unit = book.buy_step[c] * book.buy_price[c]
                steps = int(min(units.bought[c], np.ceil(short / (unit * (1 + book.buy_cost[c])))))
                value = steps * unit
                raised = value * (1 + book.buy_cost[c])
                worse = move_value(k, gap, over, -value, raised, -value * book.buy_cost[c]) / raised
                if worse < best:
                    best, best_class, best_lot, best_steps = worse, c, -1, steps
            elif following >= 0:
                unit = book.lot_step[following] * book.lot_price[following]
                wanted = np.ceil(short / (unit * (1 - book.lot_spread[following])))
                steps = sell_steps(book, units, following, wanted)
                value = value_of_steps(book, room, following, steps)
                raised = value * (1 - book.lot_spread[following])
                worse = move_value(k, gap, over, -value, raised, value * book.lot_cost[following]) / raised
                if worse < best:
                    best, best_class, best_lot, best_steps = worse, c, following, steps
        if best_class < 0:
            return short
        if best_lot >= 0:
            set_sold(book, room, units, best_lot, units.sold[best_lot] + best_steps)
        else:
            set_bought(book, room, units, best_class, units.bought[best_class] - best_steps)


@compiled
def sold_of(book: Book, room: Scratch, c: int, security: Any) -> float:
    """Usd sold of one security in a class."""
    sold = 0.0
    for lot in range(book.lot_start[c], book.lot_start[c + 1]):
        if book.lot_security[lot] == security:
            sold += room.lot_sold[lot]
    return float(sold)


@compiled
def more_to_buy(
    book: Book, room: Scratch, account: int, c: int, gap: float, cash: float, floor: float
) -> tuple[float, int]:
    """Change of the objective and steps of the best further purchase in a class that leaves ``floor``; (0, 0): none."""
    k = book.tracking_penalty[account] / book.nav[account]
    over = cash - book.cash_target[account]
    unit = book.buy_step[c] * book.buy_price[c]
    paid = unit * (1 + book.buy_cost[c])
    wish = (-gap * unit + over * paid - book.buy_cost[c] * unit / k) / (unit * unit + paid * paid)
    most = min((cash - floor) / paid, (room.buy_cap[c] - room.class_bought[c]) / unit)
    steps = int(min(np.round(max(wish, 1.0)), np.floor(most)))
    if steps < 1 or (room.class_bought[c] == 0 and steps * unit < book.min_trade[account]):
        return 0.0, 0
    return move_value(k, gap, over, steps * unit, -steps * paid, steps * unit * book.buy_cost[c]), steps


@compiled
def more_to_sell(
    book: Book, room: Scratch, units: Units, account: int, c: int, gap: float, lot: int, cash: float
) -> tuple[float, int]:
    """Change of the objective and steps of the best further sale of ``lot``, the next of its class; (0, 0): none."""
    k = book.tracking_penalty[account] / book.nav[account]
    over = cash - book.cash_target[account]
    unit = book.lot_step[lot] * book.lot_price[lot]
    paid = unit * (1 - book.lot_spread[lot])
    wish = (gap * unit - over * paid - book.lot_cost[lot] * unit / k) / (unit * unit + paid * paid)
    steps = sell_steps(book, units, lot, np.round(wish))
    value = value_of_steps(book, room, lot, steps)
    if value < book.min_trade[account] and sold_of(book, room, c, book.lot_security[lot]) == 0:
        return 0.0, 0
    raised = value * (1 - book.lot_spread[lot])
    return move_value(k, gap, over, -value, raised, value * book.lot_cost[lot]), steps


@compiled
def spend_cash(book: Book, room: Scratch, units: Units, account: int, floor: float) -> None:
    """Move 3: the best single move while one improves the objective; never opens an order below the minimum."""
    first, last = book.class_start[account], book.class_start[account + 1]
    for _ in range(8 * (last - first) + 16):
        cash = cash_after_costs(book, room, account)
        best, best_class, best_lot, best_steps = -IMPROVEMENT_OF_NAV * book.nav[account], -1, -1, 0
        for c in range(first, last):
            gap, sold, lot = class_gap(book, room, c)
            if sold == 0 and room.buy_cap[c] > 0:
                better, steps = more_to_buy(book, room, account, c, gap, cash, floor)
                if better < best:
                    best, best_class, best_lot, best_steps = better, c, -1, steps
            if lot >= 0 and units.bought[c] == 0:
                better, steps = more_to_sell(book, room, units, account, c, gap, lot, cash)
                if better < best:
                    best, best_class, best_lot, best_steps = better, c, lot, steps
        if best_class < 0:
            return
        if best_lot >= 0:
            set_sold(book, room, units, best_lot, units.sold[best_lot] + best_steps)
        else:
            set_bought(book, room, units, best_class, units.bought[best_class] + best_steps)
