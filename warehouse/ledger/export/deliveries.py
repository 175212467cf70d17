"""Deliveries: which export has reached which place, acknowledged with the hash of its manifest.

A row is ``sending`` from the first attempt on and ``delivered`` once the place has all of it; a crash in between leaves it
``sending``, and the next attempt goes on.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from schemas.errors import DecisionRefused
from warehouse.ledger.store import (
    DeliveryRow,
    DeliveryState,
    Event,
    ExportRow,
    ExportState,
    Store,
    canonical,
    deliveries,
    export_orders,
    exports,
)
from warehouse.ledger.store import audit_chain as ledger_audit


class Deliveries(Store):
    """What was delivered where."""

    def begin_delivery(
        self,
        export_id: str,
        name: str,
        *,
        url: str,
        file_count: int,
        size_bytes: int,
        manifest_sha256: str,
        now: datetime,
    ) -> DeliveryRow:
        """Enter an attempt to deliver an export to a place; one that is delivered stays as it is.

        Raises
        ------
        DecisionRefused
            The export is not published, or was begun to be delivered there with another manifest.
        """
        with self.writing() as connection:
            export = connection.execute(
                sa.select(exports.c.state).where(exports.c.export_id == export_id)
            ).one_or_none()
            if export is None or export.state != ExportState.PUBLISHED:
                raise DecisionRefused(f"export {export_id} is not published; only a whole export is delivered")
            row = _delivery_in(connection, export_id, name)
            if row is None:
                fresh = {"export_id": export_id, "name": name, "url": url, "state": DeliveryState.SENDING}
                sizes = {"file_count": file_count, "size_bytes": size_bytes, "manifest_sha256": manifest_sha256}
                connection.execute(
                    sa.insert(deliveries).values(**fresh, **sizes, attempts=1, sent_count=0, started_at=now)
                )
                _note(connection, export_id, "delivery_begun", {"name": name, "url": url}, now)
            elif row.manifest_sha256 != manifest_sha256:
                raise DecisionRefused(f"export {export_id} was begun to be delivered to {name} with another manifest")
            elif row.state is not DeliveryState.DELIVERED:
                sent = row.sent_count if row.url == url else 0  # another place has nothing yet
                _update_delivery(connection, export_id, name, attempts=row.attempts + 1, url=url, sent_count=sent)
            found = _delivery_in(connection, export_id, name)
        assert found is not None  # noqa: S101 - it was just written
        return found

    def note_sent(self, row: DeliveryRow, count: int) -> None:
        """The place has acknowledged so many files, counted from the first; it is not sent them again.

        Raises
        ------
        DecisionRefused
            Another attempt was begun, or has ended the delivery.
        """
        with self.writing() as connection:
            _need_own(connection, row)
            _update_delivery(connection, row.export_id, row.name, sent_count=count)

    def need_own_attempt(self, row: DeliveryRow) -> None:
        """Refuse to go on where another attempt was begun, or has ended the delivery.

        Raises
        ------
        DecisionRefused
            It is so.
        """
        with self.reading() as connection:
            _need_own(connection, row)

    def note_delivery_problem(self, export_id: str, name: str, problem: str) -> None:
        """Why an attempt failed; not audited, the next may succeed."""
        with self.writing() as connection:
            row = _delivery_in(connection, export_id, name)
            if row is not None and row.state is DeliveryState.SENDING:
                _update_delivery(connection, export_id, name, problem=problem)

    def finish_delivery(self, export_id: str, name: str, now: datetime) -> bool:
        """The place has acknowledged all of it. False: it had so already."""
        with self.writing() as connection:
            row = _delivery_in(connection, export_id, name)
            if row is None or row.state is DeliveryState.DELIVERED:
                return False
            _update_delivery(connection, export_id, name, state=DeliveryState.DELIVERED, delivered_at=now, problem=None)
            detail = {"name": name, "files": row.file_count, "manifest_sha256": row.manifest_sha256}
            _note(connection, export_id, "delivered", detail, now)
        return True

    def deliveries_of(self, export_ids: Collection[str]) -> list[DeliveryRow]:
        """Deliveries of some exports, by export and name."""
        query = sa.select(deliveries).where(deliveries.c.export_id.in_(export_ids))
        with self.reading() as connection:
            found = connection.execute(query.order_by(deliveries.c.export_id, deliveries.c.name)).all()
        return [DeliveryRow.of(row) for row in found]

    def custodians_of(self, export_id: str) -> list[str]:
        """Custodians whose orders an export holds, sorted."""
        query = sa.select(export_orders.c.custodian).where(export_orders.c.export_id == export_id).distinct()
        with self.reading() as connection:
            return sorted(connection.scalars(query.where(export_orders.c.custodian.is_not(None))))

    def published_exports(self, run_id: str | None = None) -> list[ExportRow]:
        """Whole exports, of one run or of all, in the order in which they were finished."""
        query = sa.select(exports).where(exports.c.state == ExportState.PUBLISHED)
        if run_id is not None:
            query = query.where(exports.c.run_id == run_id)
        with self.reading() as connection:
            found = connection.execute(query.order_by(exports.c.finished_at, exports.c.export_id)).all()
        return [ExportRow.of(row) for row in found]

    def exports_found(
        self, run_id: str | None = None, *, limit: int, after: tuple[datetime, str] | None = None
    ) -> list[ExportRow]:
        """Exports, of one run or of all, what was begun last first; ``after``: when the last one seen was begun, and its name."""
        query = sa.select(exports)
        if run_id is not None:
            query = query.where(exports.c.run_id == run_id)
        if after is not None:
            begun, name = exports.c.started_at, exports.c.export_id
            query = query.where((begun < after[0]) | (begun == after[0]) & (name > after[1]))
        order = (exports.c.started_at.desc(), exports.c.export_id)
        with self.reading() as connection:
            return [ExportRow.of(row) for row in connection.execute(query.order_by(*order).limit(limit))]

    def export_named(self, export_id: str) -> ExportRow | None:
        """One export, or null."""
        with self.reading() as connection:
            row = connection.execute(sa.select(exports).where(exports.c.export_id == export_id)).one_or_none()
        return None if row is None else ExportRow.of(row)

    def undelivered_exports(self, names: Collection[str]) -> list[ExportRow]:
        """Whole exports that name places and have not reached each of ``names``; whether one was meant to is in its plan."""
        is_theirs = (deliveries.c.export_id == exports.c.export_id) & (deliveries.c.state == DeliveryState.DELIVERED)
        reached = sa.select(sa.func.count()).where(is_theirs, deliveries.c.name.in_(sorted(names))).scalar_subquery()
        query = sa.select(exports).where(
            exports.c.state == ExportState.PUBLISHED, exports.c.plan.contains('"deliveries"'), reached < len(names)
        )
        with self.reading() as connection:
            return [ExportRow.of(row) for row in connection.execute(query.order_by(exports.c.export_id))]


def _need_own(connection: Connection, row: DeliveryRow) -> None:
    found = _delivery_in(connection, row.export_id, row.name)
    if found is None or found.attempts != row.attempts or found.state is DeliveryState.DELIVERED:
        raise DecisionRefused(f"export {row.export_id} is being delivered to {row.name} by somebody else; that goes on")


def _delivery_in(connection: Connection, export_id: str, name: str) -> DeliveryRow | None:
    is_it = (deliveries.c.export_id == export_id) & (deliveries.c.name == name)
    row = connection.execute(sa.select(deliveries).where(is_it)).one_or_none()
    return None if row is None else DeliveryRow.of(row)


def _update_delivery(connection: Connection, export_id: str, name: str, **values: Any) -> None:
    is_it = (deliveries.c.export_id == export_id) & (deliveries.c.name == name)
    connection.execute(sa.update(deliveries).where(is_it).values(**values))


def _note(connection: Connection, export_id: str, event: str, detail: dict[str, Any], now: datetime) -> None:
    export = connection.execute(
        sa.select(exports.c.run_id, exports.c.actor).where(exports.c.export_id == export_id)
    ).one()
    text = canonical({"export_id": export_id, **detail})
    ledger_audit.append(connection, [Event(export.actor, event, export.run_id, detail=text)], now)
