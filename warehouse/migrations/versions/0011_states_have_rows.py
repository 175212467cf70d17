"""A run or a proposal is in the state that the newest row of the audit says; what was routed of a proposal stays."""

import sqlalchemy as sa
from alembic import op

from warehouse.ledger.store import state_triggers

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """The triggers; rows that are there are looked at when they are next changed, or leave."""
    connection = op.get_bind()
    for statement in state_triggers(connection.dialect.name):
        connection.execute(sa.text(statement))
