"""What a holding is worth: quantities and prices of 0, bonds and their factor, costs that cannot be those of one share."""

from collections.abc import Mapping
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.gate import accepted_rows, gate_accounts
from tests.support.examples import at_most
from tests.support.history_book import book_then, history_of, judged, rules, with_cells, with_rows
from tests.support.landing_book import ACCOUNT_TABLES, AS_OF, gated, gated_commons, parsed, sound_book, spoilt

Book = Mapping[str, pl.DataFrame]


def verdicts(book: Book) -> dict[str, str]:
    return dict(gated(parsed(book))[1].accounts.rows())


def messages(book: Book) -> list[str]:
    common, own = gated(parsed(book))
    return [*common.quarantine["message"], *own.quarantine["message"]]


@pytest.mark.parametrize("quantity", ["0", "0.0", "-0.0", "0.000000", "0e3"])
@pytest.mark.parametrize("security", ["STK", "OLD", "NOBODY-KNOWS"])
def test_a_lot_of_quantity_0_costs_nothing_whatever_its_security(quantity: str, security: str) -> None:
    book = with_rows(sound_book(), "lots", f"A1 | {security} | closed | {quantity} | 90 | 2020-01-02")
    assert verdicts(book) == {}
    tables = parsed(book)
    common, own = gated(tables)
    kept = accepted_rows("lots", tables["lots"], pl.concat([common.quarantine, own.quarantine]))
    assert "closed" in kept["lot_id"].to_list(), "the row itself is accepted"


@pytest.mark.parametrize("cells", [{"lot_id": "a/b"}, {"acquired_date": "soon"}, {"unit_cost_usd": "-1"}])
def test_a_lot_of_quantity_0_keeps_its_contract_all_the_same(cells: dict[str, str]) -> None:
    assert set(verdicts(spoilt("lots", 1, quantity="0", **cells))) == {"A1"}


def test_a_lot_that_closed_is_no_change_of_its_basis() -> None:
    then = history_of(with_rows(book_then(), "lots", "A1 | STK | gone | 0 | 0 | "))
    now = with_rows(book_then(), "lots", "A1 | STK | other | 0 | | ")
    assert rules(now, then) == {}
    assert rules(book_then(), then) == {}


@pytest.mark.parametrize("price", ["0", "0.000000", "0.0"])
def test_a_price_of_0_is_one(price: str) -> None:
    book = with_cells(sound_book(), "prices", 1, price_usd=price)
    assert verdicts(book) == {}
    common, _ = gated(parsed(book))
    assert common.prices.filter(security_id="STK")["price_usd"].to_list() == [0]


def test_a_price_that_is_missing_still_costs_the_holders() -> None:
    book = {**sound_book(), "prices": sound_book()["prices"].filter(pl.col("security_id") != "STK")}
    assert verdicts(book) == dict.fromkeys(("A1", "A2"), "lots:security_has_price")


def bonds(factor: str | None, kind: str = "bond") -> dict[str, pl.DataFrame]:
    book = sound_book()
    rows = book["securities"].with_columns(
        price_factor=pl.when(pl.col("security_id") == "BND").then(pl.lit(factor, pl.String))
    )
    is_it = pl.col("security_id") == "BND"
    return {
        **book,
        "securities": rows.with_columns(security_type=pl.when(is_it).then(pl.lit(kind)).otherwise("security_type")),
    }


@pytest.mark.parametrize("factor", [None, "", "  "])
def test_a_bond_without_a_factor_waits_with_its_holders_and_is_said_by_name(factor: str | None) -> None:
    book = bonds(factor)
    assert set(verdicts(book)) == {"A1", "A3"}
    (first, *_) = [each for each in messages(book) if each.startswith("securities.csv")]
    assert "price_factor is empty; needed what a bond's quantity times price is multiplied by" in first
    assert any(each.startswith("buy_list.csv") and "BND" in each for each in messages(book)), "never bought"


@pytest.mark.parametrize("factor", ["0", "-0.01", "par", "0.0000001"])
def test_a_factor_that_is_none_costs_the_holders(factor: str) -> None:
    assert set(verdicts(bonds(factor))) == {"A1", "A3"}


@pytest.mark.parametrize(
    ("factor", "kind"), [("0.01", "bond"), ("1", "bond"), ("10", "bond"), (None, "etf"), ("0.5", "other")]
)
def test_a_bond_with_a_factor_and_anything_else_without_passes(factor: str | None, kind: str) -> None:
    book = bonds(factor, kind)
    assert verdicts(book) == {}
    common, _ = gated(parsed(book))
    assert common.prices.filter(security_id="BND")["price_factor"].to_list() == [Decimal(factor or 1)]


