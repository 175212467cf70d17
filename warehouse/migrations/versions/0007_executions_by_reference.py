"""An index of busts and corrections by what they change: each file asks which of them lead to its executions."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the index; nothing that was there changes."""
    is_change = sa.text("reference_id IS NOT NULL")
    op.create_index(
        "executions_by_reference",
        "executions",
        ["source", "reference_id"],
        sqlite_where=is_change,
        postgresql_where=is_change,
    )
