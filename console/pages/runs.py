"""Every run, its state and its way to the Prefect UI; starting one; and exports with their deliveries."""

from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import Request
from nicegui import ui

from console.pages.jobs import JobsPanel, ask_for
from console.pages.parts import panel, plain_table, standing_of
from console.shared import Backend, PageContext, clock, count, follow, frame, page_context, span, ways_of, word
from schemas.enums import Role, RunState
from warehouse.ledger import JobKind, RunRow

MOST_RUNS: Final = 200
COLUMNS: Final = {
    "night": "night",
    "kind": "kind",
    "state": "state",
    "accounts": "accounts",
    "proposed": "proposed",
    "orders": "orders",
    "started": "started",
    "took": "took",
    "by": "by",
    "prefect": "Prefect",
}
NUMBERS: Final = ("accounts", "proposed", "orders", "took")
MOST_EXPORTS: Final = 100
EXPORT_COLUMNS: Final = {
    "id": "export",
    "state": "state",
    "by": "by",
    "finished": "finished",
    "deliveries": "deliveries",
}
EXPORT_CELLS: Final = """
<a v-if="col.name === 'id'" :href="props.row.link" class="row-link mono">{{ props.row.id }}</a>
<span v-else-if="col.name === 'state'" :class="'state ' + props.row.state">{{ props.row.state }}</span>
<template v-else-if="col.name === 'deliveries'"><div v-for="way in props.row.ways" :key="way.name">
  {{ way.name }} <span :class="'state ' + way.state">{{ way.state }}</span> {{ way.problem }}</div></template>
"""
CELLS: Final = """
<a v-if="col.name === 'night'" :href="props.row.link" class="row-link">{{ props.row.night }}</a>
<a v-else-if="col.name === 'prefect' && props.row.flow" :href="props.row.flow" rel="noreferrer" class="row-link">flow run</a>
<span v-else-if="col.name === 'state'" :class="'state ' + props.row.word">{{ props.row.state }}</span>
"""


def register(backend: Backend) -> None:
    """``/runs``."""

    @ui.page("/runs")
    async def page(request: Request) -> None:
        desk = page_context(backend, request)
        with frame(desk, request, "Runs"), ui.column().classes("stack"):
            if desk.may_operate:
                NightForm(desk).build()
            jobs = JobsPanel(desk)
            with panel("Runs", wide=True):
                table = plain_table(COLUMNS, [], numbers=NUMBERS, cells=CELLS)
            with panel("Exports", wide=True):
                sent = plain_table(EXPORT_COLUMNS, [], cells=EXPORT_CELLS)

        if not await desk.arrived():
            return

        async def show() -> None:
            rows = await desk.look(lambda: [_row(desk, run) for run in backend.ledger.runs.list_runs(MOST_RUNS)])
            table.rows = rows or []
            table.update()
            sent.rows = await desk.look(lambda: _exports(desk)) or []
            sent.update()

        await show()
        await jobs.refresh()
        follow(desk, show)


class NightForm:
    """Asks for a night: of which date, from where, and whether only to look."""

    def __init__(self, desk: PageContext) -> None:
        self._desk = desk
        self._source: ui.input | None = None

    def build(self) -> None:
        """Draw the form."""
        desk, settings = self._desk, self._desk.backend.settings
        today = desk.now.astimezone(ZoneInfo(settings.exchange_time_zone)).date()
        with panel("Run a night", wide=True):
            ui.label(
                "A process beside this one does it, as you; whoever starts a night cannot approve its trades. "
                "A check reads the files alone; a dry run computes all and keeps nothing."
            ).classes("quiet")
            with ui.row().classes("filter-bar"):
                self._day = ui.input("Night of", value=today.isoformat())
                self._day.props('outlined dense type="date"').classes("slim")
                if Role.ADMIN in desk.roles:
                    self._source = ui.input("Source", placeholder="as the settings say").props(
                        "outlined dense clearable"
                    )
                    self._source.classes("filter-input")
                ui.button("Check the files", on_click=lambda: self._ask(JobKind.CHECK)).props("no-caps outline")
                ui.button("Dry run", on_click=lambda: self._ask(JobKind.DRY_RUN)).props("no-caps outline")
                ui.button("Start the night", on_click=lambda: self._ask(JobKind.NIGHT)).props("no-caps unelevated")

    async def _ask(self, kind: JobKind) -> None:
        text = str(self._source.value or "").strip() if self._source else ""
        try:
            day = date.fromisoformat(str(self._day.value or ""))
        except ValueError:
            ui.notify(f"{self._day.value or 'Nothing'} is not a date; needed YYYY-MM-DD.", type="negative")
            return
        await ask_for(self._desk, kind, {"as_of": day.isoformat(), "source": [text] if text else []})


def _row(desk: PageContext, run: RunRow) -> dict[str, Any]:
    newer = None if run.state is RunState.DONE else desk.backend.ledger.runs.newer_run_of(run)
    standing = standing_of(run, newer)
    ended = run.finished_at or (desk.now if standing == RunState.RUNNING else None)
    return {
        "id": run.run_id,
        "link": f"/?run={run.run_id}",
        "night": run.as_of_date.isoformat(),
        "kind": word(run.kind) + (", late files" if run.base_run_id else "") + (", some accounts" if run.scope else ""),
        "state": word(standing),
        "word": standing,
        "accounts": count(run.accounts_pulled),
        "proposed": count(run.counts.get("proposed", 0)),
        "orders": count(run.counts.get("orders", 0)),
        "started": clock(run.started_at),
        "took": span(ended - run.started_at) if ended else "",
        "by": run.submitter,
        "flow": _flow(desk, run),
        "prefect": "",
    }


def _exports(desk: PageContext) -> list[dict[str, Any]]:
    """The newest exports with their deliveries."""
    found = desk.backend.ledger.deliveries.exports_found(limit=MOST_EXPORTS)
    ways = ways_of(desk.backend, found)
    return [
        {
            "id": one.export_id,
            "link": f"/exports/{one.export_id}",
            "state": str(one.state),
            "by": one.actor,
            "finished": clock(one.finished_at),
            "deliveries": "",
            "ways": [
                {"name": way.name, "state": str(way.state), "problem": way.problem or ""} for way in ways[one.export_id]
            ],
        }
        for one in found
    ]


def _flow(desk: PageContext, run: RunRow) -> str:
    """Where the Prefect UI shows the run; empty where it is not known."""
    base = desk.backend.settings.prefect_ui_url.rstrip("/")
    name = desk.backend.ledger.runs.flow_run_of(run.run_id) if base else None
    return f"{base}/runs/flow-run/{name}" if name else ""
