"""Changes of an account's whole-unit orders, one or two at a time, weighed by what they truly cost.

A move changes one order by so many steps: a purchase of a class, or the sale of a holding. It is weighed by the objective as it is
reported: tracking of the class and of cash, half spreads, and the year's tax after it less the tax before, gains as they count;
prices of limits are no costs. An order also costs what it must be worth (``useful``), so that none
is made for less. The cash floor, the gain budget, the turnover limit, the room for losses, the least order and the rule
that a class does not both buy and sell hold after it; where one does not hold before, a move has to mend it.
"""

from typing import Any, Final

from tasks.core.solver.arrays import MILLIONTHS, NO_ORDER_LIMIT
from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.netting import tax_of
from tasks.core.solver.positions import (
    BUY,
    UNIT_TOLERANCE,
    count_gains,
    holding,
    nearest_units,
    order_count,
    part_of_lot,
    refresh,
    set_bought,
    set_holding,
    set_lot,
    sold_of,
)
from tasks.core.solver.workspace import Workspace

CLASS, SECURITY, UNITS, VALUE, CASH, PAID, SHORT, LONG, TRADED, STEP_USD, OPENED = range(11)
"""Columns of a move: the order and what it becomes (steps bought, millionths sold), and what that changes, usd.

Nothing in it depends on the account's other classes, so it holds until its own class trades otherwise. ``OPENED``: 1 where it makes
a new order, -1 where it drops one. ``STEP_USD``: of a step, where the move may be made several times over; else 0.
"""
ROUNDING_USD: Final = 1e-7
FIRST_MENDED: Final = 1e4


@compile_inner
def sellable_usd(work: Workspace, c: int, security: int) -> float:
    """All that may be sold of a holding, usd, in an order of its own."""
    _, most, held, step, usd = holding(work, c, security)
    return nearest_units(most, most, held, step) / step * usd


@compile_inner
def is_allowed(work: Workspace, account: int, c: int, security: int, value: float, now: float, is_held: int) -> bool:
    """Whether an order of ``now`` usd may be worth ``value``: none, or no less than the least, in a class that does not trade the other way.

    One that is too small already may become smaller: whether it stays is decided later (``orders``).
    """
    class_row = work.classes[c]
    other_way = class_row.sold_usd if security == BUY else class_row.bought_usd
    if value > 0 and other_way > 0:
        return False
    others = 0.0 if security == BUY else class_row.sold_usd - now
    if value <= 0:
        return not is_held and (others <= ROUNDING_USD or others >= class_row.least * (1 - UNIT_TOLERANCE))
    least = work.accounts[account].min_trade
    if work.accounts[account].cash < 0 and security != BUY:
        least = min(least, sellable_usd(work, c, security))
    least = max(least, class_row.least - others) * (1 - UNIT_TOLERANCE)
    return bool(value >= least or value < now < least)


@compile_inner
def orders_left(work: Workspace, account: int) -> int:
    """How many more orders the account may have."""
    account_row = work.accounts[account]
    if account_row.max_orders >= NO_ORDER_LIMIT:
        return NO_ORDER_LIMIT
    return max(int(account_row.max_orders - order_count(work, account)), 0)


@compile_inner
def add_lot(lot_row: Any, sold: int, counted: float, sign: float, move: Any) -> None:
    """Add to a move (``sign`` 1), or take from it (-1), what ``sold`` millionths of a lot come to."""
    usd = sold * (lot_row.price / MILLIONTHS) * sign
    move[VALUE] -= usd
    move[TRADED] += usd
    move[CASH] += usd * (1 - lot_row.spread)
    move[PAID] += usd * lot_row.cost
    if lot_row.is_short:
        move[SHORT] += sign * counted
    else:
        move[LONG] += sign * counted


@compile_inner
def replace_sale(work: Workspace, c: int, security: int, units: int, move: Any) -> tuple[int, float]:
    """Fill in what selling ``units`` of a holding in all changes, losses replaced share by share; what could not be sold, and its usd."""
    first, last = work.classes[c].first, work.classes[c].last
    for lot in range(first, last):
        lot_row = work.lots[lot]
        if lot_row.security == security:
            lot_row.was = lot_row.sold
            add_lot(lot_row, lot_row.sold, lot_row.counted, -1.0, move)
    missing, value = set_holding(work, c, security, units), 0.0
    for lot in range(first, last):
        lot_row = work.lots[lot]
        if lot_row.security == security:
            value += lot_row.sold_usd
            add_lot(lot_row, lot_row.sold, lot_row.counted, 1.0, move)
    for lot in range(first, last):
        if work.lots[lot].security == security:
            set_lot(work, lot, work.lots[lot].was)
    count_gains(work, c, security)
    return missing, value


@compile_inner
def change_sale(work: Workspace, c: int, security: int, units: int, move: Any) -> tuple[int, float]:
    """As ``replace_sale`` where nothing replaces a loss."""
    sold, room = sold_of(work, c, security)
    more, value = units - sold, 0.0
    first, last = work.classes[c].first, work.classes[c].last
    for place in range(last - first):
        lot_row = work.lots[first + place if more >= 0 else last - 1 - place]
        if lot_row.security != security:
            continue
        taken = part_of_lot(lot_row, more, room) if more > 0 else lot_row.sold - min(lot_row.sold, -more)
        more -= taken - lot_row.sold
        usd = taken * (lot_row.price / MILLIONTHS)
        value += usd
        if taken != lot_row.sold:
            room -= (taken - lot_row.sold) * (lot_row.price / MILLIONTHS) if lot_row.gain < 0 else 0.0
            add_lot(lot_row, taken, lot_row.gain * usd, 1.0, move)
            add_lot(lot_row, lot_row.sold, lot_row.counted, -1.0, move)
    return more, value


