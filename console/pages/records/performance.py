"""What an account, a model's accounts or a household have earned beside the model, and why they differ."""

from datetime import date
from typing import Any, Final

from fastapi import Request
from nicegui import ui

from console.pages.parts import facts, panel, plain_table
from console.shared import (
    NONE,
    Backend,
    bars_chart,
    dollars,
    growth_chart,
    height_of,
    page_context,
    percent,
    waiting_page,
)
from schemas.errors import WrongUsage
from tasks.performance import PerformanceReport, account_report, group_report, notices

CAUSES: Final = {"allocation": "drift", "trading_cost": "trading cost", "tax": "tax", "residual": "the rest"}
TWIN: Final = {
    "tax_alpha_usd": "tax saved",
    "cost_difference_usd": "half spreads saved",
    "market_difference_usd": "holdings did better by",
    "pre_liquidation_usd": "in all, before a sale",
    "tax_deferred_usd": "tax only put off",
    "post_liquidation_usd": "in all, were everything sold",
}
KINDS: Final = {"accounts": "account_id", "models": "model_id", "households": "household_id"}
CHART_PIXELS: Final = 300


def register(backend: Backend) -> None:
    """``/accounts/<id>/performance``, ``/models/<id>/performance`` and ``/households/<id>/performance``; ``?from=`` and ``?to=`` dates."""
    for kind in KINDS:
        _register(backend, kind)


def _register(backend: Backend, kind: str) -> None:
    @ui.page(f"/{kind}/{{subject}}/performance")
    async def page(request: Request, subject: str) -> None:
        desk = page_context(backend, request)
        content = await waiting_page(desk, request, "Performance")
        if content is None:
            return
        period = (request.query_params.get("from"), request.query_params.get("to"))
        await desk.show(content, lambda: read_report(backend, kind, subject, *map(_day, period)), _draw)


def read_report(
    backend: Backend, kind: str, subject: str, first: date | None = None, last: date | None = None
) -> PerformanceReport:
    """The report of a page."""
    runs = backend.ledger.runs
    if kind == "accounts":
        return account_report(backend.lake, runs, subject, first, last)
    return group_report(backend.lake, runs, **{KINDS[kind]: subject}, first=first, last=last)


def account_chart(backend: Backend, account_id: str) -> dict[str, Any] | None:
    """The chart of an account's growth beside its model's, as options of ECharts, for any page; null: it has no record."""
    try:
        return growth_chart(account_report(backend.lake, backend.ledger.runs, account_id).nights)
    except WrongUsage:
        return None


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise WrongUsage(f"{text} is no date\n\nHint: dates read 2026-11-30.") from None


def _draw(report: PerformanceReport) -> None:
    with ui.element("section").classes("panel head"):
        with ui.row().classes("headline"):
            ui.label(report.subject).classes("title mono").props('role="heading" aria-level="2"')
            ui.space()
            ui.label(f"{report.first} to {report.last}").classes("quiet")
        facts(_headline(report))
        for text in notices(report):
            ui.label(text).classes("note")
    with panel("Growth beside the model, before tax", wide=True):
        chart = ui.echart(growth_chart(report.nights)).style(f"height: {CHART_PIXELS}px")
        chart.props('role="img" aria-label="Cumulated return and that of the model, night by night"')
    with ui.element("div").classes("halves"):
        if report.effects is not None:
            _causes(report.effects)
        if report.standing is not None:
            _standing(report.standing)
        if report.twin is not None:
            _twin(report.twin)
        if report.spread is not None:
            _spread(report.spread)
        _months(report)


def _headline(report: PerformanceReport) -> dict[str, str]:
    period = report.period
    shown = {
        "earned": percent(period["earned"], 2),
        "model": percent(period["model"], 2),
        "difference": percent(period["difference"], 2),
        "nights": f"{report.nights.height:,}",
    }
    if report.standing is not None:
        shown |= {"value": dollars(report.standing["value_usd"]), "model now": report.standing["model_id"]}
    return shown


def _causes(effects: Any) -> None:
    with panel("Why, after tax"):
        bars = {said: effects[name] for name, said in CAUSES.items()}
        chart = ui.echart(bars_chart(bars)).style(f"height: {height_of(len(bars))}px")
        chart.props('role="img" aria-label="What the difference to the model came of"')
        rows = [{"cause": said, "share": percent(value, 3)} for said, value in bars.items()]
        rows.append({"cause": "in all", "share": percent(effects["tracking_difference"], 3)})
        plain_table({"cause": "cause", "share": "of the nights' differences"}, rows, numbers=("share",))


def _standing(standing: Any) -> None:
    with panel(f"Since {standing['inception_date']}"):
        facts(
            {
                "time-weighted": percent(standing["inception_return"], 2),
                "money-weighted": percent(standing["money_weighted_return"], 2),
                "after tax": percent(standing["after_tax_return"], 2),
                "after tax, were all sold": percent(standing["liquidated_return"], 2),
                "volatility a year": percent(standing["volatility"], 2),
                "tracking error a year": percent(standing["tracking_error"], 2),
                "Sharpe a year": _with_error(standing["sharpe"], standing["sharpe_error"]),
                "drawdown, deepest": f"{percent(standing['drawdown'], 2)}, {percent(standing['max_drawdown'], 2)}",
                "gains realized, short": dollars(standing["realized_short_usd"]),
                "gains realized, long": dollars(standing["realized_long_usd"]),
            }
        )


def _twin(twin: Any) -> None:
    with panel(f"Beside its twin since {twin['twin_since_date']}"):
        ui.label(
            f"What it would be under the reference policy, {twin['twin_policy']}; the account's less the twin's."
        ).classes("quiet")
        facts({said: dollars(twin[name]) for name, said in TWIN.items()})


def _spread(spread: Any) -> None:
    with panel("Its accounts apart"):
        facts(
            {
                "accounts throughout": f"{spread['account_count']:,}",
                "lowest": percent(spread["low"], 2),
                "middle": percent(spread["median"], 2),
                "highest": percent(spread["high"], 2),
                "spread": percent(spread["spread"], 2),
                "spread, by value": percent(spread["weighted_spread"], 2),
            }
        )


def _months(report: PerformanceReport) -> None:
    rows = [
        {
            "month": f"{row['month']:%Y-%m}",
            "earned": percent(row["earned"], 2),
            "model": percent(row["model"], 2),
            "difference": percent(row["earned"] - row["model"], 2),
        }
        for row in report.months.iter_rows(named=True)
    ]
    with panel("By month"):
        plain_table(
            {name: name for name in ("month", "earned", "model", "difference")},
            rows,
            numbers=("earned", "model", "difference"),
        )


def _with_error(value: float | None, error: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:.2f}" if error is None else f"{value:.2f} ± {error:.2f}"
