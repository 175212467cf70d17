"""Read the landing tables: one CSV or Parquet file a table, in batches, so that memory stays bounded.

A file as a whole is refused, by name and with what was expected, when it is missing, unreadable, something else than its
name says, lacks a column or delivers a table without rows that has one for each account, security or model. A CSV line with too few or too many cells is no reason
to refuse: it is handed on in its place with its text in the column ``tasks.core.gate.parsing.LINE``, to be quarantined.

Known limits: a CSV cut short at the end of a line cannot be told from a whole one; where it does not end in a line end a
notice says so. Guards watch the size of the book.
"""

import csv
import difflib
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from schemas.errors import InputRefused
from schemas.landing import MAY_BE_EMPTY, OPTIONAL_COLUMNS
from schemas.landing_columns import dtypes
from tasks.core.gate import CURRENCY_COLUMN, column_requirement
from tasks.formats.contract_csv import csv_batches, csv_head, csv_header
from tasks.formats.contract_parquet import parquet_batches, parquet_header
from tasks.formats.file_signatures import FileSignature, mismatch, sign_of

BATCH_ROWS: Final = 1_000_000
ENDINGS: Final = (".parquet", ".csv", ".csv.gz", ".csv.zst")
"""How the file of a table may end."""
PACKED: Final = (".gz", ".zst")
"""Endings of compressed files."""
_MAGIC_BYTES: Final = 16
_LONGEST_NAME: Final = 64
_MOST_NAMED: Final = 20
_SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "|": "bars"}
_UNREADABLE: Final = (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException, pl.exceptions.PolarsError)


@dataclass(frozen=True, slots=True)
class RawTable:
    """Rows of a landing table as read, in file order.

    ``is_text``: the cells are text (CSV). ``first_row``: number of the first row in the file, from 1. ``notices``: what
    a person may want to know and nothing depends on; those of the file as a whole come with its first rows. ``numbers``, where rows do not follow one another in the file: the
    line of each. ``as_read``, where the cells are not what stood in the file: JSON of what did, for each row.
    """

    table: str
    frame: pl.DataFrame
    is_text: bool
    first_row: int = 1
    notices: tuple[str, ...] = ()
    numbers: pl.Series | None = None
    as_read: pl.Series | None = None


def read_table(table: str, path: Path) -> RawTable:
    """The whole table. Prefer ``read_batches`` where the table may be large."""
    batches = list(read_batches(table, path))
    frame = pl.concat([batch.frame for batch in batches], how="diagonal")
    return RawTable(table, frame, batches[0].is_text, notices=batches[0].notices)


def read_batches(table: str, path: Path, *, rows: int = BATCH_ROWS) -> Iterator[RawTable]:
    """The table in file order, about ``rows`` rows at a time; at least one batch, which may be empty for a table of ``MAY_BE_EMPTY``.

    Raises
    ------
    InputRefused
        The file cannot be read, is no such file, lacks a column, names one twice, or a table that cannot be empty has no rows.
    """
    is_text = not path.name.endswith(".parquet")
    try:
        _refuse_foreign(table, path, mismatch(_first_bytes(table, path), path.suffix))
        head = csv_head(path) if is_text else b""
        _refuse_foreign(table, path, sign_of(head), is_packed=path.suffix in PACKED)
        if is_text and not head:
            raise InputRefused(
                f"{path.name} is empty when unpacked; needed the table {table}: {_columns_wanted(table)}"
            )
        header = csv_header(path, head) if is_text else parquet_header(path)
        notices = (*_check_header(table, path, header), *_check_end(path))
        frames = csv_batches(path, header, rows) if is_text else parquet_batches(table, path, rows)
        yield from _number_batches(table, path, frames, is_text=is_text, notices=notices)
    except _UNREADABLE as error:
        raise InputRefused(_unreadable(table, path, error)) from error


def _number_batches(
    table: str, path: Path, frames: Iterable[pl.DataFrame], *, is_text: bool, notices: tuple[str, ...]
) -> Iterator[RawTable]:
    first_row = 1
    for frame in frames:
        if frame.height or first_row == 1:
            told = notices if first_row == 1 else ()
            yield RawTable(table, _with_all_columns(table, frame), is_text, first_row, told)
        first_row += frame.height
    if first_row == 1 and table not in MAY_BE_EMPTY:
        raise InputRefused(f"{path.name} has no rows; needed at least one row of the table {table}")


