"""The ledger's tables: what people and machines decided, with the rules that nobody can skip as constraints.

A new ledger is made from these; an older one is brought here by a migration, which changes with them.
"""

from typing import Any, Final

import polars as pl
import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Column, ForeignKey, ForeignKeyConstraint, Index, Table, UniqueConstraint

from schemas.enums import ProposalState, Role, Route, RunKind, RunState, Step
from schemas.tables import PUBLIC, USD
from schemas.units import EXACT
from warehouse.ledger.store.types import Money, Utc, one_of
from warehouse.ledger.store.words import (
    CLAIMED_STATES,
    NOTED,
    OPEN_STATES,
    RELEASABLE_STATES,
    SENT_STATES,
    TAKEN_STATES,
    TOGETHER_STATES,
    Decision,
    ExportState,
    InputState,
    JobKind,
    SignIn,
)

metadata = sa.MetaData()

_TYPES: Final[dict[pl.DataType, Any]] = {
    pl.Int64(): sa.BigInteger(),
    pl.Float64(): sa.Float(),
    pl.Date(): sa.Date(),
    USD: Money(),
    EXACT: Money(),
}


def _version_columns(table: str, *key: str) -> list[Column[Any]]:
    """The columns of a public table of the lake, for versions that a person made."""
    return [
        Column(
            name,
            _TYPES.get(dtype, sa.Text()),
            *([ForeignKey("proposals.proposal_id", name=f"amended_{table}_proposal")] if name == "proposal_id" else []),
            primary_key=name in key,
        )
        for name, dtype in PUBLIC[table].items()
    ]


users = Table(
    "users",
    metadata,
    Column("name", sa.Text, primary_key=True),
    Column("created_at", Utc, nullable=False),
    Column("password_hash", sa.Text),
    Column("subject", sa.Text),
    CheckConstraint("name <> ''", name="users_name_given"),
)
Index("users_subject", users.c.subject, unique=True)

user_roles = Table(
    "user_roles",
    metadata,
    Column("name", sa.Text, ForeignKey("users.name", name="user_roles_user"), primary_key=True),
    Column("role", sa.Text, primary_key=True),
    CheckConstraint(one_of("role", Role), name="user_roles_role"),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", sa.Text, primary_key=True),
    Column("as_of_date", sa.Date, nullable=False),
    Column("kind", sa.Text, nullable=False),
    Column("state", sa.Text, nullable=False),
    Column("submitter", sa.Text, nullable=False),
    Column("input_hash", sa.Text, nullable=False),
    Column("code_version", sa.Text, nullable=False),
    Column("source", sa.Text, nullable=False),
    Column("scope", sa.Text),
    Column("shard_count", sa.Integer, nullable=False),
    Column("accounts_pulled", sa.BigInteger, nullable=False),
    Column("counts", sa.Text),
    Column("started_at", Utc, nullable=False),
    Column("finished_at", Utc),
    Column("held_reason", sa.Text),
    Column("released_by", sa.Text),
    Column("release_note", sa.Text),
    Column("held_guards", sa.Text),
    Column("base_run_id", sa.Text),
    Column("is_simulation", sa.Boolean, nullable=False, server_default=sa.false()),
    UniqueConstraint("run_id", "submitter", name="runs_submitter"),
    CheckConstraint(one_of("kind", RunKind), name="runs_kind"),
    CheckConstraint(one_of("state", RunState), name="runs_state"),
    CheckConstraint("state <> 'held' OR held_reason IS NOT NULL", name="runs_held_has_reason"),
)

steps = Table(
    "steps",
    metadata,
    Column("run_id", sa.Text, ForeignKey("runs.run_id", name="steps_run"), primary_key=True),
    Column("step", sa.Text, primary_key=True),
    Column("shard", sa.Integer, primary_key=True, autoincrement=False),
    Column("rows", sa.BigInteger, nullable=False),
    Column("seconds", sa.Float, nullable=False),
    Column("finished_at", Utc, nullable=False),
    CheckConstraint(one_of("step", Step), name="steps_step"),
)

