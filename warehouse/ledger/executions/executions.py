"""Executions: what brokers and custodians say about orders that left, and what has become of these orders since.

Messages are entered once and never changed; ``order_states`` is what they come to, computed anew from all of them for every
order that a file touches, in the same transaction. What is computed is handed in: the ledger decides nothing about trades.
``ledger_answers`` reads them.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from schemas.enums import Break, ExecutionKind, Role
from schemas.errors import WrongUsage
from warehouse.ledger.access import need_role
from warehouse.ledger.executions.execution_rows import (
    ExecutionFile,
    Rules,
    Settled,
    enter,
    enter_aside,
    enter_file,
    fresh_aside,
    known_in,
    sent_in,
    settle_in,
    states_in,
)
from warehouse.ledger.executions.simulated import refuse_simulated
from warehouse.ledger.store import (
    Event,
    Store,
    allocation_exceptions,
    canonical,
    execution_files,
    executions,
    executions_aside,
    insert_columns,
)
from warehouse.ledger.store import audit_chain as ledger_audit

SETTLED_BY_HAND: Final = "settled by hand"
"""The source of what people say of orders; a broker's word on the order has another."""
Judge = Callable[[pl.DataFrame, pl.DataFrame], tuple[pl.DataFrame, pl.DataFrame]]
"""From orders (``SENT_ORDERS``) and known executions (``KNOWN``): the rows to enter and those set aside."""


@dataclass(frozen=True, slots=True)
class ExecutionReading:
    """A file as it was read: the names that its records use, its lots, and records that could not be read (``ASIDE``)."""

    names: frozenset[str]
    ids: frozenset[str]
    lots: pl.DataFrame
    unread: pl.DataFrame


@dataclass(frozen=True, slots=True)
class TakenFile:
    """What came of a file: how many executions were entered and how many read before; those set aside; what changed."""

    taken: int
    again: int
    aside: pl.DataFrame
    settled: Settled


