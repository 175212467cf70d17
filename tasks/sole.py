"""At most one process keeps a home in order or backs it up at a time: it would remove files that the other copies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from schemas.errors import Retryable

LOCK: Final = ".maintain.lock"


@contextmanager
def sole_keeper(home: Path) -> Iterator[None]:
    """Held until the end; a killed process holds it no longer.

    Raises
    ------
    Retryable
        Another process holds it.
    """
    with (home / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Retryable(
                f"another process backs up {home} or keeps it in order\n\nHint: try again when it is done."
            ) from None
        yield
