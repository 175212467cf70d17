"""The lines of a text file in bulk: one text column with their numbers, some hundred thousand at a time.

1. Bytes are read in blocks that end where a line ends, unpacked on the way, and turned into UTF-8.
2. A line ends with a line feed; a carriage return before it belongs to the end. Control characters mean nothing else.
3. Blank lines, the end-of-file mark of old transfers and comments are left out, and counted in the numbers of the others.

Known limits: encodings in which a byte of a line feed may be part of another character cannot be read.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import polars as pl
import pyarrow as pa

from schemas.errors import InputRefused
from tasks.formats.records import open_bytes

BLOCK_BYTES: Final = 1 << 24
"""About 150,000 lines of 100 characters."""
_BOM: Final = b"\xef\xbb\xbf"
_END_OF_FILE: Final = "\x1a"
_LINE_FEED: Final = 10
_SPACES: Final = " \t\x0b\x0c\r\xa0"


def read_lines(
    path: Path,
    name: str,
    encoding: str,
    *,
    comment: Sequence[str] = (),
    blank: str = "",
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[pl.DataFrame]:
    """``line`` and ``number`` (Int64, from 1) of the lines that are neither blank nor comments, in file order.

    ``blank``: signs that alone make a line no less blank than spaces do.

    Raises
    ------
    InputRefused
        The file is empty, cut short, a web page, or not in its encoding; ``name`` is what the message calls it.
    """
    first, is_empty = 1, True
    try:
        with open_bytes(path) as stream:
            for block in _blocks(stream, name, block_bytes):
                if is_empty:
                    _refuse_page(block, name)
                text = _utf8(block.removeprefix(_BOM) if first == 1 else block, name, encoding, first)
                frame = _number_lines(text, first)
                first += frame.height
                kept = _without_blanks(frame, comment, blank)
                is_empty = is_empty and not kept.height
                if kept.height:
                    yield kept
    except OSError as error:
        raise InputRefused(
            f"{name} cannot be read to its end ({str(error).partition(chr(10))[0]}, after line {first - 1}); needed the "
            "whole file\n\nHint: deliver the file again; it may have been cut short."
        ) from error
    if is_empty:
        raise InputRefused(f"{name} is empty; needed at least one line\n\nHint: deliver the file again.")


def _blocks(stream: BinaryIO, name: str, size: int) -> Iterator[bytes]:
    """Bytes up to the end of a line, about ``size`` at a time."""
    rest = b""
    while block := stream.read(size):
        whole = rest + block
        cut = whole.rfind(b"\n") + 1
        if not cut and len(whole) > size:
            raise InputRefused(f"{name} has a line of more than {size} bytes; needed one record a line")
        rest = whole[cut:]
        if cut:
            yield whole[:cut]
    if rest:
        yield rest


def _refuse_page(block: bytes, name: str) -> None:
    start = block[:1000].lstrip(_BOM + b" \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise InputRefused(
            f"{name} is a web page; needed the custodian's file\n\n"
            "Hint: the download may have given a sign-in or an error page; open it in a browser."
        )


def _utf8(block: bytes, name: str, encoding: str, first: int) -> bytes:
    if block.isascii():
        return block
    try:
        text = block.decode(encoding)
    except UnicodeDecodeError as error:
        number = first + block.count(b"\n", 0, error.start)
        raise InputRefused(
            f"{name} line {number} has the byte {block[error.start]:#04x}, which is nothing in {encoding}; needed text in "
            f"{encoding}\n\nHint: set encoding in the format (cp1252 and latin-1 are common)."
        ) from error
    return block if encoding.lower() in {"utf-8", "utf8", "ascii"} else text.encode()


def _number_lines(text: bytes, first: int) -> pl.DataFrame:
    """Lines without their ends; they share the block's memory."""
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == _LINE_FEED) + 1
    if not text.endswith(b"\n"):
        ends = np.append(ends, len(text))
    bounds = np.concatenate(([0], ends)).astype(np.int64)
    lines = pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(bounds), pa.py_buffer(text))
    numbers = pl.int_range(first, first + len(ends), dtype=pl.Int64, eager=True)
    return pl.DataFrame({"line": pl.Series(lines).str.strip_chars_end("\r\n"), "number": numbers})


def _without_blanks(frame: pl.DataFrame, comment: Sequence[str], blank: str) -> pl.DataFrame:
    line = pl.col("line")
    is_kept = ~line.str.strip_chars(_SPACES + blank).is_in(["", _END_OF_FILE])
    return frame.filter(is_kept, *(~line.str.starts_with(each) for each in comment))
