"""What the ledger answers about orders that left: what was said of them, what became of them, what differs, what was set aside.

Only reads; ``ledger_executions`` enters. Long lists are read a stretch at a time, in the database's order.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import polars as pl
import sqlalchemy as sa

from schemas.enums import Break, ExecutionKind, OrderState, Side
from schemas.executions import BREAKS, EXECUTION_LOTS, MESSAGES, ORDER_STATES
from warehouse.ledger.executions.answer_grace import AnswerGrace
from warehouse.ledger.executions.break_rows import FOUND, all_breaks, is_used, literal, priced_row
from warehouse.ledger.executions.execution_rows import SENT, messages_in, sent_query, states_in
from warehouse.ledger.review import MOMENT, to_frame
from warehouse.ledger.store import (
    Store,
    execution_files,
    execution_lots,
    executions,
    executions_aside,
    export_orders,
    exports,
    in_chunks,
    order_breaks,
    order_states,
)

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
AMOUNTS: Final = ("filled_quantity", "gross_usd", "fees_usd")


@dataclass(frozen=True, slots=True)
class SentFilter:
    """Which orders that left, or which breaks of them, are meant. Null: no condition.

    ``state`` is for orders, ``code`` for breaks. ``custodians`` narrows what somebody may see at all: what is of none of them is left out.
    ``grace``: breaks without orders that need no answer yet.
    """

    run: str | None = None
    custodian: str | None = None
    account: str | None = None
    proposal: str | None = None
    order: str | None = None
    state: OrderState | None = None
    code: Break | None = None
    custodians: frozenset[str] | None = None
    grace: AnswerGrace | None = None


@dataclass(frozen=True, slots=True)
class RowPage:
    """Some rows of a long list. ``after`` says where the next ones begin; null: there are none."""

    rows: pl.DataFrame
    after: tuple[Any, ...] | None


class Answers(Store):
    """What may be asked of what came back."""

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

    def accounts_of_export(self, export_id: str) -> frozenset[str]:
        """Accounts whose orders an export holds."""
        query = sa.select(export_orders.c.account_id).where(
            export_orders.c.export_id == export_id, export_orders.c.account_id.is_not(None)
        )
        with self.reading() as connection:
            return frozenset(connection.scalars(query.distinct()))

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

    def retracted_orders(self, order_ids: Collection[str]) -> list[str]:
        """Those of the orders of which a fill, their own or their block's, was busted or corrected; sorted."""
        is_theirs = (executions.c.order_id == export_orders.c.order_id) | (
            executions.c.block_id == export_orders.c.block_id
        )
        is_retracted = sa.exists().where(is_theirs, executions.c.kind.in_([ExecutionKind.BUST, ExecutionKind.CORRECT]))
        query = sa.select(export_orders.c.order_id).where(is_retracted)
        with self.reading() as connection:
            chunks = in_chunks(sorted(order_ids))
            found = [
                name for some in chunks for name in connection.scalars(query.where(export_orders.c.order_id.in_(some)))
            ]
        return sorted(found)

    def messages_of(self, names: Collection[str]) -> pl.DataFrame:
        """``MESSAGES`` about these orders and blocks, by source and id."""
        with self.reading() as connection:
            return messages_in(connection, names)

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
        query = sa.select(*executions_aside.c[tuple(ASIDE)]).where(~is_used())
        order = (executions_aside.c.received_at.desc(), executions_aside.c.source, executions_aside.c.row_number)
        with self.reading() as connection:
            return to_frame(connection.execute(query.order_by(*order)).all(), ASIDE)

    def aside_stretch(self, *, limit: int, after: tuple[Any, ...] | None = None) -> RowPage:
        """As ``set_aside``, some at a time, with the name of the file: ``ASIDE_NAMED``."""
        table = executions_aside
        is_file = (execution_files.c.sha256 == table.c.file_sha256) & (execution_files.c.source == table.c.source)
        file_name = sa.select(sa.func.min(execution_files.c.name)).where(is_file).scalar_subquery()
        key = (table.c.source, table.c.file_sha256, table.c.row_number)
        query = sa.select(*table.c[tuple(ASIDE)], file_name, table.c.file_sha256).where(~is_used())
        if after is not None:
            is_next = table.c.received_at < literal(table.c.received_at, after[0])
            query = query.where(is_next | (table.c.received_at == after[0]) & _is_beyond(key, after[1:]))
        with self.reading() as connection:
            found = connection.execute(query.order_by(table.c.received_at.desc(), *key).limit(limit + 1)).all()
        ends = [(row.received_at, row.source, row.file_sha256, row.row_number) for row in found]
        return _stretch([tuple(row)[:-1] for row in found], ASIDE_NAMED, ends, limit)

    def aside_counts(self) -> dict[Break, int]:
        """How many executions are set aside, by code."""
        code = executions_aside.c.code
        query = sa.select(code, sa.func.count()).where(~is_used()).group_by(code).order_by(code)
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

    def answers(self, wanted: SentFilter, *, limit: int, after: tuple[Any, ...] | None = None) -> RowPage:
        """Orders that left and what became of them, ``ANSWERED``: what left last first, then by order."""
        rows, sent_at = _answers_query(), exports.c.finished_at
        query = rows.where(*_conditions(_ORDER_COLUMNS, wanted))
        if after is not None:
            is_next = sent_at < literal(sent_at, after[0])
            query = query.where(is_next | (sent_at == after[0]) & (export_orders.c.order_id > after[1]))
        with self.reading() as connection:
            found = connection.execute(query.order_by(sent_at.desc(), export_orders.c.order_id).limit(limit + 1)).all()
        return _stretch(found, ANSWERED, [(row.finished_at, row.order_id) for row in found], limit)

    def breaks_found(
        self,
        wanted: SentFilter,
        first: Collection[Break],
        *,
        limit: int,
        after: tuple[Any, ...] | None = None,
        skip: int = 0,
    ) -> RowPage:
        """Open breaks, ``FOUND``: those with a code of ``first`` first, then the oldest, then the largest amounts."""
        rows = all_breaks()
        rank = sa.case((rows.c.code.in_([str(code) for code in first]), 0), else_=1)
        key = (rank, rows.c.since_at, -rows.c.size, sa.func.coalesce(rows.c.order_id, ""), rows.c.code, rows.c.record)
        shown = [rows.c[name] for name in FOUND]
        query = sa.select(
            *shown, rows.c.price_usd, rows.c.price_factor, *(part.label(f"key_{n}") for n, part in enumerate(key))
        )
        query = query.where(*_conditions(dict(rows.c.items()), wanted)).order_by(*key)
        if after is not None:
            query = query.where(_is_beyond(key, after))
        with self.reading() as connection:
            found = connection.execute(query.offset(skip).limit(limit + 1)).all()
        ends = [tuple(row)[-len(key) :] for row in found]
        return _stretch([priced_row(row) for row in found], FOUND, ends, limit)

    def break_counts(self, column: str, wanted: SentFilter) -> dict[str, int]:
        """How many open breaks have each value of a column; those that have none are left out."""
        rows = all_breaks()
        value = rows.c[column]
        query = sa.select(value, sa.func.count()).where(value.is_not(None), *_conditions(dict(rows.c.items()), wanted))
        with self.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query.group_by(value).order_by(value))}


