"""A replay gives the same bytes, or names the input, the rows, the code or the setting that differs; and touches nothing."""

import re
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from flows.commands.cli import app
from flows.nightly import NightResult
from schemas.enums import ProposalState, Role, RunKind
from schemas.errors import ExitCode, InputRefused, WrongUsage
from schemas.lab_tables import LAB, LAB_INTERNAL
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.settings import Settings
from schemas.sources import Source
from schemas.stored import TABLES
from schemas.tables import PUBLIC
from tasks.core.propose import route
from tasks.demo.sample import make_book
from tasks.operate import replay_scratch
from tasks.operate.maintain import KEPT, maintain
from tasks.operate.replay import ReplayResult, replay_run
from tasks.operate.replay_scratch import COMPUTED, PULLED
from tasks.review import QuarantineFilter, QuarantineStores, plan_release, readmit_rows
from tasks.review.amend import amend_proposal
from tasks.runtime import provenance as made_with
from tasks.runtime.run_settings import use_settings
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.home_copy import copy_home
from tests.support.landing_book import sound_book, spoilt, write_book
from tests.support.night_driver import export, files_of, run_night
from warehouse.lake.attach import attach_lake
from warehouse.lake.connection import connect
from warehouse.lake.lake import Lake, lake_of_its_own, open_lake
from warehouse.lake.snapshots import Snapshot, end_of, last_before, past_of
from warehouse.ledger import Decision

FIRST = date(2022, 12, 28)
SECOND = date(2022, 12, 29)
EXPIRE = "CALL ducklake_expire_snapshots('lake', older_than => now())"
STEPS = (
    "tasks/validate/validate.py",
    "tasks/known/history.py",
    "tasks/propose/measure.py",
    "tasks/propose/propose.py",
    "tasks/known/landed_tables.py",
    "tasks/performance/step.py",
    "tasks/performance/before.py",
    "tasks/performance/twins.py",
)

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]


@dataclass(frozen=True)
class Home:
    """A home after two nights: the first exported twice, what policy approved and then a person's version; the second once."""

    settings: Settings
    first: NightResult
    second: NightResult

    def copied(self, to: Path) -> "Home":
        return replace(self, settings=self.settings.model_copy(update={"home": copy_home(self.settings.home, to)}))

    def replay(self, night: NightResult, folder: Path) -> ReplayResult:
        return replay_run(self.settings, night.run_id, folder)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """In one shard: a replay takes as long as it has shards."""
    return home_of(tmp_path_factory.mktemp("replay"), accounts=60, per_shard=60)


def home_of(folder: Path, *, accounts: int, per_shard: int) -> Home:
    settings = Settings(home=folder / "home", accounts_per_shard=per_shard)
    make_book(folder / "first", account_count=accounts)
    first = run_night(settings, folder / "first", FIRST)
    export(settings, first.run_id)
    amend_and_export(settings, first.run_id)
    shutil.copytree(folder / "first", folder / "second")
    cash = pl.read_parquet(folder / "first" / "cash.parquet")
    more = pl.col("settled_usd") + pl.lit("10", pl.String).cast(cash.schema["settled_usd"])
    cash.with_columns(more).write_parquet(folder / "second" / "cash.parquet")
    second = run_night(settings, folder / "second", SECOND)
    export(settings, second.run_id)
    return Home(settings, first, second)


def amend_and_export(settings: Settings, run_id: str) -> None:
    """Somebody leaves a buy out of a proposal that waits; somebody else approves what is left."""
    lake = open_lake(settings)
    with closing(open_ledger(settings)) as ledger:
        for name in ("bob", "cat"):
            ledger.users.add_user(name, [Role.REVIEWER], actor=current_actor(), now=utc_now())
        waiting = ledger.proposals.list_proposals(states=[ProposalState.PENDING_REVIEW], run_id=run_id)
        households = lake.read("landed_accounts", run_id).filter(pl.col("household_id").is_not_null())
        alone = waiting.join(households, on="account_id", how="anti")
        buys = lake.read("orders", run_id).filter(pl.col("side") == "buy").join(alone, on="proposal_id", how="semi")
        buy = buys.filter(pl.len().over("proposal_id") > 1).sort("order_id").row(0, named=True)
        wish = [(buy["order_id"], Decimal(0))]
        version = amend_proposal(
            ledger.amendments,
            ledger.proposals,
            ledger.runs,
            lake,
            buy["proposal_id"],
            wish=wish,
            actor="bob",
            note="not this one",
            now=utc_now(),
        )
        ledger.decisions.decide([version], decision=Decision.APPROVE, actor="cat", now=utc_now())
    assert len(export(settings, run_id)) == 1


