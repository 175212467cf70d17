"""Breach batches: what one look found newly out of band is entered together, announced as an event, and run by one threshold run.

1. What was found is in the ledger before anything is announced, so that the next look makes good one that broke off in between.
2. The event has an id that follows from its batch, and is emitted again until a run has claimed the batch.
3. A run over a batch claims it once its inputs are landed. A later one, started by a doubled event or by hand, does nothing; a
   run that broke off is carried on.
4. A threshold run takes the files of the night that was looked at, each source asked of the night's date, and prices from
   a stream or ``prices_url`` of the session's where there is one.
5. Accounts that have left the sources since are left out. Where none is left, the night that was looked at keeps the batch.

Events carry counts and the id of the batch: no accounts, no money. The command line, the event and the ledger call a batch a scope.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.settings import PREFECT_API_URL

from schemas.enums import LandingTable, RunKind, RunState
from schemas.events import EventName
from schemas.landing_columns import LANDING
from schemas.run import RunRef
from schemas.sources import DatedSource
from tasks.monitor.intraday_inputs import newest_night
from tasks.monitor.look import DriftLook, look
from tasks.pull import NoAccountLeft, Request, TakenFiles, take
from tasks.runtime import Stores, give_notice, open_stores, retry_quietly, utc_now
from warehouse.ledger import LATE_FILE, ScopeRow

SILENCE: Final = timedelta(minutes=30)
"""A batch that no run has claimed for so long after it was announced is announced again."""


@dataclass(frozen=True, slots=True)
class MonitorResult:
    """What a look came to; counts are of accounts. Ids of batches: ``breach_batch_ids`` made, ``announced`` to Prefect by this look."""

    night_run_id: str
    as_of_date: date
    looked_at: int
    skipped: int
    out_of_band: int
    newly: int
    armed_again: int
    breach_batch_ids: tuple[str, ...]
    announced: tuple[str, ...]
    notices: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class RunInstruction:
    """What is to be done for a batch: ``request`` a run, carry on the run ``run_id``, or nothing, because of ``skipped``."""

    request: Request | None = None
    run_id: str | None = None
    skipped: str | None = None


def has_night(day: date) -> bool:
    """Whether any night up to the day is done, without which there is nothing to look at."""
    with open_stores() as at:
        return newest_night(at, day) is not None


@task(name="monitor_step", cache_policy=NO_CACHE, **retry_quietly)
def monitor_task(day: date) -> MonitorResult:
    """Look once, enter and announce what was found; notices go to the log, and a table to the Prefect UI where a batch was made."""
    with open_stores() as at:
        done = monitor_book(at, day, utc_now())
    for notice in done.notices:
        give_notice(notice)
    if done.breach_batch_ids:
        shown = {"scopes": " ".join(done.breach_batch_ids), "newly": done.newly, "out of band": done.out_of_band}
        create_table_artifact([shown], key="drift-look", description=f"Newly out of band on {day}")
    return done


def monitor_book(at: Stores, day: date, now: datetime, *, is_dry: bool = False) -> MonitorResult:
    """Look, enter what was found and announce what waits for a run; with ``is_dry`` only look."""
    found = look(at, day, now)
    batch_ids = () if is_dry else enter_look(at, found, now)
    announced = () if is_dry else announce_batches(at, now)
    return MonitorResult(
        night_run_id=found.night.base.run_id,
        as_of_date=day,
        looked_at=found.looked_at,
        skipped=found.skipped,
        out_of_band=found.out_of_band,
        newly=found.verdict.new.height,
        armed_again=found.verdict.cleared.len(),
        breach_batch_ids=batch_ids,
        announced=announced,
        notices=found.fresh.notices,
        seconds=(utc_now() - now).total_seconds(),
    )


def enter_look(at: Stores, found: DriftLook, now: datetime) -> tuple[str, ...]:
    """Enter what a look found; ids of the batches made: one of accounts, one of files that came late, or none."""
    base = found.night.base
    made = at.ledger.breaches.enter_look(base.run_id, found.verdict.new, found.verdict.cleared, found.day, now)
    late = (
        at.ledger.breaches.enter_late_files(base.run_id, found.fresh.late, base.as_of_date, now)
        if found.fresh.late
        else None
    )
    return tuple(each for each in (made, late) if each is not None)


def announce_batches(at: Stores, now: datetime) -> tuple[str, ...]:
    """Emit the event of each batch that waits for a run and was not announced lately; ids of those announced now.

    Without a Prefect API nothing is announced: no automation would receive it.
    """
    if not PREFECT_API_URL.value():
        return ()
    waiting = at.ledger.breaches.scopes_to_announce(now - SILENCE)
    for row in waiting:
        payload = {
            "scope": row.scope_id,
            "accounts": row.account_count,
            "as_of": row.as_of_date.isoformat(),
            "cause": row.cause,
        }
        resource = {"prefect.resource.id": f"trimtab.scope.{row.scope_id}"}
        emit_event(
            EventName.DRIFT_BREACHED,
            resource=resource,
            payload=payload,
            id=uuid5(NAMESPACE_URL, resource["prefect.resource.id"]),
        )
        at.ledger.breaches.note_announced(row.scope_id, now)
    return tuple(row.scope_id for row in waiting)


def instruction_for(breach_batch_id: str, submitter: str) -> RunInstruction:
    """What is to be done for a batch.

    Raises
    ------
    WrongUsage
        No such batch.
    """
    with open_stores() as at:
        row = at.ledger.breaches.get_scope(breach_batch_id)
        run = at.ledger.runs.get_run(row.run_id) if row.run_id else None
        if run is not None:
            if run.run_id == row.night_run_id and row.cause != LATE_FILE:
                return RunInstruction(skipped=str(NoAccountLeft(breach_batch_id)))
            if run.state is RunState.DONE:
                return RunInstruction(skipped=f"{breach_batch_id} was run as {run.run_id}")
            at.ledger.runs.resume_run(run.run_id, utc_now())
            return RunInstruction(run_id=run.run_id)
        if row.cause == LATE_FILE:
            sources = at.settings.sources_of(row.as_of_date)
            return RunInstruction(Request(sources, row.as_of_date, RunKind.NIGHTLY, submitter))
        night = newest_night(at, row.as_of_date)
        if night is not None and night.base.run_id != row.night_run_id:
            at.ledger.breaches.take_scope(breach_batch_id, night.base.run_id, utc_now())
            return RunInstruction(skipped=f"{night.base.run_id} has looked at the accounts of {breach_batch_id} since")
        accounts = at.ledger.breaches.accounts_of_scope(breach_batch_id)
        sources = sources_of_batch(at, row)
        return RunInstruction(Request(sources, row.as_of_date, RunKind.THRESHOLD, submitter, accounts, breach_batch_id))


def claim_batch(breach_batch_id: str, run: RunRef) -> str | None:
    """Claim the batch for the run; a sentence where another run has it, and this one goes no further."""
    with open_stores() as at:
        owner = at.ledger.breaches.take_scope(breach_batch_id, run.run_id, utc_now())
        if owner == run.run_id:
            return None
        at.ledger.runs.fail_run(run.run_id, f"{breach_batch_id} is run as {owner}", utc_now())
    return f"{breach_batch_id} is run as {owner}"


def leave_batch_to_night(breach_batch_id: str) -> None:
    """Assign the batch to the night that was looked at: no account is left to run, and it is announced no more."""
    with open_stores() as at:
        at.ledger.breaches.take_scope(
            breach_batch_id, at.ledger.breaches.get_scope(breach_batch_id).night_run_id, utc_now()
        )


def sources_of_batch(at: Stores, row: ScopeRow) -> tuple[DatedSource, ...]:
    """Sources of a run over the batch: those of the night that was looked at, with fresh prices in the place of its own where a stream gave some, or there is an address for them."""
    night = at.ledger.runs.get_run(row.night_run_id)
    as_of = row.as_of_date if night is None else night.as_of_date
    sources = at.settings.sources_of(as_of)
    prices = at.settings.streamed_source(row.as_of_date) or at.settings.prices_source(row.as_of_date)
    if prices is None:
        return sources
    taken = take(sources, at.settings.staging_folder)
    kept = [_without_prices(source, taken) for source in sources]
    return (*(source for source in kept if source is not None), prices)


def _without_prices(source: DatedSource, taken: TakenFiles) -> DatedSource | None:
    """The source but for its table ``prices``; null where it has no other."""
    delivers = {table for each in taken.inputs if each.source == source for table in each.tables}
    if LandingTable.PRICES not in delivers:
        return source
    others = tuple(table for table in LANDING if table in delivers - {LandingTable.PRICES})
    return source.model_copy(update={"tables": others}) if others else None
