"""The ledger's tables of what looks between the nights found: accounts out of band, the scopes that runs are started for, and who looks."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table

from warehouse.ledger.store.tables import metadata
from warehouse.ledger.store.types import Utc

LASTING: Final = "cleared_at IS NULL"

scopes = Table(
    "scopes",
    metadata,
    Column("scope_id", sa.Text, primary_key=True),
    Column("as_of_date", sa.Date, nullable=False),
    Column("cause", sa.Text, nullable=False),
    Column("account_count", sa.BigInteger, nullable=False),
    Column("night_run_id", sa.Text, ForeignKey("runs.run_id", name="scopes_night"), nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("announced_at", Utc),
    Column("run_id", sa.Text, ForeignKey("runs.run_id", name="scopes_run")),
    CheckConstraint("cause <> ''", name="scopes_has_cause"),
    CheckConstraint("(cause = 'late_file') = (account_count = 0)", name="scopes_names_accounts"),
)
"""Accounts that one look found newly out of band together, or late files that have come: what one run is for."""

breaches = Table(
    "breaches",
    metadata,
    Column("breach_id", sa.Integer, primary_key=True, autoincrement=True),
    Column("account_id", sa.Text, nullable=False),
    Column("scope_id", sa.Text, ForeignKey("scopes.scope_id", name="breaches_scope"), nullable=False),
    Column("causes", sa.Text, nullable=False),
    Column("model_hash", sa.Text, nullable=False),
    Column("breached_at", Utc, nullable=False),
    Column("cleared_at", Utc),
    CheckConstraint("causes <> ''", name="breaches_has_cause"),
)
"""When each account went out of band, in which scope it was looked at, and when it was armed again; null while it lasts."""
Index(
    "breaches_one_lasting",
    breaches.c.account_id,
    unique=True,
    sqlite_where=sa.text(LASTING),
    postgresql_where=sa.text(LASTING),
)
Index("breaches_by_scope", breaches.c.scope_id, breaches.c.account_id, unique=True)

followers = Table(
    "followers",
    metadata,
    Column("follower_id", sa.Text, primary_key=True),
    Column("host", sa.Text, nullable=False),
    Column("process", sa.Integer, nullable=False),
    Column("started_at", Utc, nullable=False),
    Column("looked_at_time", Utc, nullable=False),
    Column("ended_at", Utc),
    Column("look_every_seconds", sa.Float, nullable=False),
    Column("look_count", sa.BigInteger, nullable=False),
    Column("state", sa.Text, nullable=False),
    Column("reasons", sa.Text, nullable=False),
    Column("as_of_date", sa.Date),
    Column("night_run_id", sa.Text, nullable=False),
    Column("looked_at", sa.BigInteger, nullable=False),
    Column("skipped", sa.BigInteger, nullable=False),
    Column("out_of_band", sa.BigInteger, nullable=False),
    Column("newly", sa.BigInteger, nullable=False),
    Column("fresh", sa.BigInteger, nullable=False),
    Column("old", sa.BigInteger, nullable=False),
    Column("never_quoted", sa.BigInteger, nullable=False),
    Column("refused_lines", sa.BigInteger, nullable=False),
    Column("seconds", sa.Float, nullable=False),
)
"""Processes that follow a stream of prices, each with its newest look. ``newly``, ``look_count`` and ``refused_lines`` are since it started."""
