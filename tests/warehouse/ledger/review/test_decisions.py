from typing import Any

import pytest

from schemas.enums import ProposalState, Role
from schemas.errors import DecisionRefused
from tests.support.ledger_book import NOW, PENDING, claimed, hours, route, states
from warehouse.ledger import Ledger
from warehouse.ledger.review.decisions import ReviewedVersion


def refused(ledger: Ledger, *ids: str, **said: Any) -> str:
    """What the ledger says, nothing having been decided."""
    before = states(ledger)
    with pytest.raises(DecisionRefused) as refusal:
        ledger.decisions.decide(ids, **{"decision": "approve", "actor": "bob", "now": NOW, **said})
    assert states(ledger) == before
    return str(refusal.value)


def test_one_approval_is_enough_where_one_is_needed(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])

    after = ledger.decisions.decide(["r1.a1"], decision="approve", actor="bob", note="fine", now=NOW)

    assert after == {"r1.a1": ProposalState.APPROVED} == states(ledger)
    (said,) = ledger.proposals.decisions_of("r1.a1")
    assert (said.actor, said.decision, said.note, said.content_hash) == ("bob", "approve", "fine", "as-proposed")
    assert said.decided_at == NOW


def test_four_eyes_are_two_people(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"], approvals_needed=2)

    assert ledger.decisions.decide(["r1.a1"], decision="approve", actor="bob", now=NOW) == {"r1.a1": PENDING}
    assert "already approved by bob; a second person is needed" in refused(ledger, "r1.a1")
    assert ledger.decisions.decide(["r1.a1"], decision="approve", actor="cat", now=NOW) == {
        "r1.a1": ProposalState.APPROVED
    }


def test_the_submitter_cannot_approve_not_even_as_admin(ledger: Ledger) -> None:
    ledger.users.set_roles("bob", [Role.ADMIN, Role.REVIEWER], actor="ann", now=NOW)
    route(ledger, "r1", ["a1"], submitter="bob")

    assert "was submitted by bob; another person must approve it" in refused(ledger, "r1.a1")
    assert "Hint: who starts a night cannot decide on it. Add somebody with" in refused(ledger, "r1.a1")


def test_the_submitter_may_reject_or_hold_their_own(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2"], submitter="bob")

    ledger.decisions.decide(["r1.a1"], decision="reject", note="I was wrong", actor="bob", now=NOW)
    ledger.decisions.decide(["r1.a2"], decision="hold", actor="bob", now=NOW)

    assert states(ledger) == {"r1.a1": "rejected", "r1.a2": "pending_review"}


def test_a_decision_on_content_that_was_not_seen_is_stale(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])

    assert "has changed since it was looked at" in refused(ledger, "r1.a1", content_hashes={"r1.a1": "yesterdays"})
    assert "has changed since it was looked at" in refused(ledger, "r1.a1", content_hashes={})
    ledger.decisions.decide(
        ["r1.a1"], decision="approve", actor="bob", now=NOW, content_hashes={"r1.a1": "as-proposed"}
    )


def test_a_decision_on_a_superseded_proposal_is_refused(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])
    route(ledger, "r2", ["a1"], day=2)

    assert "r1.a1 is superseded; to approve it, it must be pending_review" in refused(ledger, "r1.a1")


def test_an_expired_proposal_cannot_be_approved(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])

    with pytest.raises(DecisionRefused, match="is expired"):
        ledger.decisions.decide(["r1.a1"], decision="approve", actor="bob", now=NOW + hours(20))
    assert states(ledger) == {"r1.a1": "expired"}


def test_one_that_cannot_be_decided_stops_the_whole_batch(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2", "a3"])
    ledger.decisions.decide(["r1.a2"], decision="reject", note="no", actor="bob", now=NOW)

    message = refused(ledger, "r1.a1", "r1.a2", "nobody")

    assert "2 of 3 proposals" in message
    assert "r1.a2 is rejected" in message
    assert "nobody is no proposal" in message
    assert ledger.proposals.decisions_of("r1.a1") == []


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

    ledger.decisions.decide(["r1.a1", "r1.a1"], decision="approve", actor="bob", now=NOW)

    assert len(ledger.proposals.decisions_of("r1.a1")) == 1


def test_deciding_nothing_is_nothing(ledger: Ledger) -> None:
    assert ledger.decisions.decide([], decision="approve", actor="bob", now=NOW) == {}


def test_a_hold_does_not_stand_in_the_way_of_who_placed_it(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])

    ledger.decisions.decide(["r1.a1"], decision="hold", actor="bob", now=NOW)
    ledger.decisions.decide(["r1.a1"], decision="hold", actor="bob", now=NOW)
    ledger.decisions.decide(["r1.a1"], decision="approve", actor="bob", now=NOW)

    assert [one.decision for one in ledger.proposals.decisions_of("r1.a1")] == ["hold", "hold", "approve"]
    assert states(ledger) == {"r1.a1": "approved"}


