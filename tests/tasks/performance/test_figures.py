"""What is shown of performance: by the command, by REST and in charts, the same figures; of an account, a household and a model."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final

import polars as pl
import pytest
from typer.testing import CliRunner

from console.pages.records.performance import account_chart
from console.shared.performance_charts import bars_chart, growth_chart
from flows.commands.cli import app
from schemas.enums import Role, Scope
from schemas.errors import ExitCode, WrongUsage
from schemas.settings import Settings
from tasks.performance.figures import account_report, group_report
from tasks.performance.month import month_page, page
from tasks.pull.pull import run_ref
from tasks.runtime.run_settings import use_settings
from tasks.runtime.steps import open_stores
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.console_scene import Api, api_on
from tests.support.landing_book import AS_OF, rows_of, sound_book, write_book
from tests.support.night_driver import run_night
from warehouse.lake.lake import open_lake

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]

DAYS: Final = tuple(AS_OF + timedelta(days=number) for number in range(3))
STOCKS: Final = ("101.25", "111.375", "105")
FLOWS: Final = f"account_id | flow_date | amount_usd\nA2 | {DAYS[1]} | 100"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Three nights of A1 and A2, a household, and A3; 100 USD come to A2 on the second."""
    folder = tmp_path_factory.mktemp("figures")
    made = Settings(
        home=folder / "home",
        max_quarantined_fraction=1.0,
        max_price_move=None,
        max_price_age_sessions=5,
        max_unexplained_cash_fraction=10.0,
    )
    cash = "account_id | settled_usd | pending_usd\nA1 | 100 | 0\nA2 | {} | 10\nA3 | 0 | 0"
    for number, (day, price) in enumerate(zip(DAYS, STOCKS, strict=True)):
        prices = f"security_id | price_usd | price_date\nSTK | {price} | {day}\nBND | 50 | {day}\nOLD | 3 | {day}"
        tables = {
            "prices": prices,
            "cash": cash.format("94.75" if number else "-5.25"),
            "flows": FLOWS if number else None,
        }
        drawn = {name: rows_of(text) for name, text in tables.items() if text}
        (folder / f"{day}").mkdir()
        write_book(folder / f"{day}", {**sound_book(), **drawn}, "csv")
        run_night(made, folder / f"{day}", day)
    (made.home / "trimtab.toml").write_text("")
    return made


def said(settings: Settings, *words: str, code: int = 0) -> str:
    with use_settings(settings):
        done = CliRunner().invoke(app, ["performance", *words])
    if code:
        assert isinstance(done.exception, WrongUsage)
        return str(done.exception)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def figures(settings: Settings, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(settings, *words, "--json"))
    return found


def test_an_account_is_shown_with_what_it_earned_and_why(settings: Settings) -> None:
    found = figures(settings, "A1")
    assert (found["first"], found["last"]) == (f"{DAYS[0]}", f"{DAYS[2]}")
    assert found["period"]["earned"] == pytest.approx(37.5 / 1387.5)
    assert found["standing"]["inception_return"] == pytest.approx(found["period"]["earned"])
    effects = found["effects"]
    assert sum(effects[name] for name in ("allocation", "trading_cost", "tax", "residual")) == pytest.approx(
        effects["tracking_difference"]
    )
    text = said(settings, "A1")
    assert "account A1, 2026-01-05 to 2026-01-07, 3 nights" in text
    assert "+2.70 %" in text
    assert "drift" in text


def test_a_period_may_be_cut(settings: Settings) -> None:
    cut = figures(settings, "A1", "--from", f"{DAYS[2]}", "--to", f"{DAYS[2]}")
    assert cut["period"]["earned"] == pytest.approx(1425 / 1488.75 - 1)
    assert (cut["first"], cut["last"]) == (f"{DAYS[1]}", f"{DAYS[2]}")


def test_a_household_is_one_account(settings: Settings) -> None:
    found = figures(settings, "--household", "H1")
    then = 1387.5 + 713.5
    first = 1 + (10 + 7) * 10.125 / then
    second = 1 + (10 + 7) * (105 - 111.375) / (then * first + 100)
    assert found["period"]["earned"] == pytest.approx(first * second - 1)
    assert found["spread"]["account_count"] == 2
    assert "accounts that were in it throughout" in " ".join(said(settings, "--household", "H1").split())


def test_a_model_is_a_composite_of_its_accounts(settings: Settings) -> None:
    growth, income = figures(settings, "--model", "growth"), figures(settings, "--model", "income")
    assert growth["spread"]["account_count"] == 2
    assert growth["spread"]["spread"] > 0
    assert income["period"]["earned"] == 0
    assert (income["spread"]["account_count"], income["spread"]["spread"]) == (1, None)


