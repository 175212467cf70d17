"""Households per second: accounts managed together, beside the same accounts each alone and Clarabel. `make bench`.

Small ones are compared with Clarabel, whose time doubles with each account that is taxed; of large ones the gap between the trades and
their bound is what there is to see. The last is a wide one: hundreds of accounts and of classes, with few lots.
"""

import argparse
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from tasks.core.solver.arrays import Book, Ints, Limits
from tasks.core.solver.entry import rebalance, warm_up
from tasks.core.solver.solution import Answer
from tests.benchmarks.kernel import CLASSES, HALF_SPREAD, USEFUL, book_of
from tests.benchmarks.results import HERE, Figures, kept
from tests.support.books import household_room, pick, random_limits
from tests.support.referees import clarabel_optimum

SIZES = ((2, 5_000), (4, 2_500), (10, 1_000), (50, 100), (200, 25))
"""Members, households."""
WIDE = (300, 431, 959)
"""Members, classes, lots of all of them."""
REFEREED, MOST_REFEREED = 20, 10
"""Households that Clarabel solves, and the most members of them."""


def households_of(members: int, households: int) -> tuple[Book, Limits, Ints]:
    """Households of ``members`` accounts of 8 classes and 20 lots, one in four taxed, with netting, budgets and limits on some."""
    book = book_of(members * households)
    starts = np.arange(0, members * households + 1, members)
    nav = np.add.reduceat(book.nav, starts[:-1])
    weights = np.random.default_rng(3).dirichlet(np.full(CLASSES + 1, 8.0), households)
    book = book._replace(
        nav=np.repeat(nav, members),
        cash_target=np.repeat(0.2 * nav * weights[:, -1], members),
        class_target=np.repeat(nav[:, None] * weights[:, :-1], members, axis=0).ravel(),
    )
    return with_limits(book, starts)


def with_limits(book: Book, starts: Ints) -> tuple[Book, Limits, Ints]:
    """Netting, budgets and limits on some accounts, one in four taxed; no sale for the tax alone, and no order worth next to nothing."""
    rng = np.random.default_rng(4)
    book, limits = random_limits(rng, book, taxed=0.25)
    room = household_room(rng, book, starts)
    return book, limits._replace(loss_room=room, useful=USEFUL * book.nav), starts


def wide_household(members: int, classes: int, lots: int) -> tuple[Book, Limits, Ints]:
    """One household with many classes, whose lots lie here and there in its accounts."""
    rng = np.random.default_rng(5)
    count = members * classes
    row = np.sort(rng.integers(0, count, lots))
    price = np.round(rng.uniform(10, 300, classes), 2)
    lot_price, quantity = price[row % classes], np.round(rng.uniform(5, 200, lots))
    value = np.bincount(row, quantity * lot_price, count).astype(np.float64)
    cash = np.round(rng.uniform(0, 0.05, members) * value.sum() / members, 2)
    nav = value.sum() + cash.sum()
    weights = rng.dirichlet(np.full(classes + 1, 2.0))
    spread = np.full(lots, HALF_SPREAD)
    book = Book(
        nav=np.full(members, nav),
        tracking_penalty=np.full(members, 2.0),
        cash=cash,
        cash_target=np.full(members, nav * weights[-1]),
        min_trade=np.full(members, 100.0),
        class_start=np.arange(0, count + 1, classes, dtype=np.int64),
        class_value=value,
        class_target=np.tile(nav * weights[:-1], members),
        buy_cap=np.full(count, np.inf),
        buy_cost=np.full(count, HALF_SPREAD),
        buy_spread=np.full(count, HALF_SPREAD),
        buy_price=np.tile(price, members),
        buy_step=np.ones(count),
        lot_start=np.searchsorted(row, np.arange(count + 1)).astype(np.int64),
        lot_quantity=quantity,
        lot_price=lot_price,
        lot_step=np.ones(lots),
        lot_spread=spread,
        lot_cost=spread,
        lot_cap=quantity * lot_price,
        lot_security=row % classes,
    )
    return with_limits(book, np.array([0, members]))


def main(words: Sequence[str] | None = None, folder: Path = HERE) -> None:
    """Print one line a size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", type=float, default=1.0, help="part of the households of each size, one at least")
    parser.add_argument("--members", type=int, default=SIZES[-1][0], help="most members of a household")
    parser.add_argument("--wide", type=int, default=WIDE[0], help="accounts of the wide household; 0: without it")
    asked = parser.parse_args(words)
    warm_up()
    with kept("households", folder) as figures:
        for members, households in (size for size in SIZES if size[0] <= asked.members):
            measure(members, max(int(asked.part * households), 1), figures)
        if asked.wide:
            measure_wide(asked.wide, figures)


def measure(members: int, households: int, figures: Figures) -> None:
    """One size."""
    book, limits, starts = households_of(members, households)
    began = time.perf_counter()
    answer = rebalance(book, limits, starts)
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    rebalance(book, limits)
    alone = time.perf_counter() - began
    figures.add(f"households of {members}", f"{households:,} households", seconds, beside=("each account alone", alone))
    print(
        f"{households:>6,} households of {members:>3}: {seconds:6.2f} s, {households / seconds:>8,.1f} households/s, "
        f"{members * households / seconds:>8,.0f} accounts/s ({seconds / alone:.1f} times as long as each account alone), {gaps(book, answer, starts)}",
        flush=True,
    )
    if members <= MOST_REFEREED:
        beside_clarabel(book, limits, answer, starts, seconds / households)


def gaps(book: Book, answer: Answer, starts: Ints) -> str:
    """How far the households' trades are from their bounds."""
    gap = 1e4 * ((answer.objective - answer.lower_bound) / book.nav)[starts[:-1]]
    return f"gap median {np.median(gap):.3f} p99 {np.percentile(gap, 99):.2f} bp"


def beside_clarabel(book: Book, limits: Limits, answer: Answer, starts: Ints, ours: float) -> None:
    """Print Clarabel's time beside ``ours``, seconds a household, and how far below its optimum our bounds are."""
    below = []
    began = time.perf_counter()
    for first, last in list(pairwise(starts.tolist()))[:REFEREED]:
        out = answer.shortfall[first:last] > 0
        wanted = clarabel_optimum(*pick(book, limits, np.arange(first, last)), out)
        assert wanted is not None
        below.append((wanted - answer.lower_bound[first]) / book.nav[first])
    clarabel = (time.perf_counter() - began) / len(below)
    print(
        f"       Clarabel's own interface takes {clarabel / ours:,.0f} times as long; "
        f"our bound is below its optimum by {np.median(below):.0e} of NAV (median), {max(below):.0e} at most, {min(below):.0e} at least",
        flush=True,
    )


def measure_wide(members: int, figures: Figures) -> None:
    """The wide household."""
    _, classes, lots = WIDE
    book, limits, starts = wide_household(members, classes, lots * members // WIDE[0])
    began = time.perf_counter()
    answer = rebalance(book, limits, starts)
    seconds = time.perf_counter() - began
    figures.add("a wide household", f"{members} accounts, {classes} classes", seconds)
    print(
        f"a household of {members} accounts, {classes} classes, {len(book.lot_cap)} lots: {seconds:.1f} s, {gaps(book, answer, starts)}"
    )


if __name__ == "__main__":
    main()
