"""Makes the ledger's tables in an empty database, and the triggers that keep what is written there.

Columns, keys and conditions stand in the modules of tables. Here is what a table cannot say of itself: which rows are never
changed or deleted, and that an export which was given up is given up for good.
"""

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from warehouse.ledger.store import (
    breach_tables,  # noqa: F401 - declares its tables
    market_tables,
)
from warehouse.ledger.store.audit_chain import GENESIS
from warehouse.ledger.store.tables import (
    amended_lots,
    amended_orders,
    amended_proposals,
    audit,
    audit_head,
    decisions,
    export_orders,
    metadata,
    row_releases,
)

FIXED: Final = (
    audit,
    decisions,
    export_orders,
    row_releases,
    amended_proposals,
    amended_orders,
    amended_lots,
    market_tables.executions,
    market_tables.execution_lots,
    market_tables.execution_files,
    market_tables.executions_aside,
    market_tables.allocation_exceptions,
)
"""Tables whose rows are never changed or deleted, by anybody."""
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
REFUSAL: Final = "rows of {} are never changed or deleted"
ONCE_GIVEN_UP: Final = f"{REFUSAL} once given up"


def create_tables(connection: Connection) -> None:
    """All tables of the ledger with their triggers, and an audit chain without a link, in the caller's transaction."""
    metadata.create_all(connection)
    connection.execute(sa.insert(audit_head).values(one=1, seq=0, hash=GENESIS))
    for statement in _postgresql_triggers() if connection.dialect.name == "postgresql" else _sqlite_triggers():
        connection.execute(sa.text(statement))


def _sqlite_triggers() -> Iterator[str]:
    def refuse(message: str, table: str) -> str:
        return f"SELECT RAISE(ABORT, '{message.format(table)}')"

    for table in FIXED:
        for verb in ("update", "delete"):
            yield (
                f"CREATE TRIGGER {table.name}_no_{verb} BEFORE {verb.upper()} ON {table.name} "
                f"BEGIN {refuse(REFUSAL, table.name)}; END"
            )
    for name, label, verb, rows in RULES:
        yield (
            f"CREATE TRIGGER {name}_{label} BEFORE {verb} ON {name} WHEN {rows} "
            f"BEGIN {refuse(ONCE_GIVEN_UP, name)}; END"
        )
    for name, label, rows, query in LOOKS:
        for verb in ("INSERT", "UPDATE"):
            yield (
                f"CREATE TRIGGER {name}_{label}_{verb.lower()} BEFORE {verb} ON {name} WHEN {rows} "
                f"BEGIN {refuse(ONCE_GIVEN_UP, name)} WHERE EXISTS ({query}); END"
            )


def _postgresql_triggers() -> Iterator[str]:
    def function(name: str, body: str) -> str:
        return f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"

    def refuse(message: str) -> str:
        return f"RAISE EXCEPTION '{message.format('%')}', TG_TABLE_NAME;"

    yield function("refuse_change", refuse(REFUSAL))
    for table in FIXED:
        yield (
            f"CREATE TRIGGER {table.name}_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON {table.name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    for name, label, verb, rows in RULES:
        yield (
            f"CREATE TRIGGER {name}_{label} BEFORE {verb} ON {name} "
            f"FOR EACH ROW WHEN ({rows}) EXECUTE FUNCTION refuse_change()"
        )
    for name, label, rows, query in LOOKS:
        for verb in ("INSERT", "UPDATE"):
            trigger = f"{name}_{label}_{verb.lower()}"
            yield function(trigger, f"IF EXISTS ({query}) THEN {refuse(ONCE_GIVEN_UP)} END IF; RETURN NEW;")
            yield (
                f"CREATE TRIGGER {trigger} BEFORE {verb} ON {name} "
                f"FOR EACH ROW WHEN ({rows}) EXECUTE FUNCTION {trigger}()"
            )
