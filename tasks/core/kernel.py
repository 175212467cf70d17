"""The exact rebalance of one account, before whole units: a clip for each lot and class, one price of cash.

One account has classes c with value ``V_c``, destination ``T_c`` and one security to buy at a cost of ``h_c`` per dollar up
to ``m_c``; lots l with value ``u_l`` that may be sold at a cost ``g_l`` per dollar (half spread plus tax, lowest first within a
class); and cash ``K0`` beyond its reserve, to become ``K >= 0``. With ``k = kappa / NAV`` minimise

    k/2 * [ sum_c (V_c - sum_l q_l + b_c - T_c)^2 + (K - T_cash)^2 ] + sum_l g_l q_l + sum_c h_c b_c
    subject to  K = K0 + sum_l q_l - sum_c b_c,   0 <= q_l <= u_l,   0 <= b_c <= m_c,   K >= 0.

Given a multiplier ``mu`` for the cash equation (the account's price of cash) the problem falls apart, and each part is a
parabola cut at its bounds. In dollars, with ``x = mu / k``:

    q_l = clip(x - start_l, 0, u_l),   start_l = g_l / k + T_c - V_c + (what can be sold of the lots before l)
    b_c = clip(T_c - V_c - h_c / k - x, 0, m_c)
    K   = max(T_cash - x, 0)

``F(x) = K0 + sum q - sum b - K`` is piecewise linear and never falls, each part adding slope 0 or 1 between two
breakpoints. Sort the breakpoints, walk to the zero: that ``x`` satisfies the Karush-Kuhn-Tucker conditions of a convex
problem, so it is the optimum, in O(L log L). ``F`` negative to the right of every breakpoint: the cash owed cannot be raised.

Assumptions: ``g_l + h_c >= 0`` in every class, so that no class buys and sells at once; lots of a class sorted by ``g_l``.
Costs enter the objective here and the cash when orders are cut to whole units (``whole_units``).

Known limits: one security bought per class; a lot bought back within the wash-sale window is the rules' concern.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
F = TypeVar("F", bound=Callable[..., Any])


ROUNDING: Final = 1e-9
"""Share of NAV: a shortfall this small is rounding noise."""


def compiled(function: F) -> F:
    """Compile a function that only compiled code calls: without a way in from Python that takes a fraction of the time.

    It is kept on disk as part of what calls it (``solver._entrance``), never by itself.
    """
    fast: F = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)  # type: ignore[call-overload]  # options that its stubs leave out
    return fast


class Book(NamedTuple):
    """Many accounts as flat arrays: n accounts, m classes of accounts, L lots. Dollars, shares, fractions of a dollar.

    ``class_start`` (n + 1) and ``lot_start`` (m + 1) say where an account's classes and a class's lots begin.
    """

    nav: Floats
    tracking_penalty: Floats
    cash: Floats
    """Settled + pending - reserve; negative is owed."""
    cash_target: Floats
    min_trade: Floats
    class_start: Ints
    class_value: Floats
    class_target: Floats
    buy_cap: Floats
    """Most that may be bought of the class's security, usd; inf = no limit, 0 = nothing to buy."""
    buy_cost: Floats
    """Half spread plus what holding the class here costs, fraction of a dollar bought."""
    buy_spread: Floats
    """Half spread, fraction of a dollar bought: what is paid from cash."""
    buy_price: Floats
    buy_step: Floats
    lot_start: Ints
    lot_quantity: Floats
    lot_price: Floats
    lot_step: Floats
    lot_spread: Floats
    """Half spread, fraction of a dollar sold."""
    lot_cost: Floats
    """Half spread plus tax, fraction of a dollar sold; ascending within a class."""
    lot_cap: Floats
    """Most that may be sold of the lot, usd: its value, or 0."""
    lot_security: Ints
    """Code of the lot's security; lots with the same code in a class make one order."""


class Scratch(NamedTuple):
    """Room to work in, one slice an account, so that accounts can be solved in parallel without allocating."""

    at: Floats
    slope: Floats
    lot_cap: Floats
    buy_cap: Floats
    lot_sold: Floats
    class_bought: Floats


def scratch_for(book: Book) -> Scratch:
    """Scratch of the size that ``book`` needs."""
    lots, classes = len(book.lot_cap), len(book.buy_cap)
    breakpoints = 2 * (lots + classes) + len(book.nav)
    sizes = (breakpoints, breakpoints, lots, classes, lots, classes)
    return Scratch(*(np.empty(size) for size in sizes))


@compiled
def sort_breakpoints(at: Any, slope: Any) -> None:
    """Shell sort of two short arrays by the first, in place."""
    count = len(at)
    gap = count // 2
    while gap > 0:
        for i in range(gap, count):
            key, carried, j = at[i], slope[i], i
            while j >= gap and at[j - gap] > key:
                at[j], slope[j] = at[j - gap], slope[j - gap]
                j -= gap
            at[j], slope[j] = key, carried
        gap //= 2


@compiled
def put_breakpoints(book: Book, room: Scratch, account: int) -> int:
    """Write where ``F`` changes its slope, and by how much, sorted, into the account's slice of the scratch; how many."""
    per_cost = book.nav[account] / book.tracking_penalty[account]
    first, last = book.class_start[account], book.class_start[account + 1]
    base = 2 * (book.lot_start[first] + first) + account
    at, slope = room.at[base:], room.slope[base:]
    at[0], slope[0] = book.cash_target[account], -1.0
    count = 1
    for c in range(first, last):
        gap = book.class_target[c] - book.class_value[c]
        if room.buy_cap[c] > 0:
            at[count], slope[count] = gap - book.buy_cost[c] * per_cost, -1.0
            count += 1
            if not np.isinf(room.buy_cap[c]):
                at[count], slope[count] = at[count - 1] - room.buy_cap[c], 1.0
                count += 1
        before = 0.0
        for lot in range(book.lot_start[c], book.lot_start[c + 1]):
            if room.lot_cap[lot] > 0:
                at[count], slope[count] = book.lot_cost[lot] * per_cost + gap + before, 1.0
                at[count + 1], slope[count + 1] = at[count] + room.lot_cap[lot], -1.0
                before += room.lot_cap[lot]
                count += 2
    sort_breakpoints(at[:count], slope[:count])
    return count


