"""The part of the REST API that tells what accounts have earned."""

from datetime import date
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query

from console.api.caller import Caller, Named
from console.api.models import ApiModel
from console.api.problems import ApiProblem
from console.shared import Backend
from schemas.enums import FlowSource, ReturnMethod
from schemas.errors import WrongUsage
from tasks.performance import PerformanceReport, account_report, group_report, notices

First = Annotated[date | None, Query(alias="from", description="The first night; its return counts.")]
Last = Annotated[date | None, Query(alias="to", description="The last night.")]


class PeriodOut(ApiModel):
    """Time-weighted returns over the period, fractions; ``difference``: earned less the model's."""

    earned: float
    model: float
    difference: float


class MonthOut(ApiModel):
    """The same of a month, by its first day."""

    month: date
    earned: float
    model: float
    night_count: int


class EffectsOut(ApiModel):
    """What the tracking differences of the nights came of, summed; fractions."""

    allocation: float
    trading_cost: float
    tax: float
    residual: float
    tracking_difference: float


class StandingOut(ApiModel):
    """An account on its last night. Returns are cumulated since its inception; tracking error, volatility and Sharpe are a year's."""

    night_date: date
    inception_date: date
    night_count: int
    value_usd: Decimal
    inception_return: float
    money_weighted_return: float | None
    model_inception_return: float
    tracking_error: float | None
    volatility: float | None
    sharpe: float | None
    sharpe_error: float | None
    drawdown: float
    max_drawdown: float
    realized_short_usd: Decimal
    realized_long_usd: Decimal
    after_tax_return: float
    liquidated_return: float
    flow_source: FlowSource
    method: ReturnMethod


class SpreadOut(ApiModel):
    """How far the accounts that were in it throughout lie apart; spreads are null of a single account."""

    account_count: int
    low: float | None
    median: float | None
    high: float | None
    spread: float | None
    weighted_spread: float | None


class TwinOut(ApiModel):
    """An account beside its twin under the reference policy, USD since the twin began, the account's less the twin's."""

    twin_policy: str
    twin_since_date: date
    tax_alpha_usd: Decimal
    cost_difference_usd: Decimal
    market_difference_usd: Decimal
    pre_liquidation_usd: Decimal
    tax_deferred_usd: Decimal
    post_liquidation_usd: Decimal
    drift_difference: float | None


class PerformanceOut(ApiModel):
    """What an account, a model's accounts or a household earned over a period. ``notices``: what to know of the figures."""

    kind: str
    subject: str
    first: date
    last: date
    period: PeriodOut
    months: list[MonthOut]
    effects: EffectsOut | None
    standing: StandingOut | None
    spread: SpreadOut | None
    twin: TwinOut | None
    notices: list[str]

    @classmethod
    def of(cls, report: PerformanceReport) -> "PerformanceOut":
        """From a report."""
        return cls(
            kind=report.kind,
            subject=report.subject,
            first=report.first,
            last=report.last,
            period=PeriodOut(**report.period),
            months=[MonthOut(**row) for row in report.months.iter_rows(named=True)],
            effects=None if report.effects is None else EffectsOut(**report.effects),
            standing=None if report.standing is None else StandingOut.made_of(report.standing),
            spread=None if report.spread is None else SpreadOut.made_of(report.spread),
            twin=None if report.twin is None else TwinOut.made_of(report.twin),
            notices=notices(report),
        )


def add_performance(router: APIRouter, backend: Backend, reads: Any) -> None:
    """What accounts have earned; a token that sees some custodians only sees none of it."""

    @router.get("/accounts/{account_id}/performance", tags=["performance"])
    def account(account_id: Named, first: First = None, last: Last = None, caller: Caller = reads) -> PerformanceOut:
        """What an account has earned, what its model would have, and why they differ."""
        caller.need_everything("The record")
        return _out(lambda: account_report(backend.lake, backend.ledger.runs, account_id, first, last))

    @router.get("/models/{model_id}/performance", tags=["performance"])
    def model(model_id: Named, first: First = None, last: Last = None, caller: Caller = reads) -> PerformanceOut:
        """All accounts of a model as one composite, and how far they lie apart."""
        caller.need_everything("The record")
        runs = backend.ledger.runs
        return _out(lambda: group_report(backend.lake, runs, model_id=model_id, first=first, last=last))

    @router.get("/households/{household_id}/performance", tags=["performance"])
    def household(
        household_id: Named, first: First = None, last: Last = None, caller: Caller = reads
    ) -> PerformanceOut:
        """A household as one account."""
        caller.need_everything("The record")
        runs = backend.ledger.runs
        return _out(lambda: group_report(backend.lake, runs, household_id=household_id, first=first, last=last))


def _out(read: Any) -> PerformanceOut:
    try:
        return PerformanceOut.of(read())
    except WrongUsage as nothing:
        raise ApiProblem(HTTPStatus.NOT_FOUND, str(nothing).partition("\n")[0]) from None
