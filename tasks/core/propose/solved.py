"""The solver's answers in frames: every account's best trades beside the facts they were found from.

What is sold outright is added to what the solver sells, and what the account's own cash then lacks is sold of its funds. An account
that cannot raise the cash it owes trades nothing.

Objective and bound count what outright sales cost and add to tax. What the sale of funds adds to tax is in the objective; the bound
allows for all that their losses could ever save.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from schemas.enums import Reason
from schemas.landing_columns import CASH
from schemas.tables import USD
from schemas.units import EXACT
from tasks.core.facts import BPS, CLASS, rounded_usd, usd, usd_sum
from tasks.core.propose.lot_costs import with_costs_at
from tasks.core.propose.realized import net_gains
from tasks.core.rules import Problem, outright_gains, quantity_of, with_fund_sales
from tasks.core.solver import (
    BELOW_IMPROVEMENT,
    BELOW_MINIMUM,
    CANNOT_RAISE_CASH,
    FEWER_TRADES,
    ORDER_LIMIT,
    STAYS,
    TRADED,
    Answer,
)
from tasks.core.tax import netted_tax

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

    ``accounts`` gain status, shadow_price, objective_usd, lower_bound_usd, cash_after and fund_left_usd (floats), shortfall_usd,
    short_rate_at, long_rate_at (what one more dollar of gain costs), gain_price, turnover_price; ``classes`` gain bought (Decimal),
    buy_dropped (a reason), after_usd (float), and governed_value_usd, governed_after_usd: the account's own, or its
    household's where it is managed with others; ``lots``, funds among them, gain sold (Decimal, with what is sold outright),
    lot_dropped, tax_at and cost_at (``lot_costs``).
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
    classes = _with_bought(problem, answer, lots)
    funds = _with_fund_sales(problem, accounts, classes, lots)
    every = pl.concat([lots, funds.select(lots.columns)]) if funds.height else lots
    counted = _with_outright_terms(_with_fund_results(accounts, funds), every, problem.funds)
    return Solved(counted, classes, with_costs_at(every.drop("solved"), accounts))


def _with_outright_terms(accounts: pl.DataFrame, lots: pl.DataFrame, funds: pl.DataFrame) -> pl.DataFrame:
    """Objective and bound with what outright sales and those of funds cost and add to tax, of the household where it is the group."""
    outright = usd(pl.col("outright"), pl.col("price_usd")).cast(pl.Float64) * pl.col("spread")
    is_fund = pl.col("asset_class") == CASH
    by_account = lots.filter((pl.col("sold") > 0) & (pl.col("outright") > 0)).group_by(
        "account_id", maintain_order=True
    )
    costs = by_account.agg(rule_cost=usd_sum(outright.filter(~is_fund)), fund_cost=usd_sum(outright.filter(is_fund)))
    terms = (
        accounts.join(costs, on="account_id", how="left", maintain_order="left")
        .join(_fund_savings(funds), on="account_id", how="left", maintain_order="left")
        .join(net_gains(accounts, lots), on="account_id", how="left", maintain_order="left", suffix="_net")
        .with_columns(pl.col("rule_cost", "fund_cost", "fund_saving").fill_null(0.0))
    )
    rates = (pl.col("short_rate"), pl.col("long_rate"))
    at_start = netted_tax(pl.col("short_before_usd"), pl.col("long_before_usd"), *rates) - netted_tax(
        pl.col("short_before"), pl.col("long_before"), *rates
    )
    sells_funds = pl.col("fund_cost") > 0
    of_funds = pl.col("fund_cost") + pl.when(sells_funds).then(
        pl.col("added_tax_usd") - pl.col("tax_usd") - at_start
    ).otherwise(0.0)
    is_traded = pl.col("status") != CANNOT_RAISE_CASH
    start = pl.when(is_traded).then(pl.col("rule_cost") + at_start).otherwise(0.0)
    more, less = (usd_sum(term).over(GROUP) for term in (start + of_funds, start - pl.col("fund_saving")))
    totals = terms.select("account_id", more=more, less=less)
    return (
        accounts.join(totals, on="account_id", how="left", maintain_order="left")
        .with_columns(
            objective_usd=pl.col("objective_usd") + pl.col("more"),
            lower_bound_usd=pl.col("lower_bound_usd") + pl.col("less"),
        )
        .drop("more", "less", "fund_short_usd", "fund_long_usd", "tax_usd")
    )


def _fund_savings(funds: pl.DataFrame) -> pl.DataFrame:
    """``account_id, fund_saving`` (usd): the most tax that losses on an account's funds could save."""
    loss = (-pl.col("gain")).clip(lower_bound=0.0) * pl.col("value_usd").cast(pl.Float64)
    rate = pl.max_horizontal("short_term_rate", "long_term_rate")
    return funds.group_by("account_id").agg(fund_saving=usd_sum(loss * rate))


