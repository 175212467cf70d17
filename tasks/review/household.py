"""A household in a run: its accounts side by side, and where it is managed together its classes before and after its trades."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import polars as pl

from schemas.errors import WrongUsage
from schemas.run import RunRef
from schemas.tables import USD
from tasks.core.explain import Page, classes_after, household_facts, one_way
from tasks.core.facts import Facts, member_class
from tasks.known import facts as read_facts
from tasks.review.explain import find_run_of
from tasks.review.review import orders_and_lots
from warehouse.lake import Lake
from warehouse.ledger import Amendments, Answers, Proposals, RunRow, Runs

MOST_ACCOUNTS: Final = 200
"""Accounts of a household that are shown."""
TRADED: Final = {"side": pl.String(), "security_id": pl.String(), "value_usd": USD}
LANDED: Final = ("account_id", "household_id", "custodian", "tax_status", "model_id")


@dataclass(frozen=True, slots=True)
class AccountStores:
    """What accounts and their households are read from."""

    lake: Lake
    runs: Runs
    proposals: Proposals
    amendments: Amendments
    answers: Answers


def household_page(at: AccountStores, household_id: str, *, run_id: str | None = None) -> Page:
    """A household as of a run, the newest that has it where none is named: ``household_section`` with its run.

    Raises
    ------
    WrongUsage
        There is no such run, or no run has the household.
    """
    first = at.lake.rows_found("household_accounts", household_id=household_id)
    named = first if run_id is None else first.filter(run_id=run_id)
    known = {run.run_id: run for run in at.runs.list_runs(None)}
    rows = [row for row in named.iter_rows(named=True) if row["run_id"] in known]
    if not rows:
        where = "no run has a household" if run_id is None else f"run {run_id} has no household"
        raise WrongUsage(
            f"{where} {household_id}\n\nHint: the search box of the console finds those of the newest nights."
        )
    newest = max(rows, key=lambda row: (known[row["run_id"]].as_of_date, known[row["run_id"]].started_at))
    row, shard = find_run_of(at.lake, at.runs, newest["account_id"], newest["run_id"])
    facts = household_facts(
        read_facts(at.lake, RunRef(row.run_id, row.as_of_date, row.kind, row.shard_count), shard), newest["account_id"]
    )
    section = household_section(at, row, shard, facts, newest["account_id"])
    return {**(section or {}), "run": {"run_id": row.run_id, "as_of_date": row.as_of_date, "state": str(row.state)}}


def household_section(at: AccountStores, row: RunRow, shard: int, facts: Facts, account_id: str) -> Page | None:
    """The household of an account and all its accounts in a run, side by side; null where the account is alone.

    ``classes``: of one that is managed together, weights over the value of all its accounts, before and after its trades. ``facts`` are the
    household's.
    """
    members = facts.members["account_id"].unique().sort()
    landed = at.lake.rows_of("landed_accounts", row.run_id, [shard], members, LANDED)
    name = landed.filter(pl.col("account_id") == account_id)["household_id"].drop_nulls().to_list()
    if not name:
        return None
    wanted = members.head(MOST_ACCOUNTS)
    became = at.lake.rows_of("account_outcomes", row.run_id, [shard], wanted, ("account_id", "outcome", "reason"))
    drift = at.lake.rows_of("account_drift", row.run_id, [shard], wanted, ("account_id", "nav_usd", "one_way_drift"))
    siblings = (
        landed.drop("household_id")
        .unique("account_id")
        .join(became, on="account_id", how="left")
        .join(drift, on="account_id", how="left")
        .sort("account_id")
    )
    queue = {one: newest_proposal(at.proposals, row.run_id, one) for one in wanted}
    managed = facts.households.filter(pl.col("household_id") == name[0])
    joint = at.lake.read("household_drift", row.run_id, shard).filter(household_id=name[0])
    return {
        "household_id": name[0],
        "is_managed": managed.height > 0,
        "account_count": len(members),
        "model_id": managed["model_id"][0] if managed.height else None,
        "accounts": [{**one, **_standing(queue[one["account_id"]])} for one in siblings.to_dicts()],
        **_before_and_after(at, joint, facts, [one for one in queue.values() if one is not None]),
    }


def newest_proposal(proposals: Proposals, run_id: str, account_id: str) -> Mapping[str, Any] | None:
    """The newest version of the run's proposal for an account."""
    found = proposals.list_proposals(run_id=run_id, account_id=account_id).sort("version")
    return found.row(-1, named=True) if found.height else None


def _standing(proposal: Mapping[str, Any] | None) -> Page:
    names = (
        "proposal_id",
        "state",
        "one_way_drift_after",
        "gross_value_usd",
        "est_tax_usd",
        "est_cost_usd",
        "order_count",
    )
    return {name: None if proposal is None else proposal[name] for name in names}


def _before_and_after(at: AccountStores, drift: pl.DataFrame, facts: Facts, proposals: list[Mapping[str, Any]]) -> Page:
    """Classes of the household with its one-way drift, before and after; nothing where it is not managed together."""
    if drift.is_empty():
        return {"nav_usd": None, "one_way_drift": None, "one_way_drift_after": None, "classes": []}
    orders = [orders_and_lots(at.amendments, _reader(at, one["account_id"]), one)[0] for one in proposals]
    columns = ("side", "security_id", "value_usd")
    traded = (
        pl.concat([one.select(columns) for one in orders])
        if orders
        else pl.DataFrame(schema={"side": pl.String, "security_id": pl.String, "value_usd": drift.schema["value_usd"]})
    )
    cost = sum((one["est_cost_usd"] for one in proposals), Decimal(0))
    classes = classes_after(drift.drop("household_id", "nav_usd"), traded, facts.securities, cost)
    drifts = classes.select(before=one_way(pl.col("drift")), after=one_way(pl.col("drift_after"))).row(0)
    return {
        "nav_usd": drift["nav_usd"][0],
        "one_way_drift": drifts[0],
        "one_way_drift_after": drifts[1],
        "classes": classes.to_dicts(),
    }


def _reader(at: AccountStores, account_id: str) -> Any:
    return lambda table, run_id: at.lake.read_account(table, run_id, account_id)


def weights_with(lake: Lake, proposal: Mapping[str, Any], orders: pl.DataFrame) -> list[Page]:
    """Classes of a proposal's account before and after its orders; as before alone where the class of an order is not known."""
    run_id = proposal["run_id"]
    drift = lake.read_account("drift", run_id, proposal["account_id"]).drop("account_id")
    traded = orders["security_id"].unique()
    known = lake.rows_of_securities("landed_securities", run_id, traded, ("security_id", "asset_class")).unique(
        "security_id"
    )
    if known.height < len(traded):
        return drift.sort("asset_class").to_dicts()
    is_member = member_class().is_in(drift["asset_class"].implode())
    named = known.with_columns(asset_class=pl.when(is_member).then(member_class()).otherwise("asset_class"))
    return classes_after(drift, orders, named, proposal["est_cost_usd"]).to_dicts()
