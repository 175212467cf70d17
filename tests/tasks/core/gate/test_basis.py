import pytest

from tasks.core.gate import HistoryLimits
from tests.support.history_book import Book, book_then, history_of, judged, rules, sentences, with_cells, with_rows

FIRST = {("lots", 1): "basis_unchanged"}


def lot(**cells: str | None) -> Book:
    """A1's first lot of STK, of a cost of 90, changed."""
    return with_cells(book_then(), "lots", 1, **cells)


def sold(book: Book, gain: str, day: str, security: str = "STK", account: str = "A1") -> Book:
    return with_rows(book, "trades", f"{account} | {security} | {day} | sell | 1 | 100 | {gain}")


@pytest.mark.parametrize(
    ("cost", "is_sound"),
    [
        ("90", True),
        ("108", True),
        ("108.000001", False),
        ("72", True),
        ("71.999999", False),
        ("0", False),
        (None, False),
    ],
)
def test_a_cost_may_change_by_a_fifth(cost: str | None, *, is_sound: bool) -> None:
    assert rules(lot(unit_cost_usd=cost)) == ({} if is_sound else FIRST)


def test_the_limit_is_a_setting() -> None:
    history = history_of(book_then(), HistoryLimits(max_basis_change_fraction=0.1))
    assert rules(lot(unit_cost_usd="99"), history) == {}
    assert rules(lot(unit_cost_usd="99.01"), history) == FIRST
    assert "within 10 % of what it was" in sentences(lot(unit_cost_usd="99.01"), history)[0]


def test_a_cost_is_not_zero_or_unknown_whatever_the_limit() -> None:
    history = history_of(book_then(), HistoryLimits(max_basis_change_fraction=5))
    assert rules(lot(unit_cost_usd="0"), history) == FIRST
    assert rules(lot(unit_cost_usd=None), history) == FIRST
    assert rules(lot(unit_cost_usd="500"), history) == {}


@pytest.mark.parametrize(("then", "now"), [(None, "90"), (None, None), ("0", "0"), (None, "0")])
def test_a_cost_that_was_not_known_may_become_known_and_a_real_zero_stays(then: str | None, now: str | None) -> None:
    assert rules(lot(unit_cost_usd=now, quantity="101"), history_of(lot(unit_cost_usd=then))) == {}


def test_a_real_zero_does_not_become_something() -> None:
    assert rules(lot(unit_cost_usd="10"), history_of(lot(unit_cost_usd="0"))) == FIRST


@pytest.mark.parametrize("day", ["2020-01-03", None])
def test_a_date_that_was_known_is_the_same(day: str | None) -> None:
    assert rules(lot(acquired_date=day)) == FIRST
    assert rules(book_then(), history_of(lot(acquired_date=None))) == {}


def test_cost_and_date_have_a_sentence_each_and_the_rule_is_named_once() -> None:
    own = judged(lot(unit_cost_usd=None, acquired_date="2024-02-29"))
    assert own.accounts.rows() == [("A1", "lots:basis_unchanged")]
    assert own.quarantine["broken_rules"].to_list() == ["basis_unchanged"]
    assert own.quarantine["message"].to_list() == [
        (
            "lots row 1: acquired_date is 2024-02-29, 2020-01-02 on 2026-01-02; needed the same date. "
            "lots row 1: unit_cost_usd is empty, 90 on 2026-01-02; needed a cost within 20 % of what it was."
        )
    ]


def test_what_a_split_should_have_made_of_the_cost_is_told() -> None:
    book = with_cells(lot(quantity="200"), "lots", 2, quantity="80", unit_cost_usd="40")
    book = with_cells(with_cells(book, "prices", 1, price_usd="50"), "lots", 4, quantity="200")
    assert rules(book) == {("lots", 1): "basis_unchanged", ("lots", 2): "basis_unchanged"}
    assert "unit_cost_usd is 90, 90 on 2026-01-02 before a split of 2 for 1; needed a cost within" in sentences(book)[0]


@pytest.mark.parametrize("status", ["tax_exempt", "tax_deferred"])
def test_a_basis_decides_nothing_where_no_tax_is_due(status: str) -> None:
    book = with_cells(lot(unit_cost_usd=None, acquired_date=None), "accounts", 1, tax_status=status)
    assert rules(book) == {}


@pytest.mark.parametrize(
    ("gain", "day", "is_excused"),
    [
        ("-0.01", "2025-12-20", True),
        ("-0.01", "2025-11-05", True),
        ("-0.01", "2025-11-04", False),
        ("0", "2025-12-20", False),
        ("", "2025-12-20", False),
    ],
)
def test_a_disallowed_loss_may_raise_the_cost_and_move_the_date(gain: str, day: str, *, is_excused: bool) -> None:
    book = sold(lot(unit_cost_usd="200", acquired_date="2019-05-05"), gain, day)
    assert (rules(book) == {}) == is_excused


@pytest.mark.parametrize("cost", ["50", "0", None])
def test_a_disallowed_loss_lowers_no_cost_and_loses_none(cost: str | None) -> None:
    assert rules(sold(lot(unit_cost_usd=cost), "-30", "2025-12-20")) == FIRST


def test_a_loss_of_another_security_or_account_excuses_nothing() -> None:
    dear = lot(unit_cost_usd="200")
    assert rules(sold(dear, "-30", "2025-12-20", security="BND")) == FIRST
    assert rules(sold(dear, "-30", "2025-12-20", account="A2")) == FIRST


def test_a_lot_of_another_number_is_another_lot() -> None:
    assert rules(lot(lot_id="7", unit_cost_usd="10", acquired_date="2026-01-05")) == {}