def test_what_there_is_not_is_said_in_a_sentence(settings: Settings) -> None:
    assert said(settings, "A9", code=ExitCode.WRONG_USAGE).startswith("account A9 has no performance")
    assert "model none has no performance from 2026-01-06 to now" in said(
        settings, "--model", "none", "--from", f"{DAYS[1]}", code=ExitCode.WRONG_USAGE
    )
    assert "name one account" in said(settings, code=ExitCode.WRONG_USAGE)
    assert "name one account" in said(settings, "A1", "--model", "growth", code=ExitCode.WRONG_USAGE)


@pytest.fixture(scope="module")
def api(settings: Settings) -> Iterator[Api]:
    with closing(open_ledger(settings)) as ledger:
        ledger.users.add_user("vic", [Role.VIEWER], actor=current_actor(), now=utc_now())
    yield from api_on(settings.home)


def test_the_api_says_what_the_command_says(settings: Settings, api: Api) -> None:
    headers = api.token("vic", Scope.PROPOSALS_READ)
    for path, words in (
        ("accounts/A1", ("A1",)),
        ("models/growth", ("--model", "growth")),
        ("households/H1", ("--household", "H1")),
    ):
        answer = api.client.get(f"/api/{path}/performance", headers=headers)
        assert answer.status_code == 200, answer.text
        theirs, ours = answer.json(), figures(settings, *words)
        for name in ("kind", "subject", "first", "last", "period", "effects", "notices"):
            assert theirs[name] == ours[name], name
    cut = api.client.get(f"/api/accounts/A1/performance?from={DAYS[2]}", headers=headers).json()
    assert cut["period"]["earned"] == pytest.approx(1425 / 1488.75 - 1)
    assert api.client.get("/api/accounts/A9/performance", headers=headers).status_code == 404
    some = api.token("vic", Scope.PROPOSALS_READ, custodians=["Acme"])
    assert api.client.get("/api/accounts/A1/performance", headers=some).status_code == 403


def test_a_chart_grows_as_the_account_grew(settings: Settings, api: Api) -> None:
    with closing(open_ledger(settings)) as ledger:
        report = account_report(open_lake(settings), ledger.runs, "A1")
        house = group_report(open_lake(settings), ledger.runs, household_id="H1")
    options = growth_chart(report.nights)
    assert options["xAxis"]["data"] == [f"{day}" for day in DAYS]
    earned = options["series"][0]["data"]
    assert earned[0] == 0
    assert earned[-1] == pytest.approx(100 * report.period["earned"], abs=1e-4)
    assert growth_chart(house.nights)["series"][1]["name"] == "model"
    assert account_chart(api.backend, "A1") == options
    assert account_chart(api.backend, "A9") is None
    bars = bars_chart({"drift": 0.01, "tax": -0.002})
    assert (bars["yAxis"]["data"], bars["series"][0]["data"]) == (["tax", "drift"], [-0.2, 1.0])


def test_a_report_reads_the_newest_of_a_night(settings: Settings) -> None:
    with closing(open_ledger(settings)) as ledger:
        report = account_report(open_lake(settings), ledger.runs, "A2", date.min, DAYS[1])
    assert report.nights["night_date"].to_list() == list(DAYS[:2])
    assert report.nights["flow_usd"].sum() == 100
    assert report.standing is not None
    assert report.nights.filter(pl.col("flow_source") == "reported").height == 1


def test_the_first_night_of_a_month_sums_up_the_one_before(settings: Settings) -> None:
    with use_settings(settings), open_stores() as at:
        row = at.ledger.runs.list_runs(1)[0]
        assert month_page(at, run_ref(row)) is None
        text = month_page(at, replace(run_ref(row), as_of_date=date(2026, 2, 2)))
    assert text is not None
    assert text.startswith("# Performance of January 2026")
    growth = next(line for line in text.splitlines() if line.startswith("| growth |"))
    assert growth.startswith("| growth | 2 | +")
    assert page([], date(2026, 1, 1)).endswith("No account had a return in the month.\n")


def test_an_account_is_shown_beside_its_twin(settings: Settings) -> None:
    twin = figures(settings, "A1")["twin"]
    assert (twin["twin_policy"], twin["twin_since_date"]) == ("never", f"{DAYS[0]}")
    assert float(twin["post_liquidation_usd"]) == 0
    assert "beside its twin (never) since 2026-01-05" in " ".join(said(settings, "A1").split())
