"""Quarantined rows as a file for the people who mend the source: CSV that no spreadsheet takes for formulas, Parquet or JSON."""

import io
import json
from pathlib import Path
from typing import Final, Literal

import polars as pl

from schemas.errors import WrongUsage
from tasks.core.facts import csv_files, text_cell
from tasks.runtime import write_file

FileFormat = Literal["csv", "parquet", "json"]
FORMATS: Final[tuple[FileFormat, ...]] = ("csv", "parquet", "json")


def format_of(path: Path) -> FileFormat:
    """The format that the ending of a name means.

    Raises
    ------
    WrongUsage
        It means none.
    """
    for known in FORMATS:
        if path.suffix.lower() == f".{known}":
            return known
    raise WrongUsage(f"{path.name} does not end in .csv, .parquet or .json\n\nHint: say which with --format.")


def write_rows(rows: pl.DataFrame, path: Path, file_format: FileFormat) -> None:
    """Write rows to a new file for its owner alone.

    Raises
    ------
    WrongUsage
        The file is there already, or cannot be written.
    """
    content = _CONTENT[file_format](rows)
    try:
        write_file(path, content)
    except FileExistsError:
        raise WrongUsage(f"{path} is there already\n\nHint: name another file, or move it away.") from None
    except OSError as error:
        path.unlink(missing_ok=True)
        raise WrongUsage(f"{path} cannot be written: {error.strerror}") from error


def _csv(rows: pl.DataFrame) -> bytes:
    cells = rows.select(text_cell(name) for name in rows.columns)
    if cells.is_empty():
        return (",".join(cells.columns) + "\n").encode()
    (content,) = csv_files(pl.repeat("rows", cells.height, eager=True), cells)["content"]
    return str(content).encode()


def _parquet(rows: pl.DataFrame) -> bytes:
    content = io.BytesIO()
    rows.write_parquet(content)
    return content.getvalue()


def _json(rows: pl.DataFrame) -> bytes:
    """A list of objects; the source row is an object too."""
    objects = [{**row, "row": json.loads(row["row"])} for row in rows.iter_rows(named=True)]
    return (json.dumps(objects, default=str, indent=1, ensure_ascii=False) + "\n").encode()


_CONTENT: Final = {"csv": _csv, "parquet": _parquet, "json": _json}
