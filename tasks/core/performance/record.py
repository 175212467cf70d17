"""The record of accounts: a night's rows of ``performance`` and ``attribution`` from those of the night before.

1. An account without a night before begins: no return, and everything that is cumulated is 0.
2. Otherwise its flows since are found (``flows``), its return (``returns``), the tax that accrued (``after_tax``), what its model would have earned and
   why that differs (``attribution``).
3. What is cumulated moves on by one night (``running``), and the measures are taken.

An account's rows depend on its own rows and on prices, never on another account. A night's row names the night that it stands on, and that night's row the one
before: all the nights of a figure can be read off, and what is computed anew from a night on carries every later one with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from schemas.enums import FlowSource, ReturnMethod
from schemas.stored import INTERNAL
from schemas.tables import PUBLIC, USD
from tasks.core.facts import CLASS, exact_sum, untilted_model
from tasks.core.performance.after_tax import liquidated_return
from tasks.core.performance.attribution import (
    EFFECTS,
    attribution,
    earned_by_class,
    model_class_returns,
    with_model,
)
from tasks.core.performance.flows import Between, flows_between, moved_since, unsaid_splits
from tasks.core.performance.night import Night
from tasks.core.performance.returns import dietz_return, money_weighted_returns, return_method
from tasks.core.performance.running import NEW, STATE, after_night, with_measures

CUMULATED: Final = (
    "inception_return",
    "year_return",
    "quarter_return",
    "month_return",
    "model_inception_return",
    "after_tax_return",
)
STATE_ROWS: Final = INTERNAL["performance_state"]
DATED_FLOWS: Final = INTERNAL["performance_flows"]


@dataclass(frozen=True)
class Before:
    """The night before of some accounts, which stand on the same run."""

    rows: pl.DataFrame
    """Columns of ``performance`` and ``performance_state`` as of then."""
    classes: pl.DataFrame
    """``account_id, asset_class, value_usd, target_weight`` as of then."""
    holdings: pl.DataFrame
    """``account_id, security_id, quantity, unit_then_usd``, in tonight's identifiers and shares."""
    due: pl.DataFrame
    """``account_id, due_usd``: cash that mergers since were to bring."""
    prices: pl.DataFrame
    """``security_id, unit_usd`` as of then, in tonight's identifiers and shares."""
    flows: pl.DataFrame
    """``account_id, flow_date, flow_usd`` since each account's inception, up to then."""
    sessions: int
    """Trading days from then to tonight."""


@dataclass(frozen=True)
class NightTerms:
    """``run_id``: of the night. ``reported``: its landing table ``flows``, null where it has none. ``risk_free_rate``: a year's."""

    run_id: str
    reported: pl.DataFrame | None = None
    risk_free_rate: float = 0.0


def first_rows(night: Night, run_id: str) -> dict[str, pl.DataFrame]:
    """The tables of accounts that begin tonight."""
    nothing = {name: pl.lit(0.0) for name in (*CUMULATED, "liquidated_return", "drawdown", "max_drawdown")}
    accounts = night.accounts.join(night.cash, on="account_id", how="left").with_columns(
        **NEW,
        **nothing,
        night_date=pl.lit(night.day),
        since_date=pl.lit(None, pl.Date),
        night_run_id=pl.lit(run_id),
        since_run_id=pl.lit(None, pl.String),
        inception_date=pl.lit(night.day),
        inception_value_usd=pl.col("value_usd"),
        night_count=pl.lit(1, pl.Int64),
        flow_usd=pl.lit(0, USD),
        flow_source=pl.lit(str(FlowSource.NONE)),
        method=pl.lit(str(ReturnMethod.FIRST)),
        money_weighted_return=pl.lit(0.0),
        realized_short_usd=pl.lit(0, USD),
        realized_long_usd=pl.lit(0, USD),
        tax_usd=pl.lit(0, USD),
    )
    classes = _valued_classes(night).with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in (*EFFECTS, "tracking_difference")
    )
    return _tables(accounts, classes, pl.DataFrame(schema=DATED_FLOWS))


