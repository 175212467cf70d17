"""Whole-unit orders set aside, and brought back with the prices they were found at."""

from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.kernel import set_prices
from tasks.core.solver.positions import count_gains, is_first_of_holding, refresh, set_bought, set_lot
from tasks.core.solver.workspace import Workspace


@compile_inner
def keep(work: Workspace, account: int, level: int) -> None:
    """Set the whole-unit orders aside, and the prices in force."""
    account_row = work.accounts[account]
    kept = account_row.kept[level]
    kept[0], kept[1], kept[2] = account_row.x, account_row.short_at, account_row.long_at
    kept[3], kept[4], kept[5] = account_row.gain_price, account_row.turnover_price, account_row.near
    for c in range(account_row.first, account_row.last):
        work.kept_classes[level, c] = work.classes[c].bought
    for lot in range(account_row.first_lot, account_row.last_lot):
        work.kept_lots[level, work.lots[lot].slot] = work.lots[lot].sold


@compile_inner
def bring_back(work: Workspace, account: int, level: int) -> None:
    """Restore the orders that were set aside, within the bounds that are open now, and put their prices in force."""
    account_row = work.accounts[account]
    kept = account_row.kept[level]
    account_row.x, account_row.near = kept[0], kept[5]
    set_prices(work, account, kept[1], kept[2], kept[3], kept[4])
    for c in range(account_row.first, account_row.last):
        set_bought(work, c, work.kept_classes[level, c])
        for lot in range(work.classes[c].first, work.classes[c].last):
            set_lot(work, lot, work.kept_lots[level, work.lots[lot].slot])
    for c in range(account_row.first, account_row.last):
        for lot in range(work.classes[c].first, work.classes[c].last):
            if is_first_of_holding(work, c, lot):
                count_gains(work, c, work.lots[lot].security)
    refresh(work, account)
