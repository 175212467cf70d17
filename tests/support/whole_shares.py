"""Referees for whole shares: every trade of a small account tried, and HiGHS."""

import cvxpy as cp
import numpy as np

from tasks.core.solver.arrays import Book, Floats, Limits, no_limits
from tasks.core.solver.orders import CASH_CUSHION
from tests.support.referees import Part, four_parts, tax


def whole_share_trades(book: Book, limits: Limits | None = None) -> list[Floats]:
    """For each class of ``small_book`` its possible trades: rows of value moved, cash flow, cost, short and long gain."""
    limits = no_limits(book) if limits is None else limits
    choices = []
    for c in range(len(book.buy_cap)):
        rows = [(0.0, 0.0, 0.0, 0.0, 0.0)]
        if book.buy_cap[c] > 0:
            values = np.arange(1, int(book.nav[0] / book.buy_price[c]) + 1) * book.buy_price[c]
            rows += [(v, -v * (1 + book.buy_spread[c]), v * book.buy_cost[c], 0, 0) for v in values]
        for lot in range(book.lot_start[c], book.lot_start[c + 1]):
            gain, is_short = limits.lot_gain[lot], limits.lot_is_short[lot]
            base = book.lot_cost[lot]
            flow, values = 1 - book.lot_spread[lot], np.arange(1, int(book.lot_quantity[lot]) + 1) * book.lot_price[lot]
            values = (
                values
                * (book.lot_cap[lot] > 0)
                * (values <= (limits.loss_room[c] if gain < 0 else np.inf) * (1 + 1e-9))
            )
            rows += [(-v, v * flow, v * base, v * gain * is_short, v * gain * (not is_short)) for v in values]
        choices.append(np.array(rows))
    return choices


def enumerated_optimum(book: Book, limits: Limits | None = None) -> float:
    """Optimum, usd, over all whole-share trades of ``small_book`` with costs paid from cash, by trying every one."""
    limits = no_limits(book) if limits is None else limits
    k, trades = book.tracking_penalty[0] / book.nav[0], whole_share_trades(book, limits)
    axes = ((slice(None), None, None), (None, slice(None), None), (None, None, slice(None)))
    _, flow, cost, short, long = (
        sum(rows[at][..., i] for rows, at in zip(trades, axes, strict=True)) for i in range(5)
    )
    moved = sum(np.abs(rows[at][..., 0]) for rows, at in zip(trades, axes, strict=True))
    gaps = zip(book.class_value - book.class_target, trades, axes, strict=True)
    total = cost + sum(0.5 * k * (gap + rows[at][..., 0]) ** 2 for gap, rows, at in gaps)
    cash = book.cash[0] + flow
    total = total + 0.5 * k * (cash - book.cash_target[0]) ** 2 + _added(limits, short, long)
    is_kept = (moved <= limits.turnover[0]) & (short + long <= limits.gain[0])
    return float(np.where((cash >= CASH_CUSHION) & is_kept, total, np.inf).min())


def _added(limits: Limits, short: Floats, long: Floats) -> Floats:
    """Tax, usd, that gains add, element by element."""
    rates = limits.short_rate[0], limits.long_rate[0]
    short, long = limits.short_before[0] + short, limits.long_before[0] + long
    both = rates[0] * short + rates[1] * long
    one = np.maximum(short + long, 0) * np.where(short > 0, *rates)
    return np.where((short > 0) & (long > 0), both, one) - tax(limits.short_before[0], limits.long_before[0], *rates)


def highs_bounds(book: Book, limits: Limits | None = None, *, tangents: int = 60) -> tuple[float, float]:
    """A lower and an upper bound, usd, on the optimum over whole shares of ``small_book``, by HiGHS (mixed-integer).

    A binary chooses each class's trade from a table of exact objectives; the cash term, a parabola of the sum, is bounded
    below by tangents, so the optimum of the program is a lower bound and its trades, valued exactly, are an upper one. Tax is
    linear on each of ``four_parts``, solved one after the other.
    """
    limits = no_limits(book) if limits is None else limits
    rates = float(limits.short_rate[0]), float(limits.long_rate[0])
    parts = four_parts(*rates) if max(rates) > 0 else [Part((), ((0.0, 0.0),))]
    found = [_highs_on(book, limits, part, tangents) for part in parts]
    return min(low for low, _ in found), min(high for _, high in found)


def _highs_on(book: Book, limits: Limits, part: Part, tangents: int) -> tuple[float, float]:
    k, choices = float(book.tracking_penalty[0] / book.nav[0]), whole_share_trades(book, limits)
    gaps = book.class_value - book.class_target
    picks = [cp.Variable(len(rows), boolean=True) for rows in choices]
    worth = sum(
        pick @ (0.5 * k * (gap + rows[:, 0]) ** 2 + rows[:, 2])
        for pick, rows, gap in zip(picks, choices, gaps, strict=True)
    )
    cash, short, long = (sum(pick @ rows[:, i] for pick, rows in zip(picks, choices, strict=True)) for i in (1, 3, 4))
    over, off, before = (
        cash + book.cash[0] - book.cash_target[0],
        cp.Variable(),
        (limits.short_before, limits.long_before),
    )
    short, long = short + before[0][0], long + before[1][0]
    paid = part.taxes[0][0] * short + part.taxes[0][1] * long
    at = np.linspace(-book.cash_target[0], book.nav[0], tangents)
    rows = [cash + book.cash[0] >= CASH_CUSHION, *(off >= k * point * over - 0.5 * k * point**2 for point in at)]
    rows += [of_short * short + of_long * long >= 0 for of_short, of_long in part.nonnegative]
    problem = cp.Problem(cp.Minimize(worth + off + paid), [*rows, *(cp.sum(pick) == 1 for pick in picks)])
    problem.solve(solver=cp.HIGHS)
    if problem.status != cp.OPTIMAL:
        return np.inf, np.inf
    known = tax(before[0][0], before[1][0], limits.short_rate[0], limits.long_rate[0])
    exact = float(worth.value) + float(paid.value) + 0.5 * k * float(over.value) ** 2
    return float(problem.value) - known, exact - known
