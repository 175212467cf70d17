"""What happens after an export: its plan, its orders as they left, deliveries, executions, and what people allot."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

MONEY: Final = sa.Text().with_variant(sa.Numeric(38, 6), "postgresql")
MOMENT: Final = sa.DateTime(timezone=True)
BREAKS: Final = (
    "'overfilled', 'wrong_side', 'wrong_security', 'wrong_account', 'conflicting', 'exception_void', 'unknown_order', "
    "'unknown_fill', 'rejected', 'cancelled', 'not_filled', 'not_acknowledged', 'duplicate', 'unread'"
)
FIXED: Final = ("executions", "execution_lots", "execution_files", "executions_aside", "allocation_exceptions")
"""New tables whose rows are never changed or deleted."""


def upgrade() -> None:
    """Add columns and tables; nothing that was there changes."""
    op.add_column("exports", sa.Column("plan", sa.Text))
    for name in ("block_id", "account_id", "custodian", "side", "security_id", "symbol"):
        op.add_column("export_orders", sa.Column(name, sa.Text))
    for name in ("quantity", "quantity_step", "price_usd"):
        op.add_column("export_orders", sa.Column(name, MONEY))
    op.create_index("export_orders_by_block", "export_orders", ["block_id"])
    op.create_index("export_orders_by_proposal", "export_orders", ["proposal_id"])
    _deliveries()
    _executions()
    _answers()
    for table in FIXED:
        _forbid_changing(table)


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("export_id", sa.Text, sa.ForeignKey("exports.export_id", name="deliveries_export"), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("file_count", sa.BigInteger, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("manifest_sha256", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("sent_count", sa.BigInteger, nullable=False),
        sa.Column("problem", sa.Text),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("delivered_at", MOMENT),
        sa.CheckConstraint("state IN ('sending', 'delivered')", name="deliveries_state"),
        sa.CheckConstraint("(state = 'delivered') = (delivered_at IS NOT NULL)", name="deliveries_delivered_at"),
    )


def _executions() -> None:
    op.create_table(
        "execution_files",
        sa.Column("reading_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("taken_count", sa.BigInteger, nullable=False),
        sa.Column("aside_count", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, sa.ForeignKey("users.name", name="execution_files_user"), nullable=False),
    )
    op.create_table(
        "executions",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("execution_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("order_id", sa.Text, sa.ForeignKey("export_orders.order_id", name="executions_order")),
        sa.Column("block_id", sa.Text),
        sa.Column("client_order_id", sa.Text),
        sa.Column("account_id", sa.Text),
        sa.Column("symbol", sa.Text),
        sa.Column("security_id", sa.Text),
        sa.Column("side", sa.Text),
        sa.Column("quantity", MONEY),
        sa.Column("price_usd", MONEY),
        sa.Column("fees_usd", MONEY),
        sa.Column("trade_date", sa.Date),
        sa.Column("executed_at", MOMENT),
        sa.Column("reference_id", sa.Text),
        sa.Column("text", sa.Text),
        sa.Column("file_sha256", sa.Text, nullable=False),
        sa.Column("row_number", sa.BigInteger, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "kind IN ('acknowledged', 'rejected', 'cancelled', 'fill', 'bust', 'correct')", name="executions_kind"
        ),
        sa.CheckConstraint("(order_id IS NULL) <> (block_id IS NULL)", name="executions_order_or_block"),
        sa.CheckConstraint(
            "kind NOT IN ('fill', 'correct') OR quantity IS NOT NULL AND price_usd IS NOT NULL",
            name="executions_fill_has_price",
        ),
        sa.CheckConstraint(
            "kind NOT IN ('bust', 'correct') OR reference_id IS NOT NULL", name="executions_change_has_reference"
        ),
    )
    op.create_index("executions_by_order", "executions", ["order_id"])
    op.create_index("executions_by_block", "executions", ["block_id"])
    op.create_table(
        "execution_lots",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("execution_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("lot_id", sa.Text),
        sa.Column("acquired_date", sa.Date),
        sa.Column("quantity", MONEY, nullable=False),
        sa.Column("unit_cost_usd", MONEY),
        sa.ForeignKeyConstraint(
            ["source", "execution_id"],
            ["executions.source", "executions.execution_id"],
            name="execution_lots_execution",
        ),
    )
    op.create_table(
        "executions_aside",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("file_sha256", sa.Text, primary_key=True),
        sa.Column("row_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("execution_id", sa.Text),
        sa.Column("client_order_id", sa.Text),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("raw", sa.Text, nullable=False),
        sa.Column("quantity", MONEY),
        sa.Column("price_usd", MONEY),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.CheckConstraint(f"code IN ({BREAKS})", name="executions_aside_code"),
    )


def _answers() -> None:
    op.create_table(
        "order_states",
        sa.Column(
            "order_id", sa.Text, sa.ForeignKey("export_orders.order_id", name="order_states_order"), primary_key=True
        ),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("is_closed", sa.Boolean, nullable=False),
        sa.Column("filled_quantity", MONEY, nullable=False),
        sa.Column("average_price_usd", MONEY),
        sa.Column("gross_usd", MONEY, nullable=False),
        sa.Column("fees_usd", MONEY, nullable=False),
        sa.Column("first_trade_date", sa.Date),
        sa.Column("last_trade_date", sa.Date),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "state IN ('exported', 'acknowledged', 'partly_filled', 'filled', 'failed')", name="order_states_state"
        ),
    )
    op.create_table(
        "order_breaks",
        sa.Column("order_id", sa.Text, primary_key=True),
        sa.Column("code", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text),
        sa.Column("ordered_quantity", MONEY, nullable=False),
        sa.Column("filled_quantity", MONEY, nullable=False),
        sa.Column("amount_usd", MONEY, nullable=False),
        sa.Column("since_at", MOMENT, nullable=False),
        sa.CheckConstraint(f"code IN ({BREAKS})", name="order_breaks_code"),
    )
    op.create_table(
        "allocation_exceptions",
        sa.Column("exception_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("block_id", sa.Text, nullable=False),
        sa.Column(
            "order_id",
            sa.Text,
            sa.ForeignKey("export_orders.order_id", name="allocation_exceptions_order"),
            nullable=False,
        ),
        sa.Column("quantity", MONEY),
        sa.Column("actor", sa.Text, sa.ForeignKey("users.name", name="allocation_exceptions_user"), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=False),
        sa.CheckConstraint("note <> ''", name="allocation_exceptions_has_note"),
    )
    op.create_index("allocation_exceptions_by_block", "allocation_exceptions", ["block_id"])


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
