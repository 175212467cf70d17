"""Makes the ledger's tables in an empty database, and the triggers that keep what is written there.

Columns, keys and conditions stand in the modules of tables. Here is what a table cannot say of itself: which rows are never
changed or deleted, that an export which was given up is given up for good, that a run or a proposal is in the state that the audit
says, and that the proposals of a household which is
managed together are in one state: a row of ``household_proposals`` moves all of them, and none moves alone.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from schemas.executions import SIMULATED
from warehouse.ledger.store import (
    breach_tables,  # noqa: F401 - declares its tables
    change_tables,  # noqa: F401 - declares its tables
    market_tables,
)
from warehouse.ledger.store.audit_chain import GENESIS
from warehouse.ledger.store.policy_tables import policy_triggers
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
from warehouse.ledger.store.types import one_of
from warehouse.ledger.store.words import CLAIMED_STATES, OPEN_STATES, RUN_EVENTS

Rule = tuple[str, str, str, str]
Look = tuple[str, str, str, str, str]
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
REFUSAL: Final = "rows of {} are never changed or deleted"
ONCE_GIVEN_UP: Final = f"{REFUSAL} once given up"
LOOKS: Final = (
    ("exports", "lets_go", "NEW.state = 'abandoned'", CLAIMED, ONCE_GIVEN_UP),
    ("proposals", "stays_out", "NEW.export_id IS NOT NULL", GIVEN_UP, ONCE_GIVEN_UP),
)
"""Table, name, the rows to look at after an update or an insertion, the query that must find nothing, and what is said else."""

TOGETHER: Final = "rows of {} are never changed alone where a household is decided as one"
OWN_HOUSEHOLD: Final = "household.run_id = NEW.run_id AND household.household_id = NEW.household_id"
AS_THE_HOUSEHOLD: Final = (
    "household.state = NEW.state AND household.is_claimed = (NEW.export_id IS NOT NULL) "
    "AND coalesce(household.held_by, '') = coalesce(NEW.held_by, '') "
    "AND coalesce(household.assignee, '') = coalesce(NEW.assignee, '')"
)
LEAVING: Final = f"NEW.export_id IS NOT NULL AND {one_of('NEW.state', CLAIMED_STATES)} OR NEW.state = 'withdrawn'"
"""What a proposal may be once the first of its household has left: on its way in an export, at the market, or given up."""
APART: Final = (
    "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM household_proposals AS household "
    f"WHERE {OWN_HOUSEHOLD} AND ({AS_THE_HOUSEHOLD} OR household.state = 'exported' AND ({LEAVING})))"
)
"""A proposal that is not as its household is: there must be none."""
HOUSEHOLD_RULES: Final = (
    ("household_proposals", "over", "UPDATE", f"NOT ({one_of('OLD.state', OPEN_STATES)})"),
    ("household_proposals", "stays", "UPDATE", "NEW.run_id <> OLD.run_id OR NEW.household_id <> OLD.household_id"),
    ("household_proposals", "unclaimed", "UPDATE", "NEW.state = 'exported' AND NOT OLD.is_claimed"),
    ("household_proposals", "no_delete", "DELETE", "TRUE"),
    ("proposals", "member_no_delete", "DELETE", "OLD.household_id IS NOT NULL"),
    (
        "proposals",
        "household",
        "UPDATE",
        "coalesce(NEW.household_id, '') <> coalesce(OLD.household_id, '') OR NEW.run_id <> OLD.run_id",
    ),
)
HOUSEHOLD_LOOKS: Final = (
    ("proposals", "apart", "NEW.household_id IS NOT NULL", APART, TOGETHER),
    (
        "proposals",
        "alone",
        "NEW.replaces IS NOT NULL",
        "SELECT 1 FROM proposals WHERE proposal_id = NEW.replaces AND household_id IS NOT NULL",
        TOGETHER,
    ),
)
UNSAID: Final = "rows of {} are never changed without a row of the audit that says so"
SAID_OF_RUN: Final = f"run_id = NEW.run_id AND {one_of('event', RUN_EVENTS)} AND proposal_id IS NULL"
SAID_OF_PROPOSAL: Final = "proposal_id = NEW.proposal_id AND to_state IS NOT NULL"
NEWEST: Final = (
    "SELECT 1 WHERE NEW.state <> coalesce((SELECT to_state FROM audit WHERE {} ORDER BY seq DESC LIMIT 1), '')"
)
"""A state that is not that of the newest row of the audit: there must be none. The row is written first."""
STATE_RULES: Final = (
    (
        "proposals",
        "as_routed",
        "UPDATE",
        " OR ".join(
            f"NEW.{name} <> OLD.{name}"
            for name in (
                "content_hash",
                "approvals_needed",
                "submitter",
                "amender",
                "run_id",
                "account_id",
                "custodian",
            )
        ),
    ),
)
SAID_OF_CHANGE: Final = "proposal_id = NEW.change_id AND to_state IS NOT NULL"
CHANGE_RULES: Final = (
    (
        "model_changes",
        "as_proposed",
        "UPDATE",
        " OR ".join(
            f"NEW.{name} <> OLD.{name}"
            for name in (
                "content_hash",
                "submitter",
                "run_id",
                "subject_kind",
                "subject_id",
                "from_model_id",
                "to_model_id",
            )
        ),
    ),
    ("model_changes", "needs", "UPDATE", "NEW.approvals_needed < OLD.approvals_needed"),
    ("model_changes", "no_delete", "DELETE", "TRUE"),
    ("change_decisions", "no_update", "UPDATE", "TRUE"),
    ("change_decisions", "no_delete", "DELETE", "TRUE"),
)
CHANGE_LOOKS: Final = (("model_changes", "said", "TRUE", NEWEST.format(SAID_OF_CHANGE), UNSAID),)
STATE_LOOKS: Final = (
    ("proposals", "said", "TRUE", NEWEST.format(SAID_OF_PROPOSAL), UNSAID),
    ("runs", "said", "TRUE", NEWEST.format(SAID_OF_RUN), UNSAID),
)
SIMULATION_RULES: Final = (("runs", "simulation", "UPDATE", "NEW.is_simulation <> OLD.is_simulation"),)
REAL: Final = (
    "SELECT 1 FROM export_orders AS sent JOIN exports ON exports.export_id = sent.export_id "
    "JOIN runs ON runs.run_id = exports.run_id "
    "WHERE NOT runs.is_simulation AND (sent.order_id = NEW.order_id OR sent.block_id = NEW.block_id)"
)
"""Orders that left for good, about which a simulated broker has nothing to say."""
SIMULATION_LOOKS: Final = (
    (
        "executions",
        "simulated",
        f"NEW.execution_id LIKE '{SIMULATED}%'",
        REAL,
        "rows of {} are never simulated where their order is not",
    ),
)
CLAIM: Final = (
    "SELECT max(claimed.export_id) FROM export_orders AS claimed JOIN exports ON exports.export_id = claimed.export_id "
    "WHERE claimed.proposal_id = proposals.proposal_id AND exports.state = 'writing'"
)
MEMBERS_FOLLOW: Final = (
    "UPDATE proposals SET state = NEW.state, held_by = NEW.held_by, assignee = NEW.assignee, "
    f"export_id = CASE WHEN NEW.is_claimed THEN ({CLAIM}) END "
    "WHERE run_id = NEW.run_id AND household_id = NEW.household_id"
)
"""What happens to a household happens to the proposals of all its members. One whose orders no export holds cannot be claimed."""
FOLLOWS: Final = (("household_proposals", "members", "NEW.state <> 'exported'", MEMBERS_FOLLOW),)
"""Table, name, the rows after whose update the statement runs, and the statement."""


def create_tables(connection: Connection) -> None:
    """All tables of the ledger with their triggers, and an audit chain without a link, in the caller's transaction."""
    metadata.create_all(connection)
    connection.execute(sa.insert(audit_head).values(one=1, seq=0, hash=GENESIS))
    dialect = connection.dialect.name
    first = _postgresql_triggers if dialect == "postgresql" else _sqlite_triggers
    statements = (
        *first(FIXED, RULES, LOOKS),
        *household_triggers(dialect),
        *state_triggers(dialect),
        *change_triggers(dialect),
        *policy_triggers(dialect),
        *simulation_triggers(dialect),
    )
    for statement in statements:
        connection.execute(sa.text(statement))


