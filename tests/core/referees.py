"""Referees for the solver's tests: Clarabel's own interface for the continuous optimum, all trades tried for whole shares, HiGHS.

The program given to Clarabel is another one than the solver's: deviations and tax are variables of their own, bounds are rows, and
the tax on net gains, which is not convex, is split by explicit signs of the nets into parts on which it is.
"""

from itertools import product
from typing import Final, NamedTuple

import clarabel
import cvxpy as cp
import numpy as np
from scipy import sparse

from tasks.core.arrays import Book, Floats, Limits, no_limits
from tasks.core.whole_units import CASH_CUSHION

SOLVED: Final = "Solved"
MISSING: Final = {"PrimalInfeasible", "AlmostPrimalInfeasible"}


class Part(NamedTuple):
    """Where the nets have these signs, tax is the greatest of some linear functions; each row: of (S, L)."""

    nonnegative: tuple[tuple[float, float], ...]
    taxes: tuple[tuple[float, float], ...]


def four_parts(short_rate: float, long_rate: float) -> list[Part]:
    """Tax as a linear function on each of four parts of the plane."""
    return [
        Part(((1, 0), (0, 1)), ((short_rate, long_rate),)),
        Part(((-1, 0), (1, 1)), ((long_rate, long_rate),)),
        Part(((0, -1), (1, 1)), ((short_rate, short_rate),)),
        Part(((-1, -1),), ((0.0, 0.0),)),
    ]


def two_parts(short_rate: float, long_rate: float) -> list[Part]:
    """Tax as a convex function where the net of the lower rate is a gain, and where it is a loss."""
    high, low = max(short_rate, long_rate), min(short_rate, long_rate)
    side = (0, 1) if short_rate >= long_rate else (1, 0)
    gain = Part((side,), ((short_rate, long_rate), (low, low), (0, 0)))
    return [gain, Part(((-side[0], -side[1]),), ((high, high), (0, 0)))]


def tax(short: float, long: float, short_rate: float, long_rate: float) -> float:
    """Tax, usd, on net gains: each its own where both are gains, else what is left of the one after the other's loss."""
    if short > 0 and long > 0:
        return short * short_rate + long * long_rate
    return max(short + long, 0) * (short_rate if short > 0 else long_rate)


class Rows:
    """Rows ``coefficients @ z <= right`` (or ``=``) of a program."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.coefficients: list[Floats] = []
        self.right: list[float] = []

    def add(self, right: float, **parts: tuple[object, object]) -> None:
        """One more row; each part: where in z, and its coefficients."""
        row = np.zeros(self.width)
        for at, values in parts.values():
            row[at] += values  # type: ignore[call-overload]  # an index or a mask
        self.coefficients.append(row)
        self.right.append(right)


def solve(squares: Floats, cost: Floats, equal: Rows, least: Rows) -> float | None:
    """Minimum of ``squares / 2 @ z^2 + cost @ z``; None: infeasible; inf: undecided, as the sliver that signs may leave of a part.

    Where the tightest tolerance is out of reach, a wider one is tried.
    """
    rows = sparse.csc_matrix(np.array(equal.coefficients + least.coefficients))
    cones = [clarabel.ZeroConeT(len(equal.right)), clarabel.NonnegativeConeT(len(least.right))]
    sides, settings = np.array(equal.right + least.right), clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    for tolerance in (1e-11, 1e-9, 1e-8, 1e-7):
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
        program = clarabel.DefaultSolver(sparse.diags(squares, format="csc"), cost, rows, sides, cones, settings)
        found = program.solve()
        if str(found.status) in MISSING:
            return None
        if str(found.status) == SOLVED:
            return float(found.obj_val)
    return np.inf


def clarabel_optimum(book: Book, limits: Limits | None = None, out: Floats | None = None) -> float | None:
    """Continuous optimum, usd, of all accounts of ``book`` as one household (an account alone is one); None: infeasible.

    ``out``: accounts that trade nothing and stay in debt.
    """
    limits = no_limits(book) if limits is None else limits
    n, classes = len(book.nav), int(book.class_start[1])
    out = np.zeros(n, np.bool_) if out is None else out
    parts = four_parts if n == 1 else two_parts
    choices = [
        parts(*rates) if max(rates) > 0 else [Part((), ())]
        for rates in zip(limits.short_rate.tolist(), limits.long_rate.tolist(), strict=True)
    ]
    found = [optimum_on(book, limits, out, classes, choice) for choice in product(*choices)]
    best = min((value for value in found if value is not None), default=None)
    assert best != np.inf
    return best


def optimum_on(book: Book, limits: Limits, out: Floats, classes: int, choice: tuple[Part, ...]) -> float | None:
    """Optimum where each account's nets have the signs of its part. ``z``: sold, bought, deviations (cash last), taxes; a share of NAV."""
    n, bought, lots = len(book.nav), len(book.buy_cap), len(book.lot_cap)
    nav, kappa = book.nav[0], book.tracking_penalty[0]
    class_of = np.repeat(np.arange(bought), np.diff(book.lot_start))
    owner = np.repeat(np.arange(n), np.diff(book.class_start))
    column = np.arange(bought) - book.class_start[owner]
    sell, buy = np.arange(lots), lots + np.arange(bought)
    over, taxes = lots + bought + np.arange(classes + 1), lots + bought + classes + 1 + np.arange(n)
    equal, least = Rows(taxes[-1] + 1), Rows(taxes[-1] + 1)
    for j in range(classes):
        gap = (book.class_value[column == j].sum() - book.class_target[j]) / nav
        sold = sell[column[class_of] == j]
        equal.add(gap, over=(over[j], 1), bought=(buy[column == j], -1), sold=(sold, 1))
    equal.add((book.cash.sum() - book.cash_target[0]) / nav, over=(over[-1], 1), bought=(buy, 1), sold=(sell, -1))
    lot_rate = np.where(limits.lot_is_short, limits.short_rate[owner[class_of]], limits.long_rate[owner[class_of]])
    for where, cap, is_out in ((sell, book.lot_cap, out[owner[class_of]]), (buy, book.buy_cap, out[owner])):
        for at, most, is_none in zip(where, np.where(is_out, 0, cap), is_out, strict=True):
            if most == 0 or is_none:
                equal.add(0, only=(at, 1))
                continue
            least.add(0, only=(at, -1))
            if np.isfinite(most):
                least.add(most / nav, only=(at, 1))
    for account in range(n):
        own, own_lots = buy[owner == account], sell[owner[class_of] == account]
        if not out[account]:
            least.add(book.cash[account] / nav, bought=(own, 1), sold=(own_lots, -1))
        if np.isfinite(limits.turnover[account]):
            least.add(limits.turnover[account] / nav, bought=(own, 1), sold=(own_lots, 1))
        if np.isfinite(limits.gain[account]):
            least.add(limits.gain[account] / nav, sold=(own_lots, limits.lot_gain[own_lots]))
        is_short = limits.lot_is_short[own_lots]
        short, long = limits.short_before[account] / nav, limits.long_before[account] / nav
        for of_short, of_long in choice[account].nonnegative:
            gains = limits.lot_gain[own_lots] * np.where(is_short, of_short, of_long)
            least.add(of_short * short + of_long * long, sold=(own_lots, -gains))
        for of_short, of_long in choice[account].taxes:
            gains = limits.lot_gain[own_lots] * np.where(is_short, of_short, of_long)
            least.add(-of_short * short - of_long * long, sold=(own_lots, gains), tax=(taxes[account], -1))
        if not choice[account].taxes:
            equal.add(0, tax=(taxes[account], 1))
    squares, cost = np.zeros(equal.width), np.zeros(equal.width)
    squares[over], cost[taxes], cost[buy] = kappa, 1, book.buy_cost
    cost[sell] = book.lot_cost - lot_rate * limits.lot_gain
    found = solve(squares, cost, equal, least)
    rows = zip(limits.short_before, limits.long_before, limits.short_rate, limits.long_rate, strict=True)
    return None if found is None else found * nav - sum(tax(*row) for row in rows)


