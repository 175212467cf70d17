"""A referee for the solver's tests: the continuous optimum by Clarabel, through its own interface.

The program given to Clarabel is another one than the solver's: deviations and tax are variables of their own, bounds are rows, and
the tax on net gains, which is not convex, is split by explicit signs of the nets into parts on which it is.
"""

from itertools import product
from typing import Final, NamedTuple

import clarabel
import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from tasks.core.solver.arrays import Book, Flags, Floats, Ints, Limits, no_limits

SOLVED: Final = "Solved"
ALMOST: Final = "AlmostSolved"
LAST_TOLERANCE: Final = 1e-6
BOTH_WAYS: Final = 1e-7
"""Share of NAV that a class both sells and buys and an inner answer leaves of a round trip that is free."""
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


class Sides(NamedTuple):
    """Rows that hold as equations, and rows ``<=``."""

    equal: Rows
    least: Rows


def solve(squares: Floats, cost: Floats, rows: Sides) -> tuple[float, Floats] | None:
    """Minimum of ``squares / 2 @ z^2 + cost @ z`` and its z; None: infeasible; inf: undecided, as the sliver that signs may leave of a part.

    Where the tightest tolerance is out of reach, a wider one is tried.
    """
    matrix = sparse.csc_matrix(np.array(rows.equal.coefficients + rows.least.coefficients))
    cones = [clarabel.ZeroConeT(len(rows.equal.right)), clarabel.NonnegativeConeT(len(rows.least.right))]
    right, settings = np.array(rows.equal.right + rows.least.right), clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    for tolerance in (1e-11, 1e-9, 1e-8, 1e-7, LAST_TOLERANCE):
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
        program = clarabel.DefaultSolver(sparse.diags(squares, format="csc"), cost, matrix, right, cones, settings)
        found = program.solve()
        if str(found.status) in MISSING:
            return None
        if str(found.status) == SOLVED or (tolerance == LAST_TOLERANCE and str(found.status) == ALMOST):
            return float(found.obj_val), np.array(found.x)
    return np.inf, cost * 0


def clarabel_optimum(book: Book, limits: Limits | None = None, out: Flags | None = None) -> float | None:
    """Continuous optimum, usd, were a class free to both sell and buy; see ``clarabel_program``."""
    found = clarabel_program(book, limits, out)
    return None if found is None else found[0]


def clarabel_program(book: Book, limits: Limits | None = None, out: Flags | None = None) -> tuple[float, Floats] | None:
    """Continuous optimum, usd, and its variables, of all accounts of ``book`` as one household (an account alone is one); None: infeasible.

    ``out``: accounts that trade nothing and stay in debt.
    """
    limits = no_limits(book) if limits is None else limits
    n = len(book.nav)
    out = np.zeros(n, np.bool_) if out is None else out
    parts = four_parts if n == 1 else two_parts
    choices = [
        parts(*rates) if max(rates) > 0 else [Part((), ())]
        for rates in zip(limits.short_rate.tolist(), limits.long_rate.tolist(), strict=True)
    ]
    found = [optimum_on(book, limits, out, choice) for choice in product(*choices)]
    best = min((each for each in found if each is not None), default=None, key=lambda each: each[0])
    assert best is None or best[0] != np.inf
    return best


def can_raise(book: Book, limits: Limits) -> bool:
    """Whether one account can raise the cash it owes within its limits: a linear program, by HiGHS."""
    class_of = np.repeat(np.arange(len(book.buy_cap)), np.diff(book.lot_start))
    rows, right = [np.full(len(class_of), -1.0)], [float(book.cash[0])]
    for row, most in ((np.ones(len(class_of)), limits.turnover[0]), (limits.lot_gain, limits.gain[0])):
        if np.isfinite(most):
            rows.append(row)
            right.append(float(most))
    for c, room in enumerate(limits.loss_room):
        if np.isfinite(room):
            rows.append(((class_of == c) & (limits.lot_gain < 0)).astype(float))
            right.append(float(room))
    if not len(class_of):
        return bool(book.cash[0] >= 0)
    bounds = list(zip(np.zeros(len(class_of)), book.lot_cap, strict=True))
    return bool(linprog(np.zeros(len(class_of)), np.array(rows), np.array(right), bounds=bounds).status == 0)


