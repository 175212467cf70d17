"""What the reader of a kind of file hands to the engine: records as text, named as the file names them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import polars as pl
import pyarrow as pa

from tasks.formats.mapping import InputFormat

_CODECS: Final = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
"""How a compressed file begins."""


@dataclass(frozen=True, slots=True)
class Records:
    """Some records of one kind, in file order.

    ``cells``: one String column for each field that the reader knows of this kind; null where the file has none. A column
    ``tasks.core.gate.parsing.LINE``, if there, holds the text of a record that has too few or too many fields, else null.
    ``numbers``: Int64, the line of each record in the file, or its place among all the file's records, from 1.
    """

    kind: str
    cells: pl.DataFrame
    numbers: pl.Series


Reader = Callable[[InputFormat, Path], Iterator[Records]]
"""Reads a file; raises InputRefused where it cannot."""


def open_bytes(path: Path) -> BinaryIO:
    """The file's bytes, unpacked where they begin as gzip or Zstandard do. A file cut short raises ``OSError``."""
    with path.open("rb") as file:
        start = file.read(4)
    codec = next((codec for magic, codec in _CODECS.items() if start.startswith(magic)), None)
    stream: BinaryIO = pa.input_stream(str(path), compression=codec)
    return stream
