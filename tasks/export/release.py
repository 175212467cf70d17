"""Let what is approved leave: export it, then deliver it. For the command line, the console and the flow alike."""

from collections.abc import Collection
from contextlib import closing
from datetime import timedelta

from schemas.settings import Settings
from tasks.export.abandon import AbandonResult, abandon_export
from tasks.export.deliver import Deliverer, DeliveryResult, deliver_exports
from tasks.export.export_all import ExportedRuns, export_all
from tasks.export.packages import Exporter
from tasks.export.plan import ExportPlan, signer_of
from tasks.runtime import anchored, current_actor, open_ledger, utc_now
from warehouse.lake import open_lake


def export_approved(
    settings: Settings, run_id: str | None = None, custodians: Collection[str] = (), *, actor: str | None = None
) -> ExportedRuns:
    """Export one run, or every run with approved proposals; of some custodians, or of all. ``actor`` null: the operating-system user.

    Raises
    ------
    AuditBroken
        The audit chain does not fit its anchor.
    TrimtabError
        As ``export_all``.
    """
    signer = signer_of(settings)
    with closing(open_ledger(settings)) as ledger:
        by = Exporter(
            lake=open_lake(settings),
            ledger=ledger,
            export_folder=settings.export_folder,
            actor=actor or current_actor(),
            now=utc_now(),
            plan=ExportPlan.of(settings, signer),
            signer=signer,
            deliveries=settings.deliveries,
        )
        with anchored(settings, ledger.audit, "an export"):
            return export_all(by, run_id=run_id, custodians=custodians)


def give_up(settings: Settings, export_id: str, note: str, *, actor: str | None = None) -> AbandonResult:
    """Give up an export that was claimed and has not left. ``actor`` null: the operating-system user.

    Raises
    ------
    TrimtabError
        As ``abandon_export``.
    """
    with closing(open_ledger(settings)) as ledger:
        return abandon_export(
            export_id,
            abandonments=ledger.abandonments,
            exports=ledger.exports,
            export_folder=settings.export_folder,
            actor=actor or current_actor(),
            note=note,
            now=utc_now(),
        )


def deliver_exported(settings: Settings, run_id: str | None = None) -> list[DeliveryResult]:
    """Deliver what no place has acknowledged yet, of one run or of all.

    Raises
    ------
    RunHeld
        Everything is halted.
    """
    if not settings.deliveries:
        return []
    with closing(open_ledger(settings)) as ledger:
        return deliver_exports(Deliverer(ledger=ledger, deliveries=settings.deliveries, now=utc_now), run_id)


def custodians_due(settings: Settings) -> list[str]:
    """Custodians whose approved orders should leave now: their cut-off is near, or they have none."""
    with closing(open_ledger(settings)) as ledger:
        return ledger.exports.custodians_due(utc_now() + timedelta(minutes=settings.release_minutes))
