import json
import math
from datetime import date, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.landing import CONTRACTS
from schemas.landing_columns import dtypes
from schemas.units import EXACT
from tasks.core.gate.parsing import LINE, can_read, parse, rounded_cells


def read(column: str, cells: list[object], *, table: str = "lots", dtype: pl.DataType | None = None) -> pl.DataFrame:
    raw = pl.DataFrame({column: pl.Series(cells, dtype=dtype)})
    return parse(table, raw, is_text=raw.schema[column] == pl.String)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", "5"),
        ("-5.25", "-5.25"),
        ("+1", "1"),
        (" 1.5 ", "1.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e3", "1000"),
        ("2.5E-3", "0.0025"),
        ("0.12345600", "0.123456"),
        ("0.1234560000000000000000", "0.123456"),
        ("00000000000000000007", "7"),
        ("999999999999.999999", "999999999999.999999"),
        ("-999999999999.999999", "-999999999999.999999"),
        ("1157.6799999999998", "1157.68"),
        ("100.00000000000001", "100"),
        ("12.345678901", "12.345679"),
        ("2.5000005", "2.5"),
        ("2.5000015", "2.500002"),
        ("1.5e1", "15"),
        ("\u00a017.5\u2009", "17.5"),
    ],
)
def test_a_number_in_text_is_read_exactly(text: str, number: str) -> None:
    rows = read("quantity", [text])
    assert rows["quantity"].to_list() == [Decimal(number)]
    assert rows["unparsed"].to_list() == [None]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "nan",
            "NaN",
            "inf",
            "-Infinity",
            "1,000",
            "1 000",
            "$5",
            "1_000",
            "0x10",
            "--1",
            ".",
            "e5",
            "1e999",
            "1e-999",
        ),
        *("0.1234567", "0.0000004", "-1e-7", "1000000000000", "1e12", "five", "\uff11\uff12"),
    ],
)
def test_what_is_not_a_number_that_fits_is_unparsed_and_never_guessed(text: str) -> None:
    rows = read("quantity", [text, "1"])
    assert rows["quantity"].to_list() == [None, Decimal(1)]
    assert rows["unparsed"].to_list() == ["quantity", None]


@given(st.decimals(min_value=-999_999_999_999, max_value=999_999_999_999, places=6))
def test_any_decimal_with_six_places_survives_as_text(number: Decimal) -> None:
    assert read("unit_cost_usd", [str(number)])["unit_cost_usd"].to_list() == [number]


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_float_is_rounded_half_even_to_six_places_or_unparsed(number: float) -> None:
    rows = read("quantity", [number])
    if math.isfinite(number) and abs(number) < 10**12:
        error = abs(rows["quantity"][0] - Decimal(number))
        assert error <= Decimal("0.0000005000001")
        assert rows["unparsed"].to_list() == [None]
    else:
        assert rows["quantity"].to_list() == [None]
        assert rows["unparsed"].to_list() == ["quantity"]


def test_a_float_half_way_goes_to_the_even_digit() -> None:
    rows = read("quantity", [1 / 128, 3 / 128])
    assert rows["quantity"].to_list() == [Decimal("0.007812"), Decimal("0.023438")]


def test_a_large_float_keeps_its_cents() -> None:
    assert read("quantity", [999_999_999_999.5])["quantity"].to_list() == [Decimal("999999999999.5")]


@pytest.mark.parametrize("dtype", [pl.Int8(), pl.Int64(), pl.UInt64(), pl.Float32(), pl.Decimal(20, 2)])
def test_every_kind_of_number_column_is_read(dtype: pl.DataType) -> None:
    rows = read("quantity", [3], dtype=dtype)
    assert rows["quantity"].to_list() == [Decimal(3)]


def test_whole_numbers_beyond_the_type_are_unparsed() -> None:
    assert read("quantity", [10**12, 2**62])["unparsed"].to_list() == ["quantity", "quantity"]


def test_a_decimal_with_digits_beyond_the_sixth_is_unparsed() -> None:
    rows = read("quantity", [Decimal("1.1234567890"), Decimal("1.1234560000")], dtype=pl.Decimal(20, 10))
    assert rows["quantity"].to_list() == [None, Decimal("1.123456")]


@pytest.mark.parametrize(
    "text", ["01/02/2020", "2020-1-2", "20200102", "2020-02-30", "0000-01-01", "1899-12-30", "2020-01-02T00:00"]
)
def test_only_iso_dates_are_read(text: str) -> None:
    rows = read("acquired_date", [text, " 2020-02-29 "])
    assert rows["acquired_date"].to_list() == [None, date(2020, 2, 29)]
    assert rows["unparsed"].to_list() == ["acquired_date", None]


@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_a_midnight_is_a_date_and_another_hour_is_not(zone: str | None) -> None:
    moments = pl.Series([datetime(2020, 1, 2), datetime(2020, 1, 2, 9)]).dt.replace_time_zone(zone)  # noqa: DTZ001
    rows = parse("lots", pl.DataFrame({"acquired_date": moments}), is_text=False)
    assert rows["acquired_date"].to_list() == [date(2020, 1, 2), None]


