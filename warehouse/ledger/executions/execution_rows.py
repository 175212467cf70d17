"""Rows of executions, their orders and states: what the ledger reads and writes inside a transaction of ``ledger_executions``."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from schemas.enums import ProposalState
from schemas.executions import BREAKS, MESSAGES, ORDER_STATES, SENT_ORDERS
from warehouse.ledger.review import MOMENT, Move, move, rows_in, to_frame
from warehouse.ledger.store import (
    SENT_STATES,
    Event,
    ExportState,
    allocation_exceptions,
    canonical,
    execution_files,
    execution_lots,
    executions,
    executions_aside,
    export_orders,
    exports,
    in_chunks,
    insert_columns,
    order_breaks,
    order_states,
    proposals,
)
from warehouse.ledger.store import audit_chain as ledger_audit

KNOWN: Final[dict[str, pl.DataType]] = {
    **{name: MESSAGES[name] for name in ("execution_id", "kind", "order_id", "block_id")},
    **{name: pl.String() for name in ("client_order_id", "account_id", "symbol", "security_id", "side")},
    **{
        name: MESSAGES[name]
        for name in ("quantity", "price_usd", "fees_usd", "trade_date", "executed_at", "reference_id")
    },
    "file_sha256": pl.String(),
    "row_number": pl.Int64(),
}
"""Executions of a source that are entered already."""
FIXED: Final[dict[str, pl.DataType]] = {
    "block_id": pl.String(),
    "order_id": pl.String(),
    "quantity": SENT_ORDERS["quantity"],
}
SENT: Final[dict[str, pl.DataType]] = {
    **SENT_ORDERS,
    "export_id": pl.String(),
    "run_id": pl.String(),
    "sent_at": MOMENT,
}
"""Orders as they left, in which export, and when its files were whole."""
Settle = Callable[[pl.DataFrame, pl.DataFrame, pl.DataFrame], pl.DataFrame]
"""From orders, all messages about them (``MESSAGES``) and what people allotted (``FIXED``): ``ORDER_STATES``."""
Sum = Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame]
"""From orders and their states: ``proposal_id`` and ``state`` of their proposals."""


Differ = Callable[[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame], pl.DataFrame]
"""From orders, their states, the messages and what people allotted: table ``BREAKS``."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What messages come to."""

    settle: Settle
    sums: Sum
    breaks: Differ


@dataclass(frozen=True, slots=True)
class Settled:
    """Orders whose state changed (``ORDER_STATES``), and breaks that were not there before (``BREAKS``)."""

    changed: pl.DataFrame
    new_breaks: pl.DataFrame


@dataclass(frozen=True, slots=True)
class ExecutionFile:
    """A file of executions: whose ids it has, its name, hash and format, and how many records."""

    source: str
    name: str
    sha256: str
    format: str
    row_count: int


def sent_query() -> sa.Select[Any]:
    """Orders of whole exports, with ``SENT``'s columns."""
    return (
        sa.select(*export_orders.c[tuple(SENT_ORDERS)], exports.c.export_id, exports.c.run_id, exports.c.finished_at)
        .join(exports, exports.c.export_id == export_orders.c.export_id)
        .where(exports.c.state == ExportState.PUBLISHED, export_orders.c.account_id.is_not(None))
    )


def sent_in(connection: Connection, names: Collection[str]) -> pl.DataFrame:
    """``SENT_ORDERS`` of orders with these names and of blocks with these names, every order of such a block."""
    found: dict[str, Any] = {}
    for some in in_chunks(sorted(names)):
        is_named = export_orders.c.order_id.in_(some) | export_orders.c.block_id.in_(some)
        found |= {row.order_id: row[: len(SENT_ORDERS)] for row in connection.execute(sent_query().where(is_named))}
    return to_frame([found[name] for name in sorted(found)], SENT_ORDERS)


def known_in(connection: Connection, source: str, ids: Collection[str]) -> pl.DataFrame:
    """``KNOWN`` of the source's executions that have one of the ids, or change one that has."""
    query = sa.select(*executions.c[tuple(KNOWN)]).where(executions.c.source == source)
    found: list[Any] = []
    for some in in_chunks(sorted(ids)):
        found += connection.execute(query.where(executions.c.execution_id.in_(some)))
        changes = connection.execute(query.where(executions.c.reference_id.in_(some)))
        found += [row for row in changes if row.execution_id not in ids]
    return to_frame(found, KNOWN)


