"""A state that was set by hand, as an insider with the database's password would."""

from collections.abc import Iterator
from itertools import product

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from schemas.enums import ProposalState, RunState
from schemas.errors import AuditBroken
from tests.support.ledger_book import NOW, claimed, route, staffed, states
from warehouse.ledger import Ledger

UNSAID = "without a row of the audit"
GUARDS = ("proposals_said_update", "proposals_as_routed", "runs_said_update")


@pytest.fixture(params=["sqlite", "postgres"])
def night(request: pytest.FixtureRequest, address: str) -> Iterator[Ledger]:
    """A run that is done: a1 waits, a2 is approved, a3 needs two people and has one, a4 is approved by policy."""
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        address = str(server.url(server.new_database())).replace("postgresql://", "postgresql+psycopg://")
    ledger = staffed(address)
    route(ledger, "r1", ["a1", "a2"])
    route(ledger, "r1", ["a3"], approvals_needed=2)
    route(ledger, "r1", ["a4"], route="auto")
    ledger.decisions.decide(["r1.a2", "r1.a3"], decision="approve", actor="bob", now=NOW)
    ledger.runs.finish_run("r1", {}, NOW)
    assert ledger.audit.verify_audit()
    yield ledger
    ledger.close()


@pytest.fixture
def loose(night: Ledger) -> Ledger:
    """The same, by somebody who may also drop triggers."""
    with night.writing() as connection:
        for name in GUARDS:
            table = f" ON {name.split('_')[0]}" if connection.dialect.name == "postgresql" else ""
            connection.exec_driver_sql(f"DROP TRIGGER {name}{table}")
    return night


def by_hand(ledger: Ledger, statement: str) -> int:
    with ledger.writing() as connection:
        return connection.exec_driver_sql(statement).rowcount


def test_no_proposal_gets_a_state_by_hand(night: Ledger) -> None:
    before = states(night)

    for was, state in product(sorted(set(before.values())), ProposalState):
        if was == state:
            continue
        with pytest.raises(DBAPIError):
            by_hand(night, f"UPDATE proposals SET state = '{state}' WHERE state = '{was}'")
    with pytest.raises(DBAPIError, match=UNSAID):
        by_hand(night, "UPDATE proposals SET state = 'approved' WHERE state = 'pending_review'")
    assert states(night) == before


@pytest.mark.parametrize("state", [one for one in RunState if one is not RunState.DONE])
def test_no_run_gets_a_state_by_hand(night: Ledger, state: RunState) -> None:
    with pytest.raises(DBAPIError, match=UNSAID):
        by_hand(night, f"UPDATE runs SET state = '{state}', held_reason = 'x', finished_at = NULL")


def test_a_held_run_is_not_done_by_hand(night: Ledger) -> None:
    route(night, "r2", ["b1"])
    night.runs.hold_run("r2", "stale prices", NOW)

    with pytest.raises(DBAPIError, match=UNSAID):
        by_hand(night, "UPDATE runs SET state = 'done', finished_at = started_at WHERE run_id = 'r2'")


@pytest.mark.parametrize(
    "change", ["content_hash = 'other'", "approvals_needed = 1", "submitter = 'rex'", "account_id = 'a9'"]
)
def test_what_was_routed_is_not_changed_by_hand(night: Ledger, change: str) -> None:
    with pytest.raises(DBAPIError):
        by_hand(night, f"UPDATE proposals SET {change} WHERE account_id = 'a3'")


def test_a_proposal_is_not_put_in_by_hand(night: Ledger) -> None:
    with night.reading() as connection:
        columns = [one["name"] for one in sa.inspect(connection).get_columns("proposals")]
    picked = {"proposal_id": "'r1.x'", "account_id": "'x'", "state": "'approved'"}
    values = ", ".join(picked.get(name, name) for name in columns)

    with pytest.raises(DBAPIError, match=UNSAID):
        by_hand(
            night,
            f"INSERT INTO proposals ({', '.join(columns)}) SELECT {values} FROM proposals WHERE account_id = 'a2'",
        )


BY_HAND = {
    "UPDATE proposals SET state = 'approved' WHERE account_id = 'a1'": (
        "proposal r1.a1 is approved, and the newest row of the audit about it, 7, says pending_review"
    ),
    "UPDATE proposals SET state = 'auto_approved' WHERE account_id = 'a1'": (
        "proposal r1.a1 is auto_approved, and the newest row of the audit about it, 7, says pending_review"
    ),
    "UPDATE proposals SET content_hash = 'other' WHERE account_id = 'a4'": (
        "proposal r1.a4 has other content than was routed by audit row 12"
    ),
    "UPDATE proposals SET approvals_needed = 2 WHERE account_id = 'a2'": (
        "proposal r1.a2 was approved by 1 in audit row 14; needed 2"
    ),
    "UPDATE runs SET state = 'running', finished_at = NULL": (
        "run r1 is running, and the newest row of the audit about it, 16, says done"
    ),
}


@pytest.mark.parametrize(("statement", "fault"), BY_HAND.items(), ids=BY_HAND)
def test_a_state_past_the_triggers_is_named_and_does_not_leave(loose: Ledger, statement: str, fault: str) -> None:
    assert by_hand(loose, statement) == 1

    with pytest.raises(AuditBroken) as broken:
        loose.audit.verify_audit()
    assert str(broken.value) == fault
    if "proposals" in statement:
        with pytest.raises(AuditBroken, match=fault):
            claimed(loose, "r1")
        assert loose.exports.exports_of("r1") == []


def test_a_run_finished_by_hand_lets_nothing_leave(loose: Ledger) -> None:
    route(loose, "r2", ["b1"], route="auto")
    loose.runs.hold_run("r2", "stale prices", NOW)
    by_hand(loose, "UPDATE runs SET state = 'done', finished_at = started_at WHERE run_id = 'r2'")

    with pytest.raises(AuditBroken, match="run r2 is done, and the newest row of the audit about it, 20, says held"):
        claimed(loose, "r2")


def test_what_was_slipped_into_an_open_export_is_found_before_it_leaves(loose: Ledger) -> None:
    export = claimed(loose, "r1")
    loose.exports.need_proven(export.export_id)
    by_hand(loose, f"UPDATE proposals SET state = 'approved', export_id = '{export.export_id}' WHERE account_id = 'a1'")

    with pytest.raises(AuditBroken, match=r"proposal r1\.a1 is approved"):
        loose.exports.need_proven(export.export_id)


def test_a_forged_row_that_does_not_follow_is_found(loose: Ledger) -> None:
    """Somebody moves a proposal twice, and the second time the program itself writes the row."""
    by_hand(loose, "UPDATE proposals SET state = 'approved' WHERE account_id = 'a1'")
    loose.decisions.decide(["r1.a1"], decision="withdraw", actor="bob", now=NOW)

    with pytest.raises(AuditBroken) as broken:
        loose.audit.verify_audit()
    assert "proposal r1.a1: audit row 17 says that it was approved, the one before says pending_review" in str(
        broken.value
    )
