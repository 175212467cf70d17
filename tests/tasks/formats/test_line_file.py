import gzip
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from schemas.errors import InputRefused
from tasks.formats.line_file import line_records
from tasks.formats.read import sequence_of
from tests.support.format_files import CASH, LINES, NIGHT, file_of, format_of, refusal, rows_of, tables_of

CASH_ROWS = [("A-1", "100.25"), ("B-2", "50")]


def cash(tables: dict[str, pl.DataFrame]) -> list[tuple[str, str]]:
    return (
        tables["cash"]
        .select("account_id", pl.col("settled_usd").cast(pl.Float64).cast(pl.String).str.strip_suffix(".0"))
        .rows()
    )


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("tail", ["", "\n", "\n\n  \n\x1a"])
def test_lines_end_as_they_do_on_any_system_and_blanks_at_the_end_mean_nothing(
    tmp_path: Path, end: str, tail: str
) -> None:
    assert cash(rows_of(format_of(tmp_path, CASH), file_of(tmp_path, end.join(LINES) + tail))) == CASH_ROWS


def test_packed_files_are_read_through(tmp_path: Path) -> None:
    text = "\n".join(LINES).encode()
    fmt = format_of(tmp_path, CASH)
    assert cash(rows_of(fmt, file_of(tmp_path, gzip.compress(text), "file.txt.gz"))) == CASH_ROWS
    assert cash(rows_of(fmt, file_of(tmp_path, pa.compress(text, "zstd", asbytes=True), "file.txt.zst"))) == CASH_ROWS


def test_a_packed_file_cut_short_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress("\n".join(LINES).encode())
    message = refusal(format_of(tmp_path, CASH), file_of(tmp_path, packed[:-9], "file.txt.gz"))
    assert "file.txt.gz cannot be read to its end" in message
    assert "cut short" in message


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file_is_refused(tmp_path: Path, content: str) -> None:
    assert "file.txt is empty; needed at least one line" in refusal(
        format_of(tmp_path, CASH), file_of(tmp_path, content)
    )


@pytest.mark.parametrize("start", ["<!DOCTYPE html>", "\ufeff\n <html lang=en>"])
def test_a_web_page_is_refused(tmp_path: Path, start: str) -> None:
    assert "file.txt is a web page" in refusal(format_of(tmp_path, CASH), file_of(tmp_path, f"{start}<body>Sign in"))


def test_bytes_of_another_encoding_are_refused_by_line_and_byte(tmp_path: Path) -> None:
    content = "\n".join([LINES[0], LINES[1], "CSH|Café|50|2", LINES[3]]).encode("cp1252")
    fmt = format_of(tmp_path, CASH)
    assert "file.txt line 3 has the byte 0xe9, which is nothing in utf-8" in refusal(fmt, file_of(tmp_path, content))
    western = format_of(tmp_path, CASH.replace('separator = "|"', 'separator = "|"\nencoding = "cp1252"'))
    assert cash(rows_of(western, file_of(tmp_path, content)))[1] == ("Café", "50")


def test_a_byte_order_mark_and_comments_are_left_out_and_counted_in_line_numbers(tmp_path: Path) -> None:
    fmt = format_of(tmp_path, CASH.replace('separator = "|"', 'separator = "|"\ncomment = "#"'))
    rows = rows_of(fmt, file_of(tmp_path, "\ufeff" + "\n".join(["# as ordered", LINES[0], "#", *LINES[1:]])))["cash"]
    assert rows["row_number"].to_list() == [4, 5]


def test_a_file_of_another_day_is_refused(tmp_path: Path) -> None:
    message = refusal(format_of(tmp_path, CASH), file_of(tmp_path, LINES), date(2026, 1, 6))
    assert message == (
        "file.txt line 1 is of 2026-01-05; the night is 2026-01-06; needed the same day\n\nHint: yesterday's file again?"
    )


