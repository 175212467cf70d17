"""Blocks that were filled as blocks: their orders, and what people fixed of them against the rule."""

from collections.abc import Collection
from typing import Final

import polars as pl
import sqlalchemy as sa

from schemas.enums import ExecutionKind
from schemas.executions import SENT_ORDERS
from warehouse.ledger.executions.execution_rows import sent_in
from warehouse.ledger.review import to_frame
from warehouse.ledger.store import Store, allocation_exceptions, executions, in_chunks

EXCEPTIONS: Final[dict[str, pl.DataType]] = {
    "order_id": pl.String(),
    "quantity": SENT_ORDERS["quantity"],
    "actor": pl.String(),
    "note": pl.String(),
}


class Allotments(Store):
    """What blocks came to."""

    def orders_of_filled_blocks(self, block_ids: Collection[str] = ()) -> pl.DataFrame:
        """``SENT_ORDERS`` of every order of the blocks that anything was filled of; of all such blocks where none is named."""
        is_fill = executions.c.kind.in_([ExecutionKind.FILL, ExecutionKind.CORRECT])
        query = sa.select(executions.c.block_id).where(executions.c.block_id.is_not(None), is_fill).distinct()
        with self.reading() as connection:
            filled = set(connection.scalars(query))
            return sent_in(connection, filled & set(block_ids) if block_ids else filled)

    def exceptions_of(self, block_ids: Collection[str]) -> pl.DataFrame:
        """``EXCEPTIONS``: the newest word on each order that a person fixed; one that was taken back is left out."""
        table = allocation_exceptions
        last = {}
        with self.reading() as connection:
            for some in in_chunks(sorted(block_ids)):
                query = sa.select(*table.c[tuple(EXCEPTIONS)]).where(table.c.block_id.in_(some))
                last.update({row.order_id: row for row in connection.execute(query.order_by(table.c.exception_id))})
        return to_frame([row for _, row in sorted(last.items()) if row.quantity is not None], EXCEPTIONS)
