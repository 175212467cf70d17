"""What a respelt identifier could mean: every way in which programs respell them finds its way back."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.gate.spellings import could_mean

KNOWN = [
    "D1",
    "D2",
    "U1234567",
    "00012345",
    "0077",
    "123456789012",
    "123499999999",
    "129999999999",
    "AB-09-07",
    "12345678901234567",
    "1E5",
    "07",
    "000",
    "H.7_x",
    "LOL",
    "AL",
    "AIO",
]


def meant(text: str) -> list[str]:
    return could_mean(pl.Series([text]), pl.Series(KNOWN))["meant"].to_list()


@pytest.mark.parametrize(
    ("text", "accounts"),
    [
        ("d1", ["D1"]),
        ("D 1", ["D1"]),
        ("D\u00a01", ["D1"]),
        ("D-1", ["D1"]),
        ("D01", ["D1"]),
        ("\uff24\uff11", ["D1"]),
        ("D\u0661", ["D1"]),
        ("u-1234567", ["U1234567"]),
        ("12345", ["00012345"]),
        ("12345.0", ["00012345"]),
        ("12,345", ["00012345"]),
        ('="00012345"', ["00012345"]),
        ("'00012345", ["00012345"]),
        ("77", ["0077"]),
        ("1.23E+11", ["123456789012", "123499999999"]),
        ("1.2E+11", ["123456789012", "123499999999"]),
        ("1.3e11", ["129999999999"]),
        ("1.23456789012E+11", ["123456789012"]),
        ("1,23E+11", ["123456789012", "123499999999"]),
        ("12345678901234500", ["12345678901234567"]),
        ("1.23456789012346E+16", ["12345678901234567"]),
        ("1.00E+05", ["1E5"]),
        ("7.00E+00", ["07"]),
        ("0.00E+00", ["000"]),
        ("AB97", []),
        ("ab0907", ["AB-09-07"]),
        ("AB.9.07", ["AB-09-07"]),
        ("h7X", ["H.7_x"]),
        ("D3", []),
        ("Dl", ["D1"]),
        ("D I", ["D1"]),
        ("OO77", ["0077"]),
        ("UI234567", ["U1234567"]),
        ("AB-O9-O7", ["AB-09-07"]),
        ("A1", ["AL"]),
        ("AI", []),
        ("LOL", ["LOL"]),
        ("10I", []),
        ("???", []),
        ("", []),
    ],
)
def test_a_respelt_identifier_could_mean(text: str, accounts: list[str]) -> None:
    assert meant(text) == accounts


@given(st.from_regex(r"[A-Z]{0,3}[0-9]{1,12}", fullmatch=True), st.data())
def test_an_identifier_is_found_however_it_was_respelt(name: str, data: st.DataObject) -> None:
    ways = [
        str.lower,
        str.title,
        lambda text: text.lstrip("0") or "0",
        lambda text: f" {text}\t",
        "\u00a0".join,
    ]
    ways += [
        lambda text: text.translate({ord(str(digit)): 0xFF10 + digit for digit in range(10)}),
        lambda text: f'="{text}"',
    ]
    if name.isdigit():
        kept = data.draw(st.integers(0, 16))
        ways += [lambda text: f"{int(text)}.0", lambda text: f"{int(text):,}", lambda text: f"{int(text):.{kept}E}"]
    text = data.draw(st.sampled_from(ways))(name)
    assert name in could_mean(pl.Series([text]), pl.Series([name, "ZZ9"]))["meant"].to_list()
