"""Solve a problem: every account's best trades, with the losses that they realize set against their gains.

1. All accounts are solved. Where cash owed cannot be raised otherwise, avoided short-term gains are opened.
2. Members of a household may together buy a class past a destination that binds each of them: they are solved again, each with its part
   of what the class wants. The bound stays that of before, which allows more.
3. The losses that an answer realizes are set against its gains: accounts whose gains cost tax, or are held back by a gain
   budget, are solved again with those losses as if realized before; at most ``OFFSET_ROUNDS`` times. An answer is taken where
   it is better at the tax that its gains add to its losses (``realized.counted_tax``), and its net gain keeps the budget.
"""

from dataclasses import replace
from typing import Final

import polars as pl

from schemas.enums import Reason
from tasks.core.facts import CLASS, usd_sum
from tasks.core.propose.realized import losses_by_term
from tasks.core.propose.solved import GROUP, Solved, replace_accounts, solved_frames
from tasks.core.rules import Problem, starts, to_arrays, with_units
from tasks.core.solver import CANNOT_RAISE_CASH, rebalance

OFFSET_ROUNDS: Final = 3
SHARE_TOLERANCE: Final = 1e-9
OFFSET_LEAST_USD: Final = 1.0
"""A smaller change of the losses realized is not worth another round."""


def solve(problem: Problem) -> Solved:
    """Best trades of every account."""
    found = _solve_within_destinations(problem)
    stuck = found.accounts.filter(pl.col("status") == CANNOT_RAISE_CASH)["account_id"]
    is_opened = (pl.col("lock") == Reason.SHORT_TERM_GAIN_AVOIDED) & pl.col("account_id").is_in(stuck.implode())
    opened = problem.lots.filter(is_opened)["account_id"].unique()
    if opened.len():
        lots = problem.lots.with_columns(lock=pl.when(is_opened).then(None).otherwise("lock"))
        problem = replace(problem, lots=lots)
        found = replace_accounts(found, _solve_within_destinations(part_of(problem, opened)))
    return _with_losses_offset(problem, found)


def _with_losses_offset(problem: Problem, found: Solved) -> Solved:
    before = pl.DataFrame(schema={"account_id": pl.String, "short_loss": pl.Float64, "long_loss": pl.Float64})
    for _ in range(OFFSET_ROUNDS):
        losses = losses_by_term(found.lots)
        changed = _worth_another_round(found.accounts, losses, before)
        if changed.is_empty():
            return found
        before = pl.concat([before.join(changed, on="account_id", how="anti"), changed])
        part = part_of(problem, changed["account_id"])
        again = _solve_within_destinations(_with_losses_before(part, before))
        found = replace_accounts(found, again.only(_better(again, found)))
    return found


def _better(again: Solved, found: Solved) -> pl.Series:
    """Accounts (whole households) that ``again`` leaves better off than ``found``, within their gain budgets."""
    former = found.accounts.select("account_id", former="objective_usd")
    both = again.accounts.join(former, on="account_id", maintain_order="left").filter(
        (pl.col("objective_usd") < pl.col("former") - OFFSET_LEAST_USD / 100)
        & pl.col("account_id").is_in(_within_budget(again).implode())
    )
    return both["account_id"]


def _worth_another_round(accounts: pl.DataFrame, losses: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """``account_id, short_loss, long_loss`` of accounts whose gains cost something and whose losses changed since ``before``."""
    is_dear = (pl.col("short_rate_at") > 0) | (pl.col("long_rate_at") > 0) | (pl.col("gain_price") > 0)
    change = (pl.col("short_loss") - pl.col("short_loss_before").fill_null(0.0)).abs() + (
        pl.col("long_loss") - pl.col("long_loss_before").fill_null(0.0)
    ).abs()
    return (
        losses.join(accounts.filter(is_dear).select("account_id"), on="account_id", how="semi")
        .join(before, on="account_id", how="left", suffix="_before")
        .filter(change > OFFSET_LEAST_USD)
        .select("account_id", "short_loss", "long_loss")
        .sort("account_id")
    )


def _with_losses_before(problem: Problem, losses: pl.DataFrame) -> Problem:
    """The problem as if the losses had been realized before; they add room to a gain budget."""
    short, long = pl.col("short_loss").fill_null(0.0), pl.col("long_loss").fill_null(0.0)
    accounts = (
        problem.accounts.join(losses, on="account_id", how="left", maintain_order="left")
        .with_columns(
            short_before_usd=pl.col("short_before_usd") - short,
            long_before_usd=pl.col("long_before_usd") - long,
            gain_cap_usd=pl.col("gain_cap_usd") + short + long,
        )
        .drop("short_loss", "long_loss")
    )
    return _rebuilt(problem, accounts, problem.classes, problem.lots, problem.funds)


def _within_budget(again: Solved) -> pl.Series:
    """Accounts (whole households) whose net gain keeps the budget they had before any loss of the answer was counted."""
    gain = pl.col("sold").cast(pl.Float64) - pl.col("outright").cast(pl.Float64)
    net = again.lots.group_by("account_id").agg(net=usd_sum(gain * pl.col("unit_usd") * pl.col("true_gain")))
    outright = pl.col("short_outright_usd") + pl.col("long_outright_usd")
    room = pl.col("max_realized_gain_usd") - outright
    is_over = (pl.col("net").fill_null(0.0) > room + 1e-6) & (pl.col("net") > 0)
    over = again.accounts.join(net, on="account_id", how="left").filter(is_over.fill_null(value=False))
    groups = over.select(group=GROUP)["group"].unique()
    return again.accounts.filter(~GROUP.is_in(groups.implode()))["account_id"]


def part_of(problem: Problem, account_ids: pl.Series) -> Problem:
    """The problem of some of its accounts; of a household all."""
    groups = problem.accounts.filter(pl.col("account_id").is_in(account_ids.implode())).select(group=GROUP)["group"]
    accounts = problem.accounts.filter(GROUP.is_in(groups.unique().implode()))
    chosen = accounts.select("account_id")
    classes = problem.classes.join(chosen, on="account_id", how="semi", maintain_order="left")
    lots = problem.lots.join(chosen, on="account_id", how="semi", maintain_order="left")
    funds = problem.funds.join(chosen, on="account_id", how="semi", maintain_order="left")
    return _rebuilt(problem, accounts, classes, lots, funds)


def _rebuilt(
    problem: Problem, accounts: pl.DataFrame, classes: pl.DataFrame, lots: pl.DataFrame, funds: pl.DataFrame
) -> Problem:
    start = None
    if problem.household_start is not None:
        row = accounts["managed_household_id"].rank("dense")
        start = starts(row.unique().sort(), row)
    lots = with_units(lots)
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
