from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.formats.columns import NO_CODE, NOT_AS_WRITTEN, landing_cells
from tasks.formats.mapping import InputMapping
from tests.support.format_files import NIGHT


def cell(column: dict[str, Any], fields: dict[str, str | None], name: str = "quantity", **signs: str) -> str | None:
    """A landing cell of ``lots`` as a mapping draws it from one record."""
    table = {"table": "lots", "records": "POS", "columns": {name: column}}
    mapping = InputMapping.model_validate({"name": "x", "kind": "delimited", "files": "*", "tables": [table], **signs})
    frame = pl.DataFrame({key: pl.Series([text], dtype=pl.String) for key, text in fields.items()})
    found = landing_cells(mapping.tables[0], frame, mapping, NIGHT)[name].to_list()
    assert len(found) == 1
    return None if found[0] is None else str(found[0])


Q = {"field": "q"}
SIGNED = {**Q, "number": "signed"}
DC = {"field": "dc", "negative": ["D"], "positive": ["C"]}


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [
        (Q, " 12.50", " 12.50"),
        (SIGNED, "12.50", "12.5"),
        (SIGNED, "12.50-", "-12.5"),
        (SIGNED, "12.50 +", "12.5"),
        (SIGNED, "(12.50)", "-12.5"),
        (SIGNED, "-12.50", "-12.5"),
        (SIGNED, "- 7", "-7"),
        (SIGNED, ".5", "0.5"),
        (SIGNED, "(-5)", "(-5)"),
        (SIGNED, "-5-", "-5-"),
        (SIGNED, "(5", "(5"),
        (SIGNED, "1O0", "1O0"),
        (SIGNED, None, None),
        ({**Q, "implied_decimals": 3}, "0012500", "12.5"),
        ({**Q, "implied_decimals": 3}, "-5", "-0.005"),
        ({**Q, "implied_decimals": 12}, "9" * 25, "9999999999999.999999999999"),
        ({**Q, "implied_decimals": 3}, "12.500", "12.500" + NOT_AS_WRITTEN),
        ({**Q, "implied_decimals": 3}, "1e3", "1e3" + NOT_AS_WRITTEN),
        ({**Q, "is_absolute": True}, "-12", "12"),
        ({**Q, "is_absolute": True}, "9" * 14, "9" * 14 + NOT_AS_WRITTEN),
        ({**Q, "scale": Decimal("0.01")}, "1234.5", "12.345"),
        ({**Q, "scale": Decimal(-1)}, "5", "-5"),
        ({**Q, "null": ["999"], "implied_decimals": 1}, "999", None),
    ],
)
def test_a_number_is_read_exactly_or_kept_as_text(
    column: dict[str, Any], text: str | None, expected: str | None
) -> None:
    assert cell(column, {"q": text}) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.234,50", "1234.5"),
        ("12,5", "12.5"),
        ("1234", "1234"),
        ("1.5", "1.5" + NOT_AS_WRITTEN),
        ("1,234.5", "1,234.5"),
    ],
)
def test_signs_within_numbers_are_those_of_the_format(text: str, expected: str) -> None:
    assert cell(Q, {"q": text}, decimal=",", thousands=".") == expected


@pytest.mark.parametrize("text", ["1,2345", "12,34", "1,,234", ",123", "1,234,5", "1,23.4"])
def test_thousands_stand_in_threes(text: str) -> None:
    assert cell(Q, {"q": text}, thousands=",") == text


@pytest.mark.parametrize(
    ("quantity", "code", "expected"),
    [
        ("5", "D", "-5"),
        ("5", "C", "5"),
        ("5", "X", "5 X"),
        ("5", None, "5 empty"),
        ("-5", "D", "-5 D"),
        ("0", "D", "0"),
    ],
)
def test_a_code_says_which_way_a_number_goes(quantity: str, code: str | None, expected: str) -> None:
    assert cell({**Q, "sign": DC}, {"q": quantity, "dc": code}) == expected


