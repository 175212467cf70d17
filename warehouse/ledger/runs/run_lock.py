"""Taking turns: at most one process works on a run, or on one shard of a step, at a time. A process that dies is in nobody's way.

DuckLake lets two transactions that only insert both in, where its catalogue is in PostgreSQL: the two would delete nothing of
each other's, and leave a shard's rows twice. What works on a shard therefore waits for its turn before it looks at the lake,
and what it wrote counts only while the turn lasted (``Turn.need``).

In PostgreSQL a turn is an advisory lock of a connection's own (PostgreSQL documentation, "Explicit Locking", 13.3.5). Beside
a SQLite ledger it is a lock on a file, which ends with its process (``file_lock``).
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from warehouse.faults import translate_disk_errors
from warehouse.file_lock import lock_file
from warehouse.ledger.store import Store, translate_db_errors

LOOKS: Final = (0.05, 1.0)
"""Seconds between two looks at a turn that is taken: the first, and the longest."""
KEEPALIVE: Final = {"tcp_keepalives_idle": "30s", "tcp_keepalives_interval": "10s", "tcp_keepalives_count": "3"}
"""After a minute PostgreSQL takes a machine for gone that no longer answers, and the turn ends."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn as it is held. ``need`` raises where it was lost meanwhile, so that the work is done again in a new one."""

    need: Callable[[], None]


def _nothing_to_need() -> None:
    """A lock on a file is not lost while its process lives."""


class Turns(Store):
    """Who may work now."""

    @contextmanager
    def turn(self, *work: object, told: Callable[[], None] = lambda: None) -> Iterator[Turn]:
        """Wait until nobody else does the work that the words name; ``told`` is called once where somebody does.

        There is no longest wait: whoever has the turn works, or its connection or process ends and the turn with it.
        """
        name = " ".join(str(word) for word in work)
        database = self.engine.url.database
        if self.engine.dialect.name == "postgresql":
            with self._in_postgres(_number(name), told) as turn:
                yield turn
        elif database in {None, "", ":memory:"}:
            yield Turn(_nothing_to_need)
        else:
            with _in_file(Path(f"{database}-turns") / f"{_number(name):016x}", told):
                yield Turn(_nothing_to_need)

    @contextmanager
    def _in_postgres(self, number: int, told: Callable[[], None]) -> Iterator[Turn]:
        here = self.engine
        with translate_db_errors(here), here.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for name, value in KEEPALIVE.items():
                connection.execute(sa.select(sa.func.set_config(name, value, False)))  # noqa: FBT003 - of the session
            _wait_for(lambda: connection.scalar(sa.select(sa.func.pg_try_advisory_lock(number))), told)
            try:
                yield Turn(lambda: _need(here, connection))
            finally:
                _let_go(connection, number)


def _number(name: str) -> int:
    """63 bits of the name's hash."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 1


def _need(engine: Engine, connection: Connection) -> None:
    """Raise ``LedgerUnreachable`` where the connection, and the lock with it, is gone."""
    with translate_db_errors(engine):
        connection.execute(sa.select(1))


def _let_go(connection: Connection, number: int) -> None:
    """End the turn. A connection that is gone has ended it, and what the work came to stands."""
    if connection.invalidated:
        return
    try:
        connection.execute(sa.select(sa.func.pg_advisory_unlock(number)))
    except DBAPIError:
        connection.invalidate()


@contextmanager
def _in_file(path: Path, told: Callable[[], None]) -> Iterator[None]:
    path.parent.mkdir(mode=0o700, exist_ok=True)

    def took() -> FileIO | None:
        with translate_disk_errors("the ledger"):
            return lock_file(path)

    with _wait_for(took, told):
        try:
            yield
        finally:
            with suppress(FileNotFoundError):
                path.unlink()  # before the lock is let go: whoever waits finds it gone and makes a new one


def _wait_for(took: Callable[[], T | None], told: Callable[[], None]) -> T:
    """What is had as soon as nobody else has it; ``told`` is called once where somebody does."""
    pause, longest = LOOKS
    is_told = False
    while not (found := took()):
        if not is_told:
            told()
            is_told = True
        time.sleep(pause)
        pause = min(2 * pause, longest)
    return found
