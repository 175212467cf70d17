"""Versions in the ledger: one takes the place of the other, whole or not at all, and by whom and why is kept."""

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from multiprocessing import get_context
from typing import Any

import polars as pl
import pytest
from sqlalchemy.exc import IntegrityError

from schemas.enums import ProposalState, Role
from schemas.errors import DecisionRefused
from schemas.tables import PUBLIC
from tests.support.ledger_book import NOW, claimed, hours, new_run, opened, proposed, route, staffed, states
from warehouse.ledger import Decision, ExportPart, Ledger, ReviewedVersion

LOTS = [
    ("L1", Decimal("3.25"), Decimal("99.123456"), date(2020, 2, 29), "long", Decimal("-12.345678")),
    ("L2", Decimal(4), None, None, None, None),
]
"""Lots of the one sell: id, quantity, unit cost, acquired, term, gain; of the second nothing is known."""


def filled(table: str, **columns: list[Any]) -> pl.DataFrame:
    """Rows of a public table; columns not named are null."""
    height = len(next(iter(columns.values())))
    values = {name: columns.get(name, [None] * height) for name in PUBLIC[table]}
    return pl.DataFrame(values, schema=PUBLIC[table])


def version(number: int = 2, account: str = "a1", **values: Any) -> dict[str, pl.DataFrame]:
    """A version of the proposal of an account of run r1: a sell of two lots and a buy; ``values``: of its row."""
    name = f"r1.{account}.v{number}"
    row = proposed("r1", [account]).row(0, named=True) | {"proposal_id": name, "content_hash": f"content-{number}"}
    row |= {"route_reasons": "always_a_person|amended", "gross_value_usd": Decimal("800.000001"), **values}
    orders = filled(
        "orders",
        order_id=[f"{account}#1", f"{account}#2"],
        proposal_id=[name, name],
        account_id=[account, account],
        side=["sell", "buy"],
        security_id=["S", "B"],
        quantity=[Decimal("7.25"), Decimal("0.000001")],
        price_usd=[Decimal("123456.654321"), Decimal(1)],
        value_usd=[Decimal("895060.743827"), Decimal("0.000001")],
        marginal_cost_bps=[0.1 + 0.2, None],
    )
    names = ("lot_id", "quantity", "unit_cost_usd", "acquired_date", "term", "gain_usd")
    lots = filled(
        "lot_relief",
        order_id=[f"{account}#1"] * 2,
        account_id=[account] * 2,
        security_id=["S"] * 2,
        **{one: [lot[place] for lot in LOTS] for place, one in enumerate(names)},
    )
    return {
        "proposal": filled("proposals", **{one: [row.get(one)] for one in PUBLIC["proposals"]}),
        "orders": orders,
        "lots": lots,
    }


def amend(ledger: Ledger, of: str = "r1.a1", number: int = 2, actor: str = "bob", **how: Any) -> str:
    """Make a version of a proposal as it stands."""
    row = ledger.proposals.get_proposal(of)
    seen = how.pop("seen", ReviewedVersion(row["content_hash"] if row else ""))
    now, note = how.pop("now", NOW), how.pop("note", "too much of it")
    return ledger.amendments.amend_proposal(of, seen, **version(number, **how), actor=actor, note=note, now=now)


def refused(ledger: Ledger, of: str = "r1.a1", **how: Any) -> str:
    """What the ledger says, nothing having changed."""
    before = ledger.proposals.list_proposals(), ledger.audit.verify_audit()
    with pytest.raises(DecisionRefused) as refusal:
        amend(ledger, of, **how)
    assert ledger.proposals.list_proposals().equals(before[0])
    assert ledger.audit.verify_audit() == before[1]
    return str(refusal.value)


