"""Executions: what brokers and custodians say about orders that left, and what has become of these orders since.

Messages are entered once and never changed; ``order_states`` is what they come to, computed anew from all of them for every
order that a file touches, in the same transaction. What is computed is handed in: the ledger decides nothing about trades.
Long lists are read a stretch at a time, in the database's order.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

import polars as pl
import sqlalchemy as sa

from schemas.enums import Break, OrderState, Role, Side
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
from warehouse.ledger_tables import export_orders, exports
from warehouse.ledger_types import Money
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

ASIDE_NAMED: Final[dict[str, pl.DataType]] = {**ASIDE, "file_name": pl.String()}
"""``file_name``: what the file was called when it was first read."""
ANSWERED: Final[dict[str, pl.DataType]] = {
    **SENT,
    **{name: dtype for name, dtype in ORDER_STATES.items() if name != "order_id"},
}
"""Orders that left, each with what became of it; one that nobody has said anything about is ``exported``."""
TOLD: Final[dict[str, pl.DataType]] = {**MESSAGES, "text": pl.String(), "received_at": MOMENT}
FOUND: Final[dict[str, pl.DataType]] = {
    **BREAKS,
    "since_at": MOMENT,
    **{name: pl.String() for name in ("custodian", "symbol", "side", "proposal_id", "export_id", "run_id")},
}
"""Breaks with the order that they are about. A block's own (account and proposal null) have what its orders share."""
AMOUNTS: Final = ("filled_quantity", "gross_usd", "fees_usd")
CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Sought:
    """Which orders that left, or which breaks of them, are meant. Null: no condition.

    ``state`` is for orders, ``code`` for breaks. ``custodians`` narrows what somebody may see at all: what is of none of them is left out.
    """

    run: str | None = None
    custodian: str | None = None
    account: str | None = None
    proposal: str | None = None
    order: str | None = None
    state: OrderState | None = None
    code: Break | None = None
    custodians: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some rows of a long list. ``after`` says where the next ones begin; null: there are none."""

    rows: pl.DataFrame
    after: tuple[Any, ...] | None


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
            accepted, judged = judge(sent_in(connection, names), known)
            aside, again = fresh_aside(connection, file, pl.concat([judged, reading.unread]), known)
            enter(connection, file, accepted, reading.lots, now)
            enter_aside(connection, file, aside, now)
            if before is not None:
                counts = before[0] + accepted.height, before[1] + aside.height
                enter_file(connection, file, *counts, actor=actor, now=now)
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

    def sources_of_file(self, sha256: str) -> frozenset[str]:
        """Whose file it was when it was read before."""
        query = sa.select(execution_files.c.source).where(execution_files.c.sha256 == sha256)
        with self.reading() as connection:
            return frozenset(connection.scalars(query))

    def files_read(self, source: str) -> frozenset[str]:
        """SHA-256 of the source's files that need not be read again.

        One with an execution of an order that is not known yet is read again: the order may have left since, or the fill come that
        a bust is about.
        """
        aside = executions_aside
        is_used = (
            sa.exists()
            .where(executions.c.source == aside.c.source)
            .where(executions.c.execution_id == aside.c.execution_id)
        )
        is_open = (aside.c.source == source) & (aside.c.code == Break.UNKNOWN_ORDER) & ~is_used
        query = sa.select(execution_files.c.sha256).where(
            execution_files.c.source == source,
            execution_files.c.sha256.not_in(sa.select(aside.c.file_sha256).where(is_open)),
        )
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
        query = sa.select(*executions_aside.c[tuple(ASIDE)]).where(~_is_used())
        order = (executions_aside.c.received_at.desc(), executions_aside.c.source, executions_aside.c.row_number)
        with self.reading() as connection:
            return to_frame(connection.execute(query.order_by(*order)).all(), ASIDE)

    def aside_stretch(self, *, limit: int, after: tuple[Any, ...] | None = None) -> Stretch:
        """As ``set_aside``, some at a time, with the name of the file: ``ASIDE_NAMED``."""
        table = executions_aside
        is_file = (execution_files.c.sha256 == table.c.file_sha256) & (execution_files.c.source == table.c.source)
        file_name = sa.select(sa.func.min(execution_files.c.name)).where(is_file).scalar_subquery()
        key = (table.c.source, table.c.file_sha256, table.c.row_number)
        query = sa.select(*table.c[tuple(ASIDE)], file_name, table.c.file_sha256).where(~_is_used())
        if after is not None:
            is_next = table.c.received_at < _literal(table.c.received_at, after[0])
            query = query.where(is_next | (table.c.received_at == after[0]) & _is_beyond(key, after[1:]))
        with self.reading() as connection:
            found = connection.execute(query.order_by(table.c.received_at.desc(), *key).limit(limit + 1)).all()
        ends = [(row.received_at, row.source, row.file_sha256, row.row_number) for row in found]
        return _stretch([tuple(row)[:-1] for row in found], ASIDE_NAMED, ends, limit)

    def aside_counts(self) -> dict[Break, int]:
        """How many executions are set aside, by code."""
        code = executions_aside.c.code
        query = sa.select(code, sa.func.count()).where(~_is_used()).group_by(code).order_by(code)
        with self.reading() as connection:
            return {Break(name): number for name, number in connection.execute(query)}

    def told_of(self, names: Collection[str]) -> pl.DataFrame:
        """Every message about these orders and blocks, ``TOLD``, in the order in which they came."""
        found: list[Any] = []
        with self.reading() as connection:
            for some in in_chunks(sorted(names)):
                is_about = executions.c.order_id.in_(some) | executions.c.block_id.in_(some)
                found += connection.execute(sa.select(*executions.c[tuple(TOLD)]).where(is_about)).all()
        return to_frame(found, TOLD).unique().sort("received_at", "executed_at", "source", "execution_id")

    def answers(self, wanted: Sought, *, limit: int, after: tuple[Any, ...] | None = None) -> Stretch:
        """Orders that left and what became of them, ``ANSWERED``: what left last first, then by order."""
        rows, sent_at = _answered(), exports.c.finished_at
        query = rows.where(*_conditions(_ORDER_COLUMNS, wanted))
        if after is not None:
            is_next = sent_at < _literal(sent_at, after[0])
            query = query.where(is_next | (sent_at == after[0]) & (export_orders.c.order_id > after[1]))
        with self.reading() as connection:
            found = connection.execute(query.order_by(sent_at.desc(), export_orders.c.order_id).limit(limit + 1)).all()
        return _stretch(found, ANSWERED, [(row.finished_at, row.order_id) for row in found], limit)

    def breaks_found(
        self,
        wanted: Sought,
        first: Collection[Break],
        *,
        limit: int,
        after: tuple[Any, ...] | None = None,
        skip: int = 0,
    ) -> Stretch:
        """Open breaks, ``FOUND``: those with a code of ``first`` first, then the oldest, then the largest amounts."""
        rows = _breaks()
        rank = sa.case((rows.c.code.in_([str(code) for code in first]), 0), else_=1)
        key = (rank, rows.c.since_at, -rows.c.size, rows.c.order_id, rows.c.code)
        shown = [rows.c[name] for name in FOUND]
        query = sa.select(*shown, rows.c.price_usd, *(part.label(f"key_{n}") for n, part in enumerate(key)))
        query = query.where(*_conditions(dict(rows.c.items()), wanted)).order_by(*key)
        if after is not None:
            query = query.where(_is_beyond(key, after))
        with self.reading() as connection:
            found = connection.execute(query.offset(skip).limit(limit + 1)).all()
        ends = [tuple(row)[-len(key) :] for row in found]
        return _stretch([_priced(row) for row in found], FOUND, ends, limit)

    def break_counts(self, column: str, wanted: Sought) -> dict[str, int]:
        """How many open breaks have each value of a column; those that have none are left out."""
        rows = _breaks()
        value = rows.c[column]
        query = sa.select(value, sa.func.count()).where(value.is_not(None), *_conditions(dict(rows.c.items()), wanted))
        with self.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query.group_by(value).order_by(value))}


_ORDER_COLUMNS: Final[Mapping[str, Any]] = {
    **{name: export_orders.c[name] for name in ("custodian", "account_id", "proposal_id", "order_id")},
    "run_id": exports.c.run_id,
    "state": sa.func.coalesce(order_states.c.state, str(OrderState.EXPORTED)),
}


def _is_used() -> sa.ColumnElement[bool]:
    """Whether what was set aside was entered since, under its id."""
    return (
        sa.exists()
        .where(executions.c.source == executions_aside.c.source)
        .where(executions.c.execution_id == executions_aside.c.execution_id)
        .where(executions_aside.c.code.in_([Break.UNKNOWN_ORDER, Break.UNREAD]))
    )


def _answered() -> sa.Select[Any]:
    states = order_states.c
    nothing = {name: sa.func.coalesce(states[name], _literal(states[name], Decimal(0))) for name in AMOUNTS}
    is_closed = sa.func.coalesce(states.is_closed, _literal(states.is_closed, value=False))
    given = {**dict(states.items()), **nothing, "state": _ORDER_COLUMNS["state"], "is_closed": is_closed}
    query = sent_query().outerjoin(order_states, states.order_id == export_orders.c.order_id)
    return query.add_columns(*(given[name].label(name) for name in ANSWERED if name not in SENT))


def _breaks() -> sa.Subquery:
    """Every open break, with the names of ``FOUND``; ``amount_usd`` is null and ``price_usd`` given where nobody answered."""
    told, orders = order_breaks.c, export_orders.c
    about = ("custodian", "symbol", "side", "proposal_id", "export_id")
    kept = [told[name] for name in (*BREAKS, "since_at")]
    unpriced = sa.cast(sa.null(), Money).label("price_usd")
    size = sa.cast(told.amount_usd, sa.Double).label("size")
    singles = (
        sa.select(*kept, *(orders[name] for name in about), exports.c.run_id, unpriced, size)
        .join(export_orders, orders.order_id == told.order_id)
        .join(exports, exports.c.export_id == orders.export_id)
    )
    own = sa.select(told.order_id).where(told.account_id.is_(None))
    shared = [sa.func.min(orders[name]).label(name) for name in about if name != "proposal_id"]
    members = sa.select(orders.block_id, *shared).where(orders.block_id.in_(own)).group_by(orders.block_id).subquery()
    nobody = sa.cast(sa.null(), sa.Text).label("proposal_id")
    theirs = [nobody if name == "proposal_id" else members.c[name] for name in about]
    blocks = (
        sa.select(*kept, *theirs, exports.c.run_id, unpriced, size)
        .join(members, members.c.block_id == told.order_id)
        .join(exports, exports.c.export_id == members.c.export_id)
    )
    return sa.union_all(singles, blocks, _unanswered(about)).subquery("breaks")


def _unanswered(about: Sequence[str]) -> sa.Select[Any]:
    """Orders that nobody has said anything about, as a part of ``_breaks``."""
    orders = export_orders.c
    size = sa.cast(orders.quantity, sa.Double) * sa.cast(orders.price_usd, sa.Double)
    given = {
        "order_id": orders.order_id,
        "account_id": orders.account_id,
        "code": sa.literal(str(Break.NOT_ACKNOWLEDGED), sa.Text),
        "ordered_quantity": orders.quantity,
        "filled_quantity": _literal(orders.quantity, Decimal(0)),
        "amount_usd": sa.cast(sa.null(), Money),
        "since_at": exports.c.finished_at,
        **{name: orders[name] for name in about},
        "run_id": exports.c.run_id,
        "price_usd": orders.price_usd,
        "size": sa.func.coalesce(size, 0.0),
    }
    query = sent_query().outerjoin(order_states, order_states.c.order_id == orders.order_id)
    columns = [column.label(name) for name, column in given.items()]
    return query.where(order_states.c.order_id.is_(None)).with_only_columns(*columns)


def _priced(row: Any) -> tuple[Any, ...]:
    """A row of ``FOUND``; what nobody answered is worth its quantity at the order's reference price."""
    values = dict(row._mapping)  # noqa: SLF001
    if values["amount_usd"] is None:
        worth = values["ordered_quantity"] * (values["price_usd"] or 0)
        values["amount_usd"] = worth.quantize(CENT, ROUND_HALF_EVEN)
    return tuple(values[name] for name in FOUND)


