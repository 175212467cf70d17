"""Taking turns: at most one process works on a run, or on one shard of a step, at a time. A process that dies is in nobody's way.

DuckLake lets two transactions that only insert both in, where its catalogue is in PostgreSQL: the two would delete nothing of
each other's, and leave a shard's rows twice. What works on a shard therefore waits for its turn before it looks at the lake,
and what it wrote counts only while the turn lasted (``Turn.need``).

In PostgreSQL a turn is an advisory lock of a connection's own (PostgreSQL documentation, "Explicit Locking", 13.3.5). Beside
a SQLite ledger it is a lock on a file: flock(2), let go by the kernel where the process ends.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from warehouse.ledger_store import Store, told_apart
from warehouse.refused import refusals_told

LOOKS: Final = (0.05, 1.0)
"""Seconds between two looks at a turn that is taken: the first, and the longest."""
KEEPALIVE: Final = {"tcp_keepalives_idle": "30s", "tcp_keepalives_interval": "10s", "tcp_keepalives_count": "3"}
"""After a minute PostgreSQL takes a machine for gone that no longer answers, and the turn ends."""


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
        with told_apart(here), here.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for name, value in KEEPALIVE.items():
                connection.execute(sa.select(sa.func.set_config(name, value, False)))  # noqa: FBT003 - of the session
            _wait_until(lambda: bool(connection.scalar(sa.select(sa.func.pg_try_advisory_lock(number)))), told)
            try:
                yield Turn(lambda: _need(here, connection))
            finally:
                _let_go(connection, number)


def _number(name: str) -> int:
    """63 bits of the name's hash."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 1


def _need(engine: Engine, connection: Connection) -> None:
    """Raise ``LedgerUnreachable`` where the connection, and the lock with it, is gone."""
    with told_apart(engine):
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
    held: list[int] = []
    _wait_until(lambda: _took(path, held), told)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            path.unlink()  # before the lock is let go: whoever waits finds it gone and makes a new one
        os.close(held[0])


def _took(path: Path, held: list[int]) -> bool:
    """Lock the file; one that its last holder has removed meanwhile is nobody's lock any more."""
    with refusals_told("the ledger"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_ours = os.fstat(descriptor).st_ino == path.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        is_ours = False
    if is_ours:
        held.append(descriptor)
    else:
        os.close(descriptor)
    return is_ours


def _wait_until(took: Callable[[], bool], told: Callable[[], None]) -> None:
    pause, longest = LOOKS
    is_told = False
    while not took():
        if not is_told:
            told()
            is_told = True
        time.sleep(pause)
        pause = min(2 * pause, longest)
