"""From frames to the solver's arrays and back: every account's best trades beside the facts they were found from."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from schemas.enums import Reason
from schemas.landing import EXACT
from schemas.tables import USD
from tasks.core.facts import CLASS, usd
from tasks.core.rules import Problem, to_arrays
from tasks.core.solver import CANNOT_RAISE_CASH, Answer, rebalance
from tasks.core.whole_units import WHOLE_LOT


@dataclass(frozen=True)
class Solved:
    """A problem's frames with their answers beside them.

    ``accounts`` gain status, shadow_price, objective_usd, lower_bound_usd, cash_after (float), shortfall_usd; ``classes`` gain
    bought (Decimal), is_buy_dropped, after_usd (float); ``lots`` gain sold (Decimal), is_lot_dropped.
    """

    accounts: pl.DataFrame
    classes: pl.DataFrame
    lots: pl.DataFrame


def solve(problem: Problem) -> Solved:
    """Best trades of every account; where cash owed cannot be raised otherwise, avoided short-term gains are opened."""
    answer = rebalance(problem.book)
    stuck = problem.accounts.filter(pl.Series(answer.status == CANNOT_RAISE_CASH))["account_id"]
    is_avoided = pl.col("lock") == Reason.SHORT_TERM_GAIN_AVOIDED
    opened = is_avoided & pl.col("account_id").is_in(stuck.implode())
    if problem.lots.filter(opened).height:
        lots = problem.lots.with_columns(lock=pl.when(opened).then(None).otherwise("lock"))
        problem = Problem(problem.accounts, problem.classes, lots, to_arrays(problem.accounts, problem.classes, lots))
        answer = rebalance(problem.book)
    return _with_answers(problem, answer)


def _with_answers(problem: Problem, answer: Answer) -> Solved:
    accounts = problem.accounts.with_columns(
        status=pl.Series(answer.status),
        shadow_price=pl.Series(answer.shadow_price),
        objective_usd=pl.Series(answer.objective),
        lower_bound_usd=pl.Series(answer.lower_bound),
        cash_after=pl.Series(answer.cash),
        shortfall_usd=pl.Series(answer.shortfall),
    )
    steps = pl.lit(pl.Series("steps", answer.sold))
    lots = problem.lots.with_columns(
        sold=pl.when(steps == WHOLE_LOT).then("quantity").otherwise(_steps(answer.sold, pl.col("quantity_step"))),
        is_lot_dropped=pl.Series(answer.is_lot_dropped),
    )
    sold = lots.group_by(CLASS).agg(sold_usd=usd(pl.col("sold"), pl.col("price_usd")).sum())
    classes = (
        problem.classes.with_columns(
            bought=_steps(answer.bought, pl.col("buy_step").fill_null(1)),
            is_buy_dropped=pl.Series(answer.is_buy_dropped),
        )
        .join(sold, on=CLASS, how="left", maintain_order="left")
        .with_columns(
            bought_usd=usd(pl.col("bought"), pl.col("buy_price_usd").fill_null(1)),
            sold_usd=pl.col("sold_usd").fill_null(0),
        )
        .with_columns(after_usd=(pl.col("value_usd") + pl.col("bought_usd") - pl.col("sold_usd")).cast(pl.Float64))
    )
    return Solved(accounts, classes, lots)


def _steps(steps: np.ndarray, step: pl.Expr) -> pl.Expr:
    return (pl.lit(pl.Series("steps", steps)).cast(USD) * step.cast(USD)).cast(EXACT)
