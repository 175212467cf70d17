from datetime import date

import pytest

from schemas.errors import DecisionRefused, RunHeld, WrongUsage
from tests.support.ledger_book import NOW, claimed, hours, orders_of, route, states
from warehouse.ledger import ExportPart, ExportRow, ExportState, Ledger


@pytest.fixture
def approved(ledger: Ledger) -> Ledger:
    """Run r1, done: a1 approved, a2 automatically, a3 still waiting."""
    route(ledger, "r1", ["a1", "a3"])
    route(ledger, "r1", ["a2"], route="auto")
    ledger.decisions.decide(["r1.a1"], decision="approve", actor="bob", now=NOW)
    ledger.runs.finish_run("r1", {}, NOW)
    return ledger


def claim(ledger: Ledger, *ids: str, actor: str = "rex") -> ExportRow:
    return ledger.exports.claim_export(
        "r1", [ExportPart(orders=orders_of(ids))], actor=actor, folder="exports", now=NOW
    )


def test_only_what_is_approved_and_of_a_finished_run_may_leave(approved: Ledger) -> None:
    route(approved, "r2", ["b1"], route="auto", day=2)

    assert approved.exports.exportable("r1", NOW) == ["r1.a1", "r1.a2"]
    assert approved.exports.exportable("r2", NOW) == []
    assert approved.exports.exportable("r1", NOW + hours(20)) == []
    with pytest.raises(WrongUsage, match="no run r9"):
        approved.exports.exportable("r9", NOW)


def test_a_claim_takes_the_orders_and_nothing_is_exportable_any_more(approved: Ledger) -> None:
    export = claimed(approved, "r1")

    assert (export.export_id, export.sequence, export.state) == ("r1-export-1", 1, ExportState.WRITING)
    assert (export.actor, export.folder, export.started_at) == ("rex", "exports", NOW)
    assert approved.exports.open_export("r1") == export
    assert approved.exports.export_order_ids(export.export_id).rows() == [
        ("r1.a1#1", "r1.a1"),
        ("r1.a1#2", "r1.a1"),
        ("r1.a2#1", "r1.a2"),
        ("r1.a2#2", "r1.a2"),
    ]
    assert approved.exports.exportable("r1", NOW) == []


def test_publishing_exports_the_proposals_once(approved: Ledger) -> None:
    export = claimed(approved, "r1")

    assert approved.exports.publish_export(export.export_id, "f00d", NOW + hours(1)) is True
    rows = len(approved.audit.audit_rows())
    assert approved.exports.publish_export(export.export_id, "f00d", NOW + hours(2)) is False

    assert len(approved.audit.audit_rows()) == rows
    assert states(approved) == {"r1.a1": "exported", "r1.a2": "exported", "r1.a3": "pending_review"}
    (published,) = approved.exports.exports_of("r1")
    assert (published.state, published.manifest_sha256) == (ExportState.PUBLISHED, "f00d")
    assert published.finished_at == NOW + hours(1)
    assert approved.exports.open_export("r1") is None


def test_publishing_with_another_manifest_is_refused(approved: Ledger) -> None:
    export = claimed(approved, "r1")
    approved.exports.publish_export(export.export_id, "f00d", NOW)

    with pytest.raises(DecisionRefused, match="another manifest, f00d"):
        approved.exports.publish_export(export.export_id, "beef", NOW)
    with pytest.raises(WrongUsage, match="no export nowhere"):
        approved.exports.publish_export("nowhere", "f00d", NOW)


def test_what_is_approved_later_leaves_in_the_next_export(approved: Ledger) -> None:
    approved.exports.publish_export(claimed(approved, "r1").export_id, "f00d", NOW)
    approved.decisions.decide(["r1.a3"], decision="approve", actor="bob", now=NOW)

    second = claimed(approved, "r1")

    assert (second.export_id, second.sequence) == ("r1-export-2", 2)
    assert [one.sequence for one in approved.exports.exports_of("r1")] == [1, 2]
    assert approved.exports.export_order_ids(second.export_id)["proposal_id"].unique().to_list() == ["r1.a3"]


def test_of_two_claims_the_second_is_refused(approved: Ledger) -> None:
    claim(approved, "r1.a1")

    with pytest.raises(DecisionRefused, match="r1-export-1 is being written; finish it first"):
        claim(approved, "r1.a2")


