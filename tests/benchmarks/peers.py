"""Trades of accounts beside those of packages that people use for it, on the same accounts in one run: time, and what their trades cost more than must be. `make bench`.

An account of 8 securities with some lots each, gains and losses at fixed rates, half spreads, and a target of each; what is minimised is
``tasks.core.solver.kernel``'s. Each package solves the problem that it knows, and all answers are judged by ours:

* **trimtab**: lots, whole shares, spreads, tax.
* **taxrebalance**: lots and tax, in fractions of shares, with its covariance set so that its risk is our tracking.
* **PyPortfolioOpt**: whole shares that come near the targets, greedily or by its integer program; it knows no lots, tax or spread. What it
  holds less of is sold cheapest lot first.

``over the bound``: the median of what an answer costs more than our certified lower bound, in basis points of NAV. No answer within the
rules may be below it; an answer that spends more cash than there is is left out and counted.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pypfopt import DiscreteAllocation

from tasks.core.solver import entry as solver
from tasks.core.solver.arrays import Book
from tests.benchmarks.kernel import CLASSES, HALF_SPREAD, book_of
from tests.benchmarks.results import HERE, Figures, kept
from tests.support.books import take

RATE: Final = 0.5
"""At which a gain is taxed; how large the gain is says what a lot costs."""
Dollars = NDArray[np.float64]
Trades = tuple[Dollars, Dollars]
"""USD sold of each lot, USD bought of each class."""
NAMES: Final = tuple(f"S{number}" for number in range(CLASSES))
BELOW: Final = 1e-9
"""Of NAV: what an answer may be below a bound."""
OVERDRAFT: Final = 1e-6
"""Of NAV: what a package's own tolerance may overdraw by."""


