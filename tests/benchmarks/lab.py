"""A study of the policy lab: policies on drawn paths of a 60/40 account, with and without tax, every trade solved exactly. `make bench`.

What there is to see: nanoseconds of a policy's step, microseconds of a solve, how far its trades are from their bounds, and memory. Beside it the
same 60/40 without tax: monthly back to the target, a path under a policy, by ``bt`` where it is installed (``pip install bt``), and a trade by CVXPY and Clarabel.
Then daily looks, and a study with ``--policies`` policies, from which the time of 1,000 policies on 10,000 paths is extrapolated in proportion to solves; ``--dask``
puts the paths of that study to two processes as well.
"""

import argparse
import importlib.util
import resource
import time
from collections.abc import Sequence
from dataclasses import replace
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
BY_BT: Final = 10
"""Paths that bt steps through."""
MANY_PATHS: Final = 20
"""Paths of the study of many policies."""


def main(words: Sequence[str] | None = None, folder: Path = HERE) -> None:
    """Print a line for each of the two kinds of account."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--paths", type=int, default=2_000)
    parser.add_argument("--years", type=int, default=30)
    parser.add_argument("--policies", type=int, default=1_000)
    parser.add_argument("--dask", action="store_true")
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
                beside_bt(market, figures)
        daily_looks(figures)
        many_policies(asked.policies, asked.years, figures, is_spread=asked.dask)


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


def say(
    found: Measured, market: Market, seconds: float, figures: Figures, kind: str, *, steps_are: str = "months"
) -> None:
    """One line, and the figures that are kept."""
    solves, steps = found.of("solves").sum(), found.values.shape[0] * market.growth.shape[0] * market.growth.shape[1]
    gap = found.of("gap_sum").sum() / solves
    size = f"{found.values.shape[0]} policies, {market.growth.shape[0]:,} paths, {market.growth.shape[1]} {steps_are}"
    figures.add(f"study, {kind}", size, seconds)
    figures.add(f"solve, {kind}", size, 1e6 * seconds / solves, "us")
    print(
        f"{kind}: {size}: {seconds:.1f} s, {1e9 * seconds / steps:.0f} ns a step, {solves:,.0f} solves, {solves / seconds:,.0f} a second; "
        f"gap mean {gap:.1e} and at most {found.of('gap_max').max():.2g} bp",
        flush=True,
    )


def beside_bt(market: Market, figures: Figures) -> None:
    """``bt``'s time for a path of a policy that goes back to the target every month, as a ratio to ours."""
    monthly = [LabPolicy("monthly", Policy(min_trade_usd=0), 0.0)]
    some = replace(market, growth=market.growth[:200], risk_free=market.risk_free[:200])
    began = time.perf_counter()
    simulate(some, monthly, terms(is_taxed=False))
    ours = (time.perf_counter() - began) / len(some.growth)
    if importlib.util.find_spec("bt") is None:
        print("bt is not installed: no ratio to it")
        return
    import bt  # noqa: PLC0415 - not among the project's packages
    import pandas as pd  # noqa: PLC0415

    spent = 0.0
    for path in range(BY_BT):
        level = np.vstack([np.ones(2), np.cumprod(market.growth[path], axis=0)]) * 100
        prices = pd.DataFrame(level, index=pd.DatetimeIndex(market.dates), columns=["bonds", "stocks"])
        weigh = bt.algos.WeighSpecified(bonds=0.4, stocks=0.6)
        plan = bt.Strategy(f"s{path}", [bt.algos.RunMonthly(), bt.algos.SelectAll(), weigh, bt.algos.Rebalance()])
        test = bt.Backtest(plan, prices, integer_positions=False, progress_bar=False)
        began = time.perf_counter()
        test.run()
        spent += time.perf_counter() - began
    figures.add("a path of a policy beside bt", "60/40, no tax, monthly", 1e6 * ours, "us", ("bt", 1e6 * spent / BY_BT))
    print(
        f"a path of a policy: {1e6 * ours:,.0f} us, {spent / BY_BT / ours:,.0f} times as long by bt {bt.__version__}",
        flush=True,
    )


def daily_looks(figures: Figures) -> None:
    """Policies that look every day, with lots and tax."""
    rng = np.random.default_rng(3)
    days = 252 * 10
    growth = np.exp(rng.normal((0.00015, 0.0003), (0.003, 0.010), (20, days, 2)))
    dates = [date(2000, 1, 3) + timedelta(days=round(365.25 / 252 * k)) for k in range(days + 1)]
    market = Market(dates, ("bonds", "stocks"), growth, np.zeros(2), np.zeros((20, days)), 252)
    policies = [
        LabPolicy("daily", Policy(trade_to=goal, min_trade_usd=0, is_harvesting=harvests), band)
        for band, goal, harvests in product((0.02, 0.05), (0.0, 1.0), (False, True))
    ]
    began = time.perf_counter()
    found = simulate(market, policies, replace(terms(is_taxed=True), alternates=2))
    say(found, market, time.perf_counter() - began, figures, "daily, taxed, half of them harvesting", steps_are="days")


def many_policies(count: int, years: int, figures: Figures, *, is_spread: bool) -> None:
    """So many policies on few paths, and what 10,000 paths of 1,000 would take."""
    bands = np.linspace(0.005, 0.12, -(-count // (len(LOOKS) * len(GOALS))))
    policies = [
        LabPolicy(look, Policy(trade_to=goal, min_trade_usd=0), float(band))
        for band, look, goal in product(bands, LOOKS, GOALS)
    ][:count]
    market = drawn_market(MANY_PATHS, 12 * years)
    began = time.perf_counter()
    found = simulate(market, policies, terms(is_taxed=True))
    seconds = time.perf_counter() - began
    say(found, market, seconds, figures, "many policies, taxed")
    whole = seconds * (1_000 / count) * (10_000 / MANY_PATHS)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"at most {memory:.2f} GiB; 1,000 policies x 10,000 paths would take {whole / 60:,.0f} minutes", flush=True)
    figures.add("1,000 policies x 10,000 paths, extrapolated", f"{years} years, taxed", whole)
    if is_spread:
        spread(market, policies, seconds, figures)


def spread(market: Market, policies: Sequence[LabPolicy], alone: float, figures: Figures) -> None:
    """The same on two processes of Dask, half of the paths each."""
    from distributed import Client, LocalCluster  # noqa: PLC0415 - seconds

    half = len(market.growth) // 2
    parts = [
        replace(market, growth=market.growth[part], risk_free=market.risk_free[part])
        for part in (slice(0, half), slice(half, None))
    ]
    warm = replace(market, growth=market.growth[:1], risk_free=market.risk_free[:1])
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        for one in [client.submit(simulate, warm, list(policies[:1]), terms(is_taxed=True), pure=False) for _ in parts]:
            one.result()
        began = time.perf_counter()
        for one in [client.submit(simulate, part, list(policies), terms(is_taxed=True)) for part in parts]:
            one.result()
        seconds = time.perf_counter() - began
    figures.add("many policies, two processes of Dask", f"{len(policies)} policies", seconds, "s", ("alone", alone))
    print(f"two processes of Dask: {seconds:.1f} s, {alone:.1f} s alone on all processors", flush=True)


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
