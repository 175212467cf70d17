"""Rows that a run set aside: what they were, which rules they broke, and letting through what may be."""

from dataclasses import replace
from typing import Any, Final

from fastapi import Request
from nicegui import events, ui

from console.pages.parts import facts, name_boxes, panel
from console.shared import Backend, PageContext, frame, page_context, plural, word
from tasks.review import (
    QuarantinedRow,
    QuarantineFilter,
    QuarantineStores,
    ReleasePlan,
    SetAside,
    named,
    next_sentence,
    plan_release,
    quarantine,
    readmit_rows,
)
from warehouse.ledger import RunRow

MOST_ROWS: Final = 500
CAUSES: Final = {"text": "cause", "found": "what was found", "accounts": "accounts lost", "behind": "rows behind it"}
COLUMNS: Final = {
    "table": "table",
    "place": "row",
    "account": "account",
    "rules": "rules",
    "message": "what was found",
    "released": "",
}

SHOWS_ROW: Final = '<q-td :props="props"><button type="button" class="as-link">{{ props.value }}</button></q-td>'
"""A cell by which the keyboard clicks its row."""


def register(backend: Backend) -> None:
    """``/quarantine``, of the newest run, and ``?run=`` of another."""

    @ui.page("/quarantine")
    async def page(  # noqa: PLR0917 - a query names its parts
        request: Request, run: str = "", rule: str = "", table: str = "", account: str = "", security: str = ""
    ) -> None:
        desk = page_context(backend, request)
        with frame(desk, request, "Quarantine"):
            if not await desk.arrived():
                return
            given = ((value,) if value else () for value in (table, rule, account, security))
            await QuarantineView(desk, run or None, QuarantineFilter(*given)).build()


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
            with ui.column().classes("stack"):
                self.causes = ui.element("div")
                with panel("Rows set aside") as section:
                    section.classes("grid")
                    self.summary = ui.row().classes("totals")
                    self._build_conditions()
                    self.table = _table(COLUMNS, "id").props('selection="multiple"')
                    name_boxes(self.table, "place")
                    self.table.on_select(self._on_select)
                    self.table.on("row-click", self._clicked)
            self.side = ui.element("aside").classes("side").props('aria-label="The row clicked"')
        with self.side:
            ui.label("Click a row to see it as it was read.").classes("quiet")
        await self.refresh()

    def _build_conditions(self) -> None:
        with ui.row().classes("filter-bar"):
            for kind in ("rule", "security", "account"):
                given = getattr(self.wanted, kind)
                box = (
                    ui.input(kind, value=given[0] if given else "")
                    .props("dense outlined clearable debounce=400")
                    .classes("slim")
                )
                box.on_value_change(lambda event, kind=kind: self._narrow(kind, event.value))
            self.whole = ui.switch("consequences too", on_change=self.refresh)

    async def _narrow(self, kind: str, value: str | None) -> None:
        self.wanted = replace(self.wanted, **{kind: (value.strip(),) if value and value.strip() else ()})
        await self.refresh()

    async def refresh(self) -> None:
        """Read the rows."""
        found = await self.desk.look(self._read)
        self.summary.clear()
        self.causes.clear()
        if found is None:
            with self.summary:
                ui.label("No run yet.").classes("quiet")
            return
        run, aside = found
        rows = aside.matching(self.wanted)
        causes = aside.causes_of(rows)
        is_whole = self.whole.value or not self.wanted.is_empty
        shown = rows if is_whole else rows.filter(kind="own")
        with self.summary:
            ui.label(plural(rows.height, "row")).classes("strong")
            ui.label(f"cost {plural(len(aside.accounts_of(rows)), 'account')} the night of {run.as_of_date}")
            behind = 0 if is_whole else rows.filter(kind="consequence").height
            if behind:
                ui.label(f"{behind:,} only consequences").classes("quiet")
            ui.space()
            if self.desk.may_review:
                if not self.wanted.is_empty:
                    ui.button("Let all that match through…", on_click=self._release_matching).props("no-caps outline")
                ui.button("Let selected through…", on_click=self._release_selected).props("no-caps outline")
        if causes:
            with self.causes, panel("What it comes from"):
                table = _table(CAUSES, "name", numbers=("accounts", "behind"))
                table.rows = [_cause(one) for one in causes[:MOST_ROWS]]
                table.on("row-click", self._clicked)
        self.table.rows = [_row(row) for row in shown.head(MOST_ROWS).iter_rows(named=True)]
        self.table.update()

    def _stores(self) -> QuarantineStores:
        ledger = self.desk.backend.ledger
        return QuarantineStores.of(ledger.readmissions, ledger.runs, ledger.inputs, self.desk.backend.lake, self.run)

    def _read(self) -> tuple[RunRow, SetAside]:
        at = self._stores()
        return at.run, quarantine.set_aside(at)

    def _on_select(self, event: events.TableSelectionEventArguments) -> None:
        self.selected = [row["name"] for row in event.selection]

    async def _clicked(self, event: events.GenericEventArguments) -> None:
        name = str(event.args[1]["name"])
        detail = await self.desk.look(lambda: quarantine.show(self._stores(), name))
        if detail is not None:
            self.side.clear()
            with self.side:
                _draw(detail)

    async def _release_selected(self) -> None:
        if not self.selected:
            ui.notify("Select the rows first.", type="info")
            return
        names = list(dict.fromkeys(self.selected))
        await self._release(await self.desk.ask(lambda: plan_release(self._stores(), names)))

    async def _release_matching(self) -> None:
        await self._release(await self.desk.ask(lambda: plan_release(self._stores(), (), self.wanted)))

    async def _release(self, plan: ReleasePlan | None) -> None:
        """Show what would be let through, and do it once somebody has said why."""
        if plan is None:
            return
        if plan.rows.is_empty():
            ui.notify("All of them were let through before.", type="info")
            return
        with ui.dialog().props("no-backdrop-dismiss") as dialog, ui.card().classes("dialog"):
            ui.label(f"Let {plural(plan.rows.height, 'row')} through from now on?").classes("panel-title")
            _draw_plan(plan)
            note = ui.textarea("Why (recorded)").props("outlined autofocus autogrow").classes("full")
            with ui.row().classes("dialog-buttons"):
                ui.button("Cancel", on_click=lambda: dialog.submit(None)).props("flat no-caps")
                go = ui.button("Let through", on_click=lambda: dialog.submit(note.value)).props("no-caps unelevated")
                go.bind_enabled_from(note, "value", backward=lambda text: bool((text or "").strip()))
        said = await dialog
        if said is None:
            return
        done = await self.desk.ask(lambda: self._let_through(plan, said))
        if done is not None:
            count, following = done
            ui.notify(
                f"{plural(count, 'row')} let through. {following}", type="positive", multi_line=True, timeout=20_000
            )
            await self.refresh()

    def _let_through(self, plan: ReleasePlan, note: str) -> tuple[int, str]:
        at = self._stores()
        done = readmit_rows(at, plan, actor=self.desk.name, note=note, now=self.desk.now)
        return len(done), next_sentence(at.runs, at.run)


