"""``/metrics`` for Prometheus: counts and times read from the ledger at each look, never an account or a person."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import JSONResponse, Response

from console.shared import Backend, undelivered_count
from schemas.enums import Break, ProposalState, RunState
from schemas.errors import WrongUsage
from tasks.monitor import SHOWN_FOR, FollowState, is_silent
from tasks.operate import backup_folder, backups
from tasks.reconcile import count_open_orders
from warehouse.ledger import ExportState, Filter, Followers, Queue, RunRow, Runs, SentFilter, Sort

EVERY: Final = Filter(states=None)
LOOKED_AT: Final = 100
"""How many of the newest runs, and of the newest exports, are counted by state: a look costs the same after years."""


class LedgerCollector(Collector):
    """The queue, the newest run, and what follows exports, as gauges."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def collect(self) -> Iterable[Metric]:
        """Read the ledger once."""
        ledger, now = self._backend.ledger, self._backend.now()
        counts = ledger.queue.counts_by("state", EVERY)
        states = {state: counts.get(str(state), 0) for state in ProposalState}
        yield _gauges("trimtab_proposals", "Proposals by state.", "state", states)
        waiting = ledger.queue.totals(Filter())
        yield _gauge("trimtab_queue_length", "Proposals that wait for a person.", waiting.count)
        yield _gauge("trimtab_queue_value_usd", "Trades that wait for a person, USD.", float(waiting.gross_value_usd))
        yield _gauge("trimtab_queue_held", "Waiting proposals that somebody holds.", waiting.held)
        yield _gauge("trimtab_queue_age_seconds", "Age of the oldest that waits.", self._age(now))
        yield from _of_cut_offs(ledger.queue, now)
        yield _gauge("trimtab_halted", "1 while everything is halted.", float(ledger.halts.current_halt() is not None))
        run = ledger.runs.newest_run()
        if run is not None:
            is_in = {state: float(run.state is state) for state in RunState}
            yield _gauges("trimtab_newest_run", "1 for the state of the newest run.", "state", is_in)
            yield _gauge("trimtab_newest_run_started", "When it started, in Unix time.", run.started_at.timestamp())
        yield from _of_runs(self._backend, now)
        yield from _of_exports(self._backend, now)
        yield from self._after_exports()
        yield from _of_followers(ledger.followers, now)

    def _after_exports(self) -> Iterable[Metric]:
        """What went wrong, or has not come back, of what left."""
        ledger = self._backend.ledger
        grace = self._backend.grace
        broken, left_out = ledger.answers.break_counts("code", SentFilter(grace=grace)), ledger.answers.aside_counts()
        breaks = {code: broken.get(str(code), 0) for code in Break}
        aside = {code: left_out.get(code, 0) for code in Break}
        yield _gauges("trimtab_open_breaks", "Open breaks by code.", "code", breaks)
        yield _gauges("trimtab_executions_set_aside", "Executions never used, by code.", "code", aside)
        unanswered = broken.get(str(Break.NOT_ACKNOWLEDGED), 0)
        yield _gauge("trimtab_orders_not_acknowledged", "Orders that left and nobody answered in time.", unanswered)
        early = sum(ledger.fills.not_yet_due(grace).values())
        yield _gauge("trimtab_orders_not_yet_due", "Orders that left and need no answer yet.", early)
        left = count_open_orders(ledger.fills, self._backend.settings.exchange, self._backend.now())
        yield _gauge("trimtab_open_orders", "Orders that left and have no final word.", left.count)
        yield _gauge("trimtab_open_orders_age_sessions", "Trading days since the oldest.", left.session_count or 0)
        not_delivered = undelivered_count(self._backend)
        yield _gauge("trimtab_exports_not_delivered", "Exports that some place has not had whole.", not_delivered)

    def _age(self, now: datetime) -> float:
        oldest = self._backend.ledger.queue.page(Filter(), sort=Sort.AGE, limit=1).rows
        return (now - oldest["created_at"][0]).total_seconds() if oldest.height else 0.0


def metrics_router(backend: Backend) -> APIRouter:
    """``/metrics`` and ``/healthz``."""
    router = APIRouter()
    registry = CollectorRegistry()
    registry.register(LedgerCollector(backend))

    @router.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    @router.get("/healthz", tags=["health"])
    def healthz() -> Response:
        """200 while the ledger answers; 503 otherwise."""
        backend.ledger.queue.newest_change()
        return JSONResponse({"status": "ok"})

    return router


