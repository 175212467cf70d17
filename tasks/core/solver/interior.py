"""A small convex quadratic program by a primal-dual interior point: for trades that more than one account's cash couples.

    minimise    sum_j y_j^2 / (2 soft_j) + c'x
    subject to  R x - y = r,   0 <= x <= u      (y_j = 0 where soft_j = 0)

The rows with ``soft_j > 0`` are the tracking terms (``soft = 1 / k``), the others hold exactly. Each Newton step is one Cholesky
factor of ``R D R' + diag(soft)``: most rows come in small blocks that share no variable (those of a class, or those of an
account), which are eliminated first, so that a step costs about as much as there are classes, accounts and lots. Predictor,
corrector and step length follow Mehrotra (SIAM Journal on Optimization 2, 1992) as in Nocedal and Wright, Numerical Optimization, chapter 16.6;
a step is cut where it would leave one product of a variable and its price far below the mean of all, without which one program in
a thousand or so never ends (``CENTRED``).

Assumptions: the program is feasible; ``x`` and ``r`` are of the order of 1 (the caller divides dollars by NAV).
Known limits: the answer is interior, some 1e-9 from its bounds; the caller snaps it, and proves it by the dual.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.core.solver.arrays import Floats, Ints
from tasks.core.solver.compiling import compile_inner

MAX_STEPS: Final = 80
CLOSE: Final = 1e-12
"""Mean complementarity at which the answer is taken."""
VANISHED: Final = 1e-24
"""A squared pivot this small is rounding noise."""
FEASIBLE: Final = 1e-8
CENTRED: Final = 1e-3
"""Least product of a variable and its price, as a share of the mean."""
CUTS: Final = 20
"""Most cuts of a step, each of a tenth."""


class Program(NamedTuple):
    """Columns of ``R`` one after the other: those of variable i are ``row[start[i]:start[i + 1]]``, ``coefficient`` likewise.

    The rows before ``block[-1]`` come in blocks, b from ``block[b]`` to ``block[b + 1]``; a variable is in rows of one block at
    most, and in any of the rows after them.
    """

    cost: Floats
    cap: Floats
    start: Ints
    row: npt.NDArray[np.int64]
    coefficient: Floats
    right: Floats
    soft: Floats
    block: Ints


class Factor(NamedTuple):
    """``R D R' + diag(soft)``, or its Cholesky factor: the blocks' own entries, those beside them, and those of the rows after."""

    own: Floats
    """By row of a block and place in it."""
    beside: Floats
    """By row of a block and row after them."""
    rest: Floats
    place: Ints
    """Of each row in its block."""


@compile_inner
def new_factor(p: Program) -> Factor:
    """Room for the factor of a program."""
    local = p.block[-1]
    widest, place = 1, np.zeros(local, np.int64)
    for b in range(len(p.block) - 1):
        widest = max(widest, p.block[b + 1] - p.block[b])
        for row in range(p.block[b], p.block[b + 1]):
            place[row] = row - p.block[b]
    after = len(p.right) - local
    return Factor(np.zeros((local, widest)), np.zeros((local, after)), np.zeros((after, after)), place)


@compile_inner
def fill(p: Program, weight: Any, f: Factor) -> None:
    """Lower triangle of ``R diag(weight) R' + diag(soft)``."""
    local = p.block[-1]
    f.own[:], f.beside[:], f.rest[:] = 0.0, 0.0, 0.0
    for row in range(local):
        f.own[row, f.place[row]] = p.soft[row]
    for row in range(local, len(p.right)):
        f.rest[row - local, row - local] = p.soft[row]
    for v in range(len(p.cost)):
        for one in range(p.start[v], p.start[v + 1]):
            scaled, i = weight[v] * p.coefficient[one], p.row[one]
            for two in range(p.start[v], p.start[v + 1]):
                j = p.row[two]
                if j > i:
                    continue
                if i < local:
                    f.own[i, f.place[j]] += scaled * p.coefficient[two]
                elif j < local:
                    f.beside[j, i - local] += scaled * p.coefficient[two]
                else:
                    f.rest[i - local, j - local] += scaled * p.coefficient[two]


