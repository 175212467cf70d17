"""What a person says became of orders that left."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas.enums import Role
from schemas.errors import DecisionRefused, WrongUsage
from tasks.reconcile.open_orders import OpenOrders, count_open_orders
from tasks.reconcile.reconcile import reconcile, rules
from tests.support.export_scene import AS_OF, NOW
from tests.support.fill_scene import Desk, fill


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def settle(desk: Desk, *orders: str, note: str = "lost at the desk", actor: str = "ops") -> None:
    desk.ledger.executions.settle_orders(orders, rules=rules(1), actor=actor, note=note, now=NOW)


def test_orders_that_a_person_settles_are_over_with_what_was_filled(desk: Desk) -> None:
    desk.take(fill("e1", "a1-sell", "1"))
    assert desk.ledger.fills.open_orders_since(None) == sorted(desk.ledger.answers.sent_orders()["order_id"])

    settle(desk, "a1-sell", "a1-buy")

    assert desk.states() == {"a1-sell": ("partly_filled", "1"), "a1-buy": ("failed", "0")}
    assert desk.ledger.fills.open_orders_since(None) == ["-a3-buy", "-a3-sell", "a2-buy", "a2-sell"]
    assert desk.scene.states()["a1"] == "partly_filled"
    told = desk.ledger.answers.told_of({"a1-buy"}).row(0, named=True)
    assert (told["source"], told["kind"], told["text"]) == ("settled by hand", "cancelled", "lost at the desk")


def test_who_settled_what_and_why_is_in_the_chain(desk: Desk) -> None:
    settle(desk, "a1-sell", "a2-sell")

    rows = [row for row in desk.ledger.audit.audit_rows() if row.event == "order_settled"]
    assert [(row.actor, json.loads(row.detail or "")) for row in rows] == [
        ("ops", {"order_id": name, "note": "lost at the desk"}) for name in ("a1-sell", "a2-sell")
    ]
    desk.ledger.audit.verify_audit()


def test_a_fill_that_is_told_after_a_person_said_otherwise_counts(desk: Desk) -> None:
    settle(desk, "a1-buy")
    desk.take(fill("late", "a1-buy", "2"))
    assert desk.states()["a1-buy"] == ("filled", "2")
    assert desk.ledger.fills.orders_told_since(None) == ["a1-buy"]


@pytest.mark.parametrize(
    ("orders", "note", "problem"),
    [
        (("gone",), "why", "gone is no order that left in an export"),
        (("a1-sell", "gone"), "why", "gone is no order that left"),
        (("a2-sell",), "why", "a2-sell has its final word already: filled, filled with 3"),
        (("-a3-sell",), "why", "-a3-sell has its final word already: failed, filled with 0"),
        (("a1-sell",), " ", "only with a note"),
    ],
)
def test_what_cannot_be_settled_is_refused_and_nothing_of_it_is_done(
    desk: Desk, orders: tuple[str, ...], note: str, problem: str
) -> None:
    desk.take(fill("e1", "a2-sell", "3"), {"execution_id": "e2", "kind": "rejected", "client_order_id": "-a3-sell"})
    before = desk.states()
    with pytest.raises(WrongUsage, match=problem):
        settle(desk, *orders, note=note)
    assert desk.states() == before


def test_orders_of_a_proposal_that_waits_for_a_person_are_not_settled(desk: Desk) -> None:
    assert desk.scene.states()["b4"] == "pending_review"
    with pytest.raises(WrongUsage, match="b4-sell is no order that left"):
        settle(desk, "b4-sell")


def test_only_a_releaser_settles(desk: Desk) -> None:
    desk.ledger.users.add_user("eve", {Role.REVIEWER}, actor="ops", now=NOW)
    with pytest.raises(DecisionRefused):
        settle(desk, "a1-sell", actor="eve")
    assert desk.states() == {}


def test_orders_of_which_a_fill_was_taken_back_are_known_also_by_their_block(desk: Desk) -> None:
    desk.take(
        fill("e1", "a1-sell", "1"),
        fill("e2", desk.blocks["buy"], "6"),
        {"execution_id": "b1", "kind": "bust", "client_order_id": "a1-sell", "reference_id": "e1"},
    )
    names = ["a1-sell", "a1-buy", "a2-sell"]
    assert desk.ledger.answers.retracted_orders(names) == ["a1-sell"]
    bust = {"execution_id": "b2", "kind": "bust", "client_order_id": desk.blocks["buy"], "reference_id": "e2"}
    desk.take(bust, name="bust.csv")
    assert desk.ledger.answers.retracted_orders(names) == ["a1-buy", "a1-sell"]


def test_open_orders_are_news_when_they_leave_and_when_anything_is_said(desk: Desk) -> None:
    sent = desk.ledger.answers.sent_orders()
    assert desk.ledger.fills.open_orders_since(NOW) == sorted(sent["order_id"])
    assert desk.ledger.fills.open_orders_since(NOW + timedelta(seconds=1)) == []
    path = desk.file(fill("e1", "a1-sell", "1"), fill("e2", "a1-buy", "2"))
    later = NOW + timedelta(hours=1)
    reconcile(path, executions=desk.ledger.executions, answers=desk.ledger.answers, actor="ops", now=later)
    assert desk.ledger.fills.open_orders_since(later) == ["a1-sell"]


def test_open_orders_are_counted_with_the_night_of_the_oldest_and_the_trading_days_that_have_closed_since(
    desk: Desk,
) -> None:
    friday_evening = datetime(2026, 3, 6, 23, tzinfo=UTC)  # the night was that of Monday, 2 March
    left = len(desk.ledger.answers.sent_orders())
    assert count_open_orders(desk.ledger.fills, "XNYS", friday_evening) == OpenOrders(left, AS_OF, 4)
    assert count_open_orders(desk.ledger.fills, "XNYS", NOW).session_count == 0

    desk.take(fill("e1", "a2-sell", "3"), {"execution_id": "e2", "kind": "rejected", "client_order_id": "-a3-sell"})
    assert count_open_orders(desk.ledger.fills, "XNYS", friday_evening).count == left - 2

    settle(desk, *desk.ledger.fills.open_orders_since(None))
    assert count_open_orders(desk.ledger.fills, "XNYS", friday_evening) == OpenOrders(0, None, None)
