from typing import Any

import pytest

from schemas.enums import ProposalState, Role
from schemas.errors import DecisionRefused
from tests.ledger_book import NOW, PENDING, claimed, hours, route, states
from warehouse.ledger import Ledger


def refused(ledger: Ledger, *ids: str, **said: Any) -> str:
    """What the ledger says, nothing having been decided."""
    before = states(ledger)
    with pytest.raises(DecisionRefused) as refusal:
        ledger.decide(ids, **{"decision": "approve", "actor": "bob", "now": NOW, **said})
    assert states(ledger) == before
    return str(refusal.value)


def test_one_approval_is_enough_where_one_is_needed(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])

    after = ledger.decide(["r1.a1"], decision="approve", actor="bob", note="fine", now=NOW)

    assert after == {"r1.a1": ProposalState.APPROVED} == states(ledger)
    (said,) = ledger.decisions_of("r1.a1")
    assert (said.actor, said.decision, said.note, said.content_hash) == ("bob", "approve", "fine", "as-proposed")
    assert said.decided_at == NOW


def test_four_eyes_are_two_people(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"], approvals_needed=2)

    assert ledger.decide(["r1.a1"], decision="approve", actor="bob", now=NOW) == {"r1.a1": PENDING}
    assert "already approved by bob; a second person is needed" in refused(ledger, "r1.a1")
    assert ledger.decide(["r1.a1"], decision="approve", actor="cat", now=NOW) == {"r1.a1": ProposalState.APPROVED}


def test_the_submitter_cannot_approve_not_even_as_admin(ledger: Ledger) -> None:
    ledger.set_roles("bob", [Role.ADMIN, Role.REVIEWER], actor="ann", now=NOW)
    route(ledger, "r1", ["a1"], submitter="bob")

    assert "was submitted by bob; another person must approve it" in refused(ledger, "r1.a1")


def test_the_submitter_may_reject_or_hold_their_own(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2"], submitter="bob")

    ledger.decide(["r1.a1"], decision="reject", note="I was wrong", actor="bob", now=NOW)
    ledger.decide(["r1.a2"], decision="hold", actor="bob", now=NOW)

    assert states(ledger) == {"r1.a1": "rejected", "r1.a2": "pending_review"}


def test_a_decision_on_content_that_was_not_seen_is_stale(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])

    assert "has changed since it was looked at" in refused(ledger, "r1.a1", content_hashes={"r1.a1": "yesterdays"})
    assert "has changed since it was looked at" in refused(ledger, "r1.a1", content_hashes={})
    ledger.decide(["r1.a1"], decision="approve", actor="bob", now=NOW, content_hashes={"r1.a1": "as-proposed"})


def test_a_decision_on_a_superseded_proposal_is_refused(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])
    route(ledger, "r2", ["a1"], day=2)

    assert "r1.a1 is superseded; to approve it, it must be pending_review" in refused(ledger, "r1.a1")


def test_an_expired_proposal_cannot_be_approved(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])

    with pytest.raises(DecisionRefused, match="is expired"):
        ledger.decide(["r1.a1"], decision="approve", actor="bob", now=NOW + hours(20))
    assert states(ledger) == {"r1.a1": "expired"}


def test_one_that_cannot_be_decided_stops_the_whole_batch(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2", "a3"])
    ledger.decide(["r1.a2"], decision="reject", note="no", actor="bob", now=NOW)

    message = refused(ledger, "r1.a1", "r1.a2", "nobody")

    assert "2 of 3 proposals" in message
    assert "r1.a2 is rejected" in message
    assert "nobody is no proposal" in message
    assert ledger.decisions_of("r1.a1") == []


def test_a_long_list_of_problems_is_cut_short(ledger: Ledger) -> None:
    message = refused(ledger, *(f"nobody{number}" for number in range(9)))

    assert message.count("is no proposal") == 5
    assert message.endswith("and 4 more")


@pytest.mark.parametrize("actor", ["vic", "rex", "stranger"])
def test_who_is_no_reviewer_cannot_decide(ledger: Ledger, actor: str) -> None:
    route(ledger, "r1", ["a1"])

    assert "needed is reviewer or admin" in refused(ledger, "r1.a1", actor=actor)


def test_a_rejection_needs_a_note(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])

    assert "needs a note" in refused(ledger, "r1.a1", decision="reject", note="  ")


def test_naming_a_proposal_twice_is_naming_it_once(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])

    ledger.decide(["r1.a1", "r1.a1"], decision="approve", actor="bob", now=NOW)

    assert len(ledger.decisions_of("r1.a1")) == 1


def test_deciding_nothing_is_nothing(ledger: Ledger) -> None:
    assert ledger.decide([], decision="approve", actor="bob", now=NOW) == {}


def test_a_hold_does_not_stand_in_the_way_of_an_approval(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])

    ledger.decide(["r1.a1"], decision="hold", actor="bob", now=NOW)
    ledger.decide(["r1.a1"], decision="hold", actor="bob", now=NOW)
    ledger.decide(["r1.a1"], decision="approve", actor="bob", now=NOW)

    assert [one.decision for one in ledger.decisions_of("r1.a1")] == ["hold", "hold", "approve"]
    assert states(ledger) == {"r1.a1": "approved"}


def test_an_approval_can_be_withdrawn_until_it_is_being_exported(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2"])
    ledger.decide(["r1.a1", "r1.a2"], decision="approve", actor="bob", now=NOW)
    ledger.decide(["r1.a1"], decision="withdraw", actor="cat", now=NOW)
    ledger.finish_run("r1", {}, NOW)
    claimed(ledger, "r1")

    assert "r1.a2 is being exported in r1-export-1" in refused(ledger, "r1.a2", decision="withdraw")
    assert "is withdrawn; to withdraw it, it must be approved" in refused(ledger, "r1.a1", decision="withdraw")
    assert states(ledger) == {"r1.a1": "withdrawn", "r1.a2": "approved"}


def test_proposals_of_a_held_run_may_be_decided(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])
    ledger.hold_run("r1", "prices are stale", NOW)

    assert ledger.decide(["r1.a1"], decision="approve", actor="bob", now=NOW) == {"r1.a1": ProposalState.APPROVED}
    assert ledger.exportable("r1", NOW) == []


def test_a_kind_of_decision_that_does_not_exist_is_an_error(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="maybe"):
        ledger.decide([], decision="maybe", actor="bob", now=NOW)
