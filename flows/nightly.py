"""The night: pull holdings, validate them, guard, measure drift, propose trades, guard, route the proposals, publish the run; then performance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from prefect import flow, get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.schemas.objects import State
from prefect.runtime import deployment
from prefect.runtime import flow_run as this_run
from prefect.states import Completed

from flows.workers import Finished, ShardExecutor, ShardTask, shard_executor
from schemas.enums import RunKind, Step
from schemas.errors import WrongUsage
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.settings import Settings
from tasks.monitor import (
    RunInstruction,
    announce_overdue,
    announce_queue,
    claim_batch,
    instruction_for,
    leave_batch_to_night,
)
from tasks.performance import performance_task, show_month
from tasks.propose import measure_task, propose_task, publish_task, route_task, show_run
from tasks.pull import NoAccountLeft, Request, find_pulled_run, pull_task
from tasks.runtime import (
    current_actor,
    current_settings,
    foreseen_as_state,
    lock_run,
    note_failure,
    open_stores,
    overtaken_by,
    previous_session,
    private_files,
    utc_now,
)
from tasks.validate import guard_inputs_task, guard_trades_task, show_if_held, validate_task

OVERDUE = "%s accounts have waited for longer than policy allows for the last word on orders that left: `trimtab orders list` has them"
SCHEDULER = "scheduler"
"""Submitter of runs that a deployment's schedule starts."""


@dataclass(frozen=True)
class NightResult:
    """What a run came to: accounts by outcome, proposals by route, orders."""

    run_id: str
    counts: Mapping[str, int]


def run_name() -> str:
    """``<as-of date> <kind>`` of the flow run, for the Prefect UI."""
    given = this_run.parameters
    try:
        day = given.get("as_of") or scheduled_day(current_settings())
    except WrongUsage:
        day = "without settings:"
    return f"{day} {given.get('kind') or RunKind.NIGHTLY}"


@flow(name="nightly", flow_run_name=run_name, validate_parameters=False)
@foreseen_as_state
def nightly(  # noqa: PLR0917 - Prefect passes parameters by name
    as_of: date | None = None,
    source: str | tuple[str, ...] | None = None,
    kind: str = RunKind.NIGHTLY,
    accounts: tuple[str, ...] = (),
    submitter: str | None = None,
    run_id: str | None = None,
    scope: str | None = None,
) -> NightResult | State[Any]:
    """One night. Without ``as_of`` it is the scheduled day in the exchange's time zone, skipped where there is no trading.

    One that was missed is caught up until the next trading day has closed; then the holdings are of that day, and it is skipped.

    Running it again on the same inputs continues at the first step that is not recorded as finished. With ``run_id`` it
    carries that run on, on what it pulled then; every other argument but the run's own date is left out. With ``scope``, the
    name of what a look found (``flows/monitor.py``), it runs that, whatever date and kind are given, unless a run has.
    """
    private_files()
    settings = current_settings()
    day = _date(as_of) or scheduled_day(settings)
    if scope is None and as_of is None and not previous_session(day, settings.exchange)[0]:
        return Completed(name="Skipped", message=f"{day} is no trading day of {settings.exchange}")
    is_scheduled = scope is None and as_of is None and run_id is None
    if is_scheduled and (later := overtaken_by(day, settings.exchange, utc_now())):
        return Completed(
            name="Skipped", message=f"{day} was missed, and {later} has closed since: its night is the next"
        )
    work = instruction_for(scope, submitter or _submitter()) if scope else RunInstruction(run_id=run_id)
    if work.skipped:
        return Completed(name="Skipped", message=work.skipped)

    with shard_executor(settings) as executor:
        run = find_pulled_run(work.run_id) if work.run_id else None
        if run is None:
            given = (source,) if isinstance(source, str) else tuple(source or ())
            sources = settings.sources_of(day, given)
            asked = Request(sources, day, RunKind(kind), submitter or _submitter(), tuple(accounts))
            try:
                run = pull_task(work.request or asked)
            except NoAccountLeft as error:
                leave_batch_to_night(error.scope_id)
                return Completed(name="Skipped", message=str(error))
        if scope and (another := claim_batch(scope, run)):
            return Completed(name="Skipped", message=another)
        counts = _night(run, executor)
    get_run_logger().info("%s: %s", run.run_id, ", ".join(f"{name} {count}" for name, count in counts.items() if count))
    return NightResult(run.run_id, counts)


