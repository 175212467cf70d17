"""Corporate actions: what was said once, carried over to every row that means it."""

from datetime import date
from decimal import Decimal
from math import floor

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.landing_columns import dtypes
from schemas.stored import INTERNAL
from schemas.units import EXACT
from tasks.core.gate import (
    Actions,
    GatedAccounts,
    bound_under_both,
    carry_history,
    check_actions,
    closed_to_trade,
    gate_accounts,
    gate_globals,
    in_current_terms,
    known_actions,
    less_spun_off,
    remembered,
)
from tests.support.examples import at_most
from tests.support.history_book import Book, book_then, history_of, with_cells, with_rows, with_splits, without_rows
from tests.support.landing_book import ACCOUNT_TABLES, AS_OF, GLOBAL_TABLES, parsed, rows_of

HEADER = "security_id | effective_date | action | ratio | new_security_id\n"
NOTHING = pl.DataFrame(schema=INTERNAL["remembered_actions"])
RENAMED = "BND | 2026-01-05 | identifier_change | | BND2"


def landed(text: str) -> pl.DataFrame:
    return parsed({"corporate_actions": rows_of(HEADER + text)})["corporate_actions"]


def told(text: str) -> pl.DataFrame:
    return check_actions(landed(text)).good


def actions(text: str, securities: tuple[str, ...] = ("STK", "BND", "OLD"), before: str = "") -> Actions:
    earlier = remembered(told(before), NOTHING) if before else NOTHING
    return known_actions(told(text), earlier, pl.Series(securities), AS_OF)


def judged(book: Book, text: str, *, then: Book | None = None, before: str = "") -> GatedAccounts:
    """Both gates over a book that was told of actions, after a book before."""
    tables = parsed(book | {"corporate_actions": rows_of(HEADER + text)})
    own = check_actions(tables["corporate_actions"]).good
    earlier = remembered(told(before), NOTHING) if before else NOTHING
    known = known_actions(own, earlier, tables["securities"]["security_id"], AS_OF)
    current = in_current_terms(tables, known)
    common = gate_globals({name: current[name] for name in (*GLOBAL_TABLES, "corporate_actions")}, {}, AS_OF)
    history = with_splits(current, carry_history(history_of(then or book_then()), known))
    mine = {name: current[name] for name in ACCOUNT_TABLES}
    return gate_accounts(mine, common, {}, AS_OF, history=history, actions=known)


def rules(found: GatedAccounts) -> dict[tuple[str, int], str]:
    return {
        (table, number): broken
        for table, number, broken in found.quarantine.select("table_name", "landed_row", "broken_rules").rows()
    }


def renamed_book(security: str = "BND2") -> Book:
    """Every lot of BND under another identifier, which is a security as BND is."""
    book = book_then()
    as_bnd = {table: book[table].filter(pl.col("security_id") == "BND") for table in ("securities", "prices")}
    new = {table: rows.with_columns(security_id=pl.lit(security)) for table, rows in as_bnd.items()}
    book |= {table: pl.concat([book[table], rows]) for table, rows in new.items()}
    lots = book["lots"].with_columns(pl.col("security_id").replace("BND", security))
    return book | {"lots": lots}


def split_book(quantity: str, price: str, cost: str | None = None) -> Book:
    """A3's 100 shares of BND and A1's, as many as named each."""
    book = with_cells(
        with_cells(book_then(), "lots", 3, quantity=quantity, unit_cost_usd=cost), "lots", 5, quantity=quantity
    )
    return with_cells(book, "prices", 2, price_usd=price)


