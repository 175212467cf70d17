"""What the custodian says an account comes to, beside what came."""

import polars as pl
import pytest

from tasks.core.gate.totals import without_values
from tests.support.landing_book import gated, parsed, rows_of, sound_book


def judged(*rows: str, lots: pl.DataFrame | None = None) -> tuple[dict[str, str], list[str], list[str]]:
    """Reasons of the accounts quarantined, the messages, and the accounts vouched for."""
    book = {**sound_book(), "account_totals": rows_of("\n".join(["account_id | value_usd | lot_count", *rows]))}
    if lots is not None:
        book["lots"] = lots
    own = gated(parsed(book))[1]
    return dict(own.accounts.rows()), own.quarantine["message"].to_list(), own.vouched.to_list()


@pytest.mark.parametrize(
    "row", ["A1 | 1387.5 | 2", "A1 | | 2", "A1 | 1388.5 |", "A1 | 1386.5 |", "A1 | 1387.500000 | 2.0"]
)
def test_an_account_that_comes_to_its_totals_is_vouched_for(row: str) -> None:
    assert judged(row) == ({}, [], ["A1"])


def test_one_lot_too_few_is_told_with_both_numbers() -> None:
    reasons, messages, vouched = judged("A1 | | 3")
    assert reasons == {"A1": "account_totals:lot_count_as_delivered"}
    assert messages == ["account_totals.csv row 1: lot_count is 3; needed the number of lots that were delivered, 2."]
    assert vouched == []


@pytest.mark.parametrize(
    ("value", "is_off"),
    [("1394", False), ("1394.5", True), ("1380.6", False), ("1380", True), ("0", True), ("-1387.5", True)],
)
def test_the_value_may_differ_by_a_share_of_what_the_custodian_says(value: str, is_off: bool) -> None:  # noqa: FBT001
    reasons, messages, _ = judged(f"A1 | {value} |")
    assert (reasons == {"A1": "account_totals:value_usd_as_delivered"}) is is_off
    assert all("needed what lots and settled cash come to, 1387.5, within" in message for message in messages)


def test_totals_that_say_nothing_vouch_for_nothing() -> None:
    assert judged("A1 | |", "A9 | 5 | 1") == (
        {},
        ["account_totals.csv row 2: account_id is A9; needed an account of the table accounts."],
        [],
    )


def test_a_total_that_cannot_be_read_costs_its_account() -> None:
    assert judged("A1 | x | 2")[0] == {"A1": "account_totals:value_usd_readable"}
    assert judged("A1 | 1387.5 | 2", "A1 | 1387.5 | 2")[0] == {"A1": "account_totals:unique_account_id"}


def test_an_account_of_cash_alone_is_counted_too() -> None:
    lots = sound_book()["lots"].filter(pl.col("account_id") != "A3")
    assert judged("A3 | 0 | 0", lots=lots)[0] == {}
    assert judged("A3 | 150 | 1", lots=lots)[0] == {
        "A3": "account_totals:lot_count_as_delivered|account_totals:value_usd_as_delivered"
    }


def test_a_lot_that_is_broken_leaves_the_value_unjudged_and_vouches_for_nothing() -> None:
    lots = sound_book()["lots"].with_columns(security_id=pl.Series(["STK", "NOPE", "STK", "BND"]))
    reasons, _, vouched = judged("A1 | 1387.5 | 2", lots=lots)
    assert reasons == {"A1": "lots:security_known"}
    assert vouched == []


def test_totals_without_values_say_how_many_lots_there_are() -> None:
    totals = rows_of("account_id | value_usd | lot_count\nA1 | 9999 | 2\nA2 | 1 | 7")
    book = {**sound_book(), "account_totals": without_values(parsed({"account_totals": totals})["account_totals"])}
    whole = {**parsed(sound_book()), "account_totals": book["account_totals"]}
    own = gated(whole)[1]
    assert dict(own.accounts.rows()) == {"A2": "account_totals:lot_count_as_delivered"}
    assert own.vouched.to_list() == ["A1"]