def _night(run: RunRef, executor: ShardExecutor) -> Mapping[str, int]:
    """What follows the pull; the counts of ``publish_task``."""
    with (
        show_if_held(run),
        open_stores() as at,
        lock_run(at.ledger.locks, run.run_id),
        note_failure(at.ledger.runs, run),
    ):
        at.ledger.runs.resume_run(run.run_id, utc_now())  # whoever had the run before may have failed meanwhile
        at.ledger.runs.note_flow_run(run.run_id, str(this_run.id), utc_now())
        progress = NightProgress(run, partial(at.ledger.runs.finished_steps, run.run_id), executor)
        progress.each(Step.VALIDATE, (GLOBAL_SHARD, *run.shards), validate_task)
        guard_inputs_task(run)
        progress.each(Step.MEASURE, run.shards, measure_task)
        progress.each(Step.PROPOSE, run.shards, propose_task)
        guard_trades_task(run)
        progress.once(Step.ROUTE, GLOBAL_SHARD, partial(route_task, run))
        counts = publish_task(run)
        show_run(run, counts)
        if at.settings.is_performance_written and run.kind is RunKind.NIGHTLY:
            progress.each(Step.PERFORMANCE, run.shards, performance_task)
            show_month(run)
        announce_queue(at, run.run_id, utc_now())
        if overdue := announce_overdue(at, run.run_id):
            get_run_logger().warning(OVERDUE, overdue)
        progress.finish()
    return counts


def scheduled_day(settings: Settings) -> date:
    """The day that the schedule meant, in the exchange's time zone: a late start belongs to the day it was due."""
    due = this_run.scheduled_start_time
    moment = due if isinstance(due, datetime) else datetime.now(ZoneInfo("UTC"))
    return moment.astimezone(ZoneInfo(settings.exchange_time_zone)).date()


def _date(given: date | str | None) -> date | None:
    return date.fromisoformat(given) if isinstance(given, str) else given


def _submitter() -> str:
    return SCHEDULER if deployment.id else current_actor()


class NightProgress:
    """Skips what an earlier attempt finished, and moves the run's progress bar."""

    def __init__(self, run: RunRef, finished: Finished, executor: ShardExecutor) -> None:
        self._run, self._finished, self._executor = run, finished, executor
        self._before = finished()
        self._steps = 4 * run.shard_count + 3
        self._done = 1
        made = create_progress_artifact(progress=0.0, key="night-progress", description=run.run_id)
        self._artifact = cast(UUID, made)  # a coroutine only where the caller is one

    def each(self, step: Step, shards: Sequence[int], work: ShardTask) -> None:
        """Have the step done for each shard that the ledger does not have as finished."""
        left = [shard for shard in shards if (step, shard) not in self._before]
        self._done += len(shards) - len(left)
        self._executor.each(step, work, self._run, left, finished=self._finished, moved=self._moved)

    def once(self, step: Step, shard: int, work: Callable[[], None]) -> None:
        """Do the work unless the ledger has the step of this shard as finished."""
        if (step, shard) not in self._before:
            work()
        self._moved()

    def _moved(self) -> None:
        self._done += 1
        update_progress_artifact(self._artifact, min(100.0, 100.0 * self._done / self._steps))

    def finish(self) -> None:
        """The bar stands at the end."""
        update_progress_artifact(self._artifact, 100.0)
