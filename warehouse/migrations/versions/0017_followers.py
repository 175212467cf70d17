"""Processes that follow a stream of prices say how they stand."""

from alembic import op

from warehouse.ledger.store import followers

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """The table."""
    followers.create(op.get_bind())
