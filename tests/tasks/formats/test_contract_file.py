import gzip
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import InputRefused
from tasks.core.gate.parsing import LINE
from tasks.formats.contract_csv import csv_batches
from tasks.formats.contract_file import read_batches, read_table
from tests.support.landing_book import sound_book, write_book

HEADER = "account_id,settled_usd,pending_usd"


def cash_file(folder: Path, text: str | bytes, name: str = "cash.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_columns_that_may_be_absent_are_null(tmp_path: Path) -> None:
    lots = sound_book()["lots"]
    lots.write_csv(tmp_path / "lots.csv")
    lots.cast({"quantity": pl.Float64, "unit_cost_usd": pl.Float64}).write_parquet(tmp_path / "lots.parquet")
    for name in ("lots.csv", "lots.parquet"):
        assert read_table("lots", tmp_path / name).frame["is_frozen"].to_list() == [None] * 4


def test_every_cell_of_a_csv_is_text_as_it_stands(tmp_path: Path) -> None:
    table = read_table("cash", cash_file(tmp_path, f'{HEADER}\n007, 1.50 ,\n"a,b","",1e3\n'))
    assert table.is_text
    assert table.frame.rows() == [("007", " 1.50 ", None), ("a,b", None, "1e3")]


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{HEADER}\nA,1,2\nB,3,4\n",
        f"{HEADER}\r\nA,1,2\r\nB,3,4\r\n",
        f"{HEADER}\n\nA,1,2\n\nB,3,4",
        " account_id , settled_usd,pending_usd \nA,1,2\nB,3,4\n",
    ],
    ids=["byte-order mark", "carriage returns", "empty lines", "spaces in the header"],
)
def test_harmless_variants_of_csv_read_alike(tmp_path: Path, text: str) -> None:
    table = read_table("cash", cash_file(tmp_path, text))
    assert table.frame.columns == HEADER.split(",")
    assert table.frame.rows() == [("A", "1", "2"), ("B", "3", "4")]


def test_compressed_csv_reads_like_plain(tmp_path: Path) -> None:
    text = f"{HEADER}\nA,1,2\n".encode()
    zipped = cash_file(tmp_path, gzip.compress(text, mtime=0), "cash.csv.gz")
    squeezed = cash_file(tmp_path, pa.Codec("zstd").compress(text).to_pybytes(), "cash.csv.zst")
    assert read_table("cash", zipped).frame.rows() == [("A", "1", "2")]
    assert read_table("cash", squeezed).frame.rows() == [("A", "1", "2")]


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    rows = pl.DataFrame({"account_id": [7], "settled_usd": [1.5], "pending_usd": [None]})
    rows.write_parquet(tmp_path / "cash.parquet")
    table = read_table("cash", tmp_path / "cash.parquet")
    assert not table.is_text
    assert table.frame.equals(rows)


def test_a_line_of_the_wrong_length_keeps_its_place_and_its_text(tmp_path: Path) -> None:
    table = read_table("cash", cash_file(tmp_path, f"{HEADER}\nA,1,2\nB,1\n\nC,1,2\nD,1,2,3\nE\n"))
    assert table.frame["account_id"].to_list() == ["A", "B", "C", "D", None]
    assert table.frame[LINE].to_list() == [None, "B,1", None, "D,1,2,3", "E"]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(widths=st.lists(st.integers(1, 5), min_size=1, max_size=60), rows=st.integers(1, 7))
def test_no_line_is_lost_or_moved_however_it_is_batched(tmp_path: Path, widths: list[int], rows: int) -> None:
    lines = [",".join([f"row{number}", *["1"] * (width - 1)]) for number, width in enumerate(widths, 1)]
    path = cash_file(tmp_path, "\n".join([HEADER, *lines]) + "\n")
    batches = list(read_batches("cash", path, rows=rows))
    names = [name for batch in batches for name in batch.frame["account_id"]]
    assert names == [f"row{number}" if width > 1 else None for number, width in enumerate(widths, 1)]
    for batch in batches:
        assert batch.frame["account_id"][0] in {None, f"row{batch.first_row}"}
    marked = [text for batch in batches if LINE in batch.frame.columns for text in batch.frame[LINE] if text]
    assert marked == [line for line, width in zip(lines, widths, strict=True) if width != 3]


def test_a_large_file_comes_in_batches_numbered_through(tmp_path: Path) -> None:
    pl.DataFrame({"account_id": [f"A{n}" for n in range(25)], "settled_usd": 1.0, "pending_usd": 0.0}).write_parquet(
        tmp_path / "cash.parquet"
    )
    batches = list(read_batches("cash", tmp_path / "cash.parquet", rows=10))
    assert [(batch.first_row, batch.frame.height) for batch in batches] == [(1, 10), (11, 10), (21, 5)]


