"""Validate: set aside the rows that break the landing contract, and the accounts that cannot be trusted without them."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.enums import RunState, Step
from schemas.errors import RunHeld
from schemas.run import GLOBAL_SHARD, RunRef
from tasks.core.gate import gate_accounts, gate_globals, unattributed, whole_files
from tasks.landed import landed, source_names
from tasks.notices import give_notice
from tasks.retries import retry_quietly
from tasks.steps import open_stores, timed_step
from tasks.stores import utc_now


@task(cache_policy=NO_CACHE, task_run_name="validate-{shard}", **retry_quietly)
def validate(run: RunRef, shard: int) -> None:
    """Write ``quarantine`` and ``gate`` of one shard; ``GLOBAL_SHARD`` is what belongs to no account.

    Raises
    ------
    InputRefused
        A restriction for every account is broken: nothing may trade without it.
    """
    with open_stores() as at, timed_step(at.ledger, run, Step.VALIDATE, shard) as step:
        places = whole_files(source_names(at.ledger, run))
        commons = landed(at.lake, run, GLOBAL_SHARD)
        gated = gate_globals(commons, places, run.as_of_date)
        if shard == GLOBAL_SHARD:
            step.rows = at.lake.replace(run, shard, {"quarantine": gated.quarantine})
            return
        tables = landed(at.lake, run, shard)
        verdicts = gate_accounts(tables, gated, places, run.as_of_date)
        stray = unattributed(verdicts.quarantine).height
        if stray:
            give_notice(f"{stray:,} rows name no account that could be read; nobody knows whose they are")
        scope = at.lake.read("scope", run.run_id, shard)
        out = verdicts.accounts.join(scope, on="account_id", how="semi")
        at.lake.replace(run, shard, {"quarantine": verdicts.quarantine, "gate": out})
        step.rows = sum(frame.height for frame in tables.values())


@task(cache_policy=NO_CACHE, **retry_quietly)
def check_quarantine(run: RunRef) -> None:
    """Hold the run where more of its accounts are quarantined than the settings allow, until a person releases it.

    Raises
    ------
    RunHeld
        The share is above the limit and nobody has released the run.
    """
    with open_stores() as at:
        row = at.ledger.get_run(run.run_id)
        out = at.lake.read("gate", run.run_id).height
        if row is None or row.released_by is not None or row.state is RunState.DONE or row.accounts_pulled == 0:
            return
        share, most = out / row.accounts_pulled, at.settings.max_quarantined_fraction
        if share <= most:
            return
        reason = f"{out:,} of {row.accounts_pulled:,} accounts are quarantined ({share:.1%}); the limit is {most:.1%}"
        at.ledger.hold_run(run.run_id, reason, utc_now())
    raise RunHeld(
        f'run {run.run_id} is held: {reason}\n\nHint: look at `trimtab query "select * from latest.quarantine"`, then mend '
        f'the source, or release with `trimtab resume {run.run_id} --note "..."`.'
    )
