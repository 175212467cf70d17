"""Of the lots of a holding, which are sold: exchanged one for another where that saves tax and costs.

An order's size says nothing of its lots. Which of them are best depends on where the year's net gains end, which the search among orders
moves: at the end lots are exchanged two at a time, all that can be or as many whole steps as take a net gain to nothing, where the tax bends.
"""

from typing import Final

import numpy as np

from tasks.core.solver.arrays import MILLIONTHS
from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.moves import broken_now
from tasks.core.solver.positions import count_gains, own_cost, refresh, room_for_losses, set_lot
from tasks.core.solver.workspace import Workspace

WORTH_OF_NAV: Final = 1e-9
"""Share of NAV that an exchange must save."""
MOST_EXCHANGES: Final = 20
AMOUNTS: Final = 7


@compile_inner
def exchange(work: Workspace, account: int, c: int, one: int, two: int, units: int) -> None:
    """Sell ``units`` less of a lot and as many more of another of the holding."""
    set_lot(work, one, work.lots[one].sold - units)
    set_lot(work, two, work.lots[two].sold + units)
    count_gains(work, c, work.lots[one].security)
    refresh(work, account)


@compile_inner
def most_exchanged(work: Workspace, c: int, one: int, two: int) -> int:
    """How many units of a lot's sale another could take over, within the class's room for losses."""
    first, second = work.lots[one], work.lots[two]
    if first.security != second.security or second.open_cap <= 0:
        return 0
    most = min(first.sold, second.cap_units - second.sold)
    if second.gain < 0 <= first.gain and np.isfinite(work.classes[c].share):
        room = room_for_losses(work, c, first.security)
        for lot in range(work.classes[c].first, work.classes[c].last):
            lot_row = work.lots[lot]
            if lot_row.security == first.security and lot_row.gain < 0:
                room -= lot_row.sold_usd
        most = min(most, np.int64(max(np.floor(room / (second.price / MILLIONTHS)), 0.0)))
    return int(max(most, 0))


@compile_inner
def fill_amounts(work: Workspace, account: int, one: int, two: int, most: int, amounts: np.ndarray) -> None:
    """Units worth trying: all, and the whole steps next to where the short-term net, the long-term net or their sum is nothing."""
    account_row = work.accounts[account]
    first, second = work.lots[one], work.lots[two]
    unit, step = first.price / MILLIONTHS, first.step
    short = (second.gain * second.is_short - first.gain * first.is_short) * unit
    long = (second.gain * (1 - second.is_short) - first.gain * (1 - first.is_short)) * unit
    amounts[:] = 0
    amounts[0] = most
    for bend in range(3):
        net = (account_row.short_now, account_row.long_now, account_row.short_now + account_row.long_now)[bend]
        slope = (short, long, short + long)[bend]
        if slope * net < 0 and abs(net) < abs(slope) * most:
            steps = np.int64(abs(net / slope)) // step
            amounts[1 + 2 * bend] = steps * step
            amounts[2 + 2 * bend] = min((steps + 1) * step, most)


@compile_inner
def best_exchange(work: Workspace, account: int, floor: float) -> tuple[int, int, int, int, float]:
    """Class, the two lots and the units of the exchange that saves most, and usd saved; class -1: none."""
    account_row = work.accounts[account]
    before, most_broken = own_cost(work, account), broken_now(work, account, floor)
    at, first, second, taken, saved = -1, 0, 0, 0, WORTH_OF_NAV * account_row.nav
    amounts = np.zeros(AMOUNTS, np.int64)
    for c in range(account_row.first, account_row.last):
        for one in range(work.classes[c].first, work.classes[c].last):
            if work.lots[one].sold == 0:
                continue
            for two in range(work.classes[c].first, work.classes[c].last):
                most = most_exchanged(work, c, one, two) if two != one else 0
                if most <= 0:
                    continue
                fill_amounts(work, account, one, two, most, amounts)
                for i in range(AMOUNTS):
                    units = int(amounts[i])
                    if units <= 0:
                        continue
                    exchange(work, account, c, one, two, units)
                    saving = before - own_cost(work, account)
                    if saving > saved and broken_now(work, account, floor) <= most_broken:
                        at, first, second, taken, saved = c, one, two, units, saving
                    exchange(work, account, c, two, one, units)
    return at, first, second, taken, saved


@compile_inner
def exchange_lots(work: Workspace, account: int, floor: float) -> None:
    """Exchange lots while one exchange saves tax and costs; of an account that is not taxed they are right as they are."""
    account_row = work.accounts[account]
    refresh(work, account)
    if account_row.short_rate == 0 and account_row.long_rate == 0:
        return
    for _ in range(MOST_EXCHANGES):
        c, one, two, units, _ = best_exchange(work, account, floor)
        if c < 0:
            return
        exchange(work, account, c, one, two, units)
