"""The files of `deploy/`, and the night as operations run it: against a Prefect server, and as a deployment."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from schemas.settings import Settings, load_settings
from tasks.demo.sample import make_book
from tests.support.prefect_api import said
from tests.support.prefect_home import prefect_home

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
BIN: Final = Path(sys.executable).parent
PATIENCE_SECONDS: Final = 150
NIGHT: Final = "nightly/nightly"


def env_lines() -> dict[str, str]:
    """Names and values as systemd and Compose read them: without the single quotes."""
    return dict(re.findall(r"^([A-Z_]+)='?(.*?)'?$", (DEPLOY / "env.example").read_text(), re.MULTILINE))


def test_the_example_names_exactly_the_settings() -> None:
    named = {name for name in env_lines() if name.startswith("TRIMTAB_")}
    assert named == {f"TRIMTAB_{name.upper()}" for name in Settings.model_fields}


def test_the_example_shows_the_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in env_lines().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    assert load_settings() == Settings(home=tmp_path)


def test_a_shell_reads_the_example_as_the_others_do() -> None:
    shell = ["sh", "-c", 'set -a; . "$1"; env -0', "sh", str(DEPLOY / "env.example")]
    done = subprocess.run(shell, capture_output=True, text=True, check=True, env={})
    assert done.stderr == ""
    assert env_lines().items() <= dict(line.split("=", 1) for line in done.stdout.split("\0") if line).items()


def test_every_way_to_start_prefect_has_its_telemetry_off() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert env_lines()["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    for name in ("server", "deploy", "worker"):
        assert compose[name]["environment"]["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
        assert compose[name]["environment"]["DO_NOT_TRACK"] == "1"
    for path in [*(DEPLOY / "systemd").glob("*.service"), DEPLOY / "Dockerfile"]:
        assert "PREFECT_SERVER_ANALYTICS_ENABLED=false" in path.read_text(), path.name
        assert "DO_NOT_TRACK=1" in path.read_text(), path.name


def test_prefects_server_does_not_start_without_a_lock() -> None:
    server = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["server"]
    unit = (DEPLOY / "systemd" / "trimtab-prefect.service").read_text()
    begins = {
        "compose": server["command"][2].replace("$$", "$").replace("exec prefect server start", "echo started"),
        "unit": re.findall(r"^ExecStartPre=/bin/sh -c '(.+)'$", unit, re.MULTILINE)[0].replace("$$", "$"),
    }
    for name, text in begins.items():
        for lock, code in (("", 1), ("trimtab:x", 0)):
            environment = {"PREFECT_SERVER_API_AUTH_STRING": lock, "PATH": "/usr/bin:/bin"}
            done = subprocess.run(["sh", "-c", text], env=environment, capture_output=True, text=True, check=False)
            assert (name, lock, done.returncode) == (name, lock, code)
            assert bool(done.stdout) is (name == "compose" and bool(lock))
            assert ("has no lock" in done.stderr) is not bool(lock)


def test_the_runbook_draws_a_lock_for_each_install(tmp_path: Path) -> None:
    line = next(one for one in (ROOT / "docs/how-to/runbook.md").read_text().splitlines() if one.startswith("auth="))
    drawn = []
    for name in ("one", "two"):
        subprocess.run(["sh", "-c", line.replace("/etc/trimtab/env", str(tmp_path / name))], check=True)
        drawn.append(dict(each.split("=", 1) for each in (tmp_path / name).read_text().splitlines()))
    for found in drawn:
        assert set(found) == {"PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"}
        assert len(set(found.values())) == 1
        assert re.fullmatch("trimtab:[0-9a-f]{48}", found["PREFECT_API_AUTH_STRING"])
    assert drawn[0] != drawn[1]


def test_prefect_is_reached_from_this_host_alone_and_by_no_other_site() -> None:
    server = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["server"]
    unit = (DEPLOY / "systemd" / "trimtab-prefect.service").read_text()
    assert [each.split(":")[0] for each in server["ports"]] == ["127.0.0.1"]
    assert "server start --host 127.0.0.1 " in unit
    assert "UMask=0077" in unit  # its database is the user's alone; containers have it from the image's first word
    for origins in (
        env_lines()["PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"],
        server["environment"]["PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"],
        re.findall(r"^Environment=PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS=(.+)$", unit, re.MULTILINE)[0],
    ):
        assert "*" not in origins


def test_the_schedule_is_a_weekday_evening_in_new_york() -> None:
    deployments = yaml.safe_load((DEPLOY / "prefect.yaml").read_text())["deployments"]
    names = ["nightly", "monitor", "remind", "release", "reconcile", "watch", "maintain"]
    assert [one["name"] for one in deployments] == names
    (schedule,) = deployments[0]["schedules"]
    assert (schedule["cron"], schedule["timezone"]) == ("0 20 * * 1-5", "America/New_York")
    for deployment in deployments:
        path, name = deployment["entrypoint"].split(":")
        assert f"def {name}(" in (ROOT / path).read_text()


@dataclass
class Site:
    """A Prefect server of the tests' own and what to start programs beside it with."""

    url: str
    folder: Path
    environment: dict[str, str]

    def started(self, *command: str, log: str) -> "subprocess.Popen[bytes]":
        """A program in a process group of its own, started in the checkout."""
        with (self.folder / log).open("wb") as output:
            return subprocess.Popen(
                [str(BIN / command[0]), *command[1:]],
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ran(self, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """A program that ends by itself."""
        return subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            cwd=ROOT,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def found(self, what: str, **query: Any) -> list[dict[str, Any]]:
        """Rows of the server's API."""
        rows: list[dict[str, Any]] = said("post", f"{self.url}/{what}/filter", query)
        return rows

    def artifacts(self, flow_run_id: str) -> dict[str, str]:
        """Type of each artifact of a flow run."""
        rows = self.found("artifacts", artifacts={"flow_run_id": {"any_": [flow_run_id]}})
        return {row["key"]: row["type"] for row in rows if row["key"]}


def stopped(process: "subprocess.Popen[bytes]") -> None:
    """End a program and whatever it started."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    except ProcessLookupError:
        process.wait()


def waited_for(what: str, check: Any) -> Any:
    """The first answer that is something."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if answer := check():
            return answer
        time.sleep(0.5)
    pytest.fail(f"waited {PATIENCE_SECONDS} s for {what}")


def is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    make_book(folder / "landing", account_count=200)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TRIMTAB_", "PYTEST_"))
    }
    url = f"http://127.0.0.1:{port}/api"
    environment = inherited | {
        "PREFECT_API_URL": url,
        "PREFECT_HOME": str(prefect_home(folder / "prefect")),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "TRIMTAB_HOME": str(folder / "home"),
        "TRIMTAB_SOURCE_URL": str(folder / "landing"),
    }
    site = Site(url, folder, environment)
    server = site.started("prefect", "server", "start", "--host", "127.0.0.1", "--port", port, log="server.log")
    try:
        waited_for("the server", lambda: is_healthy(url))
        yield site
    finally:
        stopped(server)


@pytest.mark.system
def test_a_night_against_a_server(site: Site) -> None:
    night = site.ran("trimtab", "nightly", "--as-of", "2022-12-28", TRIMTAB_HOME=str(site.folder / "by-hand"))

    assert night.returncode == 0, night.stderr
    first_line, *table = night.stdout.splitlines()
    assert re.fullmatch(r"2022-12-28-nightly-[0-9a-f]{12}", first_line)
    assert any("quarantined" in line for line in table)
    assert "INFO" not in night.stdout
    assert "Finished in state Completed()" in night.stderr
    assert "Traceback" not in night.stderr
    (run,) = site.found("flow_runs", flow_runs={"deployment_id": {"is_null_": True}})
    assert (run["name"], run["state_name"]) == ("2022-12-28 nightly", "Completed")
    assert site.artifacts(run["id"]) == {
        "night-progress": "progress",
        "night-summary": "markdown",
        "night-exceptions": "table",
        "night-timings": "table",
        "night-drift": "markdown",
    }


@pytest.mark.system
def test_a_night_as_a_deployment(site: Site) -> None:
    said("post", f"{site.url}/work_pools/", {"name": "trimtab", "type": "process"})
    deployed = site.ran("prefect", "--no-prompt", "deploy", "--prefect-file", "deploy/prefect.yaml", "--all")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    deployment = said("get", f"{site.url}/deployments/name/{NIGHT}")
    (schedule,) = deployment["schedules"]
    assert (schedule["active"], schedule["schedule"]["timezone"]) == (True, "America/New_York")
    assert deployment["global_concurrency_limit"]["limit"] == 1
    asked = said(
        "post",
        f"{site.url}/deployments/{deployment['id']}/create_flow_run",
        {"parameters": {"as_of": "2022-12-28"}},  # its schedule would skip a night of long ago
    )
    run_id = asked["id"]

    worker = site.started("prefect", "worker", "start", "--pool", "trimtab", "--type", "process", log="worker.log")
    try:
        run = waited_for("the night", lambda: final(site, run_id))
    finally:
        stopped(worker)

    log = (site.folder / "worker.log").read_text()
    assert run["state_name"] == "Completed", log
    assert run["name"] == "2022-12-28 nightly"
    assert site.artifacts(run_id) == {
        "night-progress": "progress",
        "night-summary": "markdown",
        "night-exceptions": "table",
        "night-timings": "table",
        "night-drift": "markdown",
    }
    listed = site.ran("trimtab", "runs")
    assert re.search(r"2022-12-28-nightly-[0-9a-f]{12} +│ done +│ 200 +│ scheduler", listed.stdout), listed.stdout
    assert (site.folder / "home" / "ledger.sqlite").stat().st_mode & 0o777 == 0o600


def final(site: Site, run_id: str) -> dict[str, Any] | None:
    """The flow run, once it has ended."""
    run: dict[str, Any] = said("get", f"{site.url}/flow_runs/{run_id}")
    return run if run["state_type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else None
