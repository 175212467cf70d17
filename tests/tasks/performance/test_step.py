"""Performance of whole nights: what is missed, corrected, reported, opened and closed, and that it moves no trade."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from schemas.enums import FlowSource, ReturnMethod
from schemas.settings import Settings
from schemas.tables import PUBLIC
from tasks.operate.replay import replay_run
from tasks.performance.before import RECORD
from tasks.performance.step import performance_task
from tasks.pull.pull import run_ref
from tasks.runtime.run_settings import use_settings
from tasks.runtime.stores import open_ledger
from tests.support.landing_book import AS_OF, rows_of, sound_book, write_book
from tests.support.night_driver import as_bits, public_tables, run_night
from warehouse.lake.lake import open_lake

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]

ONE: Final = AS_OF
"""A Monday."""
TWO, THREE, FOUR = (ONE + timedelta(days=number) for number in (1, 2, 3))
Book = dict[str, pl.DataFrame]


def book_on(day: date, stocks: str = "101.25", bonds: str = "50", **tables: str) -> Book:
    book = sound_book()
    drawn = f"security_id | price_usd | price_date\nSTK | {stocks} | {day}\nBND | {bonds} | {day}\nOLD | 3 | {day}"
    return book | {"prices": rows_of(drawn), **{name: rows_of(text) for name, text in tables.items()}}


def home_in(folder: Path, **changes: object) -> Settings:
    """Two shards."""
    limits = {"max_quarantined_fraction": 1.0, "max_price_move": None, "max_price_age_sessions": 5}
    made = Settings(home=folder / "home", accounts_per_shard=2, **{**limits, **changes})
    made.home.mkdir(parents=True)
    return made


def night(settings: Settings, day: date, book: Book, label: str = "") -> str:
    folder = settings.home.parent / f"{day}{label}"
    folder.mkdir()
    write_book(folder, book, "csv")
    return run_night(settings, folder, day).run_id


def newest(settings: Settings, table: str = "performance") -> pl.DataFrame:
    """What counts of each account and night: as the run started last has it."""
    lake = open_lake(settings)
    with closing(open_ledger(settings)) as ledger:
        runs = sorted(ledger.runs.list_runs(None), key=lambda row: row.started_at)
    parts = [lake.read(table, row.run_id).with_columns(place=pl.lit(number)) for number, row in enumerate(runs)]
    rows = pl.concat(parts)
    return rows.filter(pl.col("place") == pl.col("place").max().over("account_id", "night_date")).sort(
        "account_id", "night_date"
    )


def of(rows: pl.DataFrame, account: str, day: date) -> Mapping[str, object]:
    return rows.filter(pl.col("account_id") == account, pl.col("night_date") == day).row(0, named=True)


def figures(settings: Settings) -> pl.DataFrame:
    """Of every account and night, without the names of runs, to the last bit."""
    return as_bits(newest(settings).drop("place", "night_run_id", "since_run_id"))


@dataclass(frozen=True)
class Nights:
    """A home, and its runs by label."""

    settings: Settings
    runs: Mapping[str, str]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    """Four nights: A3 is not there on the first; A1's cash cannot be read on the second; flows are reported on the third; A1 is gone on the fourth."""
    settings = home_in(tmp_path_factory.mktemp("lived"), twin_policy="plain")
    broken = "account_id | settled_usd | pending_usd\nA1 | much | 0\nA2 | -5.25 | 10\nA3 | 0 | 0"
    cash = "account_id | settled_usd | pending_usd\nA1 | 130 | 0\nA2 | -5.25 | 10\nA3 | 3 | 0"
    flows = f"account_id | flow_date | amount_usd\nA1 | {THREE} | 25\nA3 | {THREE} | much\nA2 | | 3\nZ9 | {TWO} | 1\nA2 | {FOUR} | 1"
    return Nights(
        settings,
        {
            "one": night(settings, ONE, without(book_on(ONE), "A3")),
            "two": night(settings, TWO, book_on(TWO, "90", cash=broken)),
            "three": night(settings, THREE, book_on(THREE, "111.375", "55", flows=flows, cash=cash)),
            "four": night(settings, FOUR, without(book_on(FOUR, "111.375", "60.5", flows=flows, cash=cash), "A1")),
        },
    )


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    """Three nights, of which the second was wrong and was run again."""
    settings = home_in(tmp_path_factory.mktemp("corrected"))
    runs = {
        f"{day}": night(settings, day, book_on(day, price))
        for day, price in ((ONE, "101.25"), (TWO, "90"), (THREE, "105"))
    }
    return Nights(settings, {**runs, "again": night(settings, TWO, book_on(TWO, "104"), "-again")})


