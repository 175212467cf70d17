import json

import pytest

from schemas.errors import DecisionRefused, WrongUsage
from tests.support.ledger_book import NOW, hours
from warehouse.ledger.ledger import Ledger


def events(ledger: Ledger) -> list[tuple[str, str, str]]:
    rows = [row for row in ledger.audit_rows() if "halt" in row.event]
    return [(row.actor, row.event, json.loads(row.detail)["note"]) for row in rows]


def test_a_halt_is_in_force_until_it_is_lifted(ledger: Ledger) -> None:
    assert ledger.current_halt() is None

    assert ledger.halt("rex", "a wrong price", NOW) is None
    halt = ledger.current_halt()
    assert (halt.actor, halt.note, halt.halted_at, halt.lifted_at) == ("rex", "a wrong price", NOW, None)

    assert ledger.lift_halt("ann", "the price is mended", NOW + hours(1)) == halt
    assert ledger.current_halt() is None
    assert events(ledger) == [("rex", "halted", "a wrong price"), ("ann", "halt_lifted", "the price is mended")]
    assert ledger.verify_audit()


def test_a_second_halt_keeps_the_first_and_says_so(ledger: Ledger) -> None:
    ledger.halt("rex", "a wrong price", NOW)

    earlier = ledger.halt("ann", "me too", NOW + hours(1))

    assert earlier == ledger.current_halt()
    assert earlier.note == "a wrong price"
    assert events(ledger) == [("rex", "halted", "a wrong price")]


def test_it_can_be_halted_again_after_it_was_lifted(ledger: Ledger) -> None:
    ledger.halt("rex", "a wrong price", NOW)
    ledger.lift_halt("rex", "mended", NOW)

    assert ledger.halt("rex", "another one", NOW) is None

    assert ledger.current_halt().note == "another one"


def test_only_releasers_and_admins_halt_and_lift_and_they_say_why(ledger: Ledger) -> None:
    with pytest.raises(DecisionRefused, match="needed is releaser or admin"):
        ledger.halt("bob", "a wrong price", NOW)
    with pytest.raises(WrongUsage, match="note"):
        ledger.halt("rex", " ", NOW)
    assert ledger.current_halt() is None
    ledger.halt("rex", "a wrong price", NOW)
    with pytest.raises(DecisionRefused, match="needed is releaser or admin"):
        ledger.lift_halt("bob", "fine", NOW)
    with pytest.raises(WrongUsage, match="note"):
        ledger.lift_halt("rex", " ", NOW)
    assert ledger.current_halt() is not None


def test_what_is_not_halted_cannot_be_lifted(ledger: Ledger) -> None:
    with pytest.raises(WrongUsage, match="nothing is halted"):
        ledger.lift_halt("rex", "fine", NOW)
