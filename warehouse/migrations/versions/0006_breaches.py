"""What looks between the nights found: accounts out of band, and the scopes that runs are started for."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

MOMENT: Final = sa.DateTime(timezone=True)
LASTING: Final = sa.text("cleared_at IS NULL")


def upgrade() -> None:
    """Add tables; nothing that was there changes."""
    op.create_table(
        "scopes",
        sa.Column("scope_id", sa.Text, primary_key=True),
        sa.Column("as_of_date", sa.Date, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("account_count", sa.BigInteger, nullable=False),
        sa.Column("night_run_id", sa.Text, sa.ForeignKey("runs.run_id", name="scopes_night"), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("announced_at", MOMENT),
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id", name="scopes_run")),
        sa.CheckConstraint("cause <> ''", name="scopes_has_cause"),
        sa.CheckConstraint("(cause = 'late_file') = (account_count = 0)", name="scopes_names_accounts"),
    )
    op.create_table(
        "breaches",
        sa.Column("breach_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("scope_id", sa.Text, sa.ForeignKey("scopes.scope_id", name="breaches_scope"), nullable=False),
        sa.Column("causes", sa.Text, nullable=False),
        sa.Column("model_hash", sa.Text, nullable=False),
        sa.Column("breached_at", MOMENT, nullable=False),
        sa.Column("cleared_at", MOMENT),
        sa.CheckConstraint("causes <> ''", name="breaches_has_cause"),
    )
    op.create_index(
        "breaches_one_lasting",
        "breaches",
        ["account_id"],
        unique=True,
        sqlite_where=LASTING,
        postgresql_where=LASTING,
    )
    op.create_index("breaches_by_scope", "breaches", ["scope_id", "account_id"], unique=True)