def test_a_version_takes_the_place_of_the_one_before(ledger: Ledger) -> None:
    cut_off = NOW + timedelta(hours=3)
    ledger.runs.start_run(new_run("r1"), NOW)
    names = proposed("r1", ["a1"], approvals_needed=2)
    ledger.proposals.route_proposals("r1", names, names["account_id"], NOW, {"northbank": cut_off})
    ledger.decisions.assign(["r1.a1"], "cat", actor="bob", now=NOW)

    name = amend(ledger, now=NOW + hours(1), approvals_needed=2)

    old, new = ledger.proposals.get_proposal("r1.a1"), ledger.proposals.get_proposal(name)
    assert old is not None
    assert new is not None
    assert (old["state"], new["state"]) == ("superseded", "pending_review")
    assert (new["version"], new["amender"], new["replaces"]) == (2, "bob", "r1.a1")
    kept = (
        "run_id",
        "submitter",
        "as_of_date",
        "expires_at",
        "cut_off_at",
        "approvals_needed",
        "model_hash",
        "custodian",
    )
    assert {one: new[one] for one in kept} == {one: old[one] for one in kept}
    assert (new["cut_off_at"], new["assignee"], new["gross_value_usd"]) == (cut_off, "cat", Decimal("800.000001"))
    assert (new["created_at"], new["export_id"], new["held_by"]) == (NOW + hours(1), None, None)


def test_the_audit_chain_has_both_contents_the_person_and_the_note(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])
    name = amend(ledger)

    gone, made = ledger.audit.audit_rows(proposal_id="r1.a1")[-1], ledger.audit.audit_rows(proposal_id=name)[-1]
    assert (gone.event, gone.actor, gone.from_state, gone.to_state) == (
        "amended",
        "bob",
        "pending_review",
        "superseded",
    )
    assert json.loads(gone.detail) == {"by": name, "note": "too much of it", "content_hash": "as-proposed"}
    assert (made.event, made.actor, made.to_state) == ("version_made", "bob", "pending_review")
    assert json.loads(made.detail) == {"content_hash": "content-2", "note": "too much of it", "replaces": "r1.a1"}
    ledger.audit.verify_audit()


def test_who_decides_on_a_version_reads_why_it_was_made(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])
    (said,) = ledger.proposals.decisions_of(amend(ledger))
    assert (said.actor, said.decision, said.note, said.content_hash) == (
        "bob",
        Decision.COMMENT,
        "too much of it",
        "content-2",
    )


def test_what_is_read_of_a_version_is_what_was_put_there(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2"])
    name, put = amend(ledger, gap_bps=None, objective_usd=None), version()

    orders, lots = ledger.amendments.version_rows(name)
    known = ledger.amendments.amended("r1", "a1")
    for found, expected in ((orders, put["orders"]), (known.orders, orders), (lots, put["lots"]), (known.lots, lots)):
        assert found.sort(pl.all()).equals(expected.sort(pl.all()))
        assert found.schema == expected.schema
    assert known.proposals.schema == PUBLIC["proposals"]
    (row,) = known.proposals.rows(named=True)
    assert (row["gross_value_usd"], row["gap_bps"], row["content_hash"]) == (Decimal("800.000001"), None, "content-2")
    assert known.replaced == {"r1.a1"}
    assert ledger.amendments.amended("r1").orders.equals(known.orders)
    assert not ledger.amendments.amended("r1", "a2").replaced
    assert ledger.amendments.amended("another").orders.is_empty()


def test_of_three_versions_only_the_newest_is_read(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])
    second = amend(ledger)
    third = amend(ledger, second, number=3, actor="cat")

    known = ledger.amendments.amended("r1")
    assert known.replaced == {"r1.a1", second}
    assert known.orders["proposal_id"].unique().to_list() == [third]
    assert known.lots.height == len(LOTS)
    assert states(ledger) == {"r1.a1": "superseded", second: "superseded", third: "pending_review"}
    assert ledger.amendments.version_rows(second)[0].height == 2


def test_nobody_approves_what_they_had_a_hand_in(ledger: Ledger) -> None:
    ledger.users.add_user("dan", [Role.REVIEWER], actor="ann", now=NOW)
    route(ledger, "r1", ["a1"])
    third = amend(ledger, amend(ledger), number=3, actor="cat")

    for actor in ("bob", "cat"):
        with pytest.raises(DecisionRefused, match=f"was changed by {actor}; another person must approve it"):
            ledger.decisions.decide([third], decision=Decision.APPROVE, actor=actor, now=NOW)
    assert ledger.decisions.decide([third], decision=Decision.APPROVE, actor="dan", now=NOW) == {
        third: ProposalState.APPROVED
    }


