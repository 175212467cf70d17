import pytest

from tasks.core.gate import HistoryLimits
from tests.support.history_book import Book, book_then, history_of, judged, rules, with_cells, with_rows

BROKEN = {("cash", 1): "cash_explained"}
HALF = HistoryLimits(max_unexplained_cash_fraction=0.5)


def settled(amount: str) -> Book:
    """A1, worth 20,000 and with 1,000 settled, changed."""
    return with_cells(book_then(), "cash", 1, settled_usd=amount)


def traded(book: Book, side: str, quantity: str, price: str, day: str) -> Book:
    """A trade that leaves the holding as it stood."""
    return with_rows(book, "trades", f"A1 | OLD | {day} | {side} | {quantity} | {price} | ")


@pytest.mark.parametrize(
    ("amount", "is_explained"), [("21000", True), ("21000.000001", False), ("-19000", True), ("-19000.01", False)]
)
def test_cash_may_move_by_what_the_account_is_worth(amount: str, *, is_explained: bool) -> None:
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
            "cash row 1: settled_usd is 50000, 1000 on 2026-01-02; needed a change that trades since then (1005) and "
            "cash pending then (-20) explain, within 100 % of the account's value then (19980)."
        )
    ]


@pytest.mark.parametrize(
    ("side", "day", "amount", "is_explained"),
    [
        ("sell", "2026-01-03", "41000", True),
        ("sell", "2026-01-05", "41000.01", False),
        ("sell", "2026-01-02", "41000", False),
        ("buy", "2026-01-05", "-39000", True),
        ("buy", "2026-01-05", "-39000.01", False),
        ("buy", "2026-01-05", "1000.01", False),
    ],
)
def test_trades_since_the_account_was_accepted_are_paid_in_cash(
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
    assert rules(settled("26600"), history_of(dearer)) == {}
    assert rules(with_cells(settled("26600"), "prices", 1, price_usd="140")) == BROKEN
    unpriced = with_cells(book_then(), "prices", 1, security_id="NEW")
    assert rules(settled("7000"), history_of(unpriced)) == {}
    assert rules(settled("7000.01"), history_of(unpriced)) == BROKEN
