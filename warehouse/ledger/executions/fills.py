"""What brokers told of orders since a moment."""

from datetime import datetime

import sqlalchemy as sa

from warehouse.ledger.store import Store, order_states


class Fills(Store):
    """Which orders there is news of."""

    def orders_told_since(self, moment: datetime | None) -> list[str]:
        """Orders of which something is filled and that anything was told of at that moment or later, sorted; null: ever."""
        is_told = sa.true() if moment is None else order_states.c.changed_at >= moment
        query = sa.select(order_states.c.order_id).where(is_told, order_states.c.last_trade_date.is_not(None))
        with self.reading() as connection:
            return list(connection.scalars(query.order_by(order_states.c.order_id)))
