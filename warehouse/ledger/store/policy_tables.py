"""The ledger's tables of changes of policy that a study stands behind: what was proposed, and what two people said of it."""

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Column, ForeignKey, Table

from warehouse.ledger.store.tables import metadata
from warehouse.ledger.store.types import Utc

VOTES_NEEDED: Final = 2
"""People who approve a change; none of them is the one who proposed it."""

policy_changes = Table(
    "policy_changes",
    metadata,
    Column("change_id", sa.Text, primary_key=True),
    Column("policy_id", sa.Text, nullable=False),
    Column("study_id", sa.Text, nullable=False),
    Column("study_policy", sa.Text, nullable=False),
    Column("content", sa.Text, nullable=False),
    Column("note", sa.Text, nullable=False),
    Column("proposer", sa.Text, ForeignKey("users.name", name="policy_changes_proposer"), nullable=False),
    Column("proposed_at", Utc, nullable=False),
    CheckConstraint("content <> ''", name="policy_changes_has_content"),
)
"""``content``: canonical JSON of parameters, bands, models, the study and what it found; ``change_id`` is its hash."""

policy_votes = Table(
    "policy_votes",
    metadata,
    Column("change_id", sa.Text, ForeignKey("policy_changes.change_id", name="policy_votes_change"), primary_key=True),
    Column("actor", sa.Text, ForeignKey("users.name", name="policy_votes_actor"), primary_key=True),
    Column("is_approved", sa.Boolean(create_constraint=False), nullable=False),
    Column("note", sa.Text, nullable=False),
    Column("voted_at", Utc, nullable=False),
    CheckConstraint("is_approved OR note <> ''", name="policy_votes_rejection_has_note"),
)
"""What a person said of a change, once."""

OWN: Final = "SELECT 1 FROM policy_changes WHERE change_id = NEW.change_id AND proposer = NEW.actor"
DECIDED: Final = (
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM policy_votes WHERE change_id = NEW.change_id AND NOT is_approved) "
    f"OR (SELECT count(*) FROM policy_votes WHERE change_id = NEW.change_id) >= {VOTES_NEEDED}"
)
REFUSAL: Final = "rows of policy_votes are of two people who did not propose it"
KEPT: Final = "rows of {} are never changed or deleted"


def policy_triggers(dialect: str) -> Iterator[str]:
    """The statements that make the triggers of both tables: rows stay, and nobody votes on their own change or on one that is decided."""
    for table in (policy_changes.name, policy_votes.name):
        for verb in ("UPDATE", "DELETE"):
            yield from _trigger(
                dialect, f"{table}_no_{verb.lower()}", f"BEFORE {verb} ON {table}", "SELECT 1", KEPT.format(table)
            )
    for label, query in (("own", OWN), ("decided", DECIDED)):
        yield from _trigger(dialect, f"policy_votes_{label}", "BEFORE INSERT ON policy_votes", query, REFUSAL)


def _trigger(dialect: str, name: str, when: str, query: str, message: str) -> Iterator[str]:
    if dialect == "postgresql":
        body = f"IF EXISTS ({query}) THEN RAISE EXCEPTION '{message}'; END IF; RETURN NEW;"
        yield f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"
        yield f"CREATE TRIGGER {name} {when} FOR EACH ROW EXECUTE FUNCTION {name}()"
    else:
        yield f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, '{message}') WHERE EXISTS ({query}); END"
