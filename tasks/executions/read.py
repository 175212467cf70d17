"""Read a file of executions, in whatever of the known formats it is.

Every record ends up in ``executions``, ``unread`` or ``ignored``; a file that cannot be trusted as a whole is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from tasks.executions.alpaca_events import read_alpaca
from tasks.executions.csv_file import read_csv
from tasks.executions.file_bytes import whole_bytes
from tasks.executions.fix_log import read_fix
from tasks.executions.flex_trades import read_flex
from tasks.executions.format_detection import format_of
from tasks.executions.record_tally import RecordTally
from tasks.executions.words import ExecutionFormat

_READERS: Final[Mapping[ExecutionFormat, Callable[[Path, bytes], RecordTally]]] = {
    ExecutionFormat.CSV: lambda path, _: read_csv(path),
    ExecutionFormat.FIX: read_fix,
    ExecutionFormat.FLEX: read_flex,
    ExecutionFormat.ALPACA: read_alpaca,
}


@dataclass(frozen=True, slots=True)
class ExecutionRecords:
    """What a file of executions says.

    ``executions``, ``lots``, ``unread``: tables ``EXECUTIONS``, ``EXECUTION_LOTS`` and ``UNREAD``, in the order of the file.
    ``ignored``: how many records are none of our business, by what they are called. ``unknown_columns``: of a CSV, ignored.
    """

    executions: pl.DataFrame
    lots: pl.DataFrame
    unread: pl.DataFrame
    format: ExecutionFormat
    ignored: dict[str, int]
    unknown_columns: tuple[str, ...] = ()


def read_executions(path: Path, format: ExecutionFormat | None = None) -> ExecutionRecords:  # noqa: A002 - as the option is called
    """Read the file; it may be packed with gzip or Zstandard.

    Parameters
    ----------
    path
        The file.
    format
        Null: told by what the file holds.

    Raises
    ------
    InputRefused
        The file as a whole cannot be read, or its format cannot be told.
    """
    data = whole_bytes(path)
    known = format_of(path.name, data) if format is None else format
    found = _READERS[known](path, data)
    return ExecutionRecords(
        executions=found.executions(),
        lots=found.lots(),
        unread=found.unread(),
        format=known,
        ignored=dict(sorted(found.ignored.items())),
        unknown_columns=found.unknown_columns,
    )
