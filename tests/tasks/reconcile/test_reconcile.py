from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import Role
from schemas.errors import DecisionRefused, WrongUsage
from tasks.reconcile.reconcile import lot_differences, open_breaks, reconcile, rules
from tests.support.export_scene import NOW
from tests.support.fill_scene import Desk, fill


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def acknowledged(name: str, order: str) -> dict[str, str]:
    return {"execution_id": name, "kind": "acknowledged", "client_order_id": order}


def test_an_order_and_its_proposal_go_from_exported_to_filled(desk: Desk) -> None:
    assert desk.scene.states()["a1"] == "exported"
    desk.take(acknowledged("e1", "a1-sell"))
    assert desk.scene.states()["a1"] == "acknowledged"
    desk.take(fill("e2", "a1-sell", "1"), name="two.csv")
    assert (desk.scene.states()["a1"], desk.states()) == ("partly_filled", {"a1-sell": ("partly_filled", "1")})
    desk.take(fill("e3", "a1-sell", "2"), fill("e4", "a1-buy", "2"), name="three.csv")
    assert desk.scene.states()["a1"] == "filled"
    assert desk.states() == {"a1-sell": ("filled", "3"), "a1-buy": ("filled", "2")}
    assert {name: state for name, state in desk.scene.states().items() if name != "a1"} == {
        "a2": "exported",
        "-a3": "exported",
        "b4": "pending_review",
    }
    desk.ledger.audit.verify_audit()


def test_reading_a_file_again_changes_nothing(desk: Desk) -> None:
    rows = (fill("e1", "a1-sell", "1"), fill("e9", "gone", "1"))
    first = desk.take(*rows)
    assert (first.taken, first.again, first.aside["code"].to_list()) == (1, 0, ["unknown_order"])
    states, breaks = desk.states(), desk.ledger.answers.breaks_known()
    again = desk.take(*rows)
    assert (again.taken, again.again, again.aside.height) == (0, 2, 0)
    elsewhere = desk.take(fill("e2", "a1-sell", "1"), fill("e1", "a1-sell", "1"), name="other.csv")
    assert (elsewhere.taken, elsewhere.aside["code"].to_list()) == (1, ["duplicate"])
    desk.take({"execution_id": "x", "kind": "bust", "client_order_id": "a1-sell", "reference_id": "e2"}, name="x.csv")
    assert desk.states() == states
    assert desk.ledger.answers.breaks_known().equals(breaks)


def test_an_execution_told_twice_in_one_file_counts_once_and_two_truths_not_at_all(desk: Desk) -> None:
    done = desk.take(
        fill("e1", "a1-sell", "1"), fill("e1", "a1-sell", "1"), fill("e2", "a2-sell", "1"), fill("e2", "a2-sell", "2")
    )
    assert done.aside.select("row_number", "code").rows() == [(2, "duplicate"), (3, "conflicting"), (4, "conflicting")]
    assert done.alarms["code"].to_list() == ["conflicting", "conflicting"]
    assert desk.states() == {"a1-sell": ("partly_filled", "1")}


def test_one_file_is_of_one_source(desk: Desk) -> None:
    desk.take(fill("e1", "a1-sell", "1"))
    with pytest.raises(WrongUsage, match="was read before, as a file of csv"):
        desk.take(fill("e1", "a1-sell", "1"), source="schwab")
    assert desk.states()["a1-sell"] == ("partly_filled", "1")


def test_files_in_any_order_come_to_the_same(tmp_path: Path) -> None:
    files = [
        (fill("e1", "a1-sell", "1"),),
        ({"execution_id": "x", "kind": "bust", "client_order_id": "a1-sell", "reference_id": "e1"},),
        (fill("e2", "a1-sell", "3"), acknowledged("e0", "a1-buy")),
    ]
    answers = []
    for number, order in enumerate(([0, 1, 2], [2, 1, 0], [1, 0, 2])):
        (tmp_path / str(number)).mkdir()
        desk = Desk(tmp_path / str(number))
        for place in order:
            desk.take(*files[place], name=f"{place}.csv")
        answers.append((desk.states(), desk.scene.states()))
    assert answers[0][0] == {"a1-sell": ("filled", "3"), "a1-buy": ("acknowledged", "0")}
    assert answers[0] == answers[1] == answers[2]


