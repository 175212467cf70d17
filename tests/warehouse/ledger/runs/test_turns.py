"""One at a time: whoever waits goes on when the other is done, is killed or has lost its connection; others do not wait."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.enums import RunKind, Step
from schemas.errors import LedgerUnreachable
from schemas.run import RunRef
from schemas.settings import Settings
from tasks.runtime.run_settings import use_settings
from tasks.runtime.steps import open_stores, timed_step
from tests.support.ledger_book import NOW, new_run, opened, staffed
from tests.support.servers import PASSWORD, Postgres
from warehouse.lake.lake import Lake
from warehouse.ledger import Ledger

PATIENCE = 30.0
RUN = RunRef("r1", date(2026, 7, 1), RunKind.NIGHTLY, 2)
HOLDER = """
import sys
from tests.support.ledger_book import opened
with opened(sys.argv[1]).locks.turn("r1"):
    print("mine", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a ledger with its people."""
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
        address = f"postgresql+psycopg://owner@127.0.0.1:{server.port}/{server.new_database()}"
    staffed(address).close()
    yield address
    if request.param == "sqlite":
        left = Path(f"{address.removeprefix('sqlite:///')}-turns")
        assert not left.exists() or list(left.iterdir()) == [], "no file is left of a turn that ended"


def in_turn(ledger: Ledger, *work: object) -> Callable[[], None]:
    def done() -> None:
        with ledger.locks.turn(*work):
            pass

    return done


def test_who_comes_second_is_told_and_waits_for_the_first(place: str) -> None:
    told = threading.Event()
    with closing(opened(place)) as one, closing(opened(place)) as two, ThreadPoolExecutor(1) as threads:

        def second() -> bool:
            with two.locks.turn("r1", told=told.set):
                return first_is_done.is_set()

        first_is_done = threading.Event()
        with one.locks.turn("r1") as turn:
            waiting = threads.submit(second)
            assert told.wait(PATIENCE)
            turn.need()
            first_is_done.set()
        assert waiting.result(PATIENCE)


def test_other_work_does_not_wait(place: str) -> None:
    with (
        closing(opened(place)) as one,
        closing(opened(place)) as two,
        ThreadPoolExecutor(1) as threads,
        one.locks.turn("r1"),
        one.locks.turn("r1", Step.MEASURE, 3),
    ):
        threads.submit(in_turn(two, "r2")).result(PATIENCE)
        threads.submit(in_turn(two, "r1", Step.MEASURE, 4)).result(PATIENCE)


def test_a_turn_ends_with_what_is_raised_in_it(place: str) -> None:
    with closing(opened(place)) as one:
        with pytest.raises(ZeroDivisionError), one.locks.turn("r1"):
            raise ZeroDivisionError
        in_turn(one, "r1")()


def test_a_killed_process_is_in_nobodys_way(place: str) -> None:
    words = [sys.executable, "-c", HOLDER, place]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"mine\n"
        told = threading.Event()
        with closing(opened(place)) as ledger, ThreadPoolExecutor(1) as threads:

            def second() -> None:
                with ledger.locks.turn("r1", told=told.set):
                    pass

            waiting = threads.submit(second)
            assert told.wait(PATIENCE)
            assert not waiting.done()
            os.kill(holder.pid, signal.SIGKILL)
            waiting.result(PATIENCE)


def test_many_that_come_at_once_are_never_two_at_work(place: str) -> None:
    at_work, most = [0], [0]
    guard = threading.Lock()

    def change(by: int) -> None:
        with guard:
            at_work[0] += by
            most[0] = max(most[0], at_work[0])

    def work(_each: int) -> None:
        with closing(opened(place)) as ledger:
            for _ in range(5):
                with ledger.locks.turn("r1"):
                    change(1)
                    time.sleep(0.002)
                    change(-1)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert most == [1]


def test_a_turn_whose_connection_was_cut_is_lost_and_says_so(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with closing(opened(f"postgresql+psycopg://owner@127.0.0.1:{postgres.port}/{postgres.new_database()}")) as ledger:
        with ledger.locks.turn("r1") as turn:
            postgres.run("public", "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
            in_turn(ledger, "r1")()
            with pytest.raises(LedgerUnreachable, match="cannot be reached"):
                turn.need()
        in_turn(ledger, "r1")()


def test_a_shard_on_which_two_work_at_once_is_in_the_lake_once(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits inside its transaction for the other to be as far: without turns both would insert, and both commit."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    database = postgres.new_database()
    place = f"host=127.0.0.1 port={postgres.port} user=owner dbname={database}"
    settings = Settings(
        home=tmp_path,
        lake_url=f"ducklake:postgres:{place}",
        ledger_url=f"postgresql+psycopg://owner@127.0.0.1:{postgres.port}/{database}",
    )
    both, real = threading.Barrier(2), Lake._insert

    def insert(*given: Any) -> None:
        real(*given)
        with suppress(threading.BrokenBarrierError):
            both.wait(1)

    monkeypatch.setattr(Lake, "_insert", insert)
    rows = pl.DataFrame({"account_id": ["a1"], "security_id": ["s1"]})

    def work(_each: int) -> None:
        with (
            use_settings(settings),
            open_stores() as at,
            timed_step(at.ledger.locks, at.ledger.runs, RUN, Step.MEASURE, 1),
        ):
            at.lake.replace(RUN, 1, {"awaiting": rows.select("account_id", reason=pl.lit("x"))})

    with use_settings(settings), open_stores() as at:
        at.ledger.runs.start_run(new_run("r1"), NOW)
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(work, range(2)))
        assert at.lake.read("awaiting", "r1", 1).height == 1
        assert [(row.step, row.shard) for row in at.ledger.runs.step_rows("r1")] == [(Step.MEASURE, 1)]
