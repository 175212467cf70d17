"""A night that nobody began: what became of it is said, and it is started where it still may be, once."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import CronSchedule
from prefect.states import Scheduled

from schemas.enums import RunState
from schemas.events import EventName
from tasks.known.night_runs import NIGHTLY, NightStatus, is_night_of, look_after, runs_of
from tasks.known.overdue_nights import OverdueNight
from tasks.monitor.announce import LATE_KEY, announce_late, is_announced
from tests.support.prefect_reader import events_named

NEW_YORK: Final = ZoneInfo("America/New_York")
DAY: Final = date(2026, 11, 25)
DUE: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""Later than any deployment of these tests."""

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("prefect_api")]


def absent(day: date = DAY, due_at: datetime = DUE, later: date | None = None) -> OverdueNight:
    return OverdueNight(day, due_at, None, later)


@pytest.fixture
def client(prefect_api: None) -> Iterator[SyncPrefectClient]:  # noqa: ARG001 - it has to be up first
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def deployed(client: SyncPrefectClient) -> Iterator[Any]:
    """The deployment, with a schedule that has no run of the day."""

    @flow(name="nightly")
    def nightly(as_of: str | None = None, scope: str | None = None) -> None:
        """Nothing."""

    schedule = DeploymentScheduleCreate(schedule=CronSchedule(cron="0 20 * * 1-5", timezone="America/New_York"))
    made = client.create_deployment(
        client.create_flow(nightly), "nightly", schedules=[schedule], enforce_parameter_schema=False
    )
    yield made
    client.delete_deployment(made)


def planned(client: SyncPrefectClient, deployed: Any, due: str, **parameters: Any) -> None:
    state = Scheduled(scheduled_time=datetime.fromisoformat(due))
    client.create_flow_run_from_deployment(deployed, parameters=parameters, state=state)


def nights(client: SyncPrefectClient) -> list[FlowRun]:
    return runs_of(client, client.read_deployment_by_name(NIGHTLY), DAY, NEW_YORK)


def test_a_night_without_any_run_is_started_once(client: SyncPrefectClient, deployed: Any) -> None:
    planned(client, deployed, "2026-11-25T15:05:00-05:00", scope="a-look")  # a run of some accounts, that day
    planned(client, deployed, "2026-11-26T20:00:00-05:00")  # another night

    found = look_after(client, absent(), NEW_YORK)

    assert found == NightStatus("No run of it was scheduled; it has been started now.", is_started=True)
    (run,) = nights(client)
    assert (run.parameters, run.idempotency_key) == ({"as_of": "2026-11-25"}, "nightly-2026-11-25")
    again = look_after(client, absent(), NEW_YORK)
    assert again == NightStatus("It is scheduled and was not begun: no worker has taken it.")
    assert len(nights(client)) == 1


def test_a_night_whose_day_is_over_is_left_to_a_person(client: SyncPrefectClient, deployed: Any) -> None:
    found = look_after(client, absent(later=date(2026, 11, 27)), NEW_YORK)
    assert found is not None
    assert "2026-11-27 has closed since: its holdings are gone" in found.sentence
    assert not nights(client)
    assert deployed


def test_a_schedule_that_somebody_paused_stays_so(client: SyncPrefectClient, deployed: Any) -> None:
    client.pause_deployment(deployed)
    found = look_after(client, absent(), NEW_YORK)
    assert found is not None
    assert "paused" in found.sentence
    assert not nights(client)


def test_nobody_waits_for_a_night_before_the_deployment(client: SyncPrefectClient, deployed: Any) -> None:
    assert look_after(client, absent(due_at=datetime(2026, 1, 2, tzinfo=UTC)), NEW_YORK) is None
    assert deployed


def test_a_scheduled_night_belongs_to_its_day_in_new_york(client: SyncPrefectClient, deployed: Any) -> None:
    planned(client, deployed, "2026-11-26T01:00:00+00:00")
    found = look_after(client, absent(), NEW_YORK)
    assert found is not None
    assert not found.is_started


def test_without_a_deployment_it_says_so(client: SyncPrefectClient) -> None:
    assert look_after(client, absent(), NEW_YORK) == NightStatus(
        f"There is no deployment {NIGHTLY}, and nobody ran it."
    )


@pytest.mark.parametrize("state", [RunState.HELD, RunState.RUNNING, RunState.FAILED])
def test_what_the_ledger_knows_comes_first(client: SyncPrefectClient, deployed: Any, state: RunState) -> None:
    found = look_after(client, OverdueNight(DAY, DUE, state, None), NEW_YORK)
    assert found is not None
    assert not found.is_started
    assert not nights(client)
    assert deployed


@pytest.mark.parametrize(
    ("parameters", "is_it"),
    [
        ({}, True),
        ({"as_of": None, "kind": "nightly"}, True),
        ({"as_of": "2026-11-25"}, True),
        ({"as_of": "2026-11-24"}, False),
        ({"kind": "threshold"}, False),
        ({"accounts": ["a"]}, False),
        ({"run_id": "r"}, False),
    ],
)
def test_only_a_whole_night_counts(parameters: dict[str, Any], *, is_it: bool) -> None:
    due = datetime(2026, 11, 25, 20, tzinfo=NEW_YORK)
    run = FlowRun.model_construct(parameters=parameters, expected_start_time=due + timedelta(minutes=1))
    assert is_night_of(run, DAY, NEW_YORK) is is_it


def test_a_night_is_told_of_once_and_another_again() -> None:
    @flow
    def tells() -> None:
        assert not is_announced(LATE_KEY, "2026-11-25")
        announce_late(absent(), NightStatus("Nobody began it."))
        assert is_announced(LATE_KEY, "2026-11-25")
        assert not is_announced(LATE_KEY, "2026-11-27")

    tells()
    (event,) = events_named(EventName.NIGHT_LATE, "trimtab.night.2026-11-25")
    assert event["payload"] == {
        "as_of": "2026-11-25",
        "due_at": DUE.isoformat(),
        "state": None,
        "sentence": "Nobody began it.",
    }