@pytest.fixture(scope="module")
def caught_up(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    """The same nights, right at once; the step was off on the second."""
    settings = home_in(tmp_path_factory.mktemp("caught-up"))
    off = settings.model_copy(update={"is_performance_written": False})
    runs = {
        "one": night(settings, ONE, book_on(ONE)),
        "two": night(off, TWO, book_on(TWO, "104")),
        "three": night(settings, THREE, book_on(THREE, "105")),
    }
    return Nights(settings, runs)


def without(book: Book, account: str) -> Book:
    return {
        name: rows.filter(pl.col("account_id").ne_missing(account)) if "account_id" in rows.columns else rows
        for name, rows in book.items()
    }


def test_a_night_earns_what_its_prices_moved(lived: Nights) -> None:
    found = of(newest(lived.settings), "A2", TWO)
    assert found["value_usd"] == Decimal("634.75")
    assert found["daily_return"] == pytest.approx(7 * (90 - 101.25) / 713.5)
    assert (found["method"], found["flow_source"]) == (ReturnMethod.LINKED, FlowSource.INFERRED)
    assert found["since_date"] == ONE
    effects = newest(lived.settings, "attribution").filter(pl.col("account_id") == "A2", pl.col("night_date") == TWO)
    assert effects["tracking_difference"].sum() == pytest.approx(found["tracking_difference"], abs=1e-12)


def test_a_return_over_nights_on_which_an_account_was_set_aside_is_that_of_all_of_them(lived: Nights) -> None:
    rows = newest(lived.settings)
    assert rows.filter(pl.col("account_id") == "A1")["night_date"].to_list() == [ONE, THREE]
    found = of(rows, "A1", THREE)
    dietz = 1387.5 + 0  # the flow of 25 came on the night itself
    assert found["daily_return"] == pytest.approx((10 * 10.125 + 5.5 * 5 + 5) / dietz)
    assert (found["since_date"], found["night_count"]) == (ONE, 2)
    assert of(rows, "A2", THREE)["night_count"] == 3


def test_a_flow_that_is_reported_counts_and_one_that_cannot_be_read_costs_nobody_a_night(lived: Nights) -> None:
    rows = newest(lived.settings)
    reported, other = of(rows, "A1", THREE), of(rows, "A3", THREE)
    assert (reported["flow_usd"], reported["flow_source"]) == (25, FlowSource.REPORTED)
    assert (other["flow_usd"], other["flow_source"]) == (3, FlowSource.INFERRED)
    lake = open_lake(lived.settings)
    aside = lake.read("quarantine", lived.runs["three"]).filter(pl.col("table_name") == "flows").sort("landed_row")
    assert aside["broken_rules"].to_list() == [
        "amount_usd_readable",
        "flow_date_required",
        "account_known",
        "flow_date_not_after_as_of",
    ]
    outcomes = lake.read("account_outcomes", lived.runs["three"])
    assert outcomes.filter(pl.col("outcome") == "quarantined").is_empty()


def test_accounts_open_and_close(lived: Nights) -> None:
    rows = newest(lived.settings)
    assert rows.filter(pl.col("account_id") == "A3")["method"].to_list() == ["first", "linked", "linked"]
    assert rows.filter(pl.col("account_id") == "A1")["night_date"].max() == THREE
    assert of(rows, "A3", FOUR)["inception_return"] == pytest.approx(1.1 * (184.5 / 168) - 1)


def test_a_night_is_replayed_with_its_performance(lived: Nights, tmp_path: Path) -> None:
    found = replay_run(lived.settings, lived.runs["four"], tmp_path)
    assert [one.table for one in found.differing] == []
    assert set(RECORD) <= {one.table for one in found.computed}
    moved = of(newest(lived.settings), "A3", FOUR)
    assert moved["money_weighted_return"] != moved["inception_return"]


def test_a_night_that_is_run_again_carries_every_later_night_with_it(corrected: Nights, caught_up: Nights) -> None:
    """And one on which the step was off is caught up: either way the figures are those of nights that were right at once."""
    assert figures(corrected.settings).equals(figures(caught_up.settings))
    rewritten = open_lake(corrected.settings).read("performance", corrected.runs["again"])
    assert sorted(rewritten["night_date"].unique()) == [TWO, THREE]
    assert set(rewritten.filter(pl.col("night_date") == THREE)["since_run_id"]) == {corrected.runs["again"]}
    found = of(newest(caught_up.settings), "A1", THREE)
    assert found["night_count"] == 3
    assert found["inception_return"] == pytest.approx(37.5 / 1387.5)


def test_a_run_of_several_nights_is_replayed_without_its_performance(corrected: Nights, tmp_path: Path) -> None:
    found = replay_run(corrected.settings, corrected.runs["again"], tmp_path)
    assert found.is_same
    assert any("several nights" in notice for notice in found.notices)


def test_the_step_done_twice_is_done_once_and_moves_nothing_else(corrected: Nights, caught_up: Nights) -> None:
    run_id = corrected.runs["again"]
    mine, off = public_tables(corrected.settings, run_id), public_tables(caught_up.settings, caught_up.runs["two"])
    assert run_id == caught_up.runs["two"]
    assert all(mine[name].equals(off[name]) for name in PUBLIC if name not in RECORD)
    assert off["performance"].is_empty()
    with use_settings(corrected.settings), closing(open_ledger(corrected.settings)) as ledger:
        row = ledger.runs.get_run(run_id)
        assert row is not None
        for shard in range(row.shard_count):
            performance_task.fn(run_ref(row), shard)
    assert all(mine[name].equals(table) for name, table in public_tables(corrected.settings, run_id).items())


def test_a_twin_trades_by_its_policy_and_conserves_what_it_is_worth(lived: Nights) -> None:
    """A2's twin a night on: its lots of before at tonight's prices and its cash, less half spreads, are what it is worth after its trades."""
    twins = newest(lived.settings, "twins")
    lots, states = newest(lived.settings, "twin_lots"), newest(lived.settings, "twin_state")
    assert set(twins["twin_policy"]) == {"plain"}
    assert twins["order_count"].sum() > 0
    prices = {ONE: (101.25, 50), TWO: (90, 50), THREE: (111.375, 55), FOUR: (111.375, 60.5)}
    for then, now in ((ONE, TWO), (TWO, THREE), (THREE, FOUR)):
        unit = dict(zip(("STK", "BND"), prices[now], strict=True))
        held = lots.filter(pl.col("account_id") == "A2", pl.col("night_date") == then)
        worth = sum(float(count) * unit[name] for name, count in held.select("security_id", "quantity").rows())
        was, after = of(states, "A2", then), of(states, "A2", now)
        spent = float(str(after["cost_total_usd"])) - float(str(was["cost_total_usd"]))
        value = float(str(of(twins, "A2", now)["value_usd"]))
        assert value == pytest.approx(worth + float(str(was["cash_usd"])) - spent, abs=1e-4)
    sums = twins.select(
        pl.col("pre_liquidation_usd")
        - pl.col("tax_alpha_usd")
        - pl.col("cost_difference_usd")
        - pl.col("market_difference_usd")
    ).to_series()
    assert sums.abs().max() <= Decimal("0.000002")


def test_the_twin_that_never_trades_of_an_account_that_did_not_is_the_account(
    corrected: Nights, caught_up: Nights
) -> None:
    names = ("value_usd", "tax_alpha_usd", "post_liquidation_usd", "drift_difference", "order_count")
    mine, right = (
        newest(nights.settings, "twins").select("account_id", "night_date", *names) for nights in (corrected, caught_up)
    )
    assert mine.equals(right)
    assert mine.select(pl.col(*names[1:]).abs().max()).row(0) == (0, 0, 0, 0)
    own = newest(corrected.settings).select("account_id", "night_date", own="value_usd")
    assert mine.join(own, on=["account_id", "night_date"]).filter(pl.col("own") != pl.col("value_usd")).is_empty()