LIMIT = 20


@pytest.mark.parametrize(
    ("cost", "is_sound"),
    [
        ("2025", True),
        ("2025.000001", False),
        ("17400", False),
        ("5.0625", True),
        ("5.062499", False),
        ("0.01", False),
        ("0", True),
        (None, True),
        ("101.25", True),
    ],
)
def test_a_cost_within_twenty_times_the_price_is_plausible(cost: str | None, *, is_sound: bool) -> None:
    book = with_cells(sound_book(), "lots", 1, unit_cost_usd=cost)
    assert verdicts(book) == ({} if is_sound else {"A1": "lots:cost_plausible"})


def test_the_sentence_names_cost_price_and_limit() -> None:
    (message,) = messages(spoilt("lots", 1, unit_cost_usd="17400"))
    assert message == (
        "lots.csv row 1: unit_cost_usd is 17400 where the price is 101.25; needed a cost between one part in 20 of the price "
        "and as many times the price."
    )


@pytest.mark.parametrize(
    ("cells", "price"), [({"quantity": "0", "unit_cost_usd": "17400"}, "101.25"), ({"unit_cost_usd": "12"}, "0")]
)
def test_a_lot_of_nothing_and_a_price_of_nothing_say_nothing_of_a_cost(cells: dict[str, str], price: str) -> None:
    assert verdicts(with_cells(spoilt("lots", 1, **cells), "prices", 1, price_usd=price)) == {}


def test_where_no_tax_is_paid_a_cost_decides_nothing() -> None:
    assert verdicts(spoilt("lots", 3, unit_cost_usd="17400")) == {}


def test_the_limit_is_a_setting_and_a_factor_leaves_it_alone() -> None:
    book = bonds("0.01")
    book["lots"] = with_cells(book, "lots", 4, unit_cost_usd="51")["lots"]
    tables = parsed(book)
    common = gated_commons(tables, {})
    own = {name: tables[name] for name in ACCOUNT_TABLES}
    for limit, stopped in ((20.0, []), (1.01, ["A3"])):
        found = gate_accounts(own, common, {}, AS_OF, max_cost_to_price=limit)
        assert found.accounts.filter(pl.col("reason").str.contains("cost"))["account_id"].to_list()[-1:] == stopped


def test_a_person_may_release_it_and_what_was_accepted_once_stays() -> None:
    odd = with_cells(book_then(), "lots", 1, unit_cost_usd="9000")
    before = judged(odd, history_of(with_cells(book_then(), "lots", 1, lot_id="other")))
    assert before.accounts.rows() == [("A1", "lots:cost_plausible")]
    released = judged(
        odd,
        history_of(with_cells(book_then(), "lots", 1, lot_id="other")),
        released=frozenset(before.quarantine["quarantine_id"]),
    )
    assert released.accounts.is_empty()
    assert judged(odd, history_of(odd)).accounts.is_empty()


@settings(max_examples=at_most(15))
@given(
    st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 10**9), st.sampled_from(["0.01", "1", "10"])), max_size=40)
)
def test_a_cost_is_set_aside_where_price_and_cost_are_further_apart_than_the_limit(
    drawn: list[tuple[int, int, str]],
) -> None:
    book: Book = bonds("1")
    named = [(f"X{place}", *each) for place, each in enumerate(drawn)]
    book = with_rows(
        book, "securities", *(f"{name} | X | x | bonds | bond | 1 | 2 | true | {by}" for name, _, _, by in named)
    )
    book = with_rows(
        book, "prices", *(f"{name} | {Decimal(price) / 10**4} | 2026-01-05" for name, _, price, _ in named)
    )
    first = book["lots"].height + 1
    costs = (f"A3 | {name} | 1 | 3 | {Decimal(cost) / 10**4} | 2022-05-06" for name, cost, _, _ in named)
    _, own = gated(parsed(with_rows(book, "lots", *costs)))
    found = own.quarantine.select("table_name", "row_number", "broken_rules").rows()
    assert sorted(found) == [
        ("lots", first + place, "cost_plausible")
        for place, (cost, price, _) in enumerate(drawn)
        if max(cost, price) > LIMIT * min(cost, price)
    ]