@compile_inner
def describe_sale(work: Workspace, account: int, c: int, security: int, units: int, move: Any) -> bool:
    """Fill in the move that sells ``units`` of a holding in all; False where it may not."""
    sold, now, is_held, is_replaced = 0, 0.0, 0, 0
    for lot in range(work.classes[c].first, work.classes[c].last):
        lot_row = work.lots[lot]
        if lot_row.security == security:
            sold += lot_row.sold
            now += lot_row.sold_usd
            is_held, is_replaced = lot_row.is_held, lot_row.is_replaced
    if sold == units:
        return False
    for column in range(len(move)):
        move[column] = 0.0
    if is_replaced:
        missing, value = replace_sale(work, c, security, units, move)
    else:
        missing, value = change_sale(work, c, security, units, move)
    if missing > 0 or not is_allowed(work, account, c, security, value, now, is_held):
        return False
    move[CLASS], move[SECURITY], move[UNITS] = c, security, units
    move[OPENED] = (1.0 if sold == 0 else 0.0) - (1.0 if units == 0 else 0.0)
    return True


@compile_inner
def describe_purchase(work: Workspace, account: int, c: int, steps: int, move: Any) -> bool:
    """Fill in the move that buys ``steps`` of a class in all; False where it may not."""
    class_row = work.classes[c]
    value, now = steps * class_row.buy_unit, class_row.bought_usd
    if value > class_row.open_cap * (1 + UNIT_TOLERANCE) or steps == class_row.bought:
        return False
    if not is_allowed(work, account, c, BUY, value, now, class_row.is_held):
        return False
    change = value - now
    move[CLASS], move[SECURITY], move[UNITS] = c, BUY, steps
    move[VALUE], move[CASH] = change, -change * (1 + class_row.buy_spread)
    move[PAID], move[SHORT], move[LONG], move[TRADED] = change * class_row.buy_cost, 0.0, 0.0, change
    move[OPENED] = (1.0 if class_row.bought == 0 else 0.0) - (1.0 if steps == 0 else 0.0)
    move[STEP_USD] = 0.0
    return True


@compile_inner
def broken(work: Workspace, account: int, cash: float, gain: float, traded: float, floor: float) -> float:
    """How badly the cash floor, the gain budget and the turnover limit are broken together: a weighted sum of dollars, to compare.

    The limits count ``FIRST_MENDED`` times: buying less mends cash and breaks no limit, so they are mended before it.
    """
    account_row = work.accounts[account]
    short = max(floor - cash, 0.0)
    over = max(gain - account_row.gain, 0.0) + max(traded - account_row.turnover, 0.0)
    return (FIRST_MENDED * over if over > ROUNDING_USD else 0.0) + (short if short > ROUNDING_USD else 0.0)


@compile_inner
def broken_now(work: Workspace, account: int, floor: float) -> float:
    """``broken`` at the trades in the workspace."""
    account_row = work.accounts[account]
    gain = account_row.short_now + account_row.long_now - account_row.short_before - account_row.long_before
    return broken(work, account, account_row.cash_now, gain, account_row.traded_now, floor)


@compile_inner
def missing_usd(work: Workspace, account: int, floor: float) -> float:
    """The most, usd, by which a limit, or else the cash floor, is broken at the trades in the workspace; 0: neither is."""
    account_row = work.accounts[account]
    gain = account_row.short_now + account_row.long_now - account_row.short_before - account_row.long_before
    over = max(gain - account_row.gain, account_row.traded_now - account_row.turnover)
    missing = over if over > ROUNDING_USD else floor - account_row.cash_now
    return float(missing) if missing > ROUNDING_USD else 0.0


@compile_inner
def weigh(work: Workspace, account: int, one: Any, two: Any, floor: float) -> tuple[float, float]:
    """Change of the objective, usd, by two moves together (the second of class -1: by one), and how broken limits are then."""
    account_row = work.accounts[account]
    k = account_row.tracking_penalty / account_row.nav
    cash, paid, short, long, traded = one[CASH], one[PAID], one[SHORT], one[LONG], one[TRADED]
    paid += one[OPENED] * account_row.useful
    gap = work.classes[int(one[CLASS])].gap
    squares = one[VALUE] * (2 * gap + one[VALUE])
    if two[CLASS] >= 0:
        cash, paid, short, long, traded = (
            cash + two[CASH],
            paid + two[PAID] + two[OPENED] * account_row.useful,
            short + two[SHORT],
            long + two[LONG],
            traded + two[TRADED],
        )
        beside = work.classes[int(two[CLASS])].gap + (one[VALUE] if one[CLASS] == two[CLASS] else 0.0)
        squares += two[VALUE] * (2 * beside + two[VALUE])
    over = account_row.cash_now - account_row.cash_target
    squares += cash * (2 * over + cash)
    change = 0.5 * k * squares + paid
    if short != 0 or long != 0:
        change += tax_of(work, account, account_row.short_now + short, account_row.long_now + long)
        change -= account_row.tax_now
    gain = account_row.short_now + account_row.long_now - account_row.short_before - account_row.long_before
    left = broken(
        work, account, account_row.cash_now + cash, gain + short + long, account_row.traded_now + traded, floor
    )
    return change, left


@compile_inner
def make(work: Workspace, account: int, move: Any) -> None:
    """Make a move."""
    c, security, units = int(move[CLASS]), int(move[SECURITY]), int(move[UNITS])
    if security == BUY:
        set_bought(work, c, units)
    else:
        set_holding(work, c, security, units)
    refresh(work, account)
