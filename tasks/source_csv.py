"""Read a CSV with every cell as text, without losing a line of the wrong length.

1. The header is read on its own, so that every column is text: nothing is guessed. Empty cells are null.
2. Lines with too few or too many cells are set aside by the reader with their row number, cut or padded to the header's
   columns, and put back in their place.
3. A cell that runs over the end of its line is refused where rows belong to accounts: a forgotten quote would swallow
   the rows of others without a trace.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from schemas.errors import InputRefused
from tasks.core.parse import LINE

_CODECS: Final = {".gz": "gzip", ".zst": "zstd"}
_BLOCK: Final = 1 << 24
_PLACE: Final = "(place)"


def csv_header(path: Path) -> list[str]:
    """Names in the first line, without the spaces around them; one without a name is called by its place."""
    with _text(path) as text:
        names = [name.strip() for name in next(csv.reader(text), [])]
    return [name or f"(column {place})" for place, name in enumerate(names, 1)]


def csv_batches(path: Path, header: list[str], rows: int, *, one_line_rows: bool) -> Iterator[pl.DataFrame]:
    """The rows in file order, all columns text, about ``rows`` at a time; at least one frame.

    ``one_line_rows``: refuse a cell that holds a line break.
    """
    if not _has_rows(path):
        yield pl.DataFrame(schema=dict.fromkeys(header, pl.String))
        return
    lines = _Lines(header)
    with _stream(path) as stream, _reader(stream, lines) as reader:
        waiting: list[pa.RecordBatch] = []
        for block in reader:
            if one_line_rows:
                _refuse_line_breaks(path, block, lines.next_row + sum(batch.num_rows for batch in waiting))
            waiting.append(block)
            if sum(batch.num_rows for batch in waiting) >= rows:
                yield lines.in_place(waiting, path)
                waiting = []
        yield lines.in_place(waiting, path, is_last=True)


def _has_rows(path: Path) -> bool:
    with _text(path) as text:
        rows = csv.reader(text)
        next(rows, None)
        return any(rows)


@dataclass(slots=True)
class _Lines:
    """Lines of the wrong length met so far, and the number of the next row to hand out."""

    header: list[str]
    next_row: int = 1
    ragged: list[tuple[int, str]] = field(default_factory=list)

    def set_aside(self, line: pc.InvalidRow) -> str:
        self.ragged.append((line.number - 1, line.text))
        return "skip"

    def in_place(self, blocks: list[pa.RecordBatch], path: Path, *, is_last: bool = False) -> pl.DataFrame:
        """The blocks as one frame, with the lines that belong between their rows."""
        schema = pa.schema([(name, pa.string()) for name in self.header])
        frame = pl.DataFrame(pa.Table.from_batches(blocks, schema=schema))
        after, taken = self.next_row + frame.height, 0
        while taken < len(self.ragged) and (
            self.ragged[taken][0] < after or (is_last and self.ragged[taken][0] == after)
        ):
            after, taken = after + 1, taken + 1
        lines, self.ragged = self.ragged[:taken], self.ragged[taken:]
        first, self.next_row = self.next_row, after
        return _with_lines(frame, lines, first, self.header, path) if lines else frame


def _with_lines(
    frame: pl.DataFrame, lines: list[tuple[int, str]], first: int, header: list[str], path: Path
) -> pl.DataFrame:
    for number, text in lines:
        if "\n" in text.strip("\r\n"):
            raise InputRefused(_swallowed(path, number))
    numbers = {number for number, _ in lines}
    places = [number for number in range(first, first + frame.height + len(lines)) if number not in numbers]
    extra = pl.DataFrame(
        [[*_cells(text, len(header)), text, number] for number, text in lines],
        schema={**dict.fromkeys(header, pl.String), LINE: pl.String, _PLACE: pl.Int64},
        orient="row",
    )
    whole = frame.with_columns(pl.lit(None, dtype=pl.String).alias(LINE), pl.Series(_PLACE, places, dtype=pl.Int64))
    return pl.concat([whole, extra]).sort(_PLACE).drop(_PLACE)


def _cells(text: str, width: int) -> list[str | None]:
    """The first cells of a line of the wrong length, padded with nulls."""
    cells: list[str | None] = [cell or None for cell in next(csv.reader([text]), [])]
    return [*cells, *[None] * width][:width]


def _refuse_line_breaks(path: Path, block: pa.RecordBatch, first_row: int) -> None:
    for column in block.columns:
        if b"\n" in (column.buffers()[2] or pa.py_buffer(b"")).to_pybytes():
            rows = pl.Series(column).str.contains("\n", literal=True).arg_true()
            raise InputRefused(_swallowed(path, first_row + int(rows[0])))


def _swallowed(path: Path, number: int) -> str:
    return (
        f"{path.name} near row {number}: a quoted cell runs over the end of its line; needed one row a line\n\n"
        'Hint: look for a missing closing quote (").'
    )


def _text(path: Path) -> io.TextIOWrapper:
    return io.TextIOWrapper(_stream(path), encoding="utf-8-sig", newline="")


def _stream(path: Path) -> pa.NativeFile:
    return pa.input_stream(str(path), compression=_CODECS.get(path.suffix))


def _reader(stream: pa.NativeFile, lines: _Lines) -> pc.CSVStreamingReader:
    return pc.open_csv(
        stream,
        read_options=pc.ReadOptions(use_threads=False, block_size=_BLOCK, column_names=lines.header, skip_rows=1),
        parse_options=pc.ParseOptions(newlines_in_values=True, invalid_row_handler=lines.set_aside),
        convert_options=pc.ConvertOptions(
            column_types=dict.fromkeys(lines.header, pa.string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
            null_values=[""],
        ),
    )
