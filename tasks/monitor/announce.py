"""Tell whoever watches what people are needed for: events and links for the Prefect UI, counts and amounts only.

What lasts, a night that is late or a halt, is told once: the newest artifact of its kind says of what.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, cast
from urllib.parse import urlencode

from prefect.artifacts import Artifact, create_link_artifact, create_markdown_artifact
from prefect.client.schemas.objects import Artifact as ArtifactResponse
from prefect.events import emit_event

from schemas.enums import Reason
from schemas.events import EventName
from schemas.settings import Settings
from tasks.known import NightStatus, OverdueNight
from tasks.runtime import Stores
from warehouse.ledger import Filter, FollowerRow, HaltRow, Proposals, Queue

LATE_KEY: Final = "night-late"
HALT_KEY: Final = "halted"
SILENT_KEY: Final = "follower-silent"
OVERDUE: Final = (str(Reason.ORDERS_OVERDUE), "fills_overdue")
"""Words of reasons for which an account has waited too long."""


@dataclass(frozen=True, slots=True)
class Reminder:
    """What waits for a person before a custodian's cut-off."""

    custodian: str
    cut_off_at: datetime
    waiting: int
    gross_value_usd: Decimal


def announce_queue(at: Stores, run_id: str, now: datetime) -> int:
    """Say that proposals of a run wait for people, with a link to them where the console has an address; how many wait."""
    totals = at.ledger.queue.totals(Filter(run=run_id))
    if not totals.count:
        return 0
    link = queue_link(at.settings, f"run={run_id}")
    ahead = [moment for moment, _ in at.ledger.queue.next_cut_offs(now).values()]
    payload = {
        "run_id": run_id,
        "waiting": totals.count,
        "gross_value_usd": str(totals.gross_value_usd),
        "next_cut_off_at": min(ahead).isoformat() if ahead else None,
        "link": link or None,
    }
    emit_event(EventName.REVIEW_PENDING, resource={"prefect.resource.id": f"trimtab.run.{run_id}"}, payload=payload)
    if link:
        text = f"{totals.count:,} proposals wait for review"
        create_link_artifact(link, link_text=text, key="review-queue", description=run_id)
    return totals.count


def announce_overdue(at: Stores, run_id: str) -> int:
    """Say that accounts of a run wait for longer than their policy allows, for the last word on orders or for holdings that show fills; how many."""
    reasons = at.lake.read("account_outcomes", run_id, columns=("reason",))["reason"].str.split(":").list.first()
    counts = {word: int((reasons == word).sum()) for word in OVERDUE}
    if any(counts.values()):
        resource = {"prefect.resource.id": f"trimtab.run.{run_id}"}
        payload = {"run_id": run_id, "accounts": sum(counts.values()), **counts}
        emit_event(EventName.ORDERS_OVERDUE, resource=resource, payload=payload)
    return sum(counts.values())


def queue_link(settings: Settings, filter_text: str) -> str:
    """The queue's address with a filter; empty where the console has no address."""
    base = settings.console_url.rstrip("/")
    return f"{base}/queue?{urlencode({'filter': filter_text})}" if base else ""


def remind(at: Stores, now: datetime) -> list[Reminder]:
    """Remind, once a custodian and cut-off, of what still waits shortly before it; the reminders given now."""
    found = due(at.ledger.proposals, at.ledger.queue, now, timedelta(minutes=at.settings.reminder_minutes))
    for one in found:
        payload: Mapping[str, object] = {
            "custodian": one.custodian,
            "cut_off_at": one.cut_off_at.isoformat(),
            "waiting": one.waiting,
            "gross_value_usd": str(one.gross_value_usd),
            "link": queue_link(at.settings, f"custodian={one.custodian}") or None,
        }
        resource = {"prefect.resource.id": f"trimtab.custodian.{one.custodian}"}
        emit_event(EventName.REVIEW_REMINDER, resource=resource, payload=dict(payload))
    return found


def due(proposals: Proposals, queue: Queue, now: datetime, ahead: timedelta) -> list[Reminder]:
    """What waits before cut-offs at most ``ahead`` of now and was not reminded of before; noted as reminded of."""
    proposals.expire(now)
    return [
        Reminder(custodian, moment, count, queue.totals(Filter(custodian=custodian)).gross_value_usd)
        for custodian, (moment, count) in sorted(queue.next_cut_offs(now).items())
        if moment - now <= ahead and queue.note_reminder(custodian, moment, now)
    ]


def is_announced(key: str, about: str) -> bool:
    """Whether the newest artifact of a key is about this."""
    newest = cast("ArtifactResponse | None", Artifact.get(key))  # a coroutine only where the caller is one
    return newest is not None and newest.description == about


def announce_late(night: OverdueNight, found: NightStatus) -> None:
    """Say that a night is late and what became of it."""
    day, due_at = night.day.isoformat(), night.due_at.isoformat()
    payload = {"as_of": day, "due_at": due_at, "state": night.state, "sentence": found.sentence}
    emit_event(EventName.NIGHT_LATE, resource={"prefect.resource.id": f"trimtab.night.{day}"}, payload=payload)
    text = f"# The night of {day} is late\n\nIt should have been done by {due_at}. {found.sentence}\n"
    create_markdown_artifact(text, key=LATE_KEY, description=day)


def announce_halt(halt: HaltRow) -> None:
    """Say that everything is halted. Who did it and why is in the ledger."""
    moment = halt.halted_at.isoformat()
    emit_event(EventName.HALTED, resource={"prefect.resource.id": "trimtab.halt"}, payload={"halted_at": moment})
    create_markdown_artifact("`trimtab status` says by whom and why.", key=HALT_KEY, description=moment)


def announce_silent(row: FollowerRow) -> None:
    """Say that a follower of the price stream no longer looks, though nobody told it to stop."""
    moment = row.looked_at_time.isoformat()
    payload = {"host": row.host, "looked_at_time": moment, "look_every_seconds": row.look_every_seconds}
    resource = {"prefect.resource.id": f"trimtab.follower.{row.host}"}
    emit_event(EventName.FOLLOWER_SILENT, resource=resource, payload=payload)
    text = f"# The follower on {row.host} is silent\n\nIt looked last at {moment}. Between the nights nobody watches the book.\n"
    create_markdown_artifact(text, key=SILENT_KEY, description=moment)
