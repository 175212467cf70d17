"""Hashes of what ``trimtab demo`` made of a home: ``python -m tests.golden.demo_hashes HOME``.

A line for each public table (SHA-256 of its rows of every run as CSV, sorted by all columns, floats to the last bit) and one for
all exported files (their paths and contents). ``demo_5000.sha256`` holds those of ``trimtab demo --accounts 5000 --nights 1``. Asks the
command, so that nothing depends on where modules stand.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from schemas.tables import PUBLIC

ROOT: Final = Path(__file__).parents[2]
UNREPRODUCIBLE: Final = {"released_rows": ("released_at", "released_by")}


def demo_hashes(home: Path) -> Iterator[tuple[str, str]]:
    """Name and SHA-256 of each public table, and of all exported files."""
    for table in PUBLIC:
        left_out = ", ".join(UNREPRODUCIBLE.get(table, ()))
        columns = f"* EXCLUDE ({left_out})" if left_out else "*"
        rows = trimtab(home, "query", f"SELECT {columns} FROM {table} ORDER BY ALL", "--format", "csv")
        yield table, hashlib.sha256(rows).hexdigest()
    yield "exports", exports_hash(home / "exports")


def exports_hash(folder: Path) -> str:
    """SHA-256 over the path and the SHA-256 of each file below the folder."""
    files = sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n" for name, path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def trimtab(home: Path, *words: str) -> bytes:
    """What the command prints."""
    environment = {**os.environ, "TRIMTAB_HOME": str(home)}
    command = [str(Path(sys.executable).with_name("trimtab")), *words]
    return subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True).stdout


if __name__ == "__main__":
    for name, digest in demo_hashes(Path(sys.argv[1])):
        print(f"{digest}  {name}")
