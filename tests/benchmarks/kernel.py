"""The solver kernel: accounts per second, beside other solvers in the same run, the slowest account, memory, compile time. `make bench`."""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import clarabel
import cvxpy as cp
import numpy as np
import osqp
from scipy import sparse

from tasks.core.solver import entry as solver
from tasks.core.solver.arrays import Book, Limits, no_limits
from tasks.core.solver.solution import blank_answer
from tasks.core.solver.workspace import largest, new_workspace
from tests.benchmarks.results import HERE, Figures, kept
from tests.support.books import pick, take
from tests.support.referees import Part, Sides, program_on
from tests.support.trades import account_of_classes, account_of_lots

SIZES = (10_000, 100_000, 1_000_000)
LIMITED = 100_000
CLASSES, LOTS = 8, 20
HALF_SPREAD = 0.0003
USEFUL = 5e-6
"""Share of NAV that an order must be worth."""
REFEREED = 40
TIMED = 5_000
COPIES, REPEATS = 20, 3


def book_of(accounts: int, seed: int = 1) -> Book:
    """Accounts of 8 classes and 20 lots, whole shares; what a dollar sold costs differs by lot, as tax at fixed rates would make it."""
    rng = np.random.default_rng(seed)
    lots_of = np.array([3, 3, 3, 3, 2, 2, 2, 2])
    price = np.round(rng.uniform(10, 300, (accounts, CLASSES)), 2)
    lot_price = np.repeat(price.ravel(), np.tile(lots_of, accounts))
    quantity = np.round(rng.uniform(5, 200, accounts * LOTS))
    spread = np.full(accounts * LOTS, HALF_SPREAD)
    starts = np.concatenate([[0], np.cumsum(np.tile(lots_of, accounts))]).astype(np.int64)
    fee = np.maximum(rng.uniform(-0.02, 0.15, accounts * LOTS), -HALF_SPREAD)
    group = np.repeat(np.arange(accounts * CLASSES), np.tile(lots_of, accounts))
    fee = fee[np.lexsort((fee, group))]
    value = np.add.reduceat(quantity * lot_price, starts[:-1])
    held = value.reshape(accounts, CLASSES).sum(axis=1)
    cash = np.round(held * rng.uniform(-0.01, 0.05, accounts), 2)
    nav = held + cash
    weights = rng.dirichlet(np.full(CLASSES + 1, 8.0), accounts)
    return Book(
        nav=nav,
        tracking_penalty=np.full(accounts, 2.0),
        cash=cash,
        cash_target=nav * weights[:, -1] * 0.2,
        min_trade=np.full(accounts, 100.0),
        class_start=np.arange(0, accounts * CLASSES + 1, CLASSES, dtype=np.int64),
        class_value=value,
        class_target=(nav[:, None] * weights[:, :-1]).ravel(),
        buy_cap=np.full(accounts * CLASSES, np.inf),
        buy_cost=np.full(accounts * CLASSES, HALF_SPREAD),
        buy_spread=np.full(accounts * CLASSES, HALF_SPREAD),
        buy_price=price.ravel(),
        buy_step=np.ones(accounts * CLASSES),
        lot_start=starts,
        lot_quantity=quantity,
        lot_price=lot_price,
        lot_step=np.ones(accounts * LOTS),
        lot_spread=spread,
        lot_cost=spread + fee,
        lot_cap=quantity * lot_price,
        lot_security=group,
    )


def limits_of(book: Book, seed: int = 2) -> tuple[Book, Limits]:
    """What couples trades on every account of ``book``: gains and losses that net with the year's, a gain budget, a turnover limit.

    Nothing is sold at a loss for the tax alone, and an order must be worth what policy asks, as on a night.
    """
    rng = np.random.default_rng(seed)
    n, lots, account = len(book.nav), len(book.lot_cap), account_of_lots(book)
    gain, is_short = rng.uniform(-0.3, 0.6, lots) * (rng.random(lots) < 0.8), rng.random(lots) < 0.3
    over = np.maximum(book.class_value - book.class_target, 0)
    limits = no_limits(book)._replace(
        turnover=book.nav * rng.uniform(0.05, 0.5, n),
        gain=book.nav * rng.uniform(0.002, 0.05, n),
        short_before=book.nav * rng.normal(0, 0.02, n),
        long_before=book.nav * rng.normal(0, 0.02, n),
        short_rate=np.full(n, 0.35),
        long_rate=np.full(n, 0.2),
        useful=USEFUL * book.nav,
        loss_room=over + np.maximum(book.cash_target - book.cash, 0)[account_of_classes(book)],
        lot_gain=gain,
        lot_is_short=is_short,
    )
    rate = np.where(is_short, limits.short_rate[account], limits.long_rate[account])
    order = np.lexsort((rate * gain, book.lot_security))
    return book._replace(lot_cost=book.lot_spread), limits._replace(lot_gain=gain[order], lot_is_short=is_short[order])