@pytest.fixture
def own(home: Home, tmp_path: Path) -> Home:
    """The home of this test alone."""
    return home.copied(tmp_path / "home")


def change(settings: Settings, *statements: str) -> None:
    """Change the lake by hand."""
    with connect("ducklake", "sqlite") as connection:
        attach_lake(connection, settings.lake_address, settings.lake_data_address)
        for statement in statements:
            connection.execute(statement)


def everything(settings: Settings) -> tuple[list[str], int, dict[str, bytes]]:
    """The ledger as SQL, the number of the lake's snapshots, and what is exported."""
    with closing(sqlite3.connect(settings.home / "ledger.sqlite")) as ledger:
        dump = list(ledger.iterdump())
    with past_of(settings) as past:
        return dump, len(past.snapshots), files_of(settings.export_folder)


def tables_of(found: ReplayResult) -> set[str]:
    return {one.table for one in found.computed if not one.is_same}


# --- the same bytes


def test_nights_of_two_shards_give_the_same_bytes_and_a_replay_changes_nothing(tmp_path: Path) -> None:
    """The first, of which a person's version was exported too, while the second is there; the second beside the first as it was then."""
    home = home_of(tmp_path, accounts=80, per_shard=40)
    before = everything(home.settings)
    found = home.replay(home.first, tmp_path / "again")
    assert (found.is_same, found.causes, found.notices) == (True, (), ())
    assert [one.export_id for one in found.exports] == [f"{home.first.run_id}-export-{number}" for number in (1, 2)]
    assert all(one.files > 3 for one in found.exports)
    assert {one.table for one in found.computed} == {*PUBLIC, *COMPUTED_BY_STEPS, "queue", "counts"}
    rows = {one.table: one.rows for one in found.computed}
    assert rows["orders"] == home.first.counts["orders"] > 0
    assert rows["account_outcomes"] == home.first.counts["accounts"]
    later = home.replay(home.second, tmp_path / "later")
    assert (later.is_same, later.causes) == (True, ())
    assert {one.table: one.rows for one in later.computed}["anomalies"] > 0
    assert everything(home.settings) == before