def household_triggers(dialect: str) -> Iterator[str]:
    """The statements that make the triggers of households; ``refuse_change`` is there already."""
    if dialect == "postgresql":
        yield from _postgresql_triggers((), HOUSEHOLD_RULES, HOUSEHOLD_LOOKS)
    else:
        yield from _sqlite_triggers((), HOUSEHOLD_RULES, HOUSEHOLD_LOOKS)
    for name, label, rows, statement in FOLLOWS:
        trigger, when = f"{name}_{label}", f"AFTER UPDATE ON {name}"
        if dialect == "postgresql":
            yield _function(trigger, f"{statement}; RETURN NULL;")
            yield f"CREATE TRIGGER {trigger} {when} FOR EACH ROW WHEN ({rows}) EXECUTE FUNCTION {trigger}()"
        else:
            yield f"CREATE TRIGGER {trigger} {when} WHEN {rows} BEGIN {statement}; END"


def state_triggers(dialect: str) -> Iterator[str]:
    """The statements that make the triggers of states; ``refuse_change`` is there already."""
    make = _postgresql_triggers if dialect == "postgresql" else _sqlite_triggers
    yield from make((), STATE_RULES, STATE_LOOKS)


def change_triggers(dialect: str) -> Iterator[str]:
    """The statements that make the triggers of model changes; ``refuse_change`` is there already."""
    make = _postgresql_triggers if dialect == "postgresql" else _sqlite_triggers
    yield from make((), CHANGE_RULES, CHANGE_LOOKS)


