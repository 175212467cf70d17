"""The folder of an export that was given up: it takes the final name, so that the export never can.

It holds one file, ``_ABANDONED``, and no ``_SUCCESS``: whoever waits for an export waits on. Giving a folder its name is the
moment of leaving, and of two renames to one name exactly one succeeds; so an export leaves or is given up, never both.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from schemas.errors import Terminal
from tasks.core.export import SUCCESS
from tasks.runtime import explain_disk_errors, flush, flush_tree, place, remove_leftovers, staging, write_file

Checkpoint = Callable[[str], None]
TOMBSTONE: Final = "_ABANDONED"
TOMBSTONE_CHECKPOINTS: Final = ("written", "flushed", "renamed", "placed")
"""Names of the points that ``checkpoint`` is called at, in order; of those who find the tombstone, the last alone."""


def tombstone_bytes(export_id: str) -> bytes:
    """What the file says."""
    return f"Export {export_id} was given up before it left: no order of it was sent anywhere from here.\n".encode()


def is_given_up(final: Path, export_id: str) -> bool:
    """Whether the folder is there, and is the tombstone of this export and nothing else."""
    try:
        is_alone = [path.name for path in final.iterdir()] == [TOMBSTONE]
        return is_alone and (final / TOMBSTONE).read_bytes() == tombstone_bytes(export_id)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False


def need_not_given_up(final: Path, export_id: str) -> None:
    """Refuse to go on with an export whose name its tombstone has.

    Raises
    ------
    Terminal
        It has.
    """
    if is_given_up(final, export_id):
        raise Terminal(
            f"export {export_id} is being given up: {final} says so, and no order of it may leave\n\n"
            f"Hint: `trimtab export abandon {export_id} --note WHY` finishes that."
        )


def take_name(final: Path, export_id: str, checkpoint: Checkpoint) -> None:
    """Put the tombstone under the final name, or find that it is there already.

    Raises
    ------
    Terminal
        The name is taken: the export has left. Or the folder cannot be written.
    """
    with explain_disk_errors(final):
        if not os.path.lexists(final):
            _make(final, export_id, checkpoint)
        _need_own(final, export_id)
        remove_leftovers(final)
        flush(final.parent)
    checkpoint("placed")


def _need_own(final: Path, export_id: str) -> None:
    if is_given_up(final, export_id):
        return
    if (final / SUCCESS).exists():
        raise Terminal(
            f"export {export_id} has left: {final} is there, whole; it cannot be given up any more\n\n"
            "Hint: `trimtab export` enters it as exported. Its orders can only be cancelled where they went."
        )
    raise Terminal(
        f"{final} is there and is neither export {export_id} nor what giving that up leaves\n\n"
        "Hint: nothing was changed. Find out who wrote there and whether it was sent on, put the folder aside, then "
        "give the export up again."
    )


def _make(final: Path, export_id: str, checkpoint: Checkpoint) -> None:
    with staging(final) as folder:
        write_file(folder / TOMBSTONE, tombstone_bytes(export_id))
        checkpoint("written")
        flush_tree(folder)
        checkpoint("flushed")
        if place(folder, final):
            checkpoint("renamed")
