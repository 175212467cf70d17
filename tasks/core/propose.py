"""From solved accounts to the rows that people and order systems read: proposals, orders, lot relief.

Money and shares are Decimal from here on: an order's value is exactly quantity times reference price, its lots sum to it, and
the account's cash after is its cash before plus sells less buys less estimated costs.

Ids are the first 20 hex digits of SHA-256 over run, account, security and side, so that a replay gives the same bytes.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from schemas.enums import Reason, Side
from schemas.landing import EXACT
from schemas.tables import PUBLIC, USD
from tasks.core.facts import exact_sum, rounded_usd, usd
from tasks.core.rules import BPS, CLASS, Problem, to_arrays
from tasks.core.solver import CANNOT_RAISE_CASH, TRADED, Answer, rebalance
from tasks.core.whole_units import WHOLE_LOT


ROUTED: Final = ("route", "route_reasons", "approvals_needed", "ttl_hours", "custodian", "model_hash")
"""Columns of a proposal that routing adds."""


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


def hashed(parts: Iterable[tuple[str, ...]]) -> pl.Series:
    """SHA-256 of each tuple's parts joined by a bar, 20 hex digits."""
    digests = [hashlib.sha256("|".join(row).encode()).hexdigest()[:20] for row in parts]
    return pl.Series(digests, dtype=pl.String)


def sells(solved: Solved) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sell orders (one a security of an account) and the lots they close, keyed by account and security."""
    price = pl.col("price_usd")
    gain = usd(pl.col("sold"), price) - usd(pl.col("sold"), pl.col("unit_cost_usd"))
    lots = (
        solved.lots.filter(pl.col("sold") > 0)
        .with_columns(value_usd=usd(pl.col("sold"), price), gain_usd=gain)
        .with_columns(tax_usd=rounded_usd((pl.col("tax_rate") * pl.col("gain_usd").cast(pl.Float64)).fill_null(0.0)))
    )
    k = pl.col("tracking_penalty") / pl.col("nav_usd").cast(pl.Float64)
    over = pl.col("class_value_usd").cast(pl.Float64) - pl.col("destination_usd")
    orders = (
        lots.group_by("account_id", "security_id", maintain_order=True)
        .agg(
            pl.col("symbol", "asset_class", "price_usd", "half_spread_bps").first(),
            quantity=pl.col("sold").sum(),
            value_usd=pl.col("value_usd").sum(),
            est_tax_usd=pl.col("tax_usd").sum(),
            marginal_cost_bps=pl.col("cost").max() * BPS,
        )
        .join(_class_facts(solved), on=CLASS, how="left", maintain_order="left")
        .with_columns(side=pl.lit(str(Side.SELL)), marginal_benefit_bps=(k * over + pl.col("shadow_price")) * BPS)
        .with_columns(reason=_sell_reason())
    )
    return orders, lots


def buys(solved: Solved) -> pl.DataFrame:
    """Buy orders, one a class of an account."""
    k = pl.col("tracking_penalty") / pl.col("nav_usd").cast(pl.Float64)
    under = pl.col("destination_usd") - pl.col("class_value_usd").cast(pl.Float64)
    return (
        solved.classes.filter(pl.col("bought") > 0)
        .select(
            *CLASS,
            security_id="buy_security_id",
            symbol="buy_symbol",
            price_usd="buy_price_usd",
            half_spread_bps="buy_half_spread_bps",
            quantity="bought",
            value_usd="bought_usd",
            est_tax_usd=pl.lit(0).cast(USD),
        )
        .join(_class_facts(solved), on=CLASS, how="left", maintain_order="left")
        .with_columns(
            side=pl.lit(str(Side.BUY)),
            marginal_benefit_bps=k * under * BPS,
            marginal_cost_bps=pl.col("half_spread_bps") + pl.col("shadow_price") * BPS,
        )
        .with_columns(reason=_placed())
    )


def _class_facts(solved: Solved) -> pl.DataFrame:
    account = solved.accounts.select("account_id", "nav_usd", "tracking_penalty", "shadow_price", "cash_usd")
    columns = ["weight", "target_weight", "destination_usd", "after_usd"]
    classes = solved.classes.select(*CLASS, *columns, class_value_usd="value_usd")
    return classes.join(account, on="account_id", how="left")


def _percent(weight: pl.Expr) -> pl.Expr:
    return (weight * 100).round(2).cast(pl.String) + "%"


def _placed() -> pl.Expr:
    """``technology at 26.2% against a target of 20.0%; after the trade 21.0%``."""
    after = pl.col("after_usd") / pl.col("nav_usd").cast(pl.Float64)
    return pl.format(
        "{} at {} against a target of {}; after the trade {}",
        "asset_class",
        _percent(pl.col("weight")),
        _percent(pl.col("target_weight")),
        _percent(after),
    )


def _sell_reason() -> pl.Expr:
    is_over = pl.col("class_value_usd").cast(pl.Float64) > pl.col("destination_usd")
    owes = pl.format("raises the cash owed; {}", _placed())
    return (
        pl.when(is_over)
        .then(_placed())
        .when(pl.col("cash_usd") < 0)
        .then(owes)
        .otherwise(pl.format("pays for purchases further from target; {}", _placed()))
    )


def order_rows(solved: Solved, run_id: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of the tables ``orders`` (sorted: sells first, then by symbol) and ``lot_relief``."""
    selling, lots = sells(solved)
    shared = [
        "account_id", "side", "security_id", "symbol", "asset_class", "quantity", "price_usd", "value_usd", "est_tax_usd",
        "half_spread_bps", "reason", "marginal_benefit_bps", "marginal_cost_bps",
    ]  # fmt: skip
    orders = pl.concat([selling.select(shared), buys(solved).select(shared)]).sort(
        "account_id", pl.col("side") == Side.BUY, "symbol", "security_id"
    )
    keys = orders.select("account_id", "security_id", "side").iter_rows()
    proposals = orders.select("account_id").unique(maintain_order=True)
    proposals = proposals.with_columns(proposal_id=hashed((run_id, a) for (a,) in proposals.iter_rows()))
    orders = (
        orders.with_columns(
            order_id=hashed((run_id, *key) for key in keys),
            est_cost_usd=rounded_usd(pl.col("value_usd").cast(pl.Float64) * pl.col("half_spread_bps") / BPS),
            quantity=pl.col("quantity").cast(EXACT),
        )
        .join(proposals, on="account_id", how="left", maintain_order="left")
        .with_columns(pl.col("est_tax_usd", "value_usd").cast(USD))
    )
    ids = orders.filter(pl.col("side") == Side.SELL).select("account_id", "security_id", "order_id")
    relief = (
        lots.join(ids, on=["account_id", "security_id"], how="left")
        .with_columns(quantity=pl.col("sold").cast(EXACT), gain_usd=pl.col("gain_usd").cast(USD))
        .select(PUBLIC["lot_relief"].keys())
        .sort("account_id", "security_id", "lot_id")
    )
    return orders, relief


