"""Explain: what a run made of one account, from what the lake and the ledger hold of it."""

from dataclasses import asdict, replace
from typing import Any, Final

import polars as pl

from schemas.enums import Outcome
from schemas.errors import WrongUsage
from schemas.run import RunRef
from tasks.core.explain import (
    NOT_AS_ITS_NIGHT,
    TOO_MANY_MEMBERS,
    AccountRecord,
    Page,
    frontier_section,
    household_facts,
    page,
)
from tasks.core.facts import Facts, account_parameters
from tasks.core.gate import causes_in_words, trace
from tasks.core.propose import AMENDED, frontier, set_to_version
from tasks.known import drifts_of
from tasks.known import facts as read_facts
from tasks.review.solved_again import is_as_its_night, solve_again
from tasks.review.versions import newest_rows
from warehouse.lake import Lake
from warehouse.ledger import Amendments, Proposals, RunRow, Runs

SOLVED: Final = (Outcome.PROPOSED, Outcome.NO_TRADE, Outcome.BLOCKED)
"""Outcomes of accounts that may have been solved."""
MOST_MEMBERS: Final = 20
"""A household of more accounts takes seconds to solve, and is not solved for a page."""
OF_AN_ACCOUNT: Final = (
    "account_drift",
    "drift",
    "tilted_targets",
    "index_baskets",
    "proposals",
    "orders",
    "lot_relief",
    "class_reasons",
    "quarantine",
    "anomalies",
)


def explain_account(
    lake: Lake,
    runs: Runs,
    proposals: Proposals,
    amendments: Amendments,
    account_id: str,
    *,
    run_id: str | None = None,
    has_frontier: bool = False,
) -> Page:
    """The page of an account in a run; the newest run that has the account where none is named.

    ``has_frontier`` adds the section ``frontier``, worked out from the run's facts.

    Raises
    ------
    WrongUsage
        There is no such run, or no run has the account.
    """
    row, shard = find_run_of(lake, runs, account_id, run_id)
    run = RunRef(row.run_id, row.as_of_date, row.kind, row.shard_count)
    facts = household_facts(read_facts(lake, run, shard), account_id)
    told = _account_record(lake, proposals, amendments, row, facts, account_id=account_id, shard=shard)
    told = _with_solution(told, lake, run, shard)
    if not has_frontier:
        return page(told)
    return {**page(told), "frontier": frontier_section(_frontier(lake, run, shard, facts, account_id))}


def find_run_of(lake: Lake, runs: Runs, account_id: str, run_id: str | None) -> tuple[RunRow, int]:
    """The run and the shard that have the account. Newest: of the newest date; among several, started last.

    Raises
    ------
    WrongUsage
        There is no such run, or no run has the account.
    """
    shards = lake.runs_of(account_id)
    if run_id is not None:
        row = runs.get_run(run_id)
        if row is None:
            raise WrongUsage(f"there is no run {run_id}\n\nHint: `trimtab runs` lists them.")
        if run_id not in shards:
            raise WrongUsage(f"run {run_id} has no outcome for an account {account_id}")
        return row, shards[run_id]
    known = [row for row in runs.list_runs(None) if row.run_id in shards]
    if not known:
        raise WrongUsage(
            f"no run has an account {account_id}\n\n"
            'Hint: `trimtab query "select account_id from latest.account_outcomes"` lists them.'
        )
    newest = max(known, key=lambda row: (row.as_of_date, row.started_at, row.run_id))
    return newest, shards[newest.run_id]


def _account_record(
    lake: Lake, proposals: Proposals, amendments: Amendments, row: RunRow, facts: Facts, *, account_id: str, shard: int
) -> AccountRecord:
    outcome = lake.read_account("account_outcomes", row.run_id, account_id).row(0, named=True)
    stored = {table: lake.read_account(table, row.run_id, account_id) for table in OF_AN_ACCOUNT}
    tables = newest_rows(stored, amendments.amended(row.run_id, account_id))
    household = facts.accounts.filter(pl.col("account_id") == account_id).select("household_id")
    joint = lake.read("household_drift", row.run_id, shard).join(household, on="household_id", how="semi")
    found = proposals.list_proposals(run_id=row.run_id, account_id=account_id)
    queue = found.sort("version").row(-1, named=True) if found.height else None
    decisions = proposals.decisions_of(queue["proposal_id"]) if queue else []
    causes = _causes(lake, row, account_id) if outcome["outcome"] == Outcome.QUARANTINED else ()
    told = tuple(asdict(one) for one in decisions)
    return AccountRecord(_run(row), outcome, tables, joint, facts, queue, told, causes)


def _with_solution(record: AccountRecord, lake: Lake, run: RunRef, shard: int) -> AccountRecord:
    """The record with the account solved again, where its night solved it and would do so again."""
    account_id, facts = record.outcome["account_id"], record.facts
    members = account_parameters(facts)["managed_household_id"].drop_nulls().len()
    if record.outcome["outcome"] not in SOLVED:
        return record
    if members > MOST_MEMBERS:
        return replace(record, unsolved=TOO_MANY_MEMBERS.format(members))
    solved, _ = solve_again(lake, run, shard, facts, account_id)
    if solved.accounts.is_empty():
        return record
    if not is_as_its_night(solved, lake, run.run_id, account_id):
        return replace(record, unsolved=NOT_AS_ITS_NIGHT)
    is_changed = AMENDED in "".join(record.tables["proposals"]["route_reasons"]).split("|")
    standing = set_to_version(solved, record.tables["orders"], record.tables["lot_relief"]) if is_changed else solved
    return replace(record, solved=solved, standing=standing)


def _causes(lake: Lake, row: RunRow, account_id: str) -> tuple[dict[str, Any], ...]:
    """What stands behind the account's rows, and rows of nobody's that could be its own."""
    verdict = lake.read_account("gate", row.run_id, account_id)
    traced = trace(lake.read("quarantine", row.run_id), verdict)
    found = causes_in_words(traced.causes.filter(pl.col("accounts") > 0))
    return tuple({name: one[name] for name in ("text", "found", "quarantine_id")} for one in found)


def _run(row: RunRow) -> dict[str, Any]:
    return {"run_id": row.run_id, "as_of_date": row.as_of_date, "kind": str(row.kind), "state": str(row.state)}


def _frontier(lake: Lake, run: RunRef, shard: int, facts: Facts, account_id: str) -> pl.DataFrame:
    drift, by_account = drifts_of(lake, run, shard, facts)
    wanted = pl.Series([account_id], dtype=pl.String)
    return frontier(facts, drift, by_account, wanted, run_id=run.run_id)
