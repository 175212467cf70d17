from itertools import combinations

import polars as pl
import pytest

from schemas.landing_columns import dtypes
from tasks.core.gate import HistoryLimits, gate_accounts, gate_globals
from tasks.core.gate.splits import RATIOS
from tests.support.history_book import (
    Book,
    book_then,
    history_of,
    judged,
    rules,
    sentences,
    with_cells,
    with_rows,
    without_rows,
)
from tests.support.landing_book import ACCOUNT_TABLES, AS_OF, GLOBAL_TABLES, parsed

BOTH_LOTS = {("lots", 1): "quantity_explained", ("lots", 2): "quantity_explained"}


def trade(book: Book, side: str, quantity: str, day: str = "2026-01-05", security: str = "STK") -> Book:
    """A trade of A1 at 100, and its cash."""
    settled = float(book["cash"]["settled_usd"][0]) + float(quantity) * (100 if side == "sell" else -100)
    book = with_cells(book, "cash", 1, settled_usd=f"{settled:.6f}")
    return with_rows(book, "trades", f"A1 | {security} | {day} | {side} | {quantity} | 100 | ")


def test_a_night_on_which_nothing_changed_breaks_nothing() -> None:
    own = judged(book_then())
    assert (own.quarantine.height, own.accounts.height, own.released.height) == (0, 0, 0)


def test_a_change_that_no_trade_explains_costs_the_account_and_is_told() -> None:
    book = with_cells(book_then(), "lots", 3, quantity="2100")
    own = judged(book)
    assert own.accounts.rows() == [("A1", "lots:quantity_explained")]
    assert own.quarantine["message"].to_list() == [
        (
            "lots row 3: quantity is 2100, 100 on 2026-01-02; "
            "needed trades that explain the change (bought 0, sold 0 since 2025-12-28)."
        )
    ]


def test_every_lot_of_the_security_bears_the_breach_and_no_other_lot() -> None:
    book = with_cells(book_then(), "lots", 1, quantity="200.5")
    assert rules(book) == BOTH_LOTS
    assert sentences(book)[1].startswith("quantity is 240.5 in 2 lots, 140 on 2026-01-02; needed trades")


@pytest.mark.parametrize(
    ("quantity", "is_explained"),
    [("108.4", True), ("108.400001", False), ("91.6", True), ("91.599999", False)],
)
def test_a_change_of_six_hundredths_of_the_holding_needs_no_trade(quantity: str, *, is_explained: bool) -> None:
    book = with_cells(book_then(), "lots", 1, quantity=quantity)
    assert (rules(book) == {}) == is_explained
    assert judged(book).small_changes == is_explained


@pytest.mark.parametrize(
    ("quantity", "is_explained"),
    [("1.06", True), ("1.060001", False), ("0.94", True), ("0.939999", False), ("0", False)],
)
def test_a_change_counts_however_small_the_holding_is_in_its_account(quantity: str, *, is_explained: bool) -> None:
    then = history_of(with_cells(book_then(), "lots", 3, quantity="1"))
    assert (rules(with_cells(book_then(), "lots", 3, quantity=quantity), then) == {}) == is_explained


@pytest.mark.parametrize(("quantity", "is_explained"), [("20", True), ("20.000001", False)])
def test_a_holding_that_appeared_is_measured_by_its_account_at_tonights_price(
    quantity: str, *, is_explained: bool
) -> None:
    then = history_of(without_rows(book_then(), "lots", 3))
    book = with_cells(book_then(), "lots", 3, quantity=quantity, unit_cost_usd="37.5")
    assert (rules(with_cells(book, "prices", 2, price_usd="37.5"), then) == {}) == is_explained


def test_the_limits_are_settings() -> None:
    history = history_of(book_then(), HistoryLimits(max_unexplained_position_fraction=0.1))
    assert rules(with_cells(book_then(), "lots", 1, quantity="114"), history) == {}
    assert rules(with_cells(book_then(), "lots", 1, quantity="114.01"), history) == BOTH_LOTS
    new = with_rows(book_then(), "lots", "A1 | OLD | 9 | 350 | 3 | 2020-01-02")
    assert rules(new) == {("lots", 6): "quantity_explained"}
    assert rules(new, history_of(book_then(), HistoryLimits(max_unexplained_fraction=0.0526))) == {}


