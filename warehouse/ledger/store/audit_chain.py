"""The audit chain: one row a transition, each carrying the hash of the one before.

``hash = sha256(canonical JSON of the row's other columns)``, where canonical means sorted keys, no spaces, ASCII, times in
ISO 8601 UTC with microseconds. The chain's head lies in ``audit_head`` so that rows missing at the end are noticed too.

Known limits: who can write to the database and drop its triggers can compute a whole new chain. Keep a copy of the newest
hash elsewhere to notice that.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from schemas.errors import AuditBroken
from warehouse.ledger.store.rows import AuditRow
from warehouse.ledger.store.store import Store, insert_columns
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


class Audit(Store):
    """Reading and checking the chain."""

    def audit_rows(
        self,
        *,
        limit: int | None = None,
        proposal_id: str | None = None,
        run_id: str | None = None,
        actor: str | None = None,
        below: int | None = None,
    ) -> list[AuditRow]:
        """The newest ``limit`` rows that match, of numbers below ``below``, oldest first; null = no condition."""
        query = sa.select(audit).order_by(audit.c.seq.desc()).limit(limit)
        wanted = {audit.c.proposal_id: proposal_id, audit.c.run_id: run_id, audit.c.actor: actor}
        query = query.where(*(column == value for column, value in wanted.items() if value is not None))
        if below is not None:
            query = query.where(audit.c.seq < below)
        with self.reading() as connection:
            return [AuditRow(*row) for row in connection.execute(query)][::-1]

    def verify_audit(self) -> int:
        """Recompute the whole chain; the number of rows checked.

        Raises
        ------
        AuditBroken
            A row is missing or not what was written; names the first one.
        """
        with self.reading() as connection:
            head = connection.execute(sa.select(audit_head.c.seq, audit_head.c.hash)).one()
            rows = connection.execution_options(yield_per=10_000).execute(sa.select(audit).order_by(audit.c.seq))
            count, newest = _check_links(AuditRow(*row) for row in rows)
        if (count, newest) != (head.seq, head.hash):
            raise AuditBroken(count + 1, f"the audit chain ends at row {count}, but {head.seq} were written")
        return count


def _check_links(rows: Iterable[AuditRow]) -> tuple[int, str]:
    """Number and hash of the last row, all links being whole."""
    seq, newest = 0, GENESIS
    for row in rows:
        seq += 1
        if row.seq != seq:
            raise AuditBroken(seq, f"audit row {seq} is missing")
        if row.previous_hash != newest or row_hash(row) != row.hash:
            raise AuditBroken(seq, f"audit row {seq} is not what was written")
        newest = row.hash
    return seq, newest
