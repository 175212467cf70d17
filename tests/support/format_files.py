"""Small formats and files for tests: a TOML text, lines, and the rows that come of them."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from schemas.errors import InputRefused
from tasks.core.gate.parsing import parse
from tasks.formats.contract_file import RawTable
from tasks.formats.load import load_format
from tasks.formats.mapping import InputFormat
from tasks.formats.read import read_format
from tasks.sources.fetched_file import FetchedFile

NIGHT = date(2026, 1, 5)
CASH = """
name = "small"
kind = "delimited"
files = "*.txt"
separator = "|"
[header]
match = "HDR"
as_of = { field = 2, date = "%Y%m%d" }
sequence = { field = 3 }
[trailer]
match = "TRL"
count = { field = 2 }
totals = [{ field = 3, of = "settled" }]
[[records]]
kind = "CSH"
match = "CSH"
fields = { account = 2, settled = 3 }
line_number = 4
[[tables]]
table = "cash"
records = "CSH"
[tables.columns]
account_id = { field = "account" }
settled_usd = { field = "settled", number = "signed" }
pending_usd = { value = "0" }
"""
"""Cash in bars, with everything that a file can say of itself."""
LINES = ("HDR|20260105|7", "CSH|A-1|100.25|1", "CSH|B-2|50|2", "TRL|2|150.25")


def format_of(folder: Path, toml: str) -> InputFormat:
    path = folder / "small.toml"
    path.write_text(toml)
    return load_format(str(path))


def file_of(folder: Path, content: Iterable[str] | str | bytes, name: str = "file.txt") -> FetchedFile:
    if not isinstance(content, (str, bytes)):
        content = "".join(f"{line}\n" for line in content)
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return FetchedFile("source", name, path, path.stat().st_size, "")


def tables_of(fmt: InputFormat, file: FetchedFile, as_of: date = NIGHT) -> list[RawTable]:
    return list(read_format(fmt, file, as_of, tables=fmt.tables))


def rows_of(fmt: InputFormat, file: FetchedFile, as_of: date = NIGHT) -> dict[str, pl.DataFrame]:
    """Rows of each table as the gate parses them: typed, with ``row_number``, ``raw`` and ``unparsed``."""
    found: dict[str, list[pl.DataFrame]] = {}
    for raw in tables_of(fmt, file, as_of):
        typed = parse(raw.table, raw.frame, is_text=raw.is_text, numbers=raw.numbers, as_read=raw.as_read)
        found.setdefault(raw.table, []).append(typed)
    return {table: pl.concat(parts) for table, parts in found.items()}


def refusal(fmt: InputFormat, file: FetchedFile, as_of: date = NIGHT) -> str:
    """The sentence with which the file is refused."""
    with pytest.raises(InputRefused) as caught:
        tables_of(fmt, file, as_of)
    return str(caught.value)