def _with_all_columns(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Columns that the file may leave out and does, as nulls."""
    absent = [name for name in dtypes(table) if name not in frame.columns]
    return frame.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in absent)


def _check_header(table: str, path: Path, header: list[str]) -> tuple[str, ...]:
    """Notices of ignored columns; refuses a missing or doubled one."""
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise InputRefused(
            f"{path.name} has the column {_printable(twice[:1])} more than once; needed each column once"
        )
    optional = OPTIONAL_COLUMNS.get(table, frozenset())
    for column in dtypes(table):
        if column not in header and column not in optional:
            raise InputRefused(_missing_column(table, path, column, header))
    known = {*dtypes(table), CURRENCY_COLUMN}
    spare = [name for name in header if name not in known]
    more = (f"{path.name}: {len(spare) - _MOST_NAMED} more columns are ignored",) if len(spare) > _MOST_NAMED else ()
    return (*(f"{path.name}: the column {_printable([name])} is ignored" for name in spare[:_MOST_NAMED]), *more)


def _missing_column(table: str, path: Path, column: str, header: list[str]) -> str:
    return f"{path.name} has no column {column}; needed {column_requirement(table, column)}\n\nHint: {_hint(table, column, header)}"


def _hint(table: str, column: str, header: list[str]) -> str:
    """What may have happened to the header. What is no header is not shown: it may be a row of somebody's."""
    for separator, words in _SEPARATORS.items():
        if len(header) == 1 and column in header[0].split(separator):
            return f"its cells are separated by {words}; separate them by commas."
    plain = {_plain(name) for name in dtypes(table)}
    if not any(_plain(name) in plain for name in header):
        return "its first line names no column of the table; it must name them all, in English as written here."
    spare = [name for name in header if name not in dtypes(table)]
    alike = [name for name in spare if _plain(name) == _plain(column)]
    close = alike or difflib.get_close_matches(column, spare, n=1)
    guess = f"did you mean {_printable(close[:1])}? " if close else ""
    return f"{guess}columns found: {_printable(header)}."


def _printable(names: Sequence[str]) -> str:
    """Names that somebody else chose, for a message: of bounded length, without control characters."""
    text = ", ".join(name[:_LONGEST_NAME] for name in names[:_MOST_NAMED])
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _plain(name: str) -> str:
    """The name without what writers of headers vary: case, spaces and underscores."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _unreadable(table: str, path: Path, error: Exception) -> str:
    kind = "Parquet" if path.name.endswith(".parquet") else "CSV in UTF-8"
    if isinstance(error, OSError) and error.strerror:
        return f"{path.name} cannot be opened ({error.strerror}); needed the table {table}\n\nHint: look at who may read it."
    damaged = "it is" if kind == "Parquet" else "what is packed in it is" if path.suffix in PACKED else ""
    damage = f"{damaged} damaged or cut short" if damaged else "its lines make no sense"
    return (
        f"{path.name} cannot be read as {kind}: {damage}; needed the table {table}: {_columns_wanted(table)}\n\n"
        "Hint: deliver the file again."
    )


def _columns_wanted(table: str) -> str:
    return f"columns {', '.join(dtypes(table))}"


def refuse_near(where: str, table: str, names: Collection[str]) -> None:
    """Refuse a table of which only a file with nearly its name is there: it would be passed over.

    Raises
    ------
    InputRefused
        Names what is there and how it must be called.
    """
    near = sorted(name for name in names if name.lower().startswith(table))
    if near:
        raise InputRefused(
            f"{where} has no {file_names(table, _printable(near))}\n\n"
            "Hint: if it is whole, give it one of these names, in small letters."
        )


def file_names(table: str, found: str = "") -> str:
    """What a message says of a table without a file. ``found``: names that come near."""
    only = f", only {found}" if found else ""
    return f"file of the table {table}{only}; needed one of {', '.join(f'{table}{ending}' for ending in ENDINGS)}"


def _first_bytes(table: str, path: Path) -> bytes:
    with path.open("rb") as file:
        head = file.read(_MAGIC_BYTES)
    if not head:
        raise InputRefused(f"{path.name} is empty (0 bytes); needed the table {table}: {_columns_wanted(table)}")
    return head


def _refuse_foreign(table: str, path: Path, sign: FileSignature | None, *, is_packed: bool = False) -> None:
    if sign is None:
        return
    kind = "Parquet" if path.suffix == ".parquet" else "CSV in UTF-8"
    subject = "what is packed in it" if is_packed else "it"
    hint = "pack the CSV itself, once." if is_packed else sign.hint.format(table=table)
    raise InputRefused(
        f"{path.name} cannot be read as {kind}: {subject} is {sign.what}; needed the table {table}: "
        f"{_columns_wanted(table)}\n\nHint: {hint}"
    )


def _check_end(path: Path) -> tuple[str, ...]:
    """A notice where a plain CSV does not end in a line end; what is packed knows its own end."""
    if path.suffix != ".csv":
        return ()
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read()
    return () if last in b"\r\n" else (f"{path.name} does not end in a line end; it may have been cut short",)
