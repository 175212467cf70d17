"""An export that was given up stays so, whoever asks and however: in SQLite and in PostgreSQL."""

from collections.abc import Iterator

import pytest
from sqlalchemy.exc import DBAPIError

from schemas.enums import Role
from schemas.errors import DecisionRefused, WrongUsage
from tests.support.ledger_book import NOW, claimed, hours, opened, orders_of, route, staffed, states
from warehouse.ledger import ExportPart, ExportState, Ledger

EXPORT = "r1-export-1"


@pytest.fixture(params=["sqlite", "postgres"])
def open_claim(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    """Run r1, done: a1 approved by bob and a2 by the policy, both claimed; a3 waits."""
    if request.param == "sqlite":
        ledger: Ledger = request.getfixturevalue("ledger")
    else:
        server = request.getfixturevalue("postgres")
        ledger = staffed(server.url(server.new_database()).replace("postgresql://", "postgresql+psycopg://"))
    route(ledger, "r1", ["a1", "a3"])
    route(ledger, "r1", ["a2"], route="auto")
    ledger.decisions.decide(["r1.a1"], decision="approve", actor="bob", now=NOW)
    ledger.runs.finish_run("r1", {}, NOW)
    claimed(ledger, "r1")
    yield ledger
    ledger.close()


@pytest.fixture
def given_up(open_claim: Ledger) -> Ledger:
    """As the open claim, which rex gave up."""
    assert open_claim.abandonments.abandon_export(EXPORT, actor="rex", note="the desk was closed", now=NOW + hours(1))
    return open_claim


def test_giving_up_withdraws_the_proposals_and_is_audited(given_up: Ledger) -> None:
    assert states(given_up) == {"r1.a1": "withdrawn", "r1.a2": "withdrawn", "r1.a3": "pending_review"}
    (export,) = given_up.exports.exports_of("r1")
    assert (export.state, export.finished_at, export.manifest_sha256) == (ExportState.ABANDONED, NOW + hours(1), None)
    assert (export.abandoned_by, export.abandon_note) == ("rex", "the desk was closed")
    told = [row for row in given_up.audit.audit_rows() if row.event in {"withdrawn", "export_abandoned"}]
    assert [(row.actor, row.event, row.proposal_id, row.from_state, row.to_state) for row in told] == [
        ("rex", "withdrawn", "r1.a1", "approved", "withdrawn"),
        ("rex", "withdrawn", "r1.a2", "auto_approved", "withdrawn"),
        ("rex", "export_abandoned", None, None, None),
    ]
    assert told[-1].detail == f'{{"export_id":"{EXPORT}","note":"the desk was closed","proposals":2}}'
    assert given_up.audit.verify_audit()


def test_an_export_that_was_given_up_is_over(given_up: Ledger) -> None:
    assert given_up.exports.open_export("r1") is None
    assert given_up.exports.exportable("r1", NOW) == []
    assert given_up.exports.runs_to_export() == []
    assert given_up.deliveries.published_exports() == []
    assert given_up.abandonments.deadline_of(EXPORT) is None
    assert given_up.abandonments.abandon_export(EXPORT, actor="rex", note="again", now=NOW) is False
    with pytest.raises(DecisionRefused, match="given up by rex: the desk was closed"):
        given_up.exports.publish_export(EXPORT, "f00d", NOW)
    with pytest.raises(DecisionRefused, match="given up by rex"):
        given_up.abandonments.need_claim(EXPORT)
    with pytest.raises(DecisionRefused, match="is not published"):
        given_up.deliveries.begin_delivery(
            EXPORT, "desk", url="x", file_count=1, size_bytes=1, manifest_sha256="f", now=NOW
        )


def test_the_next_run_proposes_for_the_accounts_again(given_up: Ledger) -> None:
    route(given_up, "r2", ["a1", "a2"], route="auto", day=2)
    found = states(given_up, "r2")
    assert found == {"r2.a1": "auto_approved", "r2.a2": "auto_approved"}


def test_its_proposals_are_never_claimed_again_and_its_number_is_not_used_again(given_up: Ledger) -> None:
    with pytest.raises(DecisionRefused, match=r"r1\.a1 is withdrawn, not approved"):
        given_up.exports.claim_export(
            "r1", [ExportPart(orders=orders_of(["r1.a1"]))], actor="rex", folder="exports", now=NOW
        )
    given_up.decisions.decide(["r1.a3"], decision="approve", actor="bob", now=NOW)
    assert claimed(given_up, "r1").export_id == "r1-export-2"


def test_only_a_releaser_gives_up_and_says_why(open_claim: Ledger) -> None:
    with pytest.raises(DecisionRefused, match="bob has the role reviewer; needed is releaser or admin"):
        open_claim.abandonments.abandon_export(EXPORT, actor="bob", note="why", now=NOW)
    with pytest.raises(DecisionRefused, match="needs a note"):
        open_claim.abandonments.abandon_export(EXPORT, actor="rex", note=" ", now=NOW)
    with pytest.raises(WrongUsage, match="no export r9"):
        open_claim.abandonments.abandon_export("r9", actor="rex", note="why", now=NOW)
    open_claim.users.add_user("zoe", [Role.ADMIN], actor="ann", now=NOW)
    assert open_claim.abandonments.abandon_export(EXPORT, actor="zoe", note="why", now=NOW)


def test_what_was_published_is_not_given_up(open_claim: Ledger) -> None:
    open_claim.exports.publish_export(EXPORT, "f00d", NOW)
    with pytest.raises(DecisionRefused, match="has left: it was published as f00d"):
        open_claim.abandonments.abandon_export(EXPORT, actor="rex", note="why", now=NOW)
    assert states(open_claim)["r1.a1"] == "exported"


def test_the_deadline_is_the_first_cut_off_or_expiry(open_claim: Ledger) -> None:
    found = open_claim.abandonments.deadline_of(EXPORT)
    assert found is not None
    assert (found.at, found.proposal_id, found.is_cut_off) == (NOW + hours(20), "r1.a1", False)
    with open_claim.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE proposals SET cut_off_at = '2026-07-01 23:00:00+00:00' WHERE proposal_id = 'r1.a2'"
            if connection.dialect.name == "postgresql"
            else "UPDATE proposals SET cut_off_at = '2026-07-01 23:00:00.000000' WHERE proposal_id = 'r1.a2'"
        )
    found = open_claim.abandonments.deadline_of(EXPORT)
    assert found is not None
    assert (found.at, found.proposal_id, found.is_cut_off) == (NOW + hours(1), "r1.a2", True)


