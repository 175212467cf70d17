"""One account from its continuous optimum to whole-unit orders: the passes of ``entry``."""

import numpy as np

from tasks.core.solver.coupled import Optimum
from tasks.core.solver.kernel import ROUNDING
from tasks.core.solver.optimum import continuous_optimum
from tasks.core.solver.solution import BELOW_IMPROVEMENT, BELOW_MINIMUM
from tasks.core.solver.units import cut_down, sell_more, set_bought, sold_of, steps_left, update_totals
from tasks.core.solver.whole_units import CASH_CUSHION, raise_cash, sell_steps, spend_cash
from tasks.core.solver.workspace import Workspace, compile_inner

MAX_PASSES = 3


@compile_inner
def cash_floor(work: Workspace, account: int) -> float:
    """Least cash beyond the reserve that an account may end with, usd."""
    account_row = work.accounts[account]
    return min(account_row.cash, CASH_CUSHION) if account_row.cash >= 0 else CASH_CUSHION


@compile_inner
def open_bounds(work: Workspace, account: int) -> None:
    """Let an account trade what its own bounds allow; nothing where the cash it owes cannot be raised."""
    account_row = work.accounts[account]
    is_stuck = account_row.shortfall > 0
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        class_row.open_cap, class_row.dropped = 0.0 if is_stuck else class_row.buy_cap, 0
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            lot_row.open_cap = 0.0 if is_stuck else lot_row.cap
            lot_row.dropped = 0


@compile_inner
def stay(work: Workspace, account: int) -> None:
    """Trade nothing."""
    account_row = work.accounts[account]
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        set_bought(work, c, 0)
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            lot_row.sold, lot_row.sold_usd = 0, 0.0


@compile_inner
def class_least(work: Workspace, account: int, c: int) -> float:
    """Least that may be traded of a class, usd, in its orders together; cash owed is raised whatever it improves."""
    return 0.0 if work.accounts[account].cash < 0 else work.classes[c].least


@compile_inner
def exclude_small(work: Workspace, account: int) -> bool:
    """Exclude every order below the minimum, and every class whose orders improve too little; True where there was one."""
    account_row = work.accounts[account]
    least = account_row.min_trade
    found = False
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        improves = class_least(work, account, c)
        bought, sold = class_row.bought_usd, 0.0
        first, last = class_row.first, class_row.last
        for lot in range(first, last):
            sold += work.lots[lot].sold_usd
        if 0 < bought < max(least, improves) * (1 - ROUNDING):
            class_row.open_cap, class_row.bought_usd = 0.0, 0.0
            class_row.dropped = BELOW_MINIMUM if bought < least else BELOW_IMPROVEMENT
            found = True
        if sold == 0:
            continue
        is_too_little = sold < improves * (1 - ROUNDING)
        for lot in range(first, last):
            lot_row = work.lots[lot]
            if lot_row.open_cap > 0 and lot_row.dropped == 0:
                of_security = sold_of(work, c, lot_row.security)
                if 0 < of_security < least * (1 - ROUNDING):
                    lot_row.dropped = BELOW_MINIMUM
                elif is_too_little:
                    lot_row.dropped = BELOW_IMPROVEMENT
        for lot in range(first, last):
            lot_row = work.lots[lot]
            if lot_row.open_cap > 0 and lot_row.dropped > 0:
                lot_row.open_cap, lot_row.sold_usd = 0.0, 0.0
                found = True
    return found


@compile_inner
def drop_small(work: Workspace, account: int) -> bool:
    """Take back the whole-unit orders that ``exclude_small`` excludes; True where there was one."""
    account_row = work.accounts[account]
    if not exclude_small(work, account):
        return False
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        if class_row.open_cap == 0:
            set_bought(work, c, 0)
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            if lot_row.open_cap == 0:
                lot_row.sold, lot_row.sold_usd = 0, 0.0
    return True


@compile_inner
def finish_small(work: Workspace, account: int, floor: float) -> float:
    """Drop what is below the minimum; where that leaves cash short, buy less, or where cash is owed sell more, topped up to the minimum.

    Returns what is still missing, usd.
    """
    account_row = work.accounts[account]
    if not drop_small(work, account):
        return float(max(floor - account_row.cash_now, 0.0))
    update_totals(work, account)
    if account_row.cash_now >= floor:
        spend_cash(work, account, floor)
        return 0.0
    if account_row.cash >= 0:
        buy_less(work, account, floor)
        return 0.0
    first, last = account_row.first, account_row.last
    reopen_lots(work, account)
    update_totals(work, account)
    short = raise_cash(work, account, floor)
    for c in range(first, last):
        top_up_small(work, account, c)
    return float(short)


@compile_inner
def buy_less(work: Workspace, account: int, floor: float) -> None:
    """Take back purchases until cash is at ``floor``, and then those that are below the minimum."""
    account_row = work.accounts[account]
    for c in range(account_row.first, account_row.last):
        work.classes[c].next_lot = -1
    raise_cash(work, account, floor)
    drop_small(work, account)
    update_totals(work, account)


@compile_inner
def top_up_small(work: Workspace, account: int, c: int) -> None:
    """Sell on to the minimum where less of a security is sold, and drop a purchase that was cut below it."""
    class_row = work.classes[c]
    least = work.accounts[account].min_trade
    if 0 < class_row.bought_usd < least:
        set_bought(work, c, 0)
    for lot in range(class_row.first, class_row.last):
        lot_row = work.lots[lot]
        missing = least - sold_of(work, c, lot_row.security)
        if 0 < missing < least and steps_left(work, lot) > 0:
            wanted = np.ceil(missing / (lot_row.step * lot_row.price))
            steps, _ = sell_steps(work, account, lot, wanted)
            if steps > 0:
                sell_more(work, account, c, lot, steps)


@compile_inner
def to_units(work: Workspace, account: int) -> float:
    """Whole units of the continuous trades in the workspace; returns the cash that is missing, usd."""
    floor = cash_floor(work, account)
    cut_down(work, account)
    update_totals(work, account)
    short = raise_cash(work, account, floor)
    spend_cash(work, account, floor)
    if short > 0:
        return short
    return finish_small(work, account, floor)


@compile_inner
def note_optimum(work: Workspace, account: int, found: Optimum) -> None:
    """Keep the continuous optimum for the certificate and for the reasons."""
    account_row = work.accounts[account]
    account_row.shadow_price, account_row.optimum, account_row.lower_bound = found.mu, found.value, found.bound
    account_row.short_at, account_row.long_at = found.short_rate, found.long_rate
    account_row.gain_price, account_row.turnover_price = found.gain_price, found.turnover_price


@compile_inner
def solve_within(work: Workspace, account: int, attempt: int) -> float:
    """Passes 1 to 3 within the bounds in the workspace; returns the cash that is missing, usd. The first attempt keeps its optimum."""
    is_reopened = False
    for number in range(attempt, MAX_PASSES + attempt + 1):
        found = continuous_optimum(work, account)
        if number == 0:
            note_optimum(work, account, found)
        if found.shortfall > 0:
            if number == 0 or is_reopened:
                return found.shortfall
            reopen_lots(work, account)
            is_reopened = True
        elif is_reopened or number == MAX_PASSES + attempt or not exclude_small(work, account):
            break
    return to_units(work, account)


@compile_inner
def reopen_lots(work: Workspace, account: int) -> None:
    """Let every lot be sold again: cash owed needs what was excluded."""
    account_row = work.accounts[account]
    for lot in range(account_row.first_lot, account_row.last_lot):
        lot_row = work.lots[lot]
        lot_row.open_cap = lot_row.cap