def by_cvxpy(book: Book) -> float:
    """Optimum, usd, of a one-account book by CVXPY with Clarabel: how it would be written by hand."""
    nav = float(book.nav[0])
    sold, bought = cp.Variable(len(book.lot_cap), nonneg=True), cp.Variable(len(book.buy_cap), nonneg=True)
    pick = np.zeros((len(book.buy_cap), len(book.lot_cap)))
    pick[np.repeat(np.arange(len(book.buy_cap)), np.diff(book.lot_start)), np.arange(len(book.lot_cap))] = 1
    wasted = cp.Variable(nonneg=True)
    cash = book.cash[0] / nav + cp.sum(sold) - cp.sum(bought) - wasted
    track = cp.sum_squares((book.class_value - book.class_target) / nav - pick @ sold + bought)
    track += cp.square(cash - book.cash_target[0] / nav)
    cost = 0.5 * book.tracking_penalty[0] * track + book.lot_cost @ sold + book.buy_cost @ bought
    spreads = book.lot_spread @ sold + book.buy_spread @ bought
    problem = cp.Problem(cp.Minimize(cost), [cash >= 0, sold <= book.lot_cap / nav, wasted <= spreads])
    problem.solve(solver=cp.CLARABEL)
    return float(problem.value) * nav


def by_clarabel(squares: np.ndarray, cost: np.ndarray, rows: Sides) -> tuple[float, float]:
    """Optimum and seconds of Clarabel alone, at its own tolerances, on a program that is already written down."""
    matrix = sparse.csc_matrix(np.array(rows.equal.coefficients + rows.least.coefficients))
    right, settings = np.array(rows.equal.right + rows.least.right), clarabel.DefaultSettings()
    settings.verbose = False
    cones = [clarabel.ZeroConeT(len(rows.equal.right)), clarabel.NonnegativeConeT(len(rows.least.right))]
    diagonal = sparse.diags(squares, format="csc")
    began = time.perf_counter()
    found = clarabel.DefaultSolver(diagonal, cost, matrix, right, cones, settings).solve()
    return float(found.obj_val), time.perf_counter() - began


def by_osqp(squares: np.ndarray, cost: np.ndarray, rows: Sides) -> tuple[float, float]:
    """Optimum and seconds of OSQP alone, likewise, to 1e-7."""
    matrix = sparse.csc_matrix(np.array(rows.equal.coefficients + rows.least.coefficients))
    high = np.array(rows.equal.right + rows.least.right)
    low = np.array(rows.equal.right + [-np.inf] * len(rows.least.right))
    diagonal, program = sparse.diags(squares, format="csc"), osqp.OSQP()
    began = time.perf_counter()
    program.setup(diagonal, cost, matrix, low, high, verbose=False, eps_abs=1e-7, eps_rel=1e-7, max_iter=100_000)
    found = program.solve(raise_error=True)
    return float(found.info.obj_val), time.perf_counter() - began


def compile_seconds() -> float:
    """Seconds to compile all there is, in a process of its own that finds nothing compiled."""
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as empty:
        code = "import time; from tasks.core.solver.entry import warm_up; t = time.perf_counter(); warm_up(); print(time.perf_counter() - t)"
        run = [sys.executable, "-c", code]
        done = subprocess.run(
            run, env={**os.environ, "NUMBA_CACHE_DIR": empty}, capture_output=True, text=True, check=True
        )
    return float(done.stdout)


def account_seconds(book: Book, limits: Limits) -> np.ndarray:
    """Seconds of each account in the compiled solver on one thread: of ``COPIES`` of it in a row, the least of ``REPEATS``."""
    starts = np.arange(COPIES + 1)

    def seconds(account: int) -> float:
        copies, bounds = pick(book, limits, np.full(COPIES, account))
        work, answer, least = new_workspace(*largest(copies, starts)), blank_answer(copies), np.inf
        for _ in range(REPEATS):
            began = time.perf_counter()
            solver._rebalance_range(copies, bounds, work, answer, starts, 0, COPIES)
            least = min(least, time.perf_counter() - began)
        return least / COPIES

    return np.array([seconds(account) for account in range(len(book.nav))])


