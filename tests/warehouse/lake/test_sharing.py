"""Readers and writers share an embedded lake; whoever merges has it alone, and his turn comes."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from schemas.errors import LakeBusy
from schemas.settings import Settings
from tasks.operate.maintain import maintain
from tasks.runtime.stores import open_ledger
from tests.warehouse.lake.test_maintenance import filled, run_of
from warehouse.lake.lake import open_lake
from warehouse.lake.maintenance import open_upkeep
from warehouse.lake.public_query import query
from warehouse.lake.sharing import Sharing

PATIENCE = 30.0
SOON = 0.3
HOLDER = """
import sys
from warehouse.lake.sharing import Sharing
with Sharing(sys.argv[1]).shared():
    print("mine", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def passed(way: Callable[[], AbstractContextManager[None]]) -> None:
    with way():
        pass


def is_waiting(future: "Future[object]") -> bool:
    time.sleep(SOON)
    return not future.done()


def test_many_share_and_one_who_is_alone_waits_for_all_of_them(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    sharing = Sharing(str(tmp_path / "catalogue"))
    with sharing.shared():
        threads.submit(passed, sharing.shared).result(PATIENCE)
        alone = threads.submit(passed, sharing.alone)
        assert is_waiting(alone)
    alone.result(PATIENCE)


def test_whoever_comes_while_one_is_alone_or_waits_to_be_waits_too(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    sharing = Sharing(str(tmp_path / "catalogue"))
    with sharing.alone():
        later = threads.submit(passed, sharing.shared)
        assert is_waiting(later)
    later.result(PATIENCE)
    with sharing.shared():
        alone = threads.submit(passed, sharing.alone)
        assert is_waiting(alone)
        behind = threads.submit(passed, sharing.shared)
        assert is_waiting(behind), "readers without end would keep the one who merges waiting for ever"
    alone.result(PATIENCE)
    behind.result(PATIENCE)


def test_a_thread_that_shares_may_share_again_while_another_waits_to_be_alone(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    sharing = Sharing(str(tmp_path / "catalogue"))
    with sharing.shared():
        alone = threads.submit(passed, sharing.alone)
        assert is_waiting(alone)
        passed(sharing.shared)
        assert is_waiting(alone), "the first share still holds"
    alone.result(PATIENCE)


def test_a_killed_reader_is_in_nobodys_way(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    place = str(tmp_path / "catalogue")
    words = [sys.executable, "-c", HOLDER, place]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"mine\n"
        alone = threads.submit(passed, Sharing(place).alone)
        assert is_waiting(alone)
        holder.kill()
        alone.result(PATIENCE)


def test_who_would_be_alone_gives_up_after_a_while_and_lets_the_others_on(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    sharing = Sharing(str(tmp_path / "catalogue"))
    with sharing.shared():
        alone = threads.submit(passed, lambda: sharing.alone(SOON))
        with pytest.raises(LakeBusy, match="is being read or written all the time\n\nHint: try again"):
            alone.result(PATIENCE)
        threads.submit(passed, sharing.shared).result(PATIENCE)
    threads.submit(passed, sharing.alone).result(PATIENCE)


def test_a_reader_does_not_wait_for_ever_for_one_who_hangs(
    tmp_path: Path, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warehouse.lake.sharing.MERGE_SECONDS", SOON)
    sharing = Sharing(str(tmp_path / "catalogue"))
    with sharing.alone():
        later = threads.submit(passed, sharing.shared)
        with pytest.raises(LakeBusy, match="does not end\n\nHint: does `trimtab maintain` hang"):
            later.result(PATIENCE)
    threads.submit(passed, sharing.shared).result(PATIENCE)


def test_a_catalogue_on_a_server_is_everybodys_at_any_time() -> None:
    sharing = Sharing.of("ducklake:postgres:host=db")
    with sharing.alone(), sharing.shared(), sharing.alone():
        assert sharing == Sharing()


@pytest.mark.parametrize("what", ["read", "read_tables", "write", "load", "query"])
def test_whatever_touches_the_lake_waits_while_files_are_merged(
    tmp_path: Path, threads: ThreadPoolExecutor, what: str
) -> None:
    settings = filled(Settings(home=tmp_path), days=1)
    open_ledger(settings).close()
    run, rows = run_of(1), pl.DataFrame({"account_id": ["A1"]})
    works: dict[str, Callable[[], object]] = {
        "read": lambda: open_lake(settings).read("scope", run.run_id),
        "read_tables": lambda: open_lake(settings).read_tables({"scope": ()}, run.run_id),
        "write": lambda: open_lake(settings).replace(run, 9, {"scope": rows}),
        "load": lambda: open_lake(settings).load(run, ["scope"], [("scope", rows.with_columns(shard=9))]),
        "query": lambda: query(settings, "SELECT count(*) FROM account_outcomes"),
    }
    with Sharing.of(settings.lake_address).alone():
        work = threads.submit(works[what])
        assert is_waiting(work)
    work.result(PATIENCE)


def test_upkeep_beside_a_reader_without_end_waits_once_and_says_what_it_left(
    tmp_path: Path, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warehouse.lake.maintenance.QUIET_SECONDS", SOON)
    monkeypatch.setattr("warehouse.lake.maintenance.LESS_SECONDS", 0.0)
    settings = filled(Settings(home=tmp_path), days=1)
    open_ledger(settings).close()
    with Sharing.of(settings.lake_address).shared():
        chores = threads.submit(maintain, settings, datetime.now(UTC)).result(PATIENCE)
    done = {chore.what for chore in chores if not chore.problem}
    assert done == {"leftover folders removed", "staged nights removed", "orphan files removed", "old studies removed"}
    assert {"snapshots expired", "small files merged in account_outcomes"} < {chore.what for chore in chores}
    assert all("all the time" in chore.problem for chore in chores if chore.problem)
    assert [chore.problem for chore in maintain(settings, datetime.now(UTC)) if chore.problem] == []


def test_files_are_merged_when_nobody_touches_the_lake(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    settings = filled(Settings(home=tmp_path), days=1)

    def merged() -> int:
        with open_upkeep(settings) as lake:
            return lake.merge_files("account_outcomes").files_before

    with Sharing.of(settings.lake_address).shared():
        merging = threads.submit(merged)
        assert is_waiting(merging)
    assert merging.result(PATIENCE) > 0
