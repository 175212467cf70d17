"""Find and read the landing folder: one CSV or Parquet file a table, in batches, so that memory stays bounded.

A file as a whole is refused, by name and with what was expected, when it is missing, unreadable, lacks a column or
delivers a required table without rows. A CSV line with too few or too many cells is no reason to refuse: it is handed on
in its place with its text in the column ``tasks.core.parse.LINE``, to be quarantined.
"""

import csv
import difflib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import InputRefused
from schemas.landing import CONTRACTS, OPTIONAL_COLUMNS, OPTIONAL_TABLES, dtypes
from tasks.core.contract_words import expected
from tasks.core.parse import can_read
from tasks.source_csv import csv_batches, csv_header

BATCH_ROWS: Final = 1_000_000
ENDINGS: Final = (".parquet", ".csv", ".csv.gz", ".csv.zst")
"""How the file of a table may end."""
EXTRA_COLUMNS: Final[dict[str, frozenset[str]]] = {
    "accounts": frozenset({"currency"}),
    "securities": frozenset({"currency"}),
}
"""Columns a source may add without a notice."""
_HASH_BLOCK: Final = 1 << 20
_UNREADABLE: Final = (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException, pl.exceptions.PolarsError)


@dataclass(frozen=True, slots=True)
class RawTable:
    """Rows of a landing table as read, in file order.

    ``is_text``: the cells are text (CSV). ``first_row``: number of the first row in the file, from 1. ``notices``: what
    a person may want to know and nothing depends on. ``numbers``, where rows do not follow one another in the file: the
    line of each. ``as_read``, where the cells are not what stood in the file: JSON of what did, for each row.
    """

    table: str
    frame: pl.DataFrame
    is_text: bool
    first_row: int = 1
    notices: tuple[str, ...] = ()
    numbers: pl.Series | None = None
    as_read: pl.Series | None = None


def find_tables(folder: Path) -> dict[str, Path]:
    """File of each landing table that the folder delivers.

    Raises
    ------
    InputRefused
        The folder does not exist, a required table has no file, or a table has more than one.
    """
    if not folder.is_dir():
        raise InputRefused(
            f"{folder} is not a folder; needed the landing folder with one CSV or Parquet file a table\n\n"
            "Hint: pass --source, or set TRIMTAB_SOURCE_URL."
        )
    found = {table: _candidates(folder, table) for table in CONTRACTS}
    for table, paths in found.items():
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            raise InputRefused(f"{names} both deliver the table {table}; needed one file\n\nHint: remove all but one.")
        if not paths and table not in OPTIONAL_TABLES:
            endings = ", ".join(f"{table}{ending}" for ending in ENDINGS)
            raise InputRefused(
                f"{folder} has no file of the table {table}; needed one of {endings}\n\n"
                f"Hint: its columns are {', '.join(dtypes(table))}."
            )
    return {table: paths[0] for table, paths in found.items() if paths}


def hash_tables(paths: Mapping[str, Path]) -> dict[str, str]:
    """SHA-256 of each table's file, as hex."""
    return {table: _file_hash(path) for table, path in sorted(paths.items())}


