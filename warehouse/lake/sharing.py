"""Readers and writers of an embedded lake share its catalogue; whoever merges its files has it alone.

DuckDB reads a SQLite catalogue by several connections at once, of which each has its own moment. Rows are only ever added to
the catalogue, and then the moments do not matter; but merging takes rows away, and a read in the middle of it was seen to find
no file at all, and so no rows. So one who merges waits until nobody reads or writes, and whoever comes then waits until it is
done. PostgreSQL shows all connections of a read one moment (``pg_export_snapshot``) and needs none of this.

Both are locks on files beside the catalogue, which end with their process (``file_lock``). At the turnstile those who come later
wait behind one who merges, which else would never have its turn. Nobody waits for ever: a process may hang.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final, Self

from schemas.errors import LakeBusy
from warehouse.faults import translate_disk_errors
from warehouse.file_lock import lock_file
from warehouse.lake.attach import SQLITE

MERGE_SECONDS: Final = 600.0
"""How long a reader or writer waits for one who merges: many times what a table takes."""
QUIET_SECONDS: Final = 60.0
"""How long one who merges waits for all others, and keeps those who come later waiting."""
LOOK_SECONDS: Final = 0.01
BEING_KEPT: Final = (
    "files of the lake are being merged, and that does not end\n\n"
    "Hint: does `trimtab maintain` hang? Nothing is lost where it is ended. Then the same command again."
)
IN_USE: Final = "the lake is being read or written all the time\n\nHint: try again; is there a query without end?"

_held: Final = threading.local()
"""Catalogues that this thread shares already: it does not go through the turnstile again."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """Who may touch a lake now; ``catalogue`` null: it is not a file, and everybody may at any time."""

    catalogue: str | None = None

    @classmethod
    def of(cls, address: str) -> Self:
        """That of the lake at an address."""
        return cls(address.removeprefix(SQLITE) if address.startswith(SQLITE) else None)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Read or write: beside others, and while nobody merges.

        Raises
        ------
        LakeBusy
            Whoever merges does not come to an end.
        """
        mine: set[str] = _held.__dict__.setdefault("catalogues", set())
        if self.catalogue is None or self.catalogue in mine:
            yield
            return
        with self._lock("turnstile", MERGE_SECONDS, is_shared=True):
            inside = self._lock("shared", MERGE_SECONDS, is_shared=True)
        with inside:
            mine.add(self.catalogue)
            try:
                yield
            finally:
                mine.discard(self.catalogue)

    @contextmanager
    def alone(self, patience: float = QUIET_SECONDS) -> Iterator[None]:
        """Take rows out of the catalogue: nobody else is at it.

        Raises
        ------
        LakeBusy
            Somebody is, for longer than ``patience``, seconds.
        """
        if self.catalogue is None:
            yield
            return
        with self._lock("turnstile", patience), self._lock("shared", patience):
            yield

    def _lock(self, name: str, patience: float, *, is_shared: bool = False) -> FileIO:
        """Wait for the lock; closing it lets it go."""
        for _ in range(1 + round(patience / LOOK_SECONDS)):
            with translate_disk_errors("the lake"):
                lock = lock_file(Path(f"{self.catalogue}.{name}"), is_shared=is_shared)
            if lock is not None:
                return lock
            time.sleep(LOOK_SECONDS)
        raise LakeBusy(BEING_KEPT if is_shared else IN_USE)
