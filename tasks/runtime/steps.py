"""Step records: what a step wrote is in the lake before its row is in the ledger, so a re-run starts at the first missing row."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from schemas.enums import Guard, Step
from schemas.errors import ConservationBroken, TrimtabError
from schemas.run import RunRef
from schemas.settings import Settings
from tasks.runtime.run_settings import current_settings
from tasks.runtime.step_logs import give_notice, log_step, use_log_format
from tasks.runtime.stores import open_ledger, utc_now
from warehouse.lake import Lake, open_lake
from warehouse.ledger import Ledger, Runs, Turns


@dataclass(frozen=True)
class Stores:
    """What a task works on."""

    settings: Settings
    lake: Lake
    ledger: Ledger


@contextmanager
def open_stores() -> Iterator[Stores]:
    """The stores that the current settings name: any worker that has the same settings can run any task."""
    settings = current_settings()
    use_log_format(settings)
    with closing(open_ledger(settings)) as ledger:
        yield Stores(settings, open_lake(settings), ledger)


@dataclass
class StepProgress:
    """Rows that the step has written, to be filled in by it."""

    rows: int = 0


@contextmanager
def timed_step(locks: Turns, runs: Runs, run: RunRef, step: Step, shard: int) -> Iterator[StepProgress]:
    """Time a step, log it, and record it as finished; nothing is recorded when it raises.

    Nobody else works on the step of the shard meanwhile: a worker that was given up may still be at it.
    """
    with log_step(run, step, shard) as outcome, locks.turn(run.run_id, step, shard) as turn:
        progress, began = StepProgress(), time.perf_counter()
        yield progress
        outcome.rows, outcome.seconds = progress.rows, time.perf_counter() - began
        turn.need()
        runs.finish_step(run.run_id, step, shard, rows=outcome.rows, seconds=outcome.seconds, now=utc_now())


@contextmanager
def lock_run(locks: Turns, run_id: str) -> Iterator[None]:
    """Wait until no other process works on the run. The one that takes over goes on from what is recorded then."""
    with locks.turn(run_id, told=partial(give_notice, f"{run_id}: another process works on it; waiting for it to end")):
        yield


@contextmanager
def note_failure(runs: Runs, run: RunRef) -> Iterator[None]:
    """Enter a run that breaks off as failed in the ledger; the next attempt starts it again. A held run stays held.

    One in which something does not add up is held: a person has to look, and the step is done again after a release.
    """
    try:
        yield
    except ConservationBroken as error:
        runs.hold_run(run.run_id, str(error), utc_now(), guards=[Guard.CONSERVATION], first=error.first)
        raise
    except Exception as error:
        with suppress(TrimtabError):  # what broke it off, no room or a lost server, may be in the ledger's way too
            runs.fail_run(run.run_id, str(error), utc_now())
        raise
