"""Versions of a proposal, what reviewers sort and filter by, and how people and machines sign in.

The constraints of ``proposals`` and ``decisions`` change: SQLite gets new tables with the old rows, PostgreSQL alters its own.
"""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

MONEY: Final = sa.Text().with_variant(sa.Numeric(38, 6), "postgresql")
MOMENT: Final = sa.DateTime(timezone=True)
OPEN: Final = "state IN ('pending_review', 'approved', 'auto_approved')"
APPROVES: Final = "decision = 'approve'"
AMENDED: Final = (
    "version = 1 AND amender = '' AND replaces IS NULL OR version > 1 AND amender <> '' AND replaces IS NOT NULL"
)
CHECKER: Final = "actor <> submitter AND actor <> amender OR decision <> 'approve'"
WORDS: Final = "decision IN ('approve', 'reject', 'hold', 'unhold', 'withdraw', 'comment')"
NOTED: Final = "note <> '' OR NOT (decision IN ('reject', 'comment'))"
FIXED: Final = ("amended_proposals", "amended_orders", "amended_lots")
"""New tables whose rows are never changed or deleted."""


def upgrade() -> None:
    """Change the tables of the queue, then add what is new."""
    op.add_column("users", sa.Column("password_hash", sa.Text))
    op.add_column("users", sa.Column("subject", sa.Text))
    op.create_index("users_subject", "users", ["subject"], unique=True)
    if op.get_bind().dialect.name == "postgresql":
        _alter()
    else:
        _rebuild()
    _amended()
    _sign_in()
    for table in FIXED:
        _forbid_changing(table)


# --- PostgreSQL


def _alter() -> None:
    op.execute("ALTER TABLE decisions DISABLE TRIGGER USER")
    op.drop_constraint("decisions_content", "decisions", type_="foreignkey")
    op.drop_constraint("proposals_content", "proposals", type_="unique")
    op.drop_constraint("proposals_account", "proposals", type_="unique")
    op.drop_index("proposals_by_state", "proposals")
    for column in (*_new_of_proposals(), sa.Column("revision", sa.Integer, nullable=False, server_default="0")):
        op.add_column("proposals", column)
    op.execute("UPDATE proposals SET revision = version, version = 1")
    for name in ("amender", "look_reasons", "priority", "revision"):
        op.alter_column("proposals", name, server_default=None)
    op.create_unique_constraint("proposals_account", "proposals", ["run_id", "account_id", "version"])
    op.create_unique_constraint(
        "proposals_content", "proposals", ["proposal_id", "content_hash", "submitter", "amender"]
    )
    op.create_check_constraint("proposals_amended_by_somebody", "proposals", AMENDED)
    op.execute("CREATE INDEX proposals_queue ON proposals (state, priority DESC, proposal_id)")
    op.add_column("decisions", sa.Column("amender", sa.Text, nullable=False, server_default=""))
    op.alter_column("decisions", "amender", server_default=None)
    op.create_foreign_key(
        "decisions_content",
        "decisions",
        "proposals",
        ["proposal_id", "content_hash", "submitter", "amender"],
        ["proposal_id", "content_hash", "submitter", "amender"],
    )
    for name in ("decisions_decision", "decisions_checker_is_not_maker", "decisions_reject_has_note"):
        op.drop_constraint(name, "decisions", type_="check")
    op.create_check_constraint("decisions_decision", "decisions", WORDS)
    op.create_check_constraint("decisions_checker_is_not_maker", "decisions", CHECKER)
    op.create_check_constraint("decisions_has_note", "decisions", NOTED)
    op.execute("ALTER TABLE decisions ENABLE TRIGGER USER")


def _new_of_proposals() -> list[sa.Column[Any]]:
    return [
        sa.Column("amender", sa.Text, nullable=False, server_default=""),
        sa.Column("replaces", sa.Text, sa.ForeignKey("proposals.proposal_id", name="proposals_replaced")),
        sa.Column("look_reasons", sa.Text, nullable=False, server_default=""),
        sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
        sa.Column("one_way_drift_before", sa.Float),
        sa.Column("one_way_drift_after", sa.Float),
        sa.Column("gap_bps", sa.Float),
        sa.Column("cut_off_at", MOMENT),
        sa.Column("held_by", sa.Text, sa.ForeignKey("users.name", name="proposals_holder")),
        sa.Column("assignee", sa.Text, sa.ForeignKey("users.name", name="proposals_assignee")),
    ]


# --- SQLite