def beside_others() -> float:
    """Print other solvers' time per account and the largest difference of their optimum from our bound; CVXPY's seconds per account."""
    book = book_of(REFEREED)
    answer = solver.rebalance(book)
    alone = [take(book, account) for account in range(REFEREED)]
    by_cvxpy(alone[0])
    began = time.perf_counter()
    optima = np.array([by_cvxpy(one) for one in alone])
    seconds = (time.perf_counter() - began) / REFEREED
    off = np.abs(optima - answer.lower_bound) / book.nav
    print(
        f"CVXPY {cp.__version__} with Clarabel: {1e3 * seconds:8.3f} ms an account; largest difference from our bound {off.max():.1e} of NAV"
    )
    programs = [program_on(one, no_limits(one), np.zeros(1, np.bool_), (Part((), ()),)) for one in alone]
    for name, solve in (("Clarabel alone, no modelling", by_clarabel), ("OSQP alone, no modelling", by_osqp)):
        found = [solve(*program) for program in programs]
        off = np.abs(np.array([value for value, _ in found]) * book.nav - answer.lower_bound) / book.nav
        taken = statistics.median(each for _, each in found)
        print(
            f"{name + ':':<30}{1e3 * taken:8.3f} ms an account; largest difference from our bound {off.max():.1e} of NAV"
        )
    return seconds


def line(book: Book, limits: Limits | None, cvxpy: float) -> float:
    """Solve and print a line; seconds."""
    size, began = len(book.nav), time.perf_counter()
    answer = solver.rebalance(book, limits)
    seconds = time.perf_counter() - began
    gap = 1e4 * (answer.objective - answer.lower_bound) / book.nav
    print(
        f"{size:>9,} accounts: {seconds:6.2f} s, {size / seconds:>10,.0f} accounts/s, {cvxpy / (seconds / size):>8,.0f} x CVXPY, "
        f"gap median {np.median(gap):.4f} p99 {np.percentile(gap, 99):.3f} max {gap.max():.2f} bp, "
        f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB"
    )
    return seconds


def main(words: Sequence[str] | None = None, folder: Path = HERE) -> None:
    """Print one line a size, and the ratio to CVXPY with Clarabel per account."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, nargs="+", default=SIZES)
    parser.add_argument("--compiled", action="store_true", help="do not measure how long compiling takes")
    options = parser.parse_args(words)
    with kept("kernel", folder) as figures:
        if not options.compiled:
            compiled = compile_seconds()
            figures.add("compile", "all", compiled)
            print(f"compiled with nothing to go on in {compiled:.1f} s")
        measure(options.accounts, figures)


def measure(sizes: Sequence[int], figures: Figures) -> None:
    """All but compiling."""
    began = time.perf_counter()
    solver.warm_up()
    print(f"loaded compiled in {time.perf_counter() - began:.2f} s; {os.cpu_count()} cores")
    cvxpy = beside_others()
    for size in sizes:
        figures.add("cash only", f"{size:,} accounts", line(book_of(size), None, cvxpy), beside=("CVXPY", size * cvxpy))
    limited = min(LIMITED, max(sizes))
    book, limits = limits_of(book_of(limited))
    print(
        "the same lots with gains and losses that net, a gain budget and a turnover limit on every account; first without them:"
    )
    without = line(book, no_limits(book), cvxpy)
    seconds = line(book, limits, cvxpy)
    figures.add("every limit, gains and losses", f"{limited:,} accounts", seconds, beside=("without them", without))
    print(f"{seconds / without:.1f} times as long")
    timed = min(TIMED, max(sizes))
    book = book_of(timed)
    for name, pair in (("cash only", (book, no_limits(book))), ("every limit, gains and losses", limits_of(book))):
        each = 1e6 * account_seconds(*pair)
        figures.add(f"slowest account, {name}", f"{timed:,} accounts", each.max(), "us")
        print(
            f"one account at a time, {name}: median {np.median(each):.1f}, p99 {np.percentile(each, 99):.1f}, slowest {each.max():.0f} us"
        )


if __name__ == "__main__":
    main()
