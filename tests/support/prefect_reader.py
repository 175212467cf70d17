"""What a Prefect server has of flow runs: their artifacts, and events."""

import time
from typing import Any, Final, cast
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    TaskRunFilter,
    TaskRunFilterFlowRunId,
)
from prefect.client.schemas.objects import FlowRun, State

PATIENCE_SECONDS: Final = 20


def flow_run_of(state: State[Any]) -> FlowRun:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(cast("UUID", state.state_details.flow_run_id))


def tasks_of(run: FlowRun) -> list[str]:
    """Names of its task runs, in order."""
    with get_client(sync_client=True) as client:
        found = client.read_task_runs(task_run_filter=TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[run.id])))
    return sorted(one.name for one in found)


def artifacts_of(run: FlowRun) -> dict[str, Any]:
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
        )
    return {str(one.key): one for one in found if one.key}


def events_named(name: str, resource: str) -> list[dict[str, Any]]:
    """Events that the server has of a resource, once there are any."""
    wanted = {"event": {"name": [name]}, "resource": {"id": [resource]}, "occurred": {"since": "2020-01-01T00:00:00Z"}}
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        with get_client(sync_client=True) as client:
            answer = client._client.post("/events/filter", json={"filter": wanted, "limit": 50})
        found: list[dict[str, Any]] = answer.json()["events"]
        if found:
            return found
        time.sleep(0.2)
    return []
