"""The search for the prices that couple an account's trades, at which its continuous optimum stands.

Beside cash four sums couple trades, each with a price: the net of the hi term (``a``), the net of all gains (``b``), the gain
budget (``nu``) and turnover (``rho``; see ``netting``). At given prices ``kernel`` has the answer; as one of them rises, its own
sum falls. So:

1. The prices are tried at their ends: mostly the answer there is already consistent with them.
2. Else the price of the sum that is not settled is found: a root in one dimension, or in two, the one within the other. Where a
   sum jumps over its aim, as lots change places, the answer is a mixture of those on either side, as good as either.
3. Where three prices or more are open, or that does not end, it is for ``sides`` to find them.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tasks.core.solver.compiling import compile_inner
from tasks.core.solver.kernel import set_prices, trade_within_cash
from tasks.core.solver.netting import (
    least_gains,
    price_ends,
    rates_at,
)
from tasks.core.solver.workspace import Workspace, mix_aside, set_aside

HI, SUM, BUDGET, TURNOVER = 0, 1, 2, 3
"""The four sums and their prices."""
SUMS: Final = 4
SETTLED: Final = 1e-10
"""Share of NAV: a sum this near its aim is there."""
NARROW: Final = 1e-11
"""A bracket of a price this narrow (times the sums at its ends, as shares of NAV) is closed."""
STEEP: Final = 1e6
"""No price is greater."""
TRIES: Final = 4
MOST_ROOT_STEPS: Final = 60
PAIR: Final = 2
FIRST_PRICE: Final = 0.01
"""Where the search for a price begins to look upward from 0."""
FIRST_STEP: Final = 1 / 64
"""And from a price: as a share of it."""


@compile_inner
def put(work: Workspace, account: int, prices: Any) -> float:
    """Solve at the four prices; the shortfall, usd."""
    short_rate, long_rate = rates_at(work, account, prices[HI], prices[SUM])
    set_prices(work, account, short_rate, long_rate, prices[BUDGET], prices[TURNOVER])
    return trade_within_cash(work, account)


@compile_inner
def sum_beyond(work: Workspace, account: int, which: int) -> float:
    """A coupled sum less its aim, usd, at the trades in the workspace."""
    account_row = work.accounts[account]
    if which == TURNOVER:
        traded = -account_row.turnover
        for c in range(account_row.first, account_row.last):
            traded += work.classes[c].bought_usd
        for lot in range(account_row.first_lot, account_row.last_lot):
            traded += work.lots[lot].sold_usd
        return float(traded)
    short, long = least_gains(work, account)
    if which == BUDGET:
        return float(short - account_row.short_before + long - account_row.long_before - account_row.gain)
    if which == SUM:
        return float(short + long)
    return float(short if account_row.short_rate >= account_row.long_rate else long)


@compile_inner
def highest(work: Workspace, account: int, which: int, side: int) -> float:
    """The end of a price: 0 where the account has no such sum."""
    account_row = work.accounts[account]
    if which == BUDGET:
        return STEEP if np.isfinite(account_row.gain) else 0.0
    if which == TURNOVER:
        return STEEP if np.isfinite(account_row.turnover) else 0.0
    a, b = price_ends(work, account, side)
    return a if which == HI else b


@compile_inner
def is_settled(work: Workspace, account: int, which: int, price: float, end: float) -> bool:
    """Whether a sum is where its price says: at its aim, or beyond it with the price at its end, or short of it and free."""
    if end == 0:
        return True
    beyond, slack = sum_beyond(work, account, which), SETTLED * work.accounts[account].nav
    if price <= 0:
        return bool(beyond <= slack)
    if price >= end:
        return bool(beyond >= -slack)
    return bool(abs(beyond) <= slack)


@compile_inner
def put_only(work: Workspace, account: int, prices: Any, ends: Any, inner: int) -> bool:  # noqa: ARG001 - as every search step
    """Solve at the four prices; False where cash owed cannot be raised."""
    return bool(put(work, account, prices) == 0)


def _finder(solve: Callable[..., bool], level: int) -> Callable[..., bool]:
    """A search for one price, from where it stands; ``solve`` is what is done at each price tried, and ``level`` where answers are set aside."""

    def find(work: Workspace, account: int, prices: Any, ends: Any, which: int, inner: int) -> bool:
        nav, end = work.accounts[account].nav, ends[which]
        price, step = prices[which], FIRST_PRICE if prices[which] == 0 else prices[which] * FIRST_STEP
        low, high, over, under = -1.0, np.inf, 0.0, 0.0
        drawn_over, drawn_under, width = 0.0, 0.0, np.inf
        for _ in range(MOST_ROOT_STEPS):
            prices[which] = price
            if not solve(work, account, prices, ends, inner):
                return False
            at = sum_beyond(work, account, which)
            if abs(at) <= SETTLED * nav or (price <= 0 and at < 0):
                return True
            if price >= end and at > 0:
                return bool(end < STEEP)
            if at > 0:
                drawn_under = drawn_under / 2 if price > low >= 0 else under
                low, over, drawn_over = price, at, at
                set_aside(work, account, account + 1, level)
            else:
                drawn_over = drawn_over / 2 if price < high < np.inf else over
                high, under, drawn_under = price, at, at
            if low < 0 or high == np.inf:
                price = min(price + step, end) if at > 0 else max(price - step, 0.0)
                step *= 8
                continue
            if (high - low) * max(over, -under) <= NARROW * nav:
                break
            is_slow = high - low > 0.5 * width
            width = high - low
            share = 0.5 if is_slow else min(max(drawn_over / (drawn_over - drawn_under), 0.01), 0.99)
            price = low + share * width
        if low < 0 or high == np.inf:
            return False
        if prices[which] != high:
            prices[which] = high
            if not solve(work, account, prices, ends, inner):
                return False
        mix_aside(work, account, account + 1, level, -under / (over - under))
        return True

    return compile_inner(find)


find_one: Final = _finder(put_only, 1)


@compile_inner
def settle_inner(work: Workspace, account: int, prices: Any, ends: Any, inner: int) -> bool:
    """Solve at the prices but that of ``inner``, which is found."""
    return find_one(work, account, prices, ends, inner, inner)


find_two: Final = _finder(settle_inner, 2)


@compile_inner
def open_sums(work: Workspace, account: int, prices: Any, ends: Any, is_open: Any) -> int:
    """Mark the sums that are not settled at the prices; how many there are."""
    count = 0
    for which in range(SUMS):
        is_open[which] = 0 if is_settled(work, account, which, prices[which], ends[which]) else 1
        count += is_open[which]
    return count


@compile_inner
def search(work: Workspace, account: int, prices: Any, ends: Any) -> tuple[bool, bool]:
    """Steps 1 and 2; whether every sum is settled then, and whether the cash owed was raised."""
    is_open = np.zeros(SUMS, np.int64)
    count = 0
    for number in range(TRIES):
        if put(work, account, prices) > 0:
            return False, False
        count = open_sums(work, account, prices, ends, is_open)
        if count == 0:
            return True, True
        if is_open[BUDGET] + is_open[TURNOVER] > 0 or number == TRIES - 1:
            break
        for which in (HI, SUM):
            if is_open[which]:
                prices[which] = 0.0 if prices[which] > 0 else ends[which]
    first = int(np.argmax(is_open))
    if count == 1 and find_one(work, account, prices, ends, first, first):
        count = open_sums(work, account, prices, ends, is_open)
        if count == 0:
            return True, True
        is_open[first] = 1
        count += 1
    if count != PAIR:
        return False, True
    second = SUMS - 1 - int(np.argmax(is_open[::-1]))
    first = int(np.argmax(is_open))
    is_found = find_two(work, account, prices, ends, second, first)
    return is_found and open_sums(work, account, prices, ends, is_open) == 0, True
