"""Flow runs of a night, as the Prefect server knows them, and the one that is started where there is none.

Nobody started a night, and none was scheduled, where the server was down for long or the deployment was made later. A night is
started once: its idempotency key names the date.
"""

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from schemas.enums import RunKind
from tasks.known.overdue_nights import SENTENCES, OverdueNight

NIGHTLY: Final = "nightly/nightly"
BESIDE: Final = ("scope", "accounts", "run_id")
"""Parameters of runs that are not the whole night."""


@dataclass(frozen=True, slots=True)
class NightStatus:
    """What became of a night, in a sentence; and whether it has been started now."""

    sentence: str
    is_started: bool = False


def look_after(client: SyncPrefectClient, night: OverdueNight, zone: ZoneInfo) -> NightStatus | None:
    """Say what became of a night that is overdue; start it where nothing has and it may still be run.

    Null: nobody waits for it, since the deployment is newer.
    """
    if night.state is not None:
        return NightStatus(SENTENCES[night.state])
    try:
        deployment = client.read_deployment_by_name(NIGHTLY)
    except ObjectNotFound:
        return NightStatus(f"There is no deployment {NIGHTLY}, and nobody ran it.")
    runs = runs_of(client, deployment, night.day, zone)
    if not runs and deployment.created is not None and deployment.created > night.due_at:
        return None
    sentence = _state_sentence(runs[-1]) if runs else _reason_to_leave(deployment, night)
    if sentence:
        return NightStatus(sentence)
    start(client, deployment, night.day)
    return NightStatus("No run of it was scheduled; it has been started now.", is_started=True)


def _reason_to_leave(deployment: DeploymentResponse, night: OverdueNight) -> str:
    """Why a night that has no run is not started; empty: it is."""
    if night.overtaken_by is not None:
        return f"No run of it was scheduled, and {night.overtaken_by} has closed since: its holdings are gone."
    if deployment.paused or not any(schedule.active for schedule in deployment.schedules):
        return "No run of it was scheduled: the deployment or its schedule is paused."
    return ""


def start(client: SyncPrefectClient, deployment: DeploymentResponse, day: date) -> FlowRun:
    """The run of a night; the same one however often it is asked for."""
    return client.create_flow_run_from_deployment(
        deployment.id, parameters={"as_of": day.isoformat()}, idempotency_key=f"nightly-{day}", tags=["catch-up"]
    )


def runs_of(client: SyncPrefectClient, deployment: DeploymentResponse, day: date, zone: ZoneInfo) -> list[FlowRun]:
    """The deployment's runs of a date, whole nights only; in order of their start."""
    found = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]),
            expected_start_time=FlowRunFilterExpectedStartTime(after_=datetime.combine(day, time(), tzinfo=zone)),
        ),
        limit=200,
    )
    mine = [run for run in found if is_night_of(run, day, zone)]
    return sorted(mine, key=lambda run: (run.expected_start_time is not None, run.expected_start_time))


def is_night_of(run: FlowRun, day: date, zone: ZoneInfo) -> bool:
    """Whether a run is the whole night of a date: the one it is given, else that of its scheduled start."""
    given = run.parameters
    if any(given.get(name) for name in BESIDE) or (given.get("kind") or RunKind.NIGHTLY) != RunKind.NIGHTLY:
        return False
    if given.get("as_of"):
        return str(given["as_of"]) == day.isoformat()
    return run.expected_start_time is not None and run.expected_start_time.astimezone(zone).date() == day


def _state_sentence(run: FlowRun) -> str:
    if run.state is None or run.state.is_scheduled() or run.state.is_pending():
        return "It is scheduled and was not begun: no worker has taken it."
    return "It is running." if run.state.is_running() else f"Its run ended as {run.state.name}."