def next_rows(before: Before, night: Night, terms: NightTerms) -> dict[str, pl.DataFrame]:
    """The tables of accounts that have a night before; those of ``before`` that are not in ``night`` have no rows."""
    accounts = night.accounts.join(before.rows.select("account_id"), on="account_id", how="semi", maintain_order="left")
    rows = _with_flows(_both(before, night, accounts), before, night, terms)
    flows = rows.flows
    linked = rows.accounts.filter(pl.col("daily_return").is_not_null())
    listed = model_class_returns(night_targets(night, before), before.prices, night.prices.drop("asset_class"))
    classes = with_model(
        earned_by_class(
            linked.select("account_id", "then_usd", "base_usd", "flow_usd"),
            before.classes.join(linked, on="account_id", how="semi"),
            night.classes.join(linked, on="account_id", how="semi"),
            rows.between.trades.join(linked, on="account_id", how="semi"),
            rows.in_kind.join(linked, on="account_id", how="semi"),
        ),
        before.rows.select("account_id", "model_id"),
        listed,
    )
    effects = attribution(classes, linked.select("account_id", tax="tax_return"))
    model = classes.group_by("account_id").agg(model_return=exact_sum(pl.col("target") * pl.col("model_earned")))
    moved = (
        rows.accounts.join(model, on="account_id", how="left", maintain_order="left")
        .with_columns(
            tracking_difference=pl.col("daily_return") + pl.col("tax_return") - pl.col("model_return"),
            model_return=pl.when(pl.col("daily_return").is_not_null()).then("model_return"),
        )
        .pipe(after_night, risk_free_rate=terms.risk_free_rate)
        .pipe(with_measures)
        .with_columns(
            liquidated_return=liquidated_return(
                pl.col("after_tax_return"), pl.col("liquidation_tax_usd"), pl.col("value_usd").cast(pl.Float64)
            )
        )
        .pipe(_with_money_weighted, pl.concat([before.flows, flows]))
    )
    dated = flows.with_columns(night_date=pl.lit(night.day)).select(DATED_FLOWS.keys())
    valued = _valued_classes(night).join(accounts, on="account_id", how="semi")
    by_class = valued.join(effects, on=CLASS, how="full", coalesce=True).join(
        accounts.select("account_id", nav="value_usd"), on="account_id"
    )
    by_class = by_class.with_columns(
        pl.col("value_usd").fill_null(0), pl.col("weight", "target_weight").fill_null(0.0)
    ).drop("nav")
    return _tables(moved, by_class, dated) | {
        "moved": moved_since(rows.accounts, rows.between, rows.in_kind),
        "splits": unsaid_splits(rows.between),
    }


@dataclass(frozen=True)
class _Linked:
    accounts: pl.DataFrame
    between: Between
    in_kind: pl.DataFrame
    flows: pl.DataFrame


def night_targets(night: Night, before: Before) -> pl.DataFrame:
    """``model_id, asset_class, security_id``: the first choices of tonight's buy list for the models of then; an effective model has those of the model tilted."""
    models = before.rows.select("model_id", listed_id=untilted_model()).unique()
    listed = night.targets.select("asset_class", "security_id", listed_id="model_id")
    return listed.join(models, on="listed_id").select("model_id", "asset_class", "security_id")


def _both(before: Before, night: Night, accounts: pl.DataFrame) -> pl.DataFrame:
    """Accounts tonight beside what they were."""
    was = before.rows.select(
        "account_id",
        "inception_date",
        "night_count",
        "realized_short_usd",
        "realized_long_usd",
        "max_drawdown",
        *CUMULATED,
        *STATE,
        "inception_value_usd",
        since_date="night_date",
        since_run_id="night_run_id",
        then_usd=pl.col("value_usd").cast(pl.Float64),
        cash_then_usd="cash_usd",
        tax_then_usd="year_tax_usd",
        short_then_usd="year_short_usd",
        long_then_usd="year_long_usd",
    )
    is_same_year = pl.col("since_date").dt.year() == night.day.year
    nothing = pl.lit(0, USD)
    return (
        accounts.join(night.cash, on="account_id", how="left", maintain_order="left")
        .join(was, on="account_id", maintain_order="left")
        .with_columns(
            night_date=pl.lit(night.day),
            sessions=pl.lit(before.sessions, pl.Int64),
            night_count=pl.col("night_count") + 1,
            accrued_usd=pl.col("year_tax_usd") - pl.when(is_same_year).then("tax_then_usd").otherwise(0.0),
            realized_short_usd=pl.col("realized_short_usd")
            + pl.col("year_short_usd").cast(USD)
            - pl.when(is_same_year).then("short_then_usd").otherwise(nothing),
            realized_long_usd=pl.col("realized_long_usd")
            + pl.col("year_long_usd").cast(USD)
            - pl.when(is_same_year).then("long_then_usd").otherwise(nothing),
        )
    )