def main(words: Sequence[str] | None = None, folder: Path = HERE) -> None:
    """Print a line each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=40)
    count = parser.parse_args(words).accounts
    book = book_of(count, seed=3)
    invested = book.class_target.reshape(count, CLASSES)
    targets = invested * (book.nav / invested.sum(axis=1))[:, None]
    nothing = np.zeros(count)
    book = book._replace(
        cash=np.maximum(book.cash, 0.0), cash_target=nothing, min_trade=nothing, class_target=targets.ravel()
    )
    answer = solver.rebalance(book)
    began = time.perf_counter()
    answer = solver.rebalance(book)
    ours = (time.perf_counter() - began) / count
    bound = answer.lower_bound / book.nav
    with kept("peers", folder) as figures:
        over = 1e4 * (answer.objective / book.nav - bound)
        tell(figures, "trimtab", ours, over)
        ways = {"PyPortfolioOpt, greedy": by_greedy, "PyPortfolioOpt, integer": by_integer}
        if find_spec("taxrebalance"):
            ways["taxrebalance"] = by_taxrebalance
        else:
            print("taxrebalance is not installed; `make bench` does it")
        for name, way in ways.items():
            seconds, costs = judged(book, bound, way)
            tell(figures, name, seconds, costs, ours)


def tell(figures: Figures, name: str, seconds: float, over: Dollars, ours: float | None = None) -> None:
    """A line, and the figures of it."""
    left_out, size = int(np.isnan(over).sum()), f"{len(over):,} accounts"
    middle = float(np.nanmedian(over)) if left_out < len(over) else float("nan")
    figures.add(f"{name}, an account", size, 1e6 * seconds, "us", None if ours is None else ("trimtab", 1e6 * ours))
    figures.add(f"{name}, over the bound", size, middle, "bp")
    print(
        f"{name:<26}{1e6 * seconds:>12,.0f} us an account, {middle:>9.3f} bp over the bound, {left_out} of {len(over)} overdraw"
    )


def judged(book: Book, bound: Dollars, way: Callable[[Book], Trades]) -> tuple[float, Dollars]:
    """Seconds an account, and what each answer costs over its bound, bp of NAV; NaN: it overdraws.

    Raises
    ------
    SystemExit
        An answer within the rules is below a bound: the certificate is false.
    """
    costs, seconds = [], 0.0
    for number in range(len(book.nav)):
        one = take(book, number)
        began = time.perf_counter()
        sold, bought = way(one)
        seconds += time.perf_counter() - began
        cash, objective = worth(one, sold, bought)
        over = objective / float(one.nav[0]) - bound[number]
        if cash >= 0 and over < -BELOW:
            raise SystemExit(
                f"{way.__name__} finds an answer below the bound of account {number} by {-over:.2e} of NAV"
            )
        costs.append(1e4 * over if cash >= -OVERDRAFT * float(one.nav[0]) else np.nan)
    return seconds / len(book.nav), np.array(costs)


def worth(one: Book, sold: Dollars, bought: Dollars) -> tuple[float, float]:
    """Cash after the trades and their objective, USD, of a one-account book; spreads are paid from cash, as they are."""
    nav, owner = float(one.nav[0]), np.repeat(np.arange(CLASSES), np.diff(one.lot_start))
    after = one.class_value - np.bincount(owner, sold, CLASSES) + bought
    cash = float(one.cash[0] + sold.sum() - bought.sum() - one.lot_spread @ sold - one.buy_spread @ bought)
    off = np.append(after - one.class_target, cash - float(one.cash_target[0]))
    track = 0.5 * float(one.tracking_penalty[0]) * float(off @ off) / nav
    return cash, track + float(one.lot_cost @ sold + one.buy_cost @ bought)


def by_taxrebalance(one: Book) -> Trades:
    """Its lots have one rate each and a gain that makes tax of what a dollar sold costs beyond the half spread; a loss is used whole."""
    from tax_rebalancing.models import TaxLot  # noqa: PLC0415 - `make bench` installs it beside the rest
    from taxrebalance import Portfolio, RebalanceConfig, UnitedStatesLots, rebalance  # noqa: PLC0415 - as above

    owner = np.repeat(np.arange(CLASSES), np.diff(one.lot_start))
    fee = one.lot_cost - one.lot_spread
    basis = one.lot_price * (1 - fee / RATE)
    lots = [
        TaxLot(str(lot), NAMES[owner[lot]], float(one.lot_quantity[lot]), float(basis[lot]), 1)
        for lot in range(len(fee))
    ]
    invested = one.class_target / one.class_target.sum()
    found = rebalance(
        Portfolio.from_tax_lots(
            lots, prices=dict(zip(NAMES, one.buy_price.tolist(), strict=True)), cash=float(one.cash[0])
        ),
        target_weights=dict(zip(NAMES, invested.tolist(), strict=True)),
        covariance=np.eye(CLASSES).tolist(),
        tax_policy=UnitedStatesLots(short_term_rate=RATE, long_term_rate=RATE),
        config=RebalanceConfig(
            max_tracking_error=0.99,
            trading_cost_bps=1e4 * HALF_SPREAD,
            loss_utilization=1.0,
            future_recapture_fraction=0.0,
            risk_aversion=0.5 * float(one.tracking_penalty[0]),
        ),
    )
    sold, bought = np.zeros(len(fee)), np.zeros(CLASSES)
    for trade in found.trades:
        if trade["side"] == "BUY":
            number = NAMES.index(trade["ticker"])
            bought[number] += trade["shares"] * one.buy_price[number]
        else:
            sold[int(trade["lot_id"])] += trade["shares"] * one.lot_price[int(trade["lot_id"])]
    return sold, bought


def by_greedy(one: Book) -> Trades:
    """Whole shares one after the other, by what is missed most."""
    return allocated(one, lambda given: given.greedy_portfolio())


def by_integer(one: Book) -> Trades:
    """Whole shares by its integer program."""
    return allocated(one, lambda given: given.lp_portfolio(solver="HIGHS"))


def allocated(one: Book, ask: Callable[[DiscreteAllocation], tuple[dict[str, int], float]]) -> Trades:
    """Trades to the shares that it says; what spreads may take is left out of what it may spend."""
    nav = float(one.nav[0])
    spend = (nav - float(one.cash_target[0])) * (1 - 2 * HALF_SPREAD)
    weights = dict(zip(NAMES, (one.class_target / one.class_target.sum()).tolist(), strict=True))
    wanted = DiscreteAllocation(weights, pd.Series(one.buy_price, NAMES), total_portfolio_value=spend)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of CVXPY, about the program that the package writes
        shares, _ = ask(wanted)
    after = np.array([shares.get(name, 0) for name in NAMES]) * one.buy_price
    sold, bought = np.zeros(len(one.lot_cap)), np.maximum(after - one.class_value, 0.0)
    left = np.maximum(one.class_value - after, 0.0)
    for number in range(CLASSES):
        for lot in range(one.lot_start[number], one.lot_start[number + 1]):
            sold[lot] = min(left[number], float(one.lot_cap[lot]))
            left[number] -= sold[lot]
    return sold, bought


if __name__ == "__main__":
    main()
