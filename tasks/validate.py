"""Validate: set aside the rows that break the landing contract, and the accounts that cannot be trusted without them."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.enums import Step
from schemas.errors import RunHeld
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.settings import load_settings
from tasks.core.gate import gate_accounts, gate_globals, unattributed
from tasks.landed import landed, source_names
from tasks.notices import give_notice
from tasks.retries import retry_quietly
from tasks.steps import timed_step
from tasks.stores import open_ledger, utc_now
from warehouse.lake import open_lake


@task(cache_policy=NO_CACHE, task_run_name="validate-{shard}", **retry_quietly)
def validate(run: RunRef, shard: int) -> None:
    """Write ``quarantine`` and ``gate`` of one shard; ``GLOBAL_SHARD`` is what belongs to no account.

    Raises
    ------
    InputRefused
        A restriction for every account is broken: nothing may trade without it.
    """
    settings = load_settings()
    lake = open_lake(settings)
    ledger = open_ledger(settings)
    files = source_names(ledger, run)
    with timed_step(ledger, run, Step.VALIDATE, shard) as step:
        commons = landed(lake, run, GLOBAL_SHARD)
        gated = gate_globals(commons, files)
        if shard == GLOBAL_SHARD:
            step.rows = lake.replace(run, shard, {"quarantine": gated.quarantine})
            return
        tables = landed(lake, run, shard)
        verdicts = gate_accounts(tables, gated, files)
        stray = unattributed(verdicts.quarantine).height
        if stray:
            give_notice(f"{stray:,} rows name no account that could be read; nobody knows whose they are")
        scope = lake.read("scope", run.run_id, shard)
        out = verdicts.accounts.join(scope, on="account_id", how="semi")
        lake.replace(run, shard, {"quarantine": verdicts.quarantine, "gate": out})
        step.rows = sum(frame.height for frame in tables.values())


@task(cache_policy=NO_CACHE, **retry_quietly)
def check_quarantine(run: RunRef) -> None:
    """Hold the run where more of its accounts are quarantined than the settings allow, until a person releases it.

    Raises
    ------
    RunHeld
        The share is above the limit and nobody has released the run.
    """
    settings = load_settings()
    lake, ledger = open_lake(settings), open_ledger(settings)
    row = ledger.get_run(run.run_id)
    out = lake.read("gate", run.run_id).height
    if row is None or row.released_by is not None or row.accounts_pulled == 0:
        return
    share = out / row.accounts_pulled
    if share > settings.max_quarantined_fraction:
        reason = (
            f"{out:,} of {row.accounts_pulled:,} accounts are quarantined ({share:.1%}); "
            f"the limit is {settings.max_quarantined_fraction:.1%}"
        )
        ledger.hold_run(run.run_id, reason, utc_now())
        raise RunHeld(
            f'run {run.run_id} is held: {reason}\n\nHint: look at `trimtab query "select * from latest.quarantine"`, then mend '
            f'the source, or release with `trimtab resume {run.run_id} --note "..."`.'
        )
