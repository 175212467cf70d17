"""Files laid end to end: a row is known by its file and its row there, read or copied, in a run over all accounts or some."""

from contextlib import closing
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import RunKind
from schemas.landing import CONTRACTS
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.settings import Settings
from schemas.sources import Source
from tasks.pull.pull import pull_task
from tasks.pull.request import Request
from tasks.runtime.run_settings import use_settings
from tasks.runtime.stores import open_ledger
from tasks.validate.validate import validate_task
from tests.support.landing_book import sound_book, write_book
from warehouse.lake.lake import open_lake
from warehouse.ledger import InputState

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1

AS_OF = date(2026, 1, 5)
NEXT = date(2026, 1, 6)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Lots and cash in two places: of A1 and A2 here, of A3 there, each with a row that cannot be read."""
    book = sound_book()
    lots, cash = book.pop("lots"), book.pop("cash")
    lots = lots.with_columns(quantity=pl.col("quantity").replace({"5.5": "5,5", "3": "three"}))
    mine = pl.col("account_id") != "A3"
    places = {
        "book": book,
        "here": {"lots": lots.filter(mine), "cash": cash.filter(mine)},
        "there": {"lots": lots.filter(~mine), "cash": cash.filter(~mine)},
    }
    for name, tables in places.items():
        (tmp_path / name).mkdir()
        write_book(tmp_path / name, tables, "csv")
    sources = [Source(name=name, url=str(tmp_path / name)) for name in places]
    return Settings(home=tmp_path / "home", sources=tuple(sources), max_quarantined_fraction=1.0)


def pulled(settings: Settings, as_of: date, scope: tuple[str, ...] = ()) -> RunRef:
    """A run pulled and validated; what comes after does not matter here."""
    kind = RunKind.MANUAL if scope else RunKind.NIGHTLY
    with use_settings(settings):
        run = pull_task.fn(Request(settings.sources_of(as_of), as_of, kind, "prefect", scope))
        for shard in (GLOBAL_SHARD, *run.shards):
            validate_task.fn(run, shard)
    return run


def messages(settings: Settings, run_id: str) -> list[str]:
    return open_lake(settings).read("quarantine", run_id)["message"].sort().to_list()


def states(settings: Settings, run_id: str) -> set[InputState]:
    with closing(open_ledger(settings)) as ledger:
        return {row.state for row in ledger.inputs.inputs_of(run_id)}


def landed(settings: Settings, run_id: str) -> dict[str, pl.DataFrame]:
    lake = open_lake(settings)
    found = {table: lake.read(f"landed_{table}", run_id) for table in CONTRACTS}
    return {table: rows.sort("row_number") for table, rows in found.items()}


BROKEN = [
    "lots.csv row 1: quantity is three; needed a number of at most 12 digits before the point and 6 after it.",
    "lots.csv row 2: quantity is 5,5; needed a number of at most 12 digits before the point and 6 after it.",
]


def test_a_broken_row_is_told_by_the_row_of_its_own_file(settings: Settings) -> None:
    assert messages(settings, pulled(settings, AS_OF).run_id) == BROKEN


def test_rows_have_one_number_each_in_their_table(settings: Settings) -> None:
    night = pulled(settings, AS_OF)
    lots = landed(settings, night.run_id)["lots"]
    assert lots["row_number"].to_list() == [1, 2, 3, 4]
    assert lots["account_id"].to_list() == ["A1", "A1", "A2", "A3"]
    gate = open_lake(settings).read("gate", night.run_id).sort("account_id")
    assert gate["account_id"].to_list() == ["A1", "A3"]


def test_rows_that_are_copied_are_the_rows_that_were_read(settings: Settings) -> None:
    first = pulled(settings, AS_OF)
    second = pulled(settings, NEXT)
    assert states(settings, second.run_id) == {InputState.COPIED}
    before, after = landed(settings, first.run_id), landed(settings, second.run_id)
    for table in CONTRACTS:
        assert after[table].equals(before[table]), table
    assert messages(settings, second.run_id) == BROKEN


def test_files_in_another_order_are_copied_to_their_new_places(settings: Settings) -> None:
    pulled(settings, AS_OF)
    book, here, there = settings.sources
    turned = settings.model_copy(update={"sources": (book, there, here)})
    second = pulled(turned, NEXT)
    assert states(turned, second.run_id) == {InputState.COPIED}
    lots = landed(turned, second.run_id)["lots"]
    assert lots.select("account_id", "row_number").rows() == [("A3", 1), ("A1", 2), ("A1", 3), ("A2", 4)]
    assert messages(turned, second.run_id) == BROKEN


def test_a_run_over_one_account_copies_what_it_needs(settings: Settings) -> None:
    pulled(settings, AS_OF)
    night = pulled(settings, NEXT, ("A3",))
    assert states(settings, night.run_id) == {InputState.COPIED}
    rows = landed(settings, night.run_id)
    for table in ("accounts", "lots", "cash"):
        assert rows[table]["account_id"].to_list() == ["A3"], table
    assert rows["restrictions"]["account_id"].to_list() == [None]
    assert rows["prices"].height == 3
    assert messages(settings, night.run_id) == BROKEN[:1]


def test_nothing_is_copied_from_a_run_over_some_accounts(settings: Settings) -> None:
    pulled(settings, AS_OF, ("A3",))
    night = pulled(settings, AS_OF)
    assert states(settings, night.run_id) == {InputState.READ}
    assert landed(settings, night.run_id)["lots"].height == 4
