"""Which nights a run's performance has to be computed for, and from which runs.

1. The run's own night.
2. Nights that were missed: those since the last night that has performance, of which some are done and have none (the step was off, or broke off).
3. Where the run's night is not the newest (it was run again), every later night that has performance: what is cumulated stands on it.

So a night's rows always stand on the newest runs of the nights before it, and nothing of a closed run changes: a later run says the night anew, and
of two that say the same night of an account the newer counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from schemas.enums import RunKind, RunState, Step
from schemas.run import RunRef
from warehouse.ledger import RunRow, Runs


@dataclass(frozen=True, slots=True)
class RecordedNights:
    """Finished runs over whole nights, or over late files of one; in order of their start."""

    rows: Sequence[RunRow]

    @property
    def names(self) -> list[str]:
        """Their names, the newest last."""
        return [row.run_id for row in self.rows]

    def on(self, day: date) -> list[RunRow]:
        """Those of a date, the newest last."""
        return [row for row in self.rows if row.as_of_date == day]


def recorded_nights(runs: Runs, run: RunRef) -> RecordedNights:
    """Those that are done, and the run."""
    rows = [
        row
        for row in runs.list_runs(None)
        if row.kind is RunKind.NIGHTLY
        and (row.run_id == run.run_id or (row.state is RunState.DONE and row.scope is None))
    ]
    return RecordedNights(sorted(rows, key=lambda row: (row.started_at, row.run_id)))


def nights_to_do(runs: Runs, known: RecordedNights, run: RunRef) -> list[date]:
    """The dates to compute, in order."""
    have = {row.as_of_date for row in known.rows if row.run_id != run.run_id and _has_performance(runs, row)}
    dates = {row.as_of_date for row in known.rows}
    before = [day for day in have if day < run.as_of_date]
    missed = {day for day in dates if before and max(before) < day < run.as_of_date}
    later = {day for day in have if day > run.as_of_date}
    return sorted({run.as_of_date} | missed | later)


def _has_performance(runs: Runs, row: RunRow) -> bool:
    return any(step is Step.PERFORMANCE for step, _ in runs.finished_steps(row.run_id))
