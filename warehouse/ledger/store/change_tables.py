"""The ledger's tables of model changes that profiles asked for, and what people said of them."""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Column, ForeignKey, ForeignKeyConstraint, Index, Table, UniqueConstraint

from schemas.enums import ChangeState, ChangeSubject
from warehouse.ledger.store.tables import metadata
from warehouse.ledger.store.types import Money, Utc, one_of
from warehouse.ledger.store.words import NOTED, Decision

FIGURES: Final[dict[str, Any]] = {
    "nav_usd": Money,
    "gross_value_usd": Money,
    "est_tax_usd": Money,
    "est_cost_usd": Money,
    "turnover": sa.Float,
    "order_count": sa.BigInteger,
}
"""What a change costs, as of the newest night that asked for it."""

model_changes = Table(
    "model_changes",
    metadata,
    Column("change_id", sa.Text, primary_key=True),
    Column("content_hash", sa.Text, nullable=False),
    Column("run_id", sa.Text, nullable=False),
    Column("submitter", sa.Text, nullable=False),
    Column("subject_kind", sa.Text, nullable=False),
    Column("subject_id", sa.Text, nullable=False),
    Column("household_id", sa.Text, nullable=False),
    Column("investor_id", sa.Text, nullable=False),
    Column("from_model_id", sa.Text, nullable=False),
    Column("to_model_id", sa.Text, nullable=False),
    Column("current_rung", sa.BigInteger, nullable=False),
    Column("to_rung", sa.BigInteger, nullable=False),
    Column("reason", sa.Text, nullable=False),
    *(Column(name, kind, nullable=False) for name, kind in FIGURES.items()),
    Column("approvals_needed", sa.Integer, nullable=False),
    Column("state", sa.Text, nullable=False),
    Column("last_run_id", sa.Text, ForeignKey("runs.run_id", name="model_changes_last_run"), nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("state_changed_at", Utc, nullable=False),
    ForeignKeyConstraint(["run_id", "submitter"], ["runs.run_id", "runs.submitter"], name="model_changes_run"),
    UniqueConstraint("change_id", "content_hash", "submitter", name="model_changes_content"),
    CheckConstraint(one_of("subject_kind", ChangeSubject), name="model_changes_subject"),
    CheckConstraint(one_of("state", ChangeState), name="model_changes_state"),
    CheckConstraint("approvals_needed IN (1, 2)", name="model_changes_approvals"),
)
"""A model that an account, or a household that is managed together, should have instead of the one that its source says."""
for _state in (ChangeState.PENDING_REVIEW, ChangeState.APPROVED):
    _is_so = sa.text(f"state = '{_state}'")
    Index(
        f"model_changes_one_{_state}",
        model_changes.c.subject_kind,
        model_changes.c.subject_id,
        unique=True,
        sqlite_where=_is_so,
        postgresql_where=_is_so,
    )
Index("model_changes_by_content", model_changes.c.content_hash)

change_decisions = Table(
    "change_decisions",
    metadata,
    Column("decision_id", sa.Integer, primary_key=True, autoincrement=True),
    Column("change_id", sa.Text, nullable=False),
    Column("content_hash", sa.Text, nullable=False),
    Column("submitter", sa.Text, nullable=False),
    Column("actor", sa.Text, ForeignKey("users.name", name="change_decisions_user"), nullable=False),
    Column("decision", sa.Text, nullable=False),
    Column("note", sa.Text, nullable=False),
    Column("decided_at", Utc, nullable=False),
    ForeignKeyConstraint(
        ["change_id", "content_hash", "submitter"],
        ["model_changes.change_id", "model_changes.content_hash", "model_changes.submitter"],
        name="change_decisions_content",
    ),
    CheckConstraint(one_of("decision", Decision), name="change_decisions_decision"),
    CheckConstraint("actor <> submitter OR decision <> 'approve'", name="change_decisions_checker_is_not_maker"),
    CheckConstraint(f"note <> '' OR NOT ({one_of('decision', NOTED)})", name="change_decisions_has_note"),
)
Index(
    "change_decisions_four_eyes",
    change_decisions.c.change_id,
    change_decisions.c.actor,
    unique=True,
    sqlite_where=sa.text("decision = 'approve'"),
    postgresql_where=sa.text("decision = 'approve'"),
)
