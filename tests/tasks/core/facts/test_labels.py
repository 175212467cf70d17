import string

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.facts import odd_label_notice, sound_labels
from tasks.core.facts.labels import odd_labels
from tests.support.examples import at_most

TRUE = {
    "AAPL": ("037833100", "US0378331005"),
    "MSFT": ("594918104", "US5949181045"),
    "GOOGL": ("02079K305", "US02079K3059"),
    "VTI": ("922908769", "US9229087690"),
    "SHOP": ("82509L107", "CA82509L1076"),
}
"""Labels that these securities have."""
FOREIGN = ("DE000BAY0017", "GB0002634946", "AU0000XVGZA3", "JP3633400001")
FIGURES = string.digits + string.ascii_uppercase


def listed(*rows: tuple[str, str | None, str | None]) -> pl.DataFrame:
    """Security, cusip, isin; and a column that nobody looks at."""
    names = ("security_id", "cusip", "isin")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row").with_columns(row_number=1)


def kept(*rows: tuple[str, str | None, str | None]) -> list[tuple[str | None, ...]]:
    return sound_labels(listed(*rows)).select("security_id", "cusip", "isin").rows()


def faults(*rows: tuple[str, str | None, str | None]) -> list[tuple[str, str, str]]:
    return odd_labels(listed(*rows)).select("security_id", "label", "fault").rows()


def digit_of_cusip(eight: str) -> str:
    """By the standard's own words, a character at a time."""
    total = 0
    for place, character in enumerate(eight, 1):
        value = (FIGURES + "*@#").index(character) * (2 if place % 2 == 0 else 1)
        total += sum(int(digit) for digit in str(value))
    return str((10 - total % 10) % 10)


def digit_of_isin(eleven: str) -> str:
    """Luhn's, tried out: the one digit that makes the sum a multiple of ten."""
    for last in string.digits:
        digits = [int(each) for each in "".join(str(FIGURES.index(character)) for character in eleven + last)]
        doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
        if (sum(digits[::-2]) + sum(doubled)) % 10 == 0:
            return last
    raise AssertionError(eleven)


def test_labels_that_securities_have_are_sound() -> None:
    rows = [(name, *labels) for name, labels in TRUE.items()]
    rows += [(isin, None, isin) for isin in FOREIGN]
    assert kept(*rows) == rows
    assert faults(*rows) == []


def test_small_letters_and_spaces_are_read_over_and_nothing_is_nothing() -> None:
    assert kept(("G", " 02079k305", "us02079K3059 "), ("N", "", "  ")) == [("G", *TRUE["GOOGL"]), ("N", None, None)]


@pytest.mark.parametrize(
    "cusip", ["37833100", "0378331000", "03783310O", "037833-00", "0378331OO", "037833 00", "CUSIP"]
)
def test_what_is_formed_otherwise_is_no_cusip(cusip: str) -> None:
    assert kept(("A", cusip, None)) == [("A", None, None)]
    assert faults(("A", cusip, None)) == [("A", "cusip", "is not 9 characters of 0-9 A-Z * @ #, the last a digit")]


@pytest.mark.parametrize(
    "isin", ["US037833100", "US03783310055", "0S0378331005", "US037833100X", "037833100", "US_378331005"]
)
def test_what_is_formed_otherwise_is_no_isin(isin: str) -> None:
    assert faults(("A", None, isin)) == [("A", "isin", "is not two letters, nine letters or digits, and a digit")]


@settings(max_examples=at_most(200), deadline=None)
@given(st.text(FIGURES + "*@#", min_size=8, max_size=8), st.text(string.ascii_uppercase, min_size=2, max_size=2))
def test_of_ten_last_digits_one_is_right(eight: str, country: str) -> None:
    rows = [(f"S{digit}", eight + digit, None) for digit in string.digits]
    assert {row[1] for row in kept(*rows) if row[1]} == {eight + digit_of_cusip(eight)}
    middle = country + eight.translate(str.maketrans("*@#", "AB0")) + "9"
    rows = [(f"S{digit}", None, middle + digit) for digit in string.digits]
    assert {row[2] for row in kept(*rows) if row[2]} == {middle + digit_of_isin(middle)}


@settings(max_examples=at_most(100), deadline=None)
@given(st.sampled_from(sorted(TRUE)), st.integers(0, 8), st.sampled_from(FIGURES))
def test_no_cusip_with_one_character_changed_is_taken(name: str, place: int, character: str) -> None:
    cusip = TRUE[name][0]
    changed = cusip[:place] + character + cusip[place + 1 :]
    same_value = changed == cusip or (place % 2 == 1 and _weight(character) == _weight(cusip[place]))
    same_value = same_value or (place % 2 == 0 and place < 8 and _sum(character) == _sum(cusip[place]))
    assert (kept(("A", changed, None))[0][1] is None) is not same_value


def _weight(character: str) -> int:
    return sum(int(digit) for digit in str(2 * FIGURES.index(character))) % 10


def _sum(character: str) -> int:
    return sum(int(digit) for digit in str(FIGURES.index(character))) % 10


def test_a_label_of_two_securities_is_of_neither() -> None:
    cusip, isin = TRUE["VTI"]
    assert kept(("A", cusip, isin), ("B", cusip.lower(), None)) == [("A", None, isin), ("B", None, None)]
    assert faults(("A", cusip, isin), ("B", cusip, isin)) == [
        (name, label, "is of several securities") for name in "AB" for label in ("cusip", "isin")
    ]
    assert kept(("A", cusip, isin), ("A", cusip, isin)) == [("A", cusip, isin)] * 2, "one security, listed twice"


def test_where_cusip_and_isin_are_of_different_securities_neither_is_trusted() -> None:
    assert faults(("A", TRUE["VTI"][0], TRUE["MSFT"][1]), ("C", TRUE["AAPL"][0], TRUE["SHOP"][1])) == [
        (name, label, f"is of another security than the {other}")
        for name in "AC"
        for label, other in (("cusip", "isin"), ("isin", "cusip"))
    ]
    assert faults(("B", TRUE["VTI"][0], FOREIGN[0])) == [], "an ISIN of elsewhere holds no CUSIP"


def test_a_notice_names_the_first_of_them_and_nothing_is_said_of_sound_ones() -> None:
    assert odd_label_notice(listed(("A", *TRUE["AAPL"]), ("B", None, None))) == ""
    assert odd_label_notice(listed(("A", "x" * 500, None))) == (
        "1 CUSIPs or ISINs cannot be right and go along with no order: cusip of A is XXXXXXXXXXXXXXXXXXXX, which is not 9 "
        "characters of 0-9 A-Z * @ #, the last a digit"
    )
    many = odd_label_notice(listed(*((f"S{place}", None, f"US{place}") for place in range(7))))
    assert many.startswith("7 CUSIPs or ISINs cannot be right")
    assert many.endswith("and a digit; and 2 more")
    assert many.count("which is not") == 5


def test_rows_and_columns_stay_as_they_are() -> None:
    rows = listed(("B", None, None), ("A", "x", None), ("B", None, None))
    found = sound_labels(rows)
    assert found.columns == rows.columns
    assert found["security_id"].to_list() == ["B", "A", "B"]
    assert sound_labels(rows.clear()).is_empty()
