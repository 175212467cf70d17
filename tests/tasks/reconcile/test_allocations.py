from decimal import Decimal
from pathlib import Path

import pytest

from schemas.enums import ProfileFormat
from schemas.errors import WrongUsage
from schemas.exports import Profile
from schemas.settings import Settings
from tasks.reconcile.allocations import allocation_statement, as_fix
from tasks.reconcile.reconcile import rules
from tests.support.export_scene import NOW
from tests.support.fill_scene import Desk, fill

FIX = Profile(name="desk", format=ProfileFormat.FIX44, sender="US", target="THEM")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Four of the nine AAA that three accounts sell are sold, in two fills; a2 was given all of its own."""
    desk = Desk(tmp_path)
    block = desk.blocks["sell"]
    desk.take(fill("e1", block, "3", "10", side="sell", fees_usd="0.40"), fill("e2", block, "1", "10.5", side="sell"))
    fixed = {"a2-sell": Decimal(3)}
    desk.ledger.executions.allot(block, fixed, rules=rules(1), actor="ops", note="a2 pays its rent", now=NOW)
    return desk


def test_the_statement_says_what_each_order_got_at_one_price_and_why_if_not_by_the_rule(desk: Desk) -> None:
    rows = allocation_statement(desk.ledger.allotments, desk.ledger.answers)
    names = (
        "order_id",
        "ordered_quantity",
        "allotted_quantity",
        "average_price_usd",
        "gross_usd",
        "fees_usd",
        "exception",
    )
    assert rows.select(names).rows() == [
        ("-a3-sell", 3, 1, Decimal("10.125"), Decimal("10.13"), Decimal("0.1"), None),
        ("a1-sell", 3, 0, None, 0, 0, None),
        ("a2-sell", 3, 3, Decimal("10.125"), Decimal("30.37"), Decimal("0.3"), "ops: a2 pays its rent"),
    ]
    assert rows["gross_usd"].sum() == Decimal("40.50")


def test_what_an_order_was_filled_with_under_its_own_name_is_none_of_the_blocks(desk: Desk) -> None:
    desk.take(fill("own", "a1-sell", "2", "12", side="sell", fees_usd="0.10"), name="own.csv")
    assert desk.states()["a1-sell"] == ("partly_filled", "2")
    rows = allocation_statement(desk.ledger.allotments, desk.ledger.answers)
    assert rows["allotted_quantity"].sum() == 4
    assert rows["gross_usd"].sum() == Decimal("40.50")
    assert rows["fees_usd"].sum() == Decimal("0.40")
    assert set(rows["average_price_usd"].drop_nulls()) == {Decimal("10.125")}


def test_a_block_of_which_nothing_was_filled_is_refused(desk: Desk) -> None:
    assert allocation_statement(desk.ledger.allotments, desk.ledger.answers, [desk.blocks["sell"]]).height == 3
    with pytest.raises(WrongUsage, match="nothing was filled of block"):
        allocation_statement(desk.ledger.allotments, desk.ledger.answers, [desk.blocks["buy"]])


def test_as_fix_it_is_an_instruction_a_block_that_is_named_anew_when_the_shares_change(desk: Desk) -> None:
    settings = Settings(profiles=(FIX,))
    lake = desk.scene.lake
    (first,) = as_fix(
        allocation_statement(desk.ledger.allotments, desk.ledger.answers), desk.ledger.answers, lake, settings, "desk"
    ).splitlines()
    fields = [field.split("=", 1) for field in first.split("\x01") if field]
    found = dict(fields)
    assert (found["35"], found["53"], found["6"], found["78"]) == ("J", "4", "10.125", "2")
    assert [value for tag, value in fields if tag == "80"] == ["1", "3"]
    desk.take(fill("e3", desk.blocks["sell"], "1", "10", side="sell"), name="more.csv")
    (second,) = as_fix(
        allocation_statement(desk.ledger.allotments, desk.ledger.answers), desk.ledger.answers, lake, settings, "desk"
    ).splitlines()
    assert dict(field.split("=", 1) for field in second.split("\x01") if field)["70"] != found["70"]


def test_a_profile_that_is_no_fix_is_refused(desk: Desk) -> None:
    with pytest.raises(WrongUsage, match="desk is no FIX profile of the settings; there are: none"):
        as_fix(
            allocation_statement(desk.ledger.allotments, desk.ledger.answers),
            desk.ledger.answers,
            desk.scene.lake,
            Settings(),
            "desk",
        )