def proposal_rows(
    solved: Solved, orders: pl.DataFrame, relief: pl.DataFrame, account_drift: pl.DataFrame
) -> pl.DataFrame:
    """Rows of the table ``proposals`` but for route and route_reasons; sorted by account."""
    is_sell = pl.col("side") == Side.SELL
    totals = orders.group_by("account_id").agg(
        pl.col("proposal_id").first(),
        pl.col("est_cost_usd", "est_tax_usd").sum(),
        order_count=pl.len().cast(pl.Int64),
        gross_value_usd=pl.col("value_usd").sum(),
        net_usd=pl.when(is_sell).then("value_usd").otherwise(-pl.col("value_usd")).sum(),
    )
    gains = relief.group_by("account_id").agg(
        realized_short_gain_usd=pl.col("gain_usd").filter(pl.col("term") == "short").sum(),
        realized_long_gain_usd=pl.col("gain_usd").filter(pl.col("term") == "long").sum(),
    )
    nav = pl.col("nav_usd").cast(pl.Float64)
    return (
        solved.accounts.filter(pl.col("status") == TRADED)
        .drop("nav_usd")
        .join(account_drift.select("account_id", "nav_usd", "triggers", "one_way_drift"), on="account_id")
        .join(totals, on="account_id")
        .join(gains, on="account_id", how="left")
        .join(_drift_after(solved, totals.select("account_id", "est_cost_usd")), on="account_id")
        .with_columns(
            pl.col("realized_short_gain_usd", "realized_long_gain_usd").fill_null(0),
            one_way_drift_before="one_way_drift",
            turnover=pl.col("gross_value_usd").cast(pl.Float64) / (2 * nav),
            gap_bps=BPS * (pl.col("objective_usd") - pl.col("lower_bound_usd")) / nav,
            cash_before_usd="cash_usd",
            cash_after_usd=pl.col("cash_usd") + pl.col("net_usd") - pl.col("est_cost_usd"),
        )
        .join(content_hashes(orders), on="proposal_id")
        .select(*(name for name in PUBLIC["proposals"] if name not in ROUTED), "cash_after")
        .sort("account_id")
    )


def _drift_after(solved: Solved, costs: pl.DataFrame) -> pl.DataFrame:
    """``account_id, one_way_drift_after``: half the sum of absolute drifts after the trades, over NAV less their costs.

    The class cash is what the others leave of 1, in weight and in target.
    """
    nav = pl.col("nav_usd").cast(pl.Float64) - pl.col("est_cost_usd").cast(pl.Float64)
    off = pl.col("after_usd") / pl.col("nav_after") - pl.col("target_weight")
    return (
        solved.classes.drop("nav_usd")
        .join(solved.accounts.select("account_id", "nav_usd").join(costs, on="account_id"), on="account_id")
        .with_columns(nav_after=nav)
        .with_columns(off=off)
        .group_by("account_id")
        .agg(classes=exact_sum(pl.col("off").abs()), cash=exact_sum(pl.col("off")).abs())
        .select("account_id", one_way_drift_after=(pl.col("classes") + pl.col("cash")) / 2)
    )


def content_hashes(orders: pl.DataFrame) -> pl.DataFrame:
    """``proposal_id, content_hash``: SHA-256 over a proposal's orders as they would leave; what an approval refers to."""
    lines = (
        orders.sort("proposal_id", "order_id")
        .select(
            "proposal_id",
            line=pl.concat_str("order_id", "account_id", "side", "security_id", "quantity", "price_usd", separator=","),
        )
        .group_by("proposal_id", maintain_order=True)
        .agg(pl.col("line").str.join("\n"))
    )
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in lines["line"]]
    return lines.select("proposal_id", content_hash=pl.Series(digests, dtype=pl.String))