@compile_inner
def factor(p: Program, f: Factor) -> None:
    """Cholesky factor in place, block by block, then of what they leave of the rest; a pivot that vanished is dropped."""
    local, after = p.block[-1], len(p.right) - p.block[-1]
    for b in range(len(p.block) - 1):
        first = p.block[b]
        for i in range(first, p.block[b + 1]):
            for j in range(first, i + 1):
                total = f.own[i, j - first]
                for t in range(j - first):
                    total -= f.own[i, t] * f.own[j, t]
                if i == j:
                    f.own[i, j - first] = np.sqrt(total) if total > VANISHED else 1e150
                else:
                    f.own[i, j - first] = total / f.own[j, j - first]
            for t in range(i - first):
                scale = f.own[i, t]
                if scale != 0:
                    for r in range(after):
                        f.beside[i, r] -= scale * f.beside[first + t, r]
            for r in range(after):
                f.beside[i, r] /= f.own[i, i - first]
    for row in range(local):
        for i in range(after):
            scale = f.beside[row, i]
            if scale != 0:
                for j in range(i + 1):
                    f.rest[i, j] -= scale * f.beside[row, j]
    for i in range(after):
        for j in range(i + 1):
            total = f.rest[i, j]
            for t in range(j):
                total -= f.rest[i, t] * f.rest[j, t]
            if i == j:
                f.rest[i, i] = np.sqrt(total) if total > VANISHED else 1e150
            else:
                f.rest[i, j] = total / f.rest[j, j]


@compile_inner
def solve_factored(p: Program, f: Factor, right: Any) -> None:
    """Solve in place with the factor."""
    local, after = p.block[-1], len(p.right) - p.block[-1]
    for row in range(local):
        first = row - f.place[row]
        for t in range(f.place[row]):
            right[row] -= f.own[row, t] * right[first + t]
        right[row] /= f.own[row, f.place[row]]
        for r in range(after):
            right[local + r] -= f.beside[row, r] * right[row]
    for i in range(after):
        for t in range(i):
            right[local + i] -= f.rest[i, t] * right[local + t]
        right[local + i] /= f.rest[i, i]
    for i in range(after - 1, -1, -1):
        for t in range(i + 1, after):
            right[local + i] -= f.rest[t, i] * right[local + t]
        right[local + i] /= f.rest[i, i]
    for row in range(local - 1, -1, -1):
        for r in range(after):
            right[row] -= f.beside[row, r] * right[local + r]
        right[row] /= f.own[row, f.place[row]]
        first = row - f.place[row]
        for t in range(f.place[row]):
            right[first + t] -= f.own[row, t] * right[row]


@compile_inner
def times(p: Program, x: Any, out: Any) -> None:
    """``out = R x``."""
    out[:] = 0.0
    for v in range(len(p.cost)):
        for i in range(p.start[v], p.start[v + 1]):
            out[p.row[i]] += p.coefficient[i] * x[v]


@compile_inner
def transposed_times(p: Program, prices: Any, v: int) -> float:
    """Entry ``v`` of ``R' prices``."""
    total = 0.0
    for i in range(p.start[v], p.start[v + 1]):
        total += p.coefficient[i] * prices[p.row[i]]
    return float(total)


@compile_inner
def direction(
    p: Program, f: Factor, residual: Any, pull: Any, weight: Any, step_prices: Any, step_x: Any, work: Any
) -> None:
    """Newton step of prices and x for the pull on each variable."""
    for v in range(len(p.cost)):
        step_x[v] = weight[v] * pull[v]
    times(p, step_x, work)
    for i in range(len(p.right)):
        step_prices[i] = residual[i] - work[i]
    solve_factored(p, f, step_prices)
    for v in range(len(p.cost)):
        step_x[v] = weight[v] * (pull[v] + transposed_times(p, step_prices, v))


@compile_inner
def longest_step(x: Any, step: Any, most: float) -> float:
    """Longest step up to ``most`` that keeps ``x`` positive."""
    for v in range(len(x)):
        if step[v] < 0:
            most = min(most, -x[v] / step[v])
    return most


@compile_inner
def centred_step(length: float, between: float, one: Any, step_one: Any, two: Any, step_two: Any) -> bool:
    """Whether each product of ``one`` and ``two`` stays near the mean ``between`` after the step (products of 0 aside)."""
    for v in range(len(one)):
        product = (one[v] + length * step_one[v]) * (two[v] + length * step_two[v])
        if two[v] > 0 and product < CENTRED * between:
            return False
    return True


