"""An export that was claimed and never left can be given up: the state ``abandoned``, by whom and why, for good.

The constraints of ``exports`` change: SQLite gets a new table with the old rows, PostgreSQL alters its own. Whoever makes
``exports`` or ``proposals`` anew in SQLite later must make the triggers anew too: they go with the table.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

MOMENT: Final = sa.DateTime(timezone=True)
WRITING: Final = "state = 'writing'"
STATES: Final = "state IN ('writing', 'published', 'abandoned')"
PUBLISHED: Final = "state <> 'published' OR manifest_sha256 IS NOT NULL"
ABANDONED: Final = (
    "state = 'abandoned' AND manifest_sha256 IS NULL AND finished_at IS NOT NULL AND abandoned_by IS NOT NULL "
    "AND abandon_note IS NOT NULL AND abandon_note <> '' "
    "OR state <> 'abandoned' AND abandoned_by IS NULL AND abandon_note IS NULL"
)
OLD_COLUMNS: Final = "export_id, run_id, sequence, state, actor, folder, manifest_sha256, started_at, finished_at, plan"

RULES: Final = (
    ("exports", "over", "UPDATE", "OLD.state <> 'writing' AND NEW.state <> OLD.state"),
    ("exports", "given_up", "UPDATE", "OLD.state = 'abandoned'"),
    ("exports", "no_delete", "DELETE", "TRUE"),
    ("proposals", "withdrawn", "UPDATE", "OLD.state = 'withdrawn' AND NEW.state <> OLD.state"),
)
"""Table, name, verb, and the rows that the verb may not touch."""
CLAIMED: Final = "SELECT 1 FROM proposals WHERE export_id = NEW.export_id"
"""Proposals that an export which is given up still holds: there must be none."""
GIVEN_UP: Final = "SELECT 1 FROM exports WHERE export_id = NEW.export_id AND state = 'abandoned'"
"""The export of a proposal, if it was given up: it takes none."""
LOOKS: Final = (
    ("exports", "lets_go", "NEW.state = 'abandoned'", CLAIMED),
    ("proposals", "stays_out", "NEW.export_id IS NOT NULL", GIVEN_UP),
)
"""Table, name, the rows to look at after an update or an insertion, and the query that must find nothing."""


def upgrade() -> None:
    """Change the table, then forbid what must not happen."""
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    if is_postgresql:
        _alter()
    else:
        _rebuild()
    for table, name, verb, rows in RULES:
        _forbid(table, name, verb, rows)
    for table, name, rows, query in LOOKS:
        for verb in ("INSERT", "UPDATE"):
            _look(table, name, verb, rows, query)


def _alter() -> None:
    op.add_column("exports", sa.Column("abandoned_by", sa.Text, sa.ForeignKey("users.name", name="exports_abandoner")))
    op.add_column("exports", sa.Column("abandon_note", sa.Text))
    op.drop_constraint("exports_state", "exports", type_="check")
    op.create_check_constraint("exports_state", "exports", STATES)
    op.create_check_constraint("exports_abandoned_by_somebody", "exports", ABANDONED)


def _rebuild() -> None:
    """A new table under the old name, with the old rows; foreign keys are off while a ledger is upgraded."""
    op.rename_table("exports", "exports_before")
    op.execute("DROP INDEX exports_one_writing")
    op.create_table(
        "exports",
        sa.Column("export_id", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id", name="exports_run"), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("manifest_sha256", sa.Text),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT),
        sa.Column("plan", sa.Text),
        sa.Column("abandoned_by", sa.Text, sa.ForeignKey("users.name", name="exports_abandoner")),
        sa.Column("abandon_note", sa.Text),
        sa.UniqueConstraint("run_id", "sequence", name="exports_sequence"),
        sa.CheckConstraint(STATES, name="exports_state"),
        sa.CheckConstraint(PUBLISHED, name="exports_published_has_manifest"),
        sa.CheckConstraint(ABANDONED, name="exports_abandoned_by_somebody"),
    )
    op.create_index("exports_one_writing", "exports", ["run_id"], unique=True, sqlite_where=sa.text(WRITING))
    op.execute(f"INSERT INTO exports ({OLD_COLUMNS}) SELECT {OLD_COLUMNS} FROM exports_before")
    op.drop_table("exports_before")


def _forbid(table: str, name: str, verb: str, rows: str) -> None:
    """Refuse the verb on such rows."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE TRIGGER {table}_{name} BEFORE {verb} ON {table} "
            f"FOR EACH ROW WHEN ({rows}) EXECUTE FUNCTION refuse_change()"
        )
        return
    op.execute(f"CREATE TRIGGER {table}_{name} BEFORE {verb} ON {table} WHEN {rows} BEGIN {_refusal(table)}; END")


def _look(table: str, name: str, verb: str, rows: str, query: str) -> None:
    """Refuse the verb on such rows where the query finds something."""
    trigger = f"{table}_{name}_{verb.lower()}"
    if op.get_bind().dialect.name != "postgresql":
        op.execute(
            f"CREATE TRIGGER {trigger} BEFORE {verb} ON {table} WHEN {rows} "
            f"BEGIN {_refusal(table)} WHERE EXISTS ({query}); END"
        )
        return
    op.execute(
        f"CREATE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF EXISTS ({query}) THEN RAISE EXCEPTION 'rows of % are never changed or deleted once given up', TG_TABLE_NAME; "
        "END IF; RETURN NEW; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {trigger} BEFORE {verb} ON {table} FOR EACH ROW WHEN ({rows}) EXECUTE FUNCTION {trigger}()"
    )


def _refusal(table: str) -> str:
    return f"SELECT RAISE(ABORT, 'rows of {table} are never changed or deleted once given up')"