def test_an_approval_can_be_withdrawn_until_it_is_being_exported(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2"])
    ledger.decisions.decide(["r1.a1", "r1.a2"], decision="approve", actor="bob", now=NOW)
    ledger.decisions.decide(["r1.a1"], decision="withdraw", actor="cat", now=NOW)
    ledger.runs.finish_run("r1", {}, NOW)
    claimed(ledger, "r1")

    told = refused(ledger, "r1.a2", decision="withdraw")
    assert (
        "r1.a2 is being exported in r1-export-1; `trimtab export abandon r1-export-1 --note WHY` gives up all" in told
    )
    assert "is withdrawn; to withdraw it, it must be approved" in refused(ledger, "r1.a1", decision="withdraw")
    assert states(ledger) == {"r1.a1": "withdrawn", "r1.a2": "approved"}


def test_what_the_policy_approved_can_be_withdrawn_until_it_is_being_exported(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2"], route="auto")
    ledger.decisions.decide(["r1.a1"], decision="withdraw", actor="cat", now=NOW, note="the client called")
    ledger.runs.finish_run("r1", {}, NOW)

    assert claimed(ledger, "r1").export_id == "r1-export-1"
    assert "r1.a2 is being exported in r1-export-1" in refused(ledger, "r1.a2", decision="withdraw")
    assert states(ledger) == {"r1.a1": "withdrawn", "r1.a2": "auto_approved"}
    assert [(one.decision, one.note) for one in ledger.proposals.decisions_of("r1.a1")] == [
        ("withdraw", "the client called")
    ]


def test_proposals_of_a_held_run_may_be_decided(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])
    ledger.runs.hold_run("r1", "prices are stale", NOW)

    assert ledger.decisions.decide(["r1.a1"], decision="approve", actor="bob", now=NOW) == {
        "r1.a1": ProposalState.APPROVED
    }
    assert ledger.exports.exportable("r1", NOW) == []


def test_a_kind_of_decision_that_does_not_exist_is_an_error(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="maybe"):
        ledger.decisions.decide([], decision="maybe", actor="bob", now=NOW)


def test_a_hold_keeps_others_from_approving_until_it_is_released(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])
    ledger.decisions.decide(["r1.a1"], decision="hold", actor="bob", note="asking the adviser", now=NOW)

    assert "is held by bob; it must be released first" in refused(ledger, "r1.a1", actor="cat")
    assert "is held by bob already" in refused(ledger, "r1.a1", actor="cat", decision="hold")
    assert "is held by bob; say in a note why it may go on" in refused(ledger, "r1.a1", actor="cat", decision="unhold")
    ledger.decisions.decide(["r1.a1"], decision="unhold", actor="cat", note="the adviser called back", now=NOW)

    assert "is not held" in refused(ledger, "r1.a1", actor="cat", decision="unhold", note="again")
    ledger.decisions.decide(["r1.a1"], decision="approve", actor="cat", now=NOW)
    assert states(ledger) == {"r1.a1": "approved"}


def test_a_comment_may_come_from_any_role_at_any_time_and_needs_a_text(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])
    ledger.decisions.decide(["r1.a1"], decision="reject", actor="bob", note="no", now=NOW)

    ledger.decisions.decide(["r1.a1"], decision="comment", actor="vic", note="why not?", now=NOW)

    assert "a comment needs a text" in refused(ledger, "r1.a1", decision="comment", actor="vic")
    assert "no role" in refused(ledger, "r1.a1", decision="comment", actor="stranger", note="hello")
    assert [one.note for one in ledger.proposals.decisions_of("r1.a1")] == ["no", "why not?"]
    assert states(ledger) == {"r1.a1": "rejected"}


def test_of_a_batch_what_can_be_decided_is_and_the_rest_says_why_not(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2", "a3", "a4"])
    ledger.decisions.decide(["r1.a2"], decision="reject", actor="cat", note="no", now=NOW)
    ledger.decisions.decide(["r1.a3"], decision="hold", actor="cat", now=NOW)
    seen = {f"r1.{account}": ReviewedVersion("as-proposed") for account in ("a1", "a2", "a3", "zz")} | {
        "r1.a4": ReviewedVersion("other")
    }

    taken = ledger.decisions.decide_seen(seen, decision="approve", actor="bob", now=NOW)

    assert taken.states == {"r1.a1": ProposalState.APPROVED}
    assert taken.refused == {
        "r1.a2": "is rejected; to approve it, it must be pending_review",
        "r1.a3": "is held by cat; it must be released first",
        "r1.zz": "is no proposal",
        "r1.a4": "has changed since it was looked at; look again",
    }


def test_a_row_that_changed_since_is_not_decided_by_who_asks_for_its_revision(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"], approvals_needed=2)
    ledger.decisions.decide(["r1.a1"], decision="approve", actor="bob", now=NOW)

    late = ledger.decisions.decide_seen(
        {"r1.a1": ReviewedVersion("as-proposed", 1)}, decision="approve", actor="cat", now=NOW
    )
    fresh = ledger.decisions.decide_seen(
        {"r1.a1": ReviewedVersion("as-proposed", 2)}, decision="approve", actor="cat", now=NOW
    )

    assert late.refused == {"r1.a1": "has changed since it was looked at; look again"}
    assert fresh.states == {"r1.a1": ProposalState.APPROVED}


def test_only_a_reviewer_is_assigned_what_waits(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2"])
    ledger.decisions.decide(["r1.a2"], decision="reject", actor="cat", note="no", now=NOW)

    ledger.decisions.assign(["r1.a1"], "cat", actor="bob", now=NOW)

    assert ledger.proposals.get_proposal("r1.a1")["assignee"] == "cat"
    with pytest.raises(DecisionRefused, match="vic has the role viewer; needed is reviewer"):
        ledger.decisions.assign(["r1.a1"], "vic", actor="bob", now=NOW)
    with pytest.raises(DecisionRefused, match="is rejected; to assign it"):
        ledger.decisions.assign(["r1.a1", "r1.a2"], None, actor="bob", now=NOW)
    assert [row.event for row in ledger.audit.audit_rows(proposal_id="r1.a1")] == ["routed", "assigned"]
