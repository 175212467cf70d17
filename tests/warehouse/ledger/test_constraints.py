"""Every rule of the ledger, tried by going around the code: the database itself must refuse."""

import polars as pl
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from schemas.enums import ProposalState
from tests.support.ledger_book import NOW, claimed, route, tell
from warehouse.ledger import Ledger
from warehouse.ledger.review.proposals import COLUMNS


@pytest.fixture
def queue(ledger: Ledger) -> Ledger:
    """Run r1 by prefect: a1 pending, a2 approved by bob, a3 exported, q1 released. Run r0 by bob: b1 pending. Halted."""
    route(ledger, "r1", ["a1", "a2", "a3"])
    ledger.decisions.decide(["r1.a3"], decision="approve", actor="bob", now=NOW)
    ledger.runs.finish_run("r1", {}, NOW)
    ledger.exports.publish_export(claimed(ledger, "r1").export_id, "f00d", NOW)
    ledger.decisions.decide(["r1.a2"], decision="approve", actor="bob", now=NOW)
    route(ledger, "r0", ["b1"], submitter="bob")
    row = pl.DataFrame({"quarantine_id": ["q1"], "table_name": ["lots"], "broken_rules": ["cash_explained"]})
    ledger.readmissions.release_rows("r1", row, actor="bob", note="the custodian confirmed it", now=NOW)
    ledger.halts.halt("rex", "a wrong price", NOW)
    return ledger


def decision(**changed: str) -> str:
    defaults = {
        "proposal_id": "r1.a1",
        "content_hash": "as-proposed",
        "submitter": "prefect",
        "amender": "",
        "actor": "bob",
    }
    values = {**defaults, "decision": "approve", "note": "", "decided_at": "2026-07-01", **changed}
    return f"INSERT INTO decisions ({', '.join(values)}) VALUES ({', '.join(repr(value) for value in values.values())})"


def proposal(**changed: str) -> str:
    """A copy of r1.a3 (exported) under another name, with some columns changed."""
    values = {"proposal_id": "'copy'", "account_id": "'new'", "state": "'rejected'", "export_id": "NULL", **changed}
    picked = ", ".join(values.get(name, name) for name in COLUMNS)
    return f"INSERT INTO proposals ({', '.join(COLUMNS)}) SELECT {picked} FROM proposals WHERE proposal_id = 'r1.a3'"


def export(number: int, state: str, manifest: str = "NULL") -> str:
    names = "export_id, run_id, sequence, state, actor, folder, manifest_sha256, started_at"
    return f"INSERT INTO exports ({names}) VALUES ('x{number}', 'r1', {number}, '{state}', 'rex', 'f', {manifest}, '2026-07-01')"


def made(table: str, **values: str) -> str:
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(values.values())})"


def release(**changed: str) -> str:
    texts = {"table_name": "'lots'", "broken_rules": "'x'", "actor": "'bob'", "note": "'fine'"}
    key = {"as_of_date": "'2026-07-01'", "quarantine_id": "'q2'", "run_id": "'r1'", "released_at": "'2026-07-01'"}
    return made("row_releases", **{**key, **texts, **changed})


def taken(**changed: str) -> str:
    numbers = dict.fromkeys(["number", "first_row", "row_count", "last_row", "size_bytes"], "1")
    texts = dict.fromkeys(["source", "name", "table_name", "sha256", "reader"], "'x'")
    row = {"run_id": "'r1'", "state": "'read'", "note": "NULL", "taken_at": "'2026-07-01'"}
    return made("inputs", **{**numbers, **texts, **row, **changed})


def halted(**changed: str) -> str:
    lifted = {"lifted_by": "'ann'", "lift_note": "'mended'", "lifted_at": "'2026-07-02'"}
    return made("halts", **{"actor": "'rex'", "note": "'why'", "halted_at": "'2026-07-01'", **lifted, **changed})


