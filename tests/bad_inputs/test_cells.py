"""Cells that are not what their column holds: never guessed, never dropped, and an account that needs them is not traded."""

from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tests.bad_inputs.deliver import Judged, Spoil, cell, delivered, rows
from tests.support.landing_book import sound_book, write_book

NUMBER = "a number of at most 12 digits before the point and 6 after it"
IDENTIFIER = "1 to 64 characters of A-Z a-z 0-9 . _ - (not . or .. alone)"
DATE = "a date as YYYY-MM-DD"
NO_MODEL = "accounts:household_whole|accounts:model_known"
MODEL_LOST = dict.fromkeys(("A1", "A2"), "accounts:household_whole|accounts:model_known")
"""What accounts of the model growth break when a row of its buy list or its preferences is broken."""
ESCAPE, BIDI, NARROW = "\x1b", "\u202e", "\u200b"


def own(found: Judged, file: str) -> list[str]:
    """Messages on rows of one file."""
    return [message for message in found.messages if message.startswith(f"{file}.csv ")]


NO_NUMBERS = [
    *("1,000", "1.000,00", "1 000", "1'000", "1_000", "$5", "\u20ac5", "5 USD", "5%", "5-", "(5)", "--5", "1/2"),
    *("NaN", "nan", "inf", "-inf", "Infinity", "1e400", "-1e400", "1e-7", "0x10", "0b1", "1e", "e5", "."),
    *("1234567890123", "999999999999999999999", "0.1234567", "five", "TRUE", "\uff11\uff12", "\u0663", "\u00bd"),
    *("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "N/A", "n/a", "null", "NULL", "None", "-", "\u22125", "=1+1"),
]


def test_what_is_no_plain_number_is_not_made_one(tmp_path: Path) -> None:
    found = delivered(tmp_path, rows("lots", 3, "quantity", NO_NUMBERS, lot_id="lot{}"))
    assert found.verdicts == {"A2": "lots:quantity_readable"}
    assert list(found.messages) == [
        f"lots.csv row {row}: quantity is {text}; needed {NUMBER}." for row, text in enumerate(NO_NUMBERS, 5)
    ]


@pytest.mark.parametrize(
    ("spoil", "message", "verdicts"),
    [
        (cell("lots", 3, quantity="-5"), "lots.csv row 3: quantity is -5; needed a number of 0 or more.", {"A2": "lots:quantity_not_negative"}),
        (cell("lots", 3, quantity=None), "lots.csv row 3: quantity is empty; needed a number of 0 or more.", {"A2": "lots:quantity_required"}),
        (cell("lots", 3, quantity="  "), "lots.csv row 3: quantity is empty; needed a number of 0 or more.", {"A2": "lots:quantity_required"}),
        (cell("lots", 1, unit_cost_usd="-1"), "lots.csv row 1: unit_cost_usd is -1; needed a number of 0 or more.", {"A1": "lots:unit_cost_usd_not_negative"}),
        (cell("lots", 1, unit_cost_usd="n/a"), f"lots.csv row 1: unit_cost_usd is n/a; needed {NUMBER}.", {"A1": "lots:unit_cost_usd_readable"}),
        (cell("cash", 1, settled_usd=None), f"cash.csv row 1: settled_usd is empty; needed {NUMBER}.", {"A1": "cash:settled_usd_required"}),
        (cell("accounts", 1, short_term_rate="37"), "accounts.csv row 1: short_term_rate is 37; needed a number from 0 to 1.", {"A1": "accounts:short_term_rate_between_0_and_1"}),
        (cell("accounts", 1, short_term_rate="37%"), "accounts.csv row 1: short_term_rate is 37%; needed a finite number.", {"A1": "accounts:short_term_rate_readable"}),
        (cell("accounts", 1, cash_reserve_usd="-1"), "accounts.csv row 1: cash_reserve_usd is -1; needed a number of 0 or more.", {"A1": "accounts:cash_reserve_usd_not_negative"}),
        (cell("accounts", 1, tax_status="Taxable"), "accounts.csv row 1: tax_status is Taxable; needed one of taxable, tax_deferred, tax_exempt.", {"A1": "accounts:tax_status_known"}),
        (cell("accounts", 1, tax_status="roth"), "accounts.csv row 1: tax_status is roth; needed one of taxable, tax_deferred, tax_exempt.", {"A1": "accounts:tax_status_known"}),
        (cell("trades", 1, side="SELL"), "trades.csv row 1: side is SELL; needed one of buy, sell.", {"A1": "trades:side_known"}),
        (cell("trades", 1, price_usd="0"), "trades.csv row 1: price_usd is 0; needed a number above 0.", {"A1": "trades:price_usd_positive"}),
        (cell("buy_list", 1, rank="1.5"), "buy_list.csv row 1: rank is 1.5; needed a whole number.", MODEL_LOST),
        (cell("buy_list", 1, rank="0"), "buy_list.csv row 1: rank is 0; needed a number of 1 or more.", MODEL_LOST),
        (cell("buy_list", 1, rank="first"), "buy_list.csv row 1: rank is first; needed a whole number.", MODEL_LOST),
        (cell("location_preferences", 1, cost_bps="10000"), "location_preferences.csv row 1: cost_bps is 10000; needed a number from 0 to below 10000.", MODEL_LOST),
    ],
)  # fmt: skip
def test_a_number_or_word_that_may_not_stand_there_costs_whom_it_concerns(
    tmp_path: Path, spoil: Spoil, message: str, verdicts: dict[str, str]
) -> None:
    found = delivered(tmp_path, spoil)
    assert message in found.messages
    assert len(found.messages) == 1 or verdicts is MODEL_LOST
    assert found.verdicts == verdicts


NO_WEIGHTS = {
    **dict.fromkeys(("60", "-0.1", "1.1", "1e9"), "a number from 0 to 1"),
    **dict.fromkeys(("70%", "0,7", "NaN", "7/10"), "a finite number"),
}


def test_a_weight_that_is_no_fraction_of_one_breaks_its_model(tmp_path: Path) -> None:
    found = delivered(tmp_path, rows("model_targets", 1, "target_weight", list(NO_WEIGHTS), asset_class="class{}"))
    assert found.verdicts == {"A1": NO_MODEL, "A2": NO_MODEL}
    assert own(found, "model_targets") == [
        *(
            f"model_targets.csv row {row}: model_id is growth; needed a model without a broken row."
            for row in (1, 2, 3)
        ),
        *(
            f"model_targets.csv row {row}: target_weight is {text}; needed {needed}."
            for row, (text, needed) in enumerate(NO_WEIGHTS.items(), 6)
        ),
    ]


@pytest.mark.parametrize(("text", "needed"), [("-101.25", "a number of 0 or more"), ("#N/A", NUMBER)])
def test_a_price_that_is_none_costs_the_holders_of_the_security(tmp_path: Path, text: str, needed: str) -> None:
    found = delivered(tmp_path, cell("prices", 1, price_usd=text))
    assert found.verdicts == dict.fromkeys(("A1", "A2"), "lots:security_has_price")
    assert own(found, "prices") == [f"prices.csv row 1: price_usd is {text}; needed {needed}."]


COSTS = {
    "0": Decimal(0),
    "0.00": Decimal(0),
    "": None,
    "   ": None,
    "\u00a0": None,
    " 50 ": Decimal(50),
    "+50": Decimal(50),
    "50.": Decimal(50),
    "50.5": Decimal("50.5"),
    "5e1": Decimal(50),
    "0050": Decimal(50),
    "50.1" + "0" * 30: Decimal("50.1"),
}


def test_a_cost_of_zero_is_a_real_zero_and_a_blank_is_none(tmp_path: Path) -> None:
    found = delivered(tmp_path, rows("lots", 1, "unit_cost_usd", list(COSTS), lot_id="lot{}"))
    assert (found.verdicts, found.messages) == ({}, ())
    assert found.column("lots", "unit_cost_usd")[4:] == list(COSTS.values())


NO_DATES = [
    *("1900-01-00", "1899-12-30", "1899-12-31", "0000-00-00", "0001-01-01", "46027", "20260105", "26-01-05"),
    *("01/02/2026", "02.01.2026", "5-Jan-2026", "Jan 5, 2026", "2026/01/05", "2026-1-5", "2026-13-01", "2026-00-01"),
    *("2026-02-30", "2026-01-05T00:00:00", "2026-01-05 00:00:00", "2026-01-05Z", "\uff12026-01-05", "12026-01-05"),
    *("today", "#VALUE!", "-", "2026-01-\u0660\u0665", "2026\u201301\u201305"),
]


def test_what_is_no_plain_date_is_not_made_one(tmp_path: Path) -> None:
    found = delivered(tmp_path, rows("lots", 1, "acquired_date", NO_DATES, lot_id="lot{}"))
    assert found.verdicts == {"A1": "lots:acquired_date_readable"}
    assert [message.partition(DATE)[0] for message in found.messages] == [
        f"lots.csv row {row}: acquired_date is {text}; needed " for row, text in enumerate(NO_DATES, 5)
    ]


def test_a_restriction_does_not_lapse_for_a_date_that_is_none(tmp_path: Path) -> None:
    found = delivered(tmp_path, cell("restrictions", 1, until_date="1899-12-30"))
    assert found.verdicts == {"A1": "restrictions:until_date_readable"}


def test_a_restriction_may_hold_until_the_end_of_time(tmp_path: Path) -> None:
    found = delivered(tmp_path, cell("restrictions", 1, until_date="9999-12-31"))
    assert (found.verdicts, found.messages) == ({}, ())


def test_a_trade_of_a_day_after_the_night_costs_its_account_and_names_the_day(tmp_path: Path) -> None:
    days = ["2026-01-05", "2026-01-06", "2027-01-05"]
    found = delivered(tmp_path, rows("trades", 2, "trade_date", days))
    assert found.verdicts == {"A2": "trades:trade_date_not_after_as_of"}
    assert list(found.messages) == [
        f"trades.csv row {row}: trade_date is {text}; needed a date that is not after the as-of date 2026-01-05."
        for row, text in ((4, "2026-01-06"), (5, "2027-01-05"))
    ]


def test_a_lot_bought_after_the_night_costs_its_account(tmp_path: Path) -> None:
    found = delivered(tmp_path, rows("lots", 1, "acquired_date", ["2026-01-06", "9999-12-31"], lot_id="lot{}"))
    assert found.verdicts == {"A1": "lots:acquired_date_not_after_as_of"}
    assert list(found.messages) == [
        f"lots.csv row {row}: acquired_date is {text}; needed a date that is not after the as-of date 2026-01-05."
        for row, text in ((5, "2026-01-06"), (6, "9999-12-31"))
    ]


def test_a_price_of_a_day_after_the_night_costs_the_holders_of_the_security(tmp_path: Path) -> None:
    found = delivered(tmp_path, cell("prices", 1, price_date="2026-01-06"))
    assert found.verdicts == dict.fromkeys(("A1", "A2"), "lots:security_has_price")
    assert own(found, "prices") == [
        "prices.csv row 1: price_date is 2026-01-06; needed a date that is not after the as-of date 2026-01-05."
    ]


NO_TRUTHS = ["yes", "no", "Y", "N", "T", "F", "2", "-1", "0.0", "wahr", "on", "x", "\uff11"]


def test_what_is_not_true_or_false_is_neither(tmp_path: Path) -> None:
    found = delivered(tmp_path, rows("securities", 1, "is_tradable", NO_TRUTHS, security_id="S{}"))
    assert found.verdicts == {}
    assert list(found.messages) == [
        f"securities.csv row {row}: is_tradable is {text}; needed true or false."
        for row, text in enumerate(NO_TRUTHS, 4)
    ]


MALFORMED = [
    *(
        "../../etc/passwd",
        "/etc/passwd",
        "C:\\Windows",
        ".",
        "..",
        "a/b",
        "%2e%2e",
        "~root",
        "A 3",
    ),
    *(
        "=cmd|' /C calc'!A0",
        "+1",
        "@SUM(A1)",
        "=1+1",
        "x'; DROP TABLE lots; --",
        "<script>alert(1)</script>",
        "${HOME}",
    ),
    *("\u0410" + "3", "A" + BIDI + "3", f"A{ESCAPE}[2J", "A" * 65, "\U0001f3e6"),
]


SHOWN = [text.replace(ESCAPE, "?").replace("\t", "?") for text in MALFORMED]


def test_a_malformed_account_is_quarantined_and_never_shown_as_it_is(tmp_path: Path) -> None:
    found = delivered(tmp_path, rows("accounts", 3, "account_id", MALFORMED))
    assert found.verdicts == dict.fromkeys(MALFORMED, "accounts:account_id_identifier")
    assert own(found, "accounts") == [
        f"accounts.csv row {row}: account_id is {text}; needed {IDENTIFIER}." for row, text in enumerate(SHOWN, 4)
    ]
    assert found.column("accounts", "account_id") == ["A1", "A2", "A3"]


def test_a_lot_of_a_malformed_account_could_be_anybodys(tmp_path: Path) -> None:
    found = delivered(tmp_path, rows("lots", 4, "account_id", MALFORMED))
    assert found.verdicts == dict.fromkeys(("A1", "A2", "A3"), "lots:account_known")
    assert found.column("lots", "account_id") == ["A1", "A1", "A2", "A3"]
    assert list(found.messages) == [
        f"lots.csv row {row}: account_id is {text}; needed {IDENTIFIER}." for row, text in enumerate(SHOWN, 5)
    ]


def test_an_identifier_may_be_odd_as_long_as_it_is_safe(tmp_path: Path) -> None:
    odd = ["...", "-rf", "NUL", "con", "account_id", "A" * 64]
    found = delivered(tmp_path, rows("lots", 4, "lot_id", odd))
    assert (found.verdicts, found.messages) == ({}, ())
    assert found.column("lots", "lot_id")[4:] == odd


@pytest.mark.parametrize(("column", "text"), [("symbol", "x" * 65), ("symbol", None), ("asset_class", "")])
def test_a_label_that_is_none_costs_the_holders_of_the_security(tmp_path: Path, column: str, text: str | None) -> None:
    found = delivered(tmp_path, cell("securities", 1, **{column: text}))
    assert found.verdicts == dict.fromkeys(("A1", "A2"), "lots:security_known|restrictions:security_known")
    (message,) = own(found, "securities")
    assert message.startswith(f"securities.csv row 1: {column} is {text or 'empty'}; needed 1 to 64 characters without")


@pytest.mark.parametrize("text", ["cas\u0441h", "Cash", "CASH"])
def test_a_class_that_only_looks_like_cash_breaks_its_model(tmp_path: Path, text: str) -> None:
    found = delivered(tmp_path, cell("model_targets", 5, asset_class=text))
    assert found.verdicts == {"A3": "accounts:model_known"}
    assert "model_targets.csv row 4: model_id is income; needed a model with the class cash." in found.messages


def in_currency(table: str, currency: str) -> Spoil:
    return lambda folder: write_book(
        folder, {table: sound_book()[table].with_columns(currency=pl.lit(currency))}, "csv"
    )


@pytest.mark.parametrize("table", ["accounts", "lots", "cash", "securities"])
def test_no_table_may_be_in_another_currency(tmp_path: Path, table: str) -> None:
    found = delivered(tmp_path, in_currency(table, "EUR"))
    assert set(found.verdicts) == {"A1", "A2", "A3"}
    assert own(found, table)[0] == f"{table}.csv row 1: currency is EUR; needed USD, the only currency of this version."


def test_only_dollars_are_dollars(tmp_path: Path) -> None:
    words = ["usd", "US$", "840", "EUR", " USD ", "", "USD"]
    lots = sound_book()["lots"].head(1).join(pl.DataFrame({"currency": words}), how="cross")
    lots = lots.with_columns(lot_id=pl.int_range(pl.len()).cast(pl.String))
    found = delivered(tmp_path, lambda folder: write_book(folder, {"lots": lots}, "csv"))
    assert found.quarantine["broken_rules"].to_list() == ["currency_usd"] * 4
    assert (found.notices, found.accepted("lots").height) == ((), 3)