def changed(table: str, what: str, where: str) -> str:
    return f"UPDATE {table} SET {what} WHERE {where}"


IT = f"export_id = '{EXPORT}'"
GIVEN_UP = "state = 'abandoned', abandoned_by = 'rex', abandon_note = 'x', finished_at = '2026-07-01 23:00:00'"
REFUSED_AFTER = {
    "an export that is taken up again": changed(
        "exports", "state = 'writing', abandoned_by = NULL, abandon_note = NULL", IT
    ),
    "an export that is published after all": changed(
        "exports", "state = 'published', manifest_sha256 = 'f', abandoned_by = NULL, abandon_note = NULL", IT
    ),
    "another note": changed("exports", "abandon_note = 'other'", IT),
    "another number": changed("exports", "sequence = 9", IT),
    "an export that is deleted": f"DELETE FROM exports WHERE {IT}",
    "its number once more": (
        "INSERT INTO exports (export_id, run_id, sequence, state, actor, folder, started_at) "
        "VALUES ('x', 'r1', 1, 'writing', 'rex', 'f', '2026-07-01 23:00:00')"
    ),
    "its orders once more": f"INSERT INTO export_orders (order_id, export_id, proposal_id) VALUES ('r1.a1#1', '{EXPORT}', 'r1.a1')",
    "its orders deleted": "DELETE FROM export_orders",
    "a proposal that is approved again": changed("proposals", "state = 'approved'", "proposal_id = 'r1.a1'"),
    "a proposal that is exported after all": changed("proposals", f"state = 'exported', {IT}", "proposal_id = 'r1.a1'"),
    "another proposal put into it": changed("proposals", f"state = 'approved', {IT}", "proposal_id = 'r1.a3'"),
}
REFUSED_BEFORE = {
    "giving up while proposals are in it": changed("exports", GIVEN_UP, IT),
    "giving up by nobody": changed("exports", GIVEN_UP.replace("'rex'", "NULL"), IT),
    "giving up for no reason": changed("exports", GIVEN_UP.replace("'x'", "''"), IT),
    "a name of somebody who gave nothing up": changed("exports", "abandoned_by = 'rex', abandon_note = 'x'", IT),
}


def need_refused(ledger: Ledger, statement: str) -> None:
    before = states(ledger), ledger.exports.exports_of("r1")
    with pytest.raises(DBAPIError), ledger.writing() as connection:
        connection.exec_driver_sql(statement)
    assert (states(ledger), ledger.exports.exports_of("r1")) == before


@pytest.mark.parametrize("statement", REFUSED_AFTER.values(), ids=REFUSED_AFTER)
def test_once_it_was_given_up_the_database_refuses(given_up: Ledger, statement: str) -> None:
    need_refused(given_up, statement)


@pytest.mark.parametrize("statement", REFUSED_BEFORE.values(), ids=REFUSED_BEFORE)
def test_while_it_is_open_the_database_refuses(open_claim: Ledger, statement: str) -> None:
    need_refused(open_claim, statement)


def test_an_export_that_was_published_is_not_opened_again_by_anybody(open_claim: Ledger) -> None:
    open_claim.exports.publish_export(EXPORT, "f00d", NOW)
    need_refused(open_claim, changed("exports", "state = 'writing'", IT))
    need_refused(open_claim, changed("exports", f"{GIVEN_UP}, manifest_sha256 = NULL", IT))


def test_a_ledger_opened_again_knows_what_was_given_up(ledger: Ledger, address: str) -> None:
    route(ledger, "r1", ["a1"], route="auto")
    ledger.runs.finish_run("r1", {}, NOW)
    claimed(ledger, "r1")
    ledger.abandonments.abandon_export(EXPORT, actor="rex", note="why", now=NOW)
    again = opened(address)
    (export,) = again.exports.exports_of("r1")
    again.close()
    assert export.state is ExportState.ABANDONED
