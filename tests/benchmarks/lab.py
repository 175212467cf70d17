"""A study of the policy lab: policies on drawn paths of a 60/40 account, with and without tax, every trade solved exactly. `make bench`.

What there is to see: nanoseconds of a policy's step, microseconds of a solve, and how far its trades are from their bounds. Beside it the
same 60/40 without tax is stepped through in plain Python with each trade solved by CVXPY and Clarabel, as back-testers of that kind do.
"""

import argparse
import time
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Final

import cvxpy as cp
import numpy as np

from schemas.policy import Policy
from tasks.core.lab.arrays import LabPolicy, Market, Measured, Terms
from tasks.core.lab.run import simulate
from tests.benchmarks.results import HERE, Figures, kept

TARGETS: Final = np.array([0.4, 0.6])
HALF_SPREAD_BPS: Final = 10.0
BANDS: Final = (0.01, 0.02, 0.05, 0.1)
LOOKS: Final = ("monthly", "quarterly", "annual")
GOALS: Final = (0.0, 0.5, 1.0)
REFEREED: Final = 20
"""Trades that CVXPY makes."""


def main(words: Sequence[str] | None = None, folder: Path = HERE) -> None:
    """Print a line for each of the two kinds of account."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--paths", type=int, default=2_000)
    parser.add_argument("--years", type=int, default=30)
    asked = parser.parse_args(words)
    policies = [
        LabPolicy(look, Policy(trade_to=goal, min_trade_usd=0), band)
        for look, band, goal in product(LOOKS, BANDS, GOALS)
    ]
    market = drawn_market(asked.paths, 12 * asked.years)
    simulate(drawn_market(1, 12), policies[:1], terms(is_taxed=False))  # compiled, or loaded
    with kept("lab", folder) as figures:
        for is_taxed in (False, True):
            began = time.perf_counter()
            found = simulate(market, policies, terms(is_taxed=is_taxed))
            seconds = time.perf_counter() - began
            say(found, market, seconds, figures, "taxed" if is_taxed else "no tax")
            if not is_taxed:
                beside_cvxpy(seconds / found.of("solves").sum(), figures)


def terms(*, is_taxed: bool) -> Terms:
    """An account of a million."""
    spread = np.full(2, HALF_SPREAD_BPS)
    return Terms(1e6, TARGETS, spread, is_taxed=is_taxed, short_term_rate=0.37, long_term_rate=0.2)


def drawn_market(paths: int, months: int) -> Market:
    """Bonds and stocks, lognormal by the month."""
    rng = np.random.default_rng(1)
    growth = np.exp(rng.normal((0.003, 0.006), (0.015, 0.045), (paths, months, 2)))
    ends = [date(2000 + k // 12, k % 12 + 1, 1) - timedelta(days=1) for k in range(12, 13 + months)]
    return Market(ends, ("bonds", "stocks"), growth, np.zeros(2), np.zeros((paths, months)), 12)


def say(found: Measured, market: Market, seconds: float, figures: Figures, kind: str) -> None:
    """One line, and the figures that are kept."""
    solves, steps = found.of("solves").sum(), found.values.shape[0] * market.growth.shape[0] * market.growth.shape[1]
    gap = found.of("gap_sum").sum() / solves
    size = f"{found.values.shape[0]} policies, {market.growth.shape[0]:,} paths, {market.growth.shape[1]} months"
    figures.add(f"study, {kind}", size, seconds)
    figures.add(f"solve, {kind}", size, 1e6 * seconds / solves, "us")
    print(
        f"{kind}: {size}: {seconds:.1f} s, {1e9 * seconds / steps:.0f} ns a step, {solves:,.0f} solves, {solves / seconds:,.0f} a second; "
        f"gap mean {gap:.1e} and at most {found.of('gap_max').max():.2g} bp",
        flush=True,
    )


def beside_cvxpy(ours: float, figures: Figures) -> None:
    """CVXPY's and Clarabel's time for a trade of the same account, as a ratio to ``ours``, seconds."""
    held, trade, cash = cp.Parameter(2), cp.Variable(2), cp.Variable(nonneg=True)
    spread = HALF_SPREAD_BPS * 1e-4
    nav = cp.sum(held)
    tracking = cp.sum_squares(held + trade - TARGETS * 1e6) + cp.square(cash)
    objective = cp.Minimize(2.0 / (2 * 1e6) * tracking + spread * cp.norm1(trade))
    problem = cp.Problem(objective, [cp.sum(held + trade) + cash + spread * cp.norm1(trade) <= nav, held + trade >= 0])
    rng = np.random.default_rng(2)
    spent = 0.0
    for _ in range(REFEREED):
        weight = rng.uniform(0.5, 0.7)
        held.value = 1e6 * np.array([1 - weight, weight])
        began = time.perf_counter()
        problem.solve(solver=cp.CLARABEL)
        spent += time.perf_counter() - began
    figures.add("a trade beside CVXPY", "60/40, no tax", 1e6 * ours, "us", ("CVXPY", 1e6 * spent / REFEREED))
    print(f"CVXPY and Clarabel take {spent / REFEREED / ours:,.0f} times as long for a trade", flush=True)


if __name__ == "__main__":
    main()
