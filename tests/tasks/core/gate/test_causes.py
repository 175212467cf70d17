"""What stands behind quarantined rows, over what the real gate makes of the sound book with something broken in it."""

from collections.abc import Mapping

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import InputRefused
from tasks.core.gate.causes import Traced, behind_sentence, cause_text, causes_in_words, trace
from tests.support.examples import at_most
from tests.support.landing_book import BOOK, gated, parsed, rows_of, sound_book, spoilt, with_row

Book = Mapping[str, pl.DataFrame]


def traced(book: Book) -> Traced:
    common, own = gated(parsed(book))
    return trace(pl.concat([common.quarantine, own.quarantine]), own.accounts)


def causes(book: Book) -> dict[str, int]:
    """Each cause in words and the accounts that it cost."""
    return {cause_text(one): one["accounts"] for one in traced(book).causes.to_dicts()}


def kinds(book: Book) -> dict[str, set[tuple[str, int]]]:
    """Table and row of the rows of each kind."""
    rows = traced(book).rows
    return {
        kind: set(rows.filter(kind=kind).select("table_name", "row_number").rows())
        for kind in ("cause", "own", "consequence")
    }


@pytest.mark.parametrize(
    ("book", "cause"),
    [
        (spoilt("prices", 1, price_usd="x"), "prices.csv row 1 (price_usd_readable)"),
        (spoilt("prices", 1, security_id="S TK"), "prices.csv row 1 (security_id_identifier)"),
        (spoilt("prices", 1, security_id=None), "prices.csv row 1 (security_id_required)"),
        (spoilt("securities", 1, half_spread_bps="x"), "securities.csv row 1 (half_spread_bps_readable)"),
        (spoilt("model_targets", 1, target_weight="x"), "model_targets.csv row 1 (target_weight_readable)"),
        (spoilt("households", 1, policy_id="no policy"), "households.csv row 1 (policy_id_identifier)"),
        (spoilt("location_preferences", 1, cost_bps="x"), "location_preferences.csv row 1 (cost_bps_readable)"),
        (spoilt("buy_list", 1, rank="x"), "buy_list.csv row 1 (rank_readable)"),
    ],
)
def test_a_broken_row_of_a_common_table_stands_before_the_accounts_that_it_cost(book: Book, cause: str) -> None:
    assert causes(book) == {cause: 2}
    assert not kinds(book)["own"]
    assert len(kinds(book)["cause"]) == 1


def test_rows_that_fail_together_are_one_cause() -> None:
    assert causes(spoilt("model_targets", 1, target_weight="0.6")) == {
        "model_targets.csv row 1, model_targets.csv row 2, model_targets.csv row 3 (model_weights_sum_to_one)": 2
    }
    book = sound_book()
    book["prices"] = pl.concat([book["prices"], book["prices"].head(1)])
    assert causes(book) == {"prices.csv row 1, prices.csv row 4 (unique_security_id)": 2}


def test_what_did_not_come_at_all_is_a_cause_where_it_costs_somebody() -> None:
    book = sound_book()
    book["prices"] = book["prices"].filter(pl.col("security_id") != "STK")
    assert causes(book) == {"no good row of STK in prices (security_has_price; lots.csv row 1 needs it)": 2}
    assert causes(spoilt("accounts", 3, model_id="new")) == {
        "no good row of new in model_targets (model_known; accounts.csv row 3 needs it)": 1
    }
    assert causes(spoilt("buy_list", 1, security_id="XYZ")) == {
        "no good row of XYZ in securities (security_known; buy_list.csv row 1 needs it)": 2
    }


def test_of_a_cause_stands_which_rows_it_is_and_what_the_first_was_found_to_be() -> None:
    (found,) = causes_in_words(traced(spoilt("prices", 1, price_usd="x")).causes)
    assert (found["text"], found["found"]) == (
        "prices.csv row 1 (price_usd_readable)",
        "price_usd is x; needed a number of at most 12 digits before the point and 6 after it.",
    )
    (gone,) = causes_in_words(traced(spoilt("accounts", 3, model_id="new")).causes)
    assert gone["text"] == cause_text(gone)
    assert gone["found"] == "model_id is new; needed a model with good rows in the table model_targets."


def test_what_nobody_needs_stands_for_itself() -> None:
    book = with_row("prices", security_id="XYZ", price_usd="1", price_date="2026-01-05")
    assert causes(book) == {"prices.csv row 4 (security_known)": 0}
    delisted = with_row(
        "trades", account_id="A1", security_id="GONE", trade_date="2025-12-20", side="buy", quantity="2", price_usd="1"
    )
    found = traced(delisted).rows.select("table_name", "kind", "accounts").rows()
    assert ("trades", "own", 0) in found


def test_a_security_that_is_lost_is_not_behind_a_model_that_only_lists_it() -> None:
    book = spoilt("model_targets", 1, target_weight="x")
    book["securities"] = spoilt("securities", 3, symbol=None)["securities"]
    book["buy_list"] = with_row("buy_list", model_id="growth", asset_class="stocks", security_id="OLD", rank="2")[
        "buy_list"
    ]
    found = causes(book)
    assert found["model_targets.csv row 1 (target_weight_readable)"] == 2
    assert found["securities.csv row 3 (symbol_required)"] == 0


@pytest.mark.parametrize(("text", "account"), [("a3", "A3"), ("A-1", "A1")])
def test_a_row_of_nobodys_account_names_the_accounts_that_it_cost(text: str, account: str) -> None:
    found = traced(with_row("lots", account_id=text, security_id="STK", lot_id="7", quantity="1"))
    assert found.costs.select("name", "account_id").rows() == [(text, account)]
    assert found.rows.select("kind", "accounts").rows() == [("cause", 1)]


