from datetime import date, timedelta
from decimal import Decimal

import polars as pl
import pytest

from schemas.enums import ProposalState
from schemas.errors import DecisionRefused, WrongUsage
from tests.support.ledger_book import NOW, PENDING, claimed, hours, new_run, proposed, route, states
from warehouse.ledger import Ledger
from warehouse.ledger.review import proposals as ledger_proposals


@pytest.fixture(autouse=True)
def _entered_two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_proposals, "INSERTED_AT_ONCE", 2)


def test_routing_sends_each_proposal_where_policy_says(ledger: Ledger) -> None:
    ledger.runs.start_run(new_run("r1"), NOW)
    frame = pl.concat([proposed("r1", ["a1"]), proposed("r1", ["a2"], route="auto", ttl_hours=2.5)])

    assert ledger.proposals.route_proposals("r1", frame, frame["account_id"], NOW) == 2

    assert states(ledger) == {"r1.a1": "pending_review", "r1.a2": "auto_approved"}
    automatic = ledger.proposals.get_proposal("r1.a2")
    assert automatic["expires_at"] == NOW + hours(2.5)
    assert (automatic["submitter"], automatic["as_of_date"], automatic["version"]) == ("prefect", date(2026, 7, 1), 1)
    assert [row.actor for row in ledger.audit.audit_rows(proposal_id="r1.a2")] == ["policy"]


def test_money_keeps_every_digit(ledger: Ledger) -> None:
    exact = Decimal("98765432109876543210.123456")
    route(ledger, "r1", ["a1"], nav_usd=pl.Series([exact], dtype=pl.Decimal(38, 6)).item())

    assert ledger.proposals.get_proposal("r1.a1")["nav_usd"] == exact
    assert ledger.proposals.list_proposals()["nav_usd"].to_list() == [exact]


