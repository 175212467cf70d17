"""The lower bound of a managed household: the value of its dual at any prices, account by account.

Prices of the classes and of cash (``k`` times what each is over) are the household's; an account's own are those of its cash, of its
two nets, of its gain budget and of its turnover (rows as in ``programs``). Where an account's cash has a price below 0 its half
spreads are paid from it, as in ``kernel``.
"""

from typing import Any, Final

import numpy as np

from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.netting import rates_at, tax_on
from tasks.core.solver.programs import CASH, GAIN_BUDGET, HI_GAIN, SUM_OF_GAINS, TURNOVER
from tasks.core.solver.workspace import Workspace

THIRDS: Final = 60
ROUNDS: Final = 6
NARROW: Final = 1e-12
REACH: Final = 0.5
"""How far from where it was a price of cash, or of a limit, is looked for."""


@compile_inner
def member_terms(work: Workspace, account: int, own: Any, of_classes: Any, of_losses: Any) -> float:
    """An account's part of the dual at its own prices and those of the classes (cash the last) and of room for losses, usd.

    No purchase is more than all its cash and all that it could sell.
    """
    account_row = work.accounts[account]
    mu, turnover_price, gain_price = own[CASH], max(own[TURNOVER], 0.0), max(own[GAIN_BUDGET], 0.0)
    classes = len(of_classes) - 1
    mu = max(mu, -of_classes[classes])
    paid = 1.0 if mu < 0 else 0.0
    rs, rl = account_row.short_rate, account_row.long_rate
    short_rate, long_rate = rates_at(work, account, max(own[HI_GAIN], 0.0), max(own[SUM_OF_GAINS], 0.0))
    is_out = account_row.shortfall > 0
    bound = (of_classes[classes] if is_out else -mu) * account_row.cash
    if rs > 0 or rl > 0:
        short, long = account_row.short_before, account_row.long_before
        bound += short_rate * short + long_rate * long - tax_on(short, long, rs, rl)
    if turnover_price > 0:
        bound -= turnover_price * account_row.turnover
    if gain_price > 0:
        bound -= gain_price * account_row.gain
    affordable = max(account_row.cash, 0.0)
    for lot in range(account_row.first_lot, account_row.last_lot):
        affordable += work.lots[lot].open_cap
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        j = c - account_row.first
        if class_row.open_cap > 0:
            reduced = class_row.buy_cost + turnover_price + mu * (1 + paid * class_row.buy_spread) + of_classes[j]
            if reduced < 0:
                bound += reduced * min(class_row.open_cap, affordable)
        for lot in range(class_row.first, class_row.last):
            lot_row = work.lots[lot]
            rate = short_rate if lot_row.is_short else long_rate
            reduced = lot_row.cost + (rate + gain_price) * lot_row.gain_low + turnover_price
            reduced -= mu * (1 - paid * class_row.widest) + of_classes[j]
            most = lot_row.open_cap
            if lot_row.gain < 0:
                reduced += of_losses[j]
                most = min(most, class_row.loss_room + class_row.spare)
            if reduced < 0:
                bound += reduced * most
    return float(bound)


@compile_inner
def raise_class_prices(work: Workspace, accounts: int, own: Any, of_classes: Any) -> None:
    """Raise prices of the classes where a purchase without a limit would else make the bound infinite."""
    classes = len(of_classes) - 1
    for account in range(accounts):
        mu = max(own[account, CASH], -of_classes[classes])
        for j in range(classes):
            class_row = work.classes[work.accounts[account].first + j]
            if np.isinf(class_row.open_cap):
                spread = class_row.buy_spread if mu < 0 else 0.0
                cost = class_row.buy_cost + max(own[account, TURNOVER], 0.0)
                of_classes[j] = max(of_classes[j], -(cost + mu * (1 + spread)))


@compile_inner
def spare_of(work: Workspace, accounts: int, j: int) -> float:
    """The greatest ``spare`` of a class among the household's accounts, usd."""
    most = 0.0
    for account in range(accounts):
        most = max(most, work.classes[work.accounts[account].first + j].spare)
    return most


@compile_inner
def shared_terms(work: Workspace, accounts: int, of_classes: Any, of_losses: Any) -> float:
    """What of the dual is the household's: ``k y^2 / 2 >= v y - v^2 / (2 k)`` for every deviation y and price v."""
    first = work.accounts[0]
    k, classes = first.tracking_penalty / first.nav, len(of_classes) - 1
    bound = -of_classes[classes] * first.cash_target - of_classes[classes] ** 2 / (2 * k)
    for j in range(classes):
        over = -work.classes[first.first + j].target
        for account in range(accounts):
            over += work.classes[work.accounts[account].first + j].value
        bound += of_classes[j] * over - of_classes[j] ** 2 / (2 * k)
        if of_losses[j] > 0:
            bound -= of_losses[j] * (work.classes[first.first + j].loss_room + accounts * spare_of(work, accounts, j))
    return float(bound)


@compile_inner
def raise_own_cash(work: Workspace, account: int, others: Any, of_classes: Any) -> None:
    """Raise an account's price of cash where a purchase without a limit would else make its part of the bound infinite."""
    account_row = work.accounts[account]
    own = others[account]
    for c in range(account_row.first, account_row.last):
        class_row = work.classes[c]
        if np.isinf(class_row.open_cap):
            least = -(class_row.buy_cost + max(own[TURNOVER], 0.0) + of_classes[c - account_row.first])
            own[CASH] = max(own[CASH], least if least >= 0 else least / (1 + class_row.buy_spread))


@compile_inner
def best_along(
    work: Workspace, account: int, own: Any, at: Any, of_losses: Any, row: int, low: float, high: float
) -> float:
    """Move one of an account's own prices to where its part of the dual is greatest between two ends; that part, usd.

    It is concave in each price, so a third of the range can be left out at each step.
    """
    best, kept = member_terms(work, account, own, at, of_losses), own[row]
    for _ in range(THIRDS):
        if high - low <= NARROW * (1 + abs(high)):
            break
        own[row] = low + (high - low) / 3
        left = member_terms(work, account, own, at, of_losses)
        first = own[row]
        own[row] = high - (high - low) / 3
        right = member_terms(work, account, own, at, of_losses)
        if left > best:
            best, kept = left, first
        if right > best:
            best, kept = right, own[row]
        if left < right:
            low = first
        else:
            high = own[row]
    own[row] = kept
    return best


@compile_inner
def raise_terms(work: Workspace, account: int, own: Any, ends: Any, at: Any, of_losses: Any) -> float:
    """Improve an account's own prices, one after the other, for its part of the dual; that part, usd.

    ``ends``: the greatest of its prices of nets, by their rows.
    """
    account_row = work.accounts[account]
    best = member_terms(work, account, own, at, of_losses)
    for _ in range(ROUNDS):
        before = best
        best = best_along(work, account, own, at, of_losses, CASH, own[CASH] - REACH, own[CASH] + REACH)
        for row in (SUM_OF_GAINS, HI_GAIN):
            if ends[row] > 0:
                best = best_along(work, account, own, at, of_losses, row, 0.0, ends[row])
        if np.isfinite(account_row.gain):
            best = best_along(work, account, own, at, of_losses, GAIN_BUDGET, 0.0, own[GAIN_BUDGET] + REACH)
        if np.isfinite(account_row.turnover):
            best = best_along(work, account, own, at, of_losses, TURNOVER, 0.0, own[TURNOVER] + REACH)
        if best - before <= NARROW * account_row.nav:
            break
    return best
