"""Give up an export that was claimed and has not left: none of its orders ever leaves.

1. The ledger says whether the actor may, and whether the export is still open.
2. The export's final folder name is taken by a tombstone (``tasks.export.tombstone``). An exporter at work loses here, or wins
   and the giving up is refused; there is no third.
3. The ledger closes the export and withdraws its proposals. The accounts get new ones with the next run.

Exports that are being written and hold members of the same households are given up with it, in the same transaction.

Killed between 2 and 3 the export is open and cannot leave: exporters say so, and the next call finishes. It goes through
while everything is halted: it lets nothing leave.

Known limits: like exporting, it must be done where the export was begun, on the same disk.
"""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from schemas.errors import Terminal
from tasks.core.export import Export
from tasks.export.tombstone import Checkpoint, take_name
from warehouse.ledger import Abandons, ExportRow, Exports, ExportState


@dataclass(frozen=True, slots=True)
class AbandonResult:
    """An export that is given up. ``is_done_here`` is false if it was so already; ``with_it`` were given up because it was.

    ``left_in_part``: households of which something has left before, in an export that was published.
    """

    export_id: str
    folder: Path
    proposal_count: int
    is_done_here: bool
    with_it: tuple[str, ...] = ()
    left_in_part: tuple[str, ...] = ()


def abandon_export(
    export_id: str,
    *,
    abandonments: Abandons,
    exports: Exports,
    export_folder: Path,
    actor: str,
    note: str,
    now: datetime,
    checkpoint: Checkpoint = lambda _point: None,
) -> AbandonResult:
    """Give an export up, or finish doing so.

    Parameters
    ----------
    export_id
        An export that is open.
    abandonments, exports
        The ledger's: where it was claimed.
    export_folder
        Folder of all exports; the one that the export was begun in.
    actor
        Who gives it up; needs the role releaser or admin.
    note
        Why; must not be empty.
    now
        UTC; goes to the ledger.
    checkpoint
        Called with a name of ``TOMBSTONE_CHECKPOINTS`` at each point, and ``abandoned`` at the end; stops it by raising.

    Raises
    ------
    WrongUsage
        No such export.
    DecisionRefused
        The actor may not, the note is missing, or it was published.
    Terminal
        It has left, was begun elsewhere, or the folder cannot be written.
    """
    export, *others = abandonments.need_abandonable(export_id, actor=actor, note=note)
    final = final_folder(export)
    count = exports.export_order_ids(export_id)["proposal_id"].n_unique()
    if export.state is ExportState.ABANDONED:
        return AbandonResult(export_id, final, count, is_done_here=False)
    if final.parent.parent != export_folder.resolve():
        raise Terminal(
            f"export {export_id} was begun in {export.folder}, not in {export_folder}\n\nHint: give it up where it was begun."
        )
    in_part = tuple(exports.households_in_part(export_id))
    for one in sorted((export, *others), key=lambda each: each.sequence):  # in the order in which they leave
        take_name(final_folder(one), one.export_id, checkpoint)
    is_done_here = abandonments.abandon_export(export_id, actor=actor, note=note, now=now)
    checkpoint("abandoned")
    with_it = tuple(one.export_id for one in others)
    return AbandonResult(export_id, final, count, is_done_here=is_done_here, with_it=with_it, left_in_part=in_part)


def final_folder(export: ExportRow) -> Path:
    """The folder that an export has, or would have had."""
    dated = Path(export.folder)
    return dated / Export(export.run_id, date.fromisoformat(dated.name), export.sequence, export.export_id).folder_name