inputs = Table(
    "inputs",
    metadata,
    Column("run_id", sa.Text, ForeignKey("runs.run_id", name="inputs_run"), primary_key=True),
    Column("number", sa.Integer, primary_key=True, autoincrement=False),
    Column("source", sa.Text, nullable=False),
    Column("name", sa.Text, nullable=False),
    Column("table_name", sa.Text, nullable=False),
    Column("first_row", sa.BigInteger, nullable=False),
    Column("row_count", sa.BigInteger, nullable=False),
    Column("last_row", sa.BigInteger, nullable=False),
    Column("size_bytes", sa.BigInteger, nullable=False),
    Column("sha256", sa.Text, nullable=False),
    Column("modified_at", Utc),
    Column("sequence", sa.BigInteger),
    Column("reader", sa.Text, nullable=False),
    Column("state", sa.Text, nullable=False),
    Column("note", sa.Text),
    Column("taken_at", Utc, nullable=False),
    CheckConstraint(one_of("state", InputState), name="inputs_state"),
    CheckConstraint(f"{one_of('state', TAKEN_STATES)} OR note IS NOT NULL", name="inputs_missing_has_note"),
)
Index("inputs_by_source", inputs.c.source, inputs.c.reader)

exports = Table(
    "exports",
    metadata,
    Column("export_id", sa.Text, primary_key=True),
    Column("run_id", sa.Text, ForeignKey("runs.run_id", name="exports_run"), nullable=False),
    Column("sequence", sa.Integer, nullable=False),
    Column("state", sa.Text, nullable=False),
    Column("actor", sa.Text, nullable=False),
    Column("folder", sa.Text, nullable=False),
    Column("manifest_sha256", sa.Text),
    Column("started_at", Utc, nullable=False),
    Column("finished_at", Utc),
    Column("plan", sa.Text),
    Column("abandoned_by", sa.Text, ForeignKey("users.name", name="exports_abandoner")),
    Column("abandon_note", sa.Text),
    Column("part", sa.Integer, nullable=False, server_default="1"),
    UniqueConstraint("run_id", "sequence", name="exports_sequence"),
    CheckConstraint(one_of("state", ExportState), name="exports_state"),
    CheckConstraint("state <> 'published' OR manifest_sha256 IS NOT NULL", name="exports_published_has_manifest"),
    CheckConstraint(
        "state = 'abandoned' AND manifest_sha256 IS NULL AND finished_at IS NOT NULL AND abandoned_by IS NOT NULL "
        "AND abandon_note IS NOT NULL AND abandon_note <> '' "
        "OR state <> 'abandoned' AND abandoned_by IS NULL AND abandon_note IS NULL",
        name="exports_abandoned_by_somebody",
    ),
)
"""``part`` numbers exports that were claimed together, because members of one household leave in more than one."""
Index(
    "exports_one_writing",
    exports.c.run_id,
    exports.c.part,
    unique=True,
    sqlite_where=sa.text("state = 'writing'"),
    postgresql_where=sa.text("state = 'writing'"),
)

