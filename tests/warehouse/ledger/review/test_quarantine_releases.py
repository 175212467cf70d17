import json
from datetime import date

import polars as pl
import pytest

from schemas.errors import DecisionRefused, WrongUsage
from tests.support.ledger_book import NOW, hours, new_run
from warehouse.ledger import Ledger

DAY = date(2026, 7, 1)


def rows(*ids: str) -> pl.DataFrame:
    return pl.DataFrame({"quarantine_id": ids, "table_name": "lots", "broken_rules": "a|b", "row_number": 7})


@pytest.fixture
def seen(ledger: Ledger) -> Ledger:
    ledger.runs.start_run(new_run("r1", day=1), NOW)
    return ledger


def test_released_rows_say_who_let_them_pass_and_why(seen: Ledger) -> None:
    assert (
        seen.readmissions.release_rows("r1", rows("q2", "q1"), actor="bob", note="the custodian confirmed it", now=NOW)
        == 2
    )

    assert seen.readmissions.released_rows(DAY).rows(named=True) == [
        {
            "quarantine_id": one,
            "table_name": "lots",
            "broken_rules": "a|b",
            "actor": "bob",
            "note": "the custodian confirmed it",
            "released_at": NOW,
        }
        for one in ("q1", "q2")
    ]


def test_a_release_counts_for_its_date_alone_and_for_every_run_of_it(seen: Ledger) -> None:
    seen.runs.start_run(new_run("r2", day=2), NOW)
    seen.readmissions.release_rows("r1", rows("q1"), actor="bob", note="checked", now=NOW)
    seen.readmissions.release_rows("r2", rows("q1", "q2"), actor="bob", note="checked again", now=NOW)

    assert seen.readmissions.released_rows(DAY)["quarantine_id"].to_list() == ["q1"]
    assert seen.readmissions.released_rows(date(2026, 7, 2))["quarantine_id"].to_list() == ["q1", "q2"]
    assert seen.readmissions.released_rows(date(2026, 7, 3)).is_empty()


def test_a_row_released_again_stays_as_it_was(seen: Ledger) -> None:
    seen.readmissions.release_rows("r1", rows("q1"), actor="bob", note="checked", now=NOW)
    seen.runs.start_run(new_run("r1-again", day=1), NOW)

    assert (
        seen.readmissions.release_rows("r1-again", rows("q1", "q2", "q2"), actor="cat", note="too", now=NOW + hours(1))
        == 1
    )

    found = seen.readmissions.released_rows(DAY).select("quarantine_id", "actor", "note", "released_at")
    assert found.rows() == [("q1", "bob", "checked", NOW), ("q2", "cat", "too", NOW + hours(1))]
    released = [row for row in seen.audit.audit_rows() if row.event == "row_released"]
    assert [(row.actor, row.run_id, json.loads(row.detail)["quarantine_id"]) for row in released] == [
        ("bob", "r1", "q1"),
        ("cat", "r1-again", "q2"),
    ]
    assert seen.audit.verify_audit() == released[-1].seq


@pytest.mark.parametrize("actor", ["bob", "rex", "ann"])
def test_reviewers_releasers_and_admins_release_rows(seen: Ledger, actor: str) -> None:
    assert seen.readmissions.release_rows("r1", rows("q1"), actor=actor, note="checked", now=NOW) == 1


def test_a_release_without_role_or_note_or_run_is_refused_and_leaves_nothing(seen: Ledger) -> None:
    before = len(seen.audit.audit_rows())
    with pytest.raises(DecisionRefused, match="vic has the role viewer; needed is reviewer or releaser or admin"):
        seen.readmissions.release_rows("r1", rows("q1"), actor="vic", note="checked", now=NOW)
    with pytest.raises(WrongUsage, match="note"):
        seen.readmissions.release_rows("r1", rows("q1"), actor="bob", note=" ", now=NOW)
    with pytest.raises(WrongUsage, match="no run r9"):
        seen.readmissions.release_rows("r9", rows("q1"), actor="bob", note="checked", now=NOW)

    assert seen.readmissions.released_rows(DAY).is_empty()
    assert len(seen.audit.audit_rows()) == before