class Executions(Store):
    """What came back."""

    def take_executions(
        self,
        file: ExecutionFile,
        reading: ExecutionReading,
        *,
        judge: Judge,
        rules: Rules,
        before: tuple[int, int] | None,
        actor: str,
        now: datetime,
    ) -> TakenFile:
        """Enter a file's executions and move the orders and proposals that they are about, in one transaction.

        A file may come in parts. ``before``: how many executions earlier parts entered and set aside; with it the file is
        entered as read. Null: further parts follow.

        Raises
        ------
        DecisionRefused
            The actor is no releaser.
        """
        with self.writing() as connection:
            need_role(connection, actor, Role.RELEASER)
            known = known_in(connection, file.source, reading.ids)
            names = {*reading.names, *known["order_id"].drop_nulls(), *known["block_id"].drop_nulls()}
            refuse_simulated(connection, file.name, reading.ids, names)
            accepted, judged = judge(sent_in(connection, names), known)
            aside, again = fresh_aside(connection, file, pl.concat([judged, reading.unread]), known)
            enter(connection, file, accepted, reading.lots, now)
            enter_aside(connection, file, aside, now)
            if before is not None:
                counts = before[0] + accepted.height, before[1] + aside.height
                enter_file(connection, file, *counts, actor=actor, now=now)
            changed_before = known.filter(pl.col("reference_id").is_in(accepted["execution_id"].implode()))
            moved = pl.concat([rows.select("order_id", "block_id") for rows in (accepted, changed_before)])
            about = {*moved["order_id"].drop_nulls(), *moved["block_id"].drop_nulls()}
            settled = settle_in(connection, about, rules, actor=actor, now=now)
        return TakenFile(accepted.height, again, aside, settled)

    def allot(
        self,
        block_id: str,
        quantities: dict[str, Any],
        *,
        rules: Rules,
        actor: str,
        note: str,
        now: datetime,
    ) -> Settled:
        """Fix what orders of a block get of its fills, with a note that says why; null takes it back.

        Raises
        ------
        WrongUsage
            An order is not of the block, or would get less than nothing or more than it ordered, or there is no note.
        DecisionRefused
            The actor is no releaser.
        """
        if not note.strip():
            raise WrongUsage("an allotment that differs from the rule needs a note that says why")
        with self.writing() as connection:
            need_role(connection, actor, Role.RELEASER)
            members = {row["order_id"]: row for row in sent_in(connection, {block_id}).iter_rows(named=True)}
            for order_id, quantity in quantities.items():
                if order_id not in members:
                    raise WrongUsage(f"{order_id} is no order of block {block_id}")
                step = members.get(order_id, {}).get("quantity_step")
                if quantity is not None and step and quantity % step:
                    raise WrongUsage(f"{order_id} is allotted {quantity}; needed a multiple of {step.normalize():f}")
                if quantity is not None and not 0 <= quantity <= members[order_id]["quantity"]:
                    raise WrongUsage(
                        f"{order_id} ordered {members[order_id]['quantity'].normalize():f}, not {quantity}"
                    )
            rows = [{"block_id": block_id, "order_id": name, "quantity": amount} for name, amount in quantities.items()]
            shared = {"actor": actor, "note": note, "decided_at": now}
            connection.execute(sa.insert(allocation_exceptions), [{**row, **shared} for row in rows])
            said = {name: None if amount is None else str(amount) for name, amount in quantities.items()}
            detail = canonical({"block_id": block_id, "quantities": said, "note": note})
            ledger_audit.append(connection, [Event(actor, "allotted", detail=detail)], now)
            return settle_in(connection, {block_id}, rules, actor=actor, now=now)

    def settle_orders(
        self, order_ids: Collection[str], *, rules: Rules, actor: str, note: str, now: datetime
    ) -> Settled:
        """Enter that a person says that no more will come of orders: for us they are cancelled. All of them or none.

        A fill that is told later counts all the same.

        Raises
        ------
        WrongUsage
            An order never left, or has its final word already; or there is no note.
        DecisionRefused
            The actor is no releaser.
        """
        if not note.strip():
            raise WrongUsage("an order is settled only with a note that says what became of it")
        ids = sorted(set(order_ids))
        with self.writing() as connection:
            need_role(connection, actor, Role.RELEASER)
            _need_open(connection, ids)
            digest = hashlib.sha256(canonical({"orders": ids, "note": note, "actor": actor}).encode()).hexdigest()
            columns: dict[str, list[Any]] = {
                "execution_id": ids,
                "order_id": ids,
                "row_number": list(range(1, len(ids) + 1)),
            }
            shared = {"source": SETTLED_BY_HAND, "kind": ExecutionKind.CANCELLED, "text": note}
            insert_columns(connection, executions, columns, {**shared, "file_sha256": digest, "received_at": now})
            details = [canonical({"order_id": one, "note": note}) for one in ids]
            ledger_audit.append(connection, [Event(actor, "order_settled", detail=detail) for detail in details], now)
            return settle_in(connection, ids, rules, actor=actor, now=now)

    def sources_of_file(self, sha256: str) -> frozenset[str]:
        """Whose file it was when it was read before."""
        query = sa.select(execution_files.c.source).where(execution_files.c.sha256 == sha256)
        with self.reading() as connection:
            return frozenset(connection.scalars(query))

    def files_read(self, source: str) -> frozenset[str]:
        """SHA-256 of the source's files that need not be read again.

        One with an execution of an order that is not known yet is read again: the order may have left since, or the fill come that
        a bust is about. So is one with an execution in another security than its order's, which a night may know by that name since.
        """
        aside = executions_aside
        is_used = (
            sa.exists()
            .where(executions.c.source == aside.c.source)
            .where(executions.c.execution_id == aside.c.execution_id)
        )
        may_fit_later = aside.c.code.in_([Break.UNKNOWN_ORDER, Break.WRONG_SECURITY])
        is_open = (aside.c.source == source) & may_fit_later & ~is_used
        query = sa.select(execution_files.c.sha256).where(
            execution_files.c.source == source,
            execution_files.c.sha256.not_in(sa.select(aside.c.file_sha256).where(is_open)),
        )
        with self.reading() as connection:
            return frozenset(connection.scalars(query))


def _need_open(connection: Connection, order_ids: Sequence[str]) -> None:
    """Refuse orders that never left, and those of which the final word is known."""
    sent = set(sent_in(connection, order_ids)["order_id"])
    states = {row["order_id"]: row for row in states_in(connection, order_ids).iter_rows(named=True)}
    for one in order_ids:
        if one not in sent:
            raise WrongUsage(
                f"{one} is no order that left in an export\n\nHint: `trimtab orders list` has those that accounts wait for."
            )
        if one in states and states[one]["is_closed"]:
            filled = states[one]["filled_quantity"].normalize()
            raise WrongUsage(
                f"{one} has its final word already: {states[one]['state']}, filled with {filled:f}\n\n"
                "Hint: where an account waits for its holdings to show that, a bust or the custodian's holdings end it."
            )
