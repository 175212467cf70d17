"""Write the folder of an export: every file in groups, then the manifest, then ``_SUCCESS``, then the rename.

A profile's files are in a folder of its name with a manifest and ``_SUCCESS`` of their own, so that the folder can be delivered
alone; the export's manifest lists them too. A signature stands beside each manifest, where the export is signed.

A folder that is there already must be the same, byte for byte; it is never touched. While files are written, and once more
before the rename, the delivery asks whether it may go on.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from schemas.exports import Profile
from tasks.core.export import (
    MANIFEST,
    SIGNATURE,
    SUCCESS,
    ExportPackage,
    FileEntry,
    manifest_bytes,
    profile_files,
    rendered_files,
    sha256,
    success_bytes,
)
from tasks.export.tombstone import need_not_given_up
from tasks.runtime import (
    FOLDER_MODE,
    check_same,
    explain_disk_errors,
    flush,
    flush_tree,
    place,
    remove_leftovers,
    staging,
    throttle,
    write_file,
)

Checkpoint = Callable[[str], None]
Write = Callable[[str, bytes], None]
DELIVERY_CHECKPOINTS: Final = ("files", "manifest", "flushed", "renamed", "placed")


LOOK_SECONDS: Final = 0.1
"""How long files are written without asking whether that may go on: a look into the ledger takes as long as some files."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What leaves, and how it is written. ``sign`` null: manifests are not signed."""

    release: ExportPackage
    profiles: tuple[Profile, ...] = ()
    sign: Callable[[bytes], bytes] | None = None


def render_export(
    sending: Sending,
    final: Path,
    checkpoint: Checkpoint,
    stop: Callable[[], None],
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Make the folder of an export, or find that it is there already.

    Parameters
    ----------
    sending
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
    with explain_disk_errors(final):
        is_there = os.path.lexists(final)
        hashes = (
            _check_existing(sending, final, checkpoint)
            if is_there
            else _make_folder(sending, final, checkpoint, stop, clock)
        )
        remove_leftovers(final)
        flush(final.parent)
    checkpoint("placed")
    return hashes[MANIFEST]


def _check_existing(sending: Sending, final: Path, checkpoint: Checkpoint) -> dict[str, str]:
    """A folder that another call renamed but nobody published yet."""
    hashes = _render(sending, lambda _path, _content: None, checkpoint)
    _need_same(sending, final, hashes)
    return hashes


def _need_same(sending: Sending, final: Path, hashes: dict[str, str]) -> None:
    """Refuse a folder that is not this export; where it is what giving the export up leaves, say so."""
    need_not_given_up(final, sending.release.export.export_id)
    check_same(final, hashes)


def _make_folder(
    sending: Sending, final: Path, checkpoint: Checkpoint, stop: Callable[[], None], clock: Callable[[], float]
) -> dict[str, str]:
    with staging(final) as folder:
        hashes = _write(sending, folder, checkpoint, throttle(stop, LOOK_SECONDS, clock))
        checkpoint("flushed")
        stop()
        if not place(folder, final):
            _need_same(sending, final, hashes)
        checkpoint("renamed")
    return hashes


def _write(sending: Sending, folder: Path, checkpoint: Checkpoint, stop: Callable[[], None]) -> dict[str, str]:
    """Write and flush every file; SHA-256 by path."""
    made = {"accounts", "lots"} if sending.release.lots.height else {"accounts"}
    for name in sorted(made | {profile.name for profile in sending.profiles}):
        (folder / name).mkdir(FOLDER_MODE)

    def write(path: str, content: bytes) -> None:
        stop()
        write_file(f"{folder}/{path}", content)

    hashes = _render(sending, write, checkpoint)
    flush_tree(folder)
    return hashes


def _render(sending: Sending, write: Write, checkpoint: Checkpoint) -> dict[str, str]:
    """Hand every file to ``write``, the manifest and ``_SUCCESS`` last; SHA-256 by path."""
    entries = []
    for group in rendered_files(sending.release):
        entries += _write_group(group, write)
        checkpoint("files")
    for profile in sending.profiles:
        entries += _render_profile(sending, profile, write, checkpoint)
    manifest = manifest_bytes(sending.release, entries)
    last = _write_closing_files("", manifest, sending, write)
    checkpoint("manifest")
    return {entry.path: entry.sha256 for entry in (*entries, *last)}


def _render_profile(sending: Sending, profile: Profile, write: Write, checkpoint: Checkpoint) -> list[FileEntry]:
    """As ``_render``, for a profile's own folder."""
    entries: list[FileEntry] = []
    release = sending.release.of(profile.custodians)
    for group in profile_files(release, profile):
        entries += _write_group(group, write)
        checkpoint("files")
    prefix = f"{profile.name}/"
    inside = [entry._replace(path=entry.path.removeprefix(prefix)) for entry in entries]
    return [*entries, *_write_closing_files(prefix, manifest_bytes(release, inside, profile.name), sending, write)]


def _write_group(group: pl.DataFrame, write: Write) -> list[FileEntry]:
    entries = []
    for path, rows, text in group.iter_rows():
        content = text.encode()
        write(path, content)
        entries.append(FileEntry(path, rows, len(content), sha256(content)))
    return entries


def _write_closing_files(prefix: str, manifest: bytes, sending: Sending, write: Write) -> list[FileEntry]:
    """The files that end a folder: its manifest, the signature, and ``_SUCCESS``."""
    last = {MANIFEST: manifest}
    if sending.sign is not None:
        last[SIGNATURE] = sending.sign(manifest)
    last[SUCCESS] = success_bytes(manifest)
    for name, content in last.items():
        write(prefix + name, content)
    return [FileEntry(prefix + name, 0, len(content), sha256(content)) for name, content in last.items()]
