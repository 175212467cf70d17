"""Read a CSV with every cell as text, without losing a line of the wrong length.

1. The header is read on its own, so that every column is text: nothing is guessed. Empty cells are null.
2. Lines with too few or too many cells are set aside by the reader with their row number, cut or padded to the header's
   columns, and put back in their place. Empty lines are no rows.
3. A cell that runs over the end of its line is refused: a forgotten quote would swallow the rows of others without a trace.
4. Bytes are judged before they are parsed, some lines at a time: text that is not UTF-8, a NUL byte or a line longer than
   16 MiB is refused. The last line is ended if it is not, so that a quote left open in its last cell is found as well.

The parser never reads by itself: it would do so on a thread of its own, which may outlive the interpreter.

Known limits: a quote left open in a line of the wrong length that is the last of the file, or of a part that is parsed at
once, swallows nothing and costs that line only; elsewhere it refuses the file.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from schemas.errors import InputRefused
from tasks.core.gate import LINE
from tasks.formats.text_lines import whole_lines

LONGEST_HEADER: Final = 1 << 16
"""Bytes of the longest first line."""
_CODECS: Final = {".gz": "gzip", ".zst": "zstd"}
_BLOCK: Final = 1 << 24
"""How much is read at once, and how long a line may be."""
_CELLS_OF: Final = 100_000
"""How much of a line of the wrong length is looked at for its cells."""
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
    text = b"".join(
        whole_lines(path.name, io.BytesIO(line).read, block_bytes=LONGEST_HEADER, longest_line=LONGEST_HEADER)
    ).decode("utf-8-sig")
    names = [name.strip() for name in next(csv.reader([text]), [])]
    if not any(names):
        raise InputRefused(f"{path.name} has an empty first line; needed the names of the columns")
    return [name if name and name[0] != "(" else f"(column {place})" for place, name in enumerate(names, 1)]


def csv_batches(path: Path, header: list[str], rows: int, *, block_bytes: int = _BLOCK) -> Iterator[pl.DataFrame]:
    """The rows in file order, all columns text, about ``rows`` at a time; at least one frame.

    ``block_bytes``: how much is read at once.

    Raises
    ------
    InputRefused
        The text is not UTF-8, a line is too long, or a cell runs over the end of its line.
    """
    next_row = 1
    waiting = [pl.DataFrame(schema=dict.fromkeys(header, pl.String))]
    with _stream(path) as stream:
        for number, lines in enumerate(
            whole_lines(path.name, stream.read, block_bytes=block_bytes, longest_line=_BLOCK)
        ):
            text = lines[len(_first_line(lines)) :] if number == 0 else lines
            if not text.strip(b"\r\n"):
                continue
            waiting.append(_frame(path, text, header, next_row))
            next_row += waiting[-1].height
            if sum(frame.height for frame in waiting) >= rows:
                yield pl.concat(waiting, how="diagonal")
                waiting = []
    if waiting:
        yield pl.concat(waiting, how="diagonal")


def _first_line(head: bytes) -> bytes:
    return head.partition(b"\n")[0].partition(b"\r")[0]


def _frame(path: Path, text: bytes, header: list[str], first: int) -> pl.DataFrame:
    """Whole lines as rows. ``first``: number of the first of them in the file."""
    ragged: list[tuple[int, str]] = []

    def set_aside(line: pc.InvalidRow) -> str:
        ragged.append((first + line.number - 1, line.text))
        return "skip"

    rows = pc.read_csv(
        pa.BufferReader(text),
        read_options=pc.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=header),
        parse_options=pc.ParseOptions(newlines_in_values=True, invalid_row_handler=set_aside),
        convert_options=pc.ConvertOptions(
            check_utf8=False,
            column_types=dict.fromkeys(header, pa.string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
            null_values=[""],
        ),
    )
    _refuse_line_breaks(path, rows, first)
    frame = pl.DataFrame(rows)
    return _with_lines(frame, ragged, first, header, path) if ragged else frame


def _with_lines(
    frame: pl.DataFrame, lines: list[tuple[int, str]], first: int, header: list[str], path: Path
) -> pl.DataFrame:
    for number, text in lines:
        if "\n" in text or "\r" in text:
            raise InputRefused(_line_break_message(path, number))
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


def _refuse_line_breaks(path: Path, rows: pa.Table, first: int) -> None:
    for column in rows.columns:
        for chunk in column.chunks:
            cells = (chunk.buffers()[2] or pa.py_buffer(b"")).to_pybytes()
            if b"\n" in cells or b"\r" in cells:
                broken = pl.Series(column).str.contains(r"[\r\n]").arg_true()
                raise InputRefused(_line_break_message(path, first + int(broken[0])))


def _line_break_message(path: Path, number: int) -> str:
    return (
        f"{path.name} near row {number}: a quoted cell runs over the end of its line; needed one row a line\n\n"
        'Hint: look for a missing closing quote (").'
    )


def _stream(path: Path) -> pa.NativeFile:
    return pa.input_stream(str(path), compression=_CODECS.get(path.suffix))
