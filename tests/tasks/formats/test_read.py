import json
from pathlib import Path

import polars as pl
import pytest

from schemas.errors import InputRefused
from tasks.core.gate.parsing import LINE
from tasks.core.gate.rows import check_table
from tasks.formats.read import _Drawing, read_format
from tasks.formats.records import Records
from tests.support.format_files import NIGHT, file_of, format_of, refusal, rows_of, tables_of

POSITIONS = """
name = "small"
kind = "delimited"
files = "*.txt"
separator = "|"
[[records]]
kind = "POS"
fields = { account = 1, ticker = 2, class = 3, quantity = 4, price = 5, ccy = 6 }
[[tables]]
table = "lots"
records = "POS"
where = [{ field = "class", is = ["L", ""] }, { field = "ticker", not = ["USD"] }]
[tables.columns]
account_id = { field = "account" }
security_id = { field = "ticker" }
lot_id = { value = "1" }
quantity = { field = "quantity", implied_decimals = 1 }
currency = { field = "ccy" }
[[tables]]
table = "prices"
records = "POS"
where = { field = "ticker", not = ["USD"] }
is_distinct = true
columns = { security_id = { field = "ticker" }, price_usd = { field = "price", scale = 0.01 }, price_date = { value = "{as_of}" } }
"""


def sentences(rows: pl.DataFrame, table: str) -> dict[int, str]:
    """What the gate says of each row that it sets aside."""
    return dict(check_table(table, rows).broken.select("row_number", "sentence").rows())


def test_a_table_takes_the_records_that_meet_all_its_conditions(tmp_path: Path) -> None:
    lines = ["A|VTI|L|10|100|", "A|BND||20|100|", "A|USD|L|30|100|", "A|VEA|S|40|100|", "A|VTI| L |50|100|"]
    rows = rows_of(format_of(tmp_path, POSITIONS), file_of(tmp_path, lines))
    assert rows["lots"].select("security_id", "row_number").rows() == [("VTI", 1), ("BND", 2), ("VTI", 5)]
    assert [str(each) for each in rows["lots"]["quantity"]] == ["1.000000", "2.000000", "5.000000"]


def test_equal_rows_of_a_distinct_table_count_once_and_differing_ones_stay(tmp_path: Path) -> None:
    lines = ["A|VTI|L|10|28941|", "B|VTI|L|20|28941.0|", "C|BND|L|30|7000|", "D|VTI|L|40|28942|", "E|BND|L|50|7000|"]
    prices = rows_of(format_of(tmp_path, POSITIONS), file_of(tmp_path, lines))["prices"]
    assert prices.select("security_id", pl.col("price_usd").cast(pl.Float64), "row_number").rows() == [
        ("VTI", 289.41, 1),
        ("BND", 70.0, 3),
        ("VTI", 289.42, 4),
    ]
    assert sentences(prices, "prices").keys() == {1, 4}


def test_distinct_holds_over_all_the_batches_of_a_file(tmp_path: Path) -> None:
    lines = [
        "A|VTI|L|10|28941|",
        "B|VTI|L|20|28941|",
        "C|BND|L|30|7000|",
        "D|BND",
        "D|BND",
        "E|BND|L|50||",
        "F|BND|L|60||",
    ]
    fmt, file = format_of(tmp_path, POSITIONS), file_of(tmp_path, lines)
    for block_bytes, at_least in ((20, 3), (1 << 25, 1)):
        found = list(read_format(fmt, file, NIGHT, tables=["prices"], block_bytes=block_bytes))
        assert len(found) >= at_least
        assert [number for raw in found if raw.numbers is not None for number in raw.numbers] == [1, 3, 4, 5, 6]


def test_what_cannot_be_read_is_quarantined_with_the_line_the_cell_and_the_record_as_it_was(tmp_path: Path) -> None:
    lines = ["A|VTI|L|1O0|x|", "B|VTI|L|1.5|x|", " C|VTI|L|10|x|EUR", "D|VTI|L|10|x"]
    lots = rows_of(format_of(tmp_path, POSITIONS), file_of(tmp_path, lines))["lots"]
    found = sentences(lots, "lots")
    assert found.keys() == {1, 2, 3, 4}
    assert found[1].startswith("quantity is 1O0; needed a number of at most 12 digits")
    assert "quantity is 1.5; needed" in found[2]
    assert "currency is EUR; needed USD" in found[3]
    assert "line is D|VTI|L|10|x; needed" in found[4]
    as_read = {"account": " C", "ticker": "VTI", "class": "L", "quantity": "10", "price": "x", "ccy": "EUR"}
    assert as_read.items() <= json.loads(lots["raw"][2]).items()
    assert lots["account_id"].to_list() == ["A", "B", "C", "D"]


def test_a_cell_is_shown_though_its_field_has_another_name(tmp_path: Path) -> None:
    prices = rows_of(format_of(tmp_path, POSITIONS), file_of(tmp_path, ["A|VTI|L|10|1O0|"]))["prices"]
    assert sentences(prices, "prices")[1].startswith("price_usd is 1O0; needed a number of at most 12 digits")


def test_a_line_of_the_wrong_length_is_a_row_of_every_table_whatever_its_conditions(tmp_path: Path) -> None:
    found = tables_of(format_of(tmp_path, POSITIONS), file_of(tmp_path, ["A|USD", "A|VTI|L|10|100|"]))
    assert {raw.table: raw.frame[LINE].to_list() for raw in found} == {
        "lots": ["A|USD", None],
        "prices": ["A|USD", None],
    }


def test_only_the_tables_asked_for_are_drawn(tmp_path: Path) -> None:
    fmt, file = format_of(tmp_path, POSITIONS), file_of(tmp_path, ["A|VTI|L|10|100|"])
    assert [raw.table for raw in read_format(fmt, file, NIGHT, tables=["prices", "cash"])] == ["prices"]
    assert list(read_format(fmt, file, NIGHT, tables=[])) == []


def test_the_day_in_every_record_must_be_the_nights(tmp_path: Path) -> None:
    toml = POSITIONS.replace("[[records]]", '[as_of]\nrecord = "POS"\nfield = "class"\ndate = "%Y%m%d"\n[[records]]')
    fmt = format_of(tmp_path, toml.replace('is = ["L", ""]', 'not = ["X"]'))
    good, old = "A|VTI|20260105|10|100|", "B|VTI|20260102|10|100|"
    assert rows_of(fmt, file_of(tmp_path, [good, "C|VTI"]))["lots"].height == 2
    assert "POS 2 is of 2026-01-02; the night is 2026-01-05" in refusal(fmt, file_of(tmp_path, [good, old]))
    assert "file.txt has no POS with a class; needed the day it is of" in refusal(fmt, file_of(tmp_path, ["C|VTI"]))


def test_a_field_that_the_reader_does_not_give_is_refused_by_name(tmp_path: Path) -> None:
    mapping = format_of(tmp_path, POSITIONS).mapping
    records = Records("POS", pl.DataFrame({"account": ["A"]}), pl.Series([1], dtype=pl.Int64))
    with pytest.raises(
        InputRefused, match=r"file\.txt: its POS records have no field ticker, which lots is drawn from"
    ):
        _Drawing(mapping.tables[0], mapping, NIGHT).rows(records, {}, "file.txt")
