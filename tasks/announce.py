"""Tell whoever watches that people are waited for: events and links for the Prefect UI, counts and amounts only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from urllib.parse import urlencode

from prefect.artifacts import create_link_artifact
from prefect.events import emit_event

from schemas.settings import Settings
from tasks.steps import Stores
from warehouse.ledger import Filter, Ledger

PENDING: Final = "trimtab.review-pending"
REMINDER: Final = "trimtab.review-reminder"


@dataclass(frozen=True, slots=True)
class Reminder:
    """What waits for a person before a custodian's cut-off."""

    custodian: str
    cut_off_at: datetime
    waiting: int
    gross_value_usd: Decimal


def announce_queue(at: Stores, run_id: str, now: datetime) -> int:
    """Say that proposals of a run wait for people, with a link to them where the console has an address; how many wait."""
    totals = at.ledger.totals(Filter(run=run_id))
    if not totals.count:
        return 0
    link = queue_link(at.settings, f"run={run_id}")
    ahead = [moment for moment, _ in at.ledger.next_cut_offs(now).values()]
    payload = {
        "run_id": run_id,
        "waiting": totals.count,
        "gross_value_usd": str(totals.gross_value_usd),
        "next_cut_off_at": min(ahead).isoformat() if ahead else None,
        "link": link or None,
    }
    emit_event(PENDING, resource={"prefect.resource.id": f"trimtab.run.{run_id}"}, payload=payload)
    if link:
        text = f"{totals.count:,} proposals wait for review"
        create_link_artifact(link, link_text=text, key="review-queue", description=run_id)
    return totals.count


def queue_link(settings: Settings, filter_text: str) -> str:
    """The queue's address with a filter; empty where the console has no address."""
    base = settings.console_url.rstrip("/")
    return f"{base}/queue?{urlencode({'filter': filter_text})}" if base else ""


def remind(at: Stores, now: datetime) -> list[Reminder]:
    """Remind, once a custodian and cut-off, of what still waits shortly before it; the reminders given now."""
    found = due(at.ledger, now, timedelta(minutes=at.settings.reminder_minutes))
    for one in found:
        payload: Mapping[str, object] = {
            "custodian": one.custodian,
            "cut_off_at": one.cut_off_at.isoformat(),
            "waiting": one.waiting,
            "gross_value_usd": str(one.gross_value_usd),
            "link": queue_link(at.settings, f"custodian={one.custodian}") or None,
        }
        resource = {"prefect.resource.id": f"trimtab.custodian.{one.custodian}"}
        emit_event(REMINDER, resource=resource, payload=dict(payload))
    return found


def due(ledger: Ledger, now: datetime, ahead: timedelta) -> list[Reminder]:
    """What waits before cut-offs at most ``ahead`` of now and was not reminded of before; noted as reminded of."""
    ledger.expire(now)
    return [
        Reminder(custodian, moment, count, ledger.totals(Filter(custodian=custodian)).gross_value_usd)
        for custodian, (moment, count) in sorted(ledger.next_cut_offs(now).items())
        if moment - now <= ahead and ledger.note_reminder(custodian, moment, now)
    ]
