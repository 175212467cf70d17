"""Readers and writers of an embedded lake share its catalogue; whoever merges its files has it alone.

DuckDB reads a SQLite catalogue by several connections at once, of which each has its own moment. Rows are only ever added to
the catalogue, and then the moments do not matter; but merging takes rows away, and a read in the middle of it was seen to find
no file at all, and so no rows. So one who merges waits until nobody reads or writes, and whoever comes then waits until it is
done. PostgreSQL shows all connections of a read one moment (``pg_export_snapshot``) and needs none of this.

Both are locks on files beside the catalogue, flock(2): the kernel lets them go where a process ends. At the turnstile those who
come later wait behind one who merges, which else would never have its turn.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from warehouse.attach import SQLITE

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
        """Read or write: beside others, and while nobody merges."""
        mine: set[str] = _held.__dict__.setdefault("catalogues", set())
        if self.catalogue is None or self.catalogue in mine:
            yield
            return
        with self._locked("turnstile", fcntl.LOCK_SH):
            inside = self._lock("shared", fcntl.LOCK_SH)
        mine.add(self.catalogue)
        try:
            yield
        finally:
            mine.discard(self.catalogue)
            os.close(inside)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Take rows out of the catalogue: nobody else is at it."""
        if self.catalogue is None:
            yield
            return
        with self._locked("turnstile", fcntl.LOCK_EX), self._locked("shared", fcntl.LOCK_EX):
            yield

    @contextmanager
    def _locked(self, name: str, how: int) -> Iterator[None]:
        descriptor = self._lock(name, how)
        try:
            yield
        finally:
            os.close(descriptor)

    def _lock(self, name: str, how: int) -> int:
        """Wait for the lock; closing the descriptor lets it go."""
        descriptor = os.open(Path(f"{self.catalogue}.{name}"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, how)
        return descriptor
