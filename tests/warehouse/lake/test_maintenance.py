"""Keeping the lake in order: nothing that can be read changes, nobody who reads or writes beside it notices."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import Final, TypeVar

import duckdb
import polars as pl
import pytest

from schemas.enums import RunKind
from schemas.errors import LakeBusy, Terminal
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.stored import INTERNAL
from schemas.tables import PUBLIC
from tests.support.servers import Postgres
from warehouse.faults.engine_errors import is_passing
from warehouse.lake.lake import open_lake
from warehouse.lake.maintenance import Upkeep, open_upkeep
from warehouse.lake.snapshots import past_of

ROWS = 40
SHARDS = 3
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
PATIENCE_SECONDS: Final = 120
T = TypeVar("T")


def run_of(day: int) -> RunRef:
    return RunRef(f"2026-03-{day:02}-nightly-0123456789ab", date(2026, 3, day), RunKind.NIGHTLY, SHARDS)


def outcomes(shard: int, turn: int = 0) -> pl.DataFrame:
    """Enough rows of a shard for a file of their own; all of them say which turn wrote them."""
    accounts = [f"a{shard}-{number}" for number in range(ROWS)]
    return pl.DataFrame(
        {"account_id": accounts, "outcome": "in_band", "reason": str(turn)}, schema=PUBLIC["account_outcomes"]
    )


def gate(account: str) -> pl.DataFrame:
    """So few rows that they stand in the catalogue."""
    return pl.DataFrame({"account_id": [account], "outcome": "frozen", "reason": None}, schema=INTERNAL["gate"])


def filled(settings: Settings, days: int = 4) -> Settings:
    lake = open_lake(settings)
    for day in range(1, days + 1):
        for shard in range(1, SHARDS + 1):
            lake.replace(run_of(day), shard, {"account_outcomes": outcomes(shard), "gate": gate(f"g{shard}")})
    return settings


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home made once: making its tables takes seconds."""
    return filled(Settings(home=tmp_path_factory.mktemp("template") / "home")).home


@pytest.fixture
def settings(tmp_path: Path, template: Path) -> Settings:
    shutil.copytree(template, tmp_path / "home")
    return Settings(home=tmp_path / "home")


def rows_of(settings: Settings, table: str) -> list[pl.DataFrame]:
    lake = open_lake(settings)
    return [lake.read(table, run_of(day).run_id, shard).sort(pl.all()) for day in range(1, 5) for shard in (1, 2, 3)]


def data_files(settings: Settings, table: str = "account_outcomes") -> list[Path]:
    return sorted((settings.home / "lake" / "data" / "main" / table).glob("*.parquet"))


def in_an_hour() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def test_small_files_become_one_and_every_row_stays(settings: Settings) -> None:
    before = [rows_of(settings, table) for table in ("account_outcomes", "gate")]
    with open_upkeep(settings) as lake:
        assert lake.small_files() == {"account_outcomes": 12}
        assert lake.flush_inlined("gate") == 12
        merged = lake.merge_files("account_outcomes")
        assert (merged.files_before, merged.files_after) == (12, 1)
        assert lake.small_files() == {}
        assert lake.merge_files("account_outcomes").files_before == 0
    for table, known in zip(("account_outcomes", "gate"), before, strict=True):
        assert [one.equals(other) for one, other in zip(rows_of(settings, table), known, strict=True)] == [True] * 12


def test_rows_of_a_run_and_shard_stay_together_in_a_merged_file(settings: Settings) -> None:
    """So that the statistics of row groups still say where they are."""
    with open_upkeep(settings) as lake:
        lake.merge_files("account_outcomes")
    newest = max(data_files(settings), key=lambda path: path.stat().st_size)
    keys = pl.read_parquet(newest).select("run_id", "shard").rows()
    assert len(keys) == 4 * SHARDS * ROWS
    assert len(list(groupby(keys))) == 4 * SHARDS


def test_the_lake_can_be_read_as_it_was_until_its_snapshot_expires(settings: Settings) -> None:
    with open_upkeep(settings) as lake:
        version = lake._rows("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')")[0][0]
        query = f"SELECT count(*) FROM lake.account_outcomes AT (VERSION => {version})"
        assert lake.delete_runs("account_outcomes", [run_of(1).run_id], is_dry_run=False) == SHARDS * ROWS
        lake.merge_files("account_outcomes")
        assert lake.expire_snapshots(LONG_AGO, is_dry_run=False) == 0
        lake.remove_replaced(in_an_hour(), is_dry_run=False)
        assert lake._rows(query) == [(4 * SHARDS * ROWS,)]
        assert lake.expire_snapshots(in_an_hour(), is_dry_run=False) > 12
        with pytest.raises(duckdb.Error, match="No snapshot"):
            lake._rows(query)


