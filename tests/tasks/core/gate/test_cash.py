from datetime import timedelta
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.gate import LAG_DAYS, HistoryLimits
from tests.support.examples import at_most
from tests.support.history_book import Book, book_then, history_of, judged, rules, with_cells, with_rows, with_total
from tests.support.landing_book import AS_OF, rows_of

BROKEN = {("cash", 1): "cash_explained"}
HALF = HistoryLimits(max_unexplained_cash_fraction=0.5)
FUNDED = with_rows(
    with_rows(book_then(), "securities", "FND | FND | Sweep fund | cash | mutual_fund | 0.01 | 0 | true"),
    "prices",
    "FND | 1 | 2026-01-05",
)
"""The book with a fund of class cash that nobody holds yet."""


def settled(amount: str) -> Book:
    """A1, worth 20,000 and with 1,000 settled, changed."""
    return with_cells(book_then(), "cash", 1, settled_usd=amount)


def traded(book: Book, side: str, quantity: str, price: str, day: str) -> Book:
    """A trade that leaves the holding as it stood."""
    return with_rows(book, "trades", f"A1 | OLD | {day} | {side} | {quantity} | {price} | ")


@pytest.mark.parametrize(
    ("amount", "is_explained"), [("2000", True), ("2000.000001", False), ("0", True), ("-0.01", False)]
)
def test_cash_may_move_by_a_twentieth_of_what_the_account_is_worth(amount: str, *, is_explained: bool) -> None:
    assert rules(settled(amount)) == ({} if is_explained else BROKEN)


def test_the_limit_is_a_setting() -> None:
    history = history_of(book_then(), HALF)
    assert rules(settled("11000"), history) == {}
    assert rules(settled("11000.01"), history) == BROKEN


def test_cash_that_moved_is_told_with_all_that_might_have_explained_it() -> None:
    book = traded(settled("50000"), "sell", "10", "100.5", "2026-01-05")
    history = history_of(with_cells(book_then(), "cash", 1, pending_usd="-20"))
    own = judged(book, history)
    assert own.accounts.rows() == [("A1", "cash:cash_explained")]
    assert own.quarantine["message"].to_list() == [
        (
            "cash row 1: settled_usd is 50000, 1000 on 2026-01-02; needed a change that trades since 2025-12-28 (sold for 1005, "
            "bought for 0) and cash pending then (-20) explain, within 5 % of the account's value then (19980), or a value_usd in "
            "the table account_totals that has it too."
        )
    ]


@pytest.mark.parametrize(
    ("side", "day", "amount", "is_explained"),
    [
        ("sell", "2026-01-05", "22000", True),
        ("sell", "2026-01-05", "22000.01", False),
        ("sell", "2026-01-05", "0", True),
        ("sell", "2026-01-05", "-0.01", False),
        ("sell", "2025-12-28", "22000", True),
        ("sell", "2025-12-27", "22000", False),
        ("buy", "2026-01-05", "-20000", True),
        ("buy", "2026-01-05", "-20000.01", False),
        ("buy", "2026-01-05", "2000", True),
        ("buy", "2026-01-05", "2000.01", False),
        ("buy", "2025-12-28", "-20000", True),
        ("buy", "2025-12-27", "-20000", False),
    ],
)
def test_trades_are_paid_when_they_are_booked_or_some_days_later(
    side: str, day: str, amount: str, *, is_explained: bool
) -> None:
    book = traded(settled(amount), side, "100", "200", day)
    assert rules(book) == ({} if is_explained else BROKEN)


@pytest.mark.parametrize(
    ("pending", "amount", "is_explained"),
    [
        ("30000", "31000", True),
        ("30000", "1000", True),
        ("30000", "20000", True),
        ("30000", "82000", False),
        ("-5000", "-11500", True),
        ("-5000", "-11500.01", False),
        ("-5000", "8500", True),
        ("-5000", "8500.01", False),
    ],
)
def test_what_was_pending_may_have_come_whole_or_in_part_or_not(
    pending: str, amount: str, *, is_explained: bool
) -> None:
    history = history_of(with_cells(book_then(), "cash", 1, pending_usd=pending), HALF)
    assert rules(settled(amount), history) == ({} if is_explained else BROKEN)


@pytest.mark.parametrize("settled_then", ["-19000", "-19000.01"])
def test_an_account_that_was_worth_nothing_has_nothing_to_compare_with(settled_then: str) -> None:
    history = history_of(with_cells(book_then(), "cash", 1, settled_usd=settled_then))
    assert rules(settled("1000000"), history) == {}