def test_an_order_leaves_at_most_once(approved: Ledger) -> None:
    approved.exports.publish_export(claim(approved, "r1.a1").export_id, "f00d", NOW)
    smuggled = orders_of(["r1.a1"]).with_columns(proposal_id=orders_of(["r1.a2"])["proposal_id"])

    with pytest.raises(DecisionRefused, match="an order of run r1 was exported before"):
        approved.exports.claim_export("r1", [ExportPart(orders=smuggled)], actor="rex", folder="exports", now=NOW)
    assert approved.exports.exportable("r1", NOW) == ["r1.a2"]
    assert len(approved.exports.exports_of("r1")) == 1


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        (["r1.a3"], "r1.a3 is pending_review, not approved"),
        (["r1.a1", "nobody"], "nobody is no proposal of run r1"),
        (["r0.b1"], "r0.b1 is no proposal of run r1"),
        ([], "no order to export"),
    ],
)
def test_what_may_not_leave_is_refused(approved: Ledger, ids: list[str], problem: str) -> None:
    route(approved, "r0", ["b1"], route="auto")

    with pytest.raises(DecisionRefused, match=problem):
        claim(approved, *ids)
    assert approved.exports.exports_of("r1") == []


def test_what_has_left_does_not_leave_again(approved: Ledger) -> None:
    approved.exports.publish_export(claim(approved, "r1.a1").export_id, "f00d", NOW)

    with pytest.raises(DecisionRefused, match=r"r1\.a1 is already in export r1-export-1"):
        claim(approved, "r1.a1")


def test_what_expires_between_looking_and_claiming_does_not_leave(approved: Ledger) -> None:
    orders = orders_of(approved.exports.exportable("r1", NOW))

    with pytest.raises(DecisionRefused, match="is expired, not approved"):
        approved.exports.claim_export(
            "r1", [ExportPart(orders=orders)], actor="rex", folder="exports", now=NOW + hours(20)
        )


@pytest.mark.parametrize("actor", ["bob", "vic", "stranger"])
def test_who_is_no_releaser_cannot_export(approved: Ledger, actor: str) -> None:
    with pytest.raises(DecisionRefused, match="needed is releaser or admin"):
        claim(approved, "r1.a1", actor=actor)


def test_a_held_or_running_run_is_not_exported(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"], route="auto")
    with pytest.raises(DecisionRefused, match="r1 is running"):
        claim(ledger, "r1.a1")

    ledger.runs.hold_run("r1", "prices are stale", NOW)
    with pytest.raises(RunHeld, match="prices are stale"):
        claim(ledger, "r1.a1")


def test_last_exports_name_the_newest_exported_date_of_each_account(approved: Ledger) -> None:
    approved.exports.publish_export(claimed(approved, "r1").export_id, "f00d", NOW)
    route(approved, "r5", ["a1"], route="auto", day=5, model_hash="balanced")
    route(approved, "r6", ["a2"], route="auto", day=6, model_hash="never-exported")
    approved.runs.finish_run("r5", {}, NOW)
    approved.exports.publish_export(claimed(approved, "r5").export_id, "f00d", NOW)

    assert approved.exports.last_exports().rows() == [
        ("a1", date(2026, 7, 5), "balanced"),
        ("a2", date(2026, 7, 1), "growth"),
    ]


def test_nothing_was_exported_from_an_empty_ledger(ledger: Ledger) -> None:
    assert ledger.exports.last_exports().is_empty()
    assert ledger.exports.exports_of("r1") == []
    assert ledger.exports.open_export("r1") is None


def live(ledger: Ledger, run_id: str, first: int = 1, last: int = 31, *, later: float = 0) -> list[str]:
    found = ledger.exports.live_proposals(run_id, date(2026, 7, first), date(2026, 7, last), NOW + hours(later))
    return found["proposal_id"].to_list()


def test_proposals_that_may_yet_be_traded_are_live_until_they_expire(approved: Ledger) -> None:
    route(approved, "r2", ["b1"], day=2)
    assert live(approved, "r9") == ["r1.a1", "r1.a2", "r1.a3", "r2.b1"]
    assert live(approved, "r2") == ["r1.a1", "r1.a2", "r1.a3"]
    assert live(approved, "r9", 2, 2) == ["r2.b1"]
    assert live(approved, "r9", later=20) == []
    approved.decisions.decide(["r2.b1"], decision="reject", actor="bob", note="no", now=NOW)
    assert live(approved, "r1") == []


def test_what_is_leaving_or_was_sent_stays_live(approved: Ledger) -> None:
    export = claimed(approved, "r1")
    assert live(approved, "r9", later=20) == ["r1.a1", "r1.a2"]
    approved.exports.publish_export(export.export_id, "f00d", NOW)
    found = approved.exports.live_proposals("r9", date(2026, 7, 1), date(2026, 7, 1), NOW + hours(20))
    assert found.select("account_id", "run_id", "as_of_date", "export_id").rows() == [
        ("a1", "r1", date(2026, 7, 1), export.export_id),
        ("a2", "r1", date(2026, 7, 1), export.export_id),
    ]