@pytest.mark.parametrize(
    "text",
    [f'{HEADER}\nA,"1,2\nB,1,2\nC,1,2\n', f'{HEADER}\nA,"1\nB,1,2",2\nC,1,2\n', f'{HEADER}\nA,1\nB,"2\n3",4,5\n'],
)
def test_a_forgotten_quote_that_swallows_rows_of_others_is_refused_with_the_row(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputRefused, match=r"cash\.csv near row \d: a quoted cell runs over the end of its line"):
        read_table("cash", cash_file(tmp_path, text))


@pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n"])
def test_a_quote_left_open_is_found_whatever_ends_the_lines(tmp_path: Path, line_end: str) -> None:
    text = f'{HEADER}\nA,"1\nB,1,2\nC",2\n'.replace("\n", line_end)
    with pytest.raises(InputRefused, match=r"cash\.csv near row 1: a quoted cell runs over the end of its line"):
        read_table("cash", cash_file(tmp_path, text))


@pytest.mark.parametrize("ending", ["", "\n", "\r", "\r\n"])
def test_a_quote_left_open_in_the_last_cell_is_found_with_and_without_a_line_end(tmp_path: Path, ending: str) -> None:
    with pytest.raises(InputRefused, match=r"cash\.csv near row 2: a quoted cell runs over the end of its line"):
        read_table("cash", cash_file(tmp_path, f'{HEADER}\nA,1,2\nB,1,"2{ending}'))


@pytest.mark.parametrize("block", range(36, 75, 3))
def test_a_quote_left_open_swallows_nothing_wherever_the_file_is_cut_into_blocks(tmp_path: Path, block: int) -> None:
    path = cash_file(tmp_path, f'{HEADER}\nA,"1,2\nB,1,2\nC,1,2\nD,1,2\n')
    try:
        rows = pl.concat(csv_batches(path, HEADER.split(","), 100, block_bytes=block), how="diagonal")
    except InputRefused as refused:
        assert "a quoted cell runs over the end of its line" in str(refused)  # noqa: PT017 - one of two ends
    else:
        assert rows["account_id"].to_list() == ["A", "B", "C", "D"]
        assert rows[LINE].to_list() == ['A,"1,2', None, None, None]


def test_a_quote_left_open_in_a_name_cannot_give_a_security_the_class_of_the_next(tmp_path: Path) -> None:
    header, *rows = sound_book()["securities"].write_csv().splitlines()
    text = "\n".join([header, rows[0].replace("Stock ETF", '"Stock ETF'), rows[1].replace("Bond ETF", '"Bond ETF"')])
    with pytest.raises(InputRefused, match=r"securities\.csv near row 1: a quoted cell runs over the end of its line"):
        read_table("securities", cash_file(tmp_path, text, "securities.csv"))


def test_a_csv_without_a_last_line_end_gives_a_notice(tmp_path: Path) -> None:
    table = read_table("cash", cash_file(tmp_path, f"{HEADER}\nA,1,2"))
    assert table.frame.rows() == [("A", "1", "2")]
    assert table.notices == ("cash.csv does not end in a line end; it may have been cut short",)


@pytest.mark.parametrize("name", ["(line)", "(place)"])
def test_a_column_may_be_called_as_the_reader_calls_its_own(tmp_path: Path, name: str) -> None:
    table = read_table("cash", cash_file(tmp_path, f"{HEADER},{name}\nA,1,2,x\nB,1\n"))
    assert table.frame["account_id"].to_list() == ["A", "B"]
    assert table.frame[LINE].to_list() == [None, "B,1"]


def test_a_header_with_a_line_break_in_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"cash\.csv has a quote in its first line that is not closed there"):
        read_table("cash", cash_file(tmp_path, f'{HEADER},"x\ny"\nA,1,2,3\n'))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    widths=st.lists(st.integers(1, 5), min_size=1, max_size=200), block=st.integers(40, 400), rows=st.integers(1, 90)
)
def test_no_line_is_lost_or_moved_however_the_file_is_cut_into_blocks(
    tmp_path: Path, widths: list[int], block: int, rows: int
) -> None:
    lines = [",".join([f"row{number}", *["1"] * (width - 1)]) for number, width in enumerate(widths, 1)]
    path = cash_file(tmp_path, "\n".join([HEADER, *lines]))
    frames = list(csv_batches(path, HEADER.split(","), rows, block_bytes=block))
    found = [name for frame in frames for name in frame["account_id"]]
    assert found == [name if "," in line else None for line in lines for name in line.split(",")[:1]]


def test_lines_of_the_wrong_length_come_in_batches_like_rows(tmp_path: Path) -> None:
    path = cash_file(tmp_path, HEADER + "\n" + "A;1;2\n" * 1000)
    heights = [frame.height for frame in csv_batches(path, HEADER.split(","), 100, block_bytes=600)]
    assert sum(heights) == 1000
    assert max(heights) < 200


