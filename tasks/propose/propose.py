"""Propose: each account's best trades, why each class was not traded, and one outcome for every account of a shard."""

from collections.abc import Collection

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.enums import LookReason, Step
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.tables import PUBLIC
from tasks.core.facts import Facts, account_parameters, model_hashes
from tasks.core.propose import (
    Noticed,
    class_reasons,
    conservation,
    frontier,
    noticed_accounts,
    order_rows,
    outcomes,
    proposal_rows,
    with_look,
    with_route,
)
from tasks.known import facts as read_facts
from tasks.propose.model_changes import change_frames
from tasks.propose.solving import need_conserved, need_none, solve_ready_accounts
from tasks.runtime import Stores, made_with, open_stores, retry_quietly, timed_step


@task(name="propose", cache_policy=NO_CACHE, task_run_name="propose-{shard}", **retry_quietly)
def propose_task(run: RunRef, shard: int) -> None:
    """Write ``proposals``, ``orders``, ``lot_relief``, ``class_reasons`` and ``account_outcomes`` of one shard; ``frontier`` where settings ask for it; and what profiles ask for.

    Raises
    ------
    ConservationBroken
        Shares, cash or accounts do not add up; nothing of the shard is written.
    """
    with open_stores() as at, timed_step(at.ledger.locks, at.ledger.runs, run, Step.PROPOSE, shard) as step:
        step.rows = propose_shard(at, run, shard)


def propose_shard(at: Stores, run: RunRef, shard: int) -> int:
    """What ``propose_task`` does, on stores that are open; the accounts looked at."""
    lake = at.lake
    facts = read_facts(lake, run, shard)
    drift = lake.read("drift", run.run_id, shard)
    by_account = lake.read("account_drift", run.run_id, shard)
    gate = lake.read("gate", run.run_id, shard)
    known = noticed_accounts(
        lake.read("anomalies", run.run_id, shard),
        lake.read("held_accounts", run.run_id, shard),
        facts.last_exports,
        lake.read("vouched", run.run_id, shard),
        tilted_targets=lake.read("tilted_targets", run.run_id, shard),
        index_baskets=lake.read("index_baskets", run.run_id, shard),
    )
    always = lake.read("always_review", run.run_id, GLOBAL_SHARD)["reason"]
    frames = propose_frames(
        facts,
        drift,
        by_account,
        gate=gate,
        run_id=run.run_id,
        known=known,
        always=[LookReason(reason) for reason in always],
    )
    scope = lake.read("scope", run.run_id, shard)
    need_none(
        "accounts without exactly one outcome",
        conservation.outcome_gaps(scope["account_id"], frames["account_outcomes"]),
    )
    if at.settings.is_frontier_written:
        wanted = frames["proposals"]["account_id"]
        frames["frontier"] = frontier(facts, drift, by_account, wanted, run_id=run.run_id)
    frames |= change_frames(lake, run, at.settings, facts, by_account)
    frames["made_with"] = made_with(at.settings, Step.PROPOSE)
    lake.replace(run, shard, frames)
    return scope.height


def propose_frames(
    facts: Facts,
    drift: pl.DataFrame,
    by_account: pl.DataFrame,
    *,
    gate: pl.DataFrame,
    run_id: str,
    known: Noticed,
    always: Collection[LookReason],
) -> dict[str, pl.DataFrame]:
    """The five tables of a shard; conservation of shares and cash is checked."""
    accounts = account_parameters(facts)
    standing, solved = solve_ready_accounts(accounts, facts, drift, by_account)
    orders, relief = order_rows(solved, run_id)
    proposals = proposal_rows(solved, orders, relief, by_account)
    need_conserved(proposals, orders, relief, facts.lots)
    reasons = class_reasons(solved)
    limits = accounts.select(
        "account_id",
        "custodian",
        "model_id",
        "auto_approve_max_turnover",
        "auto_approve_max_tax_usd",
        "four_eyes_above_usd",
        ttl_hours="proposal_ttl_hours",
        household_id="managed_household_id",
    ).join(model_hashes(facts.model_targets), on="model_id", how="left")
    return {
        "proposals": with_route(with_look(proposals, known), limits, always, known.vouched).select(
            PUBLIC["proposals"].keys()
        ),
        "orders": orders,
        "lot_relief": relief,
        "class_reasons": reasons,
        "account_outcomes": outcomes(standing, solved, reasons, gate),
    }
