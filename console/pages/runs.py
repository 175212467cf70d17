"""Every run, its state and its way to the Prefect UI."""

from typing import Any, Final

from fastapi import Request
from nicegui import ui

from console.backend import Backend
from console.frame import Desk, desk_of, follow, frame
from console.pages.parts import panel
from console.words import clock, count, span, word
from warehouse.ledger import RunRow

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
BODY: Final = """
<q-tr :props="props">
  <q-td v-for="col in props.cols" :key="col.name" :props="props">
    <a v-if="col.name === 'night'" :href="props.row.link" class="row-link">{{ props.row.night }}</a>
    <a v-else-if="col.name === 'prefect' && props.row.flow" :href="props.row.flow" rel="noreferrer" class="row-link">flow run</a>
    <span v-else-if="col.name === 'state'" :class="'state ' + props.row.word">{{ props.row.state }}</span>
    <template v-else>{{ col.value }}</template>
  </q-td>
</q-tr>
"""


def register(backend: Backend) -> None:
    """``/runs``."""

    @ui.page("/runs")
    async def page(request: Request) -> None:
        desk = desk_of(backend, request)
        with frame(desk, request, "Runs"), panel("Runs", wide=True):
            columns = [
                {"name": name, "label": label, "field": name, "align": "right" if name in NUMBERS else "left"}
                for name, label in COLUMNS.items()
            ]
            table = ui.table(rows=[], columns=columns, row_key="id").props("flat dense wrap-cells").classes("plain")
            table.add_slot("body", BODY)

        if not await desk.arrived():
            return

        async def show() -> None:
            rows = await desk.look(lambda: [_row(desk, run) for run in backend.ledger.list_runs(MOST_RUNS)])
            table.rows = rows or []
            table.update()

        await show()
        follow(desk, show)


def _row(desk: Desk, run: RunRow) -> dict[str, Any]:
    ended = run.finished_at or desk.now
    return {
        "id": run.run_id,
        "link": f"/?run={run.run_id}",
        "night": run.as_of_date.isoformat(),
        "kind": word(run.kind) + (", late files" if run.base_run_id else "") + (", some accounts" if run.scope else ""),
        "state": word(run.state),
        "word": str(run.state),
        "accounts": count(run.accounts_pulled),
        "proposed": count(run.counts.get("proposed", 0)),
        "orders": count(run.counts.get("orders", 0)),
        "started": clock(run.started_at),
        "took": span(ended - run.started_at),
        "by": run.submitter,
        "flow": _flow(desk, run),
        "prefect": "",
    }


def _flow(desk: Desk, run: RunRow) -> str:
    """Where the Prefect UI shows the run; empty where it is not known."""
    base = desk.backend.settings.prefect_ui_url.rstrip("/")
    name = desk.backend.ledger.flow_run_of(run.run_id) if base else None
    return f"{base}/runs/flow-run/{name}" if name else ""