def test_an_approval_of_the_version_before_does_not_count(ledger: Ledger) -> None:
    ledger.users.add_user("dan", [Role.REVIEWER], actor="ann", now=NOW)
    route(ledger, "r1", ["a1"], approvals_needed=2)
    ledger.decisions.decide(["r1.a1"], decision=Decision.APPROVE, actor="cat", now=NOW)
    name = amend(ledger, approvals_needed=2)

    assert ledger.decisions.decide([name], decision=Decision.APPROVE, actor="dan", now=NOW) == {name: "pending_review"}
    assert ledger.decisions.decide([name], decision=Decision.APPROVE, actor="cat", now=NOW) == {name: "approved"}


@pytest.mark.parametrize(
    ("actor", "note", "message"),
    [
        ("vic", "why", "has the role viewer; needed is reviewer"),
        ("rex", "why", "has the role releaser; needed is reviewer"),
        ("eve", "why", "has no role in the ledger"),
        ("bob", "", "without a note"),
        ("bob", " \n", "without a note"),
    ],
)
def test_a_version_takes_a_reviewer_and_a_note(ledger: Ledger, actor: str, note: str, message: str) -> None:
    route(ledger, "r1", ["a1"])
    assert message in refused(ledger, actor=actor, note=note)


def test_what_does_not_wait_is_not_changed(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1", "a2", "a3", "a4"])
    ledger.decisions.decide(["r1.a1", "r1.a2"], decision=Decision.APPROVE, actor="cat", now=NOW)
    ledger.decisions.decide(["r1.a3"], decision=Decision.REJECT, note="no", actor="cat", now=NOW)
    ledger.runs.finish_run("r1", {}, NOW)

    assert "is approved; to change it, it must be pending_review" in refused(ledger)
    claimed(ledger, "r1")
    assert "is approved" in refused(ledger, "r1.a2", account="a2")
    assert "is rejected" in refused(ledger, "r1.a3", account="a3")
    assert "r1.a9 is no proposal" in refused(ledger, "r1.a9", account="a9")
    late = NOW + hours(20)
    with pytest.raises(DecisionRefused, match="is expired"):
        amend(ledger, "r1.a4", account="a4", now=late)


def test_what_changed_since_it_was_looked_at_is_not_changed(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"], approvals_needed=2)
    assert "has changed since it was looked at" in refused(ledger, seen=ReviewedVersion("another"))
    ledger.decisions.decide(["r1.a1"], decision=Decision.APPROVE, actor="cat", now=NOW)
    assert "has changed since it was looked at" in refused(ledger, seen=ReviewedVersion("as-proposed", 1))


def test_a_hold_keeps_others_from_changing_and_goes_on(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])
    ledger.decisions.decide(["r1.a1"], decision=Decision.HOLD, actor="cat", now=NOW)

    assert "is held by cat" in refused(ledger)
    name = amend(ledger, actor="cat")
    with pytest.raises(DecisionRefused, match="is held by cat"):
        ledger.decisions.decide([name], decision=Decision.APPROVE, actor="bob", now=NOW)


@pytest.mark.parametrize("table", ["orders", "lots"])
def test_half_a_version_is_none(ledger: Ledger, table: str) -> None:
    """The rows that do not fit come last: all that was written before them goes too."""
    route(ledger, "r1", ["a1"])
    before = ledger.proposals.list_proposals(), ledger.audit.verify_audit()
    frames = version()
    frames[table] = pl.concat([frames[table], frames[table].head(1)])

    with pytest.raises(IntegrityError):
        ledger.amendments.amend_proposal(
            "r1.a1", ReviewedVersion("as-proposed"), **frames, actor="bob", note="why", now=NOW
        )

    assert ledger.proposals.list_proposals().equals(before[0])
    assert ledger.audit.verify_audit() == before[1]
    assert not ledger.amendments.amended("r1").replaced
    assert ledger.proposals.decisions_of("r1.a1.v2") == []


def test_a_newer_night_supersedes_a_version_too(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])
    name = amend(ledger)
    route(ledger, "r2", ["a1"], day=2)
    assert states(ledger) == {"r1.a1": "superseded", name: "superseded", "r2.a1": "pending_review"}