def _of_runs(backend: Backend, now: datetime) -> Iterable[Metric]:
    """The newest runs by state, the newest run's steps, and the last good night."""
    ledger = backend.ledger
    runs = ledger.runs.list_runs(LOOKED_AT)
    states = Counter(run.state for run in runs)
    yield _gauges("trimtab_runs", f"The {LOOKED_AT} newest runs by state.", "state", {s: states[s] for s in RunState})
    if runs:
        yield from _of_steps(ledger.runs, runs[0])
    night = ledger.runs.latest_full_run(date.max)
    if night is not None and night.finished_at is not None:
        age = (now - night.finished_at).total_seconds()
        yield _gauge("trimtab_last_good_night_age_seconds", "Since the newest whole night was done.", age)


def _of_steps(runs: Runs, run: RunRow) -> Iterable[Metric]:
    done = runs.step_rows(run.run_id)
    steps = dict.fromkeys(row.step for row in done)
    seconds = {step: sum(row.seconds for row in done if row.step is step) for step in steps}
    rows = {step: sum(row.rows for row in done if row.step is step) for step in steps}
    yield _gauges("trimtab_step_seconds", "Work on each step of the run started last, all shards.", "step", seconds)
    yield _gauges("trimtab_step_rows", "Rows of each step of the run started last.", "step", rows)


def _of_followers(followers: Followers, now: datetime) -> Iterable[Metric]:
    """Of the follower of a price stream that looked last, if one was not told to stop."""
    row = next((one for one in followers.list_followers(now - SHOWN_FOR) if one.ended_at is None), None)
    if row is None:
        return
    age = (now - row.looked_at_time).total_seconds()
    yield _gauge("trimtab_follower_look_age_seconds", "Since the newest look of a follower that should look.", age)
    yield _gauge("trimtab_follower_silent", "1 where it missed several looks.", float(is_silent(row, now)))
    is_in = {state: float(row.state == state) for state in FollowState}
    yield _gauges("trimtab_follower_state", "1 for what its newest look came to.", "state", is_in)
    yield _gauge("trimtab_follower_look_seconds", "What the newest look took.", row.seconds)
    looked = {"looked_at": row.looked_at, "without_price": row.skipped, "out_of_band": row.out_of_band}
    yield _gauges("trimtab_follower_accounts", "Accounts of the newest look.", "kind", looked)
    prices = {"fresh": row.fresh, "old": row.old, "never_quoted": row.never_quoted}
    yield _gauges("trimtab_follower_prices", "Securities held that must be quoted.", "kind", prices)
    yield _gauge("trimtab_follower_refused_lines", "Lines of the stream refused since it started.", row.refused_lines)


def _of_cut_offs(queue: Queue, now: datetime) -> Iterable[Metric]:
    """By custodian, how long until its next cut-off with proposals waiting, and how many."""
    ahead = queue.next_cut_offs(now)
    left = {custodian: (moment - now).total_seconds() for custodian, (moment, _) in ahead.items()}
    waiting = {custodian: count for custodian, (_, count) in ahead.items()}
    if left:
        yield _gauge(
            "trimtab_next_cut_off_seconds", "Time to the next cut-off with proposals waiting.", min(left.values())
        )
    yield _gauges("trimtab_cut_off_seconds", "Time to a custodian's next cut-off.", "custodian", left)
    yield _gauges("trimtab_cut_off_waiting", "Proposals that wait for a person before it.", "custodian", waiting)


def _of_exports(backend: Backend, now: datetime) -> Iterable[Metric]:
    """Exports that were begun and are not whole, and backups."""
    newest = backend.ledger.deliveries.exports_found(limit=LOOKED_AT)
    is_open = sum(export.state is ExportState.WRITING for export in newest)
    yield _gauge("trimtab_exports_open", f"Exports begun and not whole, of the {LOOKED_AT} newest.", is_open)
    made_at = _newest_backup(backend)
    if made_at is not None:
        yield _gauge("trimtab_backup_age_seconds", "Since the newest backup was made.", (now - made_at).total_seconds())


def _newest_backup(backend: Backend) -> datetime | None:
    """When it was made; null where there is none, or none that this machine sees."""
    try:
        found = backups(backup_folder(backend.settings))
    except (WrongUsage, OSError):
        return None
    return datetime.strptime(found[-1].name, "%Y-%m-%dT%H%M%SZ").replace(tzinfo=UTC) if found else None


def _gauge(name: str, text: str, value: float) -> Metric:
    """One number."""
    found = GaugeMetricFamily(name, text)
    found.add_metric([], value)
    return found


def _gauges(name: str, text: str, label: str, values: Mapping[Any, float]) -> Metric:
    """A number for each value of a label."""
    found = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        found.add_metric([str(key)], value)
    return found