def messages_in(connection: Connection, names: Collection[str]) -> pl.DataFrame:
    """``MESSAGES`` about these orders and blocks, and those that they lead to, which may be about others; by source and id."""
    query = sa.select(*executions.c[tuple(MESSAGES)])
    found: dict[tuple[str, str], Any] = {}
    for some in in_chunks(sorted(names)):
        is_about = executions.c.order_id.in_(some) | executions.c.block_id.in_(some)
        found |= {(row.source, row.execution_id): row for row in connection.execute(query.where(is_about))}
    new = set(found)
    while new:
        lead_to = {(source, found[source, name].reference_id) for source, name in new} - set(found)
        new = set()
        for source in {source for source, name in lead_to if name is not None}:
            wanted = sorted(name for whose, name in lead_to if whose == source and name is not None)
            for some in in_chunks(wanted):
                is_one = (executions.c.source == source) & executions.c.execution_id.in_(some)
                rows = {(row.source, row.execution_id): row for row in connection.execute(query.where(is_one))}
                found |= rows
                new |= set(rows)
    return to_frame([found[key] for key in sorted(found)], MESSAGES)


def fixed_in(connection: Connection, block_ids: Collection[str]) -> pl.DataFrame:
    """The newest word on each order; one that was taken back is none."""
    table = allocation_exceptions
    last: dict[str, Any] = {}
    for some in in_chunks(sorted(block_ids)):
        query = sa.select(*table.c["block_id", "order_id", "quantity"]).where(table.c.block_id.in_(some))
        last |= {row.order_id: row for row in connection.execute(query.order_by(table.c.exception_id))}
    return to_frame([row for _, row in sorted(last.items()) if row.quantity is not None], FIXED)


def states_in(connection: Connection, order_ids: Collection[str]) -> pl.DataFrame:
    """``ORDER_STATES`` of those orders that have one, by order."""
    query = sa.select(*order_states.c[tuple(ORDER_STATES)])
    chunks = in_chunks(sorted(order_ids))
    found = [row for some in chunks for row in connection.execute(query.where(order_states.c.order_id.in_(some)))]
    return to_frame(found, ORDER_STATES).sort("order_id")


def fresh_aside(
    connection: Connection, file: ExecutionFile, aside: pl.DataFrame, known: pl.DataFrame
) -> tuple[pl.DataFrame, int]:
    """Rows to be set aside that this file did not bring before, and how many it did."""
    same = known.filter(pl.col("file_sha256") == file.sha256)["row_number"]
    is_it = (executions_aside.c.source == file.source) & (executions_aside.c.file_sha256 == file.sha256)
    before = list(connection.scalars(sa.select(executions_aside.c.row_number).where(is_it)))
    is_again = pl.col("row_number").is_in([*same, *before])
    return aside.filter(~is_again), aside.filter(is_again).height


def enter(
    connection: Connection, file: ExecutionFile, accepted: pl.DataFrame, lots: pl.DataFrame, now: datetime
) -> None:
    """Enter new executions, and the lots that they closed."""
    names = [column.name for column in executions.c if column.name in accepted.columns]
    columns = {name: accepted[name].to_list() for name in names}
    insert_columns(connection, executions, columns, {"file_sha256": file.sha256, "received_at": now})
    theirs = lots.join(accepted.select("execution_id"), on="execution_id", how="semi").sort(
        "execution_id", "row_number"
    )
    numbered = theirs.with_columns(number=pl.int_range(pl.len()).over("execution_id"))
    kept = ("execution_id", "number", "lot_id", "acquired_date", "quantity", "unit_cost_usd")
    insert_columns(
        connection, execution_lots, {name: numbered[name].to_list() for name in kept}, {"source": file.source}
    )


def enter_aside(connection: Connection, file: ExecutionFile, aside: pl.DataFrame, now: datetime) -> None:
    """Enter what could not be used."""
    names = [column.name for column in executions_aside.c if column.name in aside.columns]
    shared = {"source": file.source, "file_sha256": file.sha256, "received_at": now}
    insert_columns(connection, executions_aside, {name: aside[name].to_list() for name in names}, shared)


def enter_file(
    connection: Connection, file: ExecutionFile, taken: int, aside: int, *, actor: str, now: datetime
) -> None:
    """Enter the file and what came of it, and audit it."""
    counts = {"row_count": file.row_count, "taken_count": taken, "aside_count": aside}
    row = {"sha256": file.sha256, "source": file.source, "name": file.name, "format": file.format}
    connection.execute(sa.insert(execution_files).values(**row, **counts, actor=actor, received_at=now))
    detail = canonical({**counts, "sha256": file.sha256, "source": file.source})
    ledger_audit.append(connection, [Event(actor, "executions_taken", detail=detail)], now)


