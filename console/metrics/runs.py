"""What Prometheus is told of runs: how long steps took, how old the last good night and the newest backup are, what is due."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from prometheus_client.core import GaugeMetricFamily, Metric

from console.shared import Backend
from schemas.enums import RunState
from schemas.errors import WrongUsage
from tasks.operate import backup_folder, backups
from warehouse.ledger import ExportState, Ledger, RunRow

LOOKED_AT: Final = 100
"""How many of the newest runs, and of the newest exports, are counted by state: a look costs the same after years."""


def of_runs(backend: Backend, now: datetime) -> Iterable[Metric]:
    """The newest runs by state, the newest run's steps, and the last good night."""
    ledger = backend.ledger
    runs = ledger.runs.list_runs(LOOKED_AT)
    states = Counter(run.state for run in runs)
    yield gauges("trimtab_runs", f"The {LOOKED_AT} newest runs by state.", "state", {s: states[s] for s in RunState})
    if runs:
        yield from _of_steps(ledger, runs[0])
    night = ledger.runs.latest_full_run(date.max)
    if night is not None and night.finished_at is not None:
        age = (now - night.finished_at).total_seconds()
        yield gauge("trimtab_last_good_night_age_seconds", "Since the newest whole night was done.", age)


def _of_steps(ledger: Ledger, run: RunRow) -> Iterable[Metric]:
    done = ledger.runs.step_rows(run.run_id)
    steps = dict.fromkeys(row.step for row in done)
    seconds = {step: sum(row.seconds for row in done if row.step is step) for step in steps}
    rows = {step: sum(row.rows for row in done if row.step is step) for step in steps}
    yield gauges("trimtab_step_seconds", "Work on each step of the run started last, all shards.", "step", seconds)
    yield gauges("trimtab_step_rows", "Rows of each step of the run started last.", "step", rows)


def of_cut_offs(ledger: Ledger, now: datetime) -> Iterable[Metric]:
    """By custodian, how long until its next cut-off with proposals waiting, and how many."""
    ahead = ledger.queue.next_cut_offs(now)
    left = {custodian: (moment - now).total_seconds() for custodian, (moment, _) in ahead.items()}
    waiting = {custodian: count for custodian, (_, count) in ahead.items()}
    if left:
        yield gauge(
            "trimtab_next_cut_off_seconds", "Time to the next cut-off with proposals waiting.", min(left.values())
        )
    yield gauges("trimtab_cut_off_seconds", "Time to a custodian's next cut-off.", "custodian", left)
    yield gauges("trimtab_cut_off_waiting", "Proposals that wait for a person before it.", "custodian", waiting)


def of_exports(backend: Backend, now: datetime) -> Iterable[Metric]:
    """Exports that were begun and are not whole, and backups."""
    newest = backend.ledger.deliveries.exports_found(limit=LOOKED_AT)
    is_open = sum(export.state is ExportState.WRITING for export in newest)
    yield gauge("trimtab_exports_open", f"Exports begun and not whole, of the {LOOKED_AT} newest.", is_open)
    made_at = _newest_backup(backend)
    if made_at is not None:
        yield gauge("trimtab_backup_age_seconds", "Since the newest backup was made.", (now - made_at).total_seconds())


def _newest_backup(backend: Backend) -> datetime | None:
    """When it was made; null where there is none, or none that this machine sees."""
    try:
        found = backups(backup_folder(backend.settings))
    except (WrongUsage, OSError):
        return None
    return datetime.strptime(found[-1].name, "%Y-%m-%dT%H%M%SZ").replace(tzinfo=UTC) if found else None


def gauge(name: str, text: str, value: float) -> Metric:
    """One number."""
    found = GaugeMetricFamily(name, text)
    found.add_metric([], value)
    return found


def gauges(name: str, text: str, label: str, values: Mapping[Any, float]) -> Metric:
    """A number for each value of a label."""
    found = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        found.add_metric([str(key)], value)
    return found