def _with_fund_sales(
    problem: Problem, accounts: pl.DataFrame, classes: pl.DataFrame, lots: pl.DataFrame
) -> pl.DataFrame:
    """The problem's funds with what is sold of them; in an account that cannot raise the cash it owes nothing is."""
    if problem.funds.is_empty():
        return problem.funds.with_columns(sold=pl.lit(0).cast(EXACT), fund_sold=pl.lit(0).cast(EXACT))
    is_traded = pl.col("status") != CANNOT_RAISE_CASH
    least = pl.max_horizontal("min_trade_usd", pl.col("min_trade_weight") * pl.col("nav_usd").cast(pl.Float64))
    floor = pl.when("is_owing").then(0).otherwise(pl.min_horizontal("cash_usd", 0)).cast(USD)
    excess = _net_proceeds(problem.funds.with_columns(sold="outright")).rename({"raised_usd": "excess_usd"})
    needs = (
        accounts.filter(is_traded)
        .join(_net_proceeds(lots), on="account_id", how="left", maintain_order="left")
        .join(_paid(classes), on="account_id", how="left", maintain_order="left")
        .join(excess, on="account_id", how="left", maintain_order="left")
        .with_columns(pl.col("raised_usd", "paid_usd", "excess_usd").fill_null(0))
        .select(
            "account_id",
            least_usd=least,
            need_usd=floor - pl.col("cash_usd") - pl.col("raised_usd") - pl.col("excess_usd") + pl.col("paid_usd"),
        )
        .filter(pl.col("need_usd") > 0)
    )
    found = with_fund_sales(problem.funds, needs).with_columns(
        lot_dropped=pl.lit(None, pl.String), solved=pl.lit(0).cast(EXACT)
    )
    is_stuck = pl.col("account_id").is_in(accounts.filter(~is_traded)["account_id"].implode())
    return found.with_columns(
        *(
            pl.when(is_stuck).then(0).otherwise(name).cast(found.schema[name]).alias(name)
            for name in ("sold", "outright", "fund_sold")
        ),
    )


def _net_proceeds(lots: pl.DataFrame) -> pl.DataFrame:
    """``account_id, raised_usd``: what the sales of an account bring, each order's cost rounded as the order's is."""
    return (
        lots.group_by("account_id", "security_id")
        .agg(value=usd(pl.col("sold"), pl.col("price_usd")).sum(), bps=pl.col("half_spread_bps").first())
        .group_by("account_id")
        .agg(raised_usd=(pl.col("value") - _cost("value", "bps")).sum())
    )


def _paid(classes: pl.DataFrame) -> pl.DataFrame:
    """``account_id, paid_usd``: what the purchases of an account take, likewise."""
    bought = classes.filter(pl.col("bought") > 0)
    return bought.group_by("account_id").agg(
        paid_usd=(pl.col("bought_usd") + _cost("bought_usd", "buy_half_spread_bps")).sum()
    )


def _cost(value: str, bps: str) -> pl.Expr:
    return rounded_usd(pl.col(value).cast(pl.Float64) * pl.col(bps) * (1 / BPS))


def _with_fund_results(accounts: pl.DataFrame, funds: pl.DataFrame) -> pl.DataFrame:
    """Accounts whose ``cash_after`` is their own cash, with ``fund_left_usd``, what of the solver's cash is left in funds.

    A sale of funds realizes gains outright and makes a proposal.
    """
    sold = funds.filter(pl.col("fund_sold") > 0)
    net = pl.col("fund_sold").cast(pl.Float64) * pl.col("unit_usd") * (1 - pl.col("spread"))
    raised = sold.group_by("account_id").agg(fund_raised=usd_sum(net))
    gains = outright_gains(sold.with_columns(outright="fund_sold")).rename(
        {"short_outright_usd": "fund_short_usd", "long_outright_usd": "fund_long_usd"}
    )
    shift = pl.when(pl.col("is_owing")).then(0.0).otherwise(pl.col("cash_usd").cast(pl.Float64).clip(upper_bound=0.0))
    left = pl.col("fund_usd") - pl.col("fund_raised")
    sellers = funds.filter(pl.col("sold") > 0)["account_id"].unique()
    is_new = pl.col("account_id").is_in(sellers.implode()) & (pl.col("status") == STAYS)
    return (
        accounts.join(raised, on="account_id", how="left", maintain_order="left")
        .join(gains, on="account_id", how="left", maintain_order="left")
        .with_columns(pl.col("fund_raised", "fund_short_usd", "fund_long_usd").fill_null(0.0))
        .with_columns(
            short_outright_usd=pl.col("short_outright_usd") + pl.col("fund_short_usd"),
            long_outright_usd=pl.col("long_outright_usd") + pl.col("fund_long_usd"),
            fund_left_usd=left,
            cash_after=pl.col("cash_after") - left + shift,
            status=pl.when(is_new).then(TRADED).otherwise("status").cast(pl.Int8),
        )
        .drop("fund_raised")
    )


def _with_sold(problem: Problem, answer: Answer) -> pl.DataFrame:
    stuck = problem.accounts.select("account_id").filter(pl.Series(answer.status == CANNOT_RAISE_CASH))
    solved = quantity_of(pl.lit(pl.Series("millionths", answer.sold)))
    is_stuck = pl.col("account_id").is_in(stuck["account_id"].implode())
    nothing = pl.lit(0).cast(EXACT)
    return problem.lots.with_columns(
        outright=pl.when(is_stuck).then(0).otherwise("outright").cast(problem.lots.schema["outright"]),
        solved=pl.when(is_stuck).then(nothing).otherwise(solved.cast(EXACT)),
        lot_dropped=_in_words(answer.lot_dropped),
    ).with_columns(sold=(pl.col("outright") + pl.col("solved")).cast(EXACT))


def _with_certificates(problem: Problem, answer: Answer, lots: pl.DataFrame) -> pl.DataFrame:
    outright = lots.filter((pl.col("outright") > 0) & (pl.col("sold") > 0))["account_id"].unique()
    is_outright = pl.col("account_id").is_in(outright.implode())
    return problem.accounts.with_columns(
        status=pl.Series(answer.status),
        shadow_price=pl.Series(answer.shadow_price),
        tax_usd=pl.Series(answer.tax),
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
    steps = pl.lit(pl.Series("steps", answer.bought)).cast(USD)
    bought = (steps * pl.col("buy_step").fill_null(1).cast(USD)).cast(EXACT)
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
            bought_usd=usd(
                pl.col("bought"), *(pl.col(name).fill_null(1) for name in ("buy_price_usd", "buy_price_factor"))
            ),
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