def test_routing_again_changes_nothing(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2"])
    ledger.decisions.decide(["r1.a1"], decision="approve", actor="bob", now=NOW)

    assert route(ledger, "r1", ["a1", "a2"], content_hash="other", now=NOW + hours(1)) == 0

    assert states(ledger) == {"r1.a1": "approved", "r1.a2": "pending_review"}
    assert ledger.proposals.get_proposal("r1.a2")["content_hash"] == "as-proposed"


def test_a_newer_run_supersedes_what_is_undecided_or_unexported(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2", "a3", "a4"])
    ledger.decisions.decide(["r1.a2"], decision="approve", actor="bob", now=NOW)
    ledger.decisions.decide(["r1.a3"], decision="reject", note="no", actor="bob", now=NOW)

    route(ledger, "r2", ["a1", "a2", "a3"], day=2)

    assert states(ledger, "r1") == {
        "r1.a1": "superseded",
        "r1.a2": "superseded",
        "r1.a3": "rejected",
        "r1.a4": "pending_review",
    }
    assert set(states(ledger, "r2").values()) == {PENDING}


def test_an_account_pulled_but_not_proposed_again_loses_its_old_proposal(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2"])

    route(ledger, "r2", [], pulled=["a1"], day=2)

    assert states(ledger) == {"r1.a1": "superseded", "r1.a2": "pending_review"}


def test_a_second_run_of_the_same_date_supersedes_the_first(ledger: Ledger) -> None:
    route(ledger, "first", ["a1"])
    route(ledger, "second", ["a1"])

    assert states(ledger) == {"first.a1": "superseded", "second.a1": "pending_review"}


def test_resuming_the_first_run_does_not_supersede_the_second(ledger: Ledger) -> None:
    route(ledger, "first", ["a1"], pulled=["a2"])
    route(ledger, "second", ["a1", "a2"])

    route(ledger, "first", ["a1"], pulled=["a2"])

    assert states(ledger, "second") == {"second.a1": "pending_review", "second.a2": "pending_review"}


def test_a_proposal_of_an_earlier_night_is_born_superseded(ledger: Ledger) -> None:
    route(ledger, "newer", ["a1"], day=2)

    assert route(ledger, "older", ["a1", "a2"], day=1) == 2

    assert states(ledger) == {
        "newer.a1": "pending_review",
        "older.a1": "superseded",
        "older.a2": "pending_review",
    }
    assert ledger.audit.audit_rows(proposal_id="older.a1")[0].to_state == "superseded"


def test_what_an_export_is_writing_is_left_alone_and_comes_first(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2"], route="auto")
    ledger.runs.finish_run("r1", {}, NOW)
    export = claimed(ledger, "r1")

    route(ledger, "r2", ["a1"], day=2)
    ledger.proposals.expire(NOW + hours(100))

    assert states(ledger) == {"r2.a1": "superseded", "r1.a1": "auto_approved", "r1.a2": "auto_approved"}
    ledger.exports.publish_export(export.export_id, "f00d", NOW)
    assert set(states(ledger, "r1").values()) == {"exported"}


def test_an_account_sent_for_this_date_is_not_proposed_again(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"], route="auto")
    route(ledger, "later", [], day=2)
    ledger.runs.finish_run("r1", {}, NOW)
    ledger.exports.publish_export(claimed(ledger, "r1").export_id, "f00d", NOW)

    route(ledger, "r2", ["a1", "a2"], route="auto")
    route(ledger, "tomorrow", ["a1"], route="auto", day=2)

    assert states(ledger) == {
        "r1.a1": "exported",
        "r2.a1": "superseded",
        "r2.a2": "auto_approved",
        "tomorrow.a1": "auto_approved",
    }


def test_shards_are_routed_one_by_one(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2"])
    route(ledger, "r2", ["a1"], day=2)
    route(ledger, "r2", ["a2"], day=2)

    assert set(states(ledger, "r2").values()) == {PENDING}
    assert set(states(ledger, "r1").values()) == {"superseded"}


def test_routing_for_no_run_is_refused(ledger: Ledger) -> None:
    with pytest.raises(WrongUsage, match="no run r9"):
        ledger.proposals.route_proposals("r9", proposed("r9", ["a1"]), pl.Series(["a1"]), NOW)


@pytest.mark.parametrize("path", ["review", "auto"])
def test_an_open_proposal_expires_at_its_last_moment(ledger: Ledger, path: str) -> None:
    route(ledger, "r1", ["a1"], route=path, ttl_hours=1)

    assert ledger.proposals.expire(NOW + hours(0.99)) == 0
    assert ledger.proposals.expire(NOW + hours(1)) == 1

    assert states(ledger) == {"r1.a1": "expired"}
    assert ledger.audit.audit_rows(proposal_id="r1.a1")[-1].actor == "clock"
    with pytest.raises(DecisionRefused, match="is expired"):
        ledger.decisions.decide(["r1.a1"], decision="approve", actor="bob", now=NOW)


def test_an_approved_proposal_expires_too_and_a_decided_one_does_not(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2"])
    ledger.decisions.decide(["r1.a1"], decision="approve", actor="bob", now=NOW)
    ledger.decisions.decide(["r1.a2"], decision="reject", actor="bob", note="no", now=NOW)

    assert ledger.proposals.expire(NOW + hours(21)) == 1

    assert states(ledger) == {"r1.a1": "expired", "r1.a2": "rejected"}


def test_the_list_is_sorted_and_narrowed(ledger: Ledger) -> None:
    route(ledger, "r1", ["a2", "a1"])
    route(ledger, "r2", ["a1"], day=2)

    assert ledger.proposals.list_proposals()["proposal_id"].to_list() == ["r2.a1", "r1.a1", "r1.a2"]
    assert ledger.proposals.list_proposals(states=[PENDING])["proposal_id"].to_list() == ["r2.a1", "r1.a2"]
    assert ledger.proposals.list_proposals(states=[])["proposal_id"].to_list() == []
    assert ledger.proposals.list_proposals(account_id="a1", limit=1)["proposal_id"].to_list() == ["r2.a1"]
    assert ledger.proposals.list_proposals(run_id="r9").is_empty()


def test_a_proposal_is_found_by_the_beginning_of_its_name(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2", "b1"])

    assert ledger.proposals.find_proposals("r1.a") == ["r1.a1", "r1.a2"]
    assert ledger.proposals.find_proposals("R1.a") == ledger.proposals.find_proposals("%") == []
    assert ledger.proposals.get_proposal("r1.a") is None


def test_more_proposals_than_a_statement_takes_are_routed_superseded_and_decided(ledger: Ledger) -> None:
    accounts = [f"a{number:05}" for number in range(6_000)]
    route(ledger, "r1", accounts)
    assert route(ledger, "r2", accounts, day=2) == 6_000

    found = ledger.proposals.list_proposals(states=[PENDING])
    ledger.decisions.decide(found["proposal_id"], decision="approve", actor="bob", now=NOW)

    counts = ledger.proposals.list_proposals().group_by("run_id", "state").len().sort("run_id").rows()
    assert counts == [("r1", "superseded", 6_000), ("r2", ProposalState.APPROVED, 6_000)]
    assert ledger.audit.verify_audit() > 24_000


def test_a_hold_goes_on_with_the_accounts_next_proposal_which_then_waits(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2"])
    ledger.decisions.decide(["r1.a1"], decision="hold", actor="bob", now=NOW)
    assert ledger.proposals.held_accounts().rows() == [("a1", "bob")]
    route(ledger, "r2", ["a1", "a2"], day=2, route="auto", route_reasons="")
    found = {row["account_id"]: row for row in ledger.proposals.list_proposals(run_id="r2").iter_rows(named=True)}
    assert (found["a1"]["state"], found["a1"]["held_by"]) == ("pending_review", "bob")
    assert (found["a2"]["state"], found["a2"]["held_by"]) == ("auto_approved", None)
    ledger.decisions.decide(["r2.a1"], decision="unhold", actor="bob", now=NOW)
    assert ledger.proposals.held_accounts().is_empty()
    route(ledger, "r3", ["a1"], day=3)
    assert ledger.proposals.get_proposal("r3.a1")["held_by"] is None


def test_a_hold_outlives_the_proposal_that_expires_and_not_the_one_that_is_rejected(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2"])
    ledger.decisions.decide(["r1.a1", "r1.a2"], decision="hold", actor="bob", now=NOW)
    ledger.decisions.decide(["r1.a2"], decision="reject", actor="cat", note="no", now=NOW)
    ledger.proposals.expire(NOW + timedelta(days=1))
    assert ledger.proposals.held_accounts().rows() == [("a1", "bob")]


def test_an_approval_ends_the_hold_even_where_the_proposal_is_superseded_before_it_leaves(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])
    ledger.decisions.decide(["r1.a1"], decision="hold", actor="bob", now=NOW)
    ledger.decisions.decide(["r1.a1"], decision="approve", actor="bob", now=NOW)
    assert ledger.proposals.held_accounts().is_empty()
    route(ledger, "r2", ["a1"], day=2, route="auto", route_reasons="")
    assert states(ledger) == {"r1.a1": "superseded", "r2.a1": "auto_approved"}
    assert ledger.proposals.get_proposal("r2.a1")["held_by"] is None


def test_a_proposal_born_superseded_neither_keeps_a_hold_nor_ends_it(ledger: Ledger) -> None:
    route(ledger, "r2", ["a1"], day=2)
    ledger.decisions.decide(["r2.a1"], decision="hold", actor="bob", now=NOW)
    route(ledger, "r1", ["a1"], now=NOW + timedelta(hours=1))
    assert states(ledger, "r1") == {"r1.a1": "superseded"}
    assert ledger.proposals.held_accounts().rows() == [("a1", "bob")]
    ledger.decisions.decide(["r2.a1"], decision="unhold", actor="bob", now=NOW + timedelta(hours=2))
    assert ledger.proposals.held_accounts().is_empty()
    route(ledger, "r3", ["a1"], day=3, now=NOW + timedelta(hours=3))
    assert ledger.proposals.get_proposal("r3.a1")["held_by"] is None


def test_each_custodians_proposals_have_its_cut_off(ledger: Ledger) -> None:
    ledger.runs.start_run(new_run("r1"), NOW)
    frame = pl.concat([proposed("r1", ["a1"]), proposed("r1", ["a2"], custodian="harbor")])
    ledger.proposals.route_proposals("r1", frame, frame["account_id"], NOW, {"harbor": NOW + timedelta(hours=3)})
    assert ledger.proposals.get_proposal("r1.a1")["cut_off_at"] is None
    assert ledger.proposals.get_proposal("r1.a2")["cut_off_at"] == NOW + timedelta(hours=3)