@pytest.mark.parametrize("ending", ["", "\n", "\n\n"])
def test_a_header_without_rows_is_fine_for_optional_tables_only(tmp_path: Path, ending: str) -> None:
    header = "account_id,security_id,rule,until_date"
    table = read_table("restrictions", cash_file(tmp_path, f"{header}{ending}", "restrictions.csv"))
    assert table.frame.is_empty()
    with pytest.raises(InputRefused, match=r"cash\.csv has no rows; needed at least one row of the table cash"):
        read_table("cash", cash_file(tmp_path, f"{HEADER}{ending}"))


def test_a_parquet_without_rows_is_fine_for_optional_tables_and_lots_only(tmp_path: Path) -> None:
    book = {table: rows.clear() for table, rows in sound_book().items()}
    write_book(tmp_path, book, "parquet")
    assert read_table("trades", tmp_path / "trades.parquet").frame.is_empty()
    assert read_table("lots", tmp_path / "lots.parquet").frame.is_empty()
    for table in ("accounts", "cash", "securities", "prices", "model_targets", "policies"):
        with pytest.raises(InputRefused, match=rf"{table}\.parquet has no rows"):
            read_table(table, tmp_path / f"{table}.parquet")


def test_unknown_columns_are_ignored_with_a_notice_and_known_extras_without(tmp_path: Path) -> None:
    rows = sound_book()["accounts"].with_columns(currency=pl.lit("USD"), advisor=pl.lit("Kim"))
    rows.write_csv(tmp_path / "accounts.csv")
    assert read_table("accounts", tmp_path / "accounts.csv").notices == ("accounts.csv: the column advisor is ignored",)


def test_a_header_that_ends_in_a_comma_has_a_column_without_a_name(tmp_path: Path) -> None:
    table = read_table("cash", cash_file(tmp_path, f"{HEADER},,\nA,1,2,,\n"))
    assert table.notices == ("cash.csv: the column (column 4) is ignored", "cash.csv: the column (column 5) is ignored")


def test_a_column_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"cash\.csv has the column account_id more than once"):
        read_table("cash", cash_file(tmp_path, f"{HEADER},account_id\nA,1,2,A\n"))


def test_a_misspelt_column_is_refused_with_what_it_may_be(tmp_path: Path) -> None:
    with pytest.raises(
        InputRefused, match=r"no column settled_usd; needed settled_usd: settled cash(.|\n)*did you mean setled_usd\?"
    ):
        read_table("cash", cash_file(tmp_path, "account_id,setled_usd,pending_usd\nA,1,2\n"))


def test_parameters_a_policy_leaves_out_are_null(tmp_path: Path) -> None:
    frame = read_table("policies", cash_file(tmp_path, "policy_id\nplain\n", "policies.csv")).frame
    assert frame["tracking_penalty"].to_list() == [None]
    assert "wash_sale_days" in frame.columns


def test_a_parquet_column_that_can_hold_no_such_value_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"account_id": ["A"], "settled_usd": [[1.0]], "pending_usd": [0.0]}).write_parquet(
        tmp_path / "cash.parquet"
    )
    with pytest.raises(
        InputRefused,
        match=r"column settled_usd has the type large_list<element: double>; needed settled_usd: settled cash",
    ):
        read_table("cash", tmp_path / "cash.parquet")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cash.csv", HEADER.encode("utf-16")),
        ("cash.csv.gz", gzip.compress(f"{HEADER}\nA,1,2\n".encode(), mtime=0)[:-12]),
        ("cash.csv.gz", b"not compressed"),
        ("cash.csv.zst", b"not compressed"),
        ("cash.parquet", b"not a parquet file at all"),
        ("cash.parquet", b"PAR1PAR1"),
    ],
)
def test_an_unreadable_file_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(InputRefused, match=rf"{name} cannot be read as .*; needed the table cash: columns account_id"):
        read_table("cash", cash_file(tmp_path, content, name))


def test_a_parquet_with_damaged_pages_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cash.parquet"
    pl.DataFrame({"account_id": [f"A{n}" for n in range(999)], "settled_usd": 1.0, "pending_usd": 0.0}).write_parquet(
        path
    )
    content = path.read_bytes()
    path.write_bytes(content[:20] + bytes(200) + content[220:])
    with pytest.raises(InputRefused, match=r"cash\.parquet cannot be read as Parquet"):
        read_table("cash", path)


@pytest.mark.parametrize("name", ["cash.csv", "cash.csv.gz", "cash.parquet"])
def test_an_empty_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputRefused, match=rf"{name} is empty \(0 bytes\); needed the table cash: columns account_id"):
        read_table("cash", cash_file(tmp_path, b"", name))
