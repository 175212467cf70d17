"""``trimtab account``: all that is known of an account, against what the landed files and the lake's tables say of it."""

import json
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from typer.testing import CliRunner, Result

from flows.commands.accounts.account import account
from schemas.enums import Outcome
from schemas.errors import WrongUsage
from schemas.settings import Settings
from tasks.demo.sample import make_book
from tasks.review import AccountStores, household_page, security_page
from tasks.runtime.stores import open_ledger
from tests.support.night_driver import run_night
from warehouse.lake.lake import Lake, open_lake

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1

Run = Callable[..., Result]
WIDTH = 100
NIGHTS = 2
app = typer.Typer()
app.command("account")(account)
app.command("other")(lambda: None)


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("landing")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, landing: Path) -> Settings:
    """A home after two nights; on the second every account has 5 dollars more."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    book = make_book(landing, account_count=300)
    run_night(settings, landing, book.as_of_date)
    next_day = book.as_of_date + timedelta(days=1)
    cash = pl.read_parquet(landing / "cash.parquet")
    cash.with_columns(settled_usd=(pl.col("settled_usd") + 5).cast(cash.schema["settled_usd"])).write_parquet(
        landing / "cash.parquet"
    )
    prices = pl.read_parquet(landing / "prices.parquet")
    prices.with_columns(price_date=pl.lit(next_day)).write_parquet(landing / "prices.parquet")
    totals = landing / "account_totals.parquet"
    if totals.is_file():
        totals.unlink()
    run_night(settings, landing, next_day)
    return settings


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return open_lake(settings)


@pytest.fixture
def run_id(settings: Settings) -> str:
    with closing(open_ledger(settings)) as ledger:
        row = ledger.runs.newest_run()
    assert row is not None
    return row.run_id


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("TRIMTAB_HOME", str(settings.home))
    return lambda *words: CliRunner().invoke(app, ["account", *words])


@pytest.fixture
def page_of(run: Run) -> Callable[..., dict[str, Any]]:
    def read(*words: str) -> dict[str, Any]:
        result = run(*words, "--json")
        assert result.exit_code == 0, result.exception
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return read


def firsts(lake: Lake, run_id: str) -> dict[str, str]:
    """An account of each outcome."""
    rows = lake.read("account_outcomes", run_id).sort("account_id").group_by("outcome", maintain_order=True).first()
    return dict(rows.select("outcome", "account_id").iter_rows())


def test_every_outcome_of_the_book_has_a_page_that_fits_a_terminal(run: Run, lake: Lake, run_id: str) -> None:
    for outcome, name in firsts(lake, run_id).items():
        result = run(name)
        assert result.exit_code == 0, result.exception
        assert f"\n{outcome}: " in result.stdout
        assert max(map(len, result.stdout.splitlines())) <= WIDTH


def test_json_has_the_same_keys_for_every_outcome(
    page_of: Callable[..., dict[str, Any]], lake: Lake, run_id: str
) -> None:
    pages = [page_of(name) for name in firsts(lake, run_id).values()]
    assert len({tuple(page) for page in pages}) == 1


def test_holdings_are_the_landed_lots_and_come_to_what_the_classes_come_to(
    page_of: Callable[..., dict[str, Any]], lake: Lake, run_id: str, landing: Path
) -> None:
    name = firsts(lake, run_id)[Outcome.PROPOSED]
    page = page_of(name)
    lots = pl.read_parquet(landing / "lots.parquet").filter(pl.col("account_id") == name)
    shown = {
        (held["security_id"], lot["lot_id"]): Decimal(lot["quantity"])
        for held in page["holdings"]
        for lot in held["lots"]
    }
    assert shown == {(row["security_id"], row["lot_id"]): row["quantity"] for row in lots.iter_rows(named=True)}
    for held in page["holdings"]:
        assert sum(Decimal(lot["value_usd"]) for lot in held["lots"]) == Decimal(held["value_usd"])
        assert Decimal(held["short_gain_usd"]) + Decimal(held["long_gain_usd"]) == Decimal(held["gain_usd"])
    value = sum(Decimal(held["value_usd"]) for held in page["holdings"]) + Decimal(page["cash"]["settled_usd"])
    assert value == sum(Decimal(row["value_usd"]) for row in page["classes"]) + Decimal(page["cash"]["reserve_usd"])


def test_nights_are_newest_first_and_say_what_cash_did(
    page_of: Callable[..., dict[str, Any]], lake: Lake, run_id: str
) -> None:
    name = firsts(lake, run_id)[Outcome.PROPOSED]
    page = page_of(name)
    assert len(page["nights"]) == NIGHTS
    assert page["nights"][0]["run_id"] == run_id == page["run"]["run_id"]
    assert [night["as_of_date"] for night in page["nights"]] == sorted(
        (night["as_of_date"] for night in page["nights"]), reverse=True
    )
    assert Decimal(page["nights"][0]["change_usd"]) == 5
    earlier = page_of(name, "--run", page["nights"][1]["run_id"])
    assert earlier["run"]["as_of_date"] == page["nights"][1]["as_of_date"]
    assert Decimal(page["cash"]["settled_usd"]) - Decimal(earlier["cash"]["settled_usd"]) == 5
    assert {one["run_id"] for one in page["proposals"]} == {
        night["run_id"] for night in page["nights"] if night["outcome"] == Outcome.PROPOSED
    }


def test_a_household_stands_side_by_side_and_shrinks_its_own_drift(settings: Settings, lake: Lake, run_id: str) -> None:
    joint = lake.read("household_drift", run_id)
    proposals = lake.read("proposals", run_id).drop_nulls("household_id")
    name = proposals["household_id"].sort()[0]
    members = lake.read("landed_accounts", run_id).filter(pl.col("household_id") == name)["account_id"].sort()
    with closing(open_ledger(settings)) as ledger:
        at = AccountStores(lake, ledger.runs, ledger.proposals, ledger.amendments, ledger.answers)
        page = household_page(at, name)
        earlier = household_page(at, name, run_id=ledger.runs.list_runs()[-1].run_id)
        with pytest.raises(WrongUsage, match="no run has a household H-none"):
            household_page(at, "H-none")
    assert earlier["run"]["run_id"] != page["run"]["run_id"] == run_id
    assert [one["account_id"] for one in page["accounts"]] == members.to_list()
    assert page["is_managed"]
    mine = joint.filter(pl.col("household_id") == name)
    assert page["nav_usd"] == mine["nav_usd"][0] == mine["value_usd"].sum()
    assert page["one_way_drift"] == pytest.approx(mine["drift"].abs().sum() / 2)
    assert page["one_way_drift_after"] < page["one_way_drift"]
    cost = sum(one["est_cost_usd"] for one in page["accounts"] if one["proposal_id"])
    assert sum(row["value_after_usd"] for row in page["classes"]) == page["nav_usd"] - cost


def test_a_security_says_who_holds_it_and_what_is_proposed(
    settings: Settings, lake: Lake, run_id: str, landing: Path
) -> None:
    orders = lake.read("orders", run_id).sort("security_id")
    name = orders["security_id"][0]
    lots = pl.read_parquet(landing / "lots.parquet").filter(pl.col("security_id") == name, pl.col("quantity") > 0)
    with closing(open_ledger(settings)) as ledger:
        at = AccountStores(lake, ledger.runs, ledger.proposals, ledger.amendments, ledger.answers)
        page = security_page(at, name)
        with pytest.raises(WrongUsage, match=f"run {run_id} has no security nothing"):
            security_page(at, "nothing")
    assert page["held"]["quantity"] == lots["quantity"].sum()
    assert page["held"]["holder_count"] == lots["account_id"].n_unique()
    told = orders.filter(pl.col("security_id") == name)
    assert sum(row["count"] for row in page["orders"]) == told.height
    assert sum(row["value_usd"] for row in page["orders"]) == told["value_usd"].sum()


def test_what_is_not_there_is_refused_in_a_sentence(run: Run, run_id: str) -> None:
    for words, sentence in {
        ("nobody",): "no run has an account nobody",
        ("nobody", "--run", run_id): f"run {run_id} has no outcome for an account nobody",
        ("A0000001", "--run", "monday"): "there is no run monday",
        ("'; select 1", "--run", run_id): f"run {run_id} has no outcome for an account '; select 1",
    }.items():
        error = run(*words).exception
        assert isinstance(error, WrongUsage)
        assert str(error).startswith(sentence)


def test_restrictions_of_the_account_and_of_everyone_are_sentences(run: Run, lake: Lake, run_id: str) -> None:
    own = lake.read("landed_restrictions", run_id).drop_nulls("account_id").sort("account_id", "security_id")
    quarantined = lake.read("quarantine", run_id).filter(table_name="restrictions")["landed_row"]
    row = own.filter(~pl.col("row_number").is_in(quarantined.implode())).row(0, named=True)
    assert f"{row['rule'].replace('_', ' ')} {row['security_id']}" in run(row["account_id"]).stdout
    assert isinstance(row["until_date"], date | None)
