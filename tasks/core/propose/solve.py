"""Solve a problem: every account's best trades.

1. All accounts are solved. Where cash owed cannot be raised otherwise, avoided short-term gains are opened.
2. Members of a household may together buy a class past a destination that binds each of them: they are solved again, each with its part
   of what the class wants. The bound stays that of before, which allows more.
"""

from dataclasses import replace
from typing import Final

import polars as pl

from schemas.enums import Reason
from tasks.core.facts import CLASS
from tasks.core.propose.solved import GROUP, Solved, replace_accounts, solved_frames
from tasks.core.rules import Problem, starts, to_arrays
from tasks.core.solver import CANNOT_RAISE_CASH, rebalance

SHARE_TOLERANCE: Final = 1e-9


def solve(problem: Problem) -> Solved:
    """Best trades of every account."""
    found = _solve_within_destinations(problem)
    stuck = found.accounts.filter(pl.col("status") == CANNOT_RAISE_CASH)["account_id"]
    is_opened = (pl.col("lock") == Reason.SHORT_TERM_GAIN_AVOIDED) & pl.col("account_id").is_in(stuck.implode())
    opened = problem.lots.filter(is_opened)["account_id"].unique()
    if opened.is_empty():
        return found
    lots = problem.lots.with_columns(lock=pl.when(is_opened).then(None).otherwise("lock"))
    problem = replace(problem, lots=lots)
    return replace_accounts(found, _solve_within_destinations(part_of(problem, opened)))


def part_of(problem: Problem, account_ids: pl.Series) -> Problem:
    """The problem of some of its accounts; of a household all."""
    groups = problem.accounts.filter(pl.col("account_id").is_in(account_ids.implode())).select(group=GROUP)["group"]
    accounts = problem.accounts.filter(GROUP.is_in(groups.unique().implode()))
    chosen = accounts.select("account_id")
    classes = problem.classes.join(chosen, on="account_id", how="semi", maintain_order="left")
    lots = problem.lots.join(chosen, on="account_id", how="semi", maintain_order="left")
    funds = problem.funds.join(chosen, on="account_id", how="semi", maintain_order="left")
    start = None
    if problem.household_start is not None:
        row = accounts["managed_household_id"].rank("dense")
        start = starts(row.unique().sort(), row)
    return Problem(accounts, classes, lots, funds, *to_arrays(accounts, classes, lots), household_start=start)


def _solve_within_destinations(problem: Problem) -> Solved:
    """Step 2."""
    found = _solve_once(problem)
    if problem.household_start is None:
        return found
    whole = ("managed_household_id", "asset_class")
    bought = pl.col("bought_usd").cast(pl.Float64)
    groups = problem.accounts.select("account_id", "managed_household_id")
    part = (
        found.classes.filter(pl.col("shared_cap_usd").is_finite() & (pl.col("bought") > 0))
        .join(groups, on="account_id")
        .with_columns(share=pl.col("shared_cap_usd") / bought.sum().over(whole))
        .filter(pl.col("share") < 1 - SHARE_TOLERANCE)
        .select(*CLASS, part_usd=bought * pl.col("share"))
    )
    if part.is_empty():
        return found
    classes = (
        problem.classes.join(part, on=CLASS, how="left", maintain_order="left")
        .with_columns(buy_cap_usd=pl.coalesce("part_usd", "buy_cap_usd"))
        .drop("part_usd")
    )
    again = part_of(replace(problem, classes=classes), part["account_id"].unique())
    answer = _solve_once(again)
    bounds = found.accounts.select("account_id", wider_usd="lower_bound_usd")
    accounts = answer.accounts.join(bounds, on="account_id", how="left", maintain_order="left")
    lower = pl.min_horizontal("lower_bound_usd", "wider_usd").alias("lower_bound_usd")
    return replace_accounts(found, replace(answer, accounts=accounts.with_columns(lower).drop("wider_usd")))


def _solve_once(problem: Problem) -> Solved:
    return solved_frames(problem, rebalance(problem.book, problem.limits, problem.household_start))
