"""Rows that a run set aside: what they were, which rules they broke, and letting through what may be."""

from typing import Any, Final

import polars as pl
from fastapi import Request
from nicegui import events, ui

from console.pages.parts import facts, panel
from console.shared import Backend, PageContext, frame, page_context, plural, word
from tasks.review import QuarantinedRow, QuarantineFilter, quarantine
from warehouse.ledger import RunRow

MOST_ROWS: Final = 500
COLUMNS: Final = {
    "table": "table",
    "place": "row",
    "account": "account",
    "rules": "rules",
    "message": "what was found",
    "released": "",
}


def register(backend: Backend) -> None:
    """``/quarantine``, of the newest run, and ``?run=`` of another."""

    @ui.page("/quarantine")
    async def page(request: Request, run: str = "", rule: str = "", table: str = "", account: str = "") -> None:
        desk = page_context(backend, request)
        with frame(desk, request, "Quarantine"):
            if not await desk.arrived():
                return
            view = QuarantineView(desk, run or None, QuarantineFilter(table or None, rule or None, account or None))
            await view.build()


class QuarantineView:
    """One open quarantine."""

    def __init__(self, desk: PageContext, run: str | None, wanted: QuarantineFilter) -> None:
        self.desk = desk
        self.run = run
        self.wanted = wanted
        self.selected: list[str] = []

    async def build(self) -> None:
        """Draw the page."""
        with ui.element("div").classes("split"):
            with panel("Rows set aside") as section:
                section.classes("grid")
                self.summary = ui.row().classes("totals")
                columns = [{"name": key, "label": text, "field": key, "align": "left"} for key, text in COLUMNS.items()]
                self.table = ui.table(rows=[], columns=columns, row_key="id", selection="multiple")
                self.table.props('flat dense wrap-cells hide-pagination :rows-per-page-options="[0]"').classes("plain")
                self.table.on_select(self._on_select)
                self.table.on("row-click", self._clicked)
            self.side = ui.element("aside").classes("side").props('aria-label="The row clicked"')
        with self.side:
            ui.label("Click a row to see it as it was read.").classes("quiet")
        await self.refresh()

    async def refresh(self) -> None:
        """Read the rows."""
        found = await self.desk.look(self._read)
        self.summary.clear()
        with self.summary:
            if found is None:
                ui.label("No run yet.").classes("quiet")
                return
            run, rows = found
            ui.label(plural(rows.height, "row")).classes("strong")
            ui.label(f"of {plural(rows['account_id'].drop_nulls().n_unique(), 'account')}, night of {run.as_of_date}")
            ui.space()
            if self.desk.may_review:
                ui.button("Let selected through…", on_click=self._release).props("no-caps outline")
        self.table.rows = [_row(row) for row in rows.head(MOST_ROWS).iter_rows(named=True)]
        self.table.update()

    def _read(self) -> tuple[RunRow, pl.DataFrame]:
        backend = self.desk.backend
        run = quarantine.find_run(backend.ledger.runs, self.run)
        rows = quarantine.quarantined_rows(backend.ledger.readmissions, backend.lake.read, run).filter(
            self.wanted.holds()
        )
        return run, rows

    def _on_select(self, event: events.TableSelectionEventArguments) -> None:
        self.selected = [row["name"] for row in event.selection]

    async def _clicked(self, event: events.GenericEventArguments) -> None:
        name = str(event.args[1]["name"])
        detail = await self.desk.look(lambda: self._show(name))
        if detail is not None:
            self.side.clear()
            with self.side:
                _draw(detail)

    def _show(self, name: str) -> QuarantinedRow:
        backend = self.desk.backend
        run = quarantine.find_run(backend.ledger.runs, self.run)
        return quarantine.show(backend.ledger.readmissions, backend.lake.read, run, name)

    async def _release(self) -> None:
        if not self.selected:
            ui.notify("Select the rows first.", type="info")
            return
        names = list(dict.fromkeys(self.selected))
        with ui.dialog().props("persistent") as dialog, ui.card().classes("dialog"):
            ui.label(f"Let {plural(len(names), 'row')} through from now on?").classes("panel-title")
            ui.label("They count from the next run of this night's date; this run stays as it is.").classes("quiet")
            note = ui.textarea("Why (recorded)").props("outlined autofocus autogrow").classes("full")
            with ui.row().classes("dialog-buttons"):
                ui.button("Cancel", on_click=lambda: dialog.submit(None)).props("flat no-caps")
                go = ui.button("Let through", on_click=lambda: dialog.submit(note.value)).props("no-caps unelevated")
                go.bind_enabled_from(note, "value", backward=lambda text: bool((text or "").strip()))
        said = await dialog
        if said is None:
            return
        done = await self.desk.ask(lambda: self._let_through(names, said))
        if done is not None:
            ui.notify(f"{plural(done, 'row')} will be used from the next run on.", type="positive")
            await self.refresh()

    def _let_through(self, names: list[str], note: str) -> int:
        backend = self.desk.backend
        run = quarantine.find_run(backend.ledger.runs, self.run)
        done = quarantine.readmit_rows(
            backend.ledger.readmissions,
            backend.lake.read,
            run,
            names,
            actor=self.desk.name,
            note=note,
            now=self.desk.now,
        )
        return len(done)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{row['quarantine_id']}-{row['landed_row']}-{row['row_number']}",
        "name": row["quarantine_id"],
        "table": row["table_name"],
        "place": " row ".join(str(part) for part in (row["file_name"], row["row_number"]) if part is not None),
        "account": row["account_id"] or "",
        "rules": ", ".join(word(rule) for rule in row["broken_rules"].split("|")),
        "message": row["message"] or "",
        "released": f"released by {row['released_by']}" if row["released_by"] else "",
    }


def _draw(detail: QuarantinedRow) -> None:
    ui.label(f"{detail.table_name} {detail.quarantine_id[:12]}").classes("panel-title mono")
    for place in detail.places:
        ui.label(place).classes("quiet")
    for broken in detail.rules:
        ui.label(f"{word(broken.rule)}: {broken.sentence}").classes("note")
    ui.label(detail.cost)
    ui.label(detail.outlook)
    facts({name: "" if value is None else str(value) for name, value in detail.cells.items()})
