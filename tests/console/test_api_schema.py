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

from tests.console.scene import Api, api_on, copied

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
def described(fuzzed: Api) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", fuzzed.client.app)


OPERATIONS: Final = (
    "GET /healthz",
    "GET /api/me",
    "GET /api/runs",
    "GET /api/runs/{run_id}",
    "GET /api/runs/{run_id}/exports",
    "GET /api/proposals",
    "GET /api/proposals/{proposal_id}",
    "POST /api/proposals/{proposal_id}/decisions",
    "POST /api/proposals/{proposal_id}/amendments",
    "POST /api/decisions",
)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_call_fails_and_every_answer_is_as_described(
    operation: str, mode: GenerationMode, described: Any, fuzzed: Api
) -> None:
    method, path = operation.split()
    headers = fuzzed.token("bob")
    known = fuzzed.waiting["proposal_id"][0]

    @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=described[path][method].as_strategy(generation_mode=mode), is_known=st.booleans())
    def call(case: Any, *, is_known: bool) -> None:
        if is_known and case.path_parameters and "proposal_id" in case.path_parameters:
            case.path_parameters["proposal_id"] = known
        case.call_and_validate(headers=headers, checks=list(CHECKS))

    try:
        call()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "there is no valid call"


def test_every_route_is_called(fuzzed: Api) -> None:
    described = fuzzed.client.get("/openapi.json").json()["paths"]
    assert {f"{method.upper()} {path}" for path, methods in described.items() for method in methods} == set(OPERATIONS)
