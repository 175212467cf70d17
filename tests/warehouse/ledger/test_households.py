"""The proposals of a household that is managed together are one decision: each move is tried on one of them, by each door."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta

import polars as pl
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from schemas.enums import ProposalState
from schemas.errors import DecisionRefused
from tests.support.ledger_book import NOW, claimed, hours, new_run, orders_of, proposed, route, staffed, states, tell
from warehouse.ledger import Decision, ExportPart, Ledger, ReviewedVersion

HOUSEHOLD = {"a1": "h1", "a2": "h1", "a3": "h1"}
ONE = "r1.a2"
OTHERS = ("r1.a1", "r1.a3")
SHARED = "state, held_by, assignee, export_id IS NULL, household_id, version"


def made(address: str) -> Ledger:
    """Run r1: a1, a2 and a3 of the household h1, and b1 alone; all wait, and the run is done."""
    ledger = staffed(address)
    route(ledger, "r1", ["a1", "a2", "a3", "b1"], households=HOUSEHOLD)
    ledger.runs.finish_run("r1", {}, NOW)
    return ledger


@pytest.fixture
def joint(address: str) -> Iterator[Ledger]:
    with closing(made(address)) as ledger:
        yield ledger


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, address: str) -> Iterator[Ledger]:
    """In each of the databases."""
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        address = str(server.url(server.new_database())).replace("postgresql://", "postgresql+psycopg://")
    with closing(made(address)) as ledger:
        yield ledger


def shared(ledger: Ledger) -> dict[str, tuple[object, ...]]:
    """By proposal of the household, what its members have in common."""
    with ledger.reading() as connection:
        rows = connection.exec_driver_sql(f"SELECT proposal_id, {SHARED} FROM proposals WHERE account_id LIKE 'a%%'")
        return {name: tuple(rest) for name, *rest in rows}


def assert_as_one(ledger: Ledger) -> None:
    assert len(set(shared(ledger).values())) == 1, shared(ledger)
    ledger.audit.verify_audit()


def approved(ledger: Ledger) -> None:
    ledger.decisions.decide([ONE], decision=Decision.APPROVE, actor="bob", now=NOW)


def in_export(ledger: Ledger) -> None:
    approved(ledger)
    claimed(ledger, "r1")


def in_two_exports(ledger: Ledger) -> None:
    approved(ledger)
    parts = [ExportPart(orders=orders_of([ONE])), ExportPart(orders=orders_of(OTHERS))]
    ledger.exports.claim_export("r1", parts, actor="rex", folder="exports", now=NOW)


def half_left(ledger: Ledger) -> None:
    in_two_exports(ledger)
    ledger.exports.publish_export("r1-export-1", "f00d", NOW)


def waiting(_ledger: Ledger) -> None:
    """As it is."""


RAW = (
    *(f"state = '{state}'" for state in ProposalState),
    "state = 'approved', export_id = 'r1-export-1'",
    "export_id = 'r1-export-1'",
    "export_id = NULL",
    "state = 'withdrawn', export_id = NULL",
    "held_by = 'cat'",
    "assignee = 'cat'",
    "household_id = NULL",
    "household_id = 'h2'",
)
"""What is done to one proposal by hand."""
KEPT = (
    f"DELETE FROM proposals WHERE proposal_id = '{ONE}'",
    "DELETE FROM household_proposals",
    "UPDATE household_proposals SET household_id = 'h2'",
    "UPDATE household_proposals SET state = 'exported', is_claimed = TRUE",
    "UPDATE household_proposals SET state = 'approved', is_claimed = TRUE",
    "UPDATE household_proposals SET state = 'limbo'",
    "INSERT INTO household_proposals VALUES ('r9', 'h1', 'approved', NULL, NULL, FALSE)",
)


@pytest.mark.parametrize("start", [waiting, approved, in_export, in_two_exports])
def test_the_database_moves_no_proposal_of_a_household_alone(either: Ledger, start: Callable[[Ledger], None]) -> None:
    start(either)
    before = shared(either)

    for change in RAW:
        with contextlib.suppress(DBAPIError), either.writing() as connection:
            connection.exec_driver_sql(f"UPDATE proposals SET {change} WHERE proposal_id = '{ONE}'")
        assert shared(either) == before, change


def test_the_database_keeps_a_household_together(either: Ledger) -> None:
    for statement in KEPT:
        with pytest.raises(DBAPIError), either.writing() as connection:
            connection.exec_driver_sql(statement)
        assert_as_one(either)


@pytest.mark.parametrize(
    "change", ["state = 'approved'", "state = 'rejected'", "state = 'expired'", "held_by = 'cat'", "assignee = 'cat'"]
)
def test_what_the_database_does_to_a_household_it_does_to_all_of_its_proposals(joint: Ledger, change: str) -> None:
    with joint.writing() as connection:
        if change.startswith("state"):
            tell(connection, change.split("'")[1], states(joint))
        connection.exec_driver_sql(f"UPDATE household_proposals SET {change}")

    (found,) = set(shared(joint).values())
    assert change.split("'")[1] in found


def test_the_database_takes_no_member_that_is_not_as_its_household(either: Ledger) -> None:
    with either.reading() as connection:
        columns = [one["name"] for one in sa.inspect(connection).get_columns("proposals")]
    picked = {"proposal_id": "'r1.a4'", "account_id": "'a4'", "state": "'approved'"}
    values = ", ".join(picked.get(name, name) for name in columns)
    statement = (
        f"INSERT INTO proposals ({', '.join(columns)}) SELECT {values} FROM proposals WHERE proposal_id = '{ONE}'"
    )

    with either.writing() as connection:
        tell(connection, "approved", ["r1.a4"])
    with pytest.raises(DBAPIError, match="decided as one"), either.writing() as connection:
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize("decision", Decision)
@pytest.mark.parametrize("start", [waiting, approved])
@pytest.mark.parametrize("way", ["named", "seen", "all or none"])
def test_a_decision_on_one_is_a_decision_on_all(
    joint: Ledger, decision: Decision, start: Callable[[Ledger], None], way: str
) -> None:
    start(joint)
    before = shared(joint)
    said = {"decision": decision, "actor": "cat", "note": "so", "now": NOW}
    refused: set[str] = set()
    taken: set[str] = set()
    try:
        if way == "named":
            taken = set(joint.decisions.decide([ONE], content_hashes={ONE: "as-proposed"}, **said))
        else:
            seen = {ONE: ReviewedVersion("as-proposed")}
            done = joint.decisions.decide_seen(seen, is_all_or_none=way == "all or none", **said)
            taken, refused = set(done.states), set(done.refused)
    except DecisionRefused:
        refused = {ONE, *OTHERS}

    assert_as_one(joint)
    everyone = {ONE, *OTHERS}
    assert decision is Decision.COMMENT or (taken, refused) in [(everyone, set()), (set(), everyone)]
    assert taken or shared(joint) == before
    told = [row.proposal_id for row in joint.audit.audit_rows(actor="cat")]
    assert sorted(map(str, told)) == sorted(taken)


def test_somebody_who_may_not_decide_one_decides_none(joint: Ledger) -> None:
    joint.decisions.decide([OTHERS[0]], decision=Decision.HOLD, actor="cat", now=NOW)

    seen = {ONE: ReviewedVersion("as-proposed"), "r1.b1": ReviewedVersion("as-proposed")}
    done = joint.decisions.decide_seen(seen, decision=Decision.APPROVE, actor="bob", now=NOW)

    assert done.states == {"r1.b1": "approved"}
    assert set(done.refused) == {ONE, *OTHERS}
    assert_as_one(joint)


def test_one_that_has_changed_refuses_the_others(joint: Ledger) -> None:
    seen = {ONE: ReviewedVersion("as-proposed"), OTHERS[0]: ReviewedVersion("something else")}

    done = joint.decisions.decide_seen(seen, decision=Decision.APPROVE, actor="bob", now=NOW)

    assert done.states == {}
    assert (
        done.refused[ONE]
        == "is decided with r1.a1 of the household h1, which has changed since it was looked at; look again"
    )


def test_two_people_approve_the_household(either: Ledger) -> None:
    route(either, "r2", ["a1", "a2"], day=2, households=HOUSEHOLD, approvals_needed=2)
    either.decisions.decide(["r2.a1"], decision=Decision.APPROVE, actor="bob", now=NOW)
    with pytest.raises(DecisionRefused, match="already approved by bob"):
        either.decisions.decide(["r2.a2"], decision=Decision.APPROVE, actor="bob", now=NOW)

    either.decisions.decide(["r2.a2"], decision=Decision.APPROVE, actor="cat", now=NOW)

    assert states(either, "r2") == {"r2.a1": "approved", "r2.a2": "approved"}


def test_an_assignment_of_one_is_of_all(joint: Ledger) -> None:
    joint.decisions.assign([ONE], "cat", actor="bob", now=NOW)

    assert_as_one(joint)
    assert {row[2] for row in shared(joint).values()} == {"cat"}


def test_no_version_is_made_of_one(joint: Ledger) -> None:
    frame = joint.proposals.list_proposals(run_id="r1").filter(account_id="a2")
    with pytest.raises(DecisionRefused, match="is decided with the household h1"):
        joint.amendments.amend_proposal(
            ONE,
            ReviewedVersion("as-proposed"),
            proposal=frame,
            orders=frame,
            lots=frame,
            actor="bob",
            note="less",
            now=NOW,
        )
    assert_as_one(joint)


@pytest.mark.parametrize("start", [waiting, approved])
def test_one_past_its_time_takes_the_others_with_it(joint: Ledger, start: Callable[[Ledger], None]) -> None:
    start(joint)
    with joint.writing() as connection:
        early = sa.text("UPDATE proposals SET expires_at = :at WHERE proposal_id = :one")
        at = NOW.replace(tzinfo=None) if connection.dialect.name == "sqlite" else NOW
        connection.execute(early, {"at": at + timedelta(hours=1), "one": ONE})

    joint.proposals.expire(NOW + hours(2))

    assert states(joint, "r1") == dict.fromkeys([ONE, *OTHERS], "expired") | {"r1.b1": "pending_review"}


@pytest.mark.parametrize("start", [waiting, approved])
def test_a_run_of_one_account_supersedes_all(joint: Ledger, start: Callable[[Ledger], None]) -> None:
    start(joint)

    route(joint, "r2", [], pulled=["a2"], day=2)

    assert states(joint, "r1") == dict.fromkeys([ONE, *OTHERS], "superseded") | {"r1.b1": "pending_review"}


def test_a_household_is_approved_by_policy_whole_or_not_at_all(joint: Ledger) -> None:
    joint.decisions.decide(["r1.b1"], decision=Decision.HOLD, actor="cat", now=NOW)
    route(joint, "r2", ["a1", "b1", "c1"], day=2, households={"a1": "h1", "b1": "h1"}, route="auto")

    assert states(joint, "r2") == {"r2.a1": "pending_review", "r2.b1": "pending_review", "r2.c1": "auto_approved"}
    assert {row["held_by"] for row in joint.proposals.list_proposals(run_id="r2").rows(named=True)} == {"cat", None}
    joint.decisions.decide(["r2.a1"], decision=Decision.UNHOLD, actor="cat", now=NOW)
    assert joint.proposals.list_proposals(run_id="r2")["held_by"].null_count() == 3


def test_a_household_of_which_one_is_on_its_way_is_born_superseded(joint: Ledger) -> None:
    in_export(joint)

    route(joint, "r2", ["a1", "c1"], day=2, households={"a1": "h1", "c1": "h1"})

    assert states(joint, "r2") == {"r2.a1": "superseded", "r2.c1": "superseded"}


def test_the_strictest_of_a_household_holds_for_all(joint: Ledger) -> None:
    rows = [("a1", "auto", 1, 5.0), ("a2", "review", 2, 20.0)]
    frame = pl.concat(
        proposed("r2", [name], route=path, approvals_needed=needed, ttl_hours=ttl) for name, path, needed, ttl in rows
    ).with_columns(household_id=pl.lit("h1"))
    joint.runs.start_run(new_run("r2", 2), NOW)
    joint.proposals.route_proposals("r2", frame, frame["account_id"], NOW)

    found = joint.proposals.list_proposals(run_id="r2").select("state", "approvals_needed", "expires_at").unique()
    assert found.rows() == [("pending_review", 2, NOW + hours(5))]


def test_what_may_leave_is_all_of_a_household_or_none(joint: Ledger) -> None:
    approved(joint)

    with pytest.raises(DecisionRefused, match=r"r1\.a1 of the household h1 would not leave with the others"):
        joint.exports.claim_export("r1", [ExportPart(orders=orders_of([ONE]))], actor="rex", folder="x", now=NOW)

    assert_as_one(joint)
    assert joint.exports.exportable("r1", NOW) == ["r1.a1", ONE, "r1.a3"]


def test_one_past_its_cut_off_keeps_all(joint: Ledger) -> None:
    approved(joint)
    joint.decisions.decide(["r1.b1"], decision=Decision.APPROVE, actor="bob", now=NOW)
    with joint.writing() as connection:
        at = NOW.replace(tzinfo=None) if connection.dialect.name == "sqlite" else NOW
        late = sa.text("UPDATE proposals SET cut_off_at = :at WHERE proposal_id = :one")
        connection.execute(late, {"at": at, "one": ONE})

    assert joint.exports.exportable("r1", NOW) == ["r1.b1"]


def test_parts_of_a_claim_leave_one_after_the_other(either: Ledger) -> None:
    in_two_exports(either)
    assert_as_one(either)

    first = either.exports.open_export("r1")
    assert first is not None
    assert first.sequence == 1
    either.exports.publish_export(first.export_id, "f00d", NOW)
    second = either.exports.open_export("r1")
    assert second is not None
    assert second.sequence == 2
    either.exports.publish_export(second.export_id, "beef", NOW)

    assert states(either, "r1") == dict.fromkeys([ONE, *OTHERS], "exported") | {"r1.b1": "pending_review"}
    assert either.exports.open_export("r1") is None


def test_what_was_claimed_together_is_given_up_together(either: Ledger) -> None:
    in_two_exports(either)

    either.abandonments.abandon_export("r1-export-2", actor="rex", note="the desk was closed", now=NOW)

    assert_as_one(either)
    assert [export.state for export in either.exports.exports_of("r1")] == ["abandoned", "abandoned"]
    assert {row[0] for row in shared(either).values()} == {"withdrawn"}


def test_only_what_has_left_already_is_not_given_up(either: Ledger) -> None:
    half_left(either)
    assert either.exports.households_in_part("r1-export-2") == ["h1"]

    either.abandonments.abandon_export("r1-export-2", actor="rex", note="no room on the disk", now=NOW)

    assert states(either, "r1") == {ONE: "exported", **dict.fromkeys(OTHERS, "withdrawn"), "r1.b1": "pending_review"}


def test_half_a_household_that_has_left_is_not_undone_by_hand(either: Ledger) -> None:
    half_left(either)

    for change in ("export_id = NULL", "state = 'expired', export_id = NULL", "state = 'rejected', export_id = NULL"):
        with pytest.raises(DBAPIError), either.writing() as connection:
            connection.exec_driver_sql(f"UPDATE proposals SET {change} WHERE proposal_id = '{OTHERS[0]}'")


def test_an_export_may_leave_as_long_as_the_earliest_of_its_household_may(joint: Ledger) -> None:
    in_two_exports(joint)
    with joint.writing() as connection:
        at = NOW.replace(tzinfo=None) if connection.dialect.name == "sqlite" else NOW
        late = sa.text("UPDATE proposals SET cut_off_at = :at WHERE proposal_id = :one")
        connection.execute(late, {"at": at + timedelta(hours=3), "one": OTHERS[1]})

    found = joint.abandonments.deadline_of("r1-export-1")

    assert found is not None
    assert (found.at, found.proposal_id) == (NOW + hours(3), OTHERS[1])
