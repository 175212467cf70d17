"""Export approved orders exactly once.

1. Claim: one transaction of the ledger fixes which orders leave, and by which plan they are written. An export left open by a
   crash is resumed instead.
2. Write: the folder is rendered from the lake, the claim and its plan alone, beside its final place, and then renamed. A
   folder that is there already must be the same, byte for byte.
3. Publish: the ledger closes the export and its proposals become ``exported``.

Data first, ledger last: killed at any point, the next call ends with the same folder and one publication. So do two
calls at the same time. A halt stops an export before the folder has its name, as a crash would: the claim stays, and the
first call after the halt is lifted finishes it. None leaves late: where a proposal's cut-off or expiry has passed before the folder
has its name (``tasks.export.deadline``), the claim waits for a person to give it up (``tasks.export.abandon``).

Not claimed are proposals past their custodian's cut-off, those of which a profile cannot express an order, and those of accounts
of which a fill was told since that the run's holdings do not show: they stay approved until they expire, are overtaken or withdrawn.
With one of a household that is managed together all of its proposals stay.

A household whose members' orders go to different places leaves in exports that are claimed together, in one transaction, and then
written and published one after the other. What is claimed together leaves or is given up together: none of those exports leaves past
the earliest cut-off or expiry among them, and one that was interrupted is finished before anything else of the run.

Known limits: folders get their names one at a time. Where the first of such exports has its name and the next cannot be written (no
room, a halt, a time that passed between the two) the household has left in part until the next is finished or, by a person, given up;
`trimtab export abandon` says so.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from schemas.enums import Role, RunState
from schemas.errors import DecisionRefused, RunHeld, Terminal, WrongUsage
from schemas.executions import SENT_ORDERS
from schemas.landing_columns import IDENTIFIER
from tasks.core.export import Export, ExportPackage, allocate, block_warnings, make_release
from tasks.export.deadline import ExportDeadline
from tasks.export.packages import Exporter, book_of, planned_packages, settled_accounts, stored_tables
from tasks.export.plan import ExportPlan
from tasks.export.render import DELIVERY_CHECKPOINTS, Sending, render_export
from warehouse.ledger import ExportPart, ExportRow, RunRow, Runs, Users

CHECKPOINTS: Final = ("claimed", *DELIVERY_CHECKPOINTS, "published")
"""Names of the points that ``checkpoint`` is called at, in order; ``files`` once per group of files."""


@dataclass(frozen=True, slots=True)
class ExportResult:
    """A finished export. ``is_published_here`` is false if another call at the same time was first to publish it.

    ``warning_count``: what people should know before its blocks are traded; the manifest lists it.
    """

    export_id: str
    run_id: str
    sequence: int
    folder: Path
    account_count: int
    order_count: int
    manifest_sha256: str
    is_published_here: bool
    warning_count: int


def export_run(run_id: str, by: Exporter, plans: Sequence[ExportPlan]) -> ExportResult | None:
    """Export what is approved of a run, or finish an export of it that was interrupted.

    Parameters
    ----------
    run_id
        A run that is done.
    by
        Who exports, from where and to where.
    plans
        What new exports are written by, which are claimed together; one that was interrupted keeps its own. None: finish that one,
        and begin none.

    Returns
    -------
    ExportResult | None
        None: nothing to export.

    Raises
    ------
    RunHeld
        The run is not done, or everything is halted, maybe only since the export began.
    DecisionRefused
        The actor may not export, or the export was given up meanwhile.
    ConservationBroken
        Something does not add up; nothing was written.
    AuditBroken
        A state has no row of the audit, or the audit differs from its anchor; nothing was written.
    Terminal, Retryable
        The folder cannot be written, or is there and differs; the claim asks for another key; it is too late to leave, or is being
        given up.
    """
    ledger, now = by.ledger, by.now
    run = done_run(ledger.runs, run_id)
    _need_releaser(ledger.users, by.actor)
    ledger.halts.need_no_halt()
    # In this order: another call that claims between the two looks is found in the second.
    may_begin = bool(plans) and bool(ledger.exports.exportable(run_id, now))
    if ledger.exports.open_export(run_id) is None and not may_begin:
        return None
    stored = stored_tables(by.lake, run_id)
    folder = by.export_folder.resolve() / run.as_of_date.isoformat()
    claim = _claim(run, stored, by, plans, folder) if plans else ledger.exports.open_export(run_id)
    if claim is None:
        return None
    _need_folder(claim, folder)
    by.checkpoint("claimed")
    export = Export(run_id, run.as_of_date, claim.sequence, claim.export_id)
    ledger.exports.need_proven(claim.export_id)
    approved = ledger.exports.approved_in(run_id).filter(pl.col("export_id") == claim.export_id)
    ledger.abandonments.need_claim(claim.export_id)  # else what was approved is withdrawn, maybe since we looked
    book = book_of(stored, ledger.amendments, run_id)
    release = make_release(export, book, approved=approved, claimed=ledger.exports.export_order_ids(claim.export_id))
    final = folder / export.folder_name
    written_by = ExportPlan.parse(claim.plan)
    signs = written_by.signer_for(by.signer, claim.export_id)
    sending = Sending(release, written_by.profiles, None if signs is None else signs.sign)
    deadline = ExportDeadline.of(ledger.halts, ledger.abandonments, claim.export_id, now, time.monotonic)
    manifest_sha256 = render_export(sending, final, by.checkpoint, deadline)
    is_published_here = ledger.exports.publish_export(claim.export_id, manifest_sha256, now)
    by.checkpoint("published")
    return ExportResult(
        claim.export_id,
        run_id,
        claim.sequence,
        final,
        release.orders["account_id"].n_unique(),
        release.orders.height,
        manifest_sha256,
        is_published_here,
        block_warnings(release).height,
    )


def done_run(runs: Runs, run_id: str) -> RunRow:
    """A run that may be exported.

    Raises
    ------
    WrongUsage
        There is no such run.
    RunHeld
        It is not done.
    """
    run = runs.get_run(run_id)
    if run is None or not re.fullmatch(IDENTIFIER, run_id):
        raise WrongUsage(f"there is no run {run_id}\n\nHint: `trimtab runs` lists them.")
    if run.state is not RunState.DONE:
        why = f": {run.held_reason}" if run.state is RunState.HELD else ""
        raise RunHeld(f"run {run_id} is {run.state}{why}; only a run that is done can be exported")
    return run


def _need_releaser(users: Users, actor: str) -> None:
    """The ledger asks again when it claims; here also before an export of somebody else is resumed."""
    if not users.roles_of(actor) & {Role.RELEASER, Role.ADMIN}:
        raise DecisionRefused(f"{actor} may not export, that takes the role releaser\n\nHint: see `trimtab users`.")


def _claim(
    run: RunRow, stored: Mapping[str, pl.DataFrame], by: Exporter, plans: Sequence[ExportPlan], folder: Path
) -> ExportRow | None:
    """The export to write: the one that is open, else the first of new ones of all that may leave. None: nothing may."""
    exports = by.ledger.exports
    settled = settled_accounts(by, run)
    while True:
        ids = exports.exportable(run.run_id, by.now)
        if (claim := exports.open_export(run.run_id)) is not None or not ids:
            return claim
        # What does not add up is not even claimed.
        packages, _ = planned_packages(run, stored, by, ids, plans, settled=settled)
        if not packages:
            if exports.exportable(run.run_id, by.now) == ids:
                return None
            continue  # another call was faster: look again
        parts = [_part(plan, package) for plan, package in packages]
        try:
            return exports.claim_export(run.run_id, parts, actor=by.actor, folder=str(folder), now=by.now)
        except DecisionRefused:
            if exports.exportable(run.run_id, by.now) == ids:  # else another call was faster: look again
                raise


def _part(plan: ExportPlan, package: ExportPackage) -> ExportPart:
    blocks = allocate(package.orders, package.blocks)
    sent = blocks.select(name for name in SENT_ORDERS if name in blocks.columns)
    return ExportPart(orders=sent, plan=plan.text, sequence=package.export.sequence)


def _need_folder(claim: ExportRow, folder: Path) -> None:
    if Path(claim.folder) != folder:
        raise Terminal(
            f"export {claim.export_id} was begun in {claim.folder}, not in {folder}\n\n"
            "Hint: finish it there first, so that it cannot appear in both."
        )
