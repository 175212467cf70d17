"""Rows of open breaks as one query: those of orders that anything was said about, those of blocks, and silence about the others."""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

import polars as pl
import sqlalchemy as sa

from schemas.enums import Break
from schemas.executions import BREAKS
from warehouse.ledger_execution_rows import sent_query
from warehouse.ledger_market_tables import order_breaks, order_states
from warehouse.ledger_proposals import MOMENT
from warehouse.ledger_tables import export_orders, exports
from warehouse.ledger_types import Money

FOUND: Final[dict[str, pl.DataType]] = {
    **BREAKS,
    "since_at": MOMENT,
    **{name: pl.String() for name in ("custodian", "symbol", "side", "proposal_id", "export_id", "run_id")},
}
"""Breaks with the order that they are about. A block's own (account and proposal null) have what its orders share."""
CENT: Final = Decimal("0.01")


def all_breaks() -> sa.Subquery:
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
    """Orders that nobody has said anything about, as a part of ``all_breaks``."""
    orders = export_orders.c
    size = sa.cast(orders.quantity, sa.Double) * sa.cast(orders.price_usd, sa.Double)
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
        "size": sa.func.coalesce(size, 0.0),
    }
    query = sent_query().outerjoin(order_states, order_states.c.order_id == orders.order_id)
    columns = [column.label(name) for name, column in given.items()]
    return query.where(order_states.c.order_id.is_(None)).with_only_columns(*columns)


def priced(row: Any) -> tuple[Any, ...]:
    """A row of ``FOUND``; what nobody answered is worth its quantity at the order's reference price."""
    values = dict(row._mapping)  # noqa: SLF001
    if values["amount_usd"] is None:
        worth = values["ordered_quantity"] * (values["price_usd"] or 0)
        values["amount_usd"] = worth.quantize(CENT, ROUND_HALF_EVEN)
    return tuple(values[name] for name in FOUND)


def literal(column: sa.ColumnElement[Any], value: Any) -> sa.ColumnElement[Any]:
    """A value as the column's type writes it."""
    return sa.literal(value, column.type)
