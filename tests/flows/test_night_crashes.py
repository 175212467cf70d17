"""A night that is killed without notice, in every step, and a night with neighbours at the same stores."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import RunState
from schemas.settings import Settings
from tasks.demo.sample import make_book
from tasks.runtime.stores import open_ledger
from tests.support.night_driver import POINTS, export, files_of, killed, public_tables, run_night
from warehouse.lake.lake import open_lake

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]

ACCOUNTS = 120
NEIGHBOUR = Path(__file__).parents[1] / "support" / "night_neighbour.py"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, date]:
    folder = tmp_path_factory.mktemp("source")
    return folder, make_book(folder, account_count=ACCOUNTS).as_of_date


def settings_in(home: Path) -> Settings:
    return Settings(home=home, accounts_per_shard=ACCOUNTS // 2 + 10)


@pytest.fixture(scope="module")
def neighbours(
    tmp_path_factory: pytest.TempPathFactory, source: tuple[Path, date]
) -> tuple[Settings, str, list[dict[str, int]]]:
    """A night while one process reads the lake and another writes the ledger; what they counted."""
    settings = settings_in(tmp_path_factory.mktemp("home"))
    run_night(settings, *source, scope=())  # a first night, so that there is something to read
    later = source[1].replace(day=source[1].day + 1)
    stop = settings.home / "stop"
    environment = {**os.environ, "PYTHONPATH": str(NEIGHBOUR.parents[2]), "POLARS_MAX_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(NEIGHBOUR), what, settings.model_dump_json(), str(stop)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for what in ("read", "write")
    ]
    deadline = time.monotonic() + 60
    while len(list(settings.home.glob("stop.*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    night = run_night(settings, source[0], later)
    stop.touch()
    answers = [process.communicate(timeout=60) for process in processes]
    assert [(process.returncode, errors) for process, (_, errors) in zip(processes, answers, strict=True)] == [
        (0, ""),
        (0, ""),
    ]
    return settings, night.run_id, [json.loads(answer) for answer, _ in answers]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, source: tuple[Path, date]) -> tuple[Settings, str]:
    settings = settings_in(tmp_path_factory.mktemp("undisturbed"))
    night = run_night(settings, *source)
    export(settings, night.run_id)
    return settings, night.run_id


@pytest.fixture(scope="module")
def survivor(tmp_path_factory: pytest.TempPathFactory, source: tuple[Path, date]) -> tuple[Settings, dict[str, int]]:
    """A home whose night and export were killed at every point, one after the other, and then left alone once."""
    settings = settings_in(tmp_path_factory.mktemp("killed"))
    ends = killed(settings, *source, list(POINTS))
    export(settings, run_night(settings, *source).run_id)
    return settings, ends


@pytest.mark.parametrize("point", POINTS)
def test_the_night_was_killed_at(survivor: tuple[Settings, dict[str, int]], point: str) -> None:
    assert survivor[1][point] == -signal.SIGKILL


def test_a_night_killed_everywhere_ends_as_if_nothing_had_happened(
    survivor: tuple[Settings, dict[str, int]], undisturbed: tuple[Settings, str]
) -> None:
    settings, run_id = undisturbed
    tables, expected = public_tables(survivor[0], run_id), public_tables(settings, run_id)
    assert [table for table in expected if not tables[table].equals(expected[table])] == []
    files = files_of(settings.export_folder)
    assert len(files) > 20
    assert files_of(survivor[0].export_folder) == files


def test_a_night_killed_everywhere_left_nothing_twice_in_the_ledger(
    survivor: tuple[Settings, dict[str, int]], undisturbed: tuple[Settings, str]
) -> None:
    settings, run_id = undisturbed
    facts = []
    for one in (survivor[0], settings):
        with closing(open_ledger(one)) as ledger:
            (run,) = ledger.runs.list_runs()
            assert (run.run_id, run.state) == (run_id, RunState.DONE)
            proposals = ledger.proposals.list_proposals().select(
                pl.exclude("created_at", "expires_at", "state_changed_at", "submitter")
            )
            (sent,) = ledger.exports.exports_of(run_id)
            orders = ledger.exports.export_order_ids(sent.export_id)
            steps = {(row.step, row.shard, row.rows) for row in ledger.runs.step_rows(run_id)}
            assert ledger.audit.verify_audit() > proposals.height
            facts.append((proposals.rows(), orders.rows(), steps, sent.manifest_sha256, run.counts))
    assert facts[0] == facts[1]


def test_a_night_killed_everywhere_left_no_row_twice_in_the_lake(
    survivor: tuple[Settings, dict[str, int]], undisturbed: tuple[Settings, str]
) -> None:
    settings, run_id = undisturbed
    for table in ("landed_lots", "landed_accounts", "scope", "gate", "last_exports"):
        left, right = (open_lake(one).read(table, run_id) for one in (survivor[0], settings))
        assert left.sort(pl.all()).equals(right.sort(pl.all()))


def test_a_reader_never_meets_an_error_or_half_a_shard(
    neighbours: tuple[Settings, str, list[dict[str, int]]],
) -> None:
    counted = neighbours[2][0]
    assert counted["looks"] > 0
    assert counted["halves"] == 0


def test_nothing_that_another_process_writes_into_the_ledger_is_lost(
    neighbours: tuple[Settings, str, list[dict[str, int]]],
) -> None:
    settings, run_id, (_, written) = neighbours
    assert written["users"] > 1
    with closing(open_ledger(settings)) as ledger:
        users = [user.name for user in ledger.users.list_users() if user.name.startswith("user-")]
        assert len(users) == written["users"]
        assert ledger.audit.verify_audit() > written["users"]
        run = ledger.runs.get_run(run_id)
        assert run is not None
        assert run.state is RunState.DONE