def apart_optimum(book: Book, limits: Limits) -> float | None:
    """Continuous optimum, usd, of one account whose classes do not both sell and buy, by branch and bound; None: infeasible."""
    best = np.inf
    waiting = [book]
    while waiting:
        tried = waiting.pop()
        found = clarabel_program(tried, limits)
        if found is None or found[0] >= best:
            continue
        at = places(tried)
        sold = np.bincount(at.class_of, found[1][at.sold], len(book.buy_cap))
        both = np.minimum(sold, found[1][at.bought])
        worst = int(np.argmax(both))
        if both[worst] <= BOTH_WAYS:
            best = found[0]
            continue
        is_worst = np.arange(len(book.buy_cap)) == worst
        waiting += [
            tried._replace(buy_cap=np.where(is_worst, 0, tried.buy_cap)),
            tried._replace(lot_cap=np.where(is_worst[at.class_of], 0, tried.lot_cap)),
        ]
    return float(best) if np.isfinite(best) else None


class Places(NamedTuple):
    """Where a variable stands in ``z``: usd sold and bought, deviations (cash last) and taxes, all as shares of NAV."""

    sold: Ints
    bought: Ints
    over: Ints
    taxes: Ints
    wasted: Ints
    """What of its half spreads an account pays from cash."""
    class_of: Ints
    """Class of each lot."""
    owner: Ints
    """Account of each class."""

    def of(self, account: int) -> tuple[Ints, Ints]:
        """Lots sold by an account, and what it buys."""
        return self.sold[self.owner[self.class_of] == account], self.bought[self.owner == account]


def places(book: Book) -> Places:
    """The order of the variables: lots, purchases, deviations, taxes."""
    n, m, lots = len(book.nav), len(book.buy_cap), len(book.lot_cap)
    over = lots + m + np.arange(book.class_start[1] + 1)
    class_of, owner = (
        np.repeat(np.arange(m), np.diff(book.lot_start)),
        np.repeat(np.arange(n), np.diff(book.class_start)),
    )
    taxes = over[-1] + 1 + np.arange(n)
    return Places(np.arange(lots), lots + np.arange(m), over, taxes, taxes[-1] + 1 + np.arange(n), class_of, owner)


def add_deviations(book: Book, at: Places, equal: Rows) -> None:
    """``over`` is what the accounts hold of a class, or in cash, after their trades, less the destination."""
    nav, column = book.nav[0], np.arange(len(book.buy_cap)) - book.class_start[at.owner]
    for j in range(len(at.over) - 1):
        gap = (book.class_value[column == j].sum() - book.class_target[j]) / nav
        sold = at.sold[column[at.class_of] == j]
        equal.add(gap, over=(at.over[j], 1), bought=(at.bought[column == j], -1), sold=(sold, 1))
    gap = (book.cash.sum() - book.cash_target[0]) / nav
    equal.add(gap, over=(at.over[-1], 1), bought=(at.bought, 1), sold=(at.sold, -1), wasted=(at.wasted, 1))


def add_losses(book: Book, limits: Limits, at: Places, least: Rows) -> None:
    """What is sold at a loss of a class, by all the accounts, within its room."""
    column = np.arange(len(book.buy_cap)) - book.class_start[at.owner]
    for j in range(len(at.over) - 1):
        lost = at.sold[(column[at.class_of] == j) & (limits.lot_gain < 0)]
        if np.isfinite(limits.loss_room[j]) and len(lost):
            least.add(limits.loss_room[j] / book.nav[0], lost=(lost, 1))


