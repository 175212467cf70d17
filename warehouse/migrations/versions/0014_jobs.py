"""Work that people ask of the console."""

from alembic import op

from warehouse.ledger.store import jobs

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """The table with its index."""
    jobs.create(op.get_bind())
