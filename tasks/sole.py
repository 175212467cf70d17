"""At most one process keeps a home in order or backs it up at a time: it would remove files that the other copies."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from schemas.errors import Retryable
from schemas.settings import Settings
from warehouse.ledger_store import create_engine
from warehouse.ledger_turns import Turns

LOCK: Final = ".maintain.lock"


@contextmanager
def sole_keeper(settings: Settings) -> Iterator[None]:
    """Held until the end; a killed process holds it no longer. Where the ledger is elsewhere, machines exclude each other too.

    Raises
    ------
    Retryable
        Another process holds it.
    LedgerUnreachable
        The ledger is on a server that does not answer.
    """

    def refuse() -> NoReturn:
        raise Retryable(
            f"another process backs up {settings.home} or keeps it in order\n\nHint: try again when it is done."
        )

    with _locked(settings.home / LOCK, refuse):
        if not settings.ledger_url:
            yield
            return
        ledger = Turns(create_engine(settings.ledger_address))  # not opened: that would bring its tables up to date
        try:
            with ledger.turn("keeper", told=refuse):
                yield
        finally:
            ledger.close()


@contextmanager
def _locked(path: Path, refuse: Callable[[], NoReturn]) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            refuse()
        yield
