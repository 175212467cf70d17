"""A small convex quadratic program by a primal-dual interior point: for trades that more than one account's cash couples.

    minimise    sum_j y_j^2 / (2 soft_j) + c'x
    subject to  R x - y = r,   0 <= x <= u      (y_j = 0 where soft_j = 0)

The rows with ``soft_j > 0`` are the tracking terms (``soft = 1 / k``), the others hold exactly. Each Newton step is one dense
Cholesky factor of ``R D R' + diag(soft)``, as wide as there are rows (some ten an account); predictor, corrector and step
length follow Mehrotra (SIAM Journal on Optimization 2, 1992) as in Nocedal and Wright, Numerical Optimization, chapter 16.6;
a step is cut where it would leave one product of a variable and its price far below the mean of all, without which one program in
a thousand or so never ends (``CENTRED``).

Assumptions: the program is feasible; ``x`` and ``r`` are of the order of 1 (the caller divides dollars by NAV).

Known limits: the answer is interior, some 1e-9 from its bounds; the caller snaps it, and proves it by the dual.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.core.solver.arrays import Floats, Ints
from tasks.core.solver.workspace import compile_inner

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
    """Columns of ``R`` one after the other: those of variable i are ``row[start[i]:start[i + 1]]``, ``coefficient`` likewise."""

    cost: Floats
    cap: Floats
    start: Ints
    row: npt.NDArray[np.int64]
    coefficient: Floats
    right: Floats
    soft: Floats


@compile_inner
def factor(matrix: Any, size: int) -> None:
    """Cholesky factor in the lower triangle, in place; a pivot that vanished is dropped."""
    for i in range(size):
        for j in range(i + 1):
            total = matrix[i, j]
            for t in range(j):
                total -= matrix[i, t] * matrix[j, t]
            if i == j:
                matrix[i, i] = np.sqrt(total) if total > VANISHED else 1e150
            else:
                matrix[i, j] = total / matrix[j, j]


@compile_inner
def solve_factored(matrix: Any, size: int, right: Any) -> None:
    """Solve in place with the factor."""
    for i in range(size):
        total = right[i]
        for t in range(i):
            total -= matrix[i, t] * right[t]
        right[i] = total / matrix[i, i]
    for i in range(size - 1, -1, -1):
        total = right[i]
        for t in range(i + 1, size):
            total -= matrix[t, i] * right[t]
        right[i] = total / matrix[i, i]


@compile_inner
def normal_matrix(p: Program, weight: Any, matrix: Any) -> None:
    """Lower triangle of ``R diag(weight) R' + diag(soft)``."""
    size = len(p.right)
    for i in range(size):
        for j in range(i):
            matrix[i, j] = 0.0
        matrix[i, i] = p.soft[i]
    for v in range(len(p.cost)):
        for one in range(p.start[v], p.start[v + 1]):
            scaled = weight[v] * p.coefficient[one]
            for two in range(p.start[v], p.start[v + 1]):
                if p.row[two] <= p.row[one]:
                    matrix[p.row[one], p.row[two]] += scaled * p.coefficient[two]


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
    p: Program, matrix: Any, residual: Any, pull: Any, weight: Any, step_prices: Any, step_x: Any, work: Any
) -> None:
    """Newton step of prices and x for the pull on each variable."""
    for v in range(len(p.cost)):
        step_x[v] = weight[v] * pull[v]
    times(p, step_x, work)
    for i in range(len(p.right)):
        step_prices[i] = residual[i] - work[i]
    solve_factored(matrix, len(p.right), step_prices)
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
    weight, pull, step_x, step_low, step_high = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    dual, step_rest = np.zeros(n), np.zeros(n)
    matrix = np.zeros((m, m))
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
        normal_matrix(p, weight, matrix)
        factor(matrix, m)
        direction(p, matrix, residual, pull, weight, step_prices, step_x, work)
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
        direction(p, matrix, residual, pull, weight, step_prices, step_x, work)
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