def settle_in(connection: Connection, about: Collection[str], rules: Rules, *, actor: str, now: datetime) -> Settled:
    """Compute the states of orders and blocks anew, keep them and their breaks, and move their proposals."""
    orders = _with_filled_blocks(connection, sent_in(connection, about))
    if orders.is_empty():
        return Settled(pl.DataFrame(schema=ORDER_STATES), pl.DataFrame(schema=BREAKS))
    blocks = orders["block_id"].drop_nulls().unique()
    messages = messages_in(connection, {*orders["order_id"], *blocks})
    fixed = fixed_in(connection, blocks)
    states = rules.settle(orders, messages, fixed)
    before = states_in(connection, orders["order_id"])
    changed = states.join(before, on=list(ORDER_STATES), how="anti", nulls_equal=True).sort("order_id")
    for some in in_chunks(changed["order_id"].to_list()):
        connection.execute(sa.delete(order_states).where(order_states.c.order_id.in_(some)))
    columns = {name: changed[name].to_list() for name in ORDER_STATES}
    insert_columns(connection, order_states, columns, {"changed_at": now})
    found = rules.breaks(orders, states, messages, fixed)
    new_breaks = _keep_breaks(connection, {*orders["order_id"], *blocks}, found, now)
    _move_proposals(connection, changed["order_id"], rules.sums, actor, now)
    return Settled(changed, new_breaks)


def _keep_breaks(connection: Connection, names: Collection[str], found: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Replace the breaks of these orders and blocks; one that was there before keeps its age. Those that are new."""
    table = order_breaks
    since: dict[tuple[str, str], datetime] = {}
    for some in in_chunks(sorted(names)):
        known = sa.select(*table.c["order_id", "code", "since_at"]).where(table.c.order_id.in_(some))
        for row in connection.execute(known):
            since[row.order_id, row.code] = row.since_at
        connection.execute(sa.delete(table).where(table.c.order_id.in_(some)))
    keys = found.select("order_id", "code").rows()
    columns = {name: found[name].to_list() for name in BREAKS} | {"since_at": [since.get(key, now) for key in keys]}
    insert_columns(connection, table, columns, {})
    is_new = pl.Series([key not in since for key in keys], dtype=pl.Boolean)
    return found.filter(is_new)


def _with_filled_blocks(connection: Connection, orders: pl.DataFrame) -> pl.DataFrame:
    """Orders with all others of their blocks, where anything was said about the block: they share its fills."""
    blocks = orders["block_id"].drop_nulls().unique().to_list()
    told = [
        block
        for some in in_chunks(blocks)
        for block in connection.scalars(
            sa.select(executions.c.block_id).where(executions.c.block_id.in_(some)).distinct()
        )
    ]
    fixed = fixed_in(connection, blocks)["block_id"].to_list()
    return pl.concat([orders, sent_in(connection, {*told, *fixed})]).unique("order_id").sort("order_id")


def _move_proposals(connection: Connection, changed: pl.Series, sums: Sum, actor: str, now: datetime) -> None:
    ids = sent_in(connection, set(changed))["proposal_id"].unique()
    orders = _orders_of_proposals(connection, ids)
    known = states_in(connection, orders["order_id"])
    silent = orders.join(known, on="order_id", how="anti").select("order_id")
    exported = silent.with_columns(state=pl.lit(str(ProposalState.EXPORTED)))
    states = pl.concat([known.select("order_id", "state"), exported])
    wanted = dict(sums(orders, states).iter_rows())
    moves: dict[str, list[Move]] = {}
    for row in rows_in(connection, proposals.c.proposal_id, sorted(wanted)):
        if row.state in SENT_STATES and row.state != wanted[row.proposal_id]:
            moves.setdefault(wanted[row.proposal_id], []).append(Move(row.proposal_id, row.run_id, row.state))
    for state, some in sorted(moves.items()):
        some.sort(key=lambda one: one.proposal_id)
        move(connection, some, ProposalState(state), event="reconciled", actor=actor, now=now)


def _orders_of_proposals(connection: Connection, ids: pl.Series) -> pl.DataFrame:
    found = [
        tuple(row[: len(SENT_ORDERS)])
        for some in in_chunks(ids.sort().to_list())
        for row in connection.execute(sent_query().where(export_orders.c.proposal_id.in_(some)))
    ]
    return to_frame(found, SENT_ORDERS).sort("order_id")