@pytest.mark.parametrize(
    ("quantity", "side", "traded", "is_explained"),
    [
        ("160", "buy", "60", True),
        ("160.000001", "buy", "60", False),
        ("130", "buy", "60", True),
        ("40", "sell", "60", True),
        ("39.999999", "sell", "60", False),
        ("160", "sell", "60", False),
        ("40", "buy", "60", False),
    ],
)
def test_trades_explain_a_change_up_to_all_of_them(
    quantity: str, side: str, traded: str, *, is_explained: bool
) -> None:
    book = trade(with_cells(book_then(), "lots", 1, quantity=quantity), side, traded)
    assert (rules(book) == {}) == is_explained


@pytest.mark.parametrize(
    ("day", "is_explained"), [("2025-12-28", True), ("2025-12-27", False), ("2026-01-05", True), ("2026-01-06", False)]
)
def test_trades_explain_from_five_days_before_the_account_was_accepted_to_the_as_of_date(
    day: str, *, is_explained: bool
) -> None:
    book = trade(with_cells(book_then(), "lots", 1, quantity="160"), "buy", "60", day)
    assert (rules(book) == {}) == is_explained


def test_what_was_bought_and_sold_is_told() -> None:
    book = trade(with_cells(book_then(), "lots", 3, quantity="300"), "buy", "1.5", security="BND")
    book = with_rows(book, "trades", "A1 | STK | 2026-01-05 | sell | 7 | 100 | ")
    assert "(bought 1.5, sold 0 since 2025-12-28)." in sentences(book)[0]


def test_trades_of_another_account_or_security_explain_nothing() -> None:
    book = with_cells(book_then(), "lots", 1, quantity="160")
    stray = with_rows(book, "trades", "A2 | STK | 2026-01-05 | buy | 60 | 100 | ")
    assert rules(stray) == BOTH_LOTS
    assert rules(trade(book, "buy", "60", security="BND")) == BOTH_LOTS


def test_a_position_that_vanished_is_asked_for_at_the_account() -> None:
    book = without_rows(book_then(), "lots", 3)
    assert judged(book).accounts.rows() == [("A1", "accounts:quantity_explained")]
    assert rules(book) == {("accounts", 1): "quantity_explained"}
    assert sentences(book) == [
        (
            "quantity of BND is 0, 100 on 2026-01-02; needed trades that explain the change (bought 0, sold 0 since "
            "2025-12-28), or, in the table corporate_actions, the merger or change of identifier that took it."
        )
    ]


def test_each_position_that_vanished_has_its_sentence_and_the_rule_is_named_once() -> None:
    (row,) = judged(without_rows(book_then(), "lots", 1, 2, 3)).quarantine.rows(named=True)
    assert row["broken_rules"] == "quantity_explained"
    assert row["message"].count("needed trades") == 2
    assert "quantity of STK is 0, 140 on" in row["message"]


def test_a_position_that_was_sold_may_vanish_though_its_security_is_delisted() -> None:
    book = trade(without_rows(book_then(), "lots", 3, 5), "sell", "100", security="BND")
    book = with_cells(book, "cash", 3, settled_usd="5000")
    book = with_rows(book, "trades", "A3 | BND | 2026-01-05 | sell | 100 | 50 | ")
    gone = {table: book[table].filter(pl.col("security_id") != "BND") for table in ("securities", "prices", "buy_list")}
    own = judged(book | gone)
    assert own.accounts.is_empty()
    assert set(own.quarantine["broken_rules"]) == {"security_known"}


def test_what_vanished_is_asked_for_though_it_has_no_price_and_was_worth_little() -> None:
    book = with_rows(book_then(), "lots", "A1 | OLD | 1 | 1 | 3 | 2020-01-02")
    gone = without_rows(without_rows(book, "lots", 6), "prices", 3)
    assert rules(gone, history_of(book)) == {("accounts", 1): "quantity_explained"}


def test_a_transfer_in_is_a_change_without_a_trade() -> None:
    book = with_rows(book_then(), "lots", "A1 | OLD | 9 | 1000 | 1 | 2020-01-02")
    assert rules(book) == {("lots", 6): "quantity_explained"}
    assert sentences(book)[0].startswith("quantity is 1000, 0 on 2026-01-02; needed trades")


def test_lots_may_be_cut_and_renumbered_where_the_holding_stays() -> None:
    book = with_rows(without_rows(book_then(), "lots", 2), "lots", "A1 | STK | 7 | 40 | 80 | 2021-01-04")
    assert rules(book) == {}


