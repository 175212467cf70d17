from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import ProposalState, Route, Trigger
from schemas.errors import DecisionRefused, WrongUsage
from tasks.review import review
from tasks.review.review import Filter, parse_filter
from tests.support.ledger_book import NOW, PENDING, hours, route, staffed, states
from warehouse.ledger import Decision, Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Proposals aa and ab at northbank for 5,000 and 15,000 USD, bb at southbank for 50,000."""
    ledger = staffed(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    route(ledger, "monday", ["aa"], gross_value_usd=5_000, triggers="drift|cash")
    route(ledger, "monday", ["ab"], gross_value_usd=15_000, triggers="model_change")
    route(ledger, "monday", ["bb"], gross_value_usd=50_000, custodian="southbank", approvals_needed=2)
    yield ledger
    ledger.close()


def found(ledger: Ledger, text: str) -> list[str]:
    return review.queue(ledger.proposals, ledger.queue, parse_filter(text), now=NOW)["account_id"].to_list()


def test_an_empty_filter_means_what_waits_for_review() -> None:
    assert parse_filter("") == parse_filter(" , ") == Filter()
    assert Filter().states == {PENDING}


def test_a_filter_holds_its_conditions_typed() -> None:
    text = "state=approved|exported, run=r1,account=a1,custodian=nb,route=auto,min_value=1e3,max_value=2000.50,trigger=cash"

    assert parse_filter(text) == Filter(
        states=frozenset({ProposalState.APPROVED, ProposalState.EXPORTED}),
        run="r1",
        account="a1",
        custodian="nb",
        route=Route.AUTO,
        min_value=Decimal(1000),
        max_value=Decimal("2000.50"),
        trigger=Trigger.CASH,
    )
    assert parse_filter("state=any").states is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("colour=red", "a filter knows no 'colour'"),
        ("northbank", "a filter knows no 'northbank'"),
        ("custodian", "the filter key custodian needs a value"),
        ("custodian=", "the filter key custodian needs a value"),
        ("run=a,run=b", "the filter key run is given twice"),
        ("state=pending", "'pending' is no state"),
        ("route=express", "'express' is no route"),
        ("trigger=whim", "'whim' is no trigger"),
        ("min_value=lots", "min_value must be an amount in USD"),
        ("max_value=nan", "max_value must be an amount in USD"),
        ("max_value=inf", "max_value must be an amount in USD"),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(text: str, problem: str) -> None:
    with pytest.raises(WrongUsage, match=problem):
        parse_filter(text)


@pytest.mark.parametrize(
    ("text", "accounts"),
    [
        ("", ["aa", "ab", "bb"]),
        ("run=monday", ["aa", "ab", "bb"]),
        ("run=tuesday", []),
        ("account=ab", ["ab"]),
        ("custodian=southbank", ["bb"]),
        ("route=auto", []),
        ("min_value=15000", ["ab", "bb"]),
        ("max_value=15000", ["aa", "ab"]),
        ("min_value=5000.000001,max_value=49999.99", ["ab"]),
        ("trigger=cash", ["aa"]),
        ("trigger=drift", ["aa", "bb"]),
        ("state=approved", []),
        ("state=any", ["aa", "ab", "bb"]),
    ],
)
def test_the_queue_holds_what_matches(ledger: Ledger, text: str, accounts: list[str]) -> None:
    assert found(ledger, text) == accounts


def test_what_is_past_its_time_is_not_in_the_queue(ledger: Ledger) -> None:
    assert review.queue(ledger.proposals, ledger.queue, Filter(), now=NOW + hours(20)).is_empty()
    assert found(ledger, "state=expired") == ["aa", "ab", "bb"]


def test_proposals_are_named_by_a_beginning_that_fits_one(ledger: Ledger) -> None:
    assert review.resolve(ledger.proposals, ["monday.b", "monday.aa", "monday.bb"]) == ["monday.bb", "monday.aa"]
    with pytest.raises(WrongUsage, match=r"several proposals, monday\.aa and monday\.ab"):
        review.resolve(ledger.proposals, ["monday.a"])
    with pytest.raises(WrongUsage, match="at least 6"):
        review.resolve(ledger.proposals, ["monda"])
    with pytest.raises(WrongUsage, match="no proposal tuesday"):
        review.resolve(ledger.proposals, ["tuesday"])


def test_approving_by_name_and_by_filter(ledger: Ledger) -> None:
    named = review.decide(ledger.decisions, ledger.proposals, ["monday.aa"], Decision.APPROVE, actor="bob", now=NOW)
    matched = review.decide_matching(
        ledger.decisions, ledger.proposals, ledger.queue, Filter(), Decision.APPROVE, actor="bob", now=NOW
    )

    assert named.states == {"monday.aa": ProposalState.APPROVED}
    assert matched.states == {"monday.ab": ProposalState.APPROVED, "monday.bb": PENDING}


def test_deciding_what_nothing_matches_decides_nothing(ledger: Ledger) -> None:
    wanted = parse_filter("custodian=nowhere")

    assert (
        review.decide_matching(
            ledger.decisions, ledger.proposals, ledger.queue, wanted, Decision.APPROVE, actor="bob", now=NOW
        ).states
        == {}
    )


def test_rejecting_holding_and_withdrawing(ledger: Ledger) -> None:
    review.decide(
        ledger.decisions,
        ledger.proposals,
        ["monday.aa"],
        Decision.REJECT,
        actor="bob",
        now=NOW,
        note="client is leaving",
    )
    review.decide(ledger.decisions, ledger.proposals, ["monday.bb"], Decision.HOLD, actor="bob", now=NOW)
    review.decide(ledger.decisions, ledger.proposals, ["monday.ab"], Decision.APPROVE, actor="bob", now=NOW)
    review.decide(ledger.decisions, ledger.proposals, ["monday.ab"], Decision.WITHDRAW, actor="cat", now=NOW)

    assert states(ledger) == {"monday.aa": "rejected", "monday.ab": "withdrawn", "monday.bb": "pending_review"}
    with pytest.raises(DecisionRefused, match=r"monday\.aa is rejected"):
        review.decide(ledger.decisions, ledger.proposals, ["monday.aa"], Decision.APPROVE, actor="bob", now=NOW)


def lake_of_two(table: str, run_id: str) -> pl.DataFrame:
    """Orders and lots of monday.aa and monday.ab."""
    assert run_id == "monday"
    orders = pl.DataFrame({"order_id": ["o1", "o2"], "proposal_id": ["monday.aa", "monday.ab"]})
    lots = pl.DataFrame({"order_id": ["o1", "o1", "o2"], "lot_id": ["l1", "l2", "l3"]})
    unusual = pl.DataFrame({"account_id": ["aa"], "residual_bps": [-80.0], "score": [-5.0], "nights": [7]})
    return {"orders": orders, "lot_relief": lots, "anomalies": unusual}[table]


def test_showing_a_proposal_shows_its_own_orders_lots_and_decisions(ledger: Ledger) -> None:
    review.decide(
        ledger.decisions,
        ledger.proposals,
        ["monday.aa"],
        Decision.HOLD,
        actor="bob",
        now=NOW,
        note="asking the adviser",
    )

    detail = review.show(ledger.proposals, ledger.amendments, "monday.aa", lake_of_two, now=NOW)

    assert detail.proposal["account_id"] == "aa"
    assert detail.orders["order_id"].to_list() == ["o1"]
    assert detail.lots["lot_id"].to_list() == ["l1", "l2"]
    assert [one.note for one in detail.decisions] == ["asking the adviser"]
    assert str(detail.unusual).startswith("It is worth 0.80% less than")
    assert review.show(ledger.proposals, ledger.amendments, "monday.ab", lake_of_two, now=NOW).unusual is None
