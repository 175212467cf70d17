"""Model changes that profiles ask for, and what people say of them."""

import sqlalchemy as sa
from alembic import op

from warehouse.ledger.store import change_decisions, change_triggers, model_changes

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Both tables with their triggers."""
    connection = op.get_bind()
    model_changes.create(connection)
    change_decisions.create(connection)
    for statement in change_triggers(connection.dialect.name):
        connection.execute(sa.text(statement))
