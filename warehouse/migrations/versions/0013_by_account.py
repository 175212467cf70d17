"""Proposals and orders of an account are found without reading all."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """The indexes."""
    op.create_index("proposals_by_account", "proposals", ["account_id"])
    op.create_index("export_orders_by_account", "export_orders", ["account_id"])