# What one row says.


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("STK | 2026-01-05 | split | 2 |", None),
        ("STK | 2026-01-05 | split | 0.1 |", None),
        ("STK | 2026-01-05 | identifier_change | | STX", None),
        ("STK | 2026-01-05 | identifier_change | 0.97 | STX", None),
        ("STK | 2026-01-05 | merger | 1.5 | STX", None),
        ("STK | 2026-01-05 | merger | |", None),
        ("XYZ | 2027-01-05 | split | 2 |", None),
        ("STK | 2026-01-05 | split | |", "split_has_ratio"),
        ("STK | 2026-01-05 | split | 2 | STX", "split_keeps_identifier"),
        ("STK | 2026-01-05 | identifier_change | |", "new_identifier_given"),
        ("STK | 2026-01-05 | merger | 2 |", "merger_has_ratio"),
        ("STK | 2026-01-05 | merger | | STX", "merger_has_ratio"),
        ("STK | 2026-01-05 | split | 0 |", "ratio_positive"),
        ("STK | 2026-01-05 | spin_off | 0.25 | KID", None),
        ("STK | 2026-01-05 | spin_off | | KID", "spin_off_is_whole"),
        ("STK | 2026-01-05 | spin_off | 2 |", "spin_off_is_whole"),
        ("STK | 2026-01-05 | spinoff | 2 |", "action_known"),
        ("STK | 5 January | split | 2 |", "effective_date_readable"),
        (" | 2026-01-05 | split | 2 |", "security_id_required"),
    ],
)
def test_the_rules_of_a_row(row: str, rule: str | None) -> None:
    found = check_actions(parsed({"corporate_actions": rows_of(HEADER + row)})["corporate_actions"])
    assert found.broken["rule"].to_list() == ([] if rule is None else [rule])


# Splits that are told.


@pytest.mark.parametrize(
    ("ratio", "quantity", "price", "cost"),
    [
        ("2", "200", "25", "25"),
        ("0.01", "1", "5000", "5000"),
        ("1.333333", "133", "37.5", "37.5"),
        ("1.05", "105", "47.6", "47.619"),
        ("7", "700", "8", "7.142857"),
    ],
)
def test_a_split_that_was_told_explains_quantities_costs_and_prices(
    ratio: str, quantity: str, price: str, cost: str
) -> None:
    assert rules(judged(split_book(quantity, price, cost), f"BND | 2026-01-05 | split | {ratio} |")) == {}
    assert rules(judged(split_book(quantity, price, "99"), f"BND | 2026-01-05 | split | {ratio} |")) != {}


def test_a_split_that_was_told_and_not_booked_is_a_change() -> None:
    found = judged(split_book("100", "25", "50"), "BND | 2026-01-05 | split | 2 |")
    assert set(rules(found).values()) == {"split_suspected", "basis_unchanged|split_suspected"}
    assert "quantity is 100, 200 on 2026-01-02 after a split at 2 for 1 on 2026-01-05" in found.quarantine["message"][0]


def test_a_split_that_was_told_and_booked_without_its_price_waits() -> None:
    found = judged(split_book("200", "50", "25"), "BND | 2026-01-05 | split | 2 |")
    assert set(rules(found).values()) == {"split_suspected"}


@pytest.mark.parametrize("day", ["2026-01-02", "2025-12-01", "2026-01-06"])
def test_a_split_of_before_or_of_later_changes_nothing(day: str) -> None:
    assert rules(judged(book_then(), f"BND | {day} | split | 2 |")) == {}


def test_more_than_a_share_is_no_cash_in_lieu() -> None:
    assert rules(judged(split_book("199", "25", "25.1"), "BND | 2026-01-05 | split | 2 |")) == {}
    found = judged(split_book("198.5", "25", "25.1"), "BND | 2026-01-05 | split | 2 |")
    assert found.small_changes == 2


def test_a_trade_and_a_split_on_one_night() -> None:
    book = with_rows(split_book("260", "25", "25"), "trades", "A1 | BND | 2026-01-05 | buy | 60 | 25 | ")
    book = with_rows(book, "trades", "A3 | BND | 2026-01-02 | buy | 30 | 50 | ")
    book = with_cells(with_cells(book, "cash", 1, settled_usd="-500"), "cash", 3, settled_usd="-1500")
    told = "BND | 2026-01-05 | split | 2 |"
    assert rules(judged(book, told)) == {}
    untraded = judged(split_book("260", "25", "25"), told)
    assert set(untraded.accounts["account_id"]) == {"A1", "A3"}


# Identifiers.


@pytest.mark.parametrize("is_listed", [True, False])
def test_an_identifier_that_changed_is_said_once(*, is_listed: bool) -> None:
    book = renamed_book()
    if not is_listed:
        gone = {t: book[t].filter(pl.col("security_id") != "BND") for t in ("securities", "prices")}
        book |= gone
    assert rules(judged(book, RENAMED)) == {}
    assert rules(judged(book, "", before=RENAMED)) == {}


