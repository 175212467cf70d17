"""A change of policy needs two people who did not propose it, whatever way is taken to the tables."""

import json

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from schemas.enums import Role
from schemas.errors import DecisionRefused, WrongUsage
from tests.support.ledger_book import NOW, hours
from warehouse.ledger import Ledger, PolicyChange
from warehouse.ledger.store import policy_changes, policy_votes

CONTENT = {"parameters": {"trade_to": 0.5}, "study_name": "bands"}


@pytest.fixture
def people(ledger: Ledger) -> Ledger:
    for name in ("pia", "quin", "ray"):
        ledger.users.add_user(name, [Role.REVIEWER], actor="ann", now=NOW)
    return ledger


def propose(ledger: Ledger, actor: str = "pia") -> PolicyChange:
    return ledger.policy_changes.propose_change(
        "p1", "s1", "band=0.05", CONTENT, actor=actor, note="it costs less", now=NOW
    )


def say(ledger: Ledger, change: PolicyChange, actor: str, *, is_approved: bool = True, note: str = "") -> PolicyChange:
    return ledger.policy_changes.vote(
        change.change_id, is_approved=is_approved, actor=actor, note=note, now=NOW + hours(1)
    )


def test_it_waits_for_two_and_is_adopted_then(people: Ledger) -> None:
    change = propose(people)
    assert (change.state, change.content, change.proposer) == ("pending", CONTENT, "pia")
    assert say(people, change, "quin").state == "pending"
    adopted = say(people, change, "ray", note="yes")
    assert adopted.state == "adopted"
    assert [vote.actor for vote in adopted.votes] == ["quin", "ray"]
    assert people.policy_changes.list_changes() == [people.policy_changes.get_change(change.change_id)] == [adopted]
    said = [row for row in people.audit.audit_rows() if row.event.startswith("policy_change")]
    assert [(row.actor, row.event) for row in said] == [
        ("pia", "policy_change_proposed"),
        ("quin", "policy_change_approved"),
        ("ray", "policy_change_approved"),
    ]
    assert json.loads(said[0].detail)["content"] == CONTENT
    assert [json.loads(row.detail)["state"] for row in said[1:]] == ["pending", "adopted"]
    assert people.audit.verify_audit()


def test_neither_the_proposer_nor_one_person_twice(people: Ledger) -> None:
    change = propose(people)
    with pytest.raises(DecisionRefused, match="pia proposed the change; needed are two other people"):
        say(people, change, "pia")
    say(people, change, "quin")
    with pytest.raises(DecisionRefused, match="quin has approved the change"):
        say(people, change, "quin")
    assert people.policy_changes.get_change(change.change_id).state == "pending"


def test_one_who_says_no_ends_it_and_says_why(people: Ledger) -> None:
    change = propose(people)
    say(people, change, "quin")
    with pytest.raises(WrongUsage, match="needs a note"):
        say(people, change, "ray", is_approved=False)
    assert say(people, change, "ray", is_approved=False, note="the bands are too wide").state == "rejected"
    with pytest.raises(DecisionRefused, match="is rejected already"):
        say(people, change, "ann")
    with pytest.raises(DecisionRefused, match="this change is rejected already"):
        propose(people)


def test_the_same_proposed_twice_is_one(people: Ledger) -> None:
    first = propose(people)
    say(people, first, "quin")
    again = propose(people, "ray")
    assert (again.change_id, again.proposer, len(again.votes)) == (first.change_id, "pia", 1)


def test_only_reviewers_and_only_what_is_there(people: Ledger) -> None:
    with pytest.raises(DecisionRefused, match="needed is reviewer or admin"):
        propose(people, "rex")
    with pytest.raises(DecisionRefused, match="needed is reviewer or admin"):
        say(people, propose(people), "rex")
    with pytest.raises(WrongUsage, match="there is no change nothing"):
        people.policy_changes.get_change("nothing")


def test_the_tables_themselves_keep_the_rule(people: Ledger) -> None:
    change = propose(people)
    own = {"change_id": change.change_id, "is_approved": True, "note": "", "voted_at": NOW}
    with pytest.raises(DatabaseError, match="two people who did not propose it"), people.writing() as connection:
        connection.execute(sa.insert(policy_votes), {**own, "actor": "pia"})
    say(people, change, "quin")
    with pytest.raises(DatabaseError), people.writing() as connection:
        connection.execute(sa.insert(policy_votes), {**own, "actor": "quin"})
    say(people, change, "ray")
    with pytest.raises(DatabaseError, match="two people who did not propose it"), people.writing() as connection:
        connection.execute(sa.insert(policy_votes), {**own, "actor": "ann"})
    for table in (policy_changes, policy_votes):
        for statement in (sa.delete(table), sa.update(table).values(note="else")):
            with pytest.raises(DatabaseError, match="never changed or deleted"), people.writing() as connection:
                connection.execute(statement)