@compiled
def excess_at_left(book: Book, room: Scratch, account: int, x: float) -> tuple[float, float]:
    """``F`` and its slope at ``x``, left of which no breakpoint lies: nothing is sold, purchases are at their caps."""
    per_cost = book.nav[account] / book.tracking_penalty[account]
    excess = book.cash[account] - (book.cash_target[account] - x)
    rising = 1.0  # cash itself
    for c in range(book.class_start[account], book.class_start[account + 1]):
        if np.isinf(room.buy_cap[c]):
            excess -= book.class_target[c] - book.class_value[c] - book.buy_cost[c] * per_cost - x
            rising += 1.0
        else:
            excess -= room.buy_cap[c]
    return excess, rising


@compiled
def price_of_cash(book: Book, room: Scratch, account: int) -> tuple[float, float]:
    """``x = mu / k`` where cash raised equals cash used, and the shortfall in usd (then x is +inf)."""
    count = put_breakpoints(book, room, account)
    first = book.class_start[account]
    base = 2 * (book.lot_start[first] + first) + account
    at, slope = room.at[base:], room.slope[base:]
    x = at[0]
    excess, rising = excess_at_left(book, room, account, x)
    if excess >= 0:
        return x - excess / rising, 0.0
    for i in range(count - 1):
        rising += slope[i]
        following = excess + rising * (at[i + 1] - x)
        if following >= 0:
            return x - excess / rising, 0.0
        excess, x = following, at[i + 1]
    if excess > -ROUNDING * book.nav[account]:
        return x, 0.0
    return np.inf, -excess


@compiled
def trade_at(book: Book, room: Scratch, account: int, x: float) -> None:
    """Fill ``lot_sold`` and ``class_bought`` (usd) with the clips at the price ``x``."""
    per_cost = book.nav[account] / book.tracking_penalty[account]
    for c in range(book.class_start[account], book.class_start[account + 1]):
        gap = book.class_target[c] - book.class_value[c]
        room.class_bought[c] = min(max(gap - book.buy_cost[c] * per_cost - x, 0.0), room.buy_cap[c])
        before = 0.0
        for lot in range(book.lot_start[c], book.lot_start[c + 1]):
            start = book.lot_cost[lot] * per_cost + gap + before
            room.lot_sold[lot] = min(max(x - start, 0.0), room.lot_cap[lot])
            before += room.lot_cap[lot]


@compiled
def objective(book: Book, room: Scratch, account: int, cash: float) -> float:
    """What is minimised, in usd, at the trades in ``room`` and the final ``cash``."""
    squares = (cash - book.cash_target[account]) ** 2
    paid = 0.0
    for c in range(book.class_start[account], book.class_start[account + 1]):
        value = book.class_value[c] + room.class_bought[c]
        paid += book.buy_cost[c] * room.class_bought[c]
        for lot in range(book.lot_start[c], book.lot_start[c + 1]):
            value -= room.lot_sold[lot]
            paid += book.lot_cost[lot] * room.lot_sold[lot]
        squares += (value - book.class_target[c]) ** 2
    return float(0.5 * book.tracking_penalty[account] / book.nav[account] * squares + paid)


@compiled
def cash_before_costs(book: Book, room: Scratch, account: int) -> float:
    """Cash after the trades in ``room`` if they cost nothing."""
    cash = book.cash[account]
    for c in range(book.class_start[account], book.class_start[account + 1]):
        cash -= room.class_bought[c]
        for lot in range(book.lot_start[c], book.lot_start[c + 1]):
            cash += room.lot_sold[lot]
    return float(cash)


@compiled
def bound_with_costs_paid(book: Book, account: int, mu: float) -> float:
    """Lagrangian dual, usd, at ``mu < 0`` of the problem in which ``K = K0 + sum (1 - s) q - sum (1 + h) b``.

    A class either sells or buys. Its lots are priced with the widest spread among them, which keeps their order and can
    only lower the bound.
    """
    k = book.tracking_penalty[account] / book.nav[account]
    bound = mu * (book.cash_target[account] - book.cash[account]) - 0.5 * mu * mu / k
    for c in range(book.class_start[account], book.class_start[account + 1]):
        gap = book.class_value[c] - book.class_target[c]
        price = book.buy_cost[c] + mu * (1 + book.buy_cost[c])
        bought = min(max(-gap - price / k, 0.0), book.buy_cap[c])
        buying = 0.5 * k * (gap + bought) ** 2 + price * bought
        widest = 0.0
        for lot in range(book.lot_start[c], book.lot_start[c + 1]):
            widest = max(widest, book.lot_spread[lot])
        left, paid = gap, 0.0
        for lot in range(book.lot_start[c], book.lot_start[c + 1]):
            price = book.lot_cost[lot] - mu * (1 - widest)
            sold = min(max(left - price / k, 0.0), book.lot_cap[lot])
            left, paid = left - sold, paid + price * sold
        bound += min(buying, 0.5 * k * left * left + paid)
    return float(bound)