proposals = Table(
    "proposals",
    metadata,
    Column("proposal_id", sa.Text, primary_key=True),
    Column("run_id", sa.Text, nullable=False),
    Column("submitter", sa.Text, nullable=False),
    Column("account_id", sa.Text, nullable=False),
    Column("custodian", sa.Text, nullable=False),
    Column("as_of_date", sa.Date, nullable=False),
    Column("state", sa.Text, nullable=False),
    Column("version", sa.Integer, nullable=False),
    Column("amender", sa.Text, nullable=False),
    Column("replaces", sa.Text, ForeignKey("proposals.proposal_id", name="proposals_replaced")),
    Column("revision", sa.Integer, nullable=False),
    Column("content_hash", sa.Text, nullable=False),
    Column("triggers", sa.Text, nullable=False),
    Column("route", sa.Text, nullable=False),
    Column("route_reasons", sa.Text, nullable=False),
    Column("look_reasons", sa.Text, nullable=False),
    Column("priority", sa.Integer, nullable=False),
    Column("nav_usd", Money, nullable=False),
    Column("gross_value_usd", Money, nullable=False),
    Column("turnover", sa.Float, nullable=False),
    Column("one_way_drift_before", sa.Float),
    Column("one_way_drift_after", sa.Float),
    Column("gap_bps", sa.Float),
    Column("est_tax_usd", Money, nullable=False),
    Column("est_cost_usd", Money, nullable=False),
    Column("order_count", sa.Integer, nullable=False),
    Column("model_hash", sa.Text, nullable=False),
    Column("approvals_needed", sa.Integer, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("expires_at", Utc, nullable=False),
    Column("cut_off_at", Utc),
    Column("state_changed_at", Utc, nullable=False),
    Column("held_by", sa.Text, ForeignKey("users.name", name="proposals_holder")),
    Column("assignee", sa.Text, ForeignKey("users.name", name="proposals_assignee")),
    Column("export_id", sa.Text, ForeignKey("exports.export_id", name="proposals_export")),
    Column("household_id", sa.Text),
    ForeignKeyConstraint(["run_id", "submitter"], ["runs.run_id", "runs.submitter"], name="proposals_run"),
    UniqueConstraint("run_id", "account_id", "version", name="proposals_account"),
    UniqueConstraint("proposal_id", "content_hash", "submitter", "amender", name="proposals_content"),
    CheckConstraint(one_of("state", ProposalState), name="proposals_state"),
    CheckConstraint(one_of("route", Route), name="proposals_route"),
    CheckConstraint("approvals_needed IN (1, 2)", name="proposals_approvals"),
    CheckConstraint(
        "version = 1 AND amender = '' AND replaces IS NULL OR version > 1 AND amender <> '' AND replaces IS NOT NULL",
        name="proposals_amended_by_somebody",
    ),
    CheckConstraint(f"export_id IS NULL OR {one_of('state', CLAIMED_STATES)}", name="proposals_claimed_state"),
    CheckConstraint(f"export_id IS NOT NULL OR NOT ({one_of('state', SENT_STATES)})", name="proposals_sent_in_export"),
)
Index("proposals_queue", proposals.c.state, proposals.c.priority.desc(), proposals.c.proposal_id)
Index("proposals_by_run", proposals.c.run_id)
Index("proposals_by_account", proposals.c.account_id)
Index("proposals_by_export", proposals.c.export_id)
Index("proposals_by_household", proposals.c.run_id, proposals.c.household_id)
Index(
    "proposals_one_open",
    proposals.c.account_id,
    unique=True,
    sqlite_where=sa.text(one_of("state", OPEN_STATES)),
    postgresql_where=sa.text(one_of("state", OPEN_STATES)),
)

household_proposals = Table(
    "household_proposals",
    metadata,
    Column("run_id", sa.Text, ForeignKey("runs.run_id", name="household_proposals_run"), primary_key=True),
    Column("household_id", sa.Text, primary_key=True),
    Column("state", sa.Text, nullable=False),
    Column("held_by", sa.Text, ForeignKey("users.name", name="household_proposals_holder")),
    Column("assignee", sa.Text, ForeignKey("users.name", name="household_proposals_assignee")),
    Column("is_claimed", sa.Boolean, nullable=False),
    CheckConstraint(one_of("state", TOGETHER_STATES), name="household_proposals_state"),
    CheckConstraint(
        f"is_claimed AND {one_of('state', (*RELEASABLE_STATES, ProposalState.EXPORTED))} "
        "OR NOT is_claimed AND state <> 'exported'",
        name="household_proposals_claimed_state",
    ),
)
"""A household that is managed together, in a run: its members' proposals are one decision, and this is where it stands.

Triggers keep each proposal as its household is, and move all of them with it (``creation``). ``is_claimed``: exports hold them.
``exported`` from the first of those exports on.
"""

decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", sa.Integer, primary_key=True, autoincrement=True),
    Column("proposal_id", sa.Text, nullable=False),
    Column("content_hash", sa.Text, nullable=False),
    Column("submitter", sa.Text, nullable=False),
    Column("amender", sa.Text, nullable=False),
    Column("actor", sa.Text, ForeignKey("users.name", name="decisions_user"), nullable=False),
    Column("decision", sa.Text, nullable=False),
    Column("note", sa.Text, nullable=False),
    Column("decided_at", Utc, nullable=False),
    ForeignKeyConstraint(
        ["proposal_id", "content_hash", "submitter", "amender"],
        ["proposals.proposal_id", "proposals.content_hash", "proposals.submitter", "proposals.amender"],
        name="decisions_content",
    ),
    CheckConstraint(one_of("decision", Decision), name="decisions_decision"),
    CheckConstraint(
        "actor <> submitter AND actor <> amender OR decision <> 'approve'", name="decisions_checker_is_not_maker"
    ),
    CheckConstraint(f"note <> '' OR NOT ({one_of('decision', NOTED)})", name="decisions_has_note"),
)
Index("decisions_by_proposal", decisions.c.proposal_id)
Index(
    "decisions_four_eyes",
    decisions.c.proposal_id,
    decisions.c.content_hash,
    decisions.c.actor,
    unique=True,
    sqlite_where=sa.text("decision = 'approve'"),
    postgresql_where=sa.text("decision = 'approve'"),
)

