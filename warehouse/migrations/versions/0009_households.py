"""The proposals of a household that is managed together are one decision. Those that are there stay as they are: each decided alone."""

import sqlalchemy as sa
from alembic import op

from warehouse.ledger.store import household_proposals, household_triggers

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """The columns, the table of households and its triggers; exports that were claimed together have numbers."""
    op.add_column("proposals", sa.Column("household_id", sa.Text))
    op.create_index("proposals_by_household", "proposals", ["run_id", "household_id"])
    op.add_column("amended_proposals", sa.Column("household_id", sa.Text))
    op.add_column("exports", sa.Column("part", sa.Integer, nullable=False, server_default="1"))
    op.drop_index("exports_one_writing", "exports")
    is_writing = sa.text("state = 'writing'")
    op.create_index(
        "exports_one_writing",
        "exports",
        ["run_id", "part"],
        unique=True,
        sqlite_where=is_writing,
        postgresql_where=is_writing,
    )
    connection = op.get_bind()
    household_proposals.create(connection)
    for statement in household_triggers(connection.dialect.name):
        connection.execute(sa.text(statement))
