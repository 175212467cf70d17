"""The audit chain: one row a transition, each carrying the hash of the one before.

``hash = sha256(canonical JSON of the row's other columns)``, where canonical means sorted keys, no spaces, ASCII, times in
ISO 8601 UTC with microseconds. The chain's head lies in ``audit_head`` so that rows missing at the end are noticed too.

Known limits: who can write to the database and drop its triggers can compute a whole new chain, or one with a shorter end. Anchors,
kept elsewhere, tell of that (``tasks.runtime.anchors``).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from warehouse.ledger.store.rows import AuditRow
from warehouse.ledger.store.store import insert_columns
from warehouse.ledger.store.tables import audit, audit_head

ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False)
GENESIS: Final = "0" * 64
"""Previous hash of the first row."""
HASHED: Final = tuple(field.name for field in fields(AuditRow) if field.name != "hash")
CLOCK: Final = "clock"
"""Actor of expiries."""
POLICY: Final = "policy"
"""Actor of automatic approvals."""
GUARD: Final = "guard"
"""Actor of holds."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, before it has its place in the chain. ``detail`` is canonical JSON."""

    actor: str
    event: str
    run_id: str | None = None
    proposal_id: str | None = None
    from_state: str | None = None
    to_state: str | None = None
    detail: str = "{}"


def canonical(value: Any) -> str:
    """JSON with one spelling: sorted keys, no spaces, ASCII."""
    return ENCODER.encode(value)


def row_hash(row: AuditRow) -> str:
    """Hash of a row's columns other than ``hash`` itself."""
    return _digest({name: getattr(row, name) for name in HASHED} | {"at": _time_text(row.at)})


def _time_text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def append(connection: Connection, events: Iterable[Event], now: datetime) -> None:
    """Add rows to the chain, inside the caller's transaction."""
    head = connection.execute(sa.select(audit_head.c.seq, audit_head.c.hash)).one()
    rows = list(_link_rows(events, head.seq, head.hash, now))
    if rows:
        last = rows[-1]
        connection.execute(sa.update(audit_head).values(seq=last["seq"], hash=last["hash"]))
        columns = {name: [row[name] for row in rows] for name in last if name != "at"}
        insert_columns(connection, audit, columns, {"at": now})


def _link_rows(events: Iterable[Event], seq: int, previous_hash: str, now: datetime) -> Iterator[dict[str, Any]]:
    """Rows with their numbers and hashes; ``at`` as the text that is hashed."""
    at = _time_text(now)
    for number, item in enumerate(events, start=seq + 1):
        row = {
            "seq": number,
            "at": at,
            "actor": item.actor,
            "run_id": item.run_id,
            "proposal_id": item.proposal_id,
            "event": item.event,
            "from_state": item.from_state,
            "to_state": item.to_state,
            "detail": item.detail,
            "previous_hash": previous_hash,
        }
        row["hash"] = previous_hash = _digest(row)
        yield row
