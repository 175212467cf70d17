"""Locks on files by which processes, and threads of one process, keep out of each other's way.

flock(2), which belongs to what was opened: the kernel lets go of it where the process ends, even where it is killed. Not
lockf(3), with which ``fasteners`` locks: that belongs to the process, so that its threads would all hold it at once.
"""

import fcntl
import os
from io import FileIO
from pathlib import Path


def lock_file(path: Path, *, is_shared: bool = False) -> FileIO | None:
    """Lock a file, made for its owner only if missing, until what is returned is closed. Null: another holds it.

    Who holds it may remove it before closing it; who waited for that file then finds a new one.
    """
    file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
            return file
    except (BlockingIOError, FileNotFoundError):
        pass
    file.close()
    return None
