from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import combinations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.stored import INTERNAL
from schemas.tables import PUBLIC
from tasks.core.gate import RELEASABLE, Gated, GatedAccounts, History, accepted_rows, gate_accounts, gate_globals
from tests.support.examples import at_most
from tests.support.history_book import (
    Book,
    book_then,
    history_of,
    judged,
    with_cells,
    with_rows,
    with_total,
    without_rows,
)
from tests.support.landing_book import ACCOUNT_TABLES, AS_OF, GLOBAL_TABLES, parsed

CHANGED = with_cells(with_cells(book_then(), "lots", 1, quantity="333"), "cash", 1, settled_usd="99999")
RULES = pl.DataFrame(
    [
        {"account_id": "A1", "security_id": "STK", "rule": "no_sell"},
        {"account_id": "A1", "household_id": "H1"},
        {"account_id": "A2", "household_id": "H1"},
    ],
    schema=INTERNAL["carried_rules"],
)
"""What held when the accounts were last accepted."""


def ids(own: GatedAccounts) -> frozenset[str]:
    return frozenset(own.quarantine["quarantine_id"])


def test_what_may_be_waved_through_compares_with_what_others_say() -> None:
    assert sorted(RELEASABLE) == [
        "basis_unchanged",
        "cash_booked",
        "cash_explained",
        "cost_plausible",
        "direct_index_kept",
        "household_kept",
        "lot_count_as_delivered",
        "quantity_explained",
        "restriction_kept",
        "split_suspected",
        "tilt_kept",
        "value_usd_as_delivered",
    ]


def test_an_account_is_judged_without_what_a_person_let_through() -> None:
    before = judged(CHANGED)
    assert before.accounts.rows() == [("A1", "cash:cash_explained|lots:quantity_explained")]
    after = judged(CHANGED, released=ids(before))
    assert after.accounts.is_empty()
    assert after.quarantine.is_empty()
    assert after.released.equals(before.quarantine)
    assert after.released.schema == pl.Schema(PUBLIC["quarantine"])


def test_each_row_is_let_through_by_itself() -> None:
    before = judged(CHANGED)
    cash = before.quarantine.filter(pl.col("table_name") == "cash")["quarantine_id"]
    after = judged(CHANGED, released=frozenset(cash))
    assert after.accounts.rows() == [("A1", "lots:quantity_explained")]
    assert set(after.quarantine["table_name"]) == {"lots"}
    assert after.released["table_name"].to_list() == ["cash"]


def test_the_released_may_be_named_in_a_series() -> None:
    tables = parsed(CHANGED)
    common = common_of(tables)
    named = pl.Series([*ids(judged(CHANGED)), "0" * 16])
    own = gate_accounts(own_of(tables), common, {}, AS_OF, history=history_of(book_then()), released=named)
    assert own.accounts.is_empty()
    nobody = gate_accounts(own_of(tables), common, {}, AS_OF, history=history_of(book_then()), released=named.clear())
    assert nobody.released.is_empty()


@pytest.mark.parametrize("table", ["lots", "accounts"])
def test_a_row_that_breaks_its_contract_is_not_let_through(table: str) -> None:
    if table == "lots":
        book = with_cells(book_then(), "lots", 1, quantity="-1")
    else:
        book = with_cells(without_rows(book_then(), "lots", 3), "accounts", 1, model_id="nope")
    before = judged(book)
    after = judged(book, released=ids(before))
    assert after.released.is_empty()
    assert after.quarantine.equals(before.quarantine)
    assert after.accounts.equals(before.accounts)


def test_a_row_that_reads_otherwise_was_not_let_through() -> None:
    again = with_cells(CHANGED, "lots", 1, quantity="334")
    assert judged(again, released=ids(judged(CHANGED))).accounts.rows() == [("A1", "lots:quantity_explained")]


SAME_ROW = {
    "another holding left too": (without_rows(book_then(), "lots", 3), without_rows(book_then(), "lots", 1, 2, 3)),
    "its restriction left too": (
        without_rows(book_then(), "lots", 3),
        without_rows(without_rows(book_then(), "lots", 3), "restrictions", 1),
    ),
    "the price moved further": (
        with_cells(book_then(), "prices", 1, price_usd="50"),
        with_cells(book_then(), "prices", 1, price_usd="20"),
    ),
    "its cost is odd too": (
        with_cells(book_then(), "prices", 1, price_usd="50"),
        with_cells(book_then(), "prices", 1, price_usd="4"),
    ),
    "half of the trade was taken back": (
        with_rows(
            with_cells(book_then(), "lots", 1, quantity="333"), "trades", "A1 | STK | 2026-01-05 | buy | 60 | 100 |"
        ),
        with_rows(
            with_cells(book_then(), "lots", 1, quantity="333"), "trades", "A1 | STK | 2026-01-05 | buy | 30 | 100 |"
        ),
    ),
}
"""What is released, and what the files of the same night say later; the row that broke the rule stays as it was."""


