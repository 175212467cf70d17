"""Read a file of executions, in whatever of the known formats it is.

Every record ends up in ``executions``, ``unread`` or ``ignored``; a file that cannot be trusted as a whole is refused.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from schemas.errors import InputRefused
from tasks.executions.alpaca_events import read_alpaca
from tasks.executions.csv_file import read_csv
from tasks.executions.file_bytes import BOM, whole_bytes
from tasks.executions.fix_log import read_fix
from tasks.executions.flex_trades import read_flex
from tasks.executions.record_tally import RecordTally
from tasks.executions.words import ExecutionFormat, quote_value

_HEAD: Final = 1 << 20
"""How much of a file is looked at: a log may begin with other lines."""
_MESSAGE: Final = re.compile(rb"8=FIXT?\.[0-9]\.[0-9](?:\x01|\||\^A)9=")
_JSON: Final = (b"{", b"[", b"data:", b"event:", b"id:", b"retry:", b":")
"""How JSON and server-sent events begin."""

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
    ``ignored``: how many records the format ignores, by what they are called. ``rounded``: how many have a number of more than six
    digits after the point. ``unknown_columns``: of a CSV, ignored.
    """

    executions: pl.DataFrame
    lots: pl.DataFrame
    unread: pl.DataFrame
    format: ExecutionFormat
    ignored: dict[str, int]
    rounded: int = 0
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
        rounded=found.rounded,
        unknown_columns=found.unknown_columns,
    )


def format_of(name: str, data: bytes) -> ExecutionFormat:
    """Detect the format of a file by its content, never by its name.

    Raises
    ------
    InputRefused
        The format is not known.
    """
    head = data[:_HEAD].removeprefix(BOM).lstrip()
    if head.startswith(b"<"):
        return ExecutionFormat.FLEX
    is_json = head.startswith(_JSON)
    if not is_json and b"execution_id" in head.partition(b"\n")[0]:
        return ExecutionFormat.CSV
    if _MESSAGE.search(head):
        return ExecutionFormat.FIX
    if is_json:
        return ExecutionFormat.ALPACA
    start = head[:60].decode(errors="replace").partition("\n")[0]
    raise InputRefused(
        f"{name} is in no format that can be told (it begins with {quote_value(start)}); needed CSV with a column execution_id, "
        "FIX messages, a Flex statement or Alpaca's trade events\n\n"
        f"Hint: pass --format {', '.join(list(ExecutionFormat)[:-1])} or {list(ExecutionFormat)[-1]}."
    )
