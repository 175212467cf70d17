import hashlib
import json
from dataclasses import replace

import pytest

from schemas.errors import AuditBroken
from tests.support.ledger_book import NOW, route, states
from warehouse.ledger import Ledger
from warehouse.ledger.store.audit_chain import row_hash


@pytest.fixture
def loose(ledger: Ledger) -> Ledger:
    """A ledger whose triggers somebody has dropped."""
    route(ledger, "r1", ["a1", "a2", "a3"])
    with ledger.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_no_update")
        connection.exec_driver_sql("DROP TRIGGER audit_no_delete")
    return ledger


def broken_at(ledger: Ledger, statement: str) -> int:
    with ledger.writing() as connection:
        connection.exec_driver_sql(statement)
    with pytest.raises(AuditBroken) as broken:
        ledger.audit.verify_audit()
    return broken.value.seq


def test_an_untouched_chain_is_whole(loose: Ledger) -> None:
    assert loose.audit.verify_audit() == len(loose.audit.audit_rows()) == loose.audit.audit_rows()[-1].seq


@pytest.mark.parametrize("column", ["at", "actor", "run_id", "event", "from_state", "to_state", "detail", "hash"])
def test_a_changed_row_is_found(loose: Ledger, column: str) -> None:
    value = "2020-01-01 00:00:00" if column == "at" else "changed"
    assert broken_at(loose, f"UPDATE audit SET {column} = '{value}' WHERE seq = 7") == 7


def test_a_deleted_row_is_found(loose: Ledger) -> None:
    assert broken_at(loose, "DELETE FROM audit WHERE seq = 4") == 4


def test_rows_deleted_at_the_end_are_found(loose: Ledger) -> None:
    last = loose.audit.audit_rows(limit=1)[0].seq
    assert broken_at(loose, f"DELETE FROM audit WHERE seq >= {last - 1}") == last - 1


def test_two_rows_that_changed_places_are_found(loose: Ledger) -> None:
    swap = "UPDATE audit SET seq = CASE seq WHEN 6 THEN -7 ELSE -6 END WHERE seq IN (6, 7)"
    with loose.writing() as connection:
        connection.exec_driver_sql(swap)
    assert broken_at(loose, "UPDATE audit SET seq = -seq WHERE seq < 0") == 6


@pytest.mark.parametrize("from_the_end", [2, 0])
def test_a_row_forged_with_a_hash_that_fits_is_found_by_what_follows(loose: Ledger, from_the_end: int) -> None:
    forged = replace(loose.audit.audit_rows()[-1 - from_the_end], actor="nobody")

    statement = f"UPDATE audit SET actor = 'nobody', hash = '{row_hash(forged)}' WHERE seq = {forged.seq}"

    assert broken_at(loose, statement) == forged.seq + 1


def test_the_hash_is_that_of_the_canonical_json_of_the_other_columns(ledger: Ledger) -> None:
    row = ledger.audit.audit_rows(limit=1)[0]
    names = ("actor", "detail", "event", "from_state", "previous_hash", "proposal_id", "run_id", "seq", "to_state")
    content = {name: getattr(row, name) for name in names} | {"at": "2026-07-01T22:00:00.000000+00:00"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))

    assert row.hash == hashlib.sha256(text.encode()).hexdigest()
    assert row.previous_hash == ledger.audit.audit_rows(limit=2)[0].hash


def test_every_proposal_has_a_row_for_each_state_it_was_in(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])
    ledger.decisions.decide(["r1.a1"], decision="hold", actor="cat", note="asking the adviser", now=NOW)
    ledger.decisions.decide(["r1.a1"], decision="approve", actor="cat", now=NOW)
    ledger.decisions.decide(["r1.a1"], decision="withdraw", actor="bob", now=NOW)

    trail = [
        (row.actor, row.event, row.from_state, row.to_state) for row in ledger.audit.audit_rows(proposal_id="r1.a1")
    ]
    assert trail == [
        ("prefect", "routed", "proposed", "pending_review"),
        ("cat", "hold", "pending_review", "pending_review"),
        ("cat", "approve", "pending_review", "approved"),
        ("bob", "withdraw", "approved", "withdrawn"),
    ]
    assert states(ledger) == {"r1.a1": "withdrawn"}
