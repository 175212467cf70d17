"""A home that is backed up, restored, kept in order and worked on: no byte of what it holds changes by any of it."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from prefect.client.schemas.objects import State

from flows.maintain import maintain as flow
from schemas.enums import RunKind, RunState
from schemas.errors import AuditBroken, Retryable, Terminal, WrongUsage
from schemas.settings import Settings
from tasks.demo.sample import make_book
from tasks.operate import backup as backing_up
from tasks.operate.backup import MANIFEST, SUCCESS, Backup, backup_folder, backups, make_backup, remove_old
from tasks.operate.maintain import Chore, leftovers, maintain, old_staging_folders, oldest_needed, oldest_under_way
from tasks.operate.maintenance_lock import maintenance_lock
from tasks.operate.replay import replay_run
from tasks.operate.restore import restore
from tasks.operate.retention import Retention, years_before
from tasks.runtime.atomic_folder import hash_file
from tasks.runtime.stores import open_ledger
from tests.support.cli_session import session
from tests.support.night_driver import dying_at, export, files_of, public_tables, run_night
from tests.support.prefect_reader import artifacts_of, flow_run_of
from warehouse.lake.connection import LINKS
from warehouse.ledger.store.rows import RunRow

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]

NOW = datetime(2026, 11, 28, 11, tzinfo=UTC)
ACCOUNTS = 60
DEAD = 2**22 + 1
"""No process has this number."""


@dataclass(frozen=True)
class Home:
    settings: Settings
    source: Path
    as_of: date
    run_id: str

    def copied(self, to: Path, **settings: Any) -> "Home":
        """The same home at another place."""
        shutil.copytree(self.settings.home, to)
        return replace(self, settings=self.settings.model_copy(update={"home": to, **settings}))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home after its night and export, and a backup folder beside it."""
    source = tmp_path_factory.mktemp("source")
    as_of = make_book(source, account_count=ACCOUNTS).as_of_date
    settings = Settings(home=tmp_path_factory.mktemp("home"), accounts_per_shard=ACCOUNTS // 2 + 10)
    night = run_night(settings, source, as_of)
    export(settings, night.run_id)
    return Home(settings, source, as_of, night.run_id)


@pytest.fixture(scope="module")
def made(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Backup:
    return make_backup(home.settings, tmp_path_factory.mktemp("backups"), NOW)


@pytest.fixture(scope="module")
def restored(home: Home, made: Backup, tmp_path_factory: pytest.TempPathFactory) -> Home:
    settings = home.settings.model_copy(update={"home": tmp_path_factory.mktemp("other-machine") / "home"})
    found = restore(settings, made.folder)
    assert (found.run_count, found.checked_run_count) == (1, 1)
    assert found.audit_rows > ACCOUNTS // 4
    return replace(home, settings=settings)


def is_same(one: Home, other: Home, run_id: str) -> bool:
    tables, expected = public_tables(one.settings, run_id), public_tables(other.settings, run_id)
    return all(tables[name].equals(expected[name]) for name in expected)


# --- backup and restore


def test_a_restored_home_has_every_row_and_every_exported_byte(home: Home, restored: Home) -> None:
    assert is_same(restored, home, home.run_id)
    files = files_of(home.settings.export_folder)
    assert len(files) > 10
    assert files_of(restored.settings.export_folder) == files
    with closing(open_ledger(home.settings)) as here, closing(open_ledger(restored.settings)) as there:
        assert there.audit.verify_audit() == here.audit.verify_audit()
        assert there.proposals.list_proposals().equals(here.proposals.list_proposals())


def test_the_same_night_on_a_restored_home_is_done_already_and_leaves_nothing_twice(
    home: Home, restored: Home, tmp_path: Path
) -> None:
    again = restored.copied(tmp_path / "home")
    assert run_night(again.settings, again.source, again.as_of).run_id == home.run_id
    assert export(again.settings) == []
    assert files_of(again.settings.export_folder) == files_of(home.settings.export_folder)


def test_a_replay_on_a_restored_home_in_order_gives_the_same_bytes(restored: Home, tmp_path: Path) -> None:
    there = restored.copied(tmp_path / "home")
    assert counts(maintain(there.settings, NOW + timedelta(days=2)))["small files merged in orders"] == 2
    (tmp_path / "scratch").mkdir()
    found = replay_run(there.settings, there.run_id, tmp_path / "scratch")
    assert found.is_same
    assert len(found.exports) == 1


def test_the_next_night_on_a_restored_home_is_that_of_the_home_itself(
    home: Home, restored: Home, tmp_path: Path
) -> None:
    later = home.as_of + timedelta(days=1)
    pair = [one.copied(tmp_path / name) for one, name in ((home, "a"), (restored, "b"))]
    maintain(pair[1].settings, NOW)  # in order, too
    nights = [run_night(one.settings, one.source, later) for one in pair]
    assert nights[0] == nights[1]
    assert is_same(*pair, nights[0].run_id)
    assert is_same(*pair, home.run_id)
    for one in pair:
        export(one.settings, nights[0].run_id)
    assert files_of(pair[0].settings.export_folder) == files_of(pair[1].settings.export_folder)


def test_a_backup_is_for_its_owner_alone_and_says_what_is_in_it(made: Backup) -> None:
    manifest = json.loads((made.folder / MANIFEST).read_text())
    found = {path.relative_to(made.folder).as_posix(): path for path in made.folder.rglob("*")}
    files = {name for name, path in found.items() if path.is_file()}
    assert files == {*manifest["files"], MANIFEST, SUCCESS}
    assert {path.stat().st_mode & 0o777 for path in found.values() if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in found.values() if path.is_dir()} == {0o700}
    assert made.folder.name == "2026-11-28T110000Z"
    assert made.file_count == len(manifest["files"])


def test_files_of_the_lake_are_linked_and_exports_are_linked_to_the_backup_before(
    home: Home, made: Backup, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    shutil.copytree(made.folder, folder / made.folder.name)
    second = make_backup(home.settings, folder, NOW + timedelta(days=7))
    for part, before in (("lake/data", home.settings.home), ("exports", folder / made.folder.name)):
        files = files_of(second.folder / part)
        assert files
        assert all((second.folder / part / name).samefile(before / part / name) for name in files)


@pytest.mark.parametrize("harm", ["changed", "missing"])
def test_a_backup_that_is_not_what_was_written_is_not_restored(
    home: Home, made: Backup, tmp_path: Path, harm: str
) -> None:
    copy = shutil.copytree(made.folder, tmp_path / made.folder.name)
    victim = next((copy / "lake" / "data").rglob("*.parquet"))
    content = victim.read_bytes()
    victim.unlink()
    if harm == "changed":
        victim.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    settings = home.settings.model_copy(update={"home": tmp_path / "home"})
    with pytest.raises(Terminal, match="1 files of the backup are missing or not what was written"):
        restore(settings, copy)
    assert not settings.home.exists()


def test_a_home_with_something_in_it_is_not_restored_over(home: Home, made: Backup, tmp_path: Path) -> None:
    there = home.copied(tmp_path / "home")
    before = files_of(there.settings.export_folder)
    with pytest.raises(WrongUsage, match="needed an empty home"):
        restore(there.settings, made.folder)
    assert files_of(there.settings.export_folder) == before
    with pytest.raises(WrongUsage, match="is no backup"):
        restore(home.settings.model_copy(update={"home": tmp_path / "new"}), tmp_path)


def resealed(folder: Path, name: str) -> None:
    """Let the manifest say that a file is as it was written."""
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][name] = [(folder / name).stat().st_size, hash_file(folder / name)]
    (folder / MANIFEST).write_text(json.dumps(manifest))


FORGERIES: dict[str, tuple[str, str, type[Exception]]] = {
    "a row of the audit": ("ledger.sqlite", "UPDATE audit SET actor = 'mallory' WHERE seq = 3", AuditBroken),
    "a file of the lake": (
        "lake/catalog.sqlite",
        "DELETE FROM ducklake_data_file WHERE table_id IN (SELECT table_id FROM ducklake_table WHERE table_name = 'orders')",
        Terminal,
    ),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_restored_home_whose_stores_do_not_hold_is_told(home: Home, made: Backup, tmp_path: Path, what: str) -> None:
    database, statement, error = FORGERIES[what]
    copy = shutil.copytree(made.folder, tmp_path / made.folder.name)
    with closing(sqlite3.connect(copy / database)) as forged, forged:
        forged.execute("DROP TRIGGER IF EXISTS audit_no_update")
        forged.execute(statement)
    resealed(copy, database)
    with pytest.raises(error):
        restore(home.settings.model_copy(update={"home": tmp_path / "home"}), copy)


def test_only_the_newest_backups_stay(tmp_path: Path) -> None:
    names = [f"2026-11-0{day}T110000Z" for day in range(1, 6)]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / SUCCESS).touch()
    (tmp_path / "2026-11-01T110000Z.mine").mkdir()
    assert remove_old(tmp_path, None) == ()
    assert remove_old(tmp_path, 2) == tuple(names[:3])
    assert [path.name for path in backups(tmp_path)] == names[3:]
    assert (tmp_path / "2026-11-01T110000Z.mine").is_dir()


def test_a_backup_needs_a_folder_a_ledger_and_nobody_else(home: Home, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="no folder for backups"):
        backup_folder(home.settings)
    with pytest.raises(WrongUsage, match="is not a folder"):
        backup_folder(home.settings, "s3://bucket/backups")
    with pytest.raises(WrongUsage, match="has no runs yet"):
        make_backup(Settings(home=tmp_path), tmp_path / "backups", NOW)
    with maintenance_lock(home.settings), pytest.raises(Retryable, match="another process"):
        make_backup(home.settings, tmp_path / "backups", NOW)
    (tmp_path / "file").touch()
    with pytest.raises(Terminal, match="cannot be read or written"):
        make_backup(home.settings, tmp_path / "file" / "backups", NOW)


DEATHS = ("copy_ledger", "copy_catalogue", "_take", "_manifest", "flush_tree", "place")


def test_a_backup_killed_anywhere_leaves_nothing_that_looks_like_one(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    code = "from tests.tasks.operate.test_maintain import die_in_backups; die_in_backups()"
    told = [sys.executable, "-c", code, home.settings.model_dump_json(), str(folder)]
    done = subprocess.run(told, check=True, capture_output=True, text=True)
    for minute, (end, names) in enumerate(json.loads(done.stdout)):
        assert end == -signal.SIGKILL
        (name,) = names  # each takes away what the one before left
        assert name.startswith(f".2026-11-28T110{minute}00Z.")
    made = make_backup(home.settings, folder, NOW + timedelta(hours=1))
    assert [path.name for path in folder.iterdir()] == [made.folder.name]
    restore(home.settings.model_copy(update={"home": tmp_path / "home"}), made.folder)


def die_in_backups() -> None:
    """In a process of its own: back up and be killed, once after each step, the last time before the rename; what is there then."""
    settings, folder = Settings(**json.loads(sys.argv[1])), Path(sys.argv[2])
    found = []
    for minute, point in enumerate(DEATHS):
        child = os.fork()
        if child == 0:
            dying_at(backing_up, point, lambda *_a, **_o: True, is_after=point != "place")
            make_backup(settings, folder, NOW + timedelta(minutes=minute))
            os._exit(0)
        end = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        found.append((end, [path.name for path in folder.iterdir()]))
    print(json.dumps(found))


# --- keeping in order


def counts(chores: list[Chore]) -> dict[str, int]:
    assert [one for one in chores if one.problem] == []
    return {one.what: one.count for one in chores if one.count}


def test_a_dry_run_changes_nothing_and_the_real_one_only_the_files(home: Home, tmp_path: Path) -> None:
    there = home.copied(tmp_path / "home")
    before = files_of(there.settings.home / "lake" / "data")
    assert counts(maintain(there.settings, NOW, is_dry_run=True))["small files in orders"] == 2
    assert files_of(there.settings.home / "lake" / "data") == before
    done = counts(maintain(there.settings, NOW))
    assert done["small files merged in orders"] == 2
    assert is_same(there, home, home.run_id)
    assert not [name for name in counts(maintain(there.settings, NOW)) if "merged" in name]


def test_what_is_beyond_the_retention_goes_but_no_record_of_a_trade(home: Home, tmp_path: Path) -> None:
    there = home.copied(tmp_path / "home", backup_url=str(tmp_path / "backups"))
    later = home.as_of + timedelta(days=1)
    newer = run_night(there.settings, there.source, later).run_id
    in_eight_years = datetime.now(UTC) + timedelta(days=8 * 366)

    done = counts(maintain(there.settings, in_eight_years))

    assert done["backups made"] == 1
    assert done["rows beyond the retention in account_outcomes"] == ACCOUNTS
    assert done["snapshots expired"] > 10
    tables, before = public_tables(there.settings, home.run_id), public_tables(home.settings, home.run_id)
    for name in ("proposals", "orders", "lot_relief"):
        assert before[name].height > 0
        assert tables[name].equals(before[name])
    assert tables["drift"].is_empty()
    assert public_tables(there.settings, newer)["drift"].height > 0  # the newest night stays
    assert files_of(there.settings.export_folder) == files_of(home.settings.export_folder)
    with closing(open_ledger(there.settings)) as ledger:
        assert {run.run_id for run in ledger.runs.list_runs()} == {home.run_id, newer}
        ledger.audit.verify_audit()
    back = there.settings.model_copy(update={"home": tmp_path / "back"})
    assert restore(back, backups(tmp_path / "backups")[0]).run_count == 2


def row(started_at: datetime, as_of: date, state: RunState = RunState.DONE) -> RunRow:
    values = dict.fromkeys(("finished_at", "scope", "held_reason", "released_by", "release_note", "base_run_id"))
    return RunRow(
        run_id="r",
        as_of_date=as_of,
        kind=RunKind.NIGHTLY,
        state=state,
        submitter="s",
        input_hash="i",
        code_version="c",
        source="s",
        shard_count=1,
        accounts_pulled=1,
        counts={},
        started_at=started_at,
        held_guards=(),
        is_simulation=False,
        **values,  # type: ignore[arg-type]
    )


OLD, NEW = datetime(2019, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("run", "is_beyond"),
    [
        (row(OLD, OLD.date()), True),
        (row(NEW, OLD.date()), False),  # a night of long ago, computed now
        (row(OLD, OLD.date(), RunState.FAILED), True),
        (row(OLD, OLD.date(), RunState.RUNNING), False),
        (row(OLD, OLD.date(), RunState.HELD), False),
        (row(OLD, date(2019, 6, 1)), False),  # of the newest night
    ],
)
def test_a_run_is_beyond_the_retention_when(run: RunRow, *, is_beyond: bool) -> None:
    assert Retention(years_before(NOW, 7), date(2019, 6, 1)).is_beyond(run) is is_beyond


def test_years_before_a_leap_day_end_on_the_28th() -> None:
    assert years_before(datetime(2028, 2, 29, 5, tzinfo=UTC), 7) == datetime(2021, 2, 28, 5, tzinfo=UTC)


def test_a_snapshot_stays_as_long_as_a_run_that_is_kept_may_need_it() -> None:
    retention = Retention(years_before(NOW, 7), date(2019, 6, 1))
    assert oldest_needed([row(OLD, OLD.date()), row(NEW, OLD.date())], retention) == years_before(NOW, 7)
    newest_night = row(datetime(2019, 6, 2, tzinfo=UTC), date(2019, 6, 1))
    assert oldest_needed([row(OLD, OLD.date()), newest_night], retention) == newest_night.started_at


def test_orphans_are_older_than_a_day_and_than_every_run_that_is_running() -> None:
    started = NOW - timedelta(days=3)
    assert oldest_under_way([row(started, started.date())], NOW) == NOW - timedelta(days=1)
    assert oldest_under_way([row(started, started.date(), RunState.RUNNING)], NOW) == started


def test_folders_of_processes_that_are_gone_are_removed_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    settings = Settings(home=tmp_path / "home")
    long_ago = time.time() - 2 * 86_400
    names = {
        "gone": f"{LINKS}{DEAD}-x",
        "young": f"{LINKS}{DEAD}-y",
        "alive": f"{LINKS}{os.getpid()}-z",
        "old": f"{LINKS}abc",
    }
    for name in names.values():
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (long_ago, long_ago))
    os.utime(tmp_path / names["young"])
    (tmp_path / "home" / ".maintain-killed").mkdir(parents=True)
    found = leftovers(settings, datetime.now(UTC))
    assert {path.name for path in found} == {names["gone"], ".maintain-killed"}


def test_copies_of_a_night_long_ago_are_removed(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    for name in ("custodian/2026-10-01", "custodian/2026-11-01", "executions/broker", "custodian/2026-13-01"):
        (settings.staging_folder / name).mkdir(parents=True)
    assert old_staging_folders(settings, NOW.date()) == [settings.staging_folder / "custodian" / "2026-10-01"]


# --- as people start it


def test_the_commands_say_what_they_did(home: Home, tmp_path: Path) -> None:
    there = home.copied(tmp_path / "home")
    folder = {"TRIMTAB_BACKUP_URL": str(tmp_path / "backups")}
    dry, done, made, none = session(
        there.settings.home,
        (["maintain", "--dry-run", "--json"], folder),
        (["maintain"], {}),
        (["backup", "--json"], folder),
        (["backup"], {}),
    )
    assert [one.code for one in (dry, done, made, none)] == [0, 0, 0, 2]
    assert {"what": "small files in orders", "count": 2, "problem": None} in json.loads(dry.out)
    assert "small files merged in orders" in done.out
    backup = json.loads(made.out)["folder"]
    new = tmp_path / "new"
    first, second, audit = session(new, (["restore", backup], {}), (["restore", backup], {}), (["audit", "verify"], {}))
    assert [one.code for one in (first, second, audit)] == [0, 2, 0]
    assert "restored as of" in first.out
    assert "Nothing was overwritten" in second.err


@pytest.mark.usefixtures("prefect_api")
def test_the_flow_shows_what_was_done_and_fails_where_something_could_not_be(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = home.copied(tmp_path / "home")
    monkeypatch.setenv("TRIMTAB_HOME", str(there.settings.home))
    state = cast("State[Any]", flow(return_state=True))
    assert state.is_completed()
    assert "small files merged in orders" in str(artifacts_of(flow_run_of(state))["maintenance"].data)
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRIMTAB_BACKUP_URL", str(tmp_path / "file" / "backups"))
    state = cast("State[Any]", flow(return_state=True))
    assert (state.is_failed(), state.name) == (True, "NotAllDone")
    assert "backups made" in str(state.message)