def test_without_a_word_of_it_its_holders_wait() -> None:
    found = judged(renamed_book(), "")
    assert set(found.accounts["account_id"]) == {"A1", "A3"}


def test_a_lot_that_is_late_is_read_under_the_new_identifier() -> None:
    book = renamed_book()
    book = book | {"lots": book_then()["lots"]}
    current = in_current_terms(parsed(book), actions(RENAMED))
    assert set(current["lots"]["security_id"]) == {"STK", "BND2"}
    assert rules(judged(book, RENAMED)) == {}


def test_a_lot_that_is_late_in_another_number_of_shares_was_not_booked() -> None:
    book = renamed_book() | {"lots": book_then()["lots"]}
    found = judged(book, "BND | 2026-01-05 | identifier_change | 0.97 | BND2")
    assert set(found.accounts["account_id"]) == {"A1", "A3"}
    assert all("identifier_current" in rules(found)["lots", row] for row in (3, 5))


def test_a_reverse_split_under_another_identifier() -> None:
    lots = renamed_book()["lots"].with_columns(
        quantity=pl.when(pl.col("security_id") == "BND2").then(pl.lit("97")).otherwise("quantity"),
        unit_cost_usd=pl.when((pl.col("security_id") == "BND2") & pl.col("unit_cost_usd").is_not_null())
        .then(pl.lit("51.546392"))
        .otherwise("unit_cost_usd"),
    )
    book = with_cells(renamed_book() | {"lots": lots}, "prices", 4, price_usd="51.55")
    assert rules(judged(book, "BND | 2026-01-05 | identifier_change | 0.97 | BND2")) == {}


def test_an_old_identifier_that_another_security_has_since_is_that_security() -> None:
    book = with_rows(renamed_book(), "lots", "A2 | BND | 5 | 10 | 50 | 2026-01-05")
    known = actions("", ("STK", "BND", "BND2", "OLD"), before="BND | 2025-06-02 | identifier_change | | BND2")
    lots = in_current_terms(parsed(book), known)["lots"]
    assert lots.filter(account_id="A2", lot_id="5")["security_id"].to_list() == ["BND"]
    old = with_rows(renamed_book(), "lots", "A2 | BND | 5 | 10 | 50 | 2025-01-05")
    assert in_current_terms(parsed(old), known)["lots"].filter(lot_id="5")["security_id"].to_list() == ["BND2"]


def test_names_that_changed_twice_and_back() -> None:
    text = "A | 2025-01-02 | identifier_change | | B\nB | 2025-03-03 | identifier_change | | C"
    known = actions(text, ("C",))
    trades = parsed(
        {
            "trades": rows_of(
                "account_id | security_id | trade_date | side | quantity | price_usd | realized_gain_usd\n"
                "A1 | A | 2024-12-01 | buy | 1 | 1 |\nA1 | B | 2025-02-01 | buy | 1 | 1 |\nA1 | C | 2025-04-01 | buy | 1 | 1 |"
            )
        }
    )
    assert in_current_terms(trades, known)["trades"]["security_id"].to_list() == ["C", "C", "C"]
    back = actions("A | 2025-01-02 | identifier_change | | B\nB | 2025-03-03 | identifier_change | | A", ("A",))
    assert in_current_terms(trades, back)["trades"]["security_id"].to_list()[:2] == ["A", "A"]


def test_trades_of_before_are_in_shares_of_tonight() -> None:
    trades = parsed(
        {
            "trades": rows_of(
                "account_id | security_id | trade_date | side | quantity | price_usd | realized_gain_usd\n"
                "A1 | STK | 2025-12-01 | sell | 10 | 90 | -5\nA1 | STK | 2026-01-05 | buy | 10 | 45 |"
            )
        }
    )
    found = in_current_terms(trades, actions("STK | 2026-01-05 | split | 2 |"))["trades"]
    assert found.select("quantity", "price_usd").rows() == [(Decimal(20), Decimal(45)), (Decimal(10), Decimal(45))]