def _table(columns: dict[str, str], key: str, numbers: tuple[str, ...] = ()) -> ui.table:
    described = [
        {"name": name, "label": text, "field": name, "align": "right" if name in numbers else "left"}
        for name, text in columns.items()
    ]
    table = ui.table(rows=[], columns=described, row_key=key)
    table.add_slot(f"body-cell-{next(iter(columns))}", SHOWS_ROW)
    return table.props('flat dense wrap-cells hide-pagination :rows-per-page-options="[0]"').classes("plain")


def _draw_plan(plan: ReleasePlan) -> None:
    """What would be let through, and what stays as it is."""
    rules = sorted({word(rule) for joined in plan.rows["broken_rules"] for rule in joined.split("|")})
    ui.label(f"Of {plural(len(plan.accounts), 'account')}: {named(plan.accounts)}.")
    ui.label(f"They broke: {', '.join(rules)}.")
    if plan.lasting.height:
        ui.label(f"{plural(plan.lasting.height, 'more row')} cannot be let through: they break what no note mends.")
    if plan.unnamed.height:
        others = ", ".join(word(rule) for rule in plan.other_rules)
        ui.label(
            f"{plural(plan.unnamed.height, 'more row')} broke {others} too and stay; select them to let them through."
        )
    if plan.kept:
        ui.label(f"Other rows keep {plural(len(plan.kept), 'account')} quarantined: {named(plan.kept)}.")
    ui.label("They count from the next run of this night's date; this run stays as it is.").classes("quiet")


def _cause(cause: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": cause["quarantine_id"],
        "text": cause["text"],
        "found": cause["found"],
        "accounts": f"{cause['accounts']:,}",
        "behind": f"{cause['rows_behind']:,}" if cause["rows_behind"] else "",
    }


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
    for text in detail.behind:
        ui.label(f"Behind it: {text}").classes("note")
    for text in (detail.cost, detail.source, detail.outlook):
        ui.label(text)
    facts({name: "" if value is None else str(value) for name, value in detail.cells.items()})