def test_a_code_without_a_list_of_positive_ones_turns_only_its_own() -> None:
    sign = {"field": "dc", "negative": ["D"]}
    assert [cell({**Q, "sign": sign}, {"q": "5", "dc": code}) for code in ("D", "X", None)] == ["-5", "5", "5"]


def test_absolute_is_taken_before_the_sign_of_a_code() -> None:
    assert cell({**Q, "sign": DC, "is_absolute": True}, {"q": "-5", "dc": "D"}) == "-5"


@pytest.mark.parametrize(
    ("cost", "quantity", "expected"),
    [
        ("100", "3", "33.333333"),
        ("-2", "3", "-0.666667"),
        ("0.000001", "2", "0"),
        ("0.000003", "2", "0.000002"),
        ("100", "0", "100 / 0"),
        ("100", None, "100 / empty"),
        (None, "3", None),
        ("1OO", "3", "1OO / 3"),
        ("8999997000001.4999994", "6000000000001", "1.499999"),
        ("8999997000001.4999996", "6000000000001", "1.5"),
        ("9999999999999", "0.000000000001", "9999999999999 / 0.000000000001"),
    ],
)
def test_division_rounds_half_even_to_six_digits_or_shows_what_it_had(
    cost: str | None, quantity: str | None, expected: str | None
) -> None:
    assert cell({"field": "c", "divided_by": "q"}, {"c": cost, "q": quantity}) == expected


NUMBERS = st.decimals(min_value=-(10**9), max_value=10**9, places=6)
EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN)


@given(
    NUMBERS,
    NUMBERS.filter(bool),
    st.sampled_from(["times", "divided_by"]),
    st.sampled_from(["1", "0.01", "-0.5", "1000"]),
)
def test_computed_numbers_are_those_of_exact_fractions(a: Decimal, b: Decimal, how: str, scale: str) -> None:
    found = cell({"field": "a", how: "b", "scale": Decimal(scale)}, {"a": f"{a:f}", "b": f"{b:f}"})
    exact = (Fraction(a) * Fraction(b) if how == "times" else Fraction(a) / Fraction(b)) * Fraction(scale)
    assert found is not None
    assert Fraction(found) == Fraction(round(exact * 10**6), 10**6) or abs(exact) >= 10**22


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=7), st.integers(1, 1000))
def test_ties_round_to_even_however_many_digits_they_have(a: Decimal, b: int) -> None:
    found = cell({"field": "a", "divided_by": "b"}, {"a": f"{a * b:f}", "b": str(b)})
    assert found is not None
    assert Decimal(found) == a.quantize(Decimal("0.000001"), context=EXACT)


@pytest.mark.parametrize(
    ("day_format", "text", "expected"),
    [
        ("%m/%d/%Y", "03/14/2023", "2023-03-14"),
        ("%m/%d/%Y", "3/4/2023", "2023-03-04"),
        ("%d%b%Y", "14MAR2023", "2023-03-14"),
        ("%Y%m%d", "20230314", "2023-03-14"),
        ("%d%b%Y", "4Mar2023", "2023-03-04"),
        ("%Y%m%d", "2023314", "2023314"),
        ("%Y%m%d", "2023031", "2023031"),
        ("%Y%m%d", "20230231", "20230231"),
        ("%Y%m%d", "00000000", None),
        ("%Y-%d-%m", "2023-05-13", "2023-05-13" + NOT_AS_WRITTEN),
        ("%Y%m%d;%H%M%S", "20230314;201500", "2023-03-14"),
    ],
)
def test_a_day_is_read_as_the_format_writes_it_or_kept_as_text(
    day_format: str, text: str, expected: str | None
) -> None:
    column = {"field": "d", "date": day_format, "null": ["00000000"]}
    assert cell(column, {"d": text}, "acquired_date") == expected


