"""The best whole-unit trades of many accounts, and how far from the best they can be.

For each account, or managed household, independently of all others (threads of our own release the interpreter lock: Numba's own
parallel loops may not be entered from two threads at once, and take three times as long to compile):

1. The continuous optimum and its bound (``kernel``, ``coupled``, ``optimum``; of a household ``households``).
2. Whole units, cash, limits (``positions``, ``moves``, ``search``).
3. What policy asks of orders: the least order and improvement, their number, and what they must be worth (``order_rules``).
4. Nothing is traded unless that is better than doing nothing, or cash is owed (``groups``).

The certificate: ``gap_bps = 1e4 * (objective - lower_bound) / NAV`` bounds how much better any trades under the same rules could be.
The objective is what was minimised, at the final whole units and cash, tax signed and netted; the bound is a value of the dual, true
at any prices, of a problem that leaves out what policy asks of orders.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Final

import numpy as np

from tasks.core.solver import (
    arrays,
    class_moves,
    compiling,
    coupled,
    groups,
    household_bounds,
    households,
    improve,
    interior,
    kernel,
    mending,
    moves,
    netting,
    optimum,
    order_rules,
    orders,
    positions,
    programs,
    search,
    sides,
    solution,
    wash,
    workspace,
)
from tasks.core.solver.arrays import Book, Ints, Limits, no_limits, require_types
from tasks.core.solver.compiling import borrow, compile_entrance, sources_of
from tasks.core.solver.groups import rebalance_group
from tasks.core.solver.solution import Answer, blank_answer, store
from tasks.core.solver.workspace import Workspace, largest, load, new_workspace

ACCOUNTS_PER_THREAD: Final = 500
"""Least accounts worth a thread."""


def rebalance(book: Book, limits: Limits | None = None, household_start: Ints | None = None) -> Answer:
    """The best whole-unit trades of every account of ``book``, with their certificates.

    Accounts do not influence one another: an account's answer is the same alone and among thousands. With ``household_start``
    (households + 1, where each one's accounts begin) those of a household are solved together: they have the same classes in the
    same order, and on each of them stand the household's NAV and destinations.
    """
    book, limits = require_types(book), require_types(no_limits(book) if limits is None else limits)
    answer = blank_answer(book)
    starts = np.arange(len(book.nav) + 1) if household_start is None else household_start
    starts = np.require(starts, np.int64, ["C", "W"])
    workers = min(len(book.nav) // ACCOUNTS_PER_THREAD + 1, processors())
    edges = np.linspace(0, len(starts) - 1, workers + 1).astype(np.int64)
    size = largest(book, starts)
    with ThreadPoolExecutor(workers) as pool:
        for done in [
            pool.submit(_rebalance_range, book, limits, new_workspace(*size), answer, starts, *edge)
            for edge in pairwise(edges.tolist())
        ]:
            done.result()
    return answer


def processors() -> int:
    """How many threads are worth having."""
    return os.cpu_count() or 1


def warm_up() -> None:
    """Compile the kernel, or load it compiled: some seconds once per installation, which no account should be charged."""
    one, none = np.ones(1), np.zeros(1)
    offsets = np.array([0, 1], np.int64)
    code = np.zeros(1, np.int64)
    lots = (offsets, one, one, one, none, none, one, code)
    rebalance(Book(one, one, one, none, none, offsets, one, one, one, none, none, one, one, *lots))


def _entrance(sources: str) -> Callable[..., None]:
    """The compiled entry point for Python, cached on disk under the name of ``sources``."""

    @compile_entrance
    def rebalance_range(
        book: Book, limits: Limits, work: Workspace, answer: Answer, starts: Ints, first: int, last: int
    ) -> None:
        if sources:
            kept = borrow(work)
            for group in range(first, last):
                load(borrow(book), borrow(limits), kept, starts[group], starts[group + 1])
                rebalance_group(kept, starts[group + 1] - starts[group])
                store(kept, borrow(answer), borrow(book), starts[group], starts[group + 1])

    return rebalance_range


_COMPILED: Final = (
    arrays,
    class_moves,
    compiling,
    workspace,
    kernel,
    positions,
    moves,
    class_moves,
    search,
    improve,
    sides,
    mending,
    netting,
    interior,
    programs,
    coupled,
    optimum,
    orders,
    order_rules,
    household_bounds,
    households,
    groups,
    solution,
    wash,
)


_rebalance_range = _entrance(sources_of(*(module.__name__ for module in _COMPILED), __name__))
