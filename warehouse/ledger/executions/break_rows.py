"""Rows of open breaks as one query.

Those of orders that anything was said about, those of blocks, silence about the others, and fills that name no order of ours.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

import polars as pl
import sqlalchemy as sa

from schemas.enums import Break
from schemas.executions import BREAKS
from warehouse.ledger.executions.execution_rows import sent_query
from warehouse.ledger.review import MOMENT
from warehouse.ledger.store import (
    Money,
    executions,
    executions_aside,
    export_orders,
    exports,
    order_breaks,
    order_states,
)

FOUND: Final[dict[str, pl.DataType]] = {
    **BREAKS,
    "since_at": MOMENT,
    **{name: pl.String() for name in ("custodian", "symbol", "side", "proposal_id", "export_id", "run_id")},
    **{name: pl.String() for name in ("source", "execution_id")},
}
"""Breaks with the order that they are about. A block's own (account and proposal null) have what its orders share.

A fill that names no order of ours has a source and an execution, and no order but the name it was given, if any.
"""
CENT: Final = Decimal("0.01")


def all_breaks() -> sa.Subquery:
    """Every open break, with the names of ``FOUND``; ``record`` tells apart what is alike in all others.

    ``amount_usd`` is null and ``price_usd`` given where nobody answered or nobody had asked.
    """
    told, orders = order_breaks.c, export_orders.c
    about = ("custodian", "symbol", "side", "proposal_id", "export_id")
    kept = [told[name] for name in (*BREAKS, "since_at")]
    unpriced = [sa.cast(sa.null(), Money).label(name) for name in ("price_usd", "price_factor")]
    size = sa.cast(told.amount_usd, sa.Double).label("size")
    singles = (
        sa.select(*kept, *(orders[name] for name in about), exports.c.run_id, *unpriced, size, *_no_record())
        .join(export_orders, orders.order_id == told.order_id)
        .join(exports, exports.c.export_id == orders.export_id)
    )
    own = sa.select(told.order_id).where(told.account_id.is_(None))
    shared = [sa.func.min(orders[name]).label(name) for name in about if name != "proposal_id"]
    members = sa.select(orders.block_id, *shared).where(orders.block_id.in_(own)).group_by(orders.block_id).subquery()
    theirs = [_nothing(name) if name == "proposal_id" else members.c[name] for name in about]
    blocks = (
        sa.select(*kept, *theirs, exports.c.run_id, *unpriced, size, *_no_record())
        .join(members, members.c.block_id == told.order_id)
        .join(exports, exports.c.export_id == members.c.export_id)
    )
    return sa.union_all(singles, blocks, _unanswered_orders(about), _unasked_fills(about)).subquery("breaks")


def _nothing(name: str) -> sa.Label[str]:
    return sa.cast(sa.null(), sa.Text).label(name)


def _no_record() -> list[sa.Label[str]]:
    return [_nothing("source"), _nothing("execution_id"), sa.literal("", sa.Text).label("record")]


def _unanswered_orders(about: Sequence[str]) -> sa.Select[Any]:
    """Orders that nobody has said anything about, as a part of ``all_breaks``."""
    orders = export_orders.c
    factor = sa.func.coalesce(sa.cast(orders.price_factor, sa.Double), 1.0)
    size = sa.cast(orders.quantity, sa.Double) * sa.cast(orders.price_usd, sa.Double) * factor
    given = {
        "order_id": orders.order_id,
        "account_id": orders.account_id,
        "code": sa.literal(str(Break.NOT_ACKNOWLEDGED), sa.Text),
        "ordered_quantity": orders.quantity,
        "filled_quantity": literal(orders.quantity, Decimal(0)),
        "amount_usd": sa.cast(sa.null(), Money),
        "since_at": exports.c.finished_at,
        **{name: orders[name] for name in about},
        "run_id": exports.c.run_id,
        "price_usd": orders.price_usd,
        "price_factor": orders.price_factor,
        "size": sa.func.coalesce(size, 0.0),
    }
    query = sent_query().outerjoin(order_states, order_states.c.order_id == orders.order_id)
    columns = [*(column.label(name) for name, column in given.items()), *_no_record()]
    return query.where(order_states.c.order_id.is_(None)).with_only_columns(*columns)


def _unasked_fills(about: Sequence[str]) -> sa.Select[Any]:
    """Fills that name no order that left, as a part of ``all_breaks``; one that several files tell is one."""
    told = executions_aside.c
    record = told.file_sha256 + " " + sa.cast(told.row_number, sa.Text)
    age = sa.func.row_number().over(
        partition_by=(told.source, sa.func.coalesce(told.execution_id, record)), order_by=(told.received_at, record)
    )
    is_fill = (told.code == str(Break.UNKNOWN_ORDER)) & told.quantity.is_not(None)
    found = sa.select(executions_aside, record.label("record"), age.label("age")).where(is_fill, ~is_used())
    fills = found.subquery("unasked").c
    given = {
        "order_id": fills.client_order_id,
        "account_id": _nothing("account_id"),
        "code": fills.code,
        "ordered_quantity": literal(fills.quantity, Decimal(0)),
        "filled_quantity": fills.quantity,
        "amount_usd": sa.cast(sa.null(), Money),
        "since_at": fills.received_at,
        **{name: _nothing(name) for name in (*about, "run_id")},
        "price_usd": fills.price_usd,
        "price_factor": sa.cast(sa.null(), Money),
        "size": sa.func.coalesce(sa.cast(fills.quantity, sa.Double) * sa.cast(fills.price_usd, sa.Double), 0.0),
        **{name: fills[name] for name in ("source", "execution_id", "record")},
    }
    return sa.select(*(column.label(name) for name, column in given.items())).where(fills.age == 1)


def is_used() -> sa.ColumnElement[bool]:
    """Whether what was set aside was entered since, under its id."""
    return (
        sa.exists()
        .where(executions.c.source == executions_aside.c.source)
        .where(executions.c.execution_id == executions_aside.c.execution_id)
        .where(executions_aside.c.code.in_([Break.UNKNOWN_ORDER, Break.WRONG_SECURITY, Break.UNREAD]))
    )


def priced_row(row: Any) -> tuple[Any, ...]:
    """A row of ``FOUND``; what nobody answered is worth its quantity at the order's reference price, what nobody asked for at its own."""
    values = dict(row._mapping)  # noqa: SLF001
    if values["amount_usd"] is None:
        price = (values["price_usd"] or 0) * (values["price_factor"] or 1)
        worth = abs(values["ordered_quantity"] - values["filled_quantity"]) * price
        values["amount_usd"] = worth.quantize(CENT, ROUND_HALF_EVEN)
    return tuple(values[name] for name in FOUND)


def literal(column: sa.ColumnElement[Any], value: Any) -> sa.ColumnElement[Any]:
    """A value as the column's type writes it."""
    return sa.literal(value, column.type)