@compile_inner
def mean_product(
    length: float, x: Any, step_x: Any, low: Any, step_low: Any, rest: Any, step_rest: Any, high: Any, step_high: Any
) -> float:
    """Mean complementarity after a step; a variable without a cap has one product, not two."""
    total, pairs = 0.0, 0
    for v in range(len(x)):
        total += (x[v] + length * step_x[v]) * (low[v] + length * step_low[v])
        total += (rest[v] + length * step_rest[v]) * (high[v] + length * step_high[v])
        pairs += 2 if high[v] > 0 else 1
    return float(total / pairs)


@compile_inner
def interior_point(p: Program) -> tuple[Any, Any, bool]:
    """``x``, the prices of the rows, and whether the program was solved."""
    n, m = len(p.cost), len(p.right)
    has_cap = np.isfinite(p.cap)
    x = np.where(has_cap, 0.5 * p.cap, 0.5)
    rest = np.where(has_cap, p.cap - x, 1.0)
    low, high = np.ones(n), np.where(has_cap, 1.0, 0.0)
    prices, residual, work, step_prices = np.zeros(m), np.zeros(m), np.zeros(m), np.zeros(m)
    weight, pull, step_x, step_low = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    dual, step_rest, step_high = np.zeros(n), np.zeros(n), np.zeros(n)
    f = new_factor(p)
    pairs = n + has_cap.sum()
    for _ in range(MAX_STEPS):
        times(p, x, residual)
        worst = 0.0
        for i in range(m):
            residual[i] = p.right[i] - residual[i] - p.soft[i] * prices[i]
            worst = max(worst, abs(residual[i]))
        between = 0.0
        for v in range(n):
            dual[v] = p.cost[v] - transposed_times(p, prices, v) - low[v] + high[v]
            worst = max(worst, abs(dual[v]))
            between += x[v] * low[v] + rest[v] * high[v]
            weight[v] = 1.0 / (low[v] / x[v] + high[v] / rest[v])
            pull[v] = -dual[v] - low[v] + high[v]
        between /= pairs
        if between < CLOSE and (worst < FEASIBLE or between < CLOSE * CLOSE):
            return x, prices, worst < FEASIBLE
        fill(p, weight, f)
        factor(p, f)
        direction(p, f, residual, pull, weight, step_prices, step_x, work)
        for v in range(n):
            step_low[v] = -low[v] - low[v] / x[v] * step_x[v]
            step_high[v] = -high[v] + high[v] / rest[v] * step_x[v]
            step_rest[v] = -step_x[v] if has_cap[v] else 0.0
        length = longest_step(rest, step_rest, longest_step(x, step_x, 1.0))
        length = longest_step(high, step_high, longest_step(low, step_low, length))
        after = mean_product(length, x, step_x, low, step_low, rest, step_rest, high, step_high)
        aim = (after / between) ** 3 * between
        for v in range(n):
            low_aim = (aim - step_x[v] * step_low[v]) / x[v]
            high_aim = (aim + step_x[v] * step_high[v]) / rest[v] if has_cap[v] else 0.0
            step_low[v], step_high[v] = low_aim, high_aim
            pull[v] = -dual[v] + low_aim - low[v] - high_aim + high[v]
        direction(p, f, residual, pull, weight, step_prices, step_x, work)
        for v in range(n):
            step_low[v] = step_low[v] - low[v] - low[v] / x[v] * step_x[v]
            step_high[v] = step_high[v] - high[v] + high[v] / rest[v] * step_x[v] if has_cap[v] else 0.0
            step_rest[v] = -step_x[v] if has_cap[v] else 0.0
        length = longest_step(rest, step_rest, longest_step(x, step_x, 1e30))
        length = min(1.0, 0.9995 * longest_step(high, step_high, longest_step(low, step_low, length)))
        for _ in range(CUTS):
            after = mean_product(length, x, step_x, low, step_low, rest, step_rest, high, step_high)
            is_low_centred = centred_step(length, after, x, step_x, low, step_low)
            if is_low_centred and centred_step(length, after, rest, step_rest, high, step_high):
                break
            length *= 0.9
        for v in range(n):
            x[v] += length * step_x[v]
            low[v] += length * step_low[v]
            high[v] += length * step_high[v]
            rest[v] += length * step_rest[v]
        for i in range(m):
            prices[i] += length * step_prices[i]
    return x, prices, False
