import csv
import io
from decimal import ROUND_HALF_EVEN, Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConservationBroken
from tasks.core.facts.cells import csv_files, money_cell, number_cell, text_cell

DECIMALS = st.decimals(min_value=0, max_value=10**11, places=6, allow_nan=False)


def texts(values: list[str | None]) -> list[str]:
    return pl.DataFrame({"x": values}, schema={"x": pl.String}).select(text_cell("x"))["x"].to_list()


def numbers(values: list[Decimal | None], cell: pl.Expr) -> list[str]:
    return pl.DataFrame({"x": values}, schema={"x": pl.Decimal(38, 6)}).select(cell)["x"].to_list()


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])  # noqa: RUF001
def test_text_that_would_start_a_formula_gets_an_apostrophe(start: str) -> None:
    (cell,) = texts([f"{start}cmd"])
    (value,) = next(csv.reader(io.StringIO(cell, newline="")))
    assert value == f"'{start}cmd"


def test_text_is_quoted_only_where_it_must_be() -> None:
    assert texts(["plain", "a,b", 'say "x"', "two\nlines", "it's", "a=b", "", None]) == [
        "plain",
        '"a,b"',
        '"say ""x"""',
        '"two\nlines"',
        "it's",
        "a=b",
        "",
        "",
    ]


def test_numbers_keep_the_digits_they_need_and_no_more() -> None:
    values = ["12.5", "100", "0.000001", "1000000000", "10.10", "0"]
    shown = numbers([*map(Decimal, values), None], number_cell("x"))
    assert shown == ["12.5", "100", "0.000001", "1000000000", "10.1", "0", ""]


def test_money_is_rounded_to_the_even_cent() -> None:
    values = ["1.005", "1.015", "2.675", "2.685", "0.004999", "7"]
    shown = numbers([*map(Decimal, values), None], money_cell("x"))
    assert shown == ["1.00", "1.02", "2.68", "2.68", "0.00", "7.00", ""]


@given(st.lists(DECIMALS, min_size=1))
def test_numbers_and_money_read_back_as_decimal_arithmetic_says(values: list[Decimal]) -> None:
    assert [Decimal(text) for text in numbers(list(values), number_cell("x"))] == values
    cents = [value.quantize(Decimal("0.01"), ROUND_HALF_EVEN) for value in values]
    assert numbers(list(values), money_cell("x")) == [str(value) for value in cents]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.text(max_size=8), st.text(max_size=8)), min_size=1))
def test_a_file_reads_back_as_its_rows_in_order(rows: list[tuple[str, str, str]]) -> None:
    frame = pl.DataFrame(rows, schema={"path": pl.String, "x": pl.String, "y": pl.String}, orient="row")
    files = csv_files(frame["path"], frame.select(text_cell("x"), text_cell("y")))
    assert files["path"].to_list() == list(dict.fromkeys(frame["path"]))
    for path, count, content in files.iter_rows():
        header, *lines = csv.reader(io.StringIO(content, newline=""))
        assert header == ["x", "y"]
        assert len(lines) == count
        assert [[cell.removeprefix("'") for cell in line] for line in lines] == [
            [x.removeprefix("'"), y.removeprefix("'")] for p, x, y in rows if p == path
        ]


@pytest.mark.parametrize("cells", [[None], ["a", None], [None, "a", "b"]])
def test_a_line_lost_to_a_null_cell_is_refused(cells: list[str | None]) -> None:
    frame = pl.DataFrame({"x": cells}, schema={"x": pl.String})
    with pytest.raises(ConservationBroken, match=f"f.csv has {len(cells)} rows but {len(cells) - 1} of them"):
        csv_files(pl.Series(["f.csv"] * len(cells)), frame)
