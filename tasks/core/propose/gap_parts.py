"""What lies between the proven bound of an account's trades and their objective: what each rule that the bound knows nothing of costs.

The account, or its household, is solved again with one rule less each time, from its trades down to the bound:

    as it was          whole units, smallest orders, improvement, no more orders than allowed
    any orders         without a limit on their number, nor fewer for their own sake
    any improvement    without the least share of a class's deviation that its orders must remove
    any size           without a smallest order, nor a least that an order must be worth
    any fraction       in millionths of a share: the best trades that the bound allows, to what a search finds

A part of the gap is the difference from one to the next. An answer under more rules is one under fewer too: where a search does worse with
fewer, that answer counts. What is left between the last and the bound is what the proof leaves open; what the trades' own objective adds to
that of the first is what sales of funds (``rules.cash_funds``) or the household's second look (``solve``) cost.

Source: the solver itself, with other bounds. Known limits: the parts depend on the order in which rules are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl

from schemas.landing_columns import CASH
from tasks.core.propose.scenarios import idle_tracking
from tasks.core.propose.solved import GROUP, Solved
from tasks.core.rules import starts, to_arrays
from tasks.core.solver import MILLIONTHS, NO_ORDER_LIMIT, Book, Ints, Limits, rebalance

STAGES: Final = ("order_limit", "improvement", "smallest_order", "whole_units")
"""Parts of the gap in the order in which their rules are left out."""
FUNDS, HOUSEHOLD, PROOF = "funds", "household", "proof"


@dataclass(frozen=True)
class GapParts:
    """What a gap is made of, usd: ``bound_usd + sum of parts = answer_usd``."""

    bound_usd: float
    continuous_usd: float
    """Objective of the best trades in fractions of units: the bound and what the proof leaves open."""
    answer_usd: float
    idle_usd: float
    """Objective of trading nothing, allowed or not."""
    parts: Mapping[str, float]
    """By ``STAGES``, ``FUNDS``, ``HOUSEHOLD`` and ``PROOF``; none is negative."""


def parts_of_gap(solved: Solved) -> GapParts:
    """What the gap of an account, or of a household with all its accounts, is made of, as its night solved it."""
    book, limits, household = _arrays_again(solved)
    first = rebalance(book, limits, household)
    reached, bound = [float(first.objective[0])], float(first.lower_bound[0])
    for stage in STAGES:
        book, limits = _without(stage, book, limits)
        found = float(rebalance(book, limits, household).objective[0])
        reached.append(min(found, reached[-1]))
    row = solved.accounts.row(0, named=True)
    answer, lowest = row["objective_usd"], row["lower_bound_usd"]
    costs = dict(zip(STAGES, (more - less for more, less in pairwise(reached)), strict=True))
    proof = max(reached[-1] - bound, 0.0)
    other = max((answer - lowest) - sum(costs.values()) - proof, 0.0)
    has_funds = solved.lots.filter((pl.col("asset_class") == CASH) & (pl.col("sold") > 0)).height > 0
    is_households = household is not None and not has_funds
    idle = float(idle_tracking(solved)["tracking_usd"][0])
    parts = {**costs, FUNDS: 0.0 if is_households else other, HOUSEHOLD: other if is_households else 0.0, PROOF: proof}
    return GapParts(lowest, lowest + proof, answer, idle, parts)


def _arrays_again(solved: Solved) -> tuple[Book, Limits, Ints | None]:
    """The solver's arrays that the answer is to, and where households begin; null: the account is managed alone."""
    accounts = solved.accounts.sort("account_row")
    classes = solved.classes.sort("class_row")
    lots = solved.lots.filter(pl.col("asset_class") != CASH).sort("class_row", "cost", "security_id", "lot_id")
    book, limits = to_arrays(accounts, classes, lots)
    if accounts["managed_household_id"].null_count():
        return book, limits, None
    row = accounts.select(GROUP.rank("dense")).to_series()
    return book, limits, starts(row.unique().sort(), row)


def _without(stage: str, book: Book, limits: Limits) -> tuple[Book, Limits]:
    """The same problem without the rule of a stage."""
    if stage == "order_limit":
        free = np.full_like(limits.max_orders, NO_ORDER_LIMIT)
        return book, limits._replace(max_orders=free, slack=np.zeros_like(limits.slack))
    if stage == "improvement":
        return book, limits._replace(class_min=np.zeros_like(limits.class_min))
    if stage == "smallest_order":
        nothing = np.zeros_like(book.min_trade)
        return book._replace(min_trade=nothing), limits._replace(useful=np.zeros_like(limits.useful))
    step = 1 / MILLIONTHS
    fine = book._replace(buy_step=np.full_like(book.buy_step, step), lot_step=np.full_like(book.lot_step, step))
    return fine, limits
