"""People are reminded once, shortly before a cut-off; that a night tells of what waits is in ``test_flow``, which has a server."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.settings import Settings
from tasks.monitor.announce import due, queue_link
from tests.support.ledger_book import NOW
from tests.support.queue_scene import CUT_OFF, waiting_queue
from warehouse.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with waiting_queue(tmp_path / "home") as stores:
        yield stores.ledger


def test_a_cut_off_is_reminded_of_once_and_shortly_before_it(ledger: Ledger) -> None:
    hour = timedelta(hours=1)
    assert due(ledger.proposals, ledger.queue, NOW, hour) == []
    (first,) = due(ledger.proposals, ledger.queue, NOW + timedelta(minutes=31), hour)
    assert (first.custodian, first.cut_off_at, first.waiting) == ("northbank", CUT_OFF, 2)
    assert first.gross_value_usd == Decimal("24691.34")
    assert due(ledger.proposals, ledger.queue, NOW + timedelta(minutes=45), hour) == []
    assert ledger.audit.verify_audit() > 0


def test_nothing_is_reminded_of_where_nothing_waits(ledger: Ledger) -> None:
    ledger.decisions.decide(["r1.a1", "r1.a2"], decision="reject", actor="bob", note="no", now=NOW)
    assert due(ledger.proposals, ledger.queue, NOW + timedelta(minutes=80), timedelta(hours=1)) == []


def test_the_link_leads_to_the_queue_with_its_filter() -> None:
    assert (
        queue_link(Settings(console_url="https://t.example/"), "run=r 1") == "https://t.example/queue?filter=run%3Dr+1"
    )
    assert queue_link(Settings(), "run=r1") == ""
