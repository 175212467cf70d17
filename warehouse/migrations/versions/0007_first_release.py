"""Where migrations begin: the tables as they are made for a new ledger (``warehouse.ledger.store.create_tables``).

The numbers before it were steps of development. The next migration is 0008: it changes the tables of a ledger that stands here, and the
modules of tables change with it, because a new ledger is made whole and goes through no migration.
"""

revision = "0007"
down_revision = None


def upgrade() -> None:
    """Nothing: these tables were made whole."""