@pytest.mark.parametrize("then", SAME_ROW)
def test_a_release_does_not_cover_what_is_found_in_the_same_row_later(then: str) -> None:
    first, later = SAME_ROW[then]
    history = replace(history_of(book_then()), rules=RULES)
    before, after = judged(first, history), judged(later, history)
    row = before.quarantine["row"]
    assert row.len() > 0
    assert after.quarantine["row"].is_in(row.implode()).any()
    own = judged(later, history, released=ids(before))
    assert own.accounts["account_id"].to_list()[0] == "A1"
    assert own.accounts.rows() == after.accounts.rows()


ALONE: dict[str, Callable[[Book], Book]] = {
    "a holding left": lambda book: without_rows(book, "lots", 3),
    "a holding grew": lambda book: with_cells(book, "lots", 1, quantity="333"),
    "a lot costs a hundredth": lambda book: with_cells(book, "lots", 2, unit_cost_usd="0.8"),
    "cash came": lambda book: with_cells(book, "cash", 1, settled_usd="99999"),
    "the custodian counts otherwise": lambda book: with_total(book, "12345"),
    "a restriction left": lambda book: without_rows(book, "restrictions", 1),
    "a household left": lambda book: without_rows(book, "households", 1),
}


@pytest.mark.parametrize(("one", "other"), list(combinations(ALONE, 2)))
def test_no_rule_that_may_be_waved_through_hides_another(one: str, other: str) -> None:
    history = replace(history_of(book_then()), rules=RULES)

    def broken(book: Book) -> set[tuple[str, str]]:
        rows = judged(book, history).quarantine.select("table_name", pl.col("broken_rules").str.split("|"))
        return set(rows.explode("broken_rules").rows())

    found = [broken(ALONE[name](book_then())) for name in (one, other)]
    assert all(found)
    assert broken(ALONE[other](ALONE[one](book_then()))) >= found[0] | found[1]


def test_a_position_that_vanished_may_be_let_through_at_the_account() -> None:
    book = without_rows(book_then(), "lots", 3)
    own = judged(book, released=ids(judged(book)))
    assert own.released["table_name"].to_list() == ["accounts"]
    assert own.accounts.is_empty()


# Properties over books with any number of changes.

QUANTITIES = ("100", "200", "50", "102.5", "4000", "x", "0.000001")
COSTS = ("90", "45", "180", "0", "", "91")


@st.composite
def changed_books(draw: st.DrawFn) -> Book:
    """The book of the night before with up to eight changes, some of them spoiling a row."""
    book = book_then()
    for _ in range(draw(st.integers(0, 8))):
        match draw(st.sampled_from(["quantity", "cost", "date", "cash", "price", "trade", "gone"])):
            case "quantity":
                book = with_cells(book, "lots", draw(st.integers(1, 5)), quantity=draw(st.sampled_from(QUANTITIES)))
            case "cost":
                cost = draw(st.sampled_from(COSTS)) or None
                book = with_cells(book, "lots", draw(st.integers(1, 5)), unit_cost_usd=cost)
            case "date":
                book = with_cells(book, "lots", draw(st.integers(1, 5)), acquired_date="2022-02-02")
            case "cash":
                amount = draw(st.sampled_from(["90000", "-700", "0"]))
                book = with_cells(book, "cash", draw(st.integers(1, 3)), settled_usd=amount)
            case "price":
                price = draw(st.sampled_from(["50", "100", "25", "-1"]))
                book = with_cells(book, "prices", draw(st.integers(1, 2)), price_usd=price)
            case "trade":
                account, side = draw(st.sampled_from(["A1", "A2", "A3"])), draw(st.sampled_from(["buy", "sell"]))
                book = with_rows(book, "trades", f"{account} | STK | 2026-01-05 | {side} | 60 | 100 | -5")
            case _:
                book = without_rows(book, "lots", draw(st.integers(1, 5)))
    return book


def own_of(tables: Book, accounts: Iterable[str] | None = None) -> Book:
    own = {name: tables[name] for name in ACCOUNT_TABLES}
    if accounts is None:
        return own
    return {name: rows.filter(pl.col("account_id").is_in(list(accounts))) for name, rows in own.items()}


