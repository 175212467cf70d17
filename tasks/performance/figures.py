"""What is shown of performance: of an account, a household or a model, over any period; the same figures for the command, the pages and the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import polars as pl

from schemas.enums import FlowSource, ReturnMethod, RunKind, RunState
from schemas.errors import WrongUsage
from tasks.core.performance import (
    by_month,
    composite_nights,
    dispersion,
    effects_over,
    over_period,
    saving_worth,
    with_base,
)
from warehouse.lake import Lake, accounts_of, record_rows
from warehouse.ledger import Runs

MEASURES: Final = (
    "money_weighted_return",
    "tracking_error",
    "volatility",
    "sharpe",
    "sharpe_error",
    "drawdown",
    "max_drawdown",
    "after_tax_return",
    "liquidated_return",
)
"""Measures since inception, as of the last night; volatility, tracking error and Sharpe are a year's."""
LOOK_BACK: Final = timedelta(days=31)
ACCOUNT, MODEL, HOUSEHOLD = "account", "model", "household"


@dataclass(frozen=True)
class PerformanceReport:
    """What ``subject`` (of a ``kind``: account, model or household) earned over a period.

    ``nights``: ``night_date, daily_return, model_return`` and, of an account, all of its row. ``period``: ``earned``, ``model``, ``difference``. ``effects``: sum of each cause
    of the tracking differences, of an account. ``standing``: of an account its last row. ``spread``: of a model or household, how far its accounts lie apart. ``twin``: of an
    account its last row of ``twins`` in the period, and ``saving_worth_usd``, what the tax saved would come to by the assumptions of ``tasks.core.performance.deferral``.
    """

    kind: str
    subject: str
    nights: pl.DataFrame
    months: pl.DataFrame
    period: Mapping[str, float]
    effects: Mapping[str, float] | None
    standing: Mapping[str, Any] | None
    spread: Mapping[str, float | int | None] | None
    twin: Mapping[str, Any] | None = None

    @property
    def first(self) -> date:
        """The night that the first return began with."""
        found: date = min(self.nights["since_date"].drop_nulls(), default=self.nights["night_date"][0])
        return found

    @property
    def last(self) -> date:
        """The last night."""
        found: date = self.nights["night_date"][-1]
        return found

    def as_json(self) -> dict[str, Any]:
        """Plain values, for ``--json`` and the API."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "first": self.first,
            "last": self.last,
            "period": dict(self.period),
            "effects": None if self.effects is None else dict(self.effects),
            "standing": None if self.standing is None else dict(self.standing),
            "spread": None if self.spread is None else dict(self.spread),
            "twin": None if self.twin is None else dict(self.twin),
            "months": self.months.to_dicts(),
            "notices": notices(self),
        }


def account_report(
    lake: Lake, runs: Runs, account_id: str, first: date | None = None, last: date | None = None
) -> PerformanceReport:
    """The record of an account.

    Raises
    ------
    WrongUsage
        It has none in the period.
    """
    names, nights = _done_nights(runs), (first or date.min, last or date.max)
    accounts = pl.Series("account_id", [account_id])
    rows = record_rows(lake, "performance", names, accounts, nights).sort("night_date")
    if rows.is_empty():
        raise _nothing(f"account {account_id}", first, last)
    effects = record_rows(lake, "attribution", names, accounts, nights)
    twins = record_rows(lake, "twins", names, accounts, nights).sort("night_date")
    return PerformanceReport(
        ACCOUNT,
        account_id,
        rows,
        by_month(rows),
        over_period(rows),
        effects_over(effects),
        rows.row(-1, named=True),
        None,
        _twin(twins) if twins.height else None,
    )


def _twin(twins: pl.DataFrame) -> dict[str, Any]:
    last = twins.row(-1, named=True)
    worth = saving_worth(float(last["tax_alpha_usd"]), float(last["tax_deferred_usd"]))
    return last | {"saving_worth_usd": round(worth, 2)}


def group_report(
    lake: Lake,
    runs: Runs,
    *,
    model_id: str | None = None,
    household_id: str | None = None,
    first: date | None = None,
    last: date | None = None,
) -> PerformanceReport:
    """The composite of a model's accounts, or a household as one account.

    Raises
    ------
    WrongUsage
        No account of it has a return in the period.
    """
    kind, subject = (MODEL, model_id) if model_id is not None else (HOUSEHOLD, household_id)
    names = _done_nights(runs)
    accounts = accounts_of(lake, names, model_id=model_id, household_id=household_id)
    based = with_base(record_rows(lake, "performance", names, accounts, (_well_before(first), last or date.max)))
    own = based.filter(
        pl.col("model_then") == model_id if model_id is not None else pl.col("household_id") == household_id,
        pl.col("night_date") >= (first or date.min),
    )
    if own.is_empty():
        raise _nothing(f"{kind} {subject}", first, last)
    nights = composite_nights(own)
    return PerformanceReport(
        kind, str(subject), nights, by_month(nights), over_period(nights), None, None, dispersion(own)
    )


def notices(report: PerformanceReport) -> list[str]:
    """What has to be known of the figures: nights that are missing, and what their flows are known from."""
    rows = report.nights
    found: list[str] = []
    if "flow_source" not in rows.columns:
        return found
    inferred = rows.filter((pl.col("flow_source") == FlowSource.INFERRED) & (pl.col("flow_usd") != 0)).height
    dietz = rows.filter(pl.col("method") == ReturnMethod.MODIFIED_DIETZ).height
    if inferred:
        found.append(
            f"{inferred:,} nights have a flow that was inferred: no table flows came with them, and dividends count as paid in"
        )
    if dietz:
        found.append(f"{dietz:,} nights stand on Modified Dietz: money came in between nights that were missed")
    return found


def _well_before(first: date | None) -> date:
    """A day by which every account that goes on had a night before: what model it had is read off it."""
    return date.min if first is None else first - LOOK_BACK


def _done_nights(runs: Runs) -> list[str]:
    """Finished nights, the newest last."""
    rows = [row for row in runs.list_runs(None) if row.kind is RunKind.NIGHTLY and row.state is RunState.DONE]
    return [row.run_id for row in sorted(rows, key=lambda row: (row.started_at, row.run_id))]


def _nothing(what: str, first: date | None, last: date | None) -> WrongUsage:
    when = "" if first is None and last is None else f" from {first or 'the beginning'} to {last or 'now'}"
    return WrongUsage(
        f"{what} has no performance{when}\n\nHint: it is written after each night, for accounts that passed its gate "
        "(is_performance_written); a model or a household has a return from its accounts' second night on."
    )
