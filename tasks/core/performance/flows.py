"""What went into an account and out of it between two nights, in cash and in kind.

Reported, where the night has the landing table ``flows``:

    flow = sum of amount_usd with  since < flow_date <= night

Inferred, where it has none:

    in cash  = change of cash + what purchases since cost - what sales brought - cash due of mergers
    in kind  = (shares tonight - shares then - bought + sold) x tonight's price, summed over securities; shares then in tonight's terms
    flow     = in cash + in kind, where that is at least ``LEAST_INFERRED_USD`` and ``LEAST_INFERRED`` of the value before; else 0

What is less is a fee, interest or a cent of rounding, and is earned, not paid in. A flow between two nights that are more than a trading day apart came at
an unknown hour of them: it is counted for half of the time.

Known limits: without the table a dividend cannot be told from a contribution, and an inferred flow takes it for one; shares that a dividend bought too. The
return is that of prices then. The table is what makes it a total return.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from schemas.enums import FlowSource
from schemas.landing_columns import CASH
from schemas.tables import USD
from tasks.core.gate import looks_split
from tasks.core.performance.returns import time_in_account

LEAST_INFERRED_USD: Final = 1.0
LEAST_INFERRED: Final = 1e-4
"""Share of the value before."""
HALF: Final = 0.5
SPLIT_TOLERANCE: Final = 0.25
"""A holding whose price moved as after a split and whose value moved by no more than this share was split, and nothing came in."""
IN_KIND: Final[dict[str, pl.DataType]] = {
    "account_id": pl.String(),
    "asset_class": pl.String(),
    "in_kind_usd": pl.Float64(),
}
"""Grain: account and class of the security."""


@dataclass(frozen=True)
class Between:
    """What lies between two nights of some accounts."""

    spans: pl.DataFrame
    """``account_id, since_date, night_date, sessions, then_usd`` (value before, Float64)."""
    then: pl.DataFrame
    """``account_id, security_id, quantity, unit_then_usd`` held before, in tonight's identifiers and shares."""
    now: pl.DataFrame
    """``account_id, security_id, asset_class, quantity, unit_usd`` held tonight."""
    cash: pl.DataFrame
    """``account_id, cash_then_usd, cash_usd, due_usd``: the last is what mergers since were to bring."""
    trades: pl.DataFrame
    """``night.MOVES`` since."""
    prices: pl.DataFrame
    """``security_id, listed_class, listed_usd`` tonight, for what is held no more."""


@dataclass(frozen=True)
class CountedFlows:
    """``sums``: ``account_id, flow_usd, weighted_usd, flow_source``. ``in_kind``: ``IN_KIND``. ``dated``: ``account_id, flow_date, flow_usd``."""

    sums: pl.DataFrame
    in_kind: pl.DataFrame
    dated: pl.DataFrame


def moved_in_kind(between: Between) -> pl.DataFrame:
    """``IN_KIND``: shares that came or went and that no trade explains, at tonight's price, or the last where a security has none any more."""
    moved = pl.col("own_quantity") - pl.col("quantity_then")
    return (
        _of_both_nights(between)
        .with_columns(moved=pl.when("is_split").then(0).otherwise(moved))
        .filter(pl.col("moved") != 0)
        .select("account_id", "asset_class", in_kind_usd=pl.col("moved").cast(pl.Float64) * pl.col("unit_usd"))
        .drop_nulls()
        .group_by("account_id", "asset_class")
        .agg(pl.col("in_kind_usd").round(6).cast(USD).sum().cast(pl.Float64))
        .sort("account_id", "asset_class")
    )


def unsaid_splits(between: Between) -> pl.DataFrame:
    """``account_id, security_id, ratio`` of holdings that split though nobody told of it: so many shares stand for one."""
    ratio = pl.col("own_quantity").cast(pl.Float64) / pl.col("quantity_then").cast(pl.Float64)
    split = _of_both_nights(between).filter("is_split")
    return split.select("account_id", "security_id", ratio=ratio).sort("account_id", "security_id")


def _of_both_nights(between: Between) -> pl.DataFrame:
    """Holdings of either night with ``quantity_then``, ``own_quantity`` (tonight's without what was traded since) and ``is_split``."""
    key = ["account_id", "security_id"]
    traded = between.trades.group_by(key).agg(
        traded=pl.col("quantity").sum(), traded_class=pl.col("asset_class").first()
    )
    both = (
        between.now.join(between.then, on=key, how="full", coalesce=True, suffix="_then")
        .join(traded, on=key, how="full", coalesce=True)
        .join(between.prices, on="security_id", how="left")
        .with_columns(pl.col("quantity", "quantity_then", "traded").fill_null(0).cast(USD))
        .with_columns(
            asset_class=pl.coalesce("asset_class", "traded_class", "listed_class", pl.lit(CASH)),
            unit_usd=pl.coalesce("unit_usd", "listed_usd", "unit_then_usd"),
            own_quantity=pl.col("quantity") - pl.col("traded"),
        )
    )
    value, value_then = (
        pl.col(quantity).cast(pl.Float64) * pl.col(unit)
        for quantity, unit in (("own_quantity", "unit_usd"), ("quantity_then", "unit_then_usd"))
    )
    is_near = ((value - value_then).abs() <= SPLIT_TOLERANCE * value_then) & (value_then > 0)
    is_split = looks_split(pl.col("unit_usd"), pl.col("unit_then_usd")) & is_near.fill_null(value=False)
    return both.with_columns(is_split=is_split)