@pytest.mark.parametrize(
    ("cell", "truth"),
    [("true", True), ("FALSE", False), (" 1 ", True), ("0", False), (1, True), (0.0, False), ("yes", None), (2, None)],
)
def test_booleans_are_true_false_one_and_zero(cell: object, truth: bool | None) -> None:  # noqa: FBT001
    assert read("is_tradable", [cell], table="securities")["is_tradable"].to_list() == [truth]


@pytest.mark.parametrize(
    ("cell", "whole"), [(3, 3), ("3", 3), ("3.0", 3), (3.0, 3), ("3.5", None), (3.5, None), (float("nan"), None)]
)
def test_ranks_are_whole_numbers(cell: object, whole: int | None) -> None:
    assert read("rank", [cell], table="buy_list")["rank"].to_list() == [whole]


@pytest.mark.parametrize(
    ("cell", "number"), [("0.2", 0.2), ("1e-1", 0.1), ("inf", None), ("1e400", None), (float("inf"), None)]
)
def test_rates_are_finite(cell: object, number: float | None) -> None:
    assert read("long_term_rate", [cell], table="accounts")["long_term_rate"].to_list() == [number]


@pytest.mark.parametrize("cell", [17, 17.0, "17"])
def test_identifiers_delivered_as_whole_numbers_become_digits(cell: object) -> None:
    assert read("account_id", [cell])["account_id"].to_list() == ["17"]


def test_an_identifier_with_a_fraction_is_unparsed() -> None:
    assert read("account_id", [17.5])["unparsed"].to_list() == ["account_id"]


@pytest.mark.parametrize("space", [" ", "\t", "\r", "\u00a0", "\u2007", "\u202f", "\u3000", "\u200b", "\ufeff"])
def test_text_is_trimmed_of_every_kind_of_space(space: str) -> None:
    rows = read("account_id", [f"{space}A1", f"A1{space}{space}", f"{space} {space}"])
    assert rows["account_id"].to_list() == ["A1", "A1", None]
    assert rows["unparsed"].to_list() == [None, None, None]


def test_an_amount_that_may_be_blank_is_zero() -> None:
    rows = parse(
        "cash",
        pl.DataFrame({"account_id": ["A1", "A2"], "settled_usd": ["1", "2"], "pending_usd": ["", "3"]}),
        is_text=True,
    )
    assert rows["pending_usd"].to_list() == [Decimal(0), Decimal(3)]
    assert parse("cash", pl.DataFrame({"account_id": ["A1"], "settled_usd": ["1"]}), is_text=True)[
        "pending_usd"
    ].to_list() == [0]


def test_cells_that_were_rounded_are_counted() -> None:
    raw = pl.DataFrame(
        {
            "account_id": ["A1"] * 4,
            "quantity": ["1157.6799999999998", "1.250000000", "7", "x"],
            "unit_cost_usd": ["1.23456789"] * 4,
        }
    )
    assert rounded_cells("lots", raw, parse("lots", raw, is_text=True)) == 5
    floats = pl.DataFrame({"quantity": [0.1, 0.3, 1 / 3]})
    assert rounded_cells("lots", floats, parse("lots", floats, is_text=False)) == 1
    whole = pl.DataFrame({"quantity": [1, 2]})
    assert rounded_cells("lots", whole, parse("lots", whole, is_text=False)) == 0


def test_categories_are_text() -> None:
    assert read("account_id", ["A1"], dtype=pl.Categorical())["account_id"].to_list() == ["A1"]


def test_blank_cells_are_null_and_nothing_went_unparsed() -> None:
    rows = read("unit_cost_usd", ["", "  ", None])
    assert rows["unit_cost_usd"].to_list() == [None, None, None]
    assert rows["unparsed"].to_list() == [None, None, None]


def test_a_currency_other_than_usd_is_named_in_unparsed() -> None:
    raw = pl.DataFrame({"security_id": ["a", "b", "c", "d"], "currency": ["USD", "EUR", None, ""]})
    assert parse("securities", raw, is_text=True)["unparsed"].to_list() == [None, "currency", None, None]


def test_a_row_of_text_is_kept_as_it_was_read() -> None:
    raw = pl.DataFrame(
        {"account_id": ['A"1'], "quantity": [" 05.0"], "note": [None]}, schema_overrides={"note": pl.String}
    )
    kept = parse("lots", raw, is_text=True)["raw"][0]
    assert json.loads(kept) == {"account_id": 'A"1', "quantity": " 05.0", "note": None}


def test_a_typed_row_is_kept_only_where_a_cell_did_not_parse() -> None:
    raw = pl.DataFrame({"account_id": ["A", "B"], "quantity": [1.5, math.nan], "note": [[1, 2], [3]]})
    kept = parse("lots", raw, is_text=False)["raw"].to_list()
    assert kept[0] is None
    assert json.loads(kept[1]) == {"account_id": "B", "quantity": "NaN", "note": "[3]"}


def test_several_unparsed_columns_are_joined_by_a_bar() -> None:
    raw = pl.DataFrame({"quantity": ["x"], "unit_cost_usd": ["y"], "acquired_date": ["2020-01-01"]})
    assert parse("lots", raw, is_text=True)["unparsed"].to_list() == ["quantity|unit_cost_usd"]


