"""The API called in every way that its own description allows, and in many that it does not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.after_export_scene import EXPORT, told
from tests.support.console_scene import Api, api_on, copied
from tests.support.export_scene import RUN

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


@pytest.fixture(scope="module")
def fuzzed(night_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    yield from api_on(copied(night_home, tmp_path_factory.mktemp("fuzzed") / "home"))


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An export that has left, and what came back."""
    desk = told(tmp_path_factory.mktemp("left"))
    desk.deliver()
    desk.ledger.close()
    (desk.home / "trimtab.toml").touch()
    yield from api_on(desk.home, deliveries=desk.places)


@pytest.fixture(scope="module")
def described(fuzzed: Api) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", fuzzed.client.app)


@pytest.fixture(scope="module")
def described_after(left: Api) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", left.client.app)


OPERATIONS: Final = (
    "GET /healthz",
    "GET /api/me",
    "GET /api/runs",
    "GET /api/runs/{run_id}",
    "POST /api/runs",
    "POST /api/runs/{run_id}/resumption",
    "GET /api/jobs/{job_id}",
    "GET /api/halt",
    "POST /api/halt",
    "POST /api/halt/lift",
    "GET /api/accounts",
    "GET /api/accounts/{account_id}",
    "GET /api/accounts/{account_id}/holdings",
    "GET /api/accounts/{account_id}/nights",
    "GET /api/accounts/{account_id}/performance",
    "GET /api/models/{model_id}/performance",
    "GET /api/book",
    "GET /api/waiting",
    "GET /api/monitor",
    "GET /api/models",
    "GET /api/models/{model_id}",
    "GET /api/households",
    "GET /api/households/{household_id}",
    "GET /api/households/{household_id}/performance",
    "GET /api/orders",
    "GET /api/runs/{run_id}/exports",
    "GET /api/exports",
    "GET /api/exports/{export_id}",
    "GET /api/fills",
    "GET /api/fills/{order_id}",
    "POST /api/fills/{order_id}/settlement",
    "GET /api/breaks",
    "GET /api/executions/aside",
    "GET /api/proposals",
    "GET /api/proposals/{proposal_id}",
    "POST /api/proposals/{proposal_id}/decisions",
    "POST /api/proposals/{proposal_id}/amendments",
    "POST /api/decisions",
    "GET /api/model-changes",
    "GET /api/model-changes/{change_id}",
    "POST /api/model-changes/{change_id}/decisions",
)
AFTER: Final = ("/api/exports", "/api/fills", "/api/breaks", "/api/executions", "/api/runs/{run_id}/exports")
"""Where the paths begin of what tells of exports that have left."""


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
@pytest.mark.parametrize("operation", [one for one in OPERATIONS if not one.split()[1].startswith(AFTER)])
def test_no_call_fails_and_every_answer_is_as_described(
    operation: str, mode: GenerationMode, described: Any, fuzzed: Api
) -> None:
    first = fuzzed.waiting.drop_nulls("household_id").row(0, named=True)
    known = {name: first[name] for name in ("proposal_id", "account_id", "household_id", "run_id")}
    known["model_id"] = fuzzed.backend.lake.read("landed_model_targets", first["run_id"])["model_id"].min()
    known["change_id"] = fuzzed.backend.ledger.model_changes.model_changes()["change_id"][0]
    call_all(operation, mode, described, fuzzed.token("bob"), known)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.split()[1].startswith(AFTER)])
def test_no_call_about_what_left_fails_and_every_answer_is_as_described(
    operation: str, mode: GenerationMode, described_after: Any, left: Api
) -> None:
    known = {"order_id": "a1-sell", "export_id": EXPORT, "run_id": RUN}
    call_all(operation, mode, described_after, left.token("ops"), known)


def call_all(
    operation: str, mode: GenerationMode, described: Any, headers: dict[str, str], known: dict[str, str]
) -> None:
    """Call an operation in many ways, half of them with names that there are."""
    method, path = operation.split()

    @settings(max_examples=40, database=None, suppress_health_check=list(HealthCheck))
    @given(case=described[path][method].as_strategy(generation_mode=mode), is_known=st.booleans())
    def call(case: Any, *, is_known: bool) -> None:
        if is_known and case.path_parameters:
            given_names = case.path_parameters.keys() & known.keys()
            case.path_parameters.update({name: known[name] for name in given_names})
        case.call_and_validate(headers=headers, checks=list(CHECKS))

    try:
        call()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "there is no valid call"


def test_every_route_is_called(fuzzed: Api) -> None:
    described = fuzzed.client.get("/openapi.json").json()["paths"]
    assert {f"{method.upper()} {path}" for path, methods in described.items() for method in methods} == set(OPERATIONS)