_ORDER_COLUMNS: Final[Mapping[str, Any]] = {
    **{name: export_orders.c[name] for name in ("custodian", "account_id", "proposal_id", "order_id")},
    "run_id": exports.c.run_id,
    "state": sa.func.coalesce(order_states.c.state, str(OrderState.EXPORTED)),
}


def _answers_query() -> sa.Select[Any]:
    states = order_states.c
    nothing = {name: sa.func.coalesce(states[name], literal(states[name], Decimal(0))) for name in AMOUNTS}
    is_closed = sa.func.coalesce(states.is_closed, literal(states.is_closed, value=False))
    given = {**dict(states.items()), **nothing, "state": _ORDER_COLUMNS["state"], "is_closed": is_closed}
    query = sent_query().outerjoin(order_states, states.order_id == export_orders.c.order_id)
    return query.add_columns(*(given[name].label(name) for name in ANSWERED if name not in SENT))


def _conditions(columns: Mapping[str, Any], wanted: SentFilter) -> list[sa.ColumnElement[bool]]:
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
    return found if wanted.grace is None else [*found, ~wanted.grace.is_not_due(columns)]


def _is_beyond(key: Sequence[sa.ColumnElement[Any]], after: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Whether a row comes after another in the order of the key."""
    values = [literal(part, value) for part, value in zip(key, after, strict=True)]
    return sa.tuple_(*key) > sa.tuple_(*values)


def _stretch(
    rows: Sequence[Any], schema: dict[str, pl.DataType], ends: Sequence[tuple[Any, ...]], limit: int
) -> RowPage:
    """The first ``limit`` rows; one more means that there is a next stretch."""
    return RowPage(to_frame(rows[:limit], schema), ends[limit - 1] if len(rows) > limit else None)