def test_a_line_of_the_wrong_length_is_marked_and_kept_whole() -> None:
    raw = pl.DataFrame({"account_id": ["A", "B"], "quantity": ["1", "2"], LINE: [None, "B,2,3"]})
    rows = parse("lots", raw, is_text=True)
    assert rows["unparsed"].to_list() == [None, "line"]
    assert json.loads(rows["raw"][1]) == {"line": "B,2,3"}


def test_rows_are_numbered_from_the_first_row_given() -> None:
    raw = pl.DataFrame({"quantity": ["1", "2"]})
    assert parse("lots", raw, is_text=True)["row_number"].to_list() == [1, 2]
    assert parse("lots", raw, is_text=True, first_row=41)["row_number"].to_list() == [41, 42]


def test_rows_of_a_file_that_has_others_between_them_keep_their_numbers_and_what_stood_there() -> None:
    raw = pl.DataFrame({"quantity": ["1", "x"]})
    numbers, lines = pl.Series([4, 9], dtype=pl.Int64), pl.Series(['{"line":"POS|1"}', '{"line":"POS|x"}'])
    rows = parse("lots", raw, is_text=True, numbers=numbers, as_read=lines)
    assert rows.select("row_number", "raw", "unparsed").rows() == [
        (4, '{"line":"POS|1"}', None),
        (9, '{"line":"POS|x"}', "quantity"),
    ]


@pytest.mark.parametrize("table", list(CONTRACTS))
@pytest.mark.parametrize("height", [0, 2])
def test_every_table_comes_back_in_its_types(table: str, height: int) -> None:
    raw = pl.DataFrame(
        {name: [None] * height for name in dtypes(table)}, schema=dict.fromkeys(dtypes(table), pl.String)
    )
    rows = parse(table, raw, is_text=True)
    wanted = {**dtypes(table), "row_number": pl.Int64, "raw": pl.String, "unparsed": pl.String}
    assert rows.schema == pl.Schema(wanted)
    assert rows.height == height


@pytest.mark.parametrize("dtype", [pl.List(pl.Int64), pl.Boolean(), pl.Date(), pl.Duration(), pl.Binary()])
def test_a_column_of_a_foreign_type_is_unreadable_but_keeps_its_rows(dtype: pl.DataType) -> None:
    assert not can_read(dtype, EXACT)
    rows = parse("lots", pl.DataFrame({"quantity": pl.Series([None], dtype=dtype)}), is_text=False)
    assert rows.height == 1


def test_cells_of_a_foreign_type_are_unparsed() -> None:
    rows = parse("lots", pl.DataFrame({"quantity": [[1], None]}), is_text=False)
    assert rows["unparsed"].to_list() == ["quantity", None]


# Python's strip takes the separators 1c to 1f for blanks, which nothing else does.
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x1c\x1d\x1e\x1f"), max_size=12), max_size=8))
def test_any_text_gives_one_row_each_and_a_value_a_blank_or_a_complaint(texts: list[str]) -> None:
    rows = parse("lots", pl.DataFrame({"quantity": texts}, schema={"quantity": pl.String}), is_text=True)
    assert rows.height == len(texts)
    for text, number, unparsed in zip(texts, rows["quantity"], rows["unparsed"], strict=True):
        assert (number is not None) + (unparsed == "quantity") + (not text.strip()) == 1


def test_text_with_a_nul_character_is_unparsed() -> None:
    rows = read("account_id", ["A\0", "A", None])
    assert rows["account_id"].to_list() == [None, "A", None]
    assert rows["unparsed"].to_list() == ["account_id", None, None]


@pytest.mark.parametrize("days", [2**31 - 1, -(2**31), 2_932_897, -25_568])
def test_a_date_outside_the_years_1900_to_9999_is_unparsed_and_said_to_be(days: int) -> None:
    rows = parse("lots", pl.DataFrame({"acquired_date": pl.Series([days]).cast(pl.Int32).cast(pl.Date)}), is_text=False)
    assert rows.select("acquired_date", "unparsed").rows() == [(None, "acquired_date")]
    assert json.loads(rows["raw"][0]) == {"acquired_date": "a date outside the years 1900 to 9999"}


@pytest.mark.parametrize("day", [date(1900, 1, 1), date(9999, 12, 31)])
def test_the_first_and_the_last_date_are_read(day: date) -> None:
    moment = datetime(day.year, day.month, day.day)  # noqa: DTZ001
    assert read("acquired_date", [day])["acquired_date"].to_list() == [day]
    assert read("acquired_date", [moment])["acquired_date"].to_list() == [day]
    assert read("acquired_date", [day.isoformat()])["acquired_date"].to_list() == [day]


def test_a_decimal_is_never_rounded_however_many_digits_it_has() -> None:
    cells = [Decimal("1.0000000000000000000000000001"), Decimal(1)]
    assert read("quantity", cells, dtype=pl.Decimal(38, 30))["quantity"].to_list() == [None, Decimal(1)]
