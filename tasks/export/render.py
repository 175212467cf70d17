"""Write the folder of an export: every file in groups, then the manifest, then ``_SUCCESS``, then the rename.

A profile's files are in a folder of its name with a manifest and ``_SUCCESS`` of their own, so that the folder can be delivered
alone; the export's manifest lists them too. A signature stands beside each manifest, where the export is signed.

A folder that is there already must be the same, byte for byte; it is never touched. While files are written, and once more
before the rename, the delivery asks whether it may go on.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
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
from tasks.export.tombstone import Checkpoint, need_not_given_up
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

Rendered = tuple[FileEntry, bytes]
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
    hashes: dict[str, str] = {}
    with explain_disk_errors(final):
        if os.path.lexists(final):  # another call renamed it, and has not published it yet
            hashes.update((entry.path, entry.sha256) for entry, _ in _export_files(sending, checkpoint))
            _need_same(sending, final, hashes)
        else:
            ask = throttle(stop, LOOK_SECONDS, clock)
            with staging(final) as folder:
                for name in _folders(sending):
                    (folder / name).mkdir(FOLDER_MODE)
                for entry, content in _export_files(sending, checkpoint):
                    ask()
                    write_file(f"{folder}/{entry.path}", content)
                    hashes[entry.path] = entry.sha256
                flush_tree(folder)
                checkpoint("flushed")
                stop()
                if not place(folder, final):
                    _need_same(sending, final, hashes)
                checkpoint("renamed")
        remove_leftovers(final)
        flush(final.parent)
    checkpoint("placed")
    return hashes[MANIFEST]


def _need_same(sending: Sending, final: Path, hashes: dict[str, str]) -> None:
    """Refuse a folder that is not this export; where it is what giving the export up leaves, say so."""
    need_not_given_up(final, sending.release.export.export_id)
    check_same(final, hashes)


def _folders(sending: Sending) -> list[str]:
    """Folders inside the export's."""
    made = {"accounts", "lots"} if sending.release.lots.height else {"accounts"}
    return sorted(made | {profile.name for profile in sending.profiles})


def _export_files(sending: Sending, checkpoint: Checkpoint) -> Iterator[Rendered]:
    """Every file of the export, the manifest, its signature and ``_SUCCESS`` last.

    A checkpoint is called once the file before it has been taken, and written, by the caller.
    """
    entries: list[FileEntry] = []
    for group in rendered_files(sending.release):
        yield from _noted(_file_group(group), entries)
        checkpoint("files")
    for profile in sending.profiles:
        yield from _noted(_profile_files(sending, profile, checkpoint), entries)
    yield from _closing_files("", manifest_bytes(sending.release, entries), sending)
    checkpoint("manifest")


def _profile_files(sending: Sending, profile: Profile, checkpoint: Checkpoint) -> Iterator[Rendered]:
    """As ``_export_files``, of a profile's own folder."""
    entries: list[FileEntry] = []
    release = sending.release.of(profile.custodians)
    for group in profile_files(release, profile):
        yield from _noted(_file_group(group), entries)
        checkpoint("files")
    prefix = f"{profile.name}/"
    inside = [entry._replace(path=entry.path.removeprefix(prefix)) for entry in entries]
    yield from _closing_files(prefix, manifest_bytes(release, inside, profile.name), sending)


def _noted(files: Iterable[Rendered], entries: list[FileEntry]) -> Iterator[Rendered]:
    """The files, each entered in ``entries`` as it goes by."""
    for entry, content in files:
        entries.append(entry)
        yield entry, content


def _file_group(group: pl.DataFrame) -> Iterator[Rendered]:
    for path, rows, text in group.iter_rows():
        content = text.encode()
        yield FileEntry(path, rows, len(content), sha256(content)), content


def _closing_files(prefix: str, manifest: bytes, sending: Sending) -> Iterator[Rendered]:
    """The files that end a folder: its manifest, the signature, and ``_SUCCESS``."""
    last = {MANIFEST: manifest}
    if sending.sign is not None:
        last[SIGNATURE] = sending.sign(manifest)
    last[SUCCESS] = success_bytes(manifest)
    for name, content in last.items():
        yield FileEntry(prefix + name, 0, len(content), sha256(content)), content
