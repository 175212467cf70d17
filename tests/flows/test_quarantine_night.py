"""A row that differs from the night before: set aside, released by a person, used when the night is run again and from then on."""

from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import RunKind, Step
from schemas.errors import RunHeld
from schemas.run import GLOBAL_SHARD
from schemas.settings import Settings
from tasks.review import (
    QuarantineFilter,
    QuarantineStores,
    next_sentence,
    plan_release,
    quarantine,
    readmit_rows,
)
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.landing_book import AS_OF, sound_book, spoilt, write_book
from tests.support.night_driver import run_night
from warehouse.lake.lake import open_lake

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1

NEXT = AS_OF + timedelta(days=1)
SESSION = NEXT + timedelta(days=1)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home after a sound night."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home, max_quarantined_fraction=1.0)
    (home / "first").mkdir()
    write_book(home / "first", sound_book(), "csv")
    run_night(settings, home / "first", AS_OF)
    return settings


def test_a_released_row_is_used_when_the_night_is_run_again(settings: Settings, tmp_path: Path) -> None:
    book = spoilt("lots", 1, quantity="40")
    write_book(tmp_path, book, "csv")
    first = run_night(settings, tmp_path, NEXT)
    read = open_lake(settings).read

    with closing(open_ledger(settings)) as ledger:
        at = QuarantineStores.of(ledger.readmissions, ledger.runs, ledger.inputs, open_lake(settings), first.run_id)
        (row,) = quarantine.set_aside(at).rows.rows(named=True)
        detail = quarantine.show(at, row["quarantine_id"])
        assert detail.cells["quantity"] == "40"
        assert detail.cost == "Account A1 is not traded in this run because of it."
        plan = plan_release(at, [row["quarantine_id"]])
        readmit_rows(at, plan, actor=current_actor(), note="confirmed", now=utc_now())
    assert run_night(settings, tmp_path, NEXT).run_id != first.run_id

    with closing(open_ledger(settings)) as ledger:
        at = QuarantineStores.of(ledger.readmissions, ledger.runs, ledger.inputs, open_lake(settings), None)
        again = at.run
        assert quarantine.set_aside(at).rows.is_empty()
        (used,) = quarantine.readmitted_rows(at).rows(named=True)
        assert quarantine.show(at, row["quarantine_id"]).outlook.endswith("this run used it.")
    assert (used["row"], used["broken_rules"]) == (row["row"], row["broken_rules"])
    assert (used["released_by"], used["release_note"]) == (current_actor(), "confirmed")
    before, after = (_outcome(read("account_outcomes", one)) for one in (first.run_id, again.run_id))
    assert before == "quarantined"
    assert after in {"proposed", "no_trade"}

    prices = book["prices"].with_columns(price_date=pl.lit(str(SESSION)))
    write_book(tmp_path, {**book, "prices": prices}, "csv")
    in_the_session = run_night(settings, tmp_path, SESSION, kind=RunKind.THRESHOLD, scope=("A1",))
    assert read("quarantine", in_the_session.run_id).is_empty(), "what it holds has become the norm"
    assert _outcome(read("account_outcomes", in_the_session.run_id)) == after


def test_what_is_said_to_follow_a_release_does(tmp_path: Path) -> None:
    """A held run has judged its rows; a night of another date does not know the release; the night run again does."""
    settings = Settings(home=tmp_path / "home", max_quarantined_fraction=0, guard_min_accounts=0)
    write_book(tmp_path, sound_book(), "csv")
    run_night(settings, tmp_path, AS_OF)
    write_book(tmp_path, dated(spoilt("lots", 1, quantity="40"), NEXT), "csv")
    with pytest.raises(RunHeld):
        run_night(settings, tmp_path, NEXT)
    with closing(open_ledger(settings)) as ledger:
        at = QuarantineStores.of(ledger.readmissions, ledger.runs, ledger.inputs, open_lake(settings), None)
        judged = {shard for step, shard in ledger.runs.finished_steps(at.run.run_id) if step == Step.VALIDATE}
        assert judged >= {GLOBAL_SHARD, *range(at.run.shard_count)}, "what is finished is not done again"
        plan = plan_release(at, wanted=QuarantineFilter(account=("A1",)))
        (name,) = readmit_rows(at, plan, actor=current_actor(), note="confirmed", now=utc_now())
        assert "would carry it on without them" in next_sentence(ledger.runs, at.run)
    write_book(tmp_path, dated(spoilt("lots", 1, quantity="40"), SESSION), "csv")
    with pytest.raises(RunHeld):
        run_night(settings, tmp_path, SESSION)
    write_book(tmp_path, dated(spoilt("lots", 1, quantity="40"), NEXT), "csv")
    again = run_night(settings, tmp_path, NEXT)
    assert again.run_id != at.run.run_id
    assert open_lake(settings).read("released_rows", again.run_id)["quarantine_id"].to_list() == [name]


def dated(book: dict[str, pl.DataFrame], day: date) -> dict[str, pl.DataFrame]:
    return {**book, "prices": book["prices"].with_columns(price_date=pl.lit(str(day)))}


def _outcome(outcomes: pl.DataFrame) -> str:
    """Of account A1."""
    (outcome,) = outcomes.filter(pl.col("account_id") == "A1")["outcome"]
    return str(outcome)