def test_restrictions_bind_under_both_identifiers() -> None:
    rows = parsed(
        {
            "restrictions": rows_of(
                "account_id | security_id | rule | until_date | min_quantity | max_quantity | min_value_usd | max_value_usd\n"
                "A1 | BND | no_sell | | | | |\nA1 | STK | no_buy | | | | |"
            )
        }
    )["restrictions"].select(dtypes("restrictions").keys())
    found = bound_under_both(rows, actions(RENAMED, ("BND", "BND2", "STK")))
    assert sorted(found["security_id"]) == ["BND", "BND2", "STK"]
    assert sorted(bound_under_both(rows, actions("", ("BND", "BND2", "STK"), before=RENAMED))["security_id"]) == [
        "BND",
        "BND2",
        "STK",
    ]


def test_a_buy_list_has_what_came_of_a_security_once() -> None:
    listed = "model_id | asset_class | security_id | rank | tax_status\ngrowth | bonds | BND | 1 |\ngrowth | bonds | BND2 | 2 |\nincome | bonds | BND | 1 |"
    rows = parsed({"buy_list": rows_of(listed)})
    found = in_current_terms(rows, actions(RENAMED, ("BND", "BND2")))["buy_list"]
    assert found.select("model_id", "security_id", "rank").rows() == [("growth", "BND2", 2), ("income", "BND2", 1)]


# Mergers.


@pytest.mark.parametrize(("ratio", "quantity"), [("2", "340"), ("0.5", "190")])
def test_a_merger_adds_to_what_was_held_and_sets_new_costs(ratio: str, quantity: str) -> None:
    book = without_rows(book_then(), "lots", 2, 3)
    book = with_cells(book, "lots", 1, quantity=quantity, unit_cost_usd="77", acquired_date="2026-01-05")
    found = judged(book, f"BND | 2026-01-05 | merger | {ratio} | STK")
    assert "A1" not in set(found.accounts["account_id"])
    assert "A1" in set(judged(book, "").accounts["account_id"])


def test_a_merger_that_was_paid_in_cash_takes_the_shares() -> None:
    book = with_cells(without_rows(book_then(), "lots", 3, 5), "cash", 1, settled_usd="6000")
    book = with_cells(book, "cash", 3, settled_usd="5000")
    assert judged(book, "BND | 2026-01-05 | merger | |").accounts.is_empty()
    assert set(judged(book, "").accounts["account_id"]) == {"A1", "A3"}


@pytest.mark.parametrize(
    ("settled", "is_paid"), [("6000", True), ("4750", True), ("4749.99", False), ("1000", False), ("8499", True)]
)
def test_what_a_merger_pays_in_cash_must_have_come(settled: str, *, is_paid: bool) -> None:
    book = with_cells(without_rows(book_then(), "lots", 3, 5), "cash", 1, settled_usd=settled)
    found = judged(with_cells(book, "cash", 3, settled_usd="5000"), "BND | 2026-01-05 | merger | |")
    assert rules(found) == ({} if is_paid else {("cash", 1): "cash_explained"})
    if not is_paid:
        assert found.quarantine["message"].to_list() == [
            (
                f"cash row 1: settled_usd is {settled}, 1000 on 2026-01-02; needed about 5000 more, which a merger paid in cash owes for "
                "shares that are gone."
            )
        ]


def test_a_merger_may_pay_more_than_all_that_is_left() -> None:
    book = with_cells(without_rows(book_then(), "lots", 1, 2, 3, 5), "cash", 1, settled_usd="20500")
    book = with_cells(book, "cash", 3, settled_usd="5000")
    text = "BND | 2026-01-05 | merger | |\nSTK | 2026-01-05 | merger | |"
    assert "A1" not in set(judged(book, text).accounts["account_id"])


# What cannot be read.