def simulation_triggers(dialect: str) -> Iterator[str]:
    """The statements that make the triggers of simulations; ``refuse_change`` is there already."""
    make = _postgresql_triggers if dialect == "postgresql" else _sqlite_triggers
    yield from make((), SIMULATION_RULES, SIMULATION_LOOKS)


def _sqlite_triggers(fixed: Sequence[sa.Table], rules: Sequence[Rule], looks: Sequence[Look]) -> Iterator[str]:
    def refuse(message: str, table: str) -> str:
        return f"SELECT RAISE(ABORT, '{message.format(table)}')"

    for table in fixed:
        for verb in ("update", "delete"):
            yield (
                f"CREATE TRIGGER {table.name}_no_{verb} BEFORE {verb.upper()} ON {table.name} "
                f"BEGIN {refuse(REFUSAL, table.name)}; END"
            )
    for name, label, verb, rows in rules:
        yield (
            f"CREATE TRIGGER {name}_{label} BEFORE {verb} ON {name} WHEN {rows} "
            f"BEGIN {refuse(ONCE_GIVEN_UP, name)}; END"
        )
    for name, label, rows, query, message in looks:
        for verb in ("INSERT", "UPDATE"):
            yield (
                f"CREATE TRIGGER {name}_{label}_{verb.lower()} BEFORE {verb} ON {name} WHEN {rows} "
                f"BEGIN {refuse(message, name)} WHERE EXISTS ({query}); END"
            )


def _function(name: str, body: str) -> str:
    return f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"


def _postgresql_triggers(fixed: Sequence[sa.Table], rules: Sequence[Rule], looks: Sequence[Look]) -> Iterator[str]:
    def refuse(message: str) -> str:
        return f"RAISE EXCEPTION '{message.format('%')}', TG_TABLE_NAME;"

    if fixed:
        yield _function("refuse_change", refuse(REFUSAL))
    for table in fixed:
        yield (
            f"CREATE TRIGGER {table.name}_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON {table.name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    for name, label, verb, rows in rules:
        yield (
            f"CREATE TRIGGER {name}_{label} BEFORE {verb} ON {name} "
            f"FOR EACH ROW WHEN ({rows}) EXECUTE FUNCTION refuse_change()"
        )
    for name, label, rows, query, message in looks:
        for verb in ("INSERT", "UPDATE"):
            trigger = f"{name}_{label}_{verb.lower()}"
            yield _function(trigger, f"IF EXISTS ({query}) THEN {refuse(message)} END IF; RETURN NEW;")
            yield (
                f"CREATE TRIGGER {trigger} BEFORE {verb} ON {name} "
                f"FOR EACH ROW WHEN ({rows}) EXECUTE FUNCTION {trigger}()"
            )
