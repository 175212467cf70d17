"""Translates what the disk or the object store refuses into sentences: a person makes room or gives access.

The engines' own words may hold the password of an address. So ours are other words.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import duckdb
from sqlalchemy.exc import DBAPIError

from schemas.errors import StoreRefused
from warehouse.faults.engine_errors import EngineFault, faults_of

OF_FILES: Final = (duckdb.Error, duckdb.IOException, duckdb.SerializationException)
"""Errors of DuckDB that no statement leads to; most of what it says of a damaged page has no type of its own."""
OF_A_FILE: Final = re.compile(
    r"\.parquet|TProtocol|[Tt]hrift|variable-length int|magic bytes|decompress|ZSTD|[Ss]nappy|corrupt", re.IGNORECASE
)
HINTS: Final = {
    EngineFault.NO_KEY: "look at the keys and at what they may do, then the same command again.",
    EngineFault.NO_ROOM: "make room, `df -h` shows where, then the same command again.",
    EngineFault.NO_ACCESS: "work as the user whose files they are, or give access, then the same command again.",
    EngineFault.NOT_OPENED: "is it a file, and may you read and write it? Then the same command again.",
    EngineFault.READ_ONLY: "see why it was mounted so, then the same command again.",
    EngineFault.BROKEN: "look into the system's log; a backup may be needed.",
}
"""What a person does about it; where an error says several, the first counts."""


@contextmanager
def translate_disk_errors(what: str) -> Iterator[None]:
    """Turn a refusal of the machine into ``StoreRefused``, a sentence about ``what``; other errors pass."""
    try:
        yield
    except (OSError, sqlite3.Error, duckdb.Error, DBAPIError) as error:
        if refusal := disk_refusal(what, error):
            raise refusal from error
        raise


@contextmanager
def translate_damage() -> Iterator[None]:
    """Turn what DuckDB says of a file of the lake that it can make nothing of into ``StoreRefused``; other errors pass."""
    try:
        yield
    except duckdb.Error as error:
        if faults_of(error) or not (type(error) in OF_FILES or OF_A_FILE.search(str(error))):
            raise
        named = re.search(r"[^'\"\s]+\.parquet", str(error))
        raise StoreRefused(
            f"a file of the lake is damaged or gone{': ' + named[0] if named else ''}; what it held cannot be read\n\n"
            "Hint: keep the disk as it is and look into the system's log; `trimtab restore` makes a home of a backup."
        ) from error


def disk_refusal(what: str, error: Exception) -> StoreRefused | None:
    """What is to be raised in the place of ``error``; null: it is something else."""
    faults = faults_of(error)
    found = next((fault for fault in HINTS if fault in faults), None)
    if found is None:
        return None
    return StoreRefused(f"{what} cannot be read or written: {found}\n\nHint: {HINTS[found]}")
