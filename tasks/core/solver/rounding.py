"""One account from its continuous optimum to whole-unit orders: the passes of ``solver``."""

import numpy as np

from tasks.core.solver.coupled import Optimum
from tasks.core.solver.kernel import ROUNDING
from tasks.core.solver.optimum import continuous_optimum
from tasks.core.solver.solution import BELOW_IMPROVEMENT, BELOW_MINIMUM
from tasks.core.solver.units import cut_down, sell_more, set_bought, sold_of, steps_left, take_stock
from tasks.core.solver.whole_units import CASH_CUSHION, raise_cash, sell_steps, spend_cash
from tasks.core.solver.workspace import Workspace, compiled

MAX_PASSES = 3


@compiled
def cash_floor(desk: Workspace, account: int) -> float:
    """Least cash beyond the reserve that an account may end with, usd."""
    an_account = desk.accounts[account]
    return min(an_account.cash, CASH_CUSHION) if an_account.cash >= 0 else CASH_CUSHION


@compiled
def open_bounds(desk: Workspace, account: int) -> None:
    """Let an account trade what its own bounds allow; nothing where the cash it owes cannot be raised."""
    an_account = desk.accounts[account]
    is_stuck = an_account.shortfall > 0
    for c in range(an_account.first, an_account.last):
        row = desk.classes[c]
        row.open_cap, row.dropped = 0.0 if is_stuck else row.buy_cap, 0
        for lot in range(row.first, row.last):
            a_lot = desk.lots[lot]
            a_lot.open_cap = 0.0 if is_stuck else a_lot.cap
            a_lot.dropped = 0


@compiled
def stay(desk: Workspace, account: int) -> None:
    """Trade nothing."""
    an_account = desk.accounts[account]
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        set_bought(desk, c, 0)
        for lot in range(a_class.first, a_class.last):
            a_lot = desk.lots[lot]
            a_lot.sold, a_lot.sold_usd = 0, 0.0


@compiled
def class_least(desk: Workspace, account: int, c: int) -> float:
    """Least that may be traded of a class, usd, in its orders together; cash owed is raised whatever it improves."""
    return 0.0 if desk.accounts[account].cash < 0 else desk.classes[c].least


@compiled
def bar_small(desk: Workspace, account: int) -> bool:
    """Bar every order below the minimum, and every class whose orders improve too little; True where there was one."""
    an_account = desk.accounts[account]
    least = an_account.min_trade
    found = False
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        improves = class_least(desk, account, c)
        bought, sold = a_class.bought_usd, 0.0
        first, last = a_class.first, a_class.last
        for lot in range(first, last):
            sold += desk.lots[lot].sold_usd
        if 0 < bought < max(least, improves) * (1 - ROUNDING):
            a_class.open_cap, a_class.bought_usd = 0.0, 0.0
            a_class.dropped = BELOW_MINIMUM if bought < least else BELOW_IMPROVEMENT
            found = True
        if sold == 0:
            continue
        is_too_little = sold < improves * (1 - ROUNDING)
        for lot in range(first, last):
            a_lot = desk.lots[lot]
            if a_lot.open_cap > 0 and a_lot.dropped == 0:
                of_security = sold_of(desk, c, a_lot.security)
                if 0 < of_security < least * (1 - ROUNDING):
                    a_lot.dropped = BELOW_MINIMUM
                elif is_too_little:
                    a_lot.dropped = BELOW_IMPROVEMENT
        for lot in range(first, last):
            a_lot = desk.lots[lot]
            if a_lot.open_cap > 0 and a_lot.dropped > 0:
                a_lot.open_cap, a_lot.sold_usd = 0.0, 0.0
                found = True
    return found


@compiled
def drop_small(desk: Workspace, account: int) -> bool:
    """Take back the whole-unit orders that ``bar_small`` bars; True where there was one."""
    an_account = desk.accounts[account]
    if not bar_small(desk, account):
        return False
    for c in range(an_account.first, an_account.last):
        a_class = desk.classes[c]
        if a_class.open_cap == 0:
            set_bought(desk, c, 0)
        for lot in range(a_class.first, a_class.last):
            a_lot = desk.lots[lot]
            if a_lot.open_cap == 0:
                a_lot.sold, a_lot.sold_usd = 0, 0.0
    return True


