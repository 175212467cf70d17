"""The interior point alone: random programs against Clarabel, and programs without room."""

import numpy as np
import pytest
from numba import njit

from tasks.core.solver.arrays import Floats
from tasks.core.solver.interior import Program, interior_point
from tests.support.referees import Rows, Sides, solve


@njit  # type: ignore[untyped-decorator]  # a way in: what only compiled code calls has none
def solved(program: Program) -> tuple[Floats, Floats, bool]:
    return interior_point(program)


def program_of(cost: Floats, cap: Floats, matrix: Floats, right: Floats, soft: Floats) -> Program:
    """A program from a dense matrix."""
    rows = [np.flatnonzero(column) for column in matrix.T]
    start = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    coefficient = np.concatenate([column[row] for column, row in zip(matrix.T, rows, strict=True)])
    row = np.concatenate(rows).astype(np.int64)
    return Program(cost, cap, start, row, coefficient, right, soft, np.zeros(1, np.int64))


def objective(program: Program, matrix: Floats, x: Floats) -> float:
    """What is minimised, at ``x``."""
    is_soft, off = program.soft > 0, matrix @ x - program.right
    return float((off[is_soft] ** 2 / (2 * program.soft[is_soft])).sum() + program.cost @ x)


def referee(program: Program, matrix: Floats) -> float | None:
    """Optimum by Clarabel, what soft rows are off by being variables of their own."""
    n, m = len(program.cost), len(program.right)
    rows = Sides(Rows(n + m), Rows(n + m))
    for i in range(m):
        rows.equal.add(program.right[i], x=(np.arange(n), matrix[i]), off=(n + i, -1.0 if program.soft[i] > 0 else 0.0))
    for v in range(n):
        rows.least.add(0, x=(v, -1))
        if np.isfinite(program.cap[v]):
            rows.least.add(program.cap[v], x=(v, 1))
    stiff = np.divide(1, program.soft, out=np.zeros(m), where=program.soft > 0)
    found = solve(np.concatenate([np.zeros(n), stiff]), np.concatenate([program.cost, np.zeros(m)]), rows)
    return None if found is None else found[0]


