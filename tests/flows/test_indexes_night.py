"""Whole nights of an account that holds its stocks as an index of 120 names: targets, orders, the budget, pages, a replay, a look between nights."""

from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pytest

from flows.commands.explain import print_page
from flows.commands.terminal import text_console
from schemas.run import RunRef
from schemas.settings import Settings
from tasks.operate.replay import replay_run
from tasks.review.account import AccountStores, account_page
from tasks.review.explain import explain_account
from tasks.runtime.stores import open_ledger
from tests.support.landing_book import AS_OF, rows_of, sound_book, write_book
from tests.support.night_driver import run_night
from warehouse.lake.lake import open_lake

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1

COUNT: Final = 120
NAMES: Final = tuple(f"N{number:03}" for number in range(COUNT))
WEIGHTS: Final = np.linspace(2, 1, COUNT) / np.linspace(2, 1, COUNT).sum()
DIRECT: Final = """
    account_id | asset_class | index_id | tracking_budget
    A1         | stocks      | broad    | 0.05
    A3         | bonds       | broad    |
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home of its own."""
    return Settings(home=tmp_path / "home", max_quarantined_fraction=1.0, max_run_turnover=None, guard_min_accounts=100)


def book(direct: str | None = DIRECT, *, day: int = 0, exclude: str | None = "N000") -> dict[str, pl.DataFrame]:
    """The sound book; A1 holds every second name at its weight, one in three at a loss, and is otherwise in cash."""
    found = sound_book()
    found["accounts"] = found["accounts"].with_columns(status=pl.lit("active"), model_id=pl.lit("growth"))
    held = [number for number in range(COUNT) if number % 2 == 0]
    lots = pl.DataFrame(
        [
            {
                "account_id": "A1",
                "security_id": NAMES[number],
                "lot_id": "1",
                "quantity": f"{1_000_000 * 0.7 * WEIGHTS[number] / 50:.3f}",
                "unit_cost_usd": "80" if number % 3 == 0 else "45",
                "acquired_date": "2024-02-01",
            }
            for number in held
        ],
        schema=found["lots"].schema,
    )
    own = found["lots"].filter(pl.col("account_id") != "A1")
    bonds = rows_of("account_id|security_id|lot_id|quantity|unit_cost_usd|acquired_date\nA1|BND|1|5600|50|2020-01-02")
    found["lots"] = pl.concat([own, bonds, lots])
    found["cash"] = found["cash"].with_columns(
        settled_usd=pl.when(pl.col("account_id") == "A1").then(pl.lit("400000")).otherwise("settled_usd")
    )
    names = pl.DataFrame({"security_id": NAMES})
    like = found["securities"].filter(security_id="STK").drop("security_id", "symbol", "quantity_step")
    listed = names.with_columns(symbol="security_id", quantity_step=pl.lit("0.001")).join(like, how="cross")
    found["securities"] = pl.concat([found["securities"], listed.select(found["securities"].columns)])
    priced = names.with_columns(price_usd=pl.lit("50"), price_date=pl.lit("2026-01-05"))
    date = (AS_OF + timedelta(days=day)).isoformat()
    found["prices"] = pl.concat([found["prices"], priced]).with_columns(price_date=pl.lit(date))
    found["policies"] = found["policies"].with_columns(is_harvesting=pl.lit("true"), min_trade_usd=pl.lit("0"))
    found["index_weights"] = pl.DataFrame(
        {
            "index_id": "broad",
            "security_id": NAMES,
            "weight": [f"{weight:.9f}" for weight in WEIGHTS],
            "weight_date": "2026-01-02",
        }
    )
    del found["restrictions"], found["households"], found["trades"]
    if direct is not None:
        rows = rows_of(direct).with_columns(exclude=pl.lit(exclude, pl.String))
        found["direct_indexes"] = rows.filter(pl.col("account_id") != "A3")
    return found


def night(settings: Settings, tables: Mapping[str, pl.DataFrame], day: int = 0) -> RunRef:
    folder = settings.home.parent / f"landing-{day}"
    folder.mkdir(exist_ok=True)
    write_book(folder, tables, "csv")
    return run_night(settings, folder, AS_OF + timedelta(days=day))


