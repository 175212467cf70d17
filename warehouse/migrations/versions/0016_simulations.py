"""A run may be a simulation, whose orders take the fills of a simulated broker; those from before are none."""

import sqlalchemy as sa
from alembic import op

from warehouse.ledger.store import simulation_triggers

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """The column, and the triggers that keep it and what is said of simulated fills."""
    op.add_column("runs", sa.Column("is_simulation", sa.Boolean, nullable=False, server_default=sa.false()))
    connection = op.get_bind()
    for statement in simulation_triggers(connection.dialect.name):
        connection.execute(sa.text(statement))
