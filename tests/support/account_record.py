"""What the stores would hold of an account after a night, made without them."""

from collections.abc import Iterable
from typing import Any, Final

import polars as pl

from schemas.tables import PUBLIC
from tasks.core.drift.drift import account_drift
from tasks.core.explain.account_page import AccountRecord, household_facts
from tasks.core.facts.facts import Facts, account_parameters
from tasks.core.propose.orders import order_rows
from tasks.core.propose.proposals import proposal_rows
from tasks.core.propose.reasons import class_reasons
from tests.support.facts_table import AS_OF, drift_of, household_drift_of, solved_of

RUN: Final = {"run_id": "r", "as_of_date": AS_OF, "kind": "nightly", "state": "done"}


def told_of(facts: Facts, outcome: str = "proposed", reason: str = "drift", **more: Any) -> AccountRecord:
    """What the stores would hold of account ``a`` after a night."""
    return records_of(facts, ["a"], outcome, reason, **more)["a"]


def records_of(
    facts: Facts, accounts: Iterable[str], outcome: str = "proposed", reason: str = "drift", **more: Any
) -> dict[str, AccountRecord]:
    """What the stores would hold of some accounts, each managed alone, after a night in which all had the same outcome."""
    solved, joint = solved_of(facts), household_drift_of(facts)
    nobody = pl.DataFrame(schema={"account_id": pl.String})
    by_account = account_drift(drift_of(facts), account_parameters(facts), joint, due=(), changed_models=nobody)
    orders, relief = order_rows(solved, "r")
    proposals = proposal_rows(solved, orders, relief, by_account)
    made = {
        "account_drift": by_account,
        "drift": drift_of(facts).select(PUBLIC["drift"].keys()),
        "proposals": proposals.with_columns(route=pl.lit("review"), route_reasons=pl.lit("")),
        "orders": orders,
        "lot_relief": relief,
        "class_reasons": class_reasons(solved),
        "tilted_targets": facts.tilted_targets,
        "index_baskets": facts.index_baskets,
        "quarantine": pl.DataFrame(schema=PUBLIC["quarantine"]),
        "anomalies": pl.DataFrame(schema=PUBLIC["anomalies"]),
        **more,
    }
    found = {}
    for name in accounts:
        tables = {table: frame.filter(pl.col("account_id") == name) for table, frame in made.items()}
        decided = {"account_id": name, "outcome": outcome, "reason": reason}
        own = solved.only(pl.Series([name]))
        mine = household_facts(facts, name)
        found[name] = AccountRecord(RUN, decided, tables, joint, mine, None, solved=own, standing=own)
    return found