amended_proposals = Table("amended_proposals", metadata, *_version_columns("proposals", "proposal_id"))
"""What the lake's table ``proposals`` says of a proposal, of versions after the first."""

amended_orders = Table("amended_orders", metadata, *_version_columns("orders", "proposal_id", "order_id"))

amended_lots = Table(
    "amended_lots",
    metadata,
    Column("proposal_id", sa.Text, ForeignKey("proposals.proposal_id", name="amended_lots_proposal"), primary_key=True),
    *_version_columns("lot_relief", "order_id", "lot_id"),
)

export_orders = Table(
    "export_orders",
    metadata,
    Column("order_id", sa.Text, primary_key=True),
    Column("export_id", sa.Text, ForeignKey("exports.export_id", name="export_orders_export"), nullable=False),
    Column("proposal_id", sa.Text, ForeignKey("proposals.proposal_id", name="export_orders_proposal"), nullable=False),
    Column("block_id", sa.Text),
    Column("account_id", sa.Text),
    Column("custodian", sa.Text),
    Column("side", sa.Text),
    Column("security_id", sa.Text),
    Column("symbol", sa.Text),
    Column("quantity", Money),
    Column("quantity_step", Money),
    Column("price_usd", Money),
    Column("price_factor", Money),
    Column("amount_usd", Money),
    Column("cusip", sa.Text),
    Column("isin", sa.Text),
)
"""Orders as they left."""
Index("export_orders_by_export", export_orders.c.export_id)
Index("export_orders_by_block", export_orders.c.block_id)
Index("export_orders_by_proposal", export_orders.c.proposal_id)
Index("export_orders_by_account", export_orders.c.account_id)

audit = Table(
    "audit",
    metadata,
    Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    Column("at", Utc, nullable=False),
    Column("actor", sa.Text, nullable=False),
    Column("run_id", sa.Text),
    Column("proposal_id", sa.Text),
    Column("event", sa.Text, nullable=False),
    Column("from_state", sa.Text),
    Column("to_state", sa.Text),
    Column("detail", sa.Text, nullable=False),
    Column("previous_hash", sa.Text, nullable=False),
    Column("hash", sa.Text, nullable=False),
    UniqueConstraint("hash", name="audit_hash"),
)
Index("audit_by_proposal", audit.c.proposal_id)
Index("audit_by_run", audit.c.run_id, audit.c.event)

audit_head = Table(
    "audit_head",
    metadata,
    Column("one", sa.Integer, primary_key=True, autoincrement=False),
    Column("seq", sa.BigInteger, nullable=False),
    Column("hash", sa.Text, nullable=False),
    CheckConstraint("one = 1", name="audit_head_one_row"),
)

row_releases = Table(
    "row_releases",
    metadata,
    Column("as_of_date", sa.Date, primary_key=True),
    Column("quarantine_id", sa.Text, primary_key=True),
    Column("run_id", sa.Text, ForeignKey("runs.run_id", name="row_releases_run"), nullable=False),
    Column("table_name", sa.Text, nullable=False),
    Column("broken_rules", sa.Text, nullable=False),
    Column("actor", sa.Text, ForeignKey("users.name", name="row_releases_user"), nullable=False),
    Column("note", sa.Text, nullable=False),
    Column("released_at", Utc, nullable=False),
    CheckConstraint("note <> ''", name="row_releases_has_note"),
)

