"""Nights as operations have them: Prefect on PostgreSQL, a worker, Dask, an object store; and what is lost now and then.

One stack for all: the tests follow one another.
"""

import base64
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
import yaml
from playwright.sync_api import expect

from tasks.demo.sample import make_book
from tests.support.browser import SHOTS, SIZE, chromium
from tests.support.stack_scene import ROOT, Stack, stack_in, waited_for

NIGHT = "nightly/nightly"
FIRST, SECOND = "2022-12-28", "2022-12-29"
OVER = {"Completed", "Failed", "Held", "Refused"}
"""Crashed is not among them: such a run is scheduled again by itself."""

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with TemporaryDirectory(prefix="trimtab-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)  # PostgreSQL may be another user's
        with stack_in(Path(name) / "stack") as up:
            make_book(Path(up.environment["TRIMTAB_HOME"]) / "landing", account_count=1_000)
            yield up


def ended(stack: Stack, run_id: str) -> dict[str, Any]:
    waited_for(f"the end of {run_id}", lambda: stack.state(run_id) in OVER)
    return stack.run(run_id)


def nights(stack: Stack) -> list[tuple[str, str]]:
    """Date and state of each run of ours."""
    return [(row["run_id"][:10], row["state"]) for row in json.loads(stack.trimtab("runs", "--json"))]


def test_the_deployments_are_those_of_the_file(stack: Stack) -> None:
    file = yaml.safe_load((ROOT / "deploy" / "prefect.yaml").read_text())
    there = {row["name"]: row for row in stack.found("deployments")}
    for wanted in file["deployments"]:
        found = there[wanted["name"]]
        assert found["description"] == wanted["description"]
        assert found["work_pool_name"] == wanted["work_pool"]["name"]
        cron = [each["schedule"].get("cron") for each in found["schedules"]]
        assert cron == [each["cron"] for each in wanted["schedules"]]
        assert {each["schedule"]["timezone"] for each in found["schedules"]} == {"America/New_York"}


def test_files_with_passwords_are_their_owners_alone(stack: Stack) -> None:
    assert (stack.folder / "env").stat().st_mode & 0o777 == 0o600
    assert Path(stack.environment["TRIMTAB_HOME"]).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("lock", [None, ("trimtab", ""), ("trimtab", "guessed"), ("", "")])
def test_a_stranger_on_the_machine_gets_nothing_from_prefect(stack: Stack, lock: tuple[str, str] | None) -> None:
    """Whoever may make a run makes the worker run what they like."""
    deployment = stack.deployment(NIGHT)
    for method, path in (
        ("post", f"deployments/{deployment}/create_flow_run"),
        ("post", "flow_runs/"),
        ("post", "deployments/"),
        ("post", "work_pools/"),
        ("post", "flow_runs/filter"),
        ("post", "variables/"),
        ("post", "automations/"),
        ("patch", f"deployments/{deployment}"),
        ("delete", f"deployments/{deployment}"),
        ("get", "admin/settings"),
    ):
        assert httpx.request(method, f"{stack.api}/{path}", auth=lock, json={}).status_code == httpx.codes.UNAUTHORIZED


def test_no_other_site_may_ask_prefect(stack: Stack) -> None:
    def allowed(origin: str) -> str | None:
        asked = {"origin": origin, "access-control-request-method": "POST"}
        answer = httpx.options(f"{stack.api}/flow_runs/filter", headers=asked)
        return answer.headers.get("access-control-allow-origin")

    assert allowed(stack.pages) == stack.pages
    assert [allowed(origin) for origin in ("https://evil.example", "null", "http://127.0.0.1:1")] == [None] * 3


def test_a_night_whose_worker_was_killed_is_finished_by_another(stack: Stack) -> None:
    run_id = stack.start(NIGHT, as_of=FIRST)
    waited_for("its start", lambda: stack.state(run_id) == "Running")
    waited_for("the first steps", lambda: (FIRST, "running") in nights(stack))
    assert stack.kill("worker start", "prefect.engine") >= 2
    due = stack.run(run_id)["expected_start_time"]
    done = ended(stack, run_id)
    assert (done["state_name"], done["run_count"]) == ("Completed", 2)
    assert done["expected_start_time"] == due
    assert nights(stack) == [(FIRST, "done")]
    stack.trimtab("audit", "verify")


def test_the_run_is_seen_in_the_pages_of_prefect(stack: Stack) -> None:
    (run,) = stack.found("flow_runs", flow_runs={"name": {"any_": [f"{FIRST} nightly"]}})
    with chromium() as browser:
        page = browser.new_page(viewport=SIZE)
        known = base64.b64encode(":".join(stack.lock).encode()).decode()
        page.add_init_script(f"localStorage.setItem('prefect-password', '{known}')")
        page.goto(f"{stack.pages}/runs/flow-run/{run['id']}")
        expect(page.get_by_text(f"{FIRST} nightly").first).to_be_visible(timeout=60_000)
        expect(page.get_by_text("Completed").first).to_be_visible()
        expect(page.get_by_text("propose-0").first).to_be_visible(timeout=60_000)
        if folder := os.environ.get(SHOTS):
            page.screenshot(path=Path(folder) / "prefect_night.png")


def test_a_schedule_fires(stack: Stack) -> None:
    """One that is added to a deployment, so that nobody has to wait for a quarter of an hour."""
    address = f"deployments/{stack.deployment('remind/remind')}/schedules"
    every = {"schedule": {"interval": 15}, "active": True}
    (made,) = stack.said("post", address, [every])

    def fired() -> list[dict[str, Any]]:
        runs = stack.found("flow_runs", flows={"name": {"any_": ["remind"]}})
        return [row for row in runs if row["auto_scheduled"] and row["state_name"] == "Completed"]

    assert waited_for("a run by schedule", fired)
    stack.said("delete", f"{address}/{made['id']}")


def test_a_night_that_was_due_while_the_server_was_down_is_run_once_when_it_is_up(stack: Stack) -> None:
    due = datetime.now(UTC) + timedelta(seconds=4)
    made = stack.said(
        "post",
        f"deployments/{stack.deployment(NIGHT)}/create_flow_run",
        {
            "parameters": {"as_of": SECOND},
            "state": {"type": "SCHEDULED", "state_details": {"scheduled_time": due.isoformat()}},
        },
    )
    run_id = str(made["id"])
    assert stack.kill("server start", "uvicorn", "prefect.server") >= 1
    assert not stack.is_answering()
    done = ended(stack, run_id)
    assert datetime.fromisoformat(done["start_time"]) > due
    assert (done["state_name"], done["run_count"]) == ("Completed", 1)
    again = ended(stack, stack.start(NIGHT, as_of=SECOND))
    assert again["state_name"] == "Completed"
    assert sorted(nights(stack)) == [(FIRST, "done"), (SECOND, "done")]