def add_bounds(book: Book, at: Places, out: Flags, rows: Sides) -> None:
    """Caps of lots and purchases; 0 for the accounts in ``out``."""
    caps = np.concatenate([book.lot_cap, book.buy_cap]) / book.nav[0]
    is_out = np.concatenate([out[at.owner[at.class_of]], out[at.owner]])
    for variable, cap in enumerate(np.where(is_out, 0, caps)):
        if cap == 0:
            rows.equal.add(0, only=(variable, 1))
            continue
        rows.least.add(0, only=(variable, -1))
        if np.isfinite(cap):
            rows.least.add(cap, only=(variable, 1))


def add_limits(book: Book, limits: Limits, at: Places, account: int, least: Rows) -> None:
    """Cash of 0 or more, turnover and gain budget of one account."""
    nav, (sold, bought) = book.nav[0], at.of(account)
    least.add(book.cash[account] / nav, bought=(bought, 1), sold=(sold, -1), wasted=(at.wasted[account], 1))
    least.add(0, wasted=(at.wasted[account], -1))
    spreads = {"bought": (bought, -book.buy_spread[at.owner == account]), "sold": (sold, -book.lot_spread[sold])}
    least.add(0, wasted=(at.wasted[account], 1), **spreads)
    if np.isfinite(limits.turnover[account]):
        least.add(limits.turnover[account] / nav, bought=(bought, 1), sold=(sold, 1))
    if np.isfinite(limits.gain[account]):
        least.add(limits.gain[account] / nav, sold=(sold, limits.lot_gain[sold]))


def add_tax(book: Book, limits: Limits, at: Places, member: tuple[int, Part], rows: Sides) -> None:
    """Signs of an account's nets, and its tax above each of the part's functions."""
    account, part = member
    nav, (sold, _) = book.nav[0], at.of(account)
    gain, is_short = limits.lot_gain[sold], limits.lot_is_short[sold]
    short, long = limits.short_before[account] / nav, limits.long_before[account] / nav
    for of_short, of_long in part.nonnegative:
        rows.least.add(of_short * short + of_long * long, sold=(sold, -gain * np.where(is_short, of_short, of_long)))
    for of_short, of_long in part.taxes:
        gains = gain * np.where(is_short, of_short, of_long)
        rows.least.add(-of_short * short - of_long * long, sold=(sold, gains), tax=(at.taxes[account], -1))
    if not part.taxes:
        rows.equal.add(0, tax=(at.taxes[account], 1))


def program_on(book: Book, limits: Limits, out: Flags, choice: tuple[Part, ...]) -> tuple[Floats, Floats, Sides]:
    """Squares, costs and rows of the program on which each account's nets have the signs of its part."""
    at = places(book)
    rows = Sides(Rows(at.wasted[-1] + 1), Rows(at.wasted[-1] + 1))
    add_deviations(book, at, rows.equal)
    add_losses(book, limits, at, rows.least)
    add_bounds(book, at, out, rows)
    for account, part in enumerate(choice):
        if out[account]:
            rows.equal.add(0, wasted=(at.wasted[account], 1))
        else:
            add_limits(book, limits, at, account, rows.least)
        add_tax(book, limits, at, (account, part), rows)
    squares, cost = np.zeros(rows.equal.width), np.zeros(rows.equal.width)
    squares[at.over], cost[at.taxes], cost[at.bought] = book.tracking_penalty[0], 1, book.buy_cost
    cost[at.sold] = book.lot_cost
    return squares, cost, rows


def optimum_on(book: Book, limits: Limits, out: Flags, choice: tuple[Part, ...]) -> tuple[float, Floats] | None:
    """Optimum, usd, and its variables, where each account's nets have the signs of its part; None: there is none."""
    found = solve(*program_on(book, limits, out, choice))
    before = zip(limits.short_before, limits.long_before, limits.short_rate, limits.long_rate, strict=True)
    return None if found is None else (found[0] * book.nav[0] - sum(tax(*row) for row in before), found[1])
