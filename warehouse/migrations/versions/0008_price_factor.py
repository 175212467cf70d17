"""Orders say what quantity times price is multiplied by to make a value; those from before have nothing, which is 1."""

import sqlalchemy as sa
from alembic import op

from warehouse.ledger.store import Money

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """A column more, in orders as they left and in those that a person changed."""
    for table in ("amended_orders", "export_orders"):
        op.add_column(table, sa.Column("price_factor", Money))
