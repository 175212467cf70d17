"""Prefect's temporary server, started ahead of Prefect."""

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from flows.server import is_configured, start_server, wait_for_server

PROGRAM = """
import sys
from flows.server import start_server, wait_for_server
server = start_server()
assert start_server() is server
assert "prefect" not in sys.modules
from prefect import flow
@flow
def empty():
    return 42
wait_for_server()
wait_for_server()
print(server.url, empty())
"""


@pytest.mark.slow
def test_a_flow_runs_on_the_server_that_was_started_first(tmp_path: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = inherited | {"PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}

    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[1])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    url, answer = ran.stdout.split()
    assert answer == "42"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/api", url)
    assert "Completed()" in ran.stderr
    assert "Starting temporary server" not in ran.stderr
    assert "View at" not in ran.stderr
    assert (tmp_path / "prefect" / "prefect.db").is_file()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{url}/health")  # noqa: S310 - our own address


def test_plain_defaults_leave_the_start_to_us(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 120\n")
    assert not is_configured({"PREFECT_HOME": str(tmp_path), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}, tmp_path)


@pytest.mark.parametrize("name", ["PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_SERVER_EPHEMERAL_ENABLED"])
def test_a_variable_leaves_it_to_prefect(name: str, tmp_path: Path) -> None:
    assert is_configured({"PREFECT_HOME": str(tmp_path), name: ""}, tmp_path)


@pytest.mark.parametrize("file", ["profiles.toml", "prefect.toml", ".env"])
def test_a_file_leaves_it_to_prefect(file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text("")
    assert is_configured({"PREFECT_HOME": str(tmp_path)}, tmp_path)


def test_a_section_of_the_project_leaves_it_to_prefect(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.prefect]\napi.url = "http://prefect:4200/api"\n')
    assert is_configured({"PREFECT_HOME": str(tmp_path)}, tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool")
    assert not is_configured({"PREFECT_HOME": str(tmp_path)}, tmp_path)


def test_nothing_to_wait_for_where_prefect_has_its_server() -> None:
    import prefect  # noqa: PLC0415 - only here

    assert prefect.__version__
    assert start_server() is None
    wait_for_server()
