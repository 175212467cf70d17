"""Small ledgers for tests: ann is the admin, bob and cat review, rex releases, the machine `prefect` submits runs."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any

import polars as pl
import sqlalchemy as sa

from schemas.enums import ProposalState, Role, RunKind
from warehouse.ledger import ExportPart, ExportRow, Ledger, NewRun
from warehouse.ledger.store import Event, audit_chain

NOW = datetime(2026, 7, 1, 22, tzinfo=UTC)
ALONE: Mapping[str, str] = MappingProxyType({})
PENDING = ProposalState.PENDING_REVIEW


def opened(address: str) -> Ledger:
    return Ledger.open(address, owner="ann", now=NOW)


def staffed(address: str) -> Ledger:
    ledger = opened(address)
    for name, role in {"bob": Role.REVIEWER, "cat": Role.REVIEWER, "rex": Role.RELEASER, "vic": Role.VIEWER}.items():
        ledger.users.add_user(name, [role], actor="ann", now=NOW)
    return ledger


def new_run(run_id: str, day: int = 1, submitter: str = "prefect") -> NewRun:
    return NewRun(
        run_id=run_id,
        as_of_date=date(2026, 7, day),
        kind=RunKind.NIGHTLY,
        submitter=submitter,
        input_hash="feed",
        code_version="0.1.0",
        source="landing",
    )


def proposed(run_id: str, accounts: Iterable[str], **values: Any) -> pl.DataFrame:
    """One proposal an account, named ``<run>.<account>``."""
    defaults = {
        "custodian": "northbank",
        "content_hash": "as-proposed",
        "triggers": "drift",
        "route": "review",
        "route_reasons": "always_a_person",
        "look_reasons": "",
        "priority": 10,
        "one_way_drift_before": 0.06,
        "one_way_drift_after": 0.01,
        "gap_bps": 0.01,
        "nav_usd": 250_000,
        "gross_value_usd": 12_345.67,
        "turnover": 0.05,
        "est_tax_usd": 10.5,
        "est_cost_usd": 1.25,
        "order_count": 2,
        "model_hash": "growth",
        "approvals_needed": 1,
        "ttl_hours": 20.0,
        "household_id": None,
    }
    names = pl.Series("account_id", list(accounts), dtype=pl.String)
    return pl.DataFrame({"account_id": names}).with_columns(
        (run_id + "." + pl.col("account_id")).alias("proposal_id"),
        *(pl.lit(value).alias(name) for name, value in {**defaults, **values}.items()),
    )


def route(
    ledger: Ledger,
    run_id: str,
    accounts: Iterable[str],
    *,
    day: int = 1,
    pulled: Iterable[str] = (),
    now: datetime = NOW,
    submitter: str = "prefect",
    households: Mapping[str, str] = ALONE,
    at: Mapping[str, str] = ALONE,
    **values: Any,
) -> int:
    """Start the run if need be and route one proposal an account; ``households`` of accounts that are managed together, ``at`` their custodians."""
    ledger.runs.start_run(new_run(run_id, day, submitter), now)
    frame = proposed(run_id, accounts, **values)
    theirs = pl.Series([households.get(account) for account in frame["account_id"]], dtype=pl.String)
    frame = frame.with_columns(household_id=theirs)
    frame = frame.with_columns(custodian=pl.col("account_id").replace(at)) if at else frame
    everyone = pl.Series([*frame["account_id"], *pulled], dtype=pl.String)
    return ledger.proposals.route_proposals(run_id, frame, everyone, now)


def orders_of(proposal_ids: Iterable[str]) -> pl.DataFrame:
    """Two orders a proposal."""
    rows = [(f"{one}#{number}", one) for one in proposal_ids for number in (1, 2)]
    return pl.DataFrame(rows, schema={"order_id": pl.String, "proposal_id": pl.String}, orient="row")


def tell(connection: sa.Connection, state: str, proposal_ids: Iterable[str]) -> None:
    """Rows of the audit that say so, for what is then done by hand: it is another rule that is tried."""
    audit_chain.append(
        connection, [Event("hand", "told", proposal_id=one, to_state=state) for one in proposal_ids], NOW
    )


def claimed(ledger: Ledger, run_id: str, now: datetime = NOW) -> ExportRow:
    """Claim all that may leave."""
    orders = orders_of(ledger.exports.exportable(run_id, now))
    return ledger.exports.claim_export(run_id, [ExportPart(orders=orders)], actor="rex", folder="exports", now=now)


def states(ledger: Ledger, run_id: str | None = None) -> dict[str, str]:
    found = ledger.proposals.list_proposals(run_id=run_id)
    return dict(zip(found["proposal_id"], found["state"], strict=True))


def hours(count: float) -> timedelta:
    return timedelta(hours=count)