def test_a_bust_takes_a_filled_order_back(desk: Desk) -> None:
    desk.take(fill("e1", "a1-sell", "3"), fill("e2", "a1-buy", "2"))
    desk.take(
        {"execution_id": "x", "kind": "bust", "client_order_id": "a1-sell", "reference_id": "e1"}, name="bust.csv"
    )
    assert desk.states()["a1-sell"] == ("acknowledged", "0")
    assert desk.scene.states()["a1"] == "partly_filled"


def test_a_block_is_shared_out_and_what_a_person_fixes_stands(desk: Desk) -> None:
    block = desk.blocks["sell"]
    desk.take(fill("e1", block, "4", "10.01", side="sell"))
    assert desk.states() == {
        "-a3-sell": ("partly_filled", "2"),
        "a1-sell": ("partly_filled", "1"),
        "a2-sell": ("partly_filled", "1"),
    }
    gross = desk.ledger.answers.states_of(["a1-sell", "a2-sell", "-a3-sell"])["gross_usd"].sum()
    assert gross == Decimal("40.04")
    desk.ledger.executions.allot(
        block, {"a2-sell": Decimal(3)}, rules=rules(1), actor="ops", note="a2 needs the cash today", now=NOW
    )
    assert desk.states()["a2-sell"] == ("filled", "3")
    assert sum(int(filled) for _, filled in desk.states().values()) == 4
    desk.ledger.executions.allot(block, {"a2-sell": None}, rules=rules(1), actor="ops", note="it does not", now=NOW)
    assert desk.states()["a2-sell"] == ("partly_filled", "1")


@pytest.mark.parametrize(
    ("order", "quantity", "note", "sentence"),
    [
        ("a1-sell", 4, "why", "a1-sell ordered 3, not 4"),
        ("a1-sell", -1, "why", "a1-sell ordered 3, not -1"),
        ("a1-buy", 1, "why", "is no order of block"),
        ("a1-sell", 1, " ", "needs a note that says why"),
        ("a1-sell", Decimal("1.5"), "why", "a1-sell is allotted 1.5; needed a multiple of 1"),
    ],
)
def test_an_allotment_that_cannot_be_is_refused(
    desk: Desk, order: str, quantity: int | Decimal, note: str, sentence: str
) -> None:
    with pytest.raises(WrongUsage, match=sentence):
        desk.ledger.executions.allot(
            desk.blocks["sell"], {order: Decimal(quantity)}, rules=rules(1), actor="ops", note=note, now=NOW
        )


def test_what_a_person_must_look_at_is_an_alarm(desk: Desk) -> None:
    done = desk.take(
        fill("e1", "a1-sell", "4"),
        fill("e2", "a2-sell", "1", side="buy"),
        fill("e3", "a2-buy", "1", symbol="CCC"),
        fill("e4", "gone", "1"),
        fill("e5", "-a3-buy", "1"),
    )
    assert done.alarms.select("order_id", "code").rows() == [
        ("a2-sell", "wrong_side"),
        ("a2-buy", "wrong_security"),
        ("gone", "unknown_order"),
        ("a1-sell", "overfilled"),
    ]
    assert done.alarms["message"].to_list()[-1] == "a1-sell was filled with 4, ordered were 3"
    assert desk.states() == {"a1-sell": ("filled", "4"), "-a3-buy": ("partly_filled", "1")}


def test_open_breaks_tell_amounts_and_age_alarms_first(desk: Desk) -> None:
    desk.take(
        fill("e1", "a1-sell", "4"),
        {"execution_id": "e2", "kind": "rejected", "client_order_id": "a1-buy"},
        fill("e3", "a2-sell", "3"),
        fill("e4", "a2-buy", "1"),
    )
    found = open_breaks(desk.ledger.answers, NOW + timedelta(days=3))
    assert found.select("order_id", "code", "amount_usd", "age_days").rows() == [
        ("a1-sell", "overfilled", Decimal("10.25"), 3),
        ("-a3-sell", "not_acknowledged", Decimal("30.75"), 3),
        ("-a3-buy", "not_acknowledged", Decimal("20.50"), 3),
        ("a1-buy", "rejected", Decimal("20.50"), 3),
        ("a2-buy", "not_filled", Decimal("10.25"), 3),
    ]