def test_a_home_that_was_kept_in_order_replays_what_it_kept_and_needs_no_old_folder(own: Home, tmp_path: Path) -> None:
    """Small files are merged and rows in the catalogue moved to files: no snapshot shows anything else for that. The files are those that left."""
    maintain(own.settings, utc_now())
    left = files_of(own.settings.export_folder)
    with closing(sqlite3.connect(own.settings.home / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("UPDATE exports SET folder = ?", (str(tmp_path / "gone" / FIRST.isoformat()),))
    shutil.rmtree(own.settings.export_folder)
    assert own.replay(own.first, tmp_path / "again").is_same
    again = files_of(tmp_path / "again" / "exports")
    assert again == {path: content for path, content in left.items() if path.startswith(FIRST.isoformat())}


def test_a_run_whose_rows_were_removed_since_is_replayed_from_its_snapshot(own: Home, tmp_path: Path) -> None:
    gone = [f"DELETE FROM lake.{table} WHERE run_id = '{own.first.run_id}'" for table in TABLES if table not in KEPT]
    change(own.settings, *gone)
    found = own.replay(own.first, tmp_path / "again")
    assert found.is_same
    assert found.notices == ("its rows were removed from the lake since, but for those that trades consist of",)


def test_late_files_are_replayed_as_a_run_of_their_own(tmp_path: Path) -> None:
    settings, night = late_run(tmp_path)
    with closing(open_ledger(settings)) as ledger:
        row = ledger.runs.get_run(night.run_id)
    assert row is not None
    assert row.base_run_id is not None
    for number, run_id in enumerate((row.base_run_id, row.run_id)):
        found = replay_run(settings, run_id, tmp_path / f"again-{number}")
        assert (found.is_same, found.causes) == (True, ())


def late_run(folder: Path) -> tuple[Settings, NightResult]:
    """A night without the files of one of two custodians, and the run of the night when they had come."""
    day, book = date(2026, 1, 5), sound_book()
    holdings = {"acme": ("Acme", ["A1", "A2"]), "other": ("Other", ["A3"])}
    sources = [Source(name="book", url=str(folder / "book"))]
    for name, (custodian, _) in holdings.items():
        sources.append(
            Source(name=name, url=str(folder / name), tables=("lots", "cash"), custodians=(custodian,)),
        )
    settings = Settings(home=folder / "home", sources=tuple(sources))
    for name in ("book", *holdings):
        (folder / name).mkdir()
    for table, rows in book.items():
        if table not in {"lots", "cash"}:
            rows.write_csv(folder / "book" / f"{table}.csv")
    night: NightResult | None = None
    for name, (_, accounts) in holdings.items():
        for table in ("lots", "cash"):
            book[table].filter(pl.col("account_id").is_in(accounts)).write_csv(folder / name / f"{table}.csv")
        night = run_night(settings, None, day)
    assert night is not None
    return settings, night


def test_what_came_to_be_known_later_is_left_out(tmp_path: Path) -> None:
    """A row that was released after the run, and the night before run once more on other holdings; the release counts in the run that saw it."""
    settings = Settings(home=tmp_path / "home", max_quarantined_fraction=1.0)
    books = {
        "sound": sound_book(),
        "jumped": spoilt("lots", 1, quantity="40"),
        "other": spoilt("lots", 1, quantity="41"),
    }
    for name, book in books.items():
        (tmp_path / name).mkdir()
        write_book(tmp_path / name, book, "csv")
    day = date(2026, 1, 5)
    run_night(settings, tmp_path / "sound", day)
    held_back = run_night(settings, tmp_path / "jumped", day + timedelta(days=1))
    with closing(open_ledger(settings)) as ledger:
        at = QuarantineStores.of(ledger.readmissions, ledger.runs, ledger.inputs, open_lake(settings), held_back.run_id)
        plan = plan_release(at, wanted=QuarantineFilter(account=("A1",)))
        readmit_rows(at, plan, actor=current_actor(), note="confirmed", now=utc_now())
    let_through = run_night(settings, tmp_path / "jumped", day + timedelta(days=1))
    run_night(settings, tmp_path / "other", day)
    for night in (held_back, let_through):
        found = replay_run(settings, night.run_id, tmp_path / night.run_id)
        assert (found.is_same, found.causes, found.notices) == (True, (), ())
        assert {one.table: one.rows for one in found.computed}["released_rows"] == (night is let_through)


# --- what differs


def test_a_landed_row_that_was_changed_is_named_as_an_input(own: Home, tmp_path: Path) -> None:
    run_id = own.first.run_id
    change(own.settings, f"UPDATE lake.landed_lots SET quantity = 7 WHERE run_id = '{run_id}' AND row_number = 1")
    found = own.replay(own.first, tmp_path / "again")
    assert not found.is_same
    (diff,) = found.differing
    assert (diff.table, diff.changed, diff.cells) == ("landed_lots", 1, 1)
    assert (diff.samples[0].key, diff.samples[0].column, diff.samples[0].now) == ({"row_number": 1}, "quantity", 7)
    assert found.causes[0].startswith("landed_lots, an input of the run, was changed in the lake after")


def test_an_order_that_was_changed_is_named_as_a_result(own: Home, tmp_path: Path) -> None:
    order = open_lake(own.settings).read("orders", own.first.run_id)["order_id"].min()
    change(own.settings, f"UPDATE lake.orders SET quantity = quantity + 1 WHERE order_id = '{order}'")
    found = own.replay(own.first, tmp_path / "again")
    (diff,) = found.differing
    assert (diff.table, diff.changed, [cell.key for cell in diff.samples]) == ("orders", 1, [{"order_id": order}])
    assert found.causes[0].startswith("orders, a result of the run, was changed in the lake after")


def test_rows_changed_before_old_snapshots_were_expired_differ_from_what_comes_out(own: Home, tmp_path: Path) -> None:
    order = open_lake(own.settings).read("orders", own.first.run_id)["order_id"].min()
    change(own.settings, f"DELETE FROM lake.orders WHERE order_id = '{order}'")
    change(own.settings, EXPIRE)
    found = own.replay(own.first, tmp_path / "again")
    (diff,) = found.differing
    assert (diff.table, diff.missing, diff.added) == ("orders", 0, 1)
    assert "the program was changed without a new version, or rows were changed before" in found.causes[0]
    assert any("was expired" in text for text in found.notices)


def test_code_that_changed_shows_in_every_table_it_decides(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route, "LARGE_TURNOVER", 0.0)
    found = home.replay(home.first, tmp_path / "again")
    assert tables_of(found) == {"proposals", "queue"}
    columns = {cell.column for one in found.differing for cell in one.samples}
    assert columns <= {"look_reasons", "priority"}
    assert found.causes == (found.causes[0],)
    assert "the program was changed without a new version" in found.causes[0]


def with_another_polars(monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the program be computed with another version of a library; how that is named."""
    now = {**made_with.versions(), "polars": "99.0"}
    monkeypatch.setattr("tasks.operate.replay.versions", lambda: now)
    return f"computed with polars {pl.__version__} then, 99.0 now"


def test_what_changed_since_and_decides_nothing_is_only_a_notice_and_the_run_keeps_its_own(
    own: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting, the version of a library, and a file of the source."""
    sentence = with_another_polars(monkeypatch)
    with closing(sqlite3.connect(own.settings.home / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("UPDATE runs SET source = ? WHERE run_id = ?", (str(tmp_path), own.second.run_id))
    (tmp_path / "lots.parquet").write_bytes(b"another")
    stricter = own.settings.model_copy(update={"max_unexplained_cash_fraction": 0.0})
    found = replay_run(stricter, own.second.run_id, tmp_path / "again")
    assert (found.is_same, found.causes) == (True, ())
    assert sorted(found.notices) == sorted(
        (
            "the setting max_unexplained_cash_fraction was 0.05 then and is 0.0 now; replayed with 0.05",
            sentence,
            f"{tmp_path / 'lots.parquet'} is not what the run took; the replay reads the rows that were landed of it",
        )
    )


def test_a_file_that_differs_from_what_was_published_is_named(
    own: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.core.export.files.FORMAT", "trimtab-export/9")
    found = own.replay(own.first, tmp_path / "again")
    assert tables_of(found) == set()
    assert all("manifest.json" in text for one in found.exports for text in one.problems)
    assert len([one for one in found.exports if one.problems]) == 2


def test_a_clock_that_is_ahead_or_behind_hides_no_change(own: Home, tmp_path: Path) -> None:
    """To the ledger the run ended a day after the change, or a day before its last write."""
    change(
        own.settings, f"UPDATE lake.landed_lots SET quantity = 7 WHERE run_id = '{own.first.run_id}' AND row_number = 1"
    )
    for number, (days, notices) in enumerate(((1, 0), (-2, 1))):
        with closing(sqlite3.connect(own.settings.home / "ledger.sqlite")) as ledger, ledger:
            for table in ("runs", "steps"):
                ledger.execute(f"UPDATE {table} SET finished_at = datetime(finished_at, '{days} day')")
        found = own.replay(own.first, tmp_path / f"again-{number}")
        assert [(one.table, one.changed) for one in found.differing] == [("landed_lots", 1)]
        late = [text for text in found.notices if "wrote to the lake after it had ended" in text]
        assert len(late) == len(found.notices) == notices


def test_a_run_of_before_snapshots_named_runs_is_found_by_the_clock(own: Home, tmp_path: Path) -> None:
    with closing(sqlite3.connect(own.settings.home / "lake" / "catalog.sqlite")) as catalogue, catalogue:
        catalogue.execute("UPDATE ducklake_snapshot_changes SET author = NULL, commit_message = NULL")
    found = own.replay(own.first, tmp_path / "again")
    assert found.is_same
    (notice,) = found.notices
    assert "no snapshot of the lake names the run" in notice
    assert f"snapshot {found.snapshot}, the last until its end by the clock" in notice


# --- what cannot be replayed


def test_inputs_that_are_gone_are_named(own: Home, tmp_path: Path) -> None:
    change(own.settings, f"DELETE FROM lake.landed_lots WHERE run_id = '{own.first.run_id}'")
    change(own.settings, EXPIRE)
    with pytest.raises(InputRefused, match="nothing is left of lots"):
        own.replay(own.first, tmp_path / "again")
    change(own.settings, f"DELETE FROM lake.scope WHERE run_id = '{own.first.run_id}'", EXPIRE)
    with pytest.raises(InputRefused, match=f"compared with those of run {own.first.run_id}"):
        own.replay(own.second, tmp_path / "later")


def test_a_run_that_there_is_not_is_refused(home: Home, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="there is no run nobody"):
        replay_run(home.settings, "nobody", tmp_path / "again")


# --- as it is typed


@pytest.fixture
def typed(own: Home) -> Iterator[Home]:
    with use_settings(own.settings):
        yield own


def test_the_command_says_the_same_bytes_and_leaves_nothing(typed: Home) -> None:
    before = sorted(path.name for path in typed.settings.home.iterdir())
    done = CliRunner().invoke(app, ["replay", typed.first.run_id])
    assert done.exit_code == 0, done.output
    words = rf"{typed.first.run_id}: the same bytes\. 35 tables, [\d,]+ rows; 2 exports, \d+ files"
    assert re.search(words, done.stdout)
    assert sorted(path.name for path in typed.settings.home.iterdir() if "-" not in path.suffix) == before


def test_the_command_fails_and_shows_what_differs_and_what_it_was_computed_with(
    typed: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = with_another_polars(monkeypatch)
    monkeypatch.setattr(route, "LARGE_TURNOVER", 0.0)
    kept = tmp_path / "kept"
    done = CliRunner().invoke(app, ["replay", typed.first.run_id, "--keep", str(kept)])
    assert done.exit_code == ExitCode.FAILED
    assert "look_reasons" in done.stdout
    assert f"why: {sentence}" in done.stdout
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert (kept / "ledger.sqlite").is_file()
    again = CliRunner().invoke(app, ["replay", typed.first.run_id, "--keep", str(kept)])
    assert isinstance(again.exception, WrongUsage)


# --- its parts


COMPUTED_BY_STEPS = {table for tables in COMPUTED.values() for table in tables}


def test_every_table_is_pulled_or_computed() -> None:
    assert set(PUBLIC) <= COMPUTED_BY_STEPS
    assert {*PULLED, *COMPUTED_BY_STEPS, "made_with"} == set(TABLES) - {*LAB, *LAB_INTERNAL}


def test_every_setting_that_a_step_reads_is_kept_with_the_run() -> None:
    root = Path(replay_scratch.__file__).parents[2]
    text = "".join((root / name).read_text(encoding="utf-8") for name in STEPS)
    assert set(re.findall(r"settings\.(\w+)", text)) - {"Settings"} == set(made_with.DECIDING)


def test_the_snapshot_is_the_runs_last_whatever_the_clock_says() -> None:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    every = [Snapshot(number, start, run_id) for number, run_id in enumerate((None, "r", "r", "s", None))]
    for moment in (start - timedelta(days=1), start + timedelta(days=1)):
        assert end_of(every, "r", moment).number == 2
        assert end_of(every[3:], "r", moment) == last_before(every[3:], moment)


def test_the_snapshot_is_the_last_until_the_moment_or_the_next_that_is_left() -> None:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    every = [Snapshot(number, start + timedelta(minutes=number)) for number in range(6)]
    moment = start + timedelta(minutes=3, seconds=1)
    assert last_before(every, moment).number == 3
    assert last_before([*every[:2], *every[4:]], moment).number == 4
    assert last_before(every[4:], moment).number == 4
    assert last_before(every[:3], moment).number == 2


def test_a_table_or_column_of_later_is_empty_or_null_in_an_older_lake(own: Home) -> None:
    change(own.settings, "ALTER TABLE lake.gate DROP COLUMN reason", "DROP TABLE lake.frontier")
    with past_of(own.settings) as past:
        lake = past.newest
        assert lake.columns_of("gate") == ("account_id", "outcome")
        gate = lake.read("gate", own.first.run_id)
        assert gate.columns == ["account_id", "outcome", "reason"]
        assert gate["reason"].null_count() == gate.height > 0
        assert lake.read("frontier", own.first.run_id).is_empty()
        assert lake.columns_of("frontier") == ()


def test_a_lake_as_it_was_has_the_rows_of_then(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with closing(open_ledger(settings)), lake_of_its_own(settings) as lake:
        write(lake, "a")
        with past_of(settings) as past:
            then = past.snapshots[-1]
        write(lake, "b")
    with past_of(settings) as past:
        assert past.at(then).read("scope", "r", GLOBAL_SHARD)["account_id"].to_list() == ["a"]
        assert past.newest.read("scope", "r")["account_id"].to_list() == ["b"]


def write(lake: Lake, account: str) -> None:
    run = RunRef("r", FIRST, RunKind.NIGHTLY, 1)
    lake.replace(run, GLOBAL_SHARD, {"scope": pl.DataFrame({"account_id": [account]})})
