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
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from schemas.enums import Role, RunState
from schemas.errors import DecisionRefused, RunHeld, Terminal, WrongUsage
from schemas.executions import SENT_ORDERS
from schemas.exports import Delivery
from schemas.landing import IDENTIFIER
from tasks.core.export import Export, ExportPackage, ProposedTables, allocate, block_warnings, make_release, refusals_of
from tasks.export.deadline import ExportDeadline
from tasks.export.plan import ExportPlan
from tasks.export.render import DELIVERY_CHECKPOINTS, Sending, render_export
from tasks.export.signing import Signer
from tasks.export.tombstone import Checkpoint
from tasks.known import behind_since
from tasks.review import newest_rows
from warehouse.lake import Lake
from warehouse.ledger import Amendments, ExportPart, ExportRow, Ledger, RunRow, Runs, Users

CHECKPOINTS: Final = ("claimed", *DELIVERY_CHECKPOINTS, "published")
"""Names of the points that ``checkpoint`` is called at, in order; ``files`` once per group of files."""

NO_PLAN: Final = ExportPlan()
BOOK: Final = ("proposals", "orders", "lot_relief", "landed_accounts", "landed_securities")
"""Tables of the lake that an export is made of."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    """What every export of a call has in common.

    ``lake``, ``ledger``: where the orders are; what may leave. ``export_folder`` receives ``<as_of_date>/<run_id>/``. ``actor``
    needs the role releaser or admin. ``now``: UTC; goes to the ledger, never into a file. ``plan``: what exports are written by,
    but for whose orders they hold and where they go. ``signer`` signs manifests, where a plan asks for it. ``checkpoint``: called
    with a name of ``CHECKPOINTS`` at each point of the protocol; stops the export by raising. ``custodians``: whose orders are asked
    for; empty: everybody's.
    """

    lake: Lake
    ledger: Ledger
    export_folder: Path
    actor: str
    now: datetime
    plan: ExportPlan = NO_PLAN
    signer: Signer | None = None
    deliveries: tuple[Delivery, ...] = ()
    checkpoint: Checkpoint = lambda _point: None
    custodians: frozenset[str] = frozenset()


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


def stored_tables(lake: Lake, run_id: str) -> dict[str, pl.DataFrame]:
    """What the run proposed."""
    return {table: lake.read(table, run_id) for table in BOOK}


def book_of(stored: Mapping[str, pl.DataFrame], amendments: Amendments, run_id: str) -> ProposedTables:
    """What was proposed, with the newest versions in the place of those that people changed until now.

    Once a proposal is approved nobody changes it: read after it is known what is approved, this has all of that.
    """
    tables = newest_rows(stored, amendments.amended(run_id))
    return ProposedTables(*(tables[table] for table in stored))


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
            return None
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


def settled_accounts(by: Exporter, run: RunRow) -> pl.Series:
    """Accounts of which something is approved in the run and whose holdings there show everything that is known to be filled."""
    accounts = by.ledger.exports.approved_in(run.run_id).filter(pl.col("export_id").is_null())["account_id"].unique()
    behind = behind_since(by.lake, by.ledger, run, accounts)["account_id"]
    return accounts.filter(~accounts.is_in(behind.implode()))


def planned_packages(
    run: RunRow,
    stored: Mapping[str, pl.DataFrame],
    by: Exporter,
    ids: Collection[str],
    plans: Sequence[ExportPlan],
    *,
    settled: pl.Series,
) -> tuple[list[tuple[ExportPlan, ExportPackage]], pl.DataFrame]:
    """What would leave of some proposals by the plans, of ``settled_accounts``, and the orders that a profile cannot express.

    A proposal with such an order stays whole: half of it is not what was approved. So does a household that is managed together, all
    of whose proposals leave by these plans or none. A plan by which nothing leaves has no package.
    """
    book = book_of(stored, by.ledger.amendments, run.run_id)
    waiting = by.ledger.exports.approved_in(run.run_id).filter(pl.col("export_id").is_null())
    asked = asked_for(waiting, by.custodians)
    may = asked.filter(pl.col("proposal_id").is_in(list(ids)), pl.col("account_id").is_in(settled.implode()))
    export = Export(run.run_id, run.as_of_date, by.ledger.exports.next_sequence(run.run_id), "")
    rows = [may.filter(pl.col("custodian").is_in(plan.custodians)) if plan.custodians else may for plan in plans]
    packages = [_package_of(export, book, some) for some in rows]
    found = [refusals_of(package, plan.profiles) for plan, package in zip(plans, packages, strict=True)]
    refused = pl.concat(found)
    staying = book.orders.join(refused, on="order_id", how="semi")["proposal_id"]
    leaving = pl.concat(rows).filter(~pl.col("proposal_id").is_in(staying.implode()))
    leaving = leaving.join(_halved(waiting, leaving), on="household_id", how="anti")
    made: list[tuple[ExportPlan, ExportPackage]] = []
    for plan, some in zip(plans, rows, strict=True):
        part = some.join(leaving, on="proposal_id", how="semi")
        if part.height:
            made.append((plan, _package_of(export._replace(sequence=export.sequence + len(made)), book, part)))
    return made, refused


def asked_for(approved: pl.DataFrame, custodians: Collection[str]) -> pl.DataFrame:
    """Of approved proposals those at the custodians, and with them all of their households; empty: all."""
    if not custodians:
        return approved
    is_asked = pl.col("custodian").is_in(sorted(custodians))
    together = approved.filter(is_asked, pl.col("household_id").is_not_null())["household_id"].unique()
    return approved.filter(is_asked | pl.col("household_id").is_in(together.implode()))


def _halved(approved: pl.DataFrame, leaving: pl.DataFrame) -> pl.DataFrame:
    """``household_id`` of households of which a proposal would stay behind."""
    return approved.join(leaving, on="proposal_id", how="anti").select("household_id").drop_nulls().unique()


def _package_of(export: Export, book: ProposedTables, approved: pl.DataFrame) -> ExportPackage:
    leaving = book.orders.join(approved.select("proposal_id"), on="proposal_id", how="semi")
    return make_release(export, book, approved=approved, claimed=leaving.select("order_id", "proposal_id"))
