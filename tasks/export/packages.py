"""What would leave of a run: approved proposals put together by plans, an account's orders whole and a household's too."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from schemas.exports import Delivery
from tasks.core.export import Export, ExportPackage, ProposedTables, make_release, refusals_of
from tasks.export.plan import ExportPlan
from tasks.export.signing import Signer
from tasks.export.tombstone import Checkpoint
from tasks.known import behind_since
from tasks.review import newest_rows
from warehouse.lake import Lake
from warehouse.ledger import Amendments, Ledger, RunRow

NO_PLAN: Final = ExportPlan()
BOOK: Final = ("proposals", "orders", "lot_relief", "landed_accounts", "landed_securities")
"""Tables of the lake that an export is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    """What every export of a call has in common.

    ``lake``, ``ledger``: where the orders are; what may leave. ``export_folder`` receives ``<as_of_date>/<run_id>/``. ``actor``
    needs the role releaser or admin. ``now``: UTC; goes to the ledger, never into a file. ``plan``: what exports are written by,
    but for whose orders they hold and where they go. ``signer`` signs manifests, where a plan asks for it. ``checkpoint``: called
    with a name of ``tasks.export.export.CHECKPOINTS`` at each point of the protocol; stops the export by
    raising. ``custodians``: whose orders are asked
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


def stored_tables(lake: Lake, run_id: str) -> dict[str, pl.DataFrame]:
    """What the run proposed."""
    return {table: lake.read(table, run_id) for table in BOOK}


def book_of(stored: Mapping[str, pl.DataFrame], amendments: Amendments, run_id: str) -> ProposedTables:
    """What was proposed, with the newest versions in the place of those that people changed until now.

    Once a proposal is approved nobody changes it: read after it is known what is approved, this has all of that.
    """
    tables = newest_rows(stored, amendments.amended(run_id))
    return ProposedTables(*(tables[table] for table in stored))


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