BROKEN = {
    "no header": (LINES[1:], "line 1 is CSH|A-1|100.25|1; needed the header, which starts with HDR"),
    "no trailer": (LINES[:-1], "ends without its trailer, a line that starts with TRL"),
    "a date that is none": (("HDR|2026O105|7", *LINES[1:]), "line 1: its date is 2026O105; needed a day as %Y%m%d"),
    "lines after the trailer": ((*LINES, LINES[1]), "line 5 is CSH|A-1|100.25|1, after the trailer in line 4"),
    "two files in one": (LINES + LINES, "line 5 is HDR|20260105|7, after the trailer in line 4"),
    "a second header": ((LINES[0], *LINES), "line 2 is HDR|20260105|7; needed a line that starts with CSH"),
    "an unknown record": ((*LINES[:2], "XYZ|1", *LINES[2:]), "line 3 is XYZ|1; needed a line that starts with CSH"),
    "another count": ((*LINES[:3], "TRL|3|150.25"), "line 4: the trailer counts 3 records; found 2"),
    "a count that is none": ((*LINES[:3], "TRL||150.25"), "line 4: the number of records is empty; needed digits"),
    "another total": (
        (*LINES[:3], "TRL|2|150.26"),
        "total of settled is 150.26; the records sum to 150.25, needed the same",
    ),
    "a total that is none": ((*LINES[:3], "TRL|2|x"), "the total of settled is x; needed a number"),
    "an amount that is none": (
        (*LINES[:2], "CSH|B-2|5O|2", LINES[3]),
        "total of settled is 150.25; the records sum to 100.25 (line 3 has none that can be read)",
    ),
    "a gap": ((*LINES[:2], "CSH|B-2|50|3", LINES[3]), "line 3: its own number is 3; needed 2"),
    "a repeat": ((*LINES[:2], "CSH|B-2|50|1", LINES[3]), "line 3: its own number is 1; needed 2"),
    "a number that is none": ((*LINES[:2], "CSH|B-2|50|z", LINES[3]), "line 3: its own number is z; needed digits"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, case: str) -> None:
    lines, expected = BROKEN[case]
    assert expected in refusal(format_of(tmp_path, CASH), file_of(tmp_path, lines))


@pytest.mark.parametrize("case", BROKEN)
def test_it_is_refused_alike_when_it_comes_in_small_blocks(tmp_path: Path, case: str) -> None:
    lines, expected = BROKEN[case]
    fmt = format_of(tmp_path, CASH)
    with pytest.raises(InputRefused) as caught:
        list(line_records(fmt.mapping, file_of(tmp_path, lines), NIGHT, block_bytes=20))
    assert expected in str(caught.value)


def test_a_line_without_end_is_refused_before_memory_is_full(tmp_path: Path) -> None:
    fmt = format_of(tmp_path, CASH)
    with pytest.raises(InputRefused, match="a line of more than 16 bytes"):
        list(line_records(fmt.mapping, file_of(tmp_path, "x" * 100), NIGHT, block_bytes=16))


def test_the_trailer_may_count_all_lines(tmp_path: Path) -> None:
    fmt = format_of(tmp_path, CASH.replace("count = { field = 2 }", 'count = { field = 2, counts = "lines" }'))
    assert cash(rows_of(fmt, file_of(tmp_path, [*LINES[:3], "TRL|4|150.25"]))) == CASH_ROWS
    assert "the trailer counts 2 lines; found 4" in refusal(fmt, file_of(tmp_path, LINES))


def test_records_of_other_kinds_are_not_counted_where_the_trailer_names_its_own(tmp_path: Path) -> None:
    note = '[[records]]\nkind = "NTE"\nmatch = "NTE"\nfields = {}\n'
    fmt = format_of(
        tmp_path,
        CASH.replace("[[tables]]", f"{note}[[tables]]").replace("{ field = 2 }", '{ field = 2, records = ["CSH"] }'),
    )
    assert cash(rows_of(fmt, file_of(tmp_path, [*LINES[:2], "NTE", *LINES[2:]]))) == CASH_ROWS


def test_a_line_of_the_wrong_length_keeps_its_place_and_is_set_aside(tmp_path: Path) -> None:
    toml = CASH.replace('totals = [{ field = 3, of = "settled" }]', "")
    rows = rows_of(
        format_of(tmp_path, toml), file_of(tmp_path, [*LINES[:2], "CSH|B-2|5|0|2", "CSH|C-3", "CSH|D-4|1|4", "TRL|4|"])
    )["cash"]
    assert rows["unparsed"].to_list() == [None, "line", "line", None]
    assert rows["row_number"].to_list() == [2, 3, 4, 5]
    assert rows["raw"].to_list()[1] == '{"line":"CSH|B-2|5|0|2"}'
    assert rows["account_id"].to_list() == ["A-1", "B-2", "C-3", "D-4"]


def test_the_number_of_the_file_is_read_from_its_header_alone(tmp_path: Path) -> None:
    fmt = format_of(tmp_path, CASH)
    assert sequence_of(fmt, file_of(tmp_path, [LINES[0], "anything"])) == 7
    assert (
        sequence_of(format_of(tmp_path, CASH.replace("sequence = { field = 3 }", "")), file_of(tmp_path, LINES)) is None
    )
    with pytest.raises(InputRefused, match="the number of the file is x; needed digits"):
        sequence_of(fmt, file_of(tmp_path, ["HDR|20260105|x"]))
    with pytest.raises(InputRefused, match="needed the header"):
        sequence_of(fmt, file_of(tmp_path, ["nothing"]))


NAMED = """
name = "named"
kind = "delimited"
files = "*.csv"
[as_of]
record = "row"
field = "day"
date = "%m/%d/%Y"
[[records]]
kind = "row"
has_names = true
fields = { account = "Account Number", settled = "Cash", day = "As of" }
[[tables]]
table = "cash"
records = "row"
columns = { account_id = { field = "account" }, settled_usd = { field = "settled" }, pending_usd = { value = "0" } }
"""


def test_columns_are_found_by_their_names_in_any_order(tmp_path: Path) -> None:
    lines = ['As of, Cash ,"Note, long",Account Number', '01/05/2026,100.25,"a,b",A-1', "01/05/2026,50,,B-2"]
    assert cash(rows_of(format_of(tmp_path, NAMED), file_of(tmp_path, lines))) == CASH_ROWS


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ["As of,Cash,Account Nr"],
            "line 1: the column Account Number of the field account is not there; needed it once",
        ),
        (["As of,Cash,Cash,Account Number"], "the column Cash of the field settled is more than once"),
        (["As of,Cash,Account Number", "01/04/2026,1,A"], "file.txt: row 2 is of 2026-01-04; the night is 2026-01-05"),
        (["As of,Cash,Account Number", ",1,A"], "file.txt: row 2: its date is empty"),
        (["As of,Cash,Account Number"], "file.txt has no row with a day; needed the day it is of"),
    ],
)
def test_a_file_with_other_names_or_of_another_day_is_refused(tmp_path: Path, lines: list[str], expected: str) -> None:
    message = refusal(format_of(tmp_path, NAMED), file_of(tmp_path, lines))
    assert expected in message


def test_a_table_without_rows_comes_once_and_empty(tmp_path: Path) -> None:
    found = tables_of(format_of(tmp_path, CASH), file_of(tmp_path, [LINES[0], "TRL|0|0"]))
    assert [(table.table, table.frame.height) for table in found] == [("cash", 0)]
