"""Households per second: accounts managed together, beside the same accounts each alone and Clarabel. `make bench`."""

import time
from itertools import pairwise

import numpy as np

from tasks.core.solver.arrays import Book, Ints, Limits
from tasks.core.solver.entry import rebalance, warm_up
from tests.benchmarks.kernel import CLASSES, book_of
from tests.benchmarks.results import Figures, kept
from tests.support.books import pick, random_limits
from tests.support.referees import clarabel_optimum

SIZES = ((2, 5_000), (4, 2_500), (10, 1_000))
"""Members, households."""
REFEREED = 20


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
    return *random_limits(np.random.default_rng(4), book, taxed=0.25), starts


def main() -> None:
    """Print one line a size."""
    warm_up()
    with kept("households") as figures:
        measure(figures)


def measure(figures: Figures) -> None:
    """Size by size."""
    for members, households in SIZES:
        book, limits, starts = households_of(members, households)
        began = time.perf_counter()
        answer = rebalance(book, limits, starts)
        seconds = time.perf_counter() - began
        began = time.perf_counter()
        rebalance(book, limits)
        alone = time.perf_counter() - began
        began, off = time.perf_counter(), []
        for number, (first, last) in enumerate(pairwise(starts)):
            out = answer.shortfall[first:last] > 0
            if number == REFEREED:
                break
            wanted = clarabel_optimum(*pick(book, limits, np.arange(first, last)), out)
            assert wanted is not None
            off.append(abs(answer.optimum[first] - wanted) / book.nav[first])
        clarabel = (time.perf_counter() - began) / REFEREED
        figures.add(
            f"households of {members}", f"{households:,} households", seconds, beside=("each account alone", alone)
        )
        gap = 1e4 * ((answer.objective - answer.lower_bound) / book.nav)[starts[:-1]]
        print(
            f"{households:>6,} households of {members:>2}: {seconds:6.2f} s, {households / seconds:>8,.0f} households/s, "
            f"{members * households / seconds:>8,.0f} accounts/s ({seconds / alone:.1f} times as long as each account alone), "
            f"{clarabel / (seconds / households):>6,.0f} x Clarabel's own interface, "
            f"largest difference {max(off):.0e} of NAV, gap median {np.median(gap):.3f} p99 {np.percentile(gap, 99):.2f} bp"
        )


if __name__ == "__main__":
    main()
