"""A rule about an account that is gone: what it forbade is never done in silence, and nobody waits for what changes nothing."""

from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.enums import RestrictionRule
from schemas.stored import INTERNAL
from tasks.core.gate import GatedAccounts, History
from tasks.core.gate.kept_rules import lost_rules
from tasks.core.gate.restrictions import check_restrictions
from tasks.core.gate.rows import check_table
from tests.support.examples import at_most
from tests.support.history_book import Book, book_then, history_of, judged, sentences, with_cells, without_rows
from tests.support.landing_book import ACCOUNT_TABLES, gated_commons, parsed, rows_of

AIM = {
    "no_buy": {"add"},
    "no_sell": {"sell"},
    "no_trade": {"add", "sell"},
    "no_new": {"open"},
    "hold_range": {"leave the range"},
}
"""By rule: what it is there to forbid."""
HEAD = "account_id | security_id | rule | until_date | min_quantity | max_quantity | min_value_usd | max_value_usd"
HELD = {("A1", "STK"), ("A1", "BND"), ("A2", "STK"), ("A3", "BND")}
LISTED = {"A1": {"STK", "BND"}, "A2": {"STK", "BND"}, "A3": {"BND"}}


def restricted(book: Book, rows: list[tuple[str, str, str]]) -> Book:
    limits = {"hold_range": "1"}
    lines = [f"{who} | {what} | {rule} | | {limits.get(rule, '')} | | |" for who, what, rule in rows]
    return book | {"restrictions": rows_of("\n".join([HEAD, *lines]))}


def history_with(book: Book) -> History:
    """The book as the night before, with its restrictions and managed households."""
    tables = parsed({name: book[name] for name in (*ACCOUNT_TABLES, "households")})
    own = tables["restrictions"].filter(pl.col("account_id").is_not_null())
    members = tables["accounts"].join(tables["households"], on="household_id", how="semi")
    rules = pl.concat(
        [
            pl.DataFrame(schema=INTERNAL["carried_rules"]),
            own.select("account_id", "security_id", "rule", "until_date"),
            members.select("account_id", "household_id"),
        ],
        how="diagonal",
    )
    return replace(history_of(book), rules=rules)


def after(then: Book, tonight: Book, **options: Any) -> GatedAccounts:
    return judged(tonight, history_with(then), **options)


def forbidden(rows: list[tuple[str, str, str]], who: str, what: str) -> set[str]:
    """What may not be done, written once more in another way."""
    mine = {rule for account, security, rule in rows if account in (who, "") and security == what}
    found = set()
    if mine & {"no_buy", "no_trade"}:
        found |= {"add", "open"}
    if mine & {"no_sell", "no_trade"}:
        found |= {"sell"}
    if mine & {"no_new"}:
        found |= {"open"}
    if mine & {"hold_range", "no_trade"}:
        found |= {"leave the range"}
    return found


def gone_rules(then: list[tuple[str, str, str]], tonight: list[tuple[str, str, str]]) -> set[str]:
    """Accounts of which a restriction of their own is gone, and could be felt."""
    waits = set()
    for who, what, rule in then:
        if not who:
            continue
        lost = AIM[rule] - forbidden(tonight, who, what)
        could_sell = rule in {"no_trade", "no_sell", "hold_range"} and (who, what) in HELD
        could_buy = rule != "no_sell" and what in LISTED[who]
        if lost and (could_sell or could_buy):
            waits.add(who)
    return waits


tables_of_restrictions = st.lists(
    st.tuples(
        st.sampled_from(["A1", "A2", "A3", ""]),
        st.sampled_from(["STK", "BND", "OLD"]),
        st.sampled_from(list(RestrictionRule)),
    ),
    max_size=6,
)


def lost(then: list[tuple[str, str, str]], tonight: list[tuple[str, str, str]]) -> set[str]:
    """Accounts that wait, by the rule alone."""
    tables = parsed(restricted(book_then(), tonight))
    rows, accounts = tables["restrictions"], check_table("accounts", tables["accounts"])
    is_everyones = pl.col("account_id").is_null()
    common = replace(
        gated_commons(parsed(book_then()), {}), everyones=rows.filter(is_everyones).select("security_id", "rule")
    )
    own = check_restrictions(rows.filter(~is_everyones))
    checked = {"accounts": accounts, "restrictions": own}
    found = lost_rules(checked, tables["lots"], common, history_with(restricted(book_then(), then)))
    return set(accounts.rows.join(found, on="row_number", how="semi")["account_id"])


@settings(max_examples=at_most(80))
@given(tables_of_restrictions, tables_of_restrictions, st.sampled_from(["kept", "replaced"]))
def test_an_account_waits_exactly_where_something_forbidden_would_be_allowed(
    then: list[tuple[str, str, str]], more: list[tuple[str, str, str]], way: str
) -> None:
    tonight = [*then[::2], *more] if way == "kept" else more
    assert lost(then, tonight) == gone_rules(then, tonight)
    assert lost(then, then[::-1]) == set()


def test_it_says_what_is_gone_and_what_would_do() -> None:
    then = book_then()
    (said,) = sentences(without_rows(then, "restrictions", 1), history_with(then))
    assert said == (
        "rule of STK is empty, no_sell on 2026-01-02; needed a row of the table restrictions that forbids as much, "
        "or a person who knows that it was lifted."
    )


def test_a_person_may_say_that_it_was_lifted() -> None:
    then, tonight = book_then(), without_rows(book_then(), "restrictions", 1)
    before = after(then, tonight)
    assert before.accounts.rows() == [("A1", "accounts:restriction_kept")]
    own = after(then, tonight, released=frozenset(before.quarantine["quarantine_id"]))
    assert own.accounts.is_empty()


@pytest.mark.parametrize("status", ["frozen", "active"])
def test_a_household_that_was_managed_together_is_not_managed_apart_in_silence(status: str) -> None:
    then = book_then()
    tonight = with_cells(without_rows(then, "households", 1), "accounts", 2, status=status)
    assert after(then, tonight).accounts.rows() == [
        ("A1", "accounts:household_kept"),
        ("A2", "accounts:household_kept"),
    ]


def test_who_leaves_a_household_or_closes_waits_for_nothing() -> None:
    then = book_then()
    tonight = with_cells(without_rows(then, "households", 1), "accounts", 1, household_id=None)
    tonight = with_cells(without_rows(tonight, "restrictions", 1, 3), "accounts", 2, status="closed")
    assert after(then, tonight).accounts.rows() == [("A1", "accounts:restriction_kept")]


def test_a_row_that_is_there_and_broken_is_not_gone_too() -> None:
    then = book_then()
    tonight = with_cells(then, "restrictions", 1, rule="no_sel")
    assert after(then, tonight).accounts.rows() == [("A1", "restrictions:rule_known")]
    broken = with_cells(then, "households", 1, model_id="nope")
    assert {reason for _, reason in after(then, broken).accounts.rows()} == {"accounts:household_whole"}


def test_a_new_account_misses_nothing() -> None:
    then = book_then()
    history = history_with(then)
    history = replace(history, accepted=history.accepted.filter(pl.col("account_id") != "A1"))
    assert judged(without_rows(then, "restrictions", 1), history).accounts.is_empty()


@pytest.mark.parametrize("rule", RestrictionRule)
def test_every_rule_is_missed_where_nothing_else_forbids_as_much(rule: str) -> None:
    gone = [("A1", "STK", rule)]
    own = after(restricted(book_then(), gone), restricted(book_then(), []))
    assert own.accounts.rows() == [("A1", "accounts:restriction_kept")]
    assert gone_rules(gone, []) == {"A1"}
