"""At most one process keeps a home in order or backs it up at a time: it would remove files that the other copies."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

from schemas.errors import Retryable
from schemas.settings import Settings
from warehouse.file_lock import lock_file
from warehouse.ledger import Turns, create_engine

LOCK: Final = ".maintain.lock"


@contextmanager
def maintenance_lock(settings: Settings) -> Iterator[None]:
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

    lock = lock_file(settings.home / LOCK)
    if lock is None:
        refuse()
    with lock:
        if not settings.ledger_url:
            yield
            return
        locks = Turns(create_engine(settings.ledger_address))  # not opened: that would bring its tables up to date
        try:
            with locks.turn("keeper", told=refuse):
                yield
        finally:
            locks.close()
