"""Accounts per second of the solver kernel, beside CVXPY with Clarabel in the same run. `make bench`."""

import resource
import time

import cvxpy as cp
import numpy as np

from tasks.core.arrays import Book
from tasks.core.solver import rebalance, warm_up
from tests.core.books import referee, take

SIZES = (10_000, 100_000, 1_000_000)
CLASSES, LOTS = 8, 20
REFEREED = 40


def book_of(accounts: int, seed: int = 1) -> Book:
    """Accounts of 8 classes and 20 lots, whole shares, taxes of either sign."""
    rng = np.random.default_rng(seed)
    lots_of = np.array([3, 3, 3, 3, 2, 2, 2, 2])
    price = np.round(rng.uniform(10, 300, (accounts, CLASSES)), 2)
    lot_price = np.repeat(price.ravel(), np.tile(lots_of, accounts))
    quantity = np.round(rng.uniform(5, 200, accounts * LOTS))
    spread = np.full(accounts * LOTS, 0.0003)
    starts = np.concatenate([[0], np.cumsum(np.tile(lots_of, accounts))]).astype(np.int64)
    tax = np.maximum(rng.uniform(-0.02, 0.15, accounts * LOTS), -0.0006)
    group = np.repeat(np.arange(accounts * CLASSES), np.tile(lots_of, accounts))
    tax = tax[np.lexsort((tax, group))]
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
        buy_cost=np.full(accounts * CLASSES, 0.0003),
        buy_spread=np.full(accounts * CLASSES, 0.0003),
        buy_price=price.ravel(),
        buy_step=np.ones(accounts * CLASSES),
        lot_start=starts,
        lot_quantity=quantity,
        lot_price=lot_price,
        lot_step=np.ones(accounts * LOTS),
        lot_spread=spread,
        lot_cost=spread + tax,
        lot_cap=quantity * lot_price,
        lot_security=group,
    )


def main() -> None:
    """Print one line a size, and the ratio to Clarabel per account."""
    began = time.perf_counter()
    warm_up()
    print(f"compiled or loaded in {time.perf_counter() - began:.2f} s")
    small = book_of(REFEREED)
    referee(take(small, 0))
    began = time.perf_counter()
    worst = 0.0
    answer = rebalance(small)
    for account in range(REFEREED):
        wanted = referee(take(small, account))
        assert wanted is not None
        worst = max(worst, abs(wanted - answer.optimum[account]) / small.nav[account])
    clarabel = (time.perf_counter() - began) / REFEREED
    print(
        f"Clarabel through CVXPY {cp.__version__}: {1e3 * clarabel:.2f} ms an account; largest difference {worst:.1e} of NAV"
    )
    for size in SIZES:
        book = book_of(size)
        began = time.perf_counter()
        answer = rebalance(book)
        seconds = time.perf_counter() - began
        gap = 1e4 * (answer.objective - answer.lower_bound) / book.nav
        print(
            f"{size:>9,} accounts: {seconds:6.2f} s, {size / seconds:>10,.0f} accounts/s, {clarabel / (seconds / size):>8,.0f} x "
            f"Clarabel, gap median {np.median(gap):.4f} p99 {np.percentile(gap, 99):.3f} max {gap.max():.2f} bp, "
            f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB"
        )


if __name__ == "__main__":
    main()
