"""``trimtab performance``: what an account, a household or a model's accounts have earned, and why that differs from the model."""

from collections.abc import Mapping
from contextlib import closing
from datetime import date, datetime
from typing import Annotated, Any, Final

import typer

from flows.commands.say import say
from flows.commands.terminal import Json, notice, print_json, print_table
from schemas.errors import WrongUsage
from tasks.core.performance import GROWTH, LATER_RATE, YEARS
from tasks.performance import ACCOUNT, MEASURES, PerformanceReport, account_report, group_report, notices
from tasks.runtime import open_ledger, settings_of_a_home
from warehouse.lake import open_lake

EFFECTS: Final = {
    "allocation": "drift",
    "trading_cost": "trading cost",
    "tax": "tax",
    "residual": "the rest",
    "tracking_difference": "in all",
}
TWIN: Final = {
    "tax_alpha_usd": "tax saved",
    "cost_difference_usd": "half spreads saved",
    "market_difference_usd": "holdings did better by",
    "pre_liquidation_usd": "in all, before a sale",
    "tax_deferred_usd": "of the tax saved only put off",
    "post_liquidation_usd": "in all, were everything sold",
}
A_YEAR: Final = {"tracking_error", "volatility", "sharpe", "sharpe_error"}
RATIOS: Final = {"sharpe", "sharpe_error"}


def performance(
    account: Annotated[str | None, typer.Argument(metavar="[ACCOUNT]")] = None,
    *,
    model: Annotated[str | None, typer.Option("--model", help="All accounts of a model, as one composite.")] = None,
    household: Annotated[str | None, typer.Option("--household", help="A household, as one account.")] = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first night; its return counts.")
    ] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The last night.")] = None,
    is_json: Json = False,
) -> None:
    """Show what an account has earned, what its model would have, and why they differ; or a household, or a model's accounts together."""
    if sum(each is not None for each in (account, model, household)) != 1:
        raise WrongUsage(
            "name one account, or --model, or --household\n\nHint: `trimtab performance A000042`, `trimtab performance --model growth`."
        )
    settings = settings_of_a_home()
    period = (_day(first), _day(last))
    with closing(open_ledger(settings)) as ledger:
        lake = open_lake(settings)
        report = (
            account_report(lake, ledger.runs, account, *period)
            if account is not None
            else group_report(
                lake, ledger.runs, model_id=model, household_id=household, first=period[0], last=period[1]
            )
        )
    if is_json:
        print_json(report.as_json())
        return
    _print_report(report)


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()


def _print_report(report: PerformanceReport) -> None:
    say(f"{report.kind} {report.subject}, {report.first} to {report.last}, {report.nights.height:,} nights")
    print_table(
        "earned",
        ["", "earned", "model", "difference"],
        [
            *(
                (
                    f"{row['month']:%Y-%m}",
                    *(_percent(row[name]) for name in ("earned", "model")),
                    _percent(row["earned"] - row["model"]),
                )
                for row in report.months.iter_rows(named=True)
            ),
            ("in all", *(_percent(report.period[name]) for name in ("earned", "model", "difference"))),
        ],
    )
    if report.effects is not None:
        rows = [(said, _percent(report.effects[name])) for name, said in EFFECTS.items()]
        print_table("why: sums of the nights, after tax", ["cause", "of the difference"], rows)
    if report.standing is not None:
        rows = [(_name(name), _measure(name, report.standing[name])) for name in MEASURES]
        print_table(f"since {report.standing['inception_date']}", ["measure", "value"], rows)
    if report.spread is not None:
        spread = [(name.replace("_", " "), _spread(name, value)) for name, value in report.spread.items()]
        print_table("accounts that were in it throughout", ["", "value"], spread)
    if report.twin is not None:
        _print_twin(report.twin)
    for text in notices(report):
        notice(text)
    if report.kind == ACCOUNT:
        notice(
            "Returns are time-weighted and before tax but where a line says so. Past performance says little of what is to come."
        )


def _print_twin(twin: Mapping[str, Any]) -> None:
    rows = [(said, f"{twin[name]:,.2f}") for name, said in TWIN.items()]
    print_table(f"beside its twin ({twin['twin_policy']}) since {twin['twin_since_date']}, USD", ["", "more"], rows)
    say(
        f"Invested at {GROWTH:.0%} a year for {YEARS} years and all sold then at {LATER_RATE:.1%}, the tax saved so far would be worth "
        f"{twin['saving_worth_usd']:,.2f} USD: assumptions, no forecast."
    )


def _name(measure: str) -> str:
    text = measure.replace("_", " ").replace("liquidated return", "after-tax return, were all sold")
    return f"{text}, a year" if measure in A_YEAR else text


def _measure(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if name in RATIOS else _percent(value)


def _spread(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if name == "account_count" else _percent(value)


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{100 * fraction:+.2f} %"
