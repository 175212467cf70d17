"""The flows that follow the night, in a real Prefect: states, artifacts and events, without an account in any of them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from prefect.client.schemas.objects import State

from flows.reconcile import reconcile
from flows.release import release
from schemas.events import EventName
from schemas.exports import Delivery, ExecutionSource
from schemas.settings import Settings
from tasks.runtime.stores import utc_now
from tests.support.export_scene import RUN, Scene
from tests.support.fill_scene import fill, write_fills
from tests.support.prefect_reader import artifacts_of, events_named, flow_run_of
from warehouse.lake.lake import open_lake

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("prefect_api")]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A home with three proposals approved, its tables in a real lake, a place for exports and one for executions."""
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    monkeypatch.setenv("TRIMTAB_DELIVERIES", _as_json(Delivery(name="archive", url=str(tmp_path / "drop"))))
    monkeypatch.setenv("TRIMTAB_EXECUTIONS", _as_json(ExecutionSource(name="acme", url=str(tmp_path / "in"))))
    scene = Scene(tmp_path, moment=utc_now()).prepare(
        cut_offs={"Acme, Inc": utc_now() + timedelta(hours=2)}, is_owned_here=True
    )
    scene.load(open_lake(Settings(home=tmp_path)))
    (tmp_path / "in").mkdir()
    yield scene
    scene.ledger.close()


def _as_json(entry: Any) -> str:
    return f"[{entry.model_dump_json(exclude_defaults=True)}]"


def ended(flow: Any, **parameters: Any) -> State[Any]:
    return cast("State[Any]", flow(**parameters, return_state=True))


def test_what_is_approved_is_exported_and_delivered_and_shown(scene: Scene) -> None:
    state = ended(release)
    assert state.is_completed()
    assert (scene.home / "drop" / "2026-03-02" / RUN / "_SUCCESS").is_file()
    assert {row.state for row in scene.ledger.deliveries.deliveries_of([f"{RUN}-export-1"])} == {"delivered"}
    shown = artifacts_of(flow_run_of(state))
    assert set(shown) == {"exports", "deliveries"}
    assert "a1" not in str(shown["exports"].data)
    (event,) = events_named(EventName.EXPORTED, f"trimtab.run.{RUN}")
    assert (event["payload"]["accounts"], event["payload"]["orders"]) == (3, 6)
    assert ended(release).name == "NothingToRelease"


def test_the_schedule_waits_until_a_cut_off_is_near(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ended(release, is_due_only=True).name == "NothingToRelease"
    assert not (scene.home / "exports").exists()
    monkeypatch.setenv("TRIMTAB_RELEASE_MINUTES", "121")
    assert ended(release, is_due_only=True).is_completed()
    assert (scene.home / "exports" / "2026-03-02" / RUN / "_SUCCESS").is_file()


def test_a_place_that_does_not_take_it_fails_the_run_and_the_next_delivers(scene: Scene) -> None:
    (scene.home / "drop").write_text("a file in the place of the folder")
    state = ended(release)
    assert (state.is_failed(), state.name) == (True, "NotDelivered")
    assert "is not delivered to archive" in str(state.message)
    assert events_named(EventName.DELIVERY_FAILED, "trimtab.place.archive")
    (scene.home / "drop").unlink()
    assert ended(release).is_completed()
    assert (scene.home / "drop" / "2026-03-02" / RUN / "_SUCCESS").is_file()


def test_a_file_that_is_not_delivered_is_told_without_its_account(scene: Scene) -> None:
    (scene.home / "drop").write_text("a file in the place of the folder")
    ended(release)
    (scene.home / "drop").unlink()
    (scene.home / "exports" / "2026-03-02" / RUN / "accounts" / "a1.csv").write_text("something else")
    state = ended(release)
    assert "accounts/*.csv of" in str(state.message)
    payloads = [event["payload"] for event in events_named(EventName.DELIVERY_FAILED, "trimtab.place.archive")]
    shown = artifacts_of(flow_run_of(state))
    for told in (state.message, payloads, shown["deliveries"].data):
        assert "a1" not in str(told)


def test_files_that_come_are_taken_in_once_and_what_is_alarming_fails_the_run(scene: Scene) -> None:
    ended(release)
    write_fills(scene.home / "in" / "one.csv", fill("e1", "a1-sell", "3"))
    state = ended(reconcile)
    assert state.is_completed()
    assert set(artifacts_of(flow_run_of(state))) == {"execution-files", "open-breaks"}
    write_fills(scene.home / "in" / "two.csv", fill("e2", "a2-sell", "4"))
    (scene.home / "in" / "three.csv").write_text("nonsense")
    state = ended(reconcile)
    assert (state.is_failed(), state.name) == (True, "Alarm")
    assert "three.csv of acme was refused" in str(state.message)
    assert "two.csv of acme is alarming: 1 overfilled" in str(state.message)
    assert "a2" not in str(state.message)
    (event,) = events_named(EventName.FILL_ALARM, "trimtab.executions.acme")
    assert event["payload"] == {"file": "two.csv", "alarms": {"overfilled": 1}}
    (scene.home / "in" / "three.csv").unlink()
    assert ended(reconcile).is_completed()


def test_a_source_that_is_not_to_be_had_hides_no_others_alarm(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    ended(release)
    gone = ExecutionSource(name="gone", url="sftp://nobody@127.0.0.1:1/in", known_hosts=str(scene.home / "none"))
    good = ExecutionSource(name="acme", url=str(scene.home / "in"))
    monkeypatch.setenv("TRIMTAB_EXECUTIONS", f"[{_as_json(gone)[1:-1]}, {_as_json(good)[1:-1]}]")
    write_fills(scene.home / "in" / "one.csv", fill("e1", "a1-sell", "4"))
    told = str(ended(reconcile).message)
    assert "of gone" in told
    assert "one.csv of acme is alarming: 1 overfilled" in told


def test_a_file_that_is_named_is_taken_in(scene: Scene, tmp_path: Path) -> None:
    ended(release)
    path = write_fills(tmp_path / "named.csv", fill("e1", "a1-sell", "3"))
    assert ended(reconcile, path=str(path), source="acme").is_completed()
    assert scene.states()["a1"] == "partly_filled"