def whole_share_trades(book: Book) -> list[np.ndarray]:
    """For each class of ``small_book`` its possible trades: rows of value moved, cash flow, cost."""
    choices = []
    for c in range(len(book.buy_cap)):
        rows = [(0.0, 0.0, 0.0)]
        if book.buy_cap[c] > 0:
            values = np.arange(1, int(book.nav[0] / book.buy_price[c]) + 1) * book.buy_price[c]
            rows += [(v, -v * (1 + book.buy_cost[c]), v * book.buy_cost[c]) for v in values]
        for lot in range(book.lot_start[c], book.lot_start[c + 1]):
            values = np.arange(1, int(book.lot_quantity[lot]) + 1) * book.lot_price[lot] * (book.lot_cap[lot] > 0)
            rows += [(-v, v * (1 - book.lot_spread[lot]), v * book.lot_cost[lot]) for v in values]
        choices.append(np.array(rows))
    return choices


def enumerated_optimum(book: Book) -> float:
    """Optimum, usd, over all whole-share trades of ``small_book`` with costs paid from cash, by trying every one."""
    k, (one, two, three) = book.tracking_penalty[0] / book.nav[0], whole_share_trades(book)
    gaps = book.class_value - book.class_target
    worth = [0.5 * k * (gap + rows[:, 0]) ** 2 + rows[:, 2] for gap, rows in zip(gaps, (one, two, three), strict=True)]
    cash = book.cash[0] + one[:, None, None, 1] + two[None, :, None, 1] + three[None, None, :, 1]
    total = worth[0][:, None, None] + worth[1][None, :, None] + worth[2][None, None, :]
    total = total + 0.5 * k * (cash - book.cash_target[0]) ** 2
    return float(np.where(cash >= CASH_CUSHION, total, np.inf).min())


def highs_bounds(book: Book, *, tangents: int = 60) -> tuple[float, float]:
    """A lower and an upper bound, usd, on the optimum over whole shares of ``small_book``, by HiGHS (mixed-integer).

    A binary chooses each class's trade from a table of exact objectives; the cash term, a parabola of the sum, is bounded
    below by tangents, so the optimum of the program is a lower bound and its trades, valued exactly, are an upper one.
    """
    k, choices = float(book.tracking_penalty[0] / book.nav[0]), whole_share_trades(book)
    gaps = book.class_value - book.class_target
    picks = [cp.Variable(len(rows), boolean=True) for rows in choices]
    worth = sum(
        pick @ (0.5 * k * (gap + rows[:, 0]) ** 2 + rows[:, 2])
        for pick, rows, gap in zip(picks, choices, gaps, strict=True)
    )
    cash = book.cash[0] + sum(pick @ rows[:, 1] for pick, rows in zip(picks, choices, strict=True))
    over, off = cash - book.cash_target[0], cp.Variable()
    at = np.linspace(-book.cash_target[0], book.nav[0], tangents)
    limits = [cash >= CASH_CUSHION, *(off >= k * point * over - 0.5 * k * point**2 for point in at)]
    problem = cp.Problem(cp.Minimize(worth + off), [*limits, *(cp.sum(pick) == 1 for pick in picks)])
    problem.solve(solver=cp.HIGHS)
    exact = float(worth.value) + 0.5 * k * float(over.value) ** 2
    return float(problem.value), exact
