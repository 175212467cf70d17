"""Whatever is done to the files: a refusal in a sentence, or every row counted once and none accepted that breaks the contract."""

import csv
import io
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import InputRefused
from tasks.core.gate import check_table
from tasks.core.gate.parsing import parse
from tasks.demo.book import book_parts
from tasks.demo.book_reference import reference_tables
from tasks.demo.sample import read_market
from tasks.formats.contract_file import RawTable, read_batches
from tests.bad_inputs.damage import Book, Files, damaged_csv, damaged_files, unpacked
from tests.bad_inputs.deliver import Judged, judged
from tests.bad_inputs.plain_contract import misread, row_faults, text_lines, trading_faults
from tests.support.landing_book import AS_OF, sound_book

FEW = settings(max_examples=40, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=150)
SOUND = sound_book()
MACHINERY = re.compile(r"Traceback|Error\b|Exception|pyarrow|polars|ArrowInvalid|codec|0x[0-9a-f]{6}|<[a-z_.]+ object")


def larger_book() -> tuple[Book, date]:
    """The sample book of a few dozen accounts, every cell text, but for tables of which so small a book has no row."""
    market = read_market()
    (part,) = book_parts(market, account_count=24, seed=5)
    tables = {**reference_tables(market), **part.tables}
    tables = {name: rows for name, rows in tables.items() if rows.height}
    texts = {name: pl.read_csv(io.StringIO(rows.write_csv()), infer_schema=False) for name, rows in tables.items()}
    return texts, market.as_of_date


def is_sentence(refusal: str, names: set[str]) -> bool:
    """Whether a refusal is fit for a person: one line on what was found and where, then at most a hint, no machinery."""
    first, *rest = refusal.split("\n")
    named = any(name in first for name in names) or any(name.partition(".")[0] in first for name in names)
    hint = len(rest) == 0 or (rest[0] == "" and rest[1].startswith("Hint: ") and len(rest) == 2)
    is_clean = all(letter == "\n" or letter >= " " for letter in refusal)
    return len(first) > 20 and named and hint and is_clean and not MACHINERY.search(refusal)


def row_count(name: str, content: bytes) -> int:
    """Rows of a file, counted without the reader under test."""
    if name.endswith(".parquet"):
        rows: int = pq.ParquetFile(io.BytesIO(content)).metadata.num_rows
        return rows
    return len(text_lines(unpacked(content, name))) - 1


def faults(found: Judged, files: Files) -> list[str]:
    """What is wrong with what became of a folder that was not refused."""
    wrong = []
    accepted = {table: found.accepted(table).rows(named=True) for table in found.parsed}
    for table, rows in found.parsed.items():
        (name,) = (name for name in files if name.partition(".")[0] == table)
        lost = found.quarantine.filter(table_name=table)["landed_row"]
        if lost.is_duplicated().any() or sorted([*lost, *(row["row_number"] for row in accepted[table])]) != list(
            range(1, row_count(name, files[name]) + 1)
        ):
            wrong.append(f"{name}: {len(lost)} quarantined and {len(accepted[table])} accepted of {rows.height}")
        wrong += row_faults(table, accepted[table])
        if not name.endswith(".parquet"):
            wrong += misread(table, unpacked(files[name], name), accepted[table])
    delivered = {table: rows.rows(named=True) for table, rows in found.parsed.items()}
    return [*wrong, *trading_faults(accepted, delivered, set(found.verdicts))]


def check(files: Files, as_of: date) -> None:
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        found = judged(Path(folder), as_of)
    tables = {name.partition(".")[0] for name in files}
    if found.refusal:
        assert is_sentence(found.refusal, {*files, *SOUND}), found.refusal
        return
    assert tables >= found.parsed.keys()
    assert faults(found, files) == []


@FEW
@given(files=damaged_files(SOUND))
def test_a_damaged_book_is_refused_in_a_sentence_or_every_row_is_accounted_for(files: Files) -> None:
    check(files, AS_OF)


@settings(FEW, max_examples=12)
@given(data=st.data())
def test_so_is_a_larger_book(data: st.DataObject, larger: tuple[Book, date]) -> None:
    book, as_of = larger
    check(data.draw(damaged_files(book)), as_of)


@pytest.fixture(scope="module")
def larger() -> tuple[Book, date]:
    return larger_book()


@st.composite
def damaged_table(draw: st.DrawFn, book: Mapping[str, pl.DataFrame]) -> tuple[str, bytes]:
    table = draw(st.sampled_from(sorted(book)))
    return table, draw(damaged_csv(book[table]))


def read(path: Path, table: str, rows: int) -> tuple[list[RawTable], str]:
    """What is read, or why not."""
    try:
        return list(read_batches(table, path, rows=rows)), ""
    except InputRefused as refused:
        return [], str(refused)


@MANY
@given(damaged_table(SOUND), st.sampled_from([1, 3, 1000]))
def test_a_damaged_table_is_refused_or_each_of_its_good_rows_says_what_stands_in_its_line(
    damaged: tuple[str, bytes], batch: int
) -> None:
    table, content = damaged
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{table}.csv"
        path.write_bytes(content)
        raw, refusal = read(path, table, batch)
    if refusal:
        assert is_sentence(refusal, {path.name}), refusal
        return
    parsed = pl.concat([parse(table, each.frame, is_text=True, first_row=each.first_row) for each in raw])
    assert parsed["row_number"].to_list() == list(range(1, len(text_lines(content))))
    good = check_table(table, parsed).good.rows(named=True)
    assert [*row_faults(table, good), *misread(table, content, good)] == []


def test_the_plain_contract_finds_what_it_looks_for() -> None:
    lot = {"account_id": "A1", "security_id": "S", "lot_id": "1", "row_number": 1, "acquired_date": date(2026, 1, 2)}
    lot |= {"quantity": 5.0, "unit_cost_usd": None, "is_frozen": None}
    assert list(row_faults("lots", [lot, lot]))[1:] == [
        "lots row 1: quantity is 5.0",
        "lots: the key ('A1', 'S', '1') is there 2 times",
    ]
    out = io.StringIO()
    csv.writer(out).writerows([["account_id", "security_id", "lot_id"], ["A1", "S", "2"]])
    assert "row 1: lot_id is '1', in the file '2'" in list(misread("lots", out.getvalue().encode(), [lot]))
