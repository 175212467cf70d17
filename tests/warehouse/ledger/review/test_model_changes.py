"""Model changes in the ledger: who may decide, what is in force, and what nobody can do by hand."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from schemas.enums import ChangeState
from schemas.errors import AuditBroken, DecisionRefused
from schemas.stored import INTERNAL
from tests.support.ledger_book import NOW, new_run, opened, staffed
from warehouse.ledger import ASKED, Decision, Ledger

SUBJECTS = {"subject_kind": pl.String, "subject_id": pl.String}
SOUND: dict[str, Any] = {
    "subject_kind": "account",
    "household_id": "H",
    "investor_id": "I",
    "from_model_id": "old",
    "to_model_id": "new",
    "current_rung": 1,
    "to_rung": 2,
    "reason": "because",
    "nav_usd": 1_000,
    "gross_value_usd": 500,
    "est_tax_usd": -1.5,
    "est_cost_usd": 2.25,
    "turnover": 0.25,
    "order_count": 3,
    "approvals_needed": 1,
}


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, address: str) -> Iterator[Ledger]:
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        address = str(server.url(server.new_database())).replace("postgresql://", "postgresql+psycopg://")
    with closing(staffed(address)) as found:
        yield found


def enter(
    ledger: Ledger, run_id: str, *subjects: str, day: int = 1, judged: tuple[str, ...] = (), **changes: Any
) -> int:
    ledger.runs.start_run(new_run(run_id, day), NOW)
    rows = [
        {**SOUND, **changes, "subject_id": one, "content_hash": f"{one}-{changes.get('to_model_id', 'new')}"}
        for one in subjects
    ]
    asked = (
        pl.DataFrame(rows, schema_overrides={"nav_usd": pl.Decimal(38, 6)})
        if rows
        else pl.DataFrame(schema=dict.fromkeys(ASKED, pl.String))
    )
    looked = pl.DataFrame([("account", one) for one in (*subjects, *judged)], schema=SUBJECTS, orient="row")
    return ledger.model_changes.enter_changes(run_id, asked.select(ASKED), looked, NOW + timedelta(days=day))


def state(ledger: Ledger, subject: str) -> str:
    rows = ledger.model_changes.model_changes().filter(subject_id=subject).sort("created_at")
    return str(rows["state"][-1])


def name(ledger: Ledger, subject: str) -> str:
    rows = ledger.model_changes.model_changes().filter(subject_id=subject).sort("created_at")
    return str(rows["change_id"][-1])


def decide(  # noqa: PLR0917 - who says what of which
    ledger: Ledger, subject: str, decision: Decision, actor: str = "bob", note: str = "", seen: str | None = None
) -> str:
    one = name(ledger, subject)
    done = ledger.model_changes.decide_changes({one: seen}, decision=decision, actor=actor, now=NOW, note=note)
    return str(done[one])


def in_force(ledger: Ledger) -> list[tuple[str, str]]:
    return ledger.model_changes.changes_in_force().select("subject_id", "to_model_id").rows()


def test_what_is_entered_twice_is_there_once_with_newer_figures(ledger: Ledger) -> None:
    assert enter(ledger, "r1", "a1", "a2") == 2
    assert enter(ledger, "r1", "a1", "a2") == 0
    assert enter(ledger, "r2", "a1", "a2", day=2, est_tax_usd=7.5, approvals_needed=2) == 0
    rows = ledger.model_changes.model_changes()
    assert rows.height == 2
    assert rows["est_tax_usd"].to_list() == [7.5, 7.5]
    assert set(rows["approvals_needed"]) == {2}
    enter(ledger, "r3", "a1", "a2", day=3)  # never fewer people than it took before
    assert set(ledger.model_changes.model_changes()["approvals_needed"]) == {2}
    assert ledger.audit.verify_audit()


def test_one_approval_puts_it_in_force_and_a_withdrawal_ends_it(ledger: Ledger) -> None:
    enter(ledger, "r1", "a1", "a2")
    assert in_force(ledger) == []
    assert decide(ledger, "a1", Decision.APPROVE) == ChangeState.APPROVED
    assert in_force(ledger) == [("a1", "new")]
    with pytest.raises(DecisionRefused, match="note"):
        decide(ledger, "a1", Decision.WITHDRAW)
    assert decide(ledger, "a1", Decision.WITHDRAW, note="asked to") == ChangeState.WITHDRAWN
    assert in_force(ledger) == []
    assert enter(ledger, "r2", "a1", "a2", day=2) == 1  # a new one, which waits
    assert state(ledger, "a1") == "pending_review"
    assert [one[1:] for one in ledger.model_changes.decisions_of(name(ledger, "a1"))] == []
    assert ledger.audit.verify_audit()


def test_four_eyes_are_two_people_and_never_the_submitter(ledger: Ledger) -> None:
    enter(ledger, "r1", "a1", approvals_needed=2)
    ledger.users.add_user("prefect", ["reviewer"], actor="ann", now=NOW)  # type: ignore[list-item]
    with pytest.raises(DecisionRefused, match="was submitted by prefect"):
        decide(ledger, "a1", Decision.APPROVE, "prefect")
    assert decide(ledger, "a1", Decision.APPROVE, "bob") == ChangeState.PENDING_REVIEW
    with pytest.raises(DecisionRefused, match="already approved by bob"):
        decide(ledger, "a1", Decision.APPROVE, "bob")
    assert in_force(ledger) == []
    assert decide(ledger, "a1", Decision.APPROVE, "cat") == ChangeState.APPROVED
    assert ledger.audit.verify_audit()


@pytest.mark.parametrize(
    ("decision", "actor", "note", "seen", "said"),
    [
        (Decision.APPROVE, "vic", "", None, "needed is reviewer"),
        (Decision.APPROVE, "bob", "", "something else", "has changed since"),
        (Decision.REJECT, "bob", " ", None, "needs a note"),
        (Decision.WITHDRAW, "bob", "why", None, "it must be approved"),
        (Decision.HOLD, "bob", "", None, "approved, rejected or withdrawn, not hold"),
    ],
)
def test_what_may_not_be_decided_says_why(  # noqa: PLR0917 - a case
    ledger: Ledger, decision: Decision, actor: str, note: str, seen: str | None, said: str
) -> None:
    enter(ledger, "r1", "a1")
    with pytest.raises(DecisionRefused, match=said):
        decide(ledger, "a1", decision, actor, note, seen)
    with pytest.raises(DecisionRefused, match="is no model change"):
        ledger.model_changes.decide_changes({"x": None}, decision=Decision.APPROVE, actor="bob", now=NOW)
    assert state(ledger, "a1") == "pending_review"


def test_what_is_in_force_is_what_the_lake_keeps(ledger: Ledger) -> None:
    assert dict(ledger.model_changes.changes_in_force().schema) == INTERNAL["changed_models"]


def test_all_or_none_are_decided(ledger: Ledger) -> None:
    enter(ledger, "r1", "a1", "a2")
    decide(ledger, "a2", Decision.REJECT, note="no")
    both = dict.fromkeys([name(ledger, "a1"), name(ledger, "a2")])
    with pytest.raises(DecisionRefused, match="because of 1 of 2 model changes"):
        ledger.model_changes.decide_changes(both, decision=Decision.APPROVE, actor="bob", now=NOW)
    assert state(ledger, "a1") == "pending_review"


def test_what_is_rejected_is_not_asked_again_but_another_model_is(ledger: Ledger) -> None:
    enter(ledger, "r1", "a1")
    decide(ledger, "a1", Decision.REJECT, note="no")
    assert enter(ledger, "r2", "a1", day=2) == 0
    assert enter(ledger, "r3", "a1", day=3, to_model_id="third") == 1
    assert state(ledger, "a1") == "pending_review"


def test_what_is_looked_at_and_not_asked_for_is_superseded_and_an_older_run_changes_nothing(ledger: Ledger) -> None:
    enter(ledger, "r2", "a1", "a2", day=2)
    enter(ledger, "r1", day=1, judged=("a1", "a2"))
    assert (state(ledger, "a1"), state(ledger, "a2")) == ("pending_review", "pending_review")
    assert enter(ledger, "r1b", "a1", day=1, to_model_id="third") == 0  # one waits already, of a later night
    enter(ledger, "r3", day=3, judged=("a1",))
    assert (state(ledger, "a1"), state(ledger, "a2")) == ("superseded", "pending_review")
    assert enter(ledger, "r4", "a1", day=4) == 1
    assert len(set(ledger.model_changes.model_changes()["change_id"])) == 3


def test_another_change_that_is_approved_replaces_what_is_in_force(ledger: Ledger) -> None:
    enter(ledger, "r1", "a1")
    decide(ledger, "a1", Decision.APPROVE)
    enter(ledger, "r2", "a1", day=2, to_model_id="third")
    assert in_force(ledger) == [("a1", "new")]
    decide(ledger, "a1", Decision.APPROVE)
    assert in_force(ledger) == [("a1", "third")]
    enter(ledger, "r3", "a1", day=3, to_model_id="old")  # back to what the source says
    decide(ledger, "a1", Decision.APPROVE)
    assert in_force(ledger) == []
    assert ledger.audit.verify_audit()


def test_a_source_that_says_another_model_takes_over(ledger: Ledger) -> None:
    enter(ledger, "r1", "a1", "a2")
    for one in ("a1", "a2"):
        decide(ledger, one, Decision.APPROVE)
    says = pl.DataFrame(
        [("account", "a1", "old"), ("account", "a2", "new"), ("account", "a3", "x")],
        schema={**SUBJECTS, "model_id": pl.String},
        orient="row",
    )
    ledger.runs.start_run(new_run("r0", 1), NOW)
    ledger.runs.start_run(new_run("r2", 2), NOW)
    assert ledger.model_changes.take_over("r2", says, NOW) == 1
    assert (state(ledger, "a1"), state(ledger, "a2")) == ("approved", "taken_over")
    assert ledger.model_changes.has_open_changes()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE model_changes SET state = 'approved'",
        "UPDATE model_changes SET to_model_id = 'mine'",
        "UPDATE model_changes SET approvals_needed = 1",
        "DELETE FROM model_changes",
        "UPDATE change_decisions SET note = 'other'",
        "DELETE FROM change_decisions",
    ],
)
def test_nothing_is_changed_by_hand(ledger: Ledger, statement: str) -> None:
    enter(ledger, "r1", "a1", approvals_needed=2)
    decide(ledger, "a1", Decision.APPROVE)
    with pytest.raises(DBAPIError), ledger.writing() as connection:
        connection.exec_driver_sql(statement)


def test_the_constraints_refuse_what_the_code_would(ledger: Ledger) -> None:
    enter(ledger, "r1", "a1")
    row = {
        "change_id": name(ledger, "a1"),
        "content_hash": "a1-new",
        "submitter": "prefect",
        "note": "",
        "decided_at": NOW,
    }
    ledger.users.add_user("prefect", ["reviewer"], actor="ann", now=NOW)  # type: ignore[list-item]
    from warehouse.ledger.store import change_decisions  # noqa: PLC0415 - the table itself

    for actor, decision in (("prefect", "approve"), ("bob", "reject"), ("nobody", "approve")):
        with pytest.raises(IntegrityError), ledger.writing() as connection:
            connection.execute(sa.insert(change_decisions), {**row, "actor": actor, "decision": decision})


def test_an_approval_that_was_written_around_the_program_is_found(ledger: Ledger) -> None:
    enter(ledger, "r1", "a1")
    with ledger.writing() as connection:
        table = " ON model_changes" if connection.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(f"DROP TRIGGER model_changes_said_update{table}")
        connection.exec_driver_sql("UPDATE model_changes SET state = 'approved'")
    with pytest.raises(AuditBroken, match=r"model change \w+ is approved"):
        ledger.audit.verify_audit()


def test_an_older_ledger_gets_the_tables(address: str) -> None:
    path = Path(address.removeprefix("sqlite:///"))
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as old:
        old.executescript((Path(__file__).parents[1] / "ledger_0007.sql").read_text())
    with closing(opened(address)) as found, closing(staffed(address.replace("ledger", "other"))) as whole:
        for one in (found, whole):
            assert not one.model_changes.has_open_changes()
        with found.reading() as connection, whole.reading() as fresh:
            text = (
                "SELECT name FROM sqlite_master WHERE tbl_name IN ('model_changes', 'change_decisions') ORDER BY name"
            )
            assert connection.exec_driver_sql(text).all() == fresh.exec_driver_sql(text).all()