def input_hash(hashes: Mapping[str, str]) -> str:
    """One SHA-256 over all tables; the order of the mapping does not matter."""
    lines = "".join(f"{table} {digest}\n" for table, digest in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def read_table(table: str, path: Path) -> RawTable:
    """The whole table. Prefer ``read_batches`` where the table may be large."""
    batches = list(read_batches(table, path))
    frame = pl.concat([batch.frame for batch in batches], how="diagonal")
    return RawTable(table, frame, batches[0].is_text, notices=batches[0].notices)


def read_batches(table: str, path: Path, *, rows: int = BATCH_ROWS) -> Iterator[RawTable]:
    """The table in file order, about ``rows`` rows at a time; at least one batch, which may be empty for an optional table.

    Raises
    ------
    InputRefused
        The file cannot be read, lacks a column, names one twice, or a required table has no rows.
    """
    is_text = not path.name.endswith(".parquet")
    try:
        if path.stat().st_size == 0:
            raise InputRefused(f"{path.name} is empty (0 bytes); needed the table {table}: {_columns_wanted(table)}")
        header = csv_header(path) if is_text else pq.read_schema(path).names
        notices = _check_header(table, path, header)
        frames = (
            csv_batches(path, header, rows, one_line_rows=table != "securities")
            if is_text
            else _parquet_batches(table, path, rows)
        )
        yield from _numbered(table, path, frames, is_text=is_text, notices=notices)
    except _UNREADABLE as error:
        raise InputRefused(_unreadable(table, path, error)) from error


def _numbered(
    table: str, path: Path, frames: Iterable[pl.DataFrame], *, is_text: bool, notices: tuple[str, ...]
) -> Iterator[RawTable]:
    first_row = 1
    for frame in frames:
        if frame.height or first_row == 1:
            yield RawTable(table, _with_all_columns(table, frame), is_text, first_row, notices)
        first_row += frame.height
    if first_row == 1 and table not in OPTIONAL_TABLES:
        raise InputRefused(f"{path.name} has no rows; needed at least one row of the table {table}")


def _with_all_columns(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Columns that the file may leave out and does, as nulls."""
    absent = [name for name in dtypes(table) if name not in frame.columns]
    return frame.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in absent)


def _check_header(table: str, path: Path, header: list[str]) -> tuple[str, ...]:
    """Notices of ignored columns; refuses a missing or doubled one."""
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputRefused(f"{path.name} has the column {twice[0]} more than once; needed each column once")
    optional = OPTIONAL_COLUMNS.get(table, frozenset())
    for column in dtypes(table):
        if column not in header and column not in optional:
            raise InputRefused(_missing_column(table, path, column, header))
    known = dtypes(table).keys() | EXTRA_COLUMNS.get(table, frozenset())
    return tuple(f"{path.name}: the column {name} is ignored" for name in header if name not in known)


def _missing_column(table: str, path: Path, column: str, header: list[str]) -> str:
    spare = [name for name in header if name not in dtypes(table)]
    close = difflib.get_close_matches(column, spare, n=1)
    guess = f"did you mean {close[0]}? " if close else ""
    return (
        f"{path.name} has no column {column}; needed {expected(table, column)}\n\n"
        f"Hint: {guess}columns found: {', '.join(header)}."
    )


def _unreadable(table: str, path: Path, error: Exception) -> str:
    kind = "Parquet" if path.name.endswith(".parquet") else "CSV in UTF-8"
    return (
        f"{path.name} cannot be read as {kind} ({str(error).partition(chr(10))[0]}); needed the table {table}: "
        f"{_columns_wanted(table)}\n\nHint: deliver the file again; it may have been cut short."
    )


def _columns_wanted(table: str) -> str:
    return f"columns {', '.join(dtypes(table))}"


def _candidates(folder: Path, table: str) -> list[Path]:
    return [path for ending in ENDINGS if (path := folder / f"{table}{ending}").is_file()]


def _parquet_batches(table: str, path: Path, rows: int) -> Iterator[pl.DataFrame]:
    with pq.ParquetFile(path) as file:
        empty = pl.DataFrame(file.schema_arrow.empty_table())
        _check_types(table, path, empty)
        yield from (pl.DataFrame(batch) for batch in file.iter_batches(rows)) if file.metadata.num_rows else [empty]


def _check_types(table: str, path: Path, frame: pl.DataFrame) -> None:
    """Refuse a column whose every cell would be unreadable."""
    for name, wanted in dtypes(table).items():
        if name in frame.columns and not can_read(frame.schema[name], wanted):
            raise InputRefused(
                f"{path.name}: the column {name} has the type {frame.schema[name]}; needed {expected(table, name)}"
            )


def _file_hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()