def test_deleting_runs_takes_theirs_and_no_others(settings: Settings) -> None:
    others = rows_of(settings, "account_outcomes")[3:]
    with open_upkeep(settings) as lake:
        assert lake.delete_runs("account_outcomes", [run_of(1).run_id], is_dry_run=True) == SHARDS * ROWS
        assert lake.run_counts()[run_of(1).run_id] == (SHARDS * ROWS, 0)
        lake.delete_runs("account_outcomes", [run_of(1).run_id, "nobody"], is_dry_run=False)
        assert sorted(lake.run_counts()) == [run_of(day).run_id for day in (2, 3, 4)]
    left = rows_of(settings, "account_outcomes")
    assert all(each.is_empty() for each in left[:3])
    assert all(one.equals(other) for one, other in zip(left[3:], others, strict=True))


def test_a_replaced_file_stays_as_long_as_somebody_may_read_it(settings: Settings) -> None:
    with open_upkeep(settings) as lake:
        lake.merge_files("account_outcomes")
        assert lake.remove_replaced(datetime.now(UTC) - timedelta(days=1), is_dry_run=False) == 0
        assert len(data_files(settings)) == 13
        assert lake.remove_replaced(in_an_hour(), is_dry_run=True) == 12
        assert lake.remove_replaced(in_an_hour(), is_dry_run=False) == 12
        assert len(data_files(settings)) == 1
    assert rows_of(settings, "account_outcomes")[0].height == ROWS


def test_a_file_that_nobody_names_goes_when_it_is_old_enough(settings: Settings) -> None:
    known = data_files(settings)
    orphans = [known[0].with_name(name) for name in ("ducklake-old.parquet", "ducklake-new.parquet")]
    for orphan in orphans:
        orphan.write_bytes(b"half a file")
    two_days_ago = time.time() - 2 * 86_400
    for path in (orphans[0], *known):  # that a file is old makes it nobody's no more
        os.utime(path, (two_days_ago, two_days_ago))
    with open_upkeep(settings) as lake:
        yesterday = datetime.now(UTC) - timedelta(days=1)
        assert lake.remove_orphans(yesterday, is_dry_run=True) == 1
        assert lake.remove_orphans(yesterday, is_dry_run=False) == 1
    assert data_files(settings) == sorted([*known, orphans[1]])


def test_files_whose_names_the_catalogue_knows_are_never_orphans(settings: Settings) -> None:
    """DuckLake compares paths as text: spelled with two slashes, all files of the lake are nobody's."""
    known = data_files(settings)
    home = settings.home
    spelled = Settings(home=home, lake_data_url=f"{home.parent}//{home.name}/lake/data")
    with open_upkeep(spelled) as lake, pytest.raises(Terminal, match="its catalogue names them"):
        lake.remove_orphans(in_an_hour(), is_dry_run=False)
    assert data_files(settings) == known


# --- beside others


