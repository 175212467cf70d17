"""Exports, deliveries, executions and allotments on PostgreSQL come to what they come to on SQLite."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from schemas.exports import Delivery
from tasks.export.deliver import Deliverer, deliver_exports
from tasks.reconcile.reconcile import open_breaks, rules
from tests.support.export_scene import NOW, RUN
from tests.support.fill_scene import Desk, fill
from tests.support.servers import Postgres


def lived(desk: Desk) -> dict[str, Any]:
    """A day of the desk, and what there is in the end."""
    block = desk.blocks["buy"]
    desk.take(fill("e1", "a1-sell", "3"), fill("e2", block, "4", "9.99", fees_usd="0.5"), fill("e3", "gone", "1"))
    desk.take(fill("e1", "a1-sell", "3"), fill("e4", "a2-sell", "4"), name="two.csv")
    desk.ledger.executions.allot(block, {"a2-buy": Decimal(0)}, rules=rules(1), actor="ops", note="not today", now=NOW)
    orders = desk.ledger.answers.sent_orders()
    return {
        "states": desk.ledger.answers.states_of(orders["order_id"]).rows(),
        "breaks": open_breaks(desk.ledger.answers, NOW).rows(),
        "aside": desk.ledger.answers.set_aside().rows(),
        "proposals": desk.scene.states(),
        "filled": desk.ledger.answers.filled_orders().rows(),
        "rows": desk.ledger.audit.verify_audit(),
    }


@pytest.fixture
def grown(postgres: Postgres, tmp_path: Path) -> Desk:
    address = postgres.url(postgres.new_database()).replace("postgresql://", "postgresql+psycopg://")
    (tmp_path / "grown").mkdir()
    return Desk(tmp_path / "grown", address)


def test_a_day_on_postgresql_is_a_day_on_sqlite(grown: Desk, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    assert lived(grown) == lived(Desk(tmp_path / "small"))
    grown.ledger.close()


def test_what_was_said_is_never_changed(grown: Desk) -> None:
    lived(grown)
    for statement in ("DELETE FROM executions", "UPDATE executions SET quantity = 1", "TRUNCATE executions CASCADE"):
        with pytest.raises(DBAPIError, match="never changed"), grown.ledger.writing() as connection:
            connection.execute(sa.text(statement))
    grown.ledger.close()


def test_a_delivery_is_acknowledged(grown: Desk, tmp_path: Path) -> None:
    place = Delivery(name="archive", url=str(tmp_path / "drop"))
    with grown.ledger.writing() as connection:
        connection.execute(sa.text('UPDATE exports SET plan = \'{"deliveries": ["archive"]}\''))
    (done,) = deliver_exports(Deliverer(ledger=grown.ledger, deliveries=(place,), now=lambda: NOW))
    assert done.problem is None
    (row,) = grown.ledger.deliveries.deliveries_of([f"{RUN}-export-1"])
    assert (row.state, row.delivered_at) == ("delivered", NOW)
    grown.ledger.close()
