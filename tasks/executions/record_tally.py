"""Where every record of a file ends up: read, unread with a sentence, or ignored by the rules of its format."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from schemas.executions import EXECUTION_LOTS, EXECUTIONS, UNREAD
from tasks.executions.execution import Execution, Lot, execution, has_long_numbers
from tasks.executions.words import Cells, Dialect, IgnoredRecord, Unreadable


@dataclass(slots=True)
class RecordTally:
    """What was read of a file so far. A NUL character in a record's text is written out: PostgreSQL has none."""

    ignored: Counter[str] = field(default_factory=Counter)
    rounded: int = 0
    """Records with a number of more than six digits after the point."""
    unknown_columns: tuple[str, ...] = ()
    _executions: list[tuple[Any, ...]] = field(default_factory=list)
    _lots: list[tuple[Any, ...]] = field(default_factory=list)
    _unread: list[tuple[Any, ...]] = field(default_factory=list)

    def accept(self, number: int, raw: str, found: Execution, said: Cells) -> None:
        """A record that was read, at its place in the file. ``said``: what it was read from."""
        self.rounded += has_long_numbers(said)
        self._executions.append((number, _plain(raw), *found))

    def take(self, number: int, raw: str, cells_of: Callable[[], Cells | IgnoredRecord], dialect: Dialect) -> None:
        """A record by what it says: read, ignored by its name, or set aside with what could not be read."""
        try:
            said = cells_of()
            if isinstance(said, IgnoredRecord):
                self.ignore(said.name)
            else:
                self.accept(number, raw, execution(said, dialect), said)
        except Unreadable as error:
            self.set_aside(number, raw, str(error))

    def close_lots(self, execution_id: str, lots: Sequence[tuple[int, Lot]]) -> None:
        """Lots that the execution closed, each with its place in the file."""
        self._lots.extend((number, execution_id, *each) for number, each in lots)

    def set_aside(self, number: int, raw: str, message: str) -> None:
        """A record that cannot be read, and why."""
        self._unread.append((number, _plain(raw), message))

    def ignore(self, name: str, count: int = 1) -> None:
        """Records that are none of our business."""
        self.ignored[name] += count

    def executions(self) -> pl.DataFrame:
        """Table ``EXECUTIONS``, in the order of the file."""
        return pl.DataFrame(self._executions, schema=EXECUTIONS, orient="row").sort("row_number", maintain_order=True)

    def lots(self) -> pl.DataFrame:
        """Table ``EXECUTION_LOTS``, in the order of the file."""
        return pl.DataFrame(self._lots, schema=EXECUTION_LOTS, orient="row").sort("row_number", maintain_order=True)

    def unread(self) -> pl.DataFrame:
        """Table ``UNREAD``, in the order of the file."""
        return pl.DataFrame(self._unread, schema=UNREAD, orient="row").sort("row_number", maintain_order=True)


def _plain(raw: str) -> str:
    return raw.replace("\0", "\\0")