@compiled
def finish_small(desk: Workspace, account: int, floor: float) -> float:
    """Drop what is below the minimum; where that leaves cash short, buy less, or where cash is owed sell more, topped up to the minimum.

    Returns what is still missing, usd.
    """
    an_account = desk.accounts[account]
    if not drop_small(desk, account):
        return float(max(floor - an_account.cash_now, 0.0))
    take_stock(desk, account)
    if an_account.cash_now >= floor:
        spend_cash(desk, account, floor)
        return 0.0
    if an_account.cash >= 0:
        buy_less(desk, account, floor)
        return 0.0
    first, last = an_account.first, an_account.last
    reopen_lots(desk, account)
    take_stock(desk, account)
    short = raise_cash(desk, account, floor)
    for c in range(first, last):
        top_up_small(desk, account, c)
    return float(short)


@compiled
def buy_less(desk: Workspace, account: int, floor: float) -> None:
    """Take back purchases until cash is at ``floor``, and then those that are below the minimum."""
    an_account = desk.accounts[account]
    for c in range(an_account.first, an_account.last):
        desk.classes[c].next_lot = -1
    raise_cash(desk, account, floor)
    drop_small(desk, account)
    take_stock(desk, account)


@compiled
def top_up_small(desk: Workspace, account: int, c: int) -> None:
    """Sell on to the minimum where less of a security is sold, and drop a purchase that was cut below it."""
    a_class = desk.classes[c]
    least = desk.accounts[account].min_trade
    if 0 < a_class.bought_usd < least:
        set_bought(desk, c, 0)
    for lot in range(a_class.first, a_class.last):
        a_lot = desk.lots[lot]
        missing = least - sold_of(desk, c, a_lot.security)
        if 0 < missing < least and steps_left(desk, lot) > 0:
            wanted = np.ceil(missing / (a_lot.step * a_lot.price))
            steps, _ = sell_steps(desk, account, lot, wanted)
            if steps > 0:
                sell_more(desk, account, c, lot, steps)


@compiled
def to_units(desk: Workspace, account: int) -> float:
    """Whole units of the continuous trades on the desk; returns the cash that is missing, usd."""
    floor = cash_floor(desk, account)
    cut_down(desk, account)
    take_stock(desk, account)
    short = raise_cash(desk, account, floor)
    spend_cash(desk, account, floor)
    if short > 0:
        return short
    return finish_small(desk, account, floor)


@compiled
def note_optimum(desk: Workspace, account: int, found: Optimum) -> None:
    """Keep the continuous optimum for the certificate and for the reasons."""
    row = desk.accounts[account]
    row.shadow_price, row.optimum, row.lower_bound = found.mu, found.value, found.bound
    row.short_at, row.long_at = found.short_rate, found.long_rate
    row.gain_price, row.turnover_price = found.gain_price, found.turnover_price


@compiled
def solve_within(desk: Workspace, account: int, attempt: int) -> float:
    """Passes 1 to 3 within the bounds on the desk; returns the cash that is missing, usd. The first attempt keeps its optimum."""
    is_reopened = False
    for number in range(attempt, MAX_PASSES + attempt + 1):
        found = continuous_optimum(desk, account)
        if number == 0:
            note_optimum(desk, account, found)
        if found.shortfall > 0:
            if number == 0 or is_reopened:
                return found.shortfall
            reopen_lots(desk, account)
            is_reopened = True
        elif is_reopened or number == MAX_PASSES + attempt or not bar_small(desk, account):
            break
    return to_units(desk, account)


@compiled
def reopen_lots(desk: Workspace, account: int) -> None:
    """Let every lot be sold again: cash owed needs what was barred."""
    an_account = desk.accounts[account]
    for lot in range(an_account.first_lot, an_account.last_lot):
        a_lot = desk.lots[lot]
        a_lot.open_cap = a_lot.cap