def inferred_flows(between: Between, in_kind: pl.DataFrame) -> pl.DataFrame:
    """``account_id, flow_usd, weighted_usd``: what neither prices nor trades explain; ``weighted_usd`` by the time in the account."""
    paid = between.trades.group_by("account_id").agg(paid_usd=pl.col("paid_usd").sum())
    kind = in_kind.group_by("account_id").agg(pl.col("in_kind_usd").round(6).cast(USD).sum())
    rows = (
        between.spans.join(between.cash, on="account_id", how="left")
        .join(paid, on="account_id", how="left")
        .join(kind, on="account_id", how="left")
        .with_columns(pl.col("paid_usd", "in_kind_usd", "due_usd", "cash_usd", "cash_then_usd").fill_null(0).cast(USD))
    )
    flow = pl.col("cash_usd") - pl.col("cash_then_usd") + pl.col("paid_usd") - pl.col("due_usd") + pl.col("in_kind_usd")
    least = pl.max_horizontal(pl.lit(LEAST_INFERRED_USD), LEAST_INFERRED * pl.col("then_usd"))
    counted = pl.when(flow.cast(pl.Float64).abs() >= least).then(flow.cast(pl.Float64)).otherwise(0.0)
    weight = pl.when(pl.col("sessions") > 1).then(HALF).otherwise(0.0)
    return rows.with_columns(flow_usd=counted).select(
        "account_id", "flow_usd", weighted_usd=pl.col("flow_usd") * weight
    )


def reported_flows(spans: pl.DataFrame, flows: pl.DataFrame) -> pl.DataFrame:
    """``account_id, flow_usd, weighted_usd`` of the landing table ``flows``; every account of ``spans`` has its row."""
    within = (
        flows.join(spans.select("account_id", "since_date", "night_date"), on="account_id")
        .filter(pl.col("flow_date") > pl.col("since_date"), pl.col("flow_date") <= pl.col("night_date"))
        .with_columns(
            weighted=pl.col("amount_usd").cast(pl.Float64)
            * time_in_account(pl.col("flow_date"), pl.col("since_date"), pl.col("night_date"))
        )
        .group_by("account_id")
        .agg(flow_usd=pl.col("amount_usd").cast(USD).sum(), weighted_usd=pl.col("weighted").round(6).cast(USD).sum())
    )
    return (
        spans.select("account_id")
        .join(within, on="account_id", how="left", maintain_order="left")
        .with_columns(pl.col("flow_usd", "weighted_usd").cast(pl.Float64).fill_null(0.0))
    )


def dated_flows(between: Between, found: pl.DataFrame, reported: pl.DataFrame | None) -> pl.DataFrame:
    """``account_id, flow_date, flow_usd`` of flows that are not 0: on their day, or in the middle of the span where that is unknown."""
    spans = between.spans.select("account_id", "since_date", "night_date", "sessions")
    if reported is None:
        span = (pl.col("night_date") - pl.col("since_date")).dt.total_days()
        middle = pl.col("night_date") - pl.duration(days=span // 2)
        day = pl.when(pl.col("sessions") > 1).then(middle).otherwise("night_date")
        rows = found.join(spans, on="account_id").with_columns(flow_date=day)
    else:
        is_since = (pl.col("flow_date") > pl.col("since_date")) & (pl.col("flow_date") <= pl.col("night_date"))
        sums = reported.join(spans, on="account_id").filter(is_since).group_by("account_id", "flow_date")
        rows = sums.agg(flow_usd=pl.col("amount_usd").cast(USD).sum().cast(pl.Float64))
    return rows.filter(pl.col("flow_usd") != 0).select("account_id", "flow_date", "flow_usd").sort(pl.all())


def flows_between(between: Between, reported: pl.DataFrame | None) -> CountedFlows:
    """The flows of each account between two nights; ``reported``: the landing table ``flows``, null: the night has none."""
    in_kind = moved_in_kind(between)
    if reported is None:
        found, source = inferred_flows(between, in_kind), FlowSource.INFERRED
    else:
        found, source = reported_flows(between.spans, reported), FlowSource.REPORTED
    return CountedFlows(
        found.with_columns(flow_source=pl.lit(str(source))), in_kind, dated_flows(between, found, reported)
    )


def moved_since(accounts: pl.DataFrame, between: Between, in_kind: pl.DataFrame) -> pl.DataFrame:
    """``account_id, moved_usd, own_tax_usd, own_cost_usd``: what came in beside prices and trades (flows, dividends, fees, shares at their price), tax accrued and half spreads paid."""
    traded = between.trades.group_by("account_id").agg(
        paid_usd=pl.col("paid_usd").sum(), cost_usd=pl.col("cost_usd").round(6).cast(USD).sum()
    )
    kind = in_kind.group_by("account_id").agg(pl.col("in_kind_usd").round(6).cast(USD).sum())
    rows = (
        accounts.select("account_id", "cash_usd", "cash_then_usd", "tax_usd")
        .join(between.cash.select("account_id", "due_usd"), on="account_id", how="left", maintain_order="left")
        .join(traded, on="account_id", how="left", maintain_order="left")
        .join(kind, on="account_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("paid_usd", "cost_usd", "in_kind_usd", "due_usd", "cash_usd", "cash_then_usd").fill_null(0).cast(USD)
        )
    )
    cash = pl.col("cash_usd") - pl.col("cash_then_usd") + pl.col("paid_usd") - pl.col("due_usd")
    return rows.select(
        "account_id",
        moved_usd=cash + pl.col("in_kind_usd"),
        own_tax_usd=pl.col("tax_usd").cast(pl.Float64),
        own_cost_usd=pl.col("cost_usd").cast(pl.Float64),
    )
