from collections.abc import Iterable

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.tables import PUBLIC
from tasks.core.gate import RELEASABLE, Gated, GatedAccounts, History, accepted_rows, gate_accounts, gate_globals
from tests.support.examples import at_most
from tests.support.history_book import Book, book_then, history_of, judged, with_cells, with_rows, without_rows
from tests.support.landing_book import ACCOUNT_TABLES, AS_OF, GLOBAL_TABLES, parsed

CHANGED = with_cells(with_cells(book_then(), "lots", 1, quantity="333"), "cash", 1, settled_usd="99999")


def ids(own: GatedAccounts) -> frozenset[str]:
    return frozenset(own.quarantine["quarantine_id"])


def test_what_may_be_waved_through_compares_with_what_others_say() -> None:
    assert sorted(RELEASABLE) == [
        "basis_unchanged",
        "cash_explained",
        "cost_plausible",
        "household_kept",
        "lot_count_as_delivered",
        "quantity_explained",
        "restriction_kept",
        "split_suspected",
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