def of_account(settings: Settings, table: str, run: RunRef, account: str = "A1") -> list[dict[str, Any]]:
    return open_lake(settings).read(table, run.run_id).filter(account_id=account).sort(pl.all()).to_dicts()


def test_a_night_holds_the_index_within_its_budget_and_every_page_is_short(settings: Settings) -> None:
    run = night(settings, book())
    drift = {row["asset_class"]: row for row in of_account(settings, "drift", run)}
    assert len(drift) == 122
    (proposal,) = of_account(settings, "proposals", run)
    assert float(proposal["nav_usd"]) == pytest.approx(400_000 + 280_000 + 700_000 * WEIGHTS[::2].sum(), abs=1)
    orders = of_account(settings, "orders", run)
    bought = {row["security_id"] for row in orders if row["side"] == "buy"}
    sold = {row["security_id"] for row in orders if row["side"] == "sell"}
    assert "N000" in sold
    assert not bought & sold
    assert "N000" not in bought
    assert len(bought) > 60
    with closing(open_ledger(settings)) as ledger:
        lake = open_lake(settings)
        page = explain_account(lake, ledger.runs, ledger.proposals, ledger.amendments, "A1", has_frontier=True)
        at = AccountStores(lake, ledger.runs, ledger.proposals, ledger.amendments, ledger.answers)
        whole = account_page(at, "A1")
    (told,) = page["indexes"]
    assert (told["member_count"], told["left_out_count"]) == (120, 1)
    assert told["unheld_after"] <= max(0.05, told["unheld"]) + 1e-9
    assert told["sentence"].startswith(
        "stocks is held as the index broad: 119 of 120 securities, 1 left out (1.11% of it)."
    )
    assert whole["indexes"][0]["index_id"] == "broad"
    console = text_console(100)
    with console.capture() as said:
        print_page(page, console)
    lines = said.get().splitlines()
    assert len([line for line in lines if line.startswith("stocks (")]) == 3  # weights, ways, losses
    assert [line for line in lines if line.startswith("stocks::")] == [
        "stocks::N000: Sells 7,777.80 USD outright: a rule says so."
    ]
    assert replay_run(settings, run.run_id, settings.home.parent / "again").is_same


def test_an_index_that_cannot_be_used_stops_the_accounts_that_hold_it_alone(settings: Settings) -> None:
    tables = book()
    tables["index_weights"] = tables["index_weights"].head(100)
    run = night(settings, tables)
    outcomes = {row["account_id"]: row for row in open_lake(settings).read("account_outcomes", run.run_id).to_dicts()}
    assert (outcomes["A1"]["outcome"], outcomes["A1"]["reason"]) == ("quarantined", "direct_indexes:index_known")
    assert outcomes["A2"]["outcome"] != "quarantined"


def test_an_index_that_is_gone_stops_its_account_until_it_is_said_that_it_is_held_no_more(settings: Settings) -> None:
    night(settings, book())
    gone = night(settings, book(None, day=1), day=1)
    assert of_account(settings, "account_outcomes", gone)[0]["reason"] == "accounts:direct_index_kept"
    ended = night(settings, book(DIRECT.replace("broad    | 0.05", "         |     "), day=2), day=2)
    assert "stocks" in {row["asset_class"] for row in of_account(settings, "drift", ended)}


def test_the_record_adds_up_over_the_members_of_an_index(settings: Settings) -> None:
    night(settings, book())
    tables = book(day=1)
    tables["prices"] = tables["prices"].with_columns(
        price_usd=pl.when(pl.col("security_id") == "N002").then(pl.lit("60")).otherwise("price_usd")
    )
    run = night(settings, tables, day=1)
    (row,) = of_account(settings, "performance", run)
    effects = of_account(settings, "attribution", run)
    assert sum(one["tracking_difference"] for one in effects) == pytest.approx(row["tracking_difference"], abs=1e-9)
    share = WEIGHTS[2] / (1 - WEIGHTS[0])
    assert row["model_return"] == pytest.approx(0.7 * share * 0.2, abs=1e-9)