def test_lots_count_at_the_prices_of_the_last_night_and_those_without_one_not_at_all() -> None:
    dearer = with_cells(book_then(), "prices", 1, price_usd="140")
    assert rules(settled("2280"), history_of(dearer)) == {}
    assert rules(with_cells(settled("2280"), "prices", 1, price_usd="140")) == BROKEN
    unpriced = with_cells(book_then(), "prices", 1, security_id="NEW")
    assert rules(settled("1300"), history_of(unpriced)) == {}
    assert rules(settled("1300.01"), history_of(unpriced)) == BROKEN


@pytest.mark.parametrize("amount", ["-4000", "9000", "90000"])
@pytest.mark.parametrize(("said", "is_there"), [("{}", True), ("20000", False), ("", False)])
def test_cash_that_the_custodians_total_has_too_is_there(amount: str, said: str, *, is_there: bool) -> None:
    total = said.format(19_000 + int(amount))
    broken = rules(with_total(settled(amount), total))
    assert broken.get(("cash", 1)) == (None if is_there else "cash_explained")
    assert (("account_totals", 1) in broken) == (said == "20000")


def test_half_a_sweep_is_noticed_whichever_half_it_is() -> None:
    whole = with_cells(with_rows(FUNDED, "lots", "A1 | FND | 1 | 4000 | 1 | 2026-01-05"), "cash", 1, settled_usd="0")
    then = history_of(with_cells(FUNDED, "cash", 1, settled_usd="4000"))
    assert rules(whole, then) == {}
    assert rules(with_cells(FUNDED, "cash", 1, settled_usd="0"), then) == BROKEN
    assert rules(with_cells(whole, "cash", 1, settled_usd="4000"), then)[("lots", 6)] == "quantity_explained"


@settings(max_examples=at_most(60))
@given(
    st.lists(st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 40), st.integers(0, 12)), max_size=4),
    st.integers(-3000, 3000),
    st.integers(-12_000, 12_000),
)
def test_an_account_waits_exactly_where_no_way_of_booking_comes_as_near_as_the_limit(
    trades: list[tuple[str, int, int]], pending: int, change: int
) -> None:
    """Each trade may be paid since or not, and so may any part of what was pending: all ways are tried."""
    book = settled(str(1000 + change))
    for side, quantity, days in trades:
        book = traded(book, side, str(quantity), "100", str(AS_OF - timedelta(days=days)))
    history = history_of(with_cells(book_then(), "cash", 1, pending_usd=str(pending)))
    recent = [quantity * (100 if side == "sell" else -100) for side, quantity, days in trades if days <= 3 + LAG_DAYS]
    ways = [sum(some) for size in range(len(recent) + 1) for some in combinations(recent, size)]
    ends = [way + part for way in ways for part in (0, pending)]
    limit = (20_000 + pending) / 20
    is_explained = min(ends) - limit <= change <= max(ends) + limit
    assert rules(book, history) == ({} if is_explained else BROKEN)


def moved_holding(shares: int, side: str, settled_usd: str, pending_usd: str = "0") -> Book:
    """A1's 100 shares of lot 1 by so many more or less, with their trade of the night."""
    book = with_cells(settled(settled_usd), "lots", 1, quantity=str(100 + shares))
    return traded_of("STK", with_cells(book, "cash", 1, pending_usd=pending_usd), side, str(abs(shares)))


def traded_of(security: str, book: Book, side: str, quantity: str) -> Book:
    return with_rows(book, "trades", f"A1 | {security} | 2026-01-05 | {side} | {quantity} | 100 | ")


@pytest.mark.parametrize(
    ("shares", "side", "amount", "pending", "is_booked"),
    [
        (8, "buy", "200", "0", True),
        (8, "buy", "1000", "0", False),
        (8, "buy", "1000", "-800", True),
        (8, "buy", "600", "0", True),
        (8, "buy", "600.01", "0", False),
        (8, "buy", "2000", "0", False),
        (1, "buy", "1000", "0", True),
        (-80, "sell", "9000", "0", True),
        (-80, "sell", "1000", "0", False),
        (-80, "sell", "1000", "8000", True),
        (-80, "sell", "9000", "-8000", True),
        (-80, "sell", "5000", "0", True),
        (-80, "sell", "4999.99", "0", False),
    ],
)
def test_trades_that_the_holdings_show_must_have_moved_cash(
    shares: int, side: str, amount: str, pending: str, *, is_booked: bool
) -> None:
    book = moved_holding(shares, side, amount, pending)
    expected = {} if is_booked else {("cash", 1): "cash_booked"}
    assert rules(book) == expected
    total = (140 + shares) * 100 + 5000 + int(float(amount))
    assert rules(with_total(book, str(total))) == expected


def test_cash_that_was_not_booked_is_told_with_how_much() -> None:
    own = judged(moved_holding(-80, "sell", "1000"))
    assert own.quarantine["message"].to_list() == [
        (
            "cash row 1: settled_usd is 1000, 1000 on 2026-01-02; needed about 8000 more: the holdings show trades since 2025-12-28 "
            "whose cash the custodian has not booked yet, neither here nor in pending_usd."
        )
    ]


