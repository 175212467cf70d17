"""Orders may be in dollars, and say by which CUSIP and ISIN they left; those from before are in shares, and have neither."""

import sqlalchemy as sa
from alembic import op

from warehouse.ledger.store import Money

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """The dollars, in orders as they left and in those that a person changed; what names the security, as they left."""
    for table in ("amended_orders", "export_orders"):
        op.add_column(table, sa.Column("amount_usd", Money))
    for name in ("cusip", "isin"):
        op.add_column("export_orders", sa.Column(name, sa.Text))
