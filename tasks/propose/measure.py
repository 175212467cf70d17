"""Measure: drift of every account of a shard, and what triggers it."""

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.enums import RunKind, Step
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.tables import PUBLIC
from tasks.core.drift import account_drift, drift_by_class, household_drift
from tasks.core.facts import Facts, account_parameters, due_on, model_hashes, priced_securities, valued_lots
from tasks.core.rules import harvest_candidates
from tasks.known import facts as read_facts
from tasks.runtime import Stores, give_notice, open_stores, previous_session, retry_quietly, timed_step


@task(name="measure", cache_policy=NO_CACHE, task_run_name="measure-{shard}", **retry_quietly)
def measure_task(run: RunRef, shard: int) -> None:
    """Write ``drift``, ``account_drift``, ``household_drift``, ``tilted_targets``, ``index_baskets``, ``unshown_fills`` and ``open_orders`` of one shard."""
    with open_stores() as at, timed_step(at.ledger.locks, at.ledger.runs, run, Step.MEASURE, shard) as step:
        step.rows = measure_shard(at, run, shard)


def measure_shard(at: Stores, run: RunRef, shard: int) -> int:
    """What ``measure_task`` does, on stores that are open; the lots looked at."""
    facts = read_facts(at.lake, run, shard)
    names = ("unshown_fills", "open_orders", "tilted_targets", "index_baskets")
    behind = {name: getattr(facts, name) for name in names}
    cut = facts.tilted_targets.drop_nulls("note")["account_id"].n_unique()
    if cut:
        give_notice(f"{cut:,} accounts have a tilt that is not done as asked; the table tilted_targets says why")
    plain = facts.index_baskets.drop_nulls("note")["account_id"].n_unique()
    if plain:
        give_notice(f"{plain:,} accounts do not hold the index that they should; the table index_baskets says why")
    at.lake.replace(run, shard, {**measure_frames(facts, run, at.settings), **behind})
    return facts.lots.height


def measure_frames(facts: Facts, run: RunRef, settings: Settings) -> dict[str, pl.DataFrame]:
    """The tables ``drift``, ``account_drift`` and ``household_drift``."""
    accounts = account_parameters(facts)
    securities = priced_securities(facts)
    lots = valued_lots(facts, securities)
    by_class = drift_by_class(lots, accounts, facts.model_targets)
    households = household_drift(by_class, accounts, facts.model_targets)
    is_session, previous = previous_session(run.as_of_date, settings.exchange)
    by_account = account_drift(
        by_class,
        accounts,
        households,
        due=due_on(run.as_of_date, previous, is_session=is_session),
        changed_models=changed_models(facts, accounts),
        harvestable=harvest_candidates(accounts, lots, facts=facts, securities=securities, trade_date=facts.trade_date),
        is_manual=run.kind is RunKind.MANUAL,
    )
    return {
        "drift": by_class.select(PUBLIC["drift"].keys()),
        "account_drift": by_account,
        "household_drift": households,
    }


def changed_models(facts: Facts, accounts: pl.DataFrame) -> pl.DataFrame:
    """``account_id`` of accounts, ``facts.account_parameters``, whose model's targets differ from those of their last export."""
    tonight = accounts.select("account_id", "model_id").join(model_hashes(facts.model_targets), on="model_id")
    then = facts.last_exports.select("account_id", then="model_hash")
    return tonight.join(then, on="account_id").filter(pl.col("model_hash") != pl.col("then")).select("account_id")
