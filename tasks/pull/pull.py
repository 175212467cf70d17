"""Pull: take a night's files, name the run after what is in them, and land them in the lake, shard by shard."""

from dataclasses import replace

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.enums import Step
from schemas.run import GLOBAL_SHARD, RunRef
from tasks.core.facts import shard_count_for
from tasks.pull.accounts import ChosenAccounts, choose_accounts, read_accounts
from tasks.pull.land import land_tables
from tasks.pull.landing import landing_of
from tasks.pull.late_files import compare_with_earlier_runs
from tasks.pull.naming import name_run
from tasks.pull.request import Request
from tasks.pull.usable_files import usable_files
from tasks.runtime import Stores, lock_run, note_failure, open_stores, retry_quietly, timed_step, utc_now
from warehouse.ledger import NewRun, RunRow, Runs


@task(name="pull", cache_policy=NO_CACHE, **retry_quietly)
def pull_task(request: Request) -> RunRef:
    """Land the sources' tables and start, or find again, the run that is named after them.

    1. Take the files; those of custodians that cannot be used are set aside, and their accounts wait.
    2. Where nothing changed since the night was run, that run stands; where only late files came, the run is over their accounts.
    3. Name the run. One that is landed already is found again.
    4. Read the accounts, carry forward those that wait, and choose the run's.
    5. Start the run, land its tables shard by shard, and record which files they came from.

    Raises
    ------
    InputRefused
        A source that every account needs cannot be used.
    SourceUnreachable
        Such a source does not answer.
    WrongUsage
        An account that a person asked for is not in the sources; ``NoAccountLeft`` where none of those that a look found is.
    """
    with open_stores() as at:
        files = usable_files(request.sources, at)
        earlier = (
            compare_with_earlier_runs(
                at.ledger.runs, at.ledger.inputs, at.ledger.readmissions, request.as_of_date, files
            )
            if request.is_full
            else None
        )
        if isinstance(earlier, RunRow):
            return run_ref(earlier)
        new = name_run(request, files, earlier, at)
        with lock_run(at.ledger.locks, new.run_id):
            if _is_pulled(at.ledger.runs, new.run_id):
                return run_ref(at.ledger.runs.start_run(new, utc_now()))
            landing = landing_of(files, new, at)
            known = read_accounts(landing, new, at)
            chosen = choose_accounts(request, files, earlier, known, at)
            run = _start_run(new, chosen, at)
            with (
                note_failure(at.ledger.runs, run),
                timed_step(at.ledger.locks, at.ledger.runs, run, Step.PULL, GLOBAL_SHARD) as step,
            ):
                step.rows = land_tables(run, landing, chosen, at)
                at.ledger.inputs.record_inputs(run.run_id, landing.inputs)
            return run


def find_pulled_run(run_id: str) -> RunRef | None:
    """The reference of a run whose inputs are in the lake; null where its pull did not finish."""
    with open_stores() as at:
        row = at.ledger.runs.get_run(run_id)
        return run_ref(row) if row is not None and _is_pulled(at.ledger.runs, run_id) else None


def run_ref(row: RunRow) -> RunRef:
    """The reference of a run that has been pulled."""
    is_scoped = row.scope is not None or row.base_run_id is not None
    return RunRef(row.run_id, row.as_of_date, row.kind, row.shard_count, is_scoped=is_scoped)


def _is_pulled(runs: Runs, run_id: str) -> bool:
    return (Step.PULL, GLOBAL_SHARD) in runs.finished_steps(run_id)


def _start_run(new: NewRun, chosen: ChosenAccounts, at: Stores) -> RunRef:
    """Start the run; one that broke off keeps its number of shards."""
    started = at.ledger.runs.start_run(new, utc_now())
    count = started.shard_count or shard_count_for(chosen.known.accounts.height, at.settings.accounts_per_shard)
    at.ledger.runs.set_run_shape(new.run_id, count, len(chosen.scope))
    return replace(run_ref(started), shard_count=count)