def _rebuild() -> None:
    """New tables under the old names, with the old rows; foreign keys are off while a ledger is upgraded."""
    for table in ("decisions", "proposals"):
        op.rename_table(table, f"{table}_before")
    for index in (
        "proposals_by_state",
        "proposals_by_run",
        "proposals_by_export",
        "proposals_one_open",
        "decisions_by_proposal",
        "decisions_four_eyes",
    ):
        op.execute(f"DROP INDEX {index}")
    _proposals()
    _decisions()
    op.execute(
        "INSERT INTO proposals (proposal_id, run_id, submitter, account_id, custodian, as_of_date, state, version, amender, "
        "revision, content_hash, triggers, route, route_reasons, look_reasons, priority, nav_usd, gross_value_usd, turnover, "
        "est_tax_usd, est_cost_usd, order_count, model_hash, approvals_needed, created_at, expires_at, state_changed_at, "
        "export_id) SELECT proposal_id, run_id, submitter, account_id, custodian, as_of_date, state, 1, '', version, "
        "content_hash, triggers, route, route_reasons, '', 0, nav_usd, gross_value_usd, turnover, est_tax_usd, est_cost_usd, "
        "order_count, model_hash, approvals_needed, created_at, expires_at, state_changed_at, export_id FROM proposals_before"
    )
    op.execute(
        "INSERT INTO decisions (decision_id, proposal_id, content_hash, submitter, amender, actor, decision, note, decided_at) "
        "SELECT decision_id, proposal_id, content_hash, submitter, '', actor, decision, note, decided_at FROM decisions_before"
    )
    op.drop_table("decisions_before")
    op.drop_table("proposals_before")
    _forbid_changing("decisions")


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
        sa.Column("amender", sa.Text, nullable=False),
        sa.Column("replaces", sa.Text, sa.ForeignKey("proposals.proposal_id", name="proposals_replaced")),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("triggers", sa.Text, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("route_reasons", sa.Text, nullable=False),
        sa.Column("look_reasons", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("nav_usd", MONEY, nullable=False),
        sa.Column("gross_value_usd", MONEY, nullable=False),
        sa.Column("turnover", sa.Float, nullable=False),
        sa.Column("one_way_drift_before", sa.Float),
        sa.Column("one_way_drift_after", sa.Float),
        sa.Column("gap_bps", sa.Float),
        sa.Column("est_tax_usd", MONEY, nullable=False),
        sa.Column("est_cost_usd", MONEY, nullable=False),
        sa.Column("order_count", sa.Integer, nullable=False),
        sa.Column("model_hash", sa.Text, nullable=False),
        sa.Column("approvals_needed", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("cut_off_at", MOMENT),
        sa.Column("state_changed_at", MOMENT, nullable=False),
        sa.Column("held_by", sa.Text, sa.ForeignKey("users.name", name="proposals_holder")),
        sa.Column("assignee", sa.Text, sa.ForeignKey("users.name", name="proposals_assignee")),
        sa.Column("export_id", sa.Text, sa.ForeignKey("exports.export_id", name="proposals_export")),
        sa.ForeignKeyConstraint(["run_id", "submitter"], ["runs.run_id", "runs.submitter"], name="proposals_run"),
        sa.UniqueConstraint("run_id", "account_id", "version", name="proposals_account"),
        sa.UniqueConstraint("proposal_id", "content_hash", "submitter", "amender", name="proposals_content"),
        sa.CheckConstraint(
            "state IN ('proposed', 'pending_review', 'auto_approved', 'approved', 'rejected', 'expired', 'superseded', "
            "'withdrawn', 'exported', 'acknowledged', 'filled', 'partly_filled', 'failed')",
            name="proposals_state",
        ),
        sa.CheckConstraint("route IN ('review', 'auto')", name="proposals_route"),
        sa.CheckConstraint("approvals_needed IN (1, 2)", name="proposals_approvals"),
        sa.CheckConstraint(AMENDED, name="proposals_amended_by_somebody"),
        sa.CheckConstraint(
            "export_id IS NULL OR state IN ('approved', 'auto_approved', 'exported', 'acknowledged', 'filled', "
            "'partly_filled', 'failed')",
            name="proposals_claimed_state",
        ),
        sa.CheckConstraint(
            "export_id IS NOT NULL OR NOT (state IN ('exported', 'acknowledged', 'filled', 'partly_filled', 'failed'))",
            name="proposals_sent_in_export",
        ),
    )
    op.create_index("proposals_queue", "proposals", ["state", sa.text("priority DESC"), "proposal_id"])
    op.create_index("proposals_by_run", "proposals", ["run_id"])
    op.create_index("proposals_by_export", "proposals", ["export_id"])
    op.create_index("proposals_one_open", "proposals", ["account_id"], unique=True, sqlite_where=sa.text(OPEN))


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("proposal_id", sa.Text, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("submitter", sa.Text, nullable=False),
        sa.Column("amender", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, sa.ForeignKey("users.name", name="decisions_user"), nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["proposal_id", "content_hash", "submitter", "amender"],
            ["proposals.proposal_id", "proposals.content_hash", "proposals.submitter", "proposals.amender"],
            name="decisions_content",
        ),
        sa.CheckConstraint(WORDS, name="decisions_decision"),
        sa.CheckConstraint(CHECKER, name="decisions_checker_is_not_maker"),
        sa.CheckConstraint(NOTED, name="decisions_has_note"),
    )
    op.create_index("decisions_by_proposal", "decisions", ["proposal_id"])
    op.create_index(
        "decisions_four_eyes",
        "decisions",
        ["proposal_id", "content_hash", "actor"],
        unique=True,
        sqlite_where=sa.text(APPROVES),
    )


# --- both


def _of_proposal(table: str, *, is_key: bool = True) -> sa.Column[str]:
    """Column that names a proposal of the ledger."""
    named = sa.ForeignKey("proposals.proposal_id", name=f"amended_{table}_proposal")
    return sa.Column("proposal_id", sa.Text, named, primary_key=is_key, nullable=not is_key)


def _amended() -> None:
    text, number, money = sa.Text(), sa.Float(), MONEY
    op.create_table(
        "amended_proposals",
        _of_proposal("proposals"),
        sa.Column("account_id", text),
        sa.Column("triggers", text),
        sa.Column("nav_usd", money),
        sa.Column("one_way_drift_before", number),
        sa.Column("one_way_drift_after", number),
        sa.Column("turnover", number),
        sa.Column("est_cost_usd", money),
        sa.Column("est_tax_usd", money),
        sa.Column("realized_short_gain_usd", money),
        sa.Column("realized_long_gain_usd", money),
        sa.Column("objective_usd", number),
        sa.Column("lower_bound_usd", number),
        sa.Column("gap_bps", number),
        sa.Column("shadow_price", number),
        sa.Column("tax_regime", text),
        sa.Column("marginal_short_rate", number),
        sa.Column("marginal_long_rate", number),
        sa.Column("cash_before_usd", money),
        sa.Column("cash_after_usd", money),
        sa.Column("order_count", sa.BigInteger),
        sa.Column("gross_value_usd", money),
        sa.Column("route", text),
        sa.Column("route_reasons", text),
        sa.Column("look_reasons", text),
        sa.Column("priority", sa.BigInteger),
        sa.Column("content_hash", text),
        sa.Column("custodian", text),
        sa.Column("model_hash", text),
        sa.Column("approvals_needed", sa.BigInteger),
        sa.Column("ttl_hours", number),
    )
    op.create_table(
        "amended_orders",
        sa.Column("order_id", text, primary_key=True),
        _of_proposal("orders"),
        sa.Column("account_id", text),
        sa.Column("side", text),
        sa.Column("security_id", text),
        sa.Column("symbol", text),
        sa.Column("quantity", money),
        sa.Column("price_usd", money),
        sa.Column("value_usd", money),
        sa.Column("est_cost_usd", money),
        sa.Column("est_tax_usd", money),
        sa.Column("reason", text),
        sa.Column("marginal_benefit_bps", number),
        sa.Column("marginal_cost_bps", number),
    )
    op.create_table(
        "amended_lots",
        _of_proposal("lots"),
        sa.Column("order_id", text, primary_key=True),
        sa.Column("account_id", text),
        sa.Column("security_id", text),
        sa.Column("lot_id", text, primary_key=True),
        sa.Column("quantity", money),
        sa.Column("unit_cost_usd", money),
        sa.Column("acquired_date", sa.Date),
        sa.Column("term", text),
        sa.Column("gain_usd", money),
    )


def _sign_in() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_hash", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, sa.ForeignKey("users.name", name="sessions_user"), nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("signed_in_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.CheckConstraint("method IN ('password', 'oidc')", name="sessions_method"),
    )
    op.create_index("sessions_by_user", "sessions", ["name"])
    op.create_table(
        "tokens",
        sa.Column("token_id", sa.Text, primary_key=True),
        sa.Column("token_hash", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, sa.ForeignKey("users.name", name="tokens_owner"), nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("custodians", sa.Text),
        sa.Column("created_by", sa.Text, sa.ForeignKey("users.name", name="tokens_maker"), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT),
        sa.UniqueConstraint("token_hash", name="tokens_hash"),
        sa.CheckConstraint("scopes <> ''", name="tokens_has_scope"),
    )
    op.create_table(
        "sign_in_failures",
        sa.Column("key_hash", sa.Text, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("first_at", MOMENT, nullable=False),
        sa.Column("last_at", MOMENT, nullable=False),
    )
    op.create_table(
        "saved_filters",
        sa.Column("owner", sa.Text, sa.ForeignKey("users.name", name="saved_filters_owner"), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("filter", sa.Text, nullable=False),
        sa.Column("saved_at", MOMENT, nullable=False),
        sa.CheckConstraint("name <> ''", name="saved_filters_named"),
    )


def _forbid_changing(table: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE TRIGGER {table}_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        return
    for verb in ("update", "delete"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are never changed or deleted'); END"
        )
