from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.executions import EXECUTIONS, SENT_ORDERS
from tasks.core.reconcile.matching import SAID, match_executions
from tasks.core.reconcile.security_names import known_names

ORDERS = pl.DataFrame(
    [
        {
            "order_id": name,
            "block_id": f"block-{side}",
            "account_id": account,
            "side": side,
            "security_id": "S2",
            "symbol": "BRK.B",
            "quantity": Decimal(10),
        }
        for name, account, side in (("o1", "A1", "buy"), ("o2", "A2", "buy"), ("o3", "A1", "sell"))
    ],
    schema=SENT_ORDERS,
)
KNOWN = {"execution_id": pl.String(), "order_id": pl.String(), "block_id": pl.String()} | {
    name: EXECUTIONS[name] for name in SAID
}


def fill(name: str, about: str | None = "o1", **other: Any) -> dict[str, Any]:
    basic = {"execution_id": name, "kind": "fill", "client_order_id": about, "quantity": Decimal(4)}
    return basic | {"price_usd": Decimal(9), "side": "buy"} | other


def table(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([{"row_number": place, **row} for place, row in enumerate(rows, 1)], schema=EXECUTIONS)


def known(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([{"order_id": "o1", **row} for row in rows], schema=KNOWN)


def told(*rows: dict[str, Any], before: pl.DataFrame | None = None) -> tuple[list[str], list[tuple[int, str, str]]]:
    """Ids taken; row, code and sentence of the others."""
    accepted, aside = match_executions(table(*rows), "broker", ORDERS, known() if before is None else before)
    assert accepted.height + aside.height == len(rows)
    return accepted["execution_id"].to_list(), aside.select("row_number", "code", "message").rows()


def test_an_execution_is_about_the_order_or_the_block_that_it_names() -> None:
    accepted, aside = match_executions(table(fill("e1"), fill("e2", "block-buy")), "broker", ORDERS, known())
    assert aside.is_empty()
    assert accepted.select("source", "execution_id", "order_id", "block_id").rows() == [
        ("broker", "e1", "o1", None),
        ("broker", "e2", None, "block-buy"),
    ]


def test_a_bust_without_a_name_is_about_what_its_fill_is_about() -> None:
    bust = {"execution_id": "x", "kind": "bust", "reference_id": "e1"}
    accepted, _ = match_executions(table(bust, fill("e1")), "broker", ORDERS, known())
    assert accepted.select("execution_id", "order_id").rows() == [("x", "o1"), ("e1", "o1")]
    accepted, _ = match_executions(table(bust), "broker", ORDERS, known(fill("e1")))
    assert accepted.select("execution_id", "order_id").rows() == [("x", "o1")]


def test_a_correction_that_names_another_order_than_its_fill_is_set_aside() -> None:
    wrong = fill("c", "o3", kind="correct", reference_id="e1", side="sell")
    sentence = "execution c is about another order than e1, which it changes"
    assert told(fill("e1"), wrong) == (["e1"], [(2, "conflicting", sentence)])
    assert told(wrong, before=known(fill("e1"))) == ([], [(1, "conflicting", sentence)])
    assert told(fill("c", kind="correct", reference_id="e1"), before=known(fill("e1"))) == (["c"], [])


def test_what_has_no_name_is_followed_through_others_that_have_none() -> None:
    chain = [
        {"execution_id": "x3", "kind": "bust", "reference_id": "x2"},
        {"execution_id": "x2", "kind": "correct", "reference_id": "x1", "quantity": 1, "price_usd": 1},
        {"execution_id": "x1", "kind": "correct", "reference_id": "e1", "quantity": 1, "price_usd": 1},
    ]
    for rows in (chain, chain[::-1]):
        accepted, _ = match_executions(table(*rows, fill("e1")), "broker", ORDERS, known())
        assert set(accepted["order_id"]) == {"o1"}
        assert accepted.height == 4
    accepted, _ = match_executions(table(*chain), "broker", ORDERS, known(fill("e1")))
    assert accepted["order_id"].to_list() == ["o1"] * 3


def test_what_leads_round_in_a_circle_is_about_nothing() -> None:
    circle = [
        {"execution_id": "x1", "kind": "bust", "reference_id": "x2"},
        {"execution_id": "x2", "kind": "bust", "reference_id": "x1"},
    ]
    accepted, aside = match_executions(table(*circle), "broker", ORDERS, known())
    assert accepted.is_empty()
    assert aside["message"].to_list() == [
        "execution x1 changes x2, which leads to no order that left",
        "execution x2 changes x1, which leads to no order that left",
    ]


def test_an_order_that_never_left_is_named() -> None:
    assert told(fill("e1", "o9"), {"execution_id": "x", "kind": "bust", "reference_id": "gone"}, fill("e2")) == (
        ["e2"],
        [
            (1, "unknown_order", "execution e1 is about o9, which never left in an export"),
            (2, "unknown_order", "execution x changes gone, which leads to no order that left"),
        ],
    )


def test_what_is_known_already_says_nothing_new() -> None:
    assert told(fill("e1"), fill("e2"), before=known(fill("e1"))) == (
        ["e2"],
        [(1, "duplicate", "execution e1 is known already")],
    )
    assert told(fill("e1"), fill("e1")) == (
        ["e1"],
        [(2, "duplicate", "execution e1 stands in the file already, in row 1")],
    )


def test_of_two_truths_the_first_told_stands_and_in_one_file_neither() -> None:
    other = fill("e1", quantity=Decimal(5))
    assert told(other, before=known(fill("e1"))) == (
        [],
        [(1, "conflicting", "execution e1 was told otherwise before; what was told first stands")],
    )
    (aside,) = told(other | {"trade_date": date(2026, 1, 6)}, before=known(fill("e1", trade_date=date(2026, 1, 5))))[1]
    assert aside[2].startswith("execution e1 was told before, of 2026-01-05; what was told first stands\n\nHint: ")
    sentence = "execution e1 stands in the file more than once and not the same; none of them is taken"
    assert told(fill("e1"), other, fill("e2")) == (["e2"], [(1, "conflicting", sentence), (2, "conflicting", sentence)])


@pytest.mark.parametrize(
    ("changed", "code", "sentence"),
    [
        ({"side": "sell"}, "wrong_side", "execution e1 is a sell, the order is a buy"),
        ({"security_id": "S1"}, "wrong_security", "execution e1 is in S1, the order in S2"),
        ({"symbol": "BRK A"}, "wrong_security", "execution e1 is in BRK A, the order in BRK.B"),
        ({"account_id": "A2"}, "wrong_account", "execution e1 is of another account than its order"),
    ],
)
def test_what_does_not_fit_its_order_is_set_aside(changed: dict[str, Any], code: str, sentence: str) -> None:
    assert told(fill("e1", **changed)) == ([], [(1, code, sentence)])


@pytest.mark.parametrize(
    "changed",
    [
        {"symbol": "BRK B"},
        {"symbol": "brk/b"},
        {"symbol": "BRK.B", "security_id": "084670702"},
        {"account_id": "A1"},
        {"side": None},
    ],
)
def test_other_ways_to_say_the_same_fit(changed: dict[str, Any]) -> None:
    assert told(fill("e1", **changed)) == (["e1"], [])


LABELLED = ORDERS.with_columns(cusip=pl.lit("084670702"), isin=pl.lit("US0846707026"))


@pytest.mark.parametrize("name", ["S2", "084670702", "US0846707026"])
def test_a_security_may_be_named_by_what_the_order_left_with(name: str) -> None:
    accepted, aside = match_executions(table(fill("e1", security_id=name)), "broker", LABELLED, known())
    assert (accepted.height, aside.height) == (1, 0)
    _, aside = match_executions(table(fill("e1", security_id="594918104")), "broker", LABELLED, known())
    assert aside["code"].to_list() == ["wrong_security"]


SINCE = date(2026, 1, 7)
RENAMED = pl.DataFrame(
    [("S2", "S9", SINCE), ("S9", "S10", date(2026, 1, 20)), ("S2", "S10", date(2026, 1, 20))],
    schema={"former_id": pl.String, "security_id": pl.String, "effective_date": pl.Date},
    orient="row",
)
LISTED = pl.DataFrame({"security_id": ["S9", "S10", "S1"], "symbol": ["NEW", "NEWER", "OTHER"]})
NAMES = known_names(RENAMED, LISTED)


def renamed(names: pl.DataFrame = NAMES, **said: Any) -> list[str]:
    """Codes of a fill of an order of S2, BRK.B, that says so."""
    day = said.pop("trade_date", SINCE)
    _, aside = match_executions(table(fill("e1", trade_date=day, **said)), "broker", ORDERS, known(), names)
    return aside["code"].to_list()


@pytest.mark.parametrize(
    "said",
    [
        {"symbol": "NEW"},
        {"symbol": "new", "security_id": "S9"},
        {"security_id": "S9"},
        {"symbol": "NEW", "security_id": "S2"},
        {"symbol": "BRK.B", "security_id": "S9"},
        {"symbol": "NEW", "security_id": "conid-77"},
    ],
)
def test_a_fill_under_the_new_name_is_the_orders_from_the_day_of_the_change_on(said: dict[str, Any]) -> None:
    assert renamed(**said) == []
    assert renamed(**said, trade_date=None) == [], "a day that is not said excludes nothing"
    is_new = said.get("symbol", "NEW") != "BRK.B"
    assert renamed(**said, trade_date=date(2026, 1, 6)) == (["wrong_security"] if is_new else []), "a day too early"
    assert renamed(pl.DataFrame(schema=NAMES.schema), **said) == (["wrong_security"] if is_new else [])


@pytest.mark.parametrize("said", [{"symbol": "OTHER"}, {"security_id": "S1"}, {"symbol": "OTHER", "security_id": "S9"}])
def test_another_security_is_another_under_whatever_name(said: dict[str, Any]) -> None:
    assert renamed(**said) == ["wrong_security"]


def test_a_name_that_changed_twice_is_known_from_its_own_day_on() -> None:
    assert renamed(symbol="NEWER") == ["wrong_security"]
    assert renamed(symbol="NEWER", trade_date=date(2026, 1, 20)) == []


def test_a_ticker_that_changed_under_the_same_identifier_is_known() -> None:
    names = known_names(RENAMED.clear(), pl.DataFrame({"security_id": ["S2", "S1"], "symbol": ["FRESH", "OTHER"]}))
    assert renamed(names, symbol="FRESH") == []
    assert renamed(names, symbol="FRESH", security_id="S2") == []
    assert renamed(names, symbol="OTHER") == ["wrong_security"]


def test_a_fill_of_a_block_is_of_no_account() -> None:
    assert told(fill("e1", "block-buy", account_id="OMNIBUS")) == (["e1"], [])


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["o1", "o9", None, "block-sell"]), st.integers(1, 2)),
        max_size=8,
    )
)
def test_every_row_ends_up_somewhere_and_once(rows: list[tuple[str, str | None, int]]) -> None:
    found = table(*(fill(name, about, quantity=Decimal(units)) for name, about, units in rows))
    accepted, aside = match_executions(found, "broker", ORDERS, known())
    assert sorted([*accepted["row_number"], *aside["row_number"]]) == list(range(1, len(rows) + 1))
    assert accepted["execution_id"].is_unique().all()
