from datetime import timedelta
from decimal import Decimal

import pytest

from schemas.enums import Trigger
from tests.support.ledger_book import NOW, route
from warehouse.ledger import Filter, Ledger, Sort


@pytest.fixture
def book(ledger: Ledger) -> Ledger:
    """Six proposals: a1 to a4 at northbank with rising value and falling priority, b1 and b2 at southbank."""
    for number in range(1, 5):
        values = {"gross_value_usd": 1_000 * number, "priority": 50 - number, "est_tax_usd": 7 * (number % 3)}
        route(ledger, "r1", [f"a{number}"], **values)
    route(ledger, "r1", ["b1"], custodian="southbank", look_reasons="large_tax|harvest", turnover=0.3)
    route(ledger, "r1", ["b2"], custodian="southbank", route_reasons="four_eyes", triggers="drift|cash")
    return ledger


def accounts(ledger: Ledger, wanted: Filter, sort: Sort = Sort.ACCOUNT) -> list[str]:
    return ledger.queue.page(wanted, sort=sort, limit=100).rows["account_id"].to_list()


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        (Sort.PRIORITY, ["a1", "a2", "a3", "a4", "b1", "b2"]),
        (Sort.VALUE, ["b1", "b2", "a4", "a3", "a2", "a1"]),
        (Sort.TAX, ["a2", "b1", "b2", "a1", "a4", "a3"]),
        (Sort.TURNOVER, ["b1", "a1", "a2", "a3", "a4", "b2"]),
        (Sort.DRIFT, ["a1", "a2", "a3", "a4", "b1", "b2"]),
        (Sort.CUT_OFF, ["a1", "a2", "a3", "a4", "b1", "b2"]),
        (Sort.ACCOUNT, ["a1", "a2", "a3", "a4", "b1", "b2"]),
    ],
)
def test_pages_of_any_size_follow_each_other_without_gap_or_repeat(book: Ledger, sort: Sort, order: list[str]) -> None:
    for size in (1, 2, 4, 6, 7):
        found, after = [], None
        while True:
            page = book.queue.page(Filter(), sort=sort, limit=size, after=after)
            assert page.rows.height <= size
            found += page.rows["account_id"].to_list()
            if page.after is None:
                break
            after = page.after
        assert found == order


def test_a_page_goes_on_behind_its_last_row_whatever_was_decided_meanwhile(book: Ledger) -> None:
    first = book.queue.page(Filter(), limit=2)
    book.decisions.decide(["r1.a1", "r1.a3"], decision="approve", actor="bob", now=NOW)

    second = book.queue.page(Filter(), limit=2, after=first.after)

    assert second.rows["account_id"].to_list() == ["a4", "b1"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(reason="harvest"), ["b1"]),
        (Filter(reason="four_eyes"), ["b2"]),
        (Filter(reason="harv"), []),
        (Filter(reason="%"), []),
        (Filter(trigger=Trigger.CASH), ["b2"]),
        (Filter(min_tax=Decimal(14)), ["a2"]),
        (Filter(min_turnover=Decimal("0.3")), ["b1"]),
        (Filter(custodians=frozenset({"southbank"})), ["b1", "b2"]),
        (Filter(custodians=frozenset()), []),
        (Filter(custodian="northbank", custodians=frozenset({"southbank"})), []),
        (Filter(account="a1' OR '1'='1"), []),
        (Filter(is_held=True), ["a2"]),
        (Filter(is_held=False, max_value=Decimal(3000)), ["a1", "a3"]),
        (Filter(assignee="cat"), ["a1"]),
    ],
)
def test_conditions_hold_together(book: Ledger, wanted: Filter, found: list[str]) -> None:
    book.decisions.decide(["r1.a2"], decision="hold", actor="bob", now=NOW)
    book.decisions.assign(["r1.a1"], "cat", actor="bob", now=NOW)

    assert accounts(book, wanted) == found
    assert book.queue.totals(wanted).count == len(found)
    assert sorted(book.queue.seen(wanted)) == [f"r1.{account}" for account in found]


def test_totals_are_sums_of_what_matches(book: Ledger) -> None:
    book.decisions.decide(["r1.a2"], decision="hold", actor="bob", now=NOW)

    totals = book.queue.totals(Filter(custodian="northbank"))

    assert (totals.count, totals.gross_value_usd, totals.est_tax_usd, totals.held) == (4, Decimal("10000.00"), 28, 1)
    assert book.queue.totals(Filter(run="r9")).gross_value_usd == 0
    assert book.queue.counts_by("custodian", Filter()) == {"northbank": 4, "southbank": 2}


def test_totals_of_a_run_are_by_state(book: Ledger) -> None:
    book.decisions.decide(["r1.a1", "r1.a2"], decision="approve", actor="bob", now=NOW)

    totals = book.queue.run_totals("r1")

    assert {state: (one.count, one.gross_value_usd) for state, one in totals.items()} == {
        "approved": (2, Decimal("3000.00")),
        "pending_review": (4, Decimal("31691.34")),
    }


def test_every_decision_is_a_newer_change(book: Ledger) -> None:
    before = book.queue.newest_change()
    assert book.queue.newest_change() == before

    book.decisions.decide(["r1.a1"], decision="comment", note="hm", actor="vic", now=NOW + timedelta(seconds=1))

    assert book.queue.newest_change() == before + 1
