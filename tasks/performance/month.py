"""The summary of a month, as a Prefect artifact: what each model's accounts earned together, and how far they lie apart."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from prefect.artifacts import create_markdown_artifact

from schemas.errors import WrongUsage
from schemas.run import GLOBAL_SHARD, RunRef
from tasks.performance.figures import PerformanceReport, group_report
from tasks.performance.nights import recorded_nights
from tasks.runtime import Stores, open_stores

KEY: Final = "performance-month"
HEAD: Final = "| model | accounts | earned | its targets | difference | lowest | highest | spread |\n|---|---:|---:|---:|---:|---:|---:|---:|"


def show_month(run: RunRef) -> None:
    """After the first night of a month, the summary of the one before; nothing on other nights."""
    with open_stores() as at:
        text = month_page(at, run)
    if text is not None:
        create_markdown_artifact(text, key=KEY, description=run.run_id)


def month_page(at: Stores, run: RunRef) -> str | None:
    """The summary of the month before the run's; null where a night before was of the same month, or there is none."""
    known = recorded_nights(at.ledger.runs, run)
    last = max((row.as_of_date for row in known.rows if row.as_of_date < run.as_of_date), default=None)
    if last is None or (last.year, last.month) == (run.as_of_date.year, run.as_of_date.month):
        return None
    first = last.replace(day=1)
    models = at.lake.read("landed_model_targets", run.run_id, GLOBAL_SHARD, ("model_id",))["model_id"]
    reports = [_report(at, model, first, last) for model in models.drop_nulls().unique().sort()]
    return page([report for report in reports if report is not None], first)


def _report(at: Stores, model: str, first: date, last: date) -> PerformanceReport | None:
    try:
        return group_report(at.lake, at.ledger.runs, model_id=model, first=first, last=last)
    except WrongUsage:  # no account of the model has a return in the month
        return None


def page(reports: Sequence[PerformanceReport], month: date) -> str:
    """The summary in Markdown; names no account."""
    if not reports:
        return f"# Performance of {month:%B %Y}\n\nNo account had a return in the month.\n"
    rows = [_row(report) for report in reports]
    return (
        f"# Performance of {month:%B %Y}\n\n{HEAD}\n"
        + "\n".join(rows)
        + "\n\nTime-weighted, before tax. Spread: standard deviation "
        "of the accounts that were in it throughout, each counting the same.\n"
    )


def _row(report: PerformanceReport) -> str:
    spread = report.spread or {}
    returns = [report.period[name] for name in ("earned", "model", "difference")]
    cells = [f"{100 * each:+.2f} %" for each in returns]
    cells += [
        "" if (found := spread.get(name)) is None else f"{100 * found:+.2f} %" for name in ("low", "high", "spread")
    ]
    return f"| {report.subject} | {spread.get('account_count', 0):,} | {' | '.join(cells)} |"
