"""Rows of no account, in whole nights: whatever shard they are landed in, they cost the accounts that they could mean, and no other."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import RunKind
from schemas.run import RunRef
from schemas.settings import Settings
from tasks.review.explain import explain_account
from tasks.runtime.stores import open_ledger
from tests.support.landing_book import AS_OF, rows_of, sound_book, with_row, write_book
from tests.support.night_driver import run_night
from warehouse.lake.lake import open_lake

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1

TOTALS = rows_of("account_id | value_usd | lot_count\nA1 | 1387.5 | 2\nA2 | 703.5 | 1\nA3 | 150 | 1")
LOT = {"security_id": "STK", "lot_id": "7", "quantity": "1"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A shard for each household."""
    return Settings(home=tmp_path / "home", max_quarantined_fraction=1.0, accounts_per_shard=1)


def night(settings: Settings, folder: Path, book: dict[str, pl.DataFrame], day: int = 0, *accounts: str) -> RunRef:
    folder.mkdir(exist_ok=True)
    write_book(folder, book, "csv")
    kind = RunKind.MANUAL if accounts else RunKind.NIGHTLY
    return run_night(settings, folder, AS_OF + timedelta(days=day), kind=kind, scope=accounts)


def reasons(settings: Settings, run: RunRef) -> dict[str, str]:
    """Reason of each account quarantined."""
    outcomes = open_lake(settings).read("account_outcomes", run.run_id).filter(outcome="quarantined").sort("account_id")
    return dict(outcomes.select("account_id", "reason").iter_rows())


def set_aside(settings: Settings, run: RunRef) -> list[str | None]:
    return open_lake(settings).read("quarantine", run.run_id)["account_id"].to_list()


@pytest.mark.parametrize(("text", "account"), [("a3", "A3"), ("A-1", "A1"), ("A02", "A2")])
def test_a_respelt_row_costs_its_account_in_whatever_shard_that_is(
    settings: Settings, tmp_path: Path, text: str, account: str
) -> None:
    run = night(settings, tmp_path / "landing", with_row("lots", account_id=text, **LOT))
    assert reasons(settings, run)[account] == "lots:account_known"
    assert set_aside(settings, run) == [text]
    with closing(open_ledger(settings)) as ledger:
        page = explain_account(open_lake(settings), ledger.runs, ledger.proposals, ledger.amendments, account)
    assert [one["text"] for one in page["causes"]] == ["lots.csv row 5 (account_known)"]


def test_so_it_does_where_only_one_account_is_asked_for_and_rows_of_others_are_left_to_the_night(
    settings: Settings, tmp_path: Path
) -> None:
    book = with_row("lots", account_id="a3", **LOT)
    foreign = pl.DataFrame([{**book["lots"].row(0, named=True), "account_id": "Z9"}])
    book["lots"] = pl.concat([book["lots"], foreign])
    first = night(settings, tmp_path / "landing", book)
    assert sorted(map(str, set_aside(settings, first))) == ["Z9", "a3"]
    for account, aside in (("A3", ["a3"]), ("A1", [])):  # its rows are copied within the lake
        run = night(settings, tmp_path / "landing", book, 0, account)
        assert set_aside(settings, run) == aside
        assert reasons(settings, run) == ({"A3": "lots:account_known"} if aside else {})


def test_a_row_that_could_be_anybodys_leaves_those_that_are_vouched_for_alone(
    settings: Settings, tmp_path: Path
) -> None:
    book = with_row("lots", **LOT)
    run = night(settings, tmp_path / "landing", {**book, "account_totals": TOTALS.head(2)})
    assert reasons(settings, run) == {"A3": "lots:account_known"}
    assert set_aside(settings, run) == [None]
    landed = open_lake(settings).read("landed_lots", run.run_id)
    assert landed.height == book["lots"].height


def test_the_night_before_vouches_for_what_came_whole(settings: Settings, tmp_path: Path) -> None:
    first = night(settings, tmp_path / "first", {**sound_book(), "account_totals": TOTALS.head(1)})
    assert open_lake(settings).read("vouched", first.run_id)["account_id"].to_list() == ["A1"]
    second = night(settings, tmp_path / "second", with_row("lots", **LOT), 1)
    assert reasons(settings, second) == {}
    assert sorted(open_lake(settings).read("vouched", second.run_id)["account_id"]) == ["A1", "A2", "A3"]


def test_a_wrong_total_costs_its_account_and_its_managed_household(settings: Settings, tmp_path: Path) -> None:
    totals = rows_of("account_id | lot_count\nA1 | 2\nA2 | 2\nA3 | 1")
    run = night(settings, tmp_path / "landing", {**sound_book(), "account_totals": totals})
    assert reasons(settings, run) == {"A2": "account_totals:lot_count_as_delivered"}
    outcomes = dict(
        open_lake(settings).read("account_outcomes", run.run_id).select("account_id", "outcome").iter_rows()
    )
    assert outcomes["A1"] == "blocked"
