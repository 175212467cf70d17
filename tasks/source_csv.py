"""Read a CSV with every cell as text, without losing a line of the wrong length.

1. The header is read on its own, so that every column is text: nothing is guessed. Empty cells are null.
2. Lines with too few or too many cells are set aside by the reader with their row number, cut or padded to the header's
   columns, and put back in their place. Empty lines are no rows. More than 64 MiB of such lines refuse the file.
3. A cell that runs over the end of its line is refused: a forgotten quote would swallow the rows of others without a trace.
4. Bytes are judged before they are parsed: text that is not UTF-8, a NUL byte or a line longer than 16 MiB is refused, and
   the file counts as ended by a line end, so that a quote left open in its last line is found as well.
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
from tasks.source_text import CheckedText

LONGEST_HEADER: Final = 1 << 16
"""Bytes of the longest first line."""
_CODECS: Final = {".gz": "gzip", ".zst": "zstd"}
_BLOCK: Final = 1 << 24
_CELLS_OF: Final = 100_000
"""How much of a line of the wrong length is looked at for its cells."""
_RAGGED_MOST: Final = 1 << 26
"""Characters of all lines of the wrong length together: they are kept until the rows around them are read."""
_PLACE: Final = "(place)"


def csv_head(path: Path) -> bytes:
    """The first bytes of the text, enough for the longest header; fewer where the file is shorter."""
    with _stream(path) as stream:
        head: bytes = stream.read(LONGEST_HEADER + 1)
    return head


def csv_header(path: Path, head: bytes) -> list[str]:
    """Names in the first line, without the spaces around them; one without a name is called by its place.

    Raises
    ------
    InputRefused
        The first line is empty, too long or not UTF-8, or leaves a quote open.
    """
    line = _first_line(head)
    if len(line) > LONGEST_HEADER:
        raise InputRefused(
            f"{path.name} has a first line longer than {LONGEST_HEADER} bytes; needed the names of the columns\n\n"
            "Hint: the file may be binary, or may have lost its line ends."
        )
    if line.count(b'"') % 2:
        raise InputRefused(
            f"{path.name} has a quote in its first line that is not closed there; needed the names of the columns\n\n"
            'Hint: look for a missing closing quote ("), or a name with a line break.'
        )
    CheckedText(path.name, io.BytesIO(line), longest_line=LONGEST_HEADER).check_all()
    names = [name.strip() for name in next(csv.reader([line.decode("utf-8-sig")]), [])]
    if not any(names):
        raise InputRefused(f"{path.name} has an empty first line; needed the names of the columns")
    return [name if name and name[0] != "(" else f"(column {place})" for place, name in enumerate(names, 1)]


def csv_batches(path: Path, header: list[str], rows: int, *, block_bytes: int = _BLOCK) -> Iterator[pl.DataFrame]:
    """The rows in file order, all columns text, about ``rows`` at a time; at least one frame.

    ``block_bytes``: how much is read at once, which bounds a line's length too.

    Raises
    ------
    InputRefused
        The text is not UTF-8, a line is too long, a cell runs over the end of its line, or most lines are of the wrong length.
    """
    lines = _Lines(header)
    with _stream(path) as stream:
        text = CheckedText(path.name, stream, longest_line=block_bytes)
        if not _has_rows(path):
            text.check_all()
            yield pl.DataFrame(schema=dict.fromkeys(header, pl.String))
            return
        try:
            yield from _frames(path, text, lines, rows, block_bytes)
        except pa.ArrowInvalid as error:
            if lines.characters <= _RAGGED_MOST:
                raise
            raise InputRefused(
                f"{path.name} has too many lines with more or fewer cells than its header has columns; needed as many\n\n"
                "Hint: look at what separates its cells."
            ) from error


def _frames(path: Path, text: CheckedText, lines: "_Lines", rows: int, block_bytes: int) -> Iterator[pl.DataFrame]:
    with _reader(text, lines, block_bytes) as reader:
        waiting: list[pa.RecordBatch] = []
        for block in reader:
            height = sum(batch.num_rows for batch in waiting)
            _refuse_line_breaks(path, block, lines.next_row + height)
            waiting.append(block)
            if height + block.num_rows >= rows:
                yield lines.in_place(waiting, path)
                waiting = []
        yield lines.in_place(waiting, path)


def _first_line(head: bytes) -> bytes:
    return head.partition(b"\n")[0].partition(b"\r")[0]


def _has_rows(path: Path) -> bool:
    """Whether anything but empty lines follows the first line."""
    with _stream(path) as stream:
        block = stream.read(LONGEST_HEADER)
        block = block[len(_first_line(block)) :]
        while block and not block.strip(b"\r\n"):
            block = stream.read(LONGEST_HEADER)
        return bool(block)


@dataclass(slots=True)
class _Lines:
    """Lines of the wrong length met so far, and the number of the next row to hand out."""

    header: list[str]
    next_row: int = 1
    ragged: list[tuple[int, str]] = field(default_factory=list)
    characters: int = 0
    """Of all lines of the wrong length so far."""

    def set_aside(self, line: pc.InvalidRow) -> str:
        self.ragged.append((line.number - 1, line.text))
        self.characters += len(line.text)
        return "error" if self.characters > _RAGGED_MOST else "skip"

    def in_place(self, blocks: list[pa.RecordBatch], path: Path) -> pl.DataFrame:
        """The blocks as one frame, with the lines that belong between their rows or right behind them."""
        schema = pa.schema([(name, pa.string()) for name in self.header])
        frame = pl.DataFrame(pa.Table.from_batches(blocks, schema=schema))
        after, taken = self.next_row + frame.height, 0
        while taken < len(self.ragged) and self.ragged[taken][0] <= after:
            after, taken = after + 1, taken + 1
        lines, self.ragged = self.ragged[:taken], self.ragged[taken:]
        first, self.next_row = self.next_row, after
        return _with_lines(frame, lines, first, self.header, path) if lines else frame


def _with_lines(
    frame: pl.DataFrame, lines: list[tuple[int, str]], first: int, header: list[str], path: Path
) -> pl.DataFrame:
    for number, text in lines:
        if not {"\n", "\r"}.isdisjoint(text.strip("\r\n")):
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
    """The first cells of a line of the wrong length, padded with nulls. Where no comma parts it, no cell of it is known."""
    cells: list[str | None] = [cell or None for cell in next(csv.reader([text[:_CELLS_OF]]), [])]
    return [*(cells if len(cells) > 1 else []), *[None] * width][:width]


def _refuse_line_breaks(path: Path, block: pa.RecordBatch, first_row: int) -> None:
    for column in block.columns:
        cells = (column.buffers()[2] or pa.py_buffer(b"")).to_pybytes()
        if b"\n" in cells or b"\r" in cells:
            rows = pl.Series(column).str.contains(r"[\r\n]").arg_true()
            raise InputRefused(_swallowed(path, first_row + int(rows[0])))


def _swallowed(path: Path, number: int) -> str:
    return (
        f"{path.name} near row {number}: a quoted cell runs over the end of its line; needed one row a line\n\n"
        'Hint: look for a missing closing quote (").'
    )


def _stream(path: Path) -> pa.NativeFile:
    return pa.input_stream(str(path), compression=_CODECS.get(path.suffix))


def _reader(text: CheckedText, lines: _Lines, block_bytes: int) -> pc.CSVStreamingReader:
    return pc.open_csv(
        text,
        read_options=pc.ReadOptions(use_threads=False, block_size=block_bytes, column_names=lines.header, skip_rows=1),
        parse_options=pc.ParseOptions(newlines_in_values=True, invalid_row_handler=lines.set_aside),
        convert_options=pc.ConvertOptions(
            check_utf8=False,
            column_types=dict.fromkeys(lines.header, pa.string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
            null_values=[""],
        ),
    )
