"""Orders that there is news of since a moment."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from warehouse.ledger.executions.answer_grace import AnswerGrace
from warehouse.ledger.executions.break_rows import all_breaks
from warehouse.ledger.executions.execution_rows import SENT, sent_query
from warehouse.ledger.review import to_frame
from warehouse.ledger.store import ExportState, Store, begins, export_orders, exports, order_states, runs


class Fills(Store):
    """Which orders there is news of."""

    def find_orders(self, prefix: str, limit: int) -> pl.DataFrame:
        """The first few orders that left, in whole exports, whose id begins so: ``SENT``, by order."""
        key = export_orders.c.order_id
        query = sent_query().where(begins(key, prefix)).order_by(key).limit(limit)
        with self.reading() as connection:
            return to_frame(connection.execute(query).all(), SENT)

    def not_yet_due(self, grace: AnswerGrace, custodians: Collection[str] | None = None) -> dict[str, int]:
        """By custodian, orders that left, have no answer, and need none yet; ``custodians`` null: of all."""
        rows = all_breaks().c
        is_meant = sa.true() if custodians is None else rows.custodian.in_(sorted(custodians))
        query = sa.select(rows.custodian, sa.func.count()).where(is_meant, grace.is_not_due(dict(rows.items())))
        with self.reading() as connection:
            found = connection.execute(query.group_by(rows.custodian).order_by(rows.custodian)).all()
        return {str(name): number for name, number in found}

    def orders_told_since(self, moment: datetime | None) -> list[str]:
        """Orders of which something is filled and that anything was told of at that moment or later, sorted; null: ever."""
        is_told = sa.true() if moment is None else order_states.c.changed_at >= moment
        query = sa.select(order_states.c.order_id).where(is_told, order_states.c.last_trade_date.is_not(None))
        with self.reading() as connection:
            return list(connection.scalars(query.order_by(order_states.c.order_id)))

    def open_orders_since(self, moment: datetime | None) -> list[str]:
        """Orders without a final word that left, or of which anything was told, at that moment or later, sorted; null: ever."""
        is_news: sa.ColumnElement[bool] = sa.true()
        if moment is not None:
            is_left = exports.c.finished_at.is_(None) | (exports.c.finished_at >= moment)
            is_news = is_left | (order_states.c.changed_at >= moment)
        with self.reading() as connection:
            return list(connection.scalars(_open_orders().where(is_news).order_by(export_orders.c.order_id)))

    def oldest_open(self) -> tuple[int, date | None]:
        """How many orders that left have no final word, and the date of the night that proposed the oldest; null where there is none."""
        query = _open_orders().join(runs, runs.c.run_id == exports.c.run_id)
        with self.reading() as connection:
            row = connection.execute(query.with_only_columns(sa.func.count(), sa.func.min(runs.c.as_of_date))).one()
        return row[0], row[1]


def _open_orders() -> sa.Select[Any]:
    """Orders without a final word that left. What an export has claimed and not finished counts as left: its files may be there already."""
    is_closed = sa.func.coalesce(order_states.c.is_closed, sa.false())
    return (
        sa.select(export_orders.c.order_id)
        .join(exports, exports.c.export_id == export_orders.c.export_id)
        .outerjoin(order_states, order_states.c.order_id == export_orders.c.order_id)
        .where(exports.c.state != ExportState.ABANDONED, ~is_closed)
    )
