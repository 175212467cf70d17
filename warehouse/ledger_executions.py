"""Executions: what brokers and custodians say about orders that left, and what has become of these orders since.

Messages are entered once and never changed; ``order_states`` is what they come to, computed anew from all of them for every
order that a file touches, in the same transaction. What is computed is handed in: the ledger decides nothing about trades.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl
import sqlalchemy as sa

from schemas.enums import Break, Role, Side
from schemas.errors import WrongUsage
from schemas.executions import BREAKS, EXECUTION_LOTS, MESSAGES, ORDER_STATES
from warehouse import ledger_audit
from warehouse.ledger_audit import Event, canonical
from warehouse.ledger_execution_rows import (
    SENT,
    ExecutionFile,
    Rules,
    Settled,
    enter,
    enter_aside,
    enter_file,
    fixed_in,
    fresh_aside,
    known_in,
    messages_in,
    sent_in,
    sent_query,
    settle_in,
    states_in,
)
from warehouse.ledger_market_tables import (
    allocation_exceptions,
    execution_files,
    execution_lots,
    executions,
    executions_aside,
    order_breaks,
    order_states,
)
from warehouse.ledger_proposals import MOMENT, Proposals, to_frame
from warehouse.ledger_store import in_chunks
from warehouse.ledger_tables import export_orders
from warehouse.ledger_users import need_role

ASIDE: Final[dict[str, pl.DataType]] = {
    "source": pl.String(),
    "row_number": pl.Int64(),
    "execution_id": pl.String(),
    "client_order_id": pl.String(),
    "code": pl.String(),
    "message": pl.String(),
    "quantity": MESSAGES["quantity"],
    "price_usd": MESSAGES["price_usd"],
    "received_at": MOMENT,
}


Judge = Callable[[pl.DataFrame, pl.DataFrame], tuple[pl.DataFrame, pl.DataFrame]]
"""From orders (``SENT_ORDERS``) and known executions (``KNOWN``): the rows to enter and those set aside."""


@dataclass(frozen=True, slots=True)
class Reading:
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


class Executions(Proposals):
    """What came back."""

    def take_executions(
        self,
        file: ExecutionFile,
        reading: Reading,
        *,
        judge: Judge,
        rules: Rules,
        actor: str,
        now: datetime,
    ) -> TakenFile:
        """Enter a file's executions and move the orders and proposals that they are about, in one transaction.

        Raises
        ------
        DecisionRefused
            The actor is no releaser.
        """
        with self.writing() as connection:
            need_role(connection, actor, Role.RELEASER)
            known = known_in(connection, file.source, reading.ids)
            names = {*reading.names, *known["order_id"].drop_nulls(), *known["block_id"].drop_nulls()}
            accepted, judged = judge(sent_in(connection, names), known)
            aside, again = fresh_aside(connection, file, pl.concat([judged, reading.unread]), known)
            enter(connection, file, accepted, reading.lots, now)
            enter_aside(connection, file, aside, now)
            enter_file(connection, file, accepted.height, aside.height, actor=actor, now=now)
            about = {*accepted["order_id"].drop_nulls(), *accepted["block_id"].drop_nulls()}
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

    def files_read(self, source: str) -> frozenset[str]:
        """SHA-256 of the source's files that were read whole before."""
        query = sa.select(execution_files.c.sha256).where(execution_files.c.source == source)
        with self.reading() as connection:
            return frozenset(connection.scalars(query))

    def sent_orders(self, order_ids: Collection[str] = ()) -> pl.DataFrame:
        """Orders that left in whole exports, ``SENT``, by order; all where none is named."""
        query = sent_query().order_by(export_orders.c.order_id)
        with self.reading() as connection:
            if not order_ids:
                return to_frame(connection.execute(query).all(), SENT)
            chunks = in_chunks(sorted(order_ids))
            found = [
                row for some in chunks for row in connection.execute(query.where(export_orders.c.order_id.in_(some)))
            ]
        return to_frame(found, SENT)

    def unanswered_orders(self) -> pl.DataFrame:
        """Orders that left and that nobody has said anything about, ``SENT``, by order."""
        query = sent_query().outerjoin(order_states, order_states.c.order_id == export_orders.c.order_id)
        query = query.where(order_states.c.order_id.is_(None)).order_by(export_orders.c.order_id)
        with self.reading() as connection:
            return to_frame(connection.execute(query).all(), SENT)

    def filled_orders(self, side: Side = Side.SELL) -> pl.DataFrame:
        """Orders of a side of which something is filled: ``SENT`` with ``filled_quantity``, ``average_price_usd`` and trade dates."""
        answers = ("filled_quantity", "average_price_usd", "first_trade_date", "last_trade_date")
        query = (
            sent_query()
            .add_columns(*order_states.c[answers])
            .join(order_states, order_states.c.order_id == export_orders.c.order_id)
            .where(export_orders.c.side == side, order_states.c.last_trade_date.is_not(None))
        )
        schema = {**SENT, **{name: ORDER_STATES[name] for name in answers}}
        with self.reading() as connection:
            return to_frame(connection.execute(query.order_by(export_orders.c.order_id)).all(), schema)

    def breaks_known(self) -> pl.DataFrame:
        """Breaks of orders and blocks that anything was said about: ``BREAKS`` and ``since_at``, by order and code."""
        names = (*BREAKS, "since_at")
        query = sa.select(*order_breaks.c[names]).order_by(order_breaks.c.order_id, order_breaks.c.code)
        with self.reading() as connection:
            return to_frame(connection.execute(query).all(), {**BREAKS, "since_at": MOMENT})

    def states_of(self, order_ids: Collection[str]) -> pl.DataFrame:
        """``ORDER_STATES`` of orders that anything was said about."""
        with self.reading() as connection:
            return states_in(connection, order_ids)

    def messages_of(self, names: Collection[str]) -> pl.DataFrame:
        """``MESSAGES`` about these orders and blocks, by source and id."""
        with self.reading() as connection:
            return messages_in(connection, names)

    def fixed_of(self, block_ids: Collection[str]) -> pl.DataFrame:
        """What people allotted in these blocks, ``FIXED``."""
        with self.reading() as connection:
            return fixed_in(connection, block_ids)

    def lots_of(self, names: Collection[str]) -> pl.DataFrame:
        """Lots that fills of these orders closed, as told: ``source``, ``order_id`` and the columns of ``EXECUTION_LOTS``."""
        schema = {"source": pl.String(), "order_id": pl.String(), **EXECUTION_LOTS}
        joined = execution_lots.join(
            executions,
            (executions.c.source == execution_lots.c.source)
            & (executions.c.execution_id == execution_lots.c.execution_id),
        )
        columns = (
            execution_lots.c.source,
            executions.c.order_id,
            execution_lots.c.number,
            *execution_lots.c["execution_id", "lot_id", "acquired_date", "quantity", "unit_cost_usd"],
        )
        query = sa.select(*columns).select_from(joined)
        with self.reading() as connection:
            found = [
                row
                for some in in_chunks(sorted(names))
                for row in connection.execute(query.where(executions.c.order_id.in_(some)))
            ]
        return to_frame(found, schema).sort("source", "execution_id", "row_number")

    def set_aside(self) -> pl.DataFrame:
        """Executions that were never used, ``ASIDE``, newest first; what was entered since under the same id is left out."""
        is_used = (
            sa.exists()
            .where(executions.c.source == executions_aside.c.source)
            .where(executions.c.execution_id == executions_aside.c.execution_id)
            .where(executions_aside.c.code.in_([Break.UNKNOWN_ORDER, Break.UNREAD]))
        )
        query = sa.select(*executions_aside.c[tuple(ASIDE)]).where(~is_used)
        order = (executions_aside.c.received_at.desc(), executions_aside.c.source, executions_aside.c.row_number)
        with self.reading() as connection:
            return to_frame(connection.execute(query.order_by(*order)).all(), ASIDE)
