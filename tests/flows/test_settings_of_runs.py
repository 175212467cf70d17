"""Each run works with its own settings, whatever else runs in the process, and Prefect's server never sees them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import SecretStr

from flows.commands.run import run_night
from flows.nightly import NightResult
from schemas.enums import RunKind
from schemas.errors import WrongUsage
from schemas.settings import Settings
from tasks.demo.sample import make_book
from tasks.runtime.flow_states import foreseen_as_state
from tasks.runtime.run_settings import current_settings, use_settings
from tasks.runtime.stores import open_ledger
from warehouse.lake.lake import open_lake

MARK = "swordfish-7"
"""Stands in a setting that is a secret."""

pytestmark = [
    pytest.mark.usefixtures("prefect_api"),
    pytest.mark.filterwarnings("ignore:Series.values returning:Warning"),  # exchange_calendars on new pandas
]


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run without settings of its own would write to."""
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path / "environment"))


@pytest.mark.slow
def test_two_nights_with_different_settings_in_two_threads_go_each_to_its_own_home(tmp_path: Path) -> None:
    day = make_book(tmp_path / "landing", account_count=40).as_of_date
    given = [Settings(home=tmp_path / name, oidc_client_secret=SecretStr(MARK)) for name in ("one", "two")]
    homes = [
        one.model_copy(update={"home": tmp_path / name, "accounts_per_shard": size})
        for one, name, size in zip(given, ("one", "two"), (15, 1000), strict=True)
    ]
    both = threading.Barrier(2)

    def night(settings: Settings) -> NightResult:
        both.wait(60)
        source = [str(tmp_path / "landing")]
        return run_night(settings, day, source=source, kind=RunKind.NIGHTLY, scope=(), submitter="prefect")

    with ThreadPoolExecutor(2) as threads:
        nights = list(threads.map(night, homes))
    shards = []
    for settings, made in zip(homes, nights, strict=True):
        with closing(open_ledger(settings)) as ledger:
            (row,) = ledger.runs.list_runs()
        assert (row.run_id, dict(row.counts or {})) == (made.run_id, dict(made.counts))
        assert open_lake(settings).read("account_outcomes", row.run_id).height == 40
        shards.append(row.shard_count)
    assert shards[0] > 1
    assert shards[1] == 1
    assert not (tmp_path / "environment").exists()
    assert MARK not in known_to_prefect()


def known_to_prefect() -> str:
    """All that the server has of runs, as text."""
    with get_client(sync_client=True) as client:
        found = [*client.read_flow_runs(), *client.read_task_runs(), *client.read_artifacts()]
        logs = client._client.post("/logs/filter", json={"limit": 200}).text
    assert found
    return "\n".join([*(one.model_dump_json() for one in found), logs])


@task(cache_policy=NO_CACHE)
def home_in_a_task() -> Path:
    return current_settings().home


@flow(task_runner=ThreadPoolTaskRunner(max_workers=2))  # type: ignore[arg-type]
@foreseen_as_state
def homes_of_tasks() -> list[Path]:
    return [home_in_a_task(), *(each.result() for each in [home_in_a_task.submit() for _ in range(3)])]


def test_tasks_of_a_flow_have_its_settings_in_every_thread_of_prefect(tmp_path: Path) -> None:
    with use_settings(Settings().model_copy(update={"home": tmp_path / "bound"})):
        assert homes_of_tasks() == [tmp_path / "bound"] * 4
    assert homes_of_tasks() == [tmp_path / "environment"] * 4


def test_a_flow_reads_the_settings_of_its_environment_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    @foreseen_as_state
    def changing() -> None:
        seen.append(current_settings().home)
        monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path / "later"))
        seen.append(current_settings().home)

    changing()
    assert seen == [tmp_path / "environment"] * 2
    assert current_settings().home == tmp_path / "later"


def test_bound_settings_end_with_their_block_and_the_inner_ones_first(tmp_path: Path) -> None:
    outer, inner = (Settings().model_copy(update={"home": tmp_path / name}) for name in ("outer", "inner"))
    with use_settings(outer):
        with suppress(WrongUsage), use_settings(inner):
            assert current_settings().home == tmp_path / "inner"
            raise WrongUsage("no")
        assert current_settings().home == tmp_path / "outer"
    assert current_settings().home == tmp_path / "environment"


def test_a_home_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with use_settings(Settings().model_copy(update={"home": Path("var")})):
        monkeypatch.chdir("/")
        assert current_settings().home == tmp_path / "var"