halts = Table(
    "halts",
    metadata,
    Column("halt_id", sa.Integer, primary_key=True, autoincrement=True),
    Column("actor", sa.Text, ForeignKey("users.name", name="halts_user"), nullable=False),
    Column("note", sa.Text, nullable=False),
    Column("halted_at", Utc, nullable=False),
    Column("lifted_by", sa.Text, ForeignKey("users.name", name="halts_lifter")),
    Column("lift_note", sa.Text),
    Column("lifted_at", Utc),
    CheckConstraint("note <> ''", name="halts_has_note"),
    CheckConstraint(
        "lifted_at IS NULL AND lifted_by IS NULL AND lift_note IS NULL "
        "OR lifted_at IS NOT NULL AND lifted_by IS NOT NULL AND lift_note IS NOT NULL AND lift_note <> ''",
        name="halts_lifted_by_somebody",
    ),
    Index(
        "halts_one_in_force",
        sa.text("(lifted_at IS NULL)"),
        unique=True,
        sqlite_where=sa.text("lifted_at IS NULL"),
        postgresql_where=sa.text("lifted_at IS NULL"),
    ),
)

sessions = Table(
    "sessions",
    metadata,
    Column("session_hash", sa.Text, primary_key=True),
    Column("name", sa.Text, ForeignKey("users.name", name="sessions_user"), nullable=False),
    Column("method", sa.Text, nullable=False),
    Column("signed_in_at", Utc, nullable=False),
    Column("seen_at", Utc, nullable=False),
    Column("expires_at", Utc, nullable=False),
    Column("ended_at", Utc),
    CheckConstraint(one_of("method", SignIn), name="sessions_method"),
)
Index("sessions_by_user", sessions.c.name)

tokens = Table(
    "tokens",
    metadata,
    Column("token_id", sa.Text, primary_key=True),
    Column("token_hash", sa.Text, nullable=False),
    Column("label", sa.Text, nullable=False),
    Column("owner", sa.Text, ForeignKey("users.name", name="tokens_owner"), nullable=False),
    Column("scopes", sa.Text, nullable=False),
    Column("custodians", sa.Text),
    Column("created_by", sa.Text, ForeignKey("users.name", name="tokens_maker"), nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("expires_at", Utc, nullable=False),
    Column("revoked_at", Utc),
    UniqueConstraint("token_hash", name="tokens_hash"),
    CheckConstraint("scopes <> ''", name="tokens_has_scope"),
)

sign_in_failures = Table(
    "sign_in_failures",
    metadata,
    Column("key_hash", sa.Text, primary_key=True),
    Column("failures", sa.Integer, nullable=False),
    Column("first_at", Utc, nullable=False),
    Column("last_at", Utc, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", sa.Integer, primary_key=True, autoincrement=True),
    Column("kind", sa.Text, nullable=False),
    Column("wanted", sa.Text, nullable=False),
    Column("actor", sa.Text, ForeignKey("users.name", name="jobs_user"), nullable=False),
    Column("asked_at", Utc, nullable=False),
    Column("host", sa.Text),
    Column("process", sa.Integer),
    Column("began_at", Utc),
    Column("finished_at", Utc),
    Column("exit_code", sa.Integer),
    Column("run_id", sa.Text),
    Column("told", sa.Text),
    CheckConstraint(one_of("kind", JobKind), name="jobs_kind"),
    CheckConstraint(
        "finished_at IS NULL AND exit_code IS NULL OR finished_at IS NOT NULL AND exit_code IS NOT NULL",
        name="jobs_finished_with_code",
    ),
    CheckConstraint(
        "began_at IS NULL AND process IS NULL OR began_at IS NOT NULL AND process IS NOT NULL", name="jobs_begun"
    ),
)
"""``wanted``: JSON of what was asked for. ``told``: what it came to, in words."""
Index(
    "jobs_one_open",
    jobs.c.kind,
    jobs.c.wanted,
    unique=True,
    sqlite_where=sa.text("finished_at IS NULL"),
    postgresql_where=sa.text("finished_at IS NULL"),
)

saved_filters = Table(
    "saved_filters",
    metadata,
    Column("owner", sa.Text, ForeignKey("users.name", name="saved_filters_owner"), primary_key=True),
    Column("name", sa.Text, primary_key=True),
    Column("filter", sa.Text, nullable=False),
    Column("saved_at", Utc, nullable=False),
    CheckConstraint("name <> ''", name="saved_filters_named"),
)
