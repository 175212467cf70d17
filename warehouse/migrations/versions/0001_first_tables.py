"""The first tables of the ledger."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

MONEY: Final = sa.Text().with_variant(sa.Numeric(38, 6), "postgresql")
MOMENT: Final = sa.DateTime(timezone=True)
FIXED: Final = ("audit", "decisions", "export_orders")
"""Tables whose rows are never changed or deleted, whoever asks."""


def upgrade() -> None:
    """Make the tables, then forbid changing the past."""
    _users()
    _user_roles()
    _runs()
    _steps()
    _exports()
    _proposals()
    _decisions()
    _export_orders()
    _audit()
    _audit_head()
    op.execute(f"INSERT INTO audit_head (one, seq, hash) VALUES (1, 0, '{'0' * 64}')")
    _forbid_changing_the_past()


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("name <> ''", name="users_name_given"),
    )


def _user_roles() -> None:
    op.create_table(
        "user_roles",
        sa.Column("name", sa.Text, sa.ForeignKey("users.name", name="user_roles_user"), primary_key=True),
        sa.Column("role", sa.Text, primary_key=True),
        sa.CheckConstraint("role IN ('viewer', 'reviewer', 'releaser', 'admin')", name="user_roles_role"),
    )


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("as_of_date", sa.Date, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("submitter", sa.Text, nullable=False),
        sa.Column("input_hash", sa.Text, nullable=False),
        sa.Column("code_version", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("scope", sa.Text),
        sa.Column("shard_count", sa.Integer, nullable=False),
        sa.Column("accounts_pulled", sa.BigInteger, nullable=False),
        sa.Column("counts", sa.Text),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT),
        sa.Column("held_reason", sa.Text),
        sa.Column("released_by", sa.Text),
        sa.Column("release_note", sa.Text),
        sa.UniqueConstraint("run_id", "submitter", name="runs_submitter"),
        sa.CheckConstraint("kind IN ('nightly', 'threshold', 'manual', 'replay')", name="runs_kind"),
        sa.CheckConstraint("state IN ('running', 'held', 'done', 'failed')", name="runs_state"),
        sa.CheckConstraint("state <> 'held' OR held_reason IS NOT NULL", name="runs_held_has_reason"),
    )


def _steps() -> None:
    op.create_table(
        "steps",
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id", name="steps_run"), primary_key=True),
        sa.Column("step", sa.Text, primary_key=True),
        sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=False),
        sa.CheckConstraint("step IN ('pull', 'validate', 'measure', 'propose', 'route', 'publish')", name="steps_step"),
    )


def _exports() -> None:
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
        sa.UniqueConstraint("run_id", "sequence", name="exports_sequence"),
        sa.CheckConstraint("state IN ('writing', 'published')", name="exports_state"),
        sa.CheckConstraint(
            "state <> 'published' OR manifest_sha256 IS NOT NULL", name="exports_published_has_manifest"
        ),
    )
    op.create_index(
        "exports_one_writing",
        "exports",
        ["run_id"],
        unique=True,
        sqlite_where=sa.text("state = 'writing'"),
        postgresql_where=sa.text("state = 'writing'"),
    )


def _proposals() -> None:
    op.create_table(
        "proposals",
        sa.Column("proposal_id", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("submitter", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("custodian", sa.Text, nullable=False),
        sa.Column("as_of_date", sa.Date, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("triggers", sa.Text, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("route_reasons", sa.Text, nullable=False),
        sa.Column("nav_usd", MONEY, nullable=False),
        sa.Column("gross_value_usd", MONEY, nullable=False),
        sa.Column("turnover", sa.Float, nullable=False),
        sa.Column("est_tax_usd", MONEY, nullable=False),
        sa.Column("est_cost_usd", MONEY, nullable=False),
        sa.Column("order_count", sa.Integer, nullable=False),
        sa.Column("model_hash", sa.Text, nullable=False),
        sa.Column("approvals_needed", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("state_changed_at", MOMENT, nullable=False),
        sa.Column("export_id", sa.Text, sa.ForeignKey("exports.export_id", name="proposals_export")),
        sa.ForeignKeyConstraint(["run_id", "submitter"], ["runs.run_id", "runs.submitter"], name="proposals_run"),
        sa.UniqueConstraint("run_id", "account_id", name="proposals_account"),
        sa.UniqueConstraint("proposal_id", "content_hash", "submitter", name="proposals_content"),
        sa.CheckConstraint(
            "state IN ('proposed', 'pending_review', 'auto_approved', 'approved', 'rejected', 'expired', 'superseded', 'withdrawn', 'exported', 'acknowledged', 'filled', 'partly_filled', 'failed')",
            name="proposals_state",
        ),
        sa.CheckConstraint("route IN ('review', 'auto')", name="proposals_route"),
        sa.CheckConstraint("approvals_needed IN (1, 2)", name="proposals_approvals"),
        sa.CheckConstraint(
            "export_id IS NULL OR state IN ('approved', 'auto_approved', 'exported', 'acknowledged', 'filled', 'partly_filled', 'failed')",
            name="proposals_claimed_state",
        ),
        sa.CheckConstraint(
            "export_id IS NOT NULL OR NOT (state IN ('exported', 'acknowledged', 'filled', 'partly_filled', 'failed'))",
            name="proposals_sent_in_export",
        ),
    )
    op.create_index("proposals_by_state", "proposals", ["state"])
    op.create_index("proposals_by_run", "proposals", ["run_id"])
    op.create_index("proposals_by_export", "proposals", ["export_id"])
    op.create_index(
        "proposals_one_open",
        "proposals",
        ["account_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('pending_review', 'approved', 'auto_approved')"),
        postgresql_where=sa.text("state IN ('pending_review', 'approved', 'auto_approved')"),
    )


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("proposal_id", sa.Text, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("submitter", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, sa.ForeignKey("users.name", name="decisions_user"), nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["proposal_id", "content_hash", "submitter"],
            ["proposals.proposal_id", "proposals.content_hash", "proposals.submitter"],
            name="decisions_content",
        ),
        sa.CheckConstraint("decision IN ('approve', 'reject', 'hold', 'withdraw')", name="decisions_decision"),
        sa.CheckConstraint("actor <> submitter OR decision <> 'approve'", name="decisions_checker_is_not_maker"),
        sa.CheckConstraint("decision <> 'reject' OR note <> ''", name="decisions_reject_has_note"),
    )
    op.create_index("decisions_by_proposal", "decisions", ["proposal_id"])
    op.create_index(
        "decisions_four_eyes",
        "decisions",
        ["proposal_id", "content_hash", "actor"],
        unique=True,
        sqlite_where=sa.text("decision = 'approve'"),
        postgresql_where=sa.text("decision = 'approve'"),
    )


def _export_orders() -> None:
    op.create_table(
        "export_orders",
        sa.Column("order_id", sa.Text, primary_key=True),
        sa.Column(
            "export_id", sa.Text, sa.ForeignKey("exports.export_id", name="export_orders_export"), nullable=False
        ),
        sa.Column(
            "proposal_id",
            sa.Text,
            sa.ForeignKey("proposals.proposal_id", name="export_orders_proposal"),
            nullable=False,
        ),
    )
    op.create_index("export_orders_by_export", "export_orders", ["export_id"])


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("proposal_id", sa.Text),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("from_state", sa.Text),
        sa.Column("to_state", sa.Text),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.UniqueConstraint("hash", name="audit_hash"),
    )
    op.create_index("audit_by_proposal", "audit", ["proposal_id"])
    op.create_index("audit_by_run", "audit", ["run_id", "event"])


def _audit_head() -> None:
    op.create_table(
        "audit_head",
        sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.CheckConstraint("one = 1", name="audit_head_one_row"),
    )


def _forbid_changing_the_past() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    if is_postgresql:
        op.execute(
            "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME; END $$"
        )
    for table in FIXED:
        if is_postgresql:
            op.execute(
                f"CREATE TRIGGER {table}_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
            )
            continue
        for verb in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are never changed or deleted'); END"
            )
