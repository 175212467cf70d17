"""A disk of its own for a test, too small for much."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers import unavailable


@contextmanager
def small_disk(at: Path) -> Iterator[Path]:
    """An empty disk of 256 KiB at that folder."""
    at.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "trimtab-test", str(at)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        unavailable(f"no disk could be mounted: {done.stderr}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", at], check=True)