def test_codes_are_those_listed_and_no_others() -> None:
    column = {"field": "code", "codes": {"Y": "true", "": "false"}}
    assert [cell(column, {"code": code}, "is_frozen") for code in ("Y", None, "1")] == ["true", "false", "1" + NO_CODE]
    assert cell({"field": "code", "codes": {"Y": "true"}}, {"code": None}, "is_frozen") is None


def test_fields_are_joined_and_a_missing_part_leaves_nothing() -> None:
    column = {"fields": ["day", "n"], "join": "-"}
    assert cell(column, {"day": "20230314", "n": "1"}, "lot_id") == "20230314-1"
    assert cell(column, {"day": "20230314", "n": None}, "lot_id") is None


def test_a_value_is_the_same_in_every_row_and_may_be_the_night() -> None:
    assert cell({"value": "7"}, {"q": "1"}) == "7"
    assert cell({"value": "{as_of}"}, {"q": "1"}, "acquired_date") == "2026-01-05"


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("$300.00", Q, "300"),
        ("$30,000.00", Q, "30000"),
        ("-$1,234.5", Q, "-1234.5"),
        ("$-1,234.5", Q, "-1234.5"),
        ("$ 12", Q, "12"),
        ("12.50 $", Q, "12.5"),
        ("12", Q, "12"),
        ("($1,234.50)", SIGNED, "-1234.5"),
        ("$(5)", SIGNED, "-5"),
        ("$5-", SIGNED, "-5"),
        ("($5)", Q, "($5)"),
        ("$$5", Q, "$$5"),
        ("$5$", Q, "$5$"),
        ("5$0", Q, "5$0"),
        ("$", Q, "$"),
        ("€5", Q, "€5"),
        ("$5", {**Q, "scale": Decimal("0.01")}, "0.05"),
    ],
)
def test_a_currency_sign_is_taken_off_a_number(text: str, column: dict[str, Any], expected: str) -> None:
    assert cell(column, {"q": text}, thousands=",", currency_sign="$") == expected


@pytest.mark.parametrize(
    ("text", "sign", "expected"), [("US$5", "US$", "5"), ("5 CHF", "CHF", "5"), ("€ 1.234,50", "€", "1234.5")]
)
def test_a_currency_sign_may_have_letters(text: str, sign: str, expected: str) -> None:
    assert cell(Q, {"q": text}, currency_sign=sign, decimal=",", thousands=".") == expected


def test_a_currency_sign_stays_where_the_mapping_names_none() -> None:
    assert cell(Q, {"q": "$5"}) == "$5"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("60%", "0.6"), ("12.5 %", "0.125"), ("-3%", "-0.03"), ("60", "60" + NOT_AS_WRITTEN), ("%", "%"), ("6%0", "6%0")],
)
def test_a_percentage_is_a_fraction(text: str, expected: str) -> None:
    assert cell({**Q, "is_percent": True}, {"q": text}) == expected


@pytest.mark.parametrize("space", [" ", "\u00a0", "\u202f"])
def test_thousands_may_be_parted_by_spaces_of_any_kind(space: str) -> None:
    assert cell(Q, {"q": f"1{space}234{space}567,5"}, thousands=" ", decimal=",") == "1234567.5"


@pytest.mark.parametrize(
    ("text", "written", "expected"),
    [
        ("11/20/2026", "%m/%d/%Y", "2026-11-20"),
        ("1/5/2026", "%m/%d/%Y", "2026-01-05"),
        ("Nov-20-2026", "%b-%d-%Y", "2026-11-20"),
        ("20.11.2026", "%d.%m.%Y", "2026-11-20"),
        ("13/20/2026", "%m/%d/%Y", "13/20/2026"),
    ],
)
def test_days_are_read_as_brokers_write_them(text: str, written: str, expected: str) -> None:
    assert cell({"field": "d", "date": written}, {"d": text}, "acquired_date") == expected
