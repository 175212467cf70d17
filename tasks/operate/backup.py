"""Backups: a folder with everything that a home cannot be made again from, and the way back.

    <folder>/<moment>/ledger.sqlite        the ledger, whichever database it is in
                      lake/catalog.sqlite  the lake's catalogue, or lake/catalog/ where it is in PostgreSQL
                      lake/data/...        the files that the catalogue names, unless they are in an object store
                      exports/...          what left
                      trimtab.toml         the settings' file, for people to look at
                      manifest.json        size and SHA-256 of every file
                      _SUCCESS

1. The ledger is copied first, the catalogue second, the lake's files third: steps write data first and the ledger last, so what
   the ledger knows is in the lake, and files of the lake never change. Exports come last and may be newer than the ledger.
2. All is written under another name and renamed when it is on disk: a backup is whole or not there.
3. A file of the lake is a hard link where the backup is on the same file system. Elsewhere, and for exports, a file that the backup
   before has is a link to that.

Known limits: a link is no copy: keep backups on another disk. Files in an object store are not copied, only counted on to be
there: let the store keep versions.
"""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from schemas.errors import Retryable, Terminal, WrongUsage
from schemas.settings import Settings
from tasks.operate.maintenance_lock import maintenance_lock
from tasks.runtime import (
    flush,
    flush_tree,
    hash_file,
    make_folders,
    place,
    raise_it,
    remove_leftovers,
    staging,
    temporary_name,
    write_file,
)
from warehouse.copies import copy_catalogue, copy_ledger, has_ledger
from warehouse.lake import SQLITE

MANIFEST: Final = "manifest.json"
SUCCESS: Final = "_SUCCESS"
LEDGER: Final = "ledger.sqlite"
VERSION: Final = 1
NAME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z")
"""How the folder of a backup is called: its moment in UTC."""
LEFTOVER: Final = re.compile(rf"\.({NAME.pattern})\.\d+-[0-9a-f]+\.tmp")
NO_LINK: Final = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP}
"""Another file system, or one without links."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished backup. ``object_count``: files of the lake in an object store, which are not in it."""

    folder: Path
    made_at: datetime
    file_count: int
    size_bytes: int
    object_count: int


def backup_folder(settings: Settings, given: str | None = None) -> Path:
    """Where backups go.

    Raises
    ------
    WrongUsage
        Nobody has said.
    """
    if not (folder := given or settings.backup_url):
        raise WrongUsage("no folder for backups\n\nHint: `trimtab backup FOLDER`, or set TRIMTAB_BACKUP_URL.")
    if "://" in folder:
        raise WrongUsage(f"{folder} is not a folder; needed one of this machine, which may be a mounted one")
    return Path(folder)


def make_backup(settings: Settings, folder: Path, now: datetime) -> Backup:
    """Back up the ledger, the lake and the exports into a new folder in ``folder``.

    Raises
    ------
    Retryable
        Another backup or ``maintain`` is at work in this home.
    Terminal
        The disk is full or the folder cannot be written.
    WrongUsage
        There is no ledger.
    """
    if not has_ledger(settings.ledger_address):
        raise WrongUsage(f"{settings.home} has no runs yet; needed a ledger to back up")
    with maintenance_lock(settings), _disk_errors(folder):
        make_folders(folder)
        sweep(folder)
        final = folder / f"{now.astimezone(UTC):%Y-%m-%dT%H%M%SZ}"
        earlier = next(iter(backups(folder)[-1:]), None)
        with staging(final) as work:
            objects = _fill(settings, work, earlier)
            manifest = _manifest(work, now, objects)
            write_file(work / MANIFEST, json.dumps(manifest, indent=1).encode())
            write_file(work / SUCCESS, b"")
            flush_tree(work)
            if not place(work, final):
                raise Retryable(f"{final} is there already\n\nHint: try again in a second.")
        flush(folder)
    sizes = [size for size, _ in manifest["files"].values()]
    return Backup(final, now, len(sizes), sum(sizes), len(objects))


def _fill(settings: Settings, work: Path, earlier: Path | None) -> list[str]:
    """Copy or link everything; names of the files that are in an object store."""
    copy_ledger(settings.ledger_address, work / LEDGER)
    catalogue = work / "lake"
    if not settings.lake_address.startswith(SQLITE):
        catalogue /= "catalog"
    catalogue.mkdir(mode=0o700, parents=True)
    names = copy_catalogue(settings.lake_address, catalogue)
    is_remote = "://" in settings.lake_data_address
    for name in () if is_remote else names:
        _take(Path(settings.lake_data_address), work, Path("lake", "data"), name, earlier, may_share=True)
    for path in sorted(_export_files(settings.export_folder)):
        _take(settings.export_folder, work, Path("exports"), path, earlier, may_share=False)
    with suppress(FileNotFoundError):
        shutil.copyfile(settings.home / "trimtab.toml", work / "trimtab.toml")
    return list(names) if is_remote else []


def _export_files(folder: Path) -> Iterator[str]:
    """Files of finished exports; what is still being written stands under a name that begins with a point.

    A folder that may not be read breaks it off: a backup without some exports is none.
    """
    if not folder.exists():
        return
    for parent, folders, names in os.walk(folder, onerror=raise_it):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name).relative_to(folder).as_posix() for name in names)


def _take(source: Path, work: Path, inside: Path, name: str, earlier: Path | None, *, may_share: bool) -> None:
    """Link or copy one file."""
    target = work / inside / name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        if may_share and _try_link(source / name, target):
            return
        before = None if earlier is None else earlier / inside / name
        if before is not None and _is_same(before, source / name) and _try_link(before, target):
            return
        shutil.copy2(source / name, target)
    except FileNotFoundError as error:
        raise Retryable(f"{source / name} is gone; needed it for the backup\n\nHint: back up again.") from error


def _is_same(before: Path, source: Path) -> bool:
    """Whether a file of the backup before is the file, by size and time of its last change."""
    try:
        old, new = before.stat(), source.stat()
    except FileNotFoundError:
        return False
    return (old.st_size, old.st_mtime_ns) == (new.st_size, new.st_mtime_ns)


def _try_link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in NO_LINK:
            return False
        raise
    return True


def _manifest(work: Path, now: datetime, objects: list[str]) -> dict[str, Any]:
    """What the backup holds; from here on only its owner may read it."""
    files = {}
    for parent, _, names in os.walk(work):
        Path(parent).chmod(0o700)
        for name in names:
            path = Path(parent, name)
            path.chmod(0o600)
            files[path.relative_to(work).as_posix()] = [path.stat().st_size, hash_file(path)]
    return {"version": VERSION, "made_at": now.isoformat(), "objects": objects, "files": dict(sorted(files.items()))}


def backups(folder: Path) -> list[Path]:
    """The finished backups in a folder, the newest last."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name) and (path / SUCCESS).is_file())


def sweep(folder: Path) -> None:
    """Remove what killed processes left of backups."""
    for path in list(folder.iterdir()):
        if match := LEFTOVER.fullmatch(path.name):
            remove_leftovers(folder / match[1])


def remove_old(folder: Path, kept: int | None) -> tuple[str, ...]:
    """Remove all but the newest ``kept`` backups, or none where null; names of those removed."""
    doomed = [] if kept is None else backups(folder)[: -max(kept, 1)]
    for path in doomed:
        aside = temporary_name(path)
        path.rename(aside)
        shutil.rmtree(aside)
    return tuple(path.name for path in doomed)


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Terminal(
            f"{error.filename or folder} cannot be read or written: {error.strerror}. No backup was made.\n\n"
            "Hint: make room or give access, then back up again."
        ) from error
