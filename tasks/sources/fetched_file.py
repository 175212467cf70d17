"""A file as a source delivered it."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """One file that was taken, whole, and stands on this machine.

    ``source``: name of its source. ``name``: what it is called there (``lots.csv``; ``public.lots`` of a database), for
    messages. ``path``: where to read it. ``sha256`` is of the bytes at ``path``, as hex.
    """

    source: str
    name: str
    path: Path
    size_bytes: int
    sha256: str
    modified_at: datetime | None = None