def test_a_fill_of_an_order_that_never_left_is_an_open_break_until_the_order_is_known(desk: Desk) -> None:
    rows = (fill("e1", "b4-sell", "3", "10.01"), fill("e2", "b4-sell", "3", "10.01"), acknowledged("e3", "gone"))
    done = desk.take(*rows)
    assert done.alarms["code"].to_list() == ["unknown_order", "unknown_order"]
    found = open_breaks(desk.ledger.answers, NOW + timedelta(days=2)).filter(pl.col("code") == "unknown_order")
    told = found.select("order_id", "ordered_quantity", "filled_quantity", "amount_usd", "age_days").rows()
    assert told == [("b4-sell", 0, 3, Decimal("30.03"), 2)] * 2
    assert desk.take(*rows).alarms.is_empty(), "told once"
    desk.scene.approve_the_waiting()
    desk.scene.export_all()
    desk.take(*rows)
    assert "unknown_order" not in open_breaks(desk.ledger.answers, NOW)["code"].to_list()


def test_a_row_that_could_not_be_read_is_an_alarm_once(desk: Desk) -> None:
    rows = (fill("e1", "a1-sell", "3"), fill("e2", "a2-sell", "many"))
    assert desk.take(*rows).alarms.select("order_id", "code").rows() == [(None, "unread")]
    assert desk.take(*rows).alarms.is_empty()


def test_a_break_that_stays_keeps_its_age_and_one_that_is_mended_goes(desk: Desk) -> None:
    desk.take(fill("e1", "a1-sell", "1"))
    path = desk.file(fill("e2", "a1-sell", "1"), name="later.csv")
    reconcile(
        path, executions=desk.ledger.executions, answers=desk.ledger.answers, actor="ops", now=NOW + timedelta(days=2)
    )
    found = open_breaks(desk.ledger.answers, NOW + timedelta(days=3)).filter(pl.col("order_id") == "a1-sell")
    assert found.select("code", "amount_usd", "age_days").rows() == [("not_filled", Decimal("10.25"), 3)]
    desk.take(fill("e3", "a1-sell", "1"), name="last.csv")
    assert "a1-sell" not in open_breaks(desk.ledger.answers, NOW)["order_id"].to_list()


def test_an_execution_of_an_order_that_left_later_is_taken_when_its_file_is_read_again(desk: Desk) -> None:
    row = fill("e1", "b4-sell", "3")
    assert desk.take(row).aside["code"].to_list() == ["unknown_order"]
    desk.scene.approve_the_waiting()
    desk.scene.export_all()
    assert desk.take(row).taken == 1
    assert desk.ledger.answers.set_aside().is_empty()


def test_lots_that_were_closed_are_held_against_those_proposed(desk: Desk) -> None:
    lots = desk.scene.lake.tables["lot_relief"].with_columns(
        unit_cost_usd=pl.when(pl.col("lot_id") == "l1").then(Decimal(4)).otherwise(Decimal(9)).cast(pl.Decimal(18, 6)),
        acquired_date=pl.lit(date(2020, 1, 2)),
    )
    desk.scene.lake.tables["lot_relief"] = lots
    proposals = desk.scene.lake.tables["proposals"]
    rates = proposals.with_columns(marginal_short_rate=pl.lit(0.4), marginal_long_rate=pl.lit(0.2))
    desk.scene.lake.tables["proposals"] = rates
    shared = fill("e1", "a1-sell", "3", "10")
    desk.take(
        shared | {"lot_id": "l1", "lot_acquired_date": "2020-01-02", "lot_quantity": "1", "lot_unit_cost_usd": "4"},
        shared | {"lot_id": "l9", "lot_acquired_date": "2025-12-01", "lot_quantity": "2", "lot_unit_cost_usd": "6"},
    )
    (row,) = lot_differences(desk.scene.lake, desk.ledger.answers, desk.ledger.amendments).to_dicts()
    assert (row["order_id"], row["told_quantity"], row["as_proposed_quantity"]) == ("a1-sell", 3, 1)
    assert row["proposed_tax_usd"] == Decimal("1.6")  # (10 - 4) x 0.2 + 2 x (10 - 9) x 0.2
    assert row["relieved_tax_usd"] == Decimal("4.4")  # (10 - 4) x 0.2 + 2 x (10 - 6) x 0.4, short
    assert row["tax_difference_usd"] == Decimal("2.8")


