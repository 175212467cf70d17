"""Changes of policy that a study stands behind wait for two people."""

import sqlalchemy as sa
from alembic import op

from warehouse.ledger.store import policy_changes, policy_triggers, policy_votes

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Both tables and their triggers."""
    connection = op.get_bind()
    policy_changes.create(connection)
    policy_votes.create(connection)
    for statement in policy_triggers(connection.dialect.name):
        connection.execute(sa.text(statement))