def _with_flows(accounts: pl.DataFrame, before: Before, night: Night, terms: NightTerms) -> _Linked:
    """Accounts with their flow, what earned the night's return, and the return itself."""
    mine = accounts.select("account_id", "since_date")
    own = accounts.select("account_id")
    since = night.trades.join(mine, on="account_id").filter(
        pl.col("trade_date") > pl.col("since_date"), pl.col("trade_date") <= night.day
    )
    between = Between(
        spans=accounts.select("account_id", "since_date", "night_date", "sessions", "then_usd"),
        then=before.holdings.join(own, on="account_id", how="semi"),
        now=night.holdings.join(own, on="account_id", how="semi"),
        cash=accounts.select("account_id", "cash_then_usd", "cash_usd").join(
            before.due, on="account_id", how="left", maintain_order="left"
        ),
        trades=since,
        prices=night.prices.rename({"asset_class": "listed_class", "unit_usd": "listed_usd"}),
    )
    found = flows_between(between, terms.reported)
    then, now = pl.col("then_usd"), pl.col("value_usd").cast(pl.Float64)
    flow, weighted = pl.col("flow_usd"), pl.col("weighted_usd")
    rows = (
        accounts.join(found.sums, on="account_id", how="left", maintain_order="left")
        .with_columns(
            base_usd=then + weighted,
            daily_return=dietz_return(then, now, flow, weighted),
            night_run_id=pl.lit(terms.run_id),
        )
        .with_columns(
            method=return_method(pl.col("daily_return").is_not_null(), weighted),
            tax_usd=pl.col("accrued_usd").round(6).cast(USD),
            tax_return=pl.when(pl.col("daily_return").is_not_null()).then(
                -pl.col("accrued_usd") * (1 / pl.col("base_usd"))
            ),
        )
    )
    return _Linked(rows, between, found.in_kind, found.dated)


def _with_money_weighted(accounts: pl.DataFrame, flows: pl.DataFrame) -> pl.DataFrame:
    values = accounts.select(
        "account_id",
        "inception_date",
        pl.col("inception_value_usd").cast(pl.Float64),
        "night_date",
        pl.col("value_usd").cast(pl.Float64),
    )
    found = money_weighted_returns(values, flows).with_columns(has_flows=True)
    joined = accounts.join(found, on="account_id", how="left", maintain_order="left")
    return joined.with_columns(
        money_weighted_return=pl.when("has_flows").then("money_weighted_return").otherwise("inception_return")
    )


def _valued_classes(night: Night) -> pl.DataFrame:
    """``account_id, asset_class, value_usd, weight, target_weight`` of every class that an account holds or its model has."""
    targets = night.accounts.select("account_id", "model_id").join(night.targets.drop("security_id"), on="model_id")
    totals = night.accounts.select("account_id", nav="value_usd")
    value = pl.col("value_usd").cast(pl.Float64)
    return (
        night.classes.join(targets.drop("model_id"), on=CLASS, how="full", coalesce=True)
        .join(totals, on="account_id")
        .with_columns(pl.col("value_usd").fill_null(0), pl.col("target_weight").fill_null(0.0))
        .with_columns(
            weight=pl.when(pl.col("nav") > 0).then(value * (1 / pl.col("nav").cast(pl.Float64))).otherwise(0.0)
        )
        .drop("nav")
    )


def _tables(accounts: pl.DataFrame, classes: pl.DataFrame, flows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The rows as the tables have them, sorted."""
    public = PUBLIC["performance"]
    lacking = [name for name in public if name not in accounts.columns]
    filled = accounts.with_columns(pl.lit(None).alias(name) for name in lacking)
    with_day = classes.join(accounts.select("account_id", "night_date"), on="account_id")
    return {
        "performance": _typed(filled, public).sort("account_id"),
        "performance_state": _typed(accounts, STATE_ROWS).sort("account_id"),
        "attribution": _typed(with_day, PUBLIC["attribution"]).sort(CLASS),
        "performance_flows": _typed(flows, DATED_FLOWS).sort("account_id", "flow_date"),
    }


def _typed(rows: pl.DataFrame, columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    return rows.select(
        (
            pl.col(name).round(6).cast(dtype)
            if dtype == USD and rows.schema[name] == pl.Float64
            else pl.col(name).cast(dtype)
        )
        for name, dtype in columns.items()
    )