def test_only_a_releaser_reconciles(desk: Desk) -> None:
    desk.ledger.users.add_user("reader", {Role.REVIEWER}, actor="ops", now=NOW)
    path = desk.file(fill("e1", "a1-sell", "1"))
    with pytest.raises(DecisionRefused):
        reconcile(path, executions=desk.ledger.executions, answers=desk.ledger.answers, actor="reader", now=NOW)
    assert desk.states() == {}


def test_a_large_file_is_entered_in_parts_and_what_names_no_order_comes_last(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.reconcile.reconcile.PART", 1)
    done = desk.take(
        {"execution_id": "x", "kind": "bust", "reference_id": "e2"},
        fill("e1", "a1-sell", "1"),
        fill("e2", "a1-sell", "2"),
        fill("e3", "a2-sell", "1"),
        fill("e4", "a2-sell", "2"),
    )
    assert (done.taken, done.aside.height) == (5, 0)
    assert done.settled.changed.select("order_id", "filled_quantity").rows() == [("a1-sell", 1), ("a2-sell", 3)]
    assert done.settled.new_breaks.select("order_id", "code").rows() == [("a1-sell", "not_filled")]
    assert len([row for row in desk.ledger.audit.audit_rows() if row.event == "executions_taken"]) == 1
    assert desk.take(fill("e9", "a1-buy", "1"), name="other.csv").taken == 1


class Broken(Exception):
    pass


def test_a_reconciliation_that_breaks_off_leaves_nothing_behind(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> pl.DataFrame:
        raise Broken

    rows = (fill("e1", "a1-sell", "3"), fill("e2", "a1-buy", "2"))
    before = [row.hash for row in desk.ledger.audit.audit_rows()]
    with monkeypatch.context() as patch:
        patch.setattr("tasks.reconcile.reconcile.proposal_states", fail)
        with pytest.raises(Broken):
            desk.take(*rows)
    assert [row.hash for row in desk.ledger.audit.audit_rows()] == before
    assert desk.states() == {}
    assert desk.take(*rows).taken == 2


@pytest.mark.parametrize("kind", ["correct", "bust"])
@pytest.mark.parametrize("wrong_about", ["a1-sell", "block"])
def test_a_change_that_names_another_order_than_its_fill_is_void_and_an_alarm_whichever_comes_first(
    tmp_path: Path, kind: str, wrong_about: str
) -> None:
    told = []
    for order in ([0, 1], [1, 0]):
        (home := tmp_path / str(order[0])).mkdir()
        desk = Desk(home)
        about = desk.blocks["sell"] if wrong_about == "block" else wrong_about
        wrong = {"execution_id": "c", "kind": kind, "client_order_id": about, "reference_id": "e1"}
        amounts = {"quantity": "1", "price_usd": "9"} if kind == "correct" else {}
        rows = [fill("e1", "a2-sell", "2"), wrong | amounts]
        done = [desk.take(rows[place], name=f"{place}.csv") for place in order]
        assert done[0].alarms.is_empty()
        assert done[1].alarms["code"].to_list() == ["conflicting"]
        later = desk.take(fill("e2", "a1-sell", "3"), name="later.csv")
        assert later.alarms.is_empty()
        states = {name: one for name, one in desk.states().items() if one != ("exported", "0")}
        told.append((states, desk.scene.states()))
        desk.ledger.audit.verify_audit()
    assert told[0] == told[1]
    assert told[0][0] == {"a2-sell": ("partly_filled", "2"), "a1-sell": ("filled", "3")}