ALLOWED = {
    "an approval by somebody else": decision(),
    "a hold by the submitter": decision(proposal_id="r0.b1", submitter="bob", decision="hold"),
    "a second approval by another person": decision(proposal_id="r1.a2", actor="cat"),
    "a proposal for another account": proposal(),
    "a next export": export(2, "writing"),
    "a release of another row": release(),
    "a release of the row for another date": release(quarantine_id="'q1'", as_of_date="'2026-07-02'"),
    "an input": taken(),
    "an awaited input that says so": taken(state="'awaited'", note="'not there yet'"),
    "a halt that is over": halted(),
}
REFUSED = {
    "an approval by the submitter": decision(proposal_id="r0.b1", submitter="bob"),
    "an approval by the submitter under a false flag": decision(proposal_id="r0.b1", submitter="prefect"),
    "a second approval by the same person": decision(proposal_id="r1.a2"),
    "an approval of content that nobody proposed": decision(content_hash="tampered"),
    "a decision on no proposal": decision(proposal_id="r9.zz"),
    "a decision by nobody we know": decision(actor="stranger"),
    "a decision of another kind": decision(decision="maybe"),
    "a rejection without a note": decision(decision="reject"),
    "a second proposal of the account in the run": proposal(account_id="'a3'"),
    "a second open proposal of the account": proposal(account_id="'b1'", state="'approved'"),
    "a proposal of no run": proposal(run_id="'r9'"),
    "a second version that nobody made": proposal(version="2", replaces="'r1.a3'"),
    "a second version that replaces nothing": proposal(version="2", amender="'bob'"),
    "a first version made by a person": proposal(amender="'bob'", replaces="'r1.a3'"),
    "a comment without a text": decision(decision="comment"),
    "a proposal with another submitter than its run": proposal(submitter="'bob'"),
    "a proposal in no known state": proposal(state="'limbo'"),
    "a proposal on no known route": proposal(route="'express'"),
    "a proposal that needs no approval": proposal(approvals_needed="0"),
    "a proposal exported without an export": proposal(state="'exported'"),
    "a proposal claimed while it waits for review": proposal(state="'pending_review'", export_id="export_id"),
    "a proposal in an export that is not there": proposal(state="'exported'", export_id="'nowhere'"),
    "a change of content under a decision": "UPDATE proposals SET content_hash = 'other' WHERE proposal_id = 'r1.a2'",
    "a change of submitter": "UPDATE proposals SET submitter = 'bob' WHERE proposal_id = 'r1.a1'",
    "the deletion of a decided proposal": "DELETE FROM proposals WHERE proposal_id = 'r1.a2'",
    "an order that left before": "INSERT INTO export_orders (order_id, export_id, proposal_id) SELECT order_id, export_id, 'r1.a1' FROM export_orders",
    "an order of no proposal": "INSERT INTO export_orders (order_id, export_id, proposal_id) VALUES ('o9', 'r1-export-1', 'r9.zz')",
    "an order of no export": "INSERT INTO export_orders (order_id, export_id, proposal_id) VALUES ('o9', 'nowhere', 'r1.a1')",
    "an export with a number already used": export(1, "published", "'f00d'"),
    "an export in no known state": export(2, "lost"),
    "an export published without a manifest": export(2, "published"),
    "a run in no known state": "UPDATE runs SET state = 'limbo'",
    "a run of no known kind": "UPDATE runs SET kind = 'whim'",
    "a run held for no reason": "UPDATE runs SET state = 'held'",
    "a step that is none": "INSERT INTO steps VALUES ('r1', 'dance', 0, 0, 0, '2026-07-01')",
    "a step of no run": "INSERT INTO steps VALUES ('r9', 'pull', 0, 0, 0, '2026-07-01')",
    "a role that is none": "INSERT INTO user_roles VALUES ('bob', 'emperor')",
    "a role of nobody": "INSERT INTO user_roles VALUES ('stranger', 'admin')",
    "a user without a name": "INSERT INTO users (name, created_at) VALUES ('', '2026-07-01')",
    "the deletion of somebody who decided": "DELETE FROM users WHERE name = 'bob'",
    "a second head of the audit chain": "INSERT INTO audit_head VALUES (2, 0, 'x')",
    "a changed audit row": "UPDATE audit SET actor = 'nobody' WHERE seq = 3",
    "a deleted audit row": "DELETE FROM audit WHERE seq = 3",
    "a changed decision": "UPDATE decisions SET actor = 'cat'",
    "a deleted decision": "DELETE FROM decisions",
    "a deleted exported order": "DELETE FROM export_orders",
    "a second release of the row for the date": release(quarantine_id="'q1'"),
    "a release without a note": release(note="''"),
    "a release by nobody we know": release(actor="'stranger'"),
    "a release of no run": release(run_id="'r9'"),
    "a changed release": "UPDATE row_releases SET note = 'other'",
    "a deleted release": "DELETE FROM row_releases",
    "an input of no run": taken(run_id="'r9'"),
    "an input in no known state": taken(state="'lost'"),
    "a refused input that does not say why": taken(state="'refused'"),
    "a second halt in force": halted(lifted_by="NULL", lift_note="NULL", lifted_at="NULL"),
    "a halt without a note": halted(note="''"),
    "a halt by nobody we know": halted(actor="'stranger'"),
    "a halt lifted by nobody": halted(lifted_by="NULL"),
    "a halt lifted without a note": halted(lift_note="''"),
    "a halt lifted at no time": halted(lifted_at="NULL"),
}


def tell_of_the_copy(connection: sa.Connection, statement: str) -> None:
    for state in (*ProposalState, "limbo"):
        if statement.startswith("INSERT INTO proposals") and f" '{state}'," in statement:
            tell(connection, state, ["copy"])


@pytest.mark.parametrize("statement", ALLOWED.values(), ids=ALLOWED)
def test_the_database_takes(queue: Ledger, statement: str) -> None:
    with queue.writing() as connection:
        tell_of_the_copy(connection, statement)
        assert connection.exec_driver_sql(statement).rowcount == 1


@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED)
def test_the_database_refuses(queue: Ledger, statement: str) -> None:
    with queue.writing() as connection:
        tell_of_the_copy(connection, statement)
    with pytest.raises(DBAPIError) as refused, queue.writing() as connection:
        connection.exec_driver_sql(statement)

    assert isinstance(refused.value, IntegrityError) or "never changed" in str(refused.value)


def test_the_database_refuses_two_exports_being_written(queue: Ledger) -> None:
    with queue.writing() as connection:
        connection.exec_driver_sql(export(2, "writing"))

    with pytest.raises(IntegrityError), queue.writing() as connection:
        connection.exec_driver_sql(export(3, "writing"))
