"""People are told once that they are waited for, with counts and amounts and a link, and never with an account."""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import polars as pl
import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.runtime import flow_run

from schemas.settings import Settings
from tasks.announce import PENDING, REMINDER, announce_queue, due, queue_link, remind
from tasks.steps import Stores
from tests.ledger_book import NOW, new_run, proposed, staffed
from warehouse.lake import open_lake
from warehouse.ledger import Ledger

PATIENCE_SECONDS: Final = 20
CUT_OFF = NOW + timedelta(minutes=90)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_api")]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(staffed(f"sqlite:///{tmp_path / 'home' / 'ledger.sqlite'}")) as ledger:
        ledger.start_run(new_run("r1"), NOW)
        frame = pl.concat([proposed("r1", ["a1", "a2"]), proposed("r1", ["a3"], custodian="harbor")])
        ledger.route_proposals("r1", frame, frame["account_id"], NOW, {"northbank": CUT_OFF})
        yield ledger


@pytest.fixture
def stores(ledger: Ledger, tmp_path: Path) -> Stores:
    settings = Settings(home=tmp_path / "home", console_url="https://trimtab.example.com/")
    return Stores(settings, open_lake(settings), ledger)


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


def test_a_night_that_leaves_something_to_people_says_so_with_a_link(stores: Stores) -> None:
    @flow
    def night() -> str:
        assert announce_queue(stores, "r1", NOW) == 3
        return str(flow_run.id)

    name = night()
    (event,) = events_named(PENDING, "trimtab.run.r1")
    link = "https://trimtab.example.com/queue?filter=run%3Dr1"
    assert event["payload"] == {
        "run_id": "r1",
        "waiting": 3,
        "gross_value_usd": "37037.010000",
        "next_cut_off_at": CUT_OFF.isoformat(),
        "link": link,
    }
    with get_client(sync_client=True) as client:
        is_of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(name)]))
        (artifact,) = client.read_artifacts(artifact_filter=is_of_run)
    assert artifact.key == "review-queue"
    assert f"[3 proposals wait for review]({link})" in str(artifact.data)


def test_a_reminder_is_an_event_of_the_custodian(stores: Stores) -> None:
    moment = CUT_OFF - timedelta(minutes=10)
    (first,) = remind(stores, moment)
    (event,) = events_named(REMINDER, "trimtab.custodian.northbank")
    assert (event["payload"]["waiting"], event["payload"]["cut_off_at"]) == (2, first.cut_off_at.isoformat())
    assert set(event["payload"]) == {"custodian", "cut_off_at", "waiting", "gross_value_usd", "link"}
    assert remind(stores, moment) == []


def test_a_cut_off_is_reminded_of_once_and_shortly_before_it(ledger: Ledger) -> None:
    hour = timedelta(hours=1)
    assert due(ledger, NOW, hour) == []
    (first,) = due(ledger, NOW + timedelta(minutes=31), hour)
    assert (first.custodian, first.cut_off_at, first.waiting) == ("northbank", CUT_OFF, 2)
    assert first.gross_value_usd == Decimal("24691.34")
    assert due(ledger, NOW + timedelta(minutes=45), hour) == []
    assert ledger.verify_audit() > 0


def test_nothing_is_reminded_of_where_nothing_waits(ledger: Ledger) -> None:
    ledger.decide(["r1.a1", "r1.a2"], decision="reject", actor="bob", note="no", now=NOW)
    assert due(ledger, NOW + timedelta(minutes=80), timedelta(hours=1)) == []


def test_the_link_leads_to_the_queue_with_its_filter() -> None:
    assert (
        queue_link(Settings(console_url="https://t.example/"), "run=r 1") == "https://t.example/queue?filter=run%3Dr+1"
    )
    assert queue_link(Settings(), "run=r1") == ""