def test_an_account_that_was_never_accepted_is_new() -> None:
    history = history_of(book_then())
    new = history_of(book_then() | {"accounts": book_then()["accounts"].filter(pl.col("account_id") != "A1")})
    book = without_rows(with_cells(book_then(), "lots", 1, quantity="9", acquired_date=None), "lots", 3)
    book = with_cells(book, "cash", 1, settled_usd="1000000")
    assert len(rules(book, history)) == 4
    assert rules(book, new) == {}


def test_without_a_night_before_nothing_is_compared() -> None:
    tables = parsed(without_rows(book_then(), "lots", 1))
    common = gate_globals({name: tables[name] for name in GLOBAL_TABLES}, {}, AS_OF)
    own = gate_accounts({name: tables[name] for name in ACCOUNT_TABLES}, common, {}, AS_OF)
    assert own.quarantine.is_empty()


@pytest.mark.parametrize("is_absent", [True, False])
def test_trades_that_were_not_delivered_explain_nothing(*, is_absent: bool) -> None:
    tables = parsed(with_cells(book_then(), "lots", 3, quantity="2100"))
    common = gate_globals({name: tables[name] for name in GLOBAL_TABLES}, {}, AS_OF)
    own = {name: tables[name] for name in ACCOUNT_TABLES if name != "trades" or not is_absent}
    found = gate_accounts(own, common, {}, AS_OF, history=history_of(book_then()))
    assert found.quarantine["broken_rules"].to_list() == ["quantity_explained"]


def test_an_account_that_lost_a_row_to_another_rule_is_not_compared() -> None:
    book = with_cells(with_cells(book_then(), "lots", 1, quantity="x"), "cash", 1, settled_usd="1000000")
    assert rules(book) == {("lots", 1): "quantity_readable"}


def test_an_account_with_a_broken_row_of_its_own_is_compared_all_the_same() -> None:
    book = with_cells(without_rows(book_then(), "lots", 3), "accounts", 1, model_id="nope")
    assert rules(book) == {("accounts", 1): "model_known|quantity_explained"}


# Splits.


def split(new: str, cost: str, price: str) -> Book:
    """A3's 100 shares of BND at a price of 50 and an unknown cost, changed."""
    book = with_cells(book_then(), "lots", 5, quantity=new, unit_cost_usd=cost or None)
    return with_cells(without_rows(book, "lots", 3), "prices", 2, price_usd=price)


def history_of_a3(cost: str | None = "40") -> Book:
    return with_cells(without_rows(book_then(), "lots", 3), "lots", 4, unit_cost_usd=cost)


@pytest.mark.parametrize(
    ("quantity", "cost", "price"),
    [("200", "20", "25"), ("200", "20", "31.25"), ("200", "20", "18.75"), ("201", "20", "25"), ("20", "200", "250")],
)
def test_a_split_with_its_price_and_its_costs_explains_the_change(quantity: str, cost: str, price: str) -> None:
    assert rules(split(quantity, cost, price), history_of(history_of_a3())) == {}


@pytest.mark.parametrize(
    ("quantity", "price", "rule"),
    [
        ("200", "50", "split_suspected"),
        ("200", "31.250001", "split_suspected"),
        ("200", "18.749999", "split_suspected"),
        ("201.000001", "25", "quantity_explained"),
        ("198.999999", "25", "quantity_explained"),
        ("600", "11.2", "quantity_explained"),
        ("125", "50", "split_suspected"),
        ("75", "50", "split_suspected"),
        ("80", "50", "split_suspected"),
    ],
)
def test_a_ratio_without_its_price_is_suspected_and_another_unexplained(quantity: str, price: str, rule: str) -> None:
    book, then = split(quantity, "", price), history_of(history_of_a3(None))
    assert rules(book, then) == {("lots", 4): rule}


def test_a_suspected_split_tells_quantity_price_and_trades() -> None:
    assert sentences(split("200", "", "50"), history_of(history_of_a3(None))) == [
        (
            "quantity is 200, 100 on 2026-01-02, as after a split of 2 for 1, and the price 50, 50 before; needed a price "
            "moved by the inverse, or trades that explain the change (bought 0, sold 0 since 2025-12-28)."
        )
    ]


@pytest.mark.parametrize("cost", ["40", "20.21", "", "0"])
def test_a_split_whose_costs_are_not_those_of_before_breaks_the_basis(cost: str) -> None:
    own = judged(split("200", cost, "25"), history_of(history_of_a3()))
    assert own.quarantine.select("landed_row", "broken_rules").rows() == [(4, "basis_unchanged")]


def test_the_costs_of_a_split_may_be_rounded() -> None:
    assert rules(split("200", "20.2", "25"), history_of(history_of_a3())) == {}


