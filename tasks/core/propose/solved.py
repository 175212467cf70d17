"""From frames to the solver's arrays and back: every account's best trades beside the facts they were found from.

1. All accounts are solved. Where cash owed cannot be raised otherwise, avoided short-term gains are opened.
2. The losses that an answer realizes are set against its gains: accounts whose gains cost tax, or are held back by a gain
   budget, are solved again with those losses as if realized before; at most ``OFFSET_ROUNDS`` times. An answer is taken where
   it is better at the tax that its gains add to its losses (``realized.counted_tax``), and its net gain keeps the budget.

What is sold outright is added to what the solver sells. An account that cannot raise the cash it owes trades nothing.
Objective and bound are at that tax, and with the cost of what is sold outright.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from schemas.enums import Reason
from schemas.landing import EXACT
from schemas.tables import USD
from tasks.core.facts import CLASS, usd, usd_sum
from tasks.core.propose.realized import counted_tax, losses_by_term
from tasks.core.rules import Problem, starts, to_arrays
from tasks.core.solver import (
    BELOW_IMPROVEMENT,
    BELOW_MINIMUM,
    CANNOT_RAISE_CASH,
    FEWER_TRADES,
    ORDER_LIMIT,
    STAYS,
    TRADED,
    WHOLE_LOT,
    Answer,
    rebalance,
)

OFFSET_ROUNDS: Final = 3
OFFSET_LEAST_USD: Final = 1.0
"""A smaller change of the losses realized is not worth another round."""
DROPPED: Final = {
    BELOW_MINIMUM: Reason.BELOW_MINIMUM,
    BELOW_IMPROVEMENT: Reason.BELOW_IMPROVEMENT,
    ORDER_LIMIT: Reason.ORDER_LIMIT_REACHED,
    FEWER_TRADES: Reason.FEWER_TRADES,
}
"""Why an order was dropped, as the solver says it and in words."""
GROUP: Final = pl.coalesce("managed_household_id", "account_id")
"""Accounts solved together."""


@dataclass(frozen=True)
class Solved:
    """A problem's frames with their answers beside them.

    ``accounts`` gain status, shadow_price, objective_usd, lower_bound_usd, cash_after (float), shortfall_usd, short_rate_at,
    long_rate_at (what one more dollar of gain costs), gain_price, turnover_price; ``classes`` gain bought (Decimal),
    buy_dropped (a reason), after_usd (float), and governed_value_usd, governed_after_usd: the account's own, or its
    household's where it is managed with others; ``lots`` gain sold (Decimal, with what is sold outright), lot_dropped,
    cost_at (cost per dollar at those rates).
    """

    accounts: pl.DataFrame
    classes: pl.DataFrame
    lots: pl.DataFrame


def solve(problem: Problem) -> Solved:
    """Best trades of every account."""
    found = _solve_problem(problem)
    stuck = found.accounts.filter(pl.col("status") == CANNOT_RAISE_CASH)["account_id"]
    is_opened = (pl.col("lock") == Reason.SHORT_TERM_GAIN_AVOIDED) & pl.col("account_id").is_in(stuck.implode())
    opened = problem.lots.filter(is_opened)["account_id"].unique()
    if opened.len():
        lots = problem.lots.with_columns(lock=pl.when(is_opened).then(None).otherwise("lock"))
        problem = replace(problem, lots=lots)
        found = replace_accounts(found, _solve_problem(part_of(problem, opened)))
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
        again = _solve_problem(_with_losses_before(part, before))
        found = replace_accounts(found, _only(again, _better(again, found)))
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
    return _rebuilt(problem, accounts, problem.classes, problem.lots)


def _within_budget(again: Solved) -> pl.Series:
    """Accounts (whole households) whose net gain keeps the budget they had before any loss of the answer was counted."""
    gain = pl.col("sold").cast(pl.Float64) - pl.col("outright").cast(pl.Float64)
    net = again.lots.group_by("account_id").agg(
        net=usd_sum(gain * pl.col("price_usd").cast(pl.Float64) * pl.col("true_gain"))
    )
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
    return _rebuilt(problem, accounts, classes, lots)


def _rebuilt(problem: Problem, accounts: pl.DataFrame, classes: pl.DataFrame, lots: pl.DataFrame) -> Problem:
    start = None
    if problem.household_start is not None:
        row = accounts["managed_household_id"].rank("dense")
        start = starts(row.unique().sort(), row)
    return Problem(accounts, classes, lots, *to_arrays(accounts, classes, lots), household_start=start)


def _only(solved: Solved, account_ids: pl.Series) -> Solved:
    is_kept = pl.col("account_id").is_in(account_ids.implode())
    return Solved(solved.accounts.filter(is_kept), solved.classes.filter(is_kept), solved.lots.filter(is_kept))


def replace_accounts(found: Solved, again: Solved) -> Solved:
    """``found`` with the accounts of ``again`` in the place of their former answers; rows sorted as they were."""
    if again.accounts.is_empty():
        return found
    newer = again.accounts.select("account_id")

    def put(old: pl.DataFrame, new: pl.DataFrame, *order: str) -> pl.DataFrame:
        rest = old.join(newer, on="account_id", how="anti")
        return pl.concat([rest, new.select(rest.columns)]).sort(order)

    return Solved(
        put(found.accounts, again.accounts, "account_row"),
        put(found.classes, again.classes, "class_row"),
        put(found.lots, again.lots, "class_row", "cost", "security_id", "lot_id"),
    )


def _solve_problem(problem: Problem) -> Solved:
    """The problem's frames with the solver's answers."""
    answer = rebalance(problem.book, problem.limits, problem.household_start)
    lots = _with_sold(problem, answer)
    accounts = _with_certificates(problem, answer, lots)
    lots = lots.join(accounts.select("account_id", "short_rate_at", "long_rate_at"), on="account_id", how="left")
    rate_at = pl.when("is_short").then("short_rate_at").otherwise("long_rate_at")
    lots = lots.with_columns(cost_at=pl.col("cost") + (rate_at - pl.col("tax_rate")) * pl.col("gain")).drop(
        "short_rate_at", "long_rate_at"
    )
    return Solved(_with_counted_tax(accounts, lots), _with_bought(problem, answer, lots), lots)


def _with_counted_tax(accounts: pl.DataFrame, lots: pl.DataFrame) -> pl.DataFrame:
    """Objective and bound with ``realized.counted_tax`` in the place of the tax that the solver reckoned with, and outright costs."""
    outright = usd(pl.col("outright"), pl.col("price_usd")).cast(pl.Float64) * pl.col("spread")
    costs = lots.filter((pl.col("sold") > 0) & (pl.col("outright") > 0)).group_by("account_id", maintain_order=True)
    more = pl.col("counted_tax_usd") - pl.col("reckoned_tax_usd") + pl.col("outright_cost").fill_null(0.0)
    return (
        accounts.join(counted_tax(accounts, lots), on="account_id", how="left", maintain_order="left")
        .join(costs.agg(outright_cost=usd_sum(outright)), on="account_id", how="left", maintain_order="left")
        .with_columns(more=usd_sum(more).over(GROUP))
        .with_columns(pl.col("objective_usd", "lower_bound_usd") + pl.col("more"))
        .drop("counted_tax_usd", "reckoned_tax_usd", "outright_cost", "more")
    )


def _with_sold(problem: Problem, answer: Answer) -> pl.DataFrame:
    stuck = problem.accounts.select("account_id").filter(pl.Series(answer.status == CANNOT_RAISE_CASH))
    steps = pl.lit(pl.Series("steps", answer.sold))
    solved = pl.when(steps == WHOLE_LOT).then("start_quantity").otherwise(_steps(answer.sold, pl.col("quantity_step")))
    is_stuck = pl.col("account_id").is_in(stuck["account_id"].implode())
    return problem.lots.with_columns(
        sold=pl.when(is_stuck).then(pl.lit(0).cast(EXACT)).otherwise((pl.col("outright") + solved).cast(EXACT)),
        lot_dropped=_in_words(answer.lot_dropped),
    )


def _with_certificates(problem: Problem, answer: Answer, lots: pl.DataFrame) -> pl.DataFrame:
    outright = lots.filter((pl.col("outright") > 0) & (pl.col("sold") > 0))["account_id"].unique()
    is_outright = pl.col("account_id").is_in(outright.implode())
    return problem.accounts.with_columns(
        status=pl.Series(answer.status),
        shadow_price=pl.Series(answer.shadow_price),
        objective_usd=pl.Series(answer.objective),
        lower_bound_usd=pl.Series(answer.lower_bound),
        cash_after=pl.Series(answer.cash),
        shortfall_usd=pl.Series(answer.shortfall),
        short_rate_at=pl.Series(answer.short_rate),
        long_rate_at=pl.Series(answer.long_rate),
        gain_price=pl.Series(answer.gain_price),
        turnover_price=pl.Series(answer.turnover_price),
    ).with_columns(
        status=pl.when(is_outright & (pl.col("status") == STAYS)).then(TRADED).otherwise("status").cast(pl.Int8)
    )


def _with_bought(problem: Problem, answer: Answer, lots: pl.DataFrame) -> pl.DataFrame:
    bought = _steps(answer.bought, pl.col("buy_step").fill_null(1))
    classes = problem.classes.with_columns(bought=bought, buy_dropped=_in_words(answer.buy_dropped))
    return with_values_after(classes, problem.accounts, lots)


def with_values_after(classes: pl.DataFrame, accounts: pl.DataFrame, lots: pl.DataFrame) -> pl.DataFrame:
    """Classes with what is ``bought`` of them, beside the value of it, of what is sold, and of what is there afterwards."""
    sold = lots.group_by(CLASS).agg(sold_usd=usd(pl.col("sold"), pl.col("price_usd")).sum())
    group = accounts.select("account_id", group=GROUP)
    own = pl.col("value_usd").cast(pl.Float64)
    key = ("group", "asset_class")
    return (
        classes.join(sold, on=CLASS, how="left", maintain_order="left")
        .join(group, on="account_id", how="left", maintain_order="left")
        .with_columns(
            bought_usd=usd(pl.col("bought"), pl.col("buy_price_usd").fill_null(1)),
            sold_usd=pl.col("sold_usd").fill_null(0),
        )
        .with_columns(after_usd=(pl.col("value_usd") + pl.col("bought_usd") - pl.col("sold_usd")).cast(pl.Float64))
        .with_columns(
            governed_value_usd=usd_sum(own).over(key), governed_after_usd=usd_sum(pl.col("after_usd")).over(key)
        )
        .drop("group")
    )


def _in_words(codes: np.ndarray) -> pl.Expr:
    return pl.lit(pl.Series(codes).replace_strict(DROPPED, default=None, return_dtype=pl.String))


def _steps(steps: np.ndarray, step: pl.Expr) -> pl.Expr:
    return (pl.lit(pl.Series("steps", steps)).cast(USD) * step.cast(USD)).cast(EXACT)