def random_program(rng: np.random.Generator) -> tuple[Program, Floats]:
    """Up to 12 variables and 6 rows, some of them hard, with an answer between the bounds."""
    n, m = int(rng.integers(2, 13)), int(rng.integers(1, 7))
    matrix = np.round(rng.uniform(-1, 1, (m, n)), 2) * (rng.random((m, n)) < 0.6)
    matrix[:, 0] += 0.5
    cap = np.where(rng.random(n) < 0.7, rng.choice([0.01, 0.3, 1], n), np.inf)
    inside = np.minimum(cap, 1) * rng.uniform(0.1, 0.9, n)
    soft = np.where(np.arange(m) < m - int(rng.integers(0, min(m, n) // 2 + 1)), rng.uniform(0.2, 2, m), 0)
    right = matrix @ inside + rng.normal(0, 0.5, m) * (soft > 0)
    return program_of(rng.uniform(0, 0.5, n), cap, matrix, right, soft), matrix


def test_optimum_of_random_programs_equals_clarabels() -> None:
    rng = np.random.default_rng(1)
    for _ in range(400):
        program, matrix = random_program(rng)
        x, _, is_solved = solved(program)
        best = referee(program, matrix)
        assert best is not None
        assert is_solved
        assert objective(program, matrix, x) == pytest.approx(best, abs=1e-7)
        assert (x >= 0).all()
        assert (x <= program.cap + 1e-9).all()
        assert (matrix @ x)[program.soft == 0] == pytest.approx(program.right[program.soft == 0], abs=1e-7)


def test_rows_in_blocks_give_what_rows_without_give() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        blocks, after, n = int(rng.integers(1, 5)), int(rng.integers(0, 4)), int(rng.integers(3, 15))
        start = np.concatenate([[0], np.cumsum(rng.integers(1, 3, blocks))]).astype(np.int64)
        m = int(start[-1]) + after
        matrix = np.round(rng.uniform(-1, 1, (m, n)), 2)
        block_of = rng.integers(0, blocks, n)
        for b in range(blocks):
            matrix[start[b] : start[b + 1], block_of != b] = 0
        cap, soft = rng.choice([0.3, 1.0], n), rng.uniform(0.2, 2, m)
        whole = program_of(rng.uniform(0, 0.5, n), cap, matrix, matrix @ (cap * 0.4) + rng.normal(0, 0.3, m), soft)
        apart, together = solved(whole._replace(block=start)), solved(whole)
        assert apart[2]
        assert together[2]
        assert apart[0] == pytest.approx(together[0], abs=1e-7)
        assert apart[1] == pytest.approx(together[1], abs=1e-6)


def test_a_program_of_one_variable_has_the_answer_of_its_parabola() -> None:
    one = np.ones(1)
    for right, cap, x in ((0.4, np.inf, 0.3), (0.05, np.inf, 0.0), (0.9, 0.5, 0.5)):
        found, _, is_solved = solved(program_of(0.1 * one, cap * one, np.ones((1, 1)), right * one, one))
        assert is_solved
        assert found[0] == pytest.approx(x, abs=1e-7)


def test_caps_of_next_to_nothing_leave_next_to_nothing() -> None:
    rng = np.random.default_rng(2)
    program, matrix = random_program(rng)
    program = program._replace(cap=np.full(len(program.cost), 1e-9), soft=np.ones(len(program.right)))
    x, _, is_solved = solved(program)
    assert is_solved
    assert (x <= 1e-9 + 1e-12).all()
    assert objective(program, matrix, x) == pytest.approx(float(program.right @ program.right) / 2, abs=1e-6)


def test_rows_that_do_not_bind_have_no_price() -> None:
    matrix = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])  # the second: x0 + rest = 10
    program = program_of(
        np.array([0.1, 0.2, 0.0]), np.array([1.0, 1.0, np.inf]), matrix, np.array([0.5, 10.0]), np.array([1.0, 0.0])
    )
    x, prices, is_solved = solved(program)
    assert is_solved
    assert x == pytest.approx([0.4, 0.0, 9.6], abs=1e-6)
    assert prices[1] == pytest.approx(0, abs=1e-7)


def test_a_program_without_an_answer_is_not_solved() -> None:
    program = program_of(np.zeros(1), np.ones(1), np.ones((1, 1)), np.array([5.0]), np.zeros(1))
    assert not solved(program)[2]


def test_the_program_that_went_in_circles_is_solved() -> None:
    """Without ``CENTRED`` corrector steps repeat every four steps for ever: an account whose turnover limit binds and whose cash is owed."""
    dense = np.zeros((10, 11))
    columns = [
        ((0, 1), (7, 1), (8, 1)),
        ((0, -1), (7, -1), (8, 1), (9, 0.16948862)),
        ((1, -1), (7, -1), (8, 1)),
        ((3, 1), (7, 1), (8, 1)),
        ((4, 1), (7, 1), (8, 1)),
        ((5, 1), (7, 1), (8, 1)),
        ((5, -1), (7, -1), (8, 1)),
        ((6, 1), (7, 1)),
        ((8, 1),),
        ((9, 1),),
        ((9, -1),),
    ]
    for column, entries in enumerate(columns):
        for row, value in entries:
            dense[row, column] = value
    inf = np.inf
    cost = [3.09301689e-04, 2.18606793e-01, 1.14684810e-04, 1.06970631e-03, 1.91285443e-03, 1.12277858e-03]
    cost += [2.50472165e-04, 0, 0, 3.22875768e-01, 0]
    cap = [inf, 0.37362574, 0.46310836, 0.05, inf, 0.05, 0.06484701, inf, inf, inf, inf]
    right = [-2.39108545e-01, -3.51808164e-01, 1.94732533e-02, 1.66445538e-01, 3.18170186e-01, 3.27737311e-04]
    right += [1.49197033e-03, -1.28651262e-02, 5.0e-02, 3.93549530e-02]
    soft = np.where(np.arange(10) < 7, 0.44310682, 0)
    program = program_of(np.array(cost), np.array(cap), dense, np.array(right), soft)
    x, _, is_solved = solved(program)
    assert is_solved
    assert objective(program, dense, x) == pytest.approx(referee(program, dense), abs=1e-7)