def test_a_trade_that_the_holdings_do_not_show_yet_needs_no_cash() -> None:
    assert rules(traded_of("STK", settled("1000"), "buy", "80")) == {}
    assert rules(traded_of("STK", traded_of("STK", settled("1000"), "buy", "80"), "sell", "80")) == {}


def told(book: Book, *flows: tuple[str, str]) -> Book:
    """With flows of A1: a date and an amount each."""
    rows = [f"A1 | {day} | {amount}" for day, amount in flows]
    return book | {"flows": rows_of("\n".join(["account_id | flow_date | amount_usd", *rows]))}


@pytest.mark.parametrize(
    ("day", "flow", "amount", "is_explained"),
    [
        ("2026-01-05", "30000", "32000", True),
        ("2026-01-05", "30000", "32000.01", False),
        ("2026-01-03", "30000", "32000", True),
        ("2026-01-02", "30000", "32000", False),  # the account was accepted with it
        ("2026-01-05", "30000", "0", True),
        ("2026-01-05", "30000", "-0.01", False),
        ("2026-01-05", "-30000", "-30000", True),
        ("2026-01-05", "-30000", "-30000.01", False),
        ("2026-01-05", "-30000", "2000.01", False),
    ],
)
def test_a_flow_that_is_told_explains_its_amount_and_no_more(
    day: str, flow: str, amount: str, *, is_explained: bool
) -> None:
    assert rules(told(settled(amount), (day, flow))) == ({} if is_explained else BROKEN)


def test_flows_are_said_with_what_else_might_have_explained_it() -> None:
    own = judged(told(settled("50000"), ("2026-01-05", "3000"), ("2026-01-04", "-20.5")))
    (said,) = own.quarantine["message"]
    assert (
        "bought for 0) and cash pending then (0) and flows told since (in 3000, out 20.5) explain, within 5 %" in said
    )


@pytest.mark.parametrize("row", ["A1 | 2026-01-06 | 30000", "A1 | 2026-01-05 | lots", "A2 | 2026-01-05 | 30000"])
def test_a_broken_flow_a_later_one_and_one_of_another_account_explain_nothing(row: str) -> None:
    book = settled("31000") | {"flows": rows_of(f"account_id | flow_date | amount_usd\n{row}")}
    assert rules(book)[("cash", 1)] == "cash_explained"


def test_a_flow_that_comes_twice_is_told_and_explains_nothing() -> None:
    """Whether it moved twice nobody knows: both rows are set aside, and the account whose cash moved by one or by two of them waits."""
    twice = judged(told(settled("32000"), ("2026-01-05", "30000"), ("2026-01-05", "30000")))
    said = (
        "account_id, flow_date, amount_usd is A1, 2026-01-05, 30000; needed a key that no other row of the table has."
    )
    flows = twice.quarantine.filter(table_name="flows")
    assert flows["message"].to_list() == [f"flows row {number}: {said}" for number in (1, 2)]
    assert twice.accounts.rows() == [("A1", "cash:cash_explained")]
    sound = told(settled("32000"), ("2026-01-05", "30000"))
    assert rules(sound) == {}
    unmoved = told(settled("1000"), ("2026-01-05", "5"), ("2026-01-05", "5"))
    assert judged(unmoved).accounts.is_empty()


@settings(max_examples=at_most(80))
@given(
    st.lists(st.tuples(st.integers(-6000, 6000).filter(bool), st.integers(0, 5)), max_size=4, unique=True),
    st.integers(-150, 150).map(lambda number: 20 * number),
    st.sampled_from(["more", "less"]),
    st.sampled_from([-700, -1, 0, 1, 700, 5000]),
)
def test_an_account_waits_exactly_where_no_part_of_what_was_told_comes_as_near_as_the_limit(
    flows: list[tuple[int, int]], pending: int, way: str, beyond: int
) -> None:
    """Any of the flows since may have come in cash or not, and so may what was pending: all ways are tried, and cash moves to about where they end."""
    dated = [(str(AS_OF - timedelta(days=days)), str(amount)) for amount, days in flows]
    history = history_of(with_cells(book_then(), "cash", 1, pending_usd=str(pending)))
    since = [pending, *(amount for amount, days in flows if days < 3)]  # accepted three days ago
    ends = [sum(some) for size in range(len(since) + 1) for some in combinations(since, size)]
    limit = (20_000 + pending) // 20
    change = max(ends) + limit + beyond if way == "more" else min(ends) - limit - beyond
    assert rules(told(settled(str(1000 + change)), *dated), history) == ({} if beyond <= 0 else BROKEN)