def common_of(tables: Book) -> Gated:
    return gate_globals({name: tables[name] for name in GLOBAL_TABLES}, {}, AS_OF)


def of_account(history: History, account: str) -> History:
    mine = pl.col("account_id") == account
    frames = {name: getattr(history, name).filter(mine) for name in ("lots", "cash", "accepted")}
    return History(**frames, prices=history.prices, limits=history.limits)


@settings(max_examples=at_most(15))
@given(changed_books())
def test_an_accounts_verdict_does_not_depend_on_other_accounts(book: Book) -> None:
    tables, history = parsed(book), history_of(book_then())
    common = common_of(tables)
    own = gate_accounts(own_of(tables), common, {}, AS_OF, history=history)
    for account in ("A1", "A2", "A3"):
        alone = gate_accounts(own_of(tables, [account]), common, {}, AS_OF, history=of_account(history, account))
        assert alone.accounts.equals(own.accounts.filter(pl.col("account_id") == account))
        assert alone.quarantine.equals(own.quarantine.filter(pl.col("account_id") == account))


@settings(max_examples=at_most(10))
@given(changed_books(), st.integers(0, 10_000))
def test_shuffling_tonight_and_the_night_before_changes_nothing(book: Book, seed: int) -> None:
    def shuffled(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.sample(fraction=1, shuffle=True, seed=seed)

    tables, history = parsed(book), history_of(book_then())
    common = common_of(tables)
    own = gate_accounts(own_of(tables), common, {}, AS_OF, history=history)
    frames = {name: shuffled(getattr(history, name)) for name in ("lots", "cash", "accepted", "prices")}
    mixed = {name: shuffled(rows) for name, rows in own_of(tables).items()}
    again = gate_accounts(mixed, common, {}, AS_OF, history=History(**frames))
    assert own.quarantine.equals(again.quarantine)
    assert own.accounts.equals(again.accounts)


@settings(max_examples=at_most(15))
@given(changed_books(), st.data())
def test_accepted_quarantined_and_released_make_up_the_input(book: Book, data: st.DataObject) -> None:
    found = ids(judged(book))
    let = data.draw(st.sets(st.sampled_from(sorted(found)))) if found else set()
    own, tables = judged(book, released=frozenset(let)), parsed(book)
    passed = {name: set(rows["landed_row"]) for (name,), rows in own.released.group_by("table_name")}
    for table in ("accounts", "lots", "cash", "trades"):
        rows = tables[table]
        kept = set(accepted_rows(table, rows, own.quarantine)["row_number"])
        lost = set(own.quarantine.filter(pl.col("table_name") == table)["landed_row"])
        assert kept | lost == set(rows["row_number"])
        assert not kept & lost
        assert passed.get(table, set()) <= kept
    assert set(own.released["quarantine_id"]) <= let
    reasons = own.released["broken_rules"].str.split("|").explode()
    assert set(reasons.drop_nulls()) <= RELEASABLE


@settings(max_examples=at_most(25))
@given(changed_books(), changed_books())
def test_a_release_covers_just_what_was_found_when_it_was_made(book: Book, later: Book) -> None:
    seen = judged(book).quarantine.select("table_name", "row", "message")
    own = judged(later, released=ids(judged(book)))
    passed = own.released.select("table_name", "row", "message")
    unplaced = pl.col("message").str.replace_all(r"[a-z_.]+ row \d+: ", "")
    assert passed.with_columns(unplaced).join(seen.with_columns(unplaced), on=passed.columns, how="anti").is_empty()


@settings(max_examples=at_most(15))
@given(changed_books())
def test_letting_everything_through_leaves_only_broken_contracts(book: Book) -> None:
    own = judged(book, released=ids(judged(book)))
    broken = own.quarantine["broken_rules"].str.split("|").list.set_difference(sorted(RELEASABLE)).list.len()
    assert (broken > 0).all()
    assert own.accounts.height == own.quarantine["account_id"].n_unique()


def test_a_closed_account_may_lose_all_it_held() -> None:
    book = with_cells(without_rows(book_then(), "lots", 1, 2, 3), "accounts", 1, status="closed")
    book = with_cells(book, "cash", 1, settled_usd="0")
    assert judged(book).accounts.is_empty()
    for status in ("active", "frozen"):
        still = with_cells(book, "accounts", 1, status=status)
        assert [name for name, _ in judged(still).accounts.rows()] == ["A1"]
