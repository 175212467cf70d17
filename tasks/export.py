"""Export approved orders exactly once.

1. Claim: one transaction of the ledger fixes which orders leave. An export left open by a crash is resumed instead.
2. Write: the folder is rendered from the lake and the claim alone, beside its final place, and then renamed. A folder
   that is there already must be the same, byte for byte.
3. Publish: the ledger closes the export and its proposals become ``exported``.

Data first, ledger last: killed at any point, the next call ends with the same folder and one publication. So do two
calls at the same time. A halt stops an export before the folder has its name, as a crash would: the claim stays, and the
first call after the halt is lifted finishes it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

import polars as pl

from schemas.enums import Role, RunState
from schemas.errors import DecisionRefused, RunHeld, Terminal, WrongUsage
from schemas.landing import IDENTIFIER
from tasks.core.release import Book, Export, make_release
from tasks.export_delivery import DELIVERY_CHECKPOINTS, Checkpoint, deliver
from tasks.versions import newest_rows
from warehouse.ledger import ExportRow, Ledger, RunRow
from warehouse.ledger_words import RELEASABLE_STATES

CHECKPOINTS: Final = ("claimed", *DELIVERY_CHECKPOINTS, "published")
"""Names of the points that ``checkpoint`` is called at, in order; ``files`` once per group of files."""

BOOK: Final = ("proposals", "orders", "lot_relief", "landed_accounts", "landed_securities")
"""Tables of the lake that an export is made of."""


class Lake(Protocol):
    """The part of the lake that an export reads."""

    def read(self, table: str, run_id: str, shard: int | None = None) -> pl.DataFrame:
        """Rows of a table of a run, sorted by key."""


@dataclass(frozen=True, slots=True)
class ExportResult:
    """A finished export. ``is_published_here`` is false if another call at the same time was first to publish it."""

    export_id: str
    run_id: str
    sequence: int
    folder: Path
    account_count: int
    order_count: int
    manifest_sha256: str
    is_published_here: bool


@dataclass(frozen=True, slots=True)
class ExportedRuns:
    """What ``export_all`` did. ``waiting``: runs with approved proposals that may not leave: held, unfinished or failed."""

    results: tuple[ExportResult, ...]
    waiting: tuple[str, ...]


def _go_on(_point: str) -> None:
    """Stops nothing."""


def export_all(
    *,
    lake: Lake,
    ledger: Ledger,
    export_folder: Path,
    actor: str,
    now: datetime,
    checkpoint: Checkpoint = _go_on,
) -> ExportedRuns:
    """Export every run that has approved proposals; options as in ``export_run``.

    Raises
    ------
    RunHeld
        Everything is halted.
    """
    ledger.need_no_halt()
    ledger.expire(now)
    approved = ledger.list_proposals(states=RELEASABLE_STATES)
    results, waiting = [], []
    for run_id in approved["run_id"].unique().sort():
        run = ledger.get_run(run_id)
        if run is None or run.state is not RunState.DONE:
            waiting.append(run_id)
            continue
        while result := export_run(
            run_id,
            lake=lake,
            ledger=ledger,
            export_folder=export_folder,
            actor=actor,
            now=now,
            checkpoint=checkpoint,
        ):
            results.append(result)
    return ExportedRuns(tuple(results), tuple(waiting))


def export_run(
    run_id: str,
    *,
    lake: Lake,
    ledger: Ledger,
    export_folder: Path,
    actor: str,
    now: datetime,
    checkpoint: Checkpoint = _go_on,
) -> ExportResult | None:
    """Export what is approved of a run, or finish an export of it that was interrupted.

    Parameters
    ----------
    run_id
        A run that is done.
    lake, ledger
        Where the orders are; what may leave.
    export_folder
        Folder that receives ``<as_of_date>/<run_id>/``.
    actor
        Who exports; needs the role releaser or admin.
    now
        UTC; goes to the ledger, never into a file.
    checkpoint
        Called with a name of ``CHECKPOINTS`` at each point of the protocol; stops the export by raising.

    Returns
    -------
    ExportResult | None
        None: nothing to export.

    Raises
    ------
    RunHeld
        The run is not done, or everything is halted, maybe only since the export began.
    DecisionRefused
        The actor may not export.
    ConservationBroken
        Something does not add up; nothing was written.
    Terminal, Retryable
        The folder cannot be written, or is there and differs.
    """
    run = _done_run(ledger, run_id)
    _need_releaser(ledger, actor)
    ledger.need_no_halt()
    stored = _stored(lake, run_id)
    dated_folder = export_folder.resolve() / run.as_of_date.isoformat()
    claim = _claim(run, stored, ledger, folder=dated_folder, actor=actor, now=now)
    if claim is None:
        return None
    checkpoint("claimed")
    export = Export(run_id, run.as_of_date, claim.sequence, claim.export_id)
    approved = ledger.list_proposals(run_id=run_id).filter(pl.col("export_id") == claim.export_id)
    book = _book(stored, ledger, run_id)
    release = make_release(export, book, approved=approved, claimed=ledger.export_order_ids(claim.export_id))
    final = dated_folder / export.folder_name
    manifest_sha256 = deliver(release, final, checkpoint, ledger.need_no_halt)
    is_published_here = ledger.publish_export(claim.export_id, manifest_sha256, now)
    checkpoint("published")
    accounts = release.orders["account_id"].n_unique()
    return ExportResult(
        claim.export_id,
        run_id,
        claim.sequence,
        final,
        accounts,
        release.orders.height,
        manifest_sha256,
        is_published_here,
    )


def _stored(lake: Lake, run_id: str) -> dict[str, pl.DataFrame]:
    """What the run proposed."""
    return {table: lake.read(table, run_id) for table in BOOK}


def _book(stored: Mapping[str, pl.DataFrame], ledger: Ledger, run_id: str) -> Book:
    """What was proposed, with the newest versions in the place of those that people changed until now.

    Once a proposal is approved nobody changes it: read after it is known what is approved, this has all of that.
    """
    tables = newest_rows(stored, ledger.amended(run_id))
    return Book(*(tables[table] for table in stored))


def _done_run(ledger: Ledger, run_id: str) -> RunRow:
    run = ledger.get_run(run_id)
    if run is None or not re.fullmatch(IDENTIFIER, run_id):
        raise WrongUsage(f"there is no run {run_id}\n\nHint: `trimtab runs` lists them.")
    if run.state is not RunState.DONE:
        why = f": {run.held_reason}" if run.state is RunState.HELD else ""
        raise RunHeld(f"run {run_id} is {run.state}{why}; only a run that is done can be exported")
    return run


def _need_releaser(ledger: Ledger, actor: str) -> None:
    """The ledger asks again when it claims; here also before an export of somebody else is resumed."""
    if not ledger.roles_of(actor) & {Role.RELEASER, Role.ADMIN}:
        raise DecisionRefused(f"{actor} may not export, that takes the role releaser\n\nHint: see `trimtab users`.")


def _claim(
    run: RunRow, stored: Mapping[str, pl.DataFrame], ledger: Ledger, *, folder: Path, actor: str, now: datetime
) -> ExportRow | None:
    """The export to write: the one that is open, else a new one of all that may leave. None: nothing may."""
    while (claim := ledger.open_export(run.run_id)) is None and (ids := ledger.exportable(run.run_id, now)):
        book = _book(stored, ledger, run.run_id)
        orders = book.orders.filter(pl.col("proposal_id").is_in(ids)).select("order_id", "proposal_id")
        approved = ledger.list_proposals(run_id=run.run_id).filter(pl.col("proposal_id").is_in(ids))
        planned = Export(run.run_id, run.as_of_date, sequence=0, export_id="")
        make_release(planned, book, approved=approved, claimed=orders)  # what does not add up is not even claimed
        try:
            return ledger.claim_export(run.run_id, orders, actor=actor, folder=str(folder), now=now)
        except DecisionRefused:
            if ledger.exportable(run.run_id, now) == ids:  # else another call was faster: look again
                raise
    if claim is not None and Path(claim.folder) != folder:
        raise Terminal(
            f"export {claim.export_id} was begun in {claim.folder}, not in {folder}\n\n"
            "Hint: finish it there first, so that it cannot appear in both."
        )
    return claim
