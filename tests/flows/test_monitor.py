"""From a look to its run through a real Prefect: the event, the automation of ``deploy/prefect.yaml``, and one run however often."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from prefect.client.schemas.objects import State

from flows.monitor import monitor
from flows.nightly import NightResult, nightly
from schemas.enums import RunKind, RunState
from schemas.events import EventName
from schemas.settings import Settings
from tasks.monitor.breach_batches import MonitorResult
from tasks.runtime.run_settings import use_settings
from tasks.runtime.sessions import session_at
from tasks.runtime.stores import utc_now
from tests.deploy.test_deployment import ROOT, Site, final, site, stopped, waited_for
from tests.support.cli_session import variables_of
from tests.support.monitor_scene import TODAY, Scene
from tests.support.prefect_api import said
from tests.support.prefect_reader import artifacts_of, events_named, flow_run_of

__all__ = ["site"]

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
    pytest.mark.filterwarnings("ignore:Series.values returning:Warning"),
]


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    scene = Scene(tmp_path_factory.mktemp("evening")).delivered("acme")
    scene.night()
    return scene


@pytest.fixture
def scene(evening: Scene, tmp_path: Path) -> Iterator[Scene]:
    """Stocks have fallen since the night; tasks are bound to the settings of the scene."""
    there = evening.again(tmp_path)
    there.quote(60)
    with use_settings(there.settings):
        yield there


def looked(**parameters: Any) -> State[Any]:
    return cast("State[Any]", monitor(as_of=TODAY, **parameters, return_state=True))


def told_by(state: State[Any]) -> MonitorResult:
    told = cast("Any", state).result()
    assert isinstance(told, MonitorResult)
    return told


def run_of(scope: str) -> State[Any]:
    return cast("State[Any]", nightly(scope=scope, kind="threshold", return_state=True))


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-11-25T14:29:00", None),  # 9:29 in New York
        ("2026-11-25T14:30:00", "2026-11-25"),
        ("2026-11-25T20:59:59", "2026-11-25"),
        ("2026-11-25T21:00:00", None),
        ("2026-11-26T16:00:00", None),  # Thanksgiving
        ("2026-11-27T17:59:00", "2026-11-27"),
        ("2026-11-27T18:00:00", None),  # the day after closes at 13:00
        ("2026-11-28T16:00:00", None),  # Saturday
        ("2026-07-01T13:30:00", "2026-07-01"),  # summer time
    ],
)
def test_the_session_ends_early_on_half_days_and_is_none_on_holidays(moment: str, day: str | None) -> None:
    found = session_at(datetime.fromisoformat(moment).replace(tzinfo=UTC), "XNYS")
    assert (None if found is None else found.isoformat()) == day


@pytest.mark.usefixtures("prefect_api")
def test_a_look_tells_of_its_scope_without_an_account_and_its_run_is_one(scene: Scene) -> None:
    state = looked()
    told = told_by(state)
    (scope,) = told.breach_batch_ids
    assert told.announced == (scope,)
    (event,) = events_named(EventName.DRIFT_BREACHED, f"trimtab.scope.{scope}")
    assert event["payload"] == {"scope": scope, "accounts": 1, "as_of": "2026-01-06", "cause": "drift"}
    shown = artifacts_of(flow_run_of(state))
    assert "A1" not in str(shown["drift-look"].data)

    done = run_of(scope)
    night = cast("Any", done).result()
    assert isinstance(night, NightResult)
    assert (night.counts["accounts"], night.counts["proposed"]) == (1, 1)
    again = run_of(scope)
    assert (again.name, again.message) == ("Skipped", f"{scope} was run as {night.run_id}")
    with scene.stores() as at:
        (run, _) = at.ledger.runs.list_runs()
        assert (run.run_id, run.kind, run.as_of_date, run.scope) == (night.run_id, RunKind.THRESHOLD, TODAY, '["A1"]')
        base = at.ledger.runs.latest_full_run(TODAY)
        assert base is not None
        assert base.run_id != run.run_id
    assert told_by(looked()).announced == ()


@pytest.mark.usefixtures("prefect_api")
def test_a_look_that_broke_off_before_its_event_is_made_good_with_the_same_event(scene: Scene) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415

    with temporary_settings({PREFECT_API_URL: None}):
        (scope,) = scene.look().breach_batch_ids
    first = told_by(looked())
    assert (first.breach_batch_ids, first.announced) == ((), (scope,))
    with scene.stores() as at, at.ledger.writing() as connection:
        connection.exec_driver_sql("UPDATE scopes SET announced_at = NULL")
    assert told_by(looked()).announced == (scope,)
    assert len({event["id"] for event in events_named(EventName.DRIFT_BREACHED, f"trimtab.scope.{scope}")}) == 1


@pytest.mark.usefixtures("prefect_api")
def test_a_run_that_broke_off_is_carried_on(scene: Scene) -> None:
    (scope,) = scene.look().breach_batch_ids
    with scene.stores() as at:
        night_run = at.ledger.runs.list_runs()[0].run_id
    done = cast("Any", run_of(scope)).result()
    with scene.stores() as at, at.ledger.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER runs_said_update")  # by hand a state is never changed
        connection.exec_driver_sql(f"UPDATE runs SET state = 'failed' WHERE run_id = '{done.run_id}'")
    assert cast("Any", run_of(scope)).result().run_id == done.run_id
    with scene.stores() as at:
        assert {row.run_id for row in at.ledger.runs.list_runs()} == {night_run, done.run_id}
        assert at.ledger.runs.list_runs()[0].state is RunState.DONE


@pytest.mark.usefixtures("prefect_api")
def test_a_scope_whose_accounts_have_all_left_is_skipped_and_announced_no_more(scene: Scene) -> None:
    (scope,) = scene.look().breach_batch_ids
    accounts = scene.folder / "book" / "accounts.csv"
    accounts.write_text("\n".join(line for line in accounts.read_text().splitlines() if not line.startswith("A1,")))
    for _ in range(2):
        state = run_of(scope)
        assert (state.name, state.message) == ("Skipped", f"no account of {scope} is left in the sources")
    with scene.stores() as at:
        assert len(at.ledger.runs.list_runs()) == 1
        assert at.ledger.breaches.scopes_to_announce(utc_now()) == []


@pytest.mark.usefixtures("prefect_api")
def test_a_late_file_starts_the_nights_own_logic(scene: Scene) -> None:
    scene.quote(100)
    scene.send("other")
    (scope,) = told_by(looked()).breach_batch_ids
    night = cast("Any", run_of(scope)).result()
    assert night.counts["accounts"] == 2
    with scene.stores() as at:
        run = at.ledger.runs.get_run(night.run_id)
        assert run is not None
        assert run.base_run_id is not None
    assert run_of(scope).name == "Skipped"
    assert told_by(looked()).looked_at == 4


@pytest.mark.usefixtures("prefect_api")
def test_outside_of_the_session_a_look_is_skipped(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    del scene
    monkeypatch.setenv("TRIMTAB_EXCHANGE", "XNYS")
    monkeypatch.setattr("flows.monitor._moment", lambda: datetime(2026, 11, 27, 18, 0, tzinfo=UTC))
    state = cast("State[Any]", monitor(return_state=True))
    assert (state.name, state.message) == ("Skipped", "XNYS does not trade now")


@pytest.mark.usefixtures("prefect_api")
def test_before_the_first_night_a_look_by_schedule_is_skipped_and_one_by_hand_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.monitor._moment", lambda: datetime(2026, 11, 27, 16, 0, tzinfo=UTC))
    with use_settings(Settings(home=tmp_path)):
        state = cast("State[Any]", monitor(return_state=True))
        assert (state.name, state.message) == ("Skipped", "no night up to 2026-11-27 is done yet")
        by_hand = looked()
    assert by_hand.is_failed()
    assert "`trimtab nightly --as-of DATE` runs one" in str(by_hand.message)


def test_an_event_starts_the_deployment_and_the_same_event_again_no_second_run(scene: Scene, site: Site) -> None:
    deployed(site)
    environment = {**site.environment, **variables_of(scene.settings)}
    command = [sys.executable, "-m", "flows.commands.cli", "monitor", "--as-of", TODAY.isoformat(), "--json"]
    look = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert look.returncode == 0, look.stderr
    (run,) = waited_for("the automation", lambda: started(site, 1))
    with scene.stores() as at:
        (scope,) = [row for row in [at.ledger.breaches.get_scope(run["parameters"]["scope"])] if row.announced_at]
    assert run["parameters"] == {"as_of": None, "kind": "threshold", "scope": scope.scope_id}

    with scene.stores() as at, at.ledger.writing() as connection:
        connection.exec_driver_sql("UPDATE scopes SET announced_at = NULL")
    emit_again(site, scope.scope_id)
    runs = waited_for("the second event", lambda: started(site, 2))
    worker_site = Site(site.url, site.folder, environment)
    worker = worker_site.started(
        "prefect", "worker", "start", "--pool", "trimtab", "--type", "process", log="monitor.log"
    )
    try:
        ends = [waited_for("the runs", lambda one=one: final(site, one["id"])) for one in runs]
    finally:
        stopped(worker)
    log = (site.folder / "monitor.log").read_text()
    assert sorted(end["state_name"] for end in ends) == ["Completed", "Skipped"], log
    with scene.stores() as at:
        assert [row.kind for row in at.ledger.runs.list_runs()] == [RunKind.THRESHOLD, RunKind.NIGHTLY]


def deployed(site: Site) -> None:
    if not site.found("work_pools"):
        said("post", f"{site.url}/work_pools/", {"name": "trimtab", "type": "process"})
    done = site.ran("prefect", "--no-prompt", "deploy", "--prefect-file", "deploy/prefect.yaml", "--all")
    assert done.returncode == 0, done.stdout + done.stderr


def started(site: Site, count: int) -> list[dict[str, Any]]:
    """Flow runs that the automation made, once there are so many."""
    runs = [run for run in site.found("flow_runs") if run["parameters"].get("scope")]
    return runs if len(runs) >= count else []


def emit_again(site: Site, scope: str) -> None:
    """The same event, as another process would tell it."""
    code = (
        "import sys; from prefect.events import emit_event;"
        f"emit_event({EventName.DRIFT_BREACHED.value!r}, resource={{'prefect.resource.id': 'trimtab.scope.' + sys.argv[1]}},"
        "payload={'scope': sys.argv[1], 'accounts': 1, 'as_of': '2026-01-06', 'cause': 'drift'})"
    )
    subprocess.run([sys.executable, "-c", code, scope], env=site.environment, cwd=ROOT, check=True, timeout=120)