def _conditions(columns: Mapping[str, Any], wanted: Sought) -> list[sa.ColumnElement[bool]]:
    """What is sought, as SQL; all of them hold."""
    given = {
        "run_id": wanted.run,
        "custodian": wanted.custodian,
        "account_id": wanted.account,
        "proposal_id": wanted.proposal,
        "order_id": wanted.order,
        "state": wanted.state,
        "code": wanted.code,
    }
    found = [columns[name] == str(value) for name, value in given.items() if value is not None]
    if wanted.custodians is not None:
        found.append(columns["custodian"].in_(sorted(wanted.custodians)))
    return found


def _literal(column: sa.ColumnElement[Any], value: Any) -> sa.ColumnElement[Any]:
    return sa.literal(value, column.type)


def _is_beyond(key: Sequence[sa.ColumnElement[Any]], after: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Whether a row comes after another in the order of the key."""
    values = [_literal(part, value) for part, value in zip(key, after, strict=True)]
    return sa.tuple_(*key) > sa.tuple_(*values)


def _stretch(
    rows: Sequence[Any], schema: dict[str, pl.DataType], ends: Sequence[tuple[Any, ...]], limit: int
) -> Stretch:
    """The first ``limit`` rows; one more means that there is a next stretch."""
    return Stretch(to_frame(rows[:limit], schema), ends[limit - 1] if len(rows) > limit else None)
