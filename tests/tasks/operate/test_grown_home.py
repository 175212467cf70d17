"""A home whose ledger and catalogue are in PostgreSQL and whose lake is in S3: replayed, kept in order, backed up, restored."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs
from typer.testing import CliRunner

from flows.commands.cli import app
from schemas.errors import ExitCode, Retryable, WrongUsage
from schemas.settings import Settings
from tasks.demo.sample import make_book
from tasks.operate.backup import Backup, make_backup
from tasks.operate.maintain import maintain
from tasks.operate.maintenance_lock import maintenance_lock
from tasks.operate.replay import replay_run
from tasks.operate.restore import restore
from tasks.runtime.run_settings import use_settings
from tasks.runtime.stores import open_ledger
from tests.support.night_driver import export, run_night
from tests.support.scale_scene import new_stores
from tests.support.servers import ObjectStore, Postgres, only_these_servers
from warehouse.copies.backup import copy_catalogue, has_catalogue
from warehouse.lake.attach import attach_lake
from warehouse.lake.connection import connect

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=2)
"""When nobody reads any more what was replaced, and nobody writes any more what no catalogue names."""
ORPHAN = "main/orders/ducklake-of-a-killed-process.parquet"


@dataclass(frozen=True)
class Home:
    """Stores on servers; ``run_id``: a night that is done and exported."""

    settings: Settings
    run_id: str
    postgres: Postgres
    store: ObjectStore

    @property
    def bucket(self) -> str:
        """Where the lake's data are, as the object store calls it."""
        return self.settings.lake_data_address.removeprefix("s3://")

    @property
    def objects(self) -> dict[str, int]:
        """Sizes of what is there, by path in the lake's data."""
        found = self.store.files.get_file_info(fs.FileSelector(self.bucket, recursive=True))
        return {one.path.removeprefix(self.bucket): one.size for one in found if one.is_file}

    def named(self, folder: Path) -> dict[str, int]:
        """Sizes of what the catalogue names."""
        folder.mkdir()
        return copy_catalogue(self.settings.lake_address, folder)

    def beside(self, home: Path) -> "Home":
        """Other databases with nothing in them, and the same bucket."""
        made = settings_of(new_stores(self.postgres, self.store))
        addresses = {**made, "home": home, "lake_data_url": self.settings.lake_data_url}
        return replace(self, settings=self.settings.model_copy(update=addresses))

    def typed(self, *words: str) -> Any:
        """``trimtab replay RUN --json``: exit code, what it printed, notices."""
        with use_settings(self.settings):
            done = CliRunner().invoke(app, ["replay", self.run_id, "--json", *words])
        return done.exit_code, json.loads(done.stdout), done.stderr


def settings_of(stores: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix("TRIMTAB_").lower(): value for name, value in stores.items()}


@pytest.fixture(scope="module")
def servers(postgres_server: Postgres, s3_server: ObjectStore) -> Iterator[tuple[Postgres, ObjectStore]]:
    """Both, and what this process needs to reach them in its environment."""
    with only_these_servers() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", s3_server.endpoint)
        yield postgres_server, s3_server


