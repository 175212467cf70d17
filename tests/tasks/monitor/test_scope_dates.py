"""Threshold runs whose sources state their own date: each file is read as of its night, and only the prices are of the session."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from schemas.settings import Settings
from schemas.sources import Source
from tasks.pull.inputs import take
from tasks.pull.naming import days_apart
from tasks.pull.request import NoAccountLeft
from tests.support.dated_scene import DatedScene, holdings, served
from tests.support.landing_book import rows_of
from tests.support.monitor_scene import BOOK, CUSTODIANS, NIGHT, TODAY, prices_on
from tests.support.night_driver import as_bits, run_night, run_request
from tests.support.servers import PASSWORD, Postgres
from warehouse.lake.lake import open_lake
from warehouse.ledger import InputState

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]

NAMED_AFTER_THE_RUN: Final = ("proposal_id", "order_id", "content_hash")
COMPARED: Final = ("account_outcomes", "proposals", "orders", "lot_relief", "class_reasons", "drift")
Answers = dict[str, pl.DataFrame]
AnswersFor = Callable[..., Answers]


def answers(settings: Settings, run_id: str, *accounts: str) -> Answers:
    """What a run comes to for some accounts, without names that are made from the run's."""
    lake = open_lake(settings)
    found = {table: lake.read(table, run_id).filter(pl.col("account_id").is_in(accounts)) for table in COMPARED}
    return {table: as_bits(rows.drop(NAMED_AFTER_THE_RUN, strict=False)) for table, rows in found.items()}


def assert_same(mine: Answers, theirs: Answers) -> None:
    assert theirs["orders"].height > 0
    for table in COMPARED:
        differs = [name for name in mine[table].columns if not mine[table][name].equals(theirs[table][name])]
        assert not differs, (table, mine[table].select(differs), theirs[table].select(differs))


@pytest.fixture(scope="module")
def on_fresh_prices(tmp_path_factory: pytest.TempPathFactory) -> AnswersFor:
    """What some accounts come to in a first night of the session's day on landing tables with the same holdings and the fresh prices."""
    folder = tmp_path_factory.mktemp("plain")
    lots, cash = zip(*(holdings(name) for name in CUSTODIANS), strict=True)
    fresh = {"lots": pl.concat(lots), "cash": pl.concat(cash), "prices": prices_on(TODAY, stocks=60)}
    fresh["account_totals"] = (
        fresh["lots"].group_by("account_id").agg(lot_count=pl.len())
    )  # seen before, as in the other run
    for table, rows in {**{name: rows_of(text) for name, text in BOOK.items()}, **fresh}.items():
        rows.write_csv(folder / f"{table}.csv")
    settings = Settings(home=folder / "home", accounts_per_shard=2)
    run_id = run_night(settings, folder, TODAY).run_id
    return lambda *accounts: answers(settings, run_id, *accounts)


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> DatedScene:
    """After a night whose files stand in folders of their day, one of them in a format that states day and number."""
    scene = DatedScene(tmp_path_factory.mktemp("evening")).delivered("acme", "other")
    scene.night()
    return scene


@pytest.fixture
def scene(evening: DatedScene, tmp_path: Path) -> DatedScene:
    return evening.again(tmp_path)


@pytest.fixture
def database(postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch) -> Source:
    """The other custodian's tables: true on the night, and of the session's day rows that nobody should see yet."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    schema = postgres_server.new_schema()
    postgres_server.run(
        schema,
        "CREATE TABLE lots (as_of_date date, account_id text, security_id text, lot_id text, quantity numeric, "
        "unit_cost_usd numeric, acquired_date date)",
        "CREATE TABLE cash (as_of_date date, account_id text, settled_usd numeric, pending_usd numeric)",
    )
    for table, rows in zip(("lots", "cash"), holdings("other"), strict=True):
        for row in rows.rows():
            cells = ", ".join(f"'{cell}'" for cell in row)
            postgres_server.run(schema, f"INSERT INTO {table} VALUES ('{NIGHT}', {cells})")
        postgres_server.run(schema, f"INSERT INTO {table} (as_of_date, account_id) VALUES ('{TODAY}', 'A3')")
    return Source(url=postgres_server.url(), schema_name=schema, **served("other"))


def test_files_that_state_their_day_and_number_are_read_as_of_their_night(
    scene: DatedScene, on_fresh_prices: AnswersFor
) -> None:
    run = scene.threshold_run()
    assert (run.counts["accounts"], run.counts["proposed"]) == (2, 2)
    assert_same(answers(scene.settings, run.run_id, "A1", "A3"), on_fresh_prices("A1", "A3"))
    with scene.stores() as at:
        inputs = at.ledger.inputs.inputs_of(run.run_id)
    assert {row.source: row.state for row in inputs} == {
        "fresh-prices": InputState.READ,
        **dict.fromkeys(("book", "acme", "other"), InputState.COPIED),
    }
    assert {row.sequence for row in inputs if row.source == "acme"} == {7}


def test_a_database_gives_its_rows_of_the_night(database: Source, on_fresh_prices: AnswersFor, tmp_path: Path) -> None:
    scene = DatedScene(tmp_path, database).delivered("acme")
    scene.night()
    run = scene.threshold_run()
    assert run.counts["proposed"] == 2
    assert_same(answers(scene.settings, run.run_id, "A1", "A3"), on_fresh_prices("A1", "A3"))


def test_an_account_that_left_since_is_left_out_and_counted_without_its_name(
    scene: DatedScene, on_fresh_prices: AnswersFor, caplog: pytest.LogCaptureFixture
) -> None:
    asked = scene.request()
    scene.leave("A3")
    with caplog.at_level(logging.WARNING, "trimtab"):
        run = run_request(scene.settings, asked)
    assert_same(answers(scene.settings, run.run_id, "A1", "A3"), on_fresh_prices("A1"))
    assert run.counts["accounts"] == 1
    (told,) = [text for text in caplog.messages if "no longer" in text]
    assert told == f"1 of the 2 accounts of {asked.scope_id} are no longer in the sources; the others go on"
    assert "A3" not in caplog.text


def test_where_all_have_left_no_run_is_started(scene: DatedScene) -> None:
    asked = scene.request()
    scene.leave("A1", "A3")
    with pytest.raises(NoAccountLeft, match=f"no account of {asked.scope_id} is left in the sources"):
        run_request(scene.settings, asked)
    with scene.stores() as at:
        assert len(at.ledger.runs.list_runs()) == 1


def test_the_day_of_a_file_that_a_format_reads_names_the_run_where_it_is_not_the_runs_own(scene: DatedScene) -> None:
    taken = take(scene.settings.sources_of(NIGHT), scene.settings.staging_folder)
    (statement,) = (each for each in taken.inputs if each.format)
    assert list(days_apart(taken, NIGHT)) == []
    assert list(days_apart(taken, TODAY)) == [f"of {NIGHT} {statement.file.sha256}"]
