"""Rows about what may be traded that are gone, night after night: somebody looks, once, and a replay says the same."""

from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import Guard, RunState
from schemas.errors import RunHeld
from schemas.settings import Settings
from tasks.operate import replay_run
from tasks.review import QuarantineFilter, QuarantineStores, plan_release, readmit_rows
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.home_copy import copy_home
from tests.support.landing_book import AS_OF, sound_book, write_book
from tests.support.night_driver import run_night
from warehouse.lake.lake import open_lake
from warehouse.ledger import RunRow

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1

Book = dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def sound_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home after a sound night, a shard an account."""
    folder = tmp_path_factory.mktemp("sound")
    settings = Settings(home=folder / "home", accounts_per_shard=1, max_run_turnover=None)
    night(settings, folder, sound_book(), 0)
    return settings


@pytest.fixture
def settings(sound_home: Settings, tmp_path: Path) -> Settings:
    copy_home(sound_home.home, tmp_path / "home")
    return sound_home.model_copy(update={"home": tmp_path / "home"})


def night(settings: Settings, folder: Path, book: Book, day: int) -> RunRow:
    """A night some days after the first; prices are of it."""
    folder = folder / str(day)
    folder.mkdir(exist_ok=True)
    when = AS_OF + timedelta(days=day)
    write_book(folder, book | {"prices": book["prices"].with_columns(price_date=pl.lit(str(when)))}, "csv")
    with suppress(RunHeld):
        run_night(settings, folder, when)
    with closing(open_ledger(settings)) as ledger:
        row = ledger.runs.newest_run()
    assert row is not None
    return row


def without(table: str, *rows: int) -> Book:
    """The sound book without some rows (0 = first) of a table."""
    book = sound_book()
    return book | {table: book[table].with_row_index().filter(~pl.col("index").is_in(rows)).drop("index")}


def waiting(settings: Settings, run: RunRow) -> dict[str, str]:
    rows = open_lake(settings).read("gate", run.run_id).sort("account_id")
    return dict(rows.select("account_id", "reason").rows())


def test_a_restriction_that_is_gone_is_asked_about_until_a_person_has_answered(
    settings: Settings, tmp_path: Path
) -> None:
    lifted = without("restrictions", 0)
    for day in (1, 2):
        run = night(settings, tmp_path, lifted, day)
        assert run.state is RunState.DONE
        assert waiting(settings, run) == {"A1": "accounts:restriction_kept"}
    assert replay_run(settings, run.run_id, tmp_path / "again").is_same
    with closing(open_ledger(settings)) as ledger:
        at = QuarantineStores.of(ledger.readmissions, ledger.runs, ledger.inputs, open_lake(settings), run.run_id)
        plan = plan_release(at, wanted=QuarantineFilter(rule=("restriction_kept",), security=("STK",)))
        readmit_rows(at, plan, actor=current_actor(), note="lifted, ticket 12", now=utc_now())
    assert waiting(settings, night(settings, tmp_path, lifted, 2)) == {}
    assert waiting(settings, night(settings, tmp_path, lifted, 3)) == {}


@pytest.mark.parametrize("table", ["restrictions", "households", "buy_list", "location_preferences"])
def test_an_emptied_table_holds_the_night_until_a_person_has_looked(
    settings: Settings, tmp_path: Path, table: str
) -> None:
    emptied = sound_book() | {table: sound_book()[table].clear()}
    run = night(settings, tmp_path, emptied, 1)
    assert (run.state, run.held_guards) == (RunState.HELD, (Guard.LOST_ROWS,))
    assert f"{table} has no row; the last night had " in str(run.held_reason)
    listed = open_lake(settings).read("vanished_rows", run.run_id)
    assert listed.filter(pl.col("table_name") == table).height >= 1
    with closing(open_ledger(settings)) as ledger:
        ledger.runs.release_run(run.run_id, actor=current_actor(), note="meant so", now=utc_now())
    assert night(settings, tmp_path, emptied, 1).state is RunState.DONE
    after = night(settings, tmp_path, emptied, 2)
    assert after.state is RunState.DONE
    assert open_lake(settings).read("vanished_rows", after.run_id).is_empty()


def test_a_file_that_does_not_come_is_an_emptied_table(settings: Settings, tmp_path: Path) -> None:
    book = {table: rows for table, rows in sound_book().items() if table != "restrictions"}
    run = night(settings, tmp_path, book, 1)
    assert run.held_guards == (Guard.LOST_ROWS,)
    assert "restrictions for every account are gone: no_trade of OLD" in str(run.held_reason)
