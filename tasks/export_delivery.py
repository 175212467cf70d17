"""Write the folder of an export: every file in groups, then the manifest, then ``_SUCCESS``, then the rename.

A folder that is there already must be the same, byte for byte; it is never touched. While files are written, and once more
before the rename, the delivery asks whether it may go on.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tasks.core.export_files import MANIFEST, SUCCESS, FileEntry, manifest_bytes, rendered_files, sha256, success_bytes
from tasks.core.release import Release
from tasks.export_folder import (
    FOLDER_MODE,
    check_same,
    disk_errors_explained,
    flush,
    flush_tree,
    paced,
    place,
    remove_leftovers,
    staging,
    write_file,
)

Checkpoint = Callable[[str], None]
DELIVERY_CHECKPOINTS: Final = ("files", "manifest", "flushed", "renamed", "placed")


LOOK_SECONDS: Final = 0.1
"""How long files are written without asking whether that may go on: a look into the ledger takes as long as some files."""


def deliver(
    release: Release,
    final: Path,
    checkpoint: Checkpoint,
    stop: Callable[[], None],
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Make the folder of an export, or find that it is there already.

    Parameters
    ----------
    release
        What leaves; the bytes depend on it alone.
    final
        The folder's place.
    checkpoint
        Called with a name of ``DELIVERY_CHECKPOINTS`` at each point; stops the delivery by raising.
    stop
        Called between files, at most every ``LOOK_SECONDS``, and before the folder gets its name; stops the delivery by
        raising.
    clock
        Seconds; paces ``stop``.

    Returns
    -------
    str
        SHA-256 of the manifest.

    Raises
    ------
    Terminal, Retryable
        The folder cannot be written, or is there and differs.
    """
    with disk_errors_explained(final):
        is_there = os.path.lexists(final)
        hashes = _found(release, final, checkpoint) if is_there else _made(release, final, checkpoint, stop, clock)
        remove_leftovers(final)
        flush(final.parent)
    checkpoint("placed")
    return hashes[MANIFEST]


def _found(release: Release, final: Path, checkpoint: Checkpoint) -> dict[str, str]:
    """A folder that another call renamed but nobody published yet."""
    hashes = _render(release, lambda _path, _content: None, checkpoint)
    check_same(final, hashes)
    return hashes


def _made(
    release: Release, final: Path, checkpoint: Checkpoint, stop: Callable[[], None], clock: Callable[[], float]
) -> dict[str, str]:
    with staging(final) as folder:
        hashes = _write(release, folder, checkpoint, paced(stop, LOOK_SECONDS, clock))
        checkpoint("flushed")
        stop()
        if not place(folder, final):
            check_same(final, hashes)
        checkpoint("renamed")
    return hashes


def _write(release: Release, folder: Path, checkpoint: Checkpoint, stop: Callable[[], None]) -> dict[str, str]:
    """Write and flush every file; SHA-256 by path."""
    for name in ("accounts", "lots") if release.lots.height else ("accounts",):
        (folder / name).mkdir(FOLDER_MODE)

    def write(path: str, content: bytes) -> None:
        stop()
        write_file(f"{folder}/{path}", content)

    hashes = _render(release, write, checkpoint)
    flush_tree(folder)
    return hashes


def _render(release: Release, write: Callable[[str, bytes], None], checkpoint: Checkpoint) -> dict[str, str]:
    """Hand every file to ``write``, the manifest and ``_SUCCESS`` last; SHA-256 by path."""
    entries = []
    for group in rendered_files(release):
        for path, rows, text in group.iter_rows():
            content = text.encode()
            write(path, content)
            entries.append(FileEntry(path, rows, len(content), sha256(content)))
        checkpoint("files")
    manifest = manifest_bytes(release, entries)
    last = {MANIFEST: manifest, SUCCESS: success_bytes(manifest)}
    for path, content in last.items():
        write(path, content)
    checkpoint("manifest")
    return {entry.path: entry.sha256 for entry in entries} | {path: sha256(content) for path, content in last.items()}