@pytest.fixture(params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """A lake on either kind of catalogue."""
    if request.param == "sqlite":
        return filled(Settings(home=tmp_path), days=1)
    server: Postgres = request.getfixturevalue("postgres")
    target = f"host=127.0.0.1 port={server.port} user=owner dbname={server.new_database()}"
    return filled(Settings(home=tmp_path, lake_url=f"ducklake:postgres:{target}"), days=1)


def write_until(told: str, stop: str) -> int:
    """Replace shards, large and small, until a file appears; how often."""
    lake, turns = open_lake(Settings.model_validate_json(told)), 0
    while not Path(stop).exists():
        turns += 1
        lake.replace(run_of(2), 1 + turns % SHARDS, {"account_outcomes": outcomes(1, turns), "gate": gate(f"g{turns}")})
    return turns


def read_until(told: str, stop: str) -> tuple[int, int]:
    """Read what is replaced meanwhile until a file appears; how often, and how often there was half of it."""
    lake, looks, halves = open_lake(Settings.model_validate_json(told)), 0, 0
    while not Path(stop).exists():
        looks += 1
        for day in (1, 2):
            found = lake.read("account_outcomes", run_of(day).run_id, 1 + looks % SHARDS)
            is_whole = found.height == ROWS and found["reason"].n_unique() == 1
            halves += not (is_whole or (day == 2 and found.is_empty()))
        Path(f"{stop}.looked").touch()
    return looks, halves


def test_every_moment_of_the_lake_stays_as_it_was(shared: Settings) -> None:
    """A replay reads the lake as of the end of its run: merging, moving small writes and removing what was replaced change none."""
    lake = open_lake(shared)
    for turn in range(2):  # replaced shards: of files, and of rows that stand in the catalogue
        lake.replace(run_of(1), 1, {"account_outcomes": outcomes(1, turn), "gate": gate(f"again{turn}")})

    def moments(keeper: Upkeep) -> dict[tuple[int, str], list[tuple[object, ...]]]:
        snapshots = [version for (version,) in keeper._rows("SELECT snapshot_id FROM ducklake_snapshots('lake')")]
        known = (version for version in snapshots if version <= newest)
        return {
            (version, table): keeper._rows(f"SELECT * FROM lake.{table} AT (VERSION => {version}) ORDER BY ALL")
            for version in known
            for table in ("account_outcomes", "gate")
            if version > 1
        }

    with open_upkeep(shared) as keeper:
        newest = keeper._rows("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')")[0][0]
        before = moments(keeper)
        assert len({len(rows) for rows in before.values()}) > 5
        for table in ("account_outcomes", "gate"):
            keeper.flush_inlined(table)
            keeper.merge_files(table)
        keeper.remove_replaced(in_an_hour(), is_dry_run=False)
        assert moments(keeper) == before


def test_every_snapshot_keeps_the_run_that_it_was_made_by(shared: Settings) -> None:
    """And what upkeep does is nobody's."""
    with past_of(shared) as past:
        before = past.snapshots
    with open_upkeep(shared) as keeper:
        keeper.flush_inlined("gate")
        keeper.merge_files("account_outcomes")
        keeper.delete_runs("gate", [run_of(1).run_id], is_dry_run=False)
    with past_of(shared) as past:
        assert past.snapshots[: len(before)] == before
        later = past.snapshots[len(before) :]
    assert [one.run_id for one in before[-SHARDS:]] == [run_of(1).run_id] * SHARDS
    assert len(later) > 2
    assert {one.run_id for one in later} == {None}


@pytest.fixture
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


def patiently(chore: Callable[[], T]) -> T:
    """What upkeep does; again where it was told to come later: this writer leaves no gap between two writes, however slow the machine is."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return chore()
        except LakeBusy:
            if time.monotonic() > until:
                raise


@pytest.mark.slow
def test_writers_and_readers_beside_it_notice_nothing(
    shared: Settings, pool: ProcessPoolExecutor, tmp_path: Path
) -> None:
    told, stop = shared.model_dump_json(), tmp_path / "stop"
    writer, reader = (pool.submit(work, told, str(stop)) for work in (write_until, read_until))
    merged = 0
    try:
        while not (open_lake(shared).read("gate", run_of(2).run_id).height and Path(f"{stop}.looked").exists()):
            assert not writer.done()
            assert not reader.done()
            time.sleep(0.05)
        with open_upkeep(shared) as lake:
            for _ in range(2):
                patiently(lambda: lake.flush_inlined("gate"))
                merged += patiently(lambda: lake.merge_files("account_outcomes")).files_before
                patiently(lambda: lake.expire_snapshots(datetime.now(UTC), is_dry_run=False))
                patiently(lambda: lake.remove_orphans(datetime.now(UTC) - timedelta(minutes=2), is_dry_run=False))
    finally:
        stop.touch()
    turns, (looks, halves) = writer.result(), reader.result()
    assert merged > 0
    assert min(turns, looks) > 0
    assert halves == 0
    found = open_lake(shared)
    for shard in range(1, SHARDS + 1):
        newest = max((turn for turn in range(1, turns + 1) if 1 + turn % SHARDS == shard), default=None)
        expected = [] if newest is None else [str(newest)]
        assert found.read("account_outcomes", run_of(2).run_id, shard)["reason"].unique().to_list() == expected
        assert found.read("gate", run_of(2).run_id, shard)["account_id"].to_list() == [f"g{one}" for one in expected]


def test_the_folder_that_memory_spills_to_is_in_the_home_and_goes(settings: Settings) -> None:
    with open_upkeep(settings) as lake:
        (place, limit) = lake._rows("SELECT current_setting('temp_directory'), current_setting('memory_limit')")[0]
        assert Path(place).parent == settings.home
        assert limit == "953.6 MiB"
    assert not Path(place).exists()


def test_a_moved_home_is_read_where_it_is(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> None:
    expected = rows_of(settings, "account_outcomes")
    moved = settings.home.rename(tmp_path_factory.mktemp("moved") / "home")
    there = Settings(home=moved)
    assert all(one.equals(other) for one, other in zip(rows_of(there, "account_outcomes"), expected, strict=True))
    open_lake(there).replace(run_of(5), 1, {"account_outcomes": outcomes(1)})
    assert not settings.home.exists()
    assert len(data_files(there)) == 13


def test_data_at_another_place_than_beside_the_catalogue_are_refused(settings: Settings) -> None:
    elsewhere = Settings(home=settings.home, lake_data_url=str(settings.home / "elsewhere" / "data"))
    with pytest.raises(duckdb.Error, match="does not match existing data path"), open_upkeep(elsewhere):
        raise AssertionError


def test_nothing_is_left_open(settings: Settings) -> None:
    with open_upkeep(settings) as lake:
        connection = lake._connection
    with pytest.raises(duckdb.ConnectionException), closing(connection):
        connection.execute("SELECT 1")


def test_a_catalogue_in_postgresql_that_was_changed_meanwhile_is_tried_again() -> None:
    """Seen when rows that the catalogue holds are moved to files while another process replaces them."""
    text = 'Failed to execute query "DELETE FROM ...": ERROR:  could not serialize access due to concurrent update'
    assert is_passing(duckdb.Error(text))
