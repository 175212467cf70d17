"""The ledger's tables of what happens after an export: where it was delivered, and what brokers and custodians say of its orders."""

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Column, ForeignKey, ForeignKeyConstraint, Index, Table

from schemas.enums import Break, ExecutionKind, OrderState
from warehouse.ledger.store.tables import metadata
from warehouse.ledger.store.types import Money, Utc, one_of
from warehouse.ledger.store.words import DeliveryState

deliveries = Table(
    "deliveries",
    metadata,
    Column("export_id", sa.Text, ForeignKey("exports.export_id", name="deliveries_export"), primary_key=True),
    Column("name", sa.Text, primary_key=True),
    Column("url", sa.Text, nullable=False),
    Column("state", sa.Text, nullable=False),
    Column("file_count", sa.BigInteger, nullable=False),
    Column("size_bytes", sa.BigInteger, nullable=False),
    Column("manifest_sha256", sa.Text, nullable=False),
    Column("attempts", sa.Integer, nullable=False),
    Column("sent_count", sa.BigInteger, nullable=False),
    Column("problem", sa.Text),
    Column("started_at", Utc, nullable=False),
    Column("delivered_at", Utc),
    CheckConstraint(one_of("state", DeliveryState), name="deliveries_state"),
    CheckConstraint("(state = 'delivered') = (delivered_at IS NOT NULL)", name="deliveries_delivered_at"),
)

execution_files = Table(
    "execution_files",
    metadata,
    Column("reading_id", sa.Integer, primary_key=True, autoincrement=True),
    Column("sha256", sa.Text, nullable=False),
    Column("source", sa.Text, nullable=False),
    Column("received_at", Utc, nullable=False),
    Column("name", sa.Text, nullable=False),
    Column("format", sa.Text, nullable=False),
    Column("row_count", sa.BigInteger, nullable=False),
    Column("taken_count", sa.BigInteger, nullable=False),
    Column("aside_count", sa.BigInteger, nullable=False),
    Column("actor", sa.Text, ForeignKey("users.name", name="execution_files_user"), nullable=False),
)

executions = Table(
    "executions",
    metadata,
    Column("source", sa.Text, primary_key=True),
    Column("execution_id", sa.Text, primary_key=True),
    Column("kind", sa.Text, nullable=False),
    Column("order_id", sa.Text, ForeignKey("export_orders.order_id", name="executions_order")),
    Column("block_id", sa.Text),
    Column("client_order_id", sa.Text),
    Column("account_id", sa.Text),
    Column("symbol", sa.Text),
    Column("security_id", sa.Text),
    Column("side", sa.Text),
    Column("quantity", Money),
    Column("price_usd", Money),
    Column("fees_usd", Money),
    Column("trade_date", sa.Date),
    Column("executed_at", Utc),
    Column("reference_id", sa.Text),
    Column("text", sa.Text),
    Column("file_sha256", sa.Text, nullable=False),
    Column("row_number", sa.BigInteger, nullable=False),
    Column("received_at", Utc, nullable=False),
    CheckConstraint(one_of("kind", ExecutionKind), name="executions_kind"),
    CheckConstraint("(order_id IS NULL) <> (block_id IS NULL)", name="executions_order_or_block"),
    CheckConstraint(
        "kind NOT IN ('fill', 'correct') OR quantity IS NOT NULL AND price_usd IS NOT NULL",
        name="executions_fill_has_price",
    ),
    CheckConstraint(
        "kind NOT IN ('bust', 'correct') OR reference_id IS NOT NULL", name="executions_change_has_reference"
    ),
)
Index("executions_by_order", executions.c.order_id)
Index("executions_by_block", executions.c.block_id)
Index(
    "executions_by_reference",
    executions.c.source,
    executions.c.reference_id,
    sqlite_where=executions.c.reference_id.is_not(None),
    postgresql_where=executions.c.reference_id.is_not(None),
)

execution_lots = Table(
    "execution_lots",
    metadata,
    Column("source", sa.Text, primary_key=True),
    Column("execution_id", sa.Text, primary_key=True),
    Column("number", sa.Integer, primary_key=True, autoincrement=False),
    Column("lot_id", sa.Text),
    Column("acquired_date", sa.Date),
    Column("quantity", Money, nullable=False),
    Column("unit_cost_usd", Money),
    ForeignKeyConstraint(
        ["source", "execution_id"], ["executions.source", "executions.execution_id"], name="execution_lots_execution"
    ),
)

executions_aside = Table(
    "executions_aside",
    metadata,
    Column("source", sa.Text, primary_key=True),
    Column("file_sha256", sa.Text, primary_key=True),
    Column("row_number", sa.BigInteger, primary_key=True, autoincrement=False),
    Column("execution_id", sa.Text),
    Column("client_order_id", sa.Text),
    Column("code", sa.Text, nullable=False),
    Column("message", sa.Text, nullable=False),
    Column("raw", sa.Text, nullable=False),
    Column("quantity", Money),
    Column("price_usd", Money),
    Column("received_at", Utc, nullable=False),
    CheckConstraint(one_of("code", Break), name="executions_aside_code"),
)

order_states = Table(
    "order_states",
    metadata,
    Column("order_id", sa.Text, ForeignKey("export_orders.order_id", name="order_states_order"), primary_key=True),
    Column("state", sa.Text, nullable=False),
    Column("is_closed", sa.Boolean, nullable=False),
    Column("filled_quantity", Money, nullable=False),
    Column("average_price_usd", Money),
    Column("gross_usd", Money, nullable=False),
    Column("fees_usd", Money, nullable=False),
    Column("first_trade_date", sa.Date),
    Column("last_trade_date", sa.Date),
    Column("changed_at", Utc, nullable=False),
    CheckConstraint(one_of("state", OrderState), name="order_states_state"),
)

order_breaks = Table(
    "order_breaks",
    metadata,
    Column("order_id", sa.Text, primary_key=True),
    Column("code", sa.Text, primary_key=True),
    Column("account_id", sa.Text),
    Column("ordered_quantity", Money, nullable=False),
    Column("filled_quantity", Money, nullable=False),
    Column("amount_usd", Money, nullable=False),
    Column("since_at", Utc, nullable=False),
    CheckConstraint(one_of("code", Break), name="order_breaks_code"),
)
"""Breaks of orders that anything was said about, and under a block's name of the block itself."""

allocation_exceptions = Table(
    "allocation_exceptions",
    metadata,
    Column("exception_id", sa.Integer, primary_key=True, autoincrement=True),
    Column("block_id", sa.Text, nullable=False),
    Column(
        "order_id", sa.Text, ForeignKey("export_orders.order_id", name="allocation_exceptions_order"), nullable=False
    ),
    Column("quantity", Money),
    Column("actor", sa.Text, ForeignKey("users.name", name="allocation_exceptions_user"), nullable=False),
    Column("note", sa.Text, nullable=False),
    Column("decided_at", Utc, nullable=False),
    CheckConstraint("note <> ''", name="allocation_exceptions_has_note"),
)
Index("allocation_exceptions_by_block", allocation_exceptions.c.block_id)