def test_only_the_version_is_exported_and_its_orders_once(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])
    ledger.runs.finish_run("r1", {}, NOW)
    name = amend(ledger)
    ledger.decisions.decide([name], decision=Decision.APPROVE, actor="cat", now=NOW)

    assert ledger.exports.exportable("r1", NOW) == [name]
    orders = version()["orders"].select("order_id", "proposal_id")
    ledger.exports.claim_export("r1", [ExportPart(orders=orders)], actor="rex", folder="exports", now=NOW)
    assert ledger.exports.export_order_ids("r1-export-1").rows() == [("a1#1", name), ("a1#2", name)]
    again = orders.with_columns(proposal_id=pl.lit("r1.a1"))
    ledger.exports.publish_export("r1-export-1", "sha", NOW)
    with pytest.raises(DecisionRefused, match="is superseded, not approved"):
        ledger.exports.claim_export("r1", [ExportPart(orders=again)], actor="rex", folder="exports", now=NOW)


def test_orders_of_versions_say_whether_they_lose(ledger: Ledger) -> None:
    route(ledger, "r1", ["a1"])
    name = amend(ledger)
    rows = ledger.amendments.amended_orders_of(["r1.a1", name, "nothing"]).sort("order_id").rows(named=True)
    assert [(one["order_id"], one["quantity"], one["is_loss"]) for one in rows] == [
        ("a1#1", Decimal("7.25"), True),
        ("a1#2", Decimal("0.000001"), False),
    ]


def test_postgresql_keeps_a_version_as_it_is(postgres: Any) -> None:
    address = postgres.url(postgres.new_database()).replace("postgresql://", "postgresql+psycopg://")
    ledger = staffed(address)
    route(ledger, "r1", ["a1"])
    name, put = amend(ledger, gap_bps=None), version()

    orders, lots = ledger.amendments.version_rows(name)
    assert orders.sort(pl.all()).equals(put["orders"].sort(pl.all()))
    assert lots.sort(pl.all()).equals(put["lots"].sort(pl.all()))
    assert states(ledger) == {"r1.a1": "superseded", name: "pending_review"}
    assert ledger.amendments.amended("r1").proposals["gap_bps"].to_list() == [None]
    ledger.audit.verify_audit()
    ledger.close()


@pytest.fixture
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        yield pool


def try_to(address: str, what: str, accounts: list[str]) -> list[str]:
    """Approve or change the first version of each account as it was proposed; those where that was taken."""
    ledger, taken = opened(address), []
    for account in accounts:
        of = f"r1.{account}"
        try:
            if what == "approve":
                ledger.decisions.decide(
                    [of], decision=Decision.APPROVE, actor="cat", now=NOW, content_hashes={of: "as-proposed"}
                )
            else:
                amend(ledger, of, account=account, actor=what, seen=ReviewedVersion("as-proposed"))
        except DecisionRefused:
            continue
        taken.append(account)
    ledger.close()
    return taken


def test_of_those_who_approve_and_change_at_once_exactly_one_comes_first(
    ledger: Ledger, address: str, processes: ProcessPoolExecutor
) -> None:
    ledger.users.add_user("dan", [Role.REVIEWER], actor="ann", now=NOW)
    accounts = [f"a{number}" for number in range(30)]
    route(ledger, "r1", accounts)

    each = [processes.submit(try_to, address, what, accounts) for what in ("approve", "bob", "dan")]

    taken = [account for one in each for account in one.result()]
    assert sorted(taken) == sorted(accounts)
    known = ledger.amendments.amended("r1")
    assert len(known.replaced) + list(states(ledger).values()).count("approved") == len(accounts)
    assert known.orders.height == 2 * len(known.replaced)
    ledger.audit.verify_audit()