def test_a_row_that_names_nobody_costs_those_whom_no_other_could_mean() -> None:
    book = with_row("lots", security_id="STK", lot_id="7", quantity="1")
    named = with_row("lots", account_id="a3", security_id="STK", lot_id="8", quantity="1")["lots"].tail(1)
    trailer = pl.DataFrame({name: [None] for name in named.columns}, schema=named.schema)
    book["lots"] = pl.concat([book["lots"], named, trailer])
    found = traced(book).causes.select("name", "accounts", "places")
    assert [row for row in found.rows() if row[1]] == [(None, 2, ["lots.csv row 5"]), ("a3", 1, ["lots.csv row 6"])]


def test_a_column_of_something_else_is_one_cause_and_not_one_a_row() -> None:
    book = sound_book()
    lot = book["lots"].row(3, named=True)
    wrong = [{**lot, "account_id": f"page {number}", "lot_id": f"9{number}"} for number in range(50)]
    book["lots"] = pl.concat([book["lots"], pl.DataFrame(wrong, schema=book["lots"].schema)])
    (found,) = traced(book).causes.to_dicts()
    assert (found["rows"], found["accounts"], found["name"]) == (50, 3, None)
    assert cause_text(found) == "lots.csv row 5, lots.csv row 6, lots.csv row 7 and 47 more (account_id_identifier)"


def test_rows_of_an_account_whose_own_row_cannot_be_read_are_behind_that() -> None:
    book = spoilt("accounts", 1, account_id="A 1")
    assert kinds(book)["own"] == {("accounts", 1)}
    assert ("lots", 1) in kinds(book)["consequence"]


def test_an_account_that_breaks_rules_by_itself_is_its_own_cause() -> None:
    found = traced(spoilt("lots", 1, quantity="-5"))
    assert found.causes.is_empty()
    assert found.own.rows() == [("quantity_not_negative", 1, 1)]


def test_a_row_that_breaks_more_than_it_inherits_is_no_mere_consequence() -> None:
    book = spoilt("lots", 1, quantity="-5")
    book["prices"] = spoilt("prices", 1, price_usd="x")["prices"]
    assert kinds(book) == {"cause": {("prices", 1)}, "own": {("lots", 1)}, "consequence": {("lots", 3)}}


def test_what_costs_most_comes_first_and_consequences_last() -> None:
    book = spoilt("lots", 4, quantity="-5")
    book["prices"] = spoilt("prices", 1, price_usd="x")["prices"].with_columns(
        price_usd=pl.when(pl.col("security_id") == "OLD").then(pl.lit("y")).otherwise("price_usd")
    )
    rows = traced(book).rows
    assert rows.select("table_name", "row_number", "accounts").rows() == [
        ("prices", 1, 2),
        ("prices", 3, 0),
        ("lots", 4, 1),
        ("lots", 1, 1),
        ("lots", 3, 1),
    ]


def test_the_sentence_says_causes_before_rows_of_the_accounts_own_and_names_no_account() -> None:
    book = spoilt("lots", 4, quantity="-5")
    book["prices"] = spoilt("prices", 1, price_usd="x")["prices"]
    said = behind_sentence(traced(book))
    assert said == (
        "prices.csv row 1 (price_usd_readable) cost 2 accounts; rows of their own cost 1 account (quantity_not_negative 1)."
    )
    assert behind_sentence(traced(sound_book())) == ""


def test_a_sentence_stays_short() -> None:
    book = sound_book()
    book["lots"] = rows_of(
        "account_id | security_id | lot_id | quantity\n"
        + "\n".join(f"A1 | X{number} | {number} | 1" for number in range(9))
    )
    said = behind_sentence(traced(book))
    assert "; 6 more causes." in said
    assert len(said) < 500


CELLS = [
    (table, row + 1, column)
    for table, text in BOOK.items()
    for row in range(rows_of(text).height)
    for column in rows_of(text).columns
]


@settings(max_examples=at_most(30), deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(CELLS), st.sampled_from(["x y", "zz", None, "-1", "a1", "G-rowth"])),
        min_size=1,
        max_size=3,
    )
)
def test_every_account_that_is_quarantined_has_a_cause_and_every_row_a_place(
    damages: list[tuple[tuple[str, int, str], str | None]],
) -> None:
    book = sound_book()
    for (table, row, column), text in damages:
        here = pl.int_range(pl.len()) == row - 1
        book[table] = book[table].with_columns(
            pl.when(here).then(pl.lit(text, pl.String)).otherwise(column).alias(column)
        )
    try:
        common, own = gated(parsed(book))
    except InputRefused:
        return
    quarantine = pl.concat([common.quarantine, own.quarantine])
    found = trace(quarantine, own.accounts)
    key = ["table_name", "landed_row"]
    assert found.rows.select(quarantine.columns).sort(key).equals(quarantine.sort(key)), "no row is lost"
    of_own = found.rows.filter(pl.col("accounts") > 0, kind="own")["account_id"]
    explained = {*found.costs["account_id"], *of_own}
    assert explained == set(own.accounts["account_id"])
    behind = found.behind.select(key).unique()
    assert found.rows.filter(kind="consequence").join(behind, on=key, how="anti").is_empty()
    assert found.rows.sample(fraction=1.0, shuffle=True, seed=1).height == quarantine.height
    again = trace(quarantine.sample(fraction=1.0, shuffle=True, seed=1), own.accounts)
    assert again.rows.equals(found.rows)
    assert again.causes.equals(found.causes)
