"""Copies a SQLite database that may be in use: ``python deploy/copy_sqlite.py FROM TO``. An existing TO is not overwritten."""  # noqa: INP001 - a script

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy as of one moment, with what is still in the write-ahead log; only the owner may read the copy."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    address = f"{source.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


if __name__ == "__main__":
    if len(sys.argv) != 3:  # noqa: PLR2004 - FROM and TO
        sys.exit(__doc__)
    copy_sqlite(Path(sys.argv[1]), Path(sys.argv[2]))