def test_a_split_of_renumbered_lots_is_held_to_the_cost_of_all() -> None:
    book, then = split("200", "20", "25"), history_of(history_of_a3())
    assert rules(with_cells(book, "lots", 4, lot_id="new"), then) == {}
    dear = with_cells(book, "lots", 4, lot_id="new", unit_cost_usd="21")
    assert rules(dear, then) == {("lots", 4): "basis_unchanged"}
    assert sentences(dear, then) == [
        (
            "unit_cost_usd is 21, which makes a cost of 4200 of all BND, 4000 on 2026-01-02 before a split of 2 for 1; "
            "needed the same total cost."
        )
    ]


def test_the_basis_of_a_split_matters_in_taxable_accounts_only() -> None:
    book = with_cells(split("200", "40", "25"), "accounts", 3, tax_status="tax_deferred")
    assert rules(book, history_of(history_of_a3())) == {}


def test_what_was_bought_outright_is_no_split_though_the_price_fell() -> None:
    book = with_rows(split("100", "40", "25"), "lots", "A3 | BND | 2 | 100 | 25 | 2026-01-05")
    book = with_cells(book, "cash", 3, settled_usd="-2500")
    book = with_rows(book, "trades", "A3 | BND | 2026-01-05 | buy | 100 | 25 | ")
    assert set(rules(book, history_of(history_of_a3())).values()) == {"split_suspected"}
    assert rules(with_cells(book, "prices", 2, price_usd="31"), history_of(history_of_a3())) == {}


def test_what_was_bought_lately_may_split() -> None:
    book = with_rows(split("200", "20", "25"), "trades", "A3 | BND | 2025-12-29 | buy | 100 | 40 | ")
    assert rules(book, history_of(history_of_a3())) == {}


@pytest.mark.parametrize(
    ("price", "is_odd"),
    [
        ("25", True),
        ("27.5", True),
        ("27.9", False),
        ("33.333333", True),
        ("35", False),
        ("60", False),
        ("100", True),
        ("500", True),
        ("9", True),
    ],
)
def test_the_holders_of_a_price_that_moved_as_after_a_split_wait(price: str, *, is_odd: bool) -> None:
    book = with_cells(without_rows(book_then(), "lots", 3), "prices", 2, price_usd=price)
    then = history_of(history_of_a3(None))
    assert rules(book, then) == ({("lots", 4): "split_suspected"} if is_odd else {})
    if is_odd:
        assert sentences(book, then) == [
            (
                f"quantity is 100, 100 on 2026-01-02, and the price {price}, 50 before, as after a split; needed a quantity that "
                "moved with it, or the split in the table corporate_actions."
            )
        ]


def test_no_quantity_is_near_two_ratios() -> None:
    sizes = [new / old for new, old in RATIOS]
    assert len(sizes) == 26
    assert all(abs(one / other - 1) > 0.0101 for one, other in combinations(sizes, 2))


def test_history_may_be_of_no_account() -> None:
    history = history_of({table: rows.clear() for table, rows in book_then().items()})
    assert rules(without_rows(book_then(), "lots", 1), history) == {}
    assert history.lots.schema == pl.Schema({n: t for n, t in dtypes("lots").items() if n != "is_frozen"})


@pytest.mark.parametrize("others", [0, 1, 30])
@pytest.mark.parametrize("cost", ["50", None])
def test_a_lot_listed_twice_under_another_name_is_no_split_and_never_small(others: int, cost: str | None) -> None:
    then = with_cells(book_then(), "lots", 3, unit_cost_usd=cost)
    then = with_rows(then, "lots", *(f"A1 | BND | o{n} | 100 | {40 + n} | 2019-03-0{n % 9 + 1}" for n in range(others)))
    tonight = with_rows(then, "lots", f"A1 | BND | again | 100 | {cost or ''} | 2020-01-02")
    found = judged(tonight, history_of(then))
    assert found.accounts.rows() == [("A1", "lots:quantity_explained")]
    assert all(
        "all lots of then are as they were, and others came; needed each lot once" in text
        for text in found.quarantine["message"]
    )
    bought = trade(tonight, "buy", "100", security="BND")
    assert "lots:quantity_explained" not in dict(judged(bought, history_of(then)).accounts.rows()).get("A1", "")


def test_a_dividend_that_was_reinvested_is_another_lot() -> None:
    then = book_then()
    tonight = with_rows(then, "lots", "A1 | BND | new | 5.123 | 50 | 2026-01-05")
    assert judged(tonight, history_of(then)).accounts.is_empty()
