"""The solver's answers in frames: every account's best trades beside the facts they were found from.

What is sold outright is added to what the solver sells. An account that cannot raise the cash it owes trades nothing.
Objective and bound are at the tax that the gains add to the losses (``realized.counted_tax``), and with the cost of what is
sold outright.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from schemas.enums import Reason
from schemas.landing import EXACT
from schemas.tables import USD
from tasks.core.facts import CLASS, usd, usd_sum
from tasks.core.propose.realized import counted_tax
from tasks.core.rules import Problem
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
)

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

    def only(self, account_ids: pl.Series) -> "Solved":
        """The rows of some accounts."""
        is_kept = pl.col("account_id").is_in(account_ids.implode())
        return Solved(self.accounts.filter(is_kept), self.classes.filter(is_kept), self.lots.filter(is_kept))


def solved_frames(problem: Problem, answer: Answer) -> Solved:
    """The problem's frames with the solver's answers."""
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


def _in_words(codes: np.ndarray) -> pl.Expr:
    return pl.lit(pl.Series(codes).replace_strict(DROPPED, default=None, return_dtype=pl.String))


def _steps(steps: np.ndarray, step: pl.Expr) -> pl.Expr:
    return (pl.lit(pl.Series("steps", steps)).cast(USD) * step.cast(USD)).cast(EXACT)