@pytest.mark.parametrize(
    ("row", "accounts"),
    [
        ("BND | 2026-01-05 | split | two |", {"A1", "A3"}),
        ("bnd | 2026-01-05 | splat | 2 |", {"A1", "A3"}),
        ("BND | 2026-01-05 | split | 2 |\nBND | 2026-01-05 | split | 3 |", {"A1", "A3"}),
        ("XYZ | 2026-01-05 | merger | 2 |", set()),
        ("X!Z | 2026-01-05 | identifier_change | x | STK", {"A1", "A2"}),
        ("? | 2026-01-05 | split | 2 |", {"A1", "A2", "A3"}),
        ("# end of file | | | |", set()),
    ],
)
def test_a_row_that_cannot_be_read_costs_the_holders_of_what_it_could_be_about(row: str, accounts: set[str]) -> None:
    assert set(judged(book_then(), row).accounts["account_id"]) >= accounts
    assert accounts or judged(book_then(), row).accounts.is_empty()


def test_nothing_is_traded_across_an_action() -> None:
    near = actions(
        "STK | 2026-01-06 | split | 2 |\nBND | 2026-01-07 | split | 2 |\nOLD | 2026-01-05 | identifier_change | | NEW"
    )
    closed = closed_to_trade(near, landed("").clear(), pl.Series(["STK", "BND", "OLD"]), date(2026, 1, 6))
    assert closed.select("account_id", "security_id", "rule").rows() == [(None, "STK", "no_trade")]


@pytest.mark.parametrize(
    ("row", "closed"),
    [
        ("BND | 2026-01-06 | split | two |", {"BND"}),
        ("bnd | 2026-01-06 | splat | 2 |", {"BND"}),
        ("X!Z | 2026-01-06 | identifier_change | x | STK", {"STK", "BND", "OLD"}),
        ("? | 2026-01-06 | split | 2 |", {"STK", "BND", "OLD"}),
        (" | 2026-01-06 | split | 2 |", {"STK", "BND", "OLD"}),
        ("2026-01-06 | split | 2 | |", {"STK", "BND", "OLD"}),
        ("XYZ | 2026-01-06 | merger | 2 |", set()),
        ("# end of file | | | |", set()),
    ],
)
def test_nothing_is_bought_that_a_row_which_cannot_be_read_may_be_about(row: str, closed: set[str]) -> None:
    checked = check_actions(landed(row))
    broken = checked.rows.join(checked.broken, on="row_number", how="semi")
    assert broken.height == 1
    found = closed_to_trade(actions(""), broken, pl.Series(["STK", "BND", "OLD"]), date(2026, 1, 6))
    assert set(found["security_id"]) == closed


def test_what_is_said_again_replaces_what_was_said() -> None:
    before = remembered(told("BND | 2026-01-05 | split | 2 |\nSTK | 2025-01-05 | split | 3 |"), NOTHING)
    again = remembered(told("BND | 2026-01-05 | split | 1 |"), before)
    assert again.select("security_id", "ratio").rows() == [("BND", 1.0), ("STK", 3.0)]
    assert rules(judged(book_then(), "BND | 2026-01-05 | split | 1 |", before="BND | 2026-01-05 | split | 2 |")) == {}


@pytest.mark.parametrize("ratio", ["1e300", "1e-300"])
def test_ratios_out_of_this_world_are_no_crash(ratio: str) -> None:
    found = judged(book_then(), f"BND | 2026-01-05 | split | {ratio} |")
    assert set(found.accounts["account_id"]) == {"A1", "A3"}


# What a custodian has not booked, however little it is.


@pytest.mark.parametrize(("ratio", "price"), [("2", "25"), ("0.01", "5000"), ("0.1", "500"), ("7", "7.2")])
def test_a_split_that_is_not_booked_does_not_hide_in_the_share_for_cash_in_lieu(ratio: str, price: str) -> None:
    then = split_book("1", "50")
    found = judged(split_book("1", price), f"BND | 2026-01-05 | split | {ratio} |", then=then)
    assert {"A1", "A3"} <= set(found.accounts["account_id"])
    assert "as many shares as before the split" in " ".join(found.quarantine["message"])


@pytest.mark.parametrize(
    ("quantity", "ratio", "price"), [("1", "1.5", "33.4"), ("9", "1.1", "45.5"), ("3", "1.25", "40")]
)
def test_a_fraction_paid_in_cash_may_leave_as_many_shares_as_before(quantity: str, ratio: str, price: str) -> None:
    found = judged(
        split_book(quantity, price), f"BND | 2026-01-05 | split | {ratio} |", then=split_book(quantity, "50")
    )
    assert "split_suspected" not in " ".join(found.quarantine["broken_rules"])


