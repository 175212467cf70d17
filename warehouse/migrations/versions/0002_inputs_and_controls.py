"""Files that runs take, rows released from quarantine, guards by name, and the kill switch."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

MOMENT: Final = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the columns and tables; releases of rows are never changed."""
    op.add_column("runs", sa.Column("held_guards", sa.Text))
    op.add_column("runs", sa.Column("base_run_id", sa.Text))
    _inputs()
    _row_releases()
    _halts()
    _forbid_changing_row_releases()


def _inputs() -> None:
    op.create_table(
        "inputs",
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id", name="inputs_run"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("table_name", sa.Text, nullable=False),
        sa.Column("first_row", sa.BigInteger, nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("last_row", sa.BigInteger, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("modified_at", MOMENT),
        sa.Column("sequence", sa.BigInteger),
        sa.Column("reader", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("taken_at", MOMENT, nullable=False),
        sa.CheckConstraint("state IN ('read', 'copied', 'refused', 'awaited')", name="inputs_state"),
        sa.CheckConstraint("state IN ('read', 'copied') OR note IS NOT NULL", name="inputs_missing_has_note"),
    )
    op.create_index("inputs_by_source", "inputs", ["source", "reader"])


def _row_releases() -> None:
    op.create_table(
        "row_releases",
        sa.Column("as_of_date", sa.Date, primary_key=True),
        sa.Column("quarantine_id", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id", name="row_releases_run"), nullable=False),
        sa.Column("table_name", sa.Text, nullable=False),
        sa.Column("broken_rules", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, sa.ForeignKey("users.name", name="row_releases_user"), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("released_at", MOMENT, nullable=False),
        sa.CheckConstraint("note <> ''", name="row_releases_has_note"),
    )


def _halts() -> None:
    op.create_table(
        "halts",
        sa.Column("halt_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("actor", sa.Text, sa.ForeignKey("users.name", name="halts_user"), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("halted_at", MOMENT, nullable=False),
        sa.Column("lifted_by", sa.Text, sa.ForeignKey("users.name", name="halts_lifter")),
        sa.Column("lift_note", sa.Text),
        sa.Column("lifted_at", MOMENT),
        sa.CheckConstraint("note <> ''", name="halts_has_note"),
        sa.CheckConstraint(
            "lifted_at IS NULL AND lifted_by IS NULL AND lift_note IS NULL "
            "OR lifted_at IS NOT NULL AND lifted_by IS NOT NULL AND lift_note IS NOT NULL AND lift_note <> ''",
            name="halts_lifted_by_somebody",
        ),
    )
    op.create_index(
        "halts_one_in_force",
        "halts",
        [sa.text("(lifted_at IS NULL)")],
        unique=True,
        sqlite_where=sa.text("lifted_at IS NULL"),
        postgresql_where=sa.text("lifted_at IS NULL"),
    )


def _forbid_changing_row_releases() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER row_releases_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON row_releases "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        return
    for verb in ("update", "delete"):
        op.execute(
            f"CREATE TRIGGER row_releases_no_{verb} BEFORE {verb.upper()} ON row_releases "
            "BEGIN SELECT RAISE(ABORT, 'rows of row_releases are never changed or deleted'); END"
        )