@pytest.fixture(scope="module")
def home(servers: tuple[Postgres, ObjectStore], tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Read by all tests and changed by none."""
    folder = tmp_path_factory.mktemp("grown")
    as_of = make_book(folder / "source", account_count=60).as_of_date
    settings = Settings(home=folder / "home", accounts_per_shard=40, **settings_of(new_stores(*servers)))  # type: ignore[arg-type]
    night = run_night(settings, folder / "source", as_of)
    export(settings, night.run_id)
    return Home(settings, night.run_id, *servers)


@pytest.fixture(scope="module")
def made(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Backup:
    return make_backup(home.settings, tmp_path_factory.mktemp("backups"), NOW)


@pytest.fixture
def own(home: Home, made: Backup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The home of this test alone, restored beside a copy of the bucket; upkeep sees no temporary folders but its own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    there = home.beside(tmp_path / "home")
    elsewhere = f"s3://{home.store.new_bucket()}/moved/"
    there = replace(there, settings=there.settings.model_copy(update={"lake_data_url": elsewhere}))
    fs.copy_files(
        home.bucket, there.bucket, source_filesystem=home.store.files, destination_filesystem=home.store.files
    )
    restore(there.settings, made.folder)
    return there


def test_a_night_on_postgresql_and_s3_gives_the_same_bytes(home: Home) -> None:
    before = home.objects
    code, told, notices = home.typed()
    assert (code, told["is_same"], told["causes"], notices) == (0, True, [], "")
    rows = {one["table"]: one["rows"] for one in told["computed"]}
    assert len(rows) == len(told["computed"]) > 15
    assert rows["account_outcomes"] == 60
    assert [one["problems"] for one in told["exports"]] == [[]]
    assert told["exports"][0]["files"] > 3
    assert home.objects == before
    assert not list(home.settings.home.glob("replay-*"))


def test_a_row_changed_in_the_lake_is_told_with_what_it_was(own: Home) -> None:
    with connect("ducklake", "postgres", "httpfs") as connection:
        attach_lake(connection, own.settings.lake_address, own.settings.lake_data_address)
        connection.execute("UPDATE lake.landed_lots SET unit_cost_usd = 7.5 WHERE row_number = 1")
    code, told, _ = own.typed()
    assert (code, told["is_same"]) == (ExitCode.FAILED, False)
    assert [one for one in told["computed"] if one["missing"] or one["added"] or one["changed"]] == []
    (diff,) = (one for one in told["since"] if one["changed"])
    assert (diff["table"], diff["changed"], diff["cells"]) == ("landed_lots", 1, 1)
    (cell,) = diff["samples"]
    assert (cell["key"], cell["column"], cell["now"]) == ({"row_number": 1}, "unit_cost_usd", "7.500000")
    (why,) = told["causes"]
    assert why == (
        f"landed_lots, an input of the run, was changed in the lake after the run had ended (snapshot {told['snapshot']})"
    )


def done(home: Home, now: datetime, *, is_dry_run: bool = False) -> dict[str, int]:
    """What upkeep did; everything could be done."""
    chores = maintain(home.settings, now, is_dry_run=is_dry_run)
    assert [one for one in chores if one.problem] == []
    return {one.what: one.count for one in chores if one.count}


def test_a_home_in_order_is_backed_up_and_restored_beside_its_bucket(own: Home, tmp_path: Path) -> None:
    before = own.objects
    own.store.put(own.bucket + ORPHAN, b"half a file")

    young = done(own, NOW)
    assert young["small files merged in orders"] == 2
    assert not young.keys() & {"replaced files removed", "orphan files removed"}
    assert own.objects.keys() > {*before, ORPHAN}

    old = done(own, LATER, is_dry_run=True)
    assert old["orphan files removed"] == 1
    assert ORPHAN in own.objects
    assert done(own, LATER) == {name: old[name] for name in ("replaced files removed", "orphan files removed")}
    assert own.objects == own.named(tmp_path / "catalogue"), "all that it names, and no more"

    backup = make_backup(own.settings, tmp_path / "backups", LATER)
    assert backup.object_count == len(own.objects)
    there = own.beside(tmp_path / "restored")
    assert restore(there.settings, backup.folder).checked_run_count == 1
    found = replay_run(there.settings, own.run_id, tmp_path / "again")
    assert (found.is_same, found.notices) == (True, ())
    assert [one.files > 3 for one in found.exports] == [True]


def test_a_backup_whose_objects_are_gone_is_not_restored(own: Home, made: Backup, tmp_path: Path) -> None:
    """``maintain`` has removed them since, and the bucket kept no versions."""
    gone = next(name for name in own.objects if "/class_reasons/" in name)
    own.store.files.delete_file(own.bucket + gone)
    there = own.beside(tmp_path / "restored")
    with pytest.raises(WrongUsage, match=f"1 files of the lake are not at {own.settings.lake_data_address}: {gone}"):
        restore(there.settings, made.folder)
    assert not has_catalogue(there.settings.lake_address)
    local = there.settings.model_copy(update={"lake_data_url": ""})
    with pytest.raises(WrongUsage, match=f"{made.object_count} files of the lake are not at {tmp_path}"):
        restore(local, made.folder)


def test_upkeep_makes_no_lake_where_there_is_none(home: Home, tmp_path: Path) -> None:
    there = home.beside(tmp_path / "home")
    there.settings.home.mkdir()
    open_ledger(there.settings).close()
    assert done(there, NOW) == {}
    assert not has_catalogue(there.settings.lake_address)


def test_two_machines_do_not_keep_one_home_at_once(home: Home, tmp_path: Path) -> None:
    elsewhere = home.settings.model_copy(update={"home": tmp_path / "elsewhere"})
    for settings in (home.settings, elsewhere):
        settings.home.mkdir(exist_ok=True)
    with maintenance_lock(home.settings), pytest.raises(Retryable, match="another process"):
        make_backup(elsewhere, tmp_path / "backups", NOW)
    assert make_backup(elsewhere, tmp_path / "backups", NOW).folder.is_dir()
