"""``/metrics`` for Prometheus: counts and times read from the ledger at each look, never an account or a person."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import JSONResponse, Response

from console.metrics.runs import gauge, of_cut_offs, of_exports, of_runs
from console.shared import Backend, undelivered_count
from schemas.enums import Break, ProposalState, RunState
from warehouse.ledger import Filter, SentFilter, Sort

EVERY: Final = Filter(states=None)


class LedgerCollector(Collector):
    """The queue, the newest run, and what follows exports, as gauges."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def collect(self) -> Iterable[Metric]:
        """Read the ledger once."""
        ledger, now = self._backend.ledger, self._backend.now()
        states = GaugeMetricFamily("trimtab_proposals", "Proposals by state.", labels=["state"])
        counts = ledger.queue.counts_by("state", EVERY)
        for state in ProposalState:
            states.add_metric([str(state)], counts.get(str(state), 0))
        yield states
        waiting = ledger.queue.totals(Filter())
        yield gauge("trimtab_queue_length", "Proposals that wait for a person.", waiting.count)
        yield gauge("trimtab_queue_value_usd", "Trades that wait for a person, USD.", float(waiting.gross_value_usd))
        yield gauge("trimtab_queue_held", "Waiting proposals that somebody holds.", waiting.held)
        yield gauge("trimtab_queue_age_seconds", "Age of the oldest that waits.", self._age(now))
        yield from of_cut_offs(ledger, now)
        yield gauge("trimtab_halted", "1 while everything is halted.", float(ledger.halts.current_halt() is not None))
        run = ledger.runs.newest_run()
        if run is not None:
            of_run = GaugeMetricFamily("trimtab_newest_run", "1 for the state of the newest run.", labels=["state"])
            for known in RunState:
                of_run.add_metric([str(known)], float(run.state is known))
            yield of_run
            yield gauge("trimtab_newest_run_started", "When it started, in Unix time.", run.started_at.timestamp())
        yield from of_runs(self._backend, now)
        yield from of_exports(self._backend, now)
        yield from self._after_exports()

    def _after_exports(self) -> Iterable[Metric]:
        """What went wrong, or has not come back, of what left."""
        ledger = self._backend.ledger
        breaks = GaugeMetricFamily("trimtab_open_breaks", "Open breaks by code.", labels=["code"])
        aside = GaugeMetricFamily("trimtab_executions_set_aside", "Executions never used, by code.", labels=["code"])
        broken, left_out = ledger.answers.break_counts("code", SentFilter()), ledger.answers.aside_counts()
        for code in Break:
            breaks.add_metric([str(code)], broken.get(str(code), 0))
            aside.add_metric([str(code)], left_out.get(code, 0))
        yield breaks
        yield aside
        unanswered = broken.get(str(Break.NOT_ACKNOWLEDGED), 0)
        yield gauge("trimtab_orders_not_acknowledged", "Orders that left and nobody answered.", unanswered)
        not_delivered = undelivered_count(self._backend)
        yield gauge("trimtab_exports_not_delivered", "Exports that some place has not had whole.", not_delivered)

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