@pytest.mark.parametrize(("quantity", "price"), [("100", "50"), ("200", "25"), ("50", "100")])
def test_where_the_book_says_something_else_than_what_was_told_a_person_looks(quantity: str, price: str) -> None:
    found = judged(split_book(quantity, price), "BND | 2026-01-05 | split | 3 |")
    assert {"A1", "A3"} <= set(found.accounts["account_id"])


def test_shares_that_were_paid_in_cash_are_not_held_any_more() -> None:
    found = judged(split_book("1", "50"), "BND | 2026-01-05 | merger | |", then=split_book("1", "50"))
    assert {"A1", "A3"} <= set(found.accounts["account_id"])
    assert "identifier_current" in " ".join(found.quarantine["broken_rules"])


# A row whose cells stand in the wrong columns.


@pytest.mark.parametrize(
    "row", [f"{AS_OF} | split | 2 | |", f"| BND | {AS_OF} | split | 2", "??? | split | 2 | |", "| | BND | merger |"]
)
def test_an_action_whose_cells_moved_may_be_of_any_security(row: str) -> None:
    then = book_then()
    found = judged(then, row, then=then)
    assert {"A1", "A3"} <= set(found.accounts["account_id"])


# Spin-offs.

SPUN = "STK | 2026-01-05 | spin_off | 1 | KID"


def spun_book(first: str = "140", second: str = "100", *, price: str = "80", share: str = "0.7") -> Book:
    """A1's and A2's shares of STK beside so many of KID, at 20 USD, with a share of their cost left."""
    book = with_rows(book_then(), "securities", "KID | KID | Spun off | stocks | equity | 1 | 5 | true")
    book = with_rows(with_cells(book, "prices", 1, price_usd=price), "prices", "KID | 20 | 2026-01-05")
    for row, cost in ((1, 90), (2, 80)):
        book = with_cells(book, "lots", row, unit_cost_usd=str(cost * Decimal(share)))
    lots = {"A1": first, "A2": second}
    rows = [f"{name} | KID | k | {quantity} | 27 | 2020-01-02" for name, quantity in lots.items() if quantity != "0"]
    return with_rows(book, "lots", *rows) if rows else book


def test_a_spin_off_that_was_told_explains_the_new_shares_and_the_costs_of_the_old() -> None:
    assert rules(judged(spun_book(), SPUN)) == {}
    assert rules(judged(spun_book(), "")) == {
        ("lots", 1): "basis_unchanged",
        ("lots", 2): "basis_unchanged",
        ("lots", 6): "quantity_explained",
        ("lots", 7): "quantity_explained",
    }


def test_without_a_word_it_says_what_would_tell() -> None:
    found = judged(spun_book(), "").quarantine.filter(pl.col("landed_row") == 6)
    assert found["message"].to_list() == [
        (
            "lots row 6: quantity is 140, 0 on 2026-01-02; needed trades that explain the change (bought 0, sold 0 since 2025-12-28), "
            "or, in the table corporate_actions, the spin-off, merger or change of identifier that brought it."
        )
    ]


def test_new_shares_that_are_not_booked_are_waited_for() -> None:
    found = judged(spun_book("0", "100"), SPUN)
    assert found.accounts["account_id"].to_list() == ["A1"]
    assert found.quarantine["message"].to_list() == [
        (
            "accounts row 1: quantity of KID is 0, 140 on 2026-01-02 after a spin-off from STK on 2026-01-05; needed the shares that it "
            "brought, which the custodian may not have booked yet, or trades that explain the change (bought 0, sold 0 since 2025-12-28)."
        )
    ]


@pytest.mark.parametrize("day", ["2026-01-02", "2025-06-01", "2026-01-06"])
def test_a_spin_off_of_before_or_of_later_brings_nothing(day: str) -> None:
    text = f"STK | {day} | spin_off | 1 | KID"
    assert rules(judged(book_then(), text)) == {}
    assert rules(judged(spun_book(), text)) == rules(judged(spun_book(), ""))


