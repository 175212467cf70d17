import json

import pytest

from schemas.errors import DecisionRefused, WrongUsage
from tests.support.ledger_book import NOW, hours
from warehouse.ledger import Ledger


def events(ledger: Ledger) -> list[tuple[str, str, str]]:
    rows = [row for row in ledger.audit.audit_rows() if "halt" in row.event]
    return [(row.actor, row.event, json.loads(row.detail)["note"]) for row in rows]


def test_a_halt_is_in_force_until_it_is_lifted(ledger: Ledger) -> None:
    assert ledger.halts.current_halt() is None

    assert ledger.halts.halt("rex", "a wrong price", NOW) is None
    halt = ledger.halts.current_halt()
    assert (halt.actor, halt.note, halt.halted_at, halt.lifted_at) == ("rex", "a wrong price", NOW, None)

    assert ledger.halts.lift_halt("ann", "the price is mended", NOW + hours(1)) == halt
    assert ledger.halts.current_halt() is None
    assert events(ledger) == [("rex", "halted", "a wrong price"), ("ann", "halt_lifted", "the price is mended")]
    assert ledger.audit.verify_audit()


def test_a_second_halt_keeps_the_first_and_says_so(ledger: Ledger) -> None:
    ledger.halts.halt("rex", "a wrong price", NOW)

    earlier = ledger.halts.halt("ann", "me too", NOW + hours(1))

    assert earlier == ledger.halts.current_halt()
    assert earlier.note == "a wrong price"
    assert events(ledger) == [("rex", "halted", "a wrong price")]


def test_it_can_be_halted_again_after_it_was_lifted(ledger: Ledger) -> None:
    ledger.halts.halt("rex", "a wrong price", NOW)
    ledger.halts.lift_halt("rex", "mended", NOW)

    assert ledger.halts.halt("rex", "another one", NOW) is None

    assert ledger.halts.current_halt().note == "another one"


def test_only_releasers_and_admins_halt_and_lift_and_they_say_why(ledger: Ledger) -> None:
    with pytest.raises(DecisionRefused, match="needed is releaser or admin"):
        ledger.halts.halt("bob", "a wrong price", NOW)
    with pytest.raises(WrongUsage, match="note"):
        ledger.halts.halt("rex", " ", NOW)
    assert ledger.halts.current_halt() is None
    ledger.halts.halt("rex", "a wrong price", NOW)
    with pytest.raises(DecisionRefused, match="needed is releaser or admin"):
        ledger.halts.lift_halt("bob", "fine", NOW)
    with pytest.raises(WrongUsage, match="note"):
        ledger.halts.lift_halt("rex", " ", NOW)
    assert ledger.halts.current_halt() is not None


def test_what_is_not_halted_cannot_be_lifted(ledger: Ledger) -> None:
    with pytest.raises(WrongUsage, match="nothing is halted"):
        ledger.halts.lift_halt("rex", "fine", NOW)