@pytest.mark.parametrize(
    ("change", "is_right"),
    [
        ({"unit_cost_usd": "60"}, True),
        ({"unit_cost_usd": "90"}, True),
        ({"unit_cost_usd": "120"}, False),
        ({"unit_cost_usd": "0"}, False),
        ({"unit_cost_usd": None}, False),
        ({"acquired_date": "2026-01-05"}, False),
        ({"quantity": "50"}, False),
    ],
)
def test_the_old_shares_may_only_cost_less(change: dict[str, str | None], *, is_right: bool) -> None:
    assert (rules(judged(with_cells(spun_book(), "lots", 1, **change), SPUN)) == {}) is is_right


def test_a_price_that_fell_as_after_a_split_is_no_split_of_what_spun_another_off() -> None:
    assert rules(judged(spun_book(price="50"), SPUN)) == {}
    assert "split_suspected" in "|".join(rules(judged(spun_book(price="50"), "")).values())


def test_what_changed_its_name_and_then_spun_another_off() -> None:
    book = spun_book()
    for table in ("securities", "prices", "lots", "buy_list", "restrictions"):
        book |= {table: book[table].with_columns(pl.col("security_id").replace("STK", "STX"))}
    both = "STK | 2026-01-03 | identifier_change | | STX\nSTX | 2026-01-05 | spin_off | 1 | KID"
    assert rules(judged(book, both)) == {}
    assert set(judged(book, both.splitlines()[0]).accounts["account_id"]) == {"A1", "A2"}


def test_nothing_else_of_the_company_passes_to_what_it_spun_off() -> None:
    known = actions(SPUN)
    tables = parsed(book_then())
    assert all(in_current_terms(tables, known)[table].equals(tables[table]) for table in tables)
    bound = bound_under_both(tables["restrictions"], known)
    assert bound.equals(tables["restrictions"].select(bound.columns))


def test_neither_is_traded_across_a_spin_off() -> None:
    known = actions("STK | 2026-01-06 | spin_off | 1 | KID")
    closed = closed_to_trade(known, landed("").clear(), pl.Series(["STK", "KID", "BND"]), date(2026, 1, 6))
    assert closed["security_id"].to_list() == ["KID", "STK"]


@pytest.mark.parametrize(
    ("then", "now", "child", "last"),
    [("100", "70", "30", "70"), ("100", "45", "55", "45"), ("100", "40", "120", "100"), ("100", "70", None, "100")],
)
def test_the_last_price_is_less_what_was_spun_off_is_worth(then: str, now: str, child: str | None, last: str) -> None:
    rows = [("STK", now, then), *([("KID", child, None)] if child else [])]
    schema = {"security_id": pl.String, "price_usd": pl.String, "last_price_usd": pl.String}
    prices = pl.DataFrame(rows, schema, orient="row").cast(dict.fromkeys(list(schema)[1:], EXACT))
    found = less_spun_off(prices, actions(SPUN), date(2026, 1, 2))
    assert found["last_price_usd"][0] == Decimal(last)
    assert less_spun_off(prices, actions(SPUN), date(2026, 1, 5)).equals(prices)


@settings(max_examples=at_most(40))
@given(st.integers(1, 400), st.sampled_from(["0.1", "0.25", "0.333333", "1", "1.5", "3"]), st.booleans())
def test_any_holder_goes_on_with_what_a_spin_off_brings_and_waits_without_it(
    held: int,
    ratio: str,
    is_booked: bool,  # noqa: FBT001
) -> None:
    brought = floor(held * Decimal(ratio))
    then = with_cells(without_rows(book_then(), "lots", 2), "lots", 1, quantity=str(held))
    book = with_cells(without_rows(spun_book("0", "0"), "lots", 2), "lots", 1, quantity=str(held))
    lots = with_rows(book, "lots", f"A2 | KID | k | {floor(100 * Decimal(ratio))} | 1 | ")
    if is_booked and brought:
        lots = with_rows(lots, "lots", f"A1 | KID | k | {brought} | 1 | ")
    found = judged(lots, f"STK | 2026-01-05 | spin_off | {ratio} | KID", then=then)
    assert set(found.accounts["account_id"]) == (set() if is_booked or brought == 0 else {"A1"})
