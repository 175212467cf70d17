"""One export: its files to download, its manifest, where it was delivered, and giving it up before it leaves."""

from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request
from nicegui import ui

from console.pages.after_export import ways_table
from console.pages.jobs import JobsPanel, ask_for
from console.pages.parts import facts, panel, plain_table
from console.shared import (
    NONE,
    Backend,
    Leg,
    PageContext,
    Way,
    clock,
    count,
    download_link,
    export_files,
    follow,
    note_dialog,
    page_context,
    plural,
    size,
    waiting_page,
    ways_of,
    word,
)
from schemas.errors import WrongUsage
from tasks.export import give_up
from warehouse.ledger import ExportRow, ExportState, JobKind

MOST_FILES: Final = 200


@dataclass(frozen=True)
class ExportView:
    """What the page shows, read at once."""

    export: ExportRow
    ways: list[Way]
    files: list[dict[str, Any]]
    custodians: list[str]


def register(backend: Backend) -> None:
    """``/exports/<id>``."""

    @ui.page("/exports/{export_id}")
    async def page(request: Request, export_id: str) -> None:
        desk = page_context(backend, request)
        content = await waiting_page(desk, request, "Export")
        if content is None:
            return

        async def show() -> None:
            await desk.show(content, lambda: _read(desk, export_id), lambda seen: _draw(desk, seen))

        await show()
        follow(desk, show)


def _read(desk: PageContext, export_id: str) -> ExportView:
    ledger = desk.backend.ledger
    export = ledger.deliveries.export_named(export_id)
    if export is None:
        raise WrongUsage(f"there is no export {export_id}\n\nHint: the page Runs lists them.")
    ways = ways_of(desk.backend, [export])[export_id]
    files = export_files(export) if export.state is ExportState.PUBLISHED else []
    return ExportView(export, ways, files, ledger.deliveries.custodians_of(export_id))


def _draw(desk: PageContext, seen: ExportView) -> None:
    export = seen.export
    with ui.element("section").classes("panel head"):
        with ui.row().classes("headline"):
            ui.label(f"Export {export.export_id}").classes("title").props('role="heading" aria-level="2"')
            ui.label(word(export.state)).classes(f"state {export.state}")
            ui.space()
            ui.link("the run", f"/?run={export.run_id}")
        facts(
            {
                "by": export.actor,
                "begun": clock(export.started_at),
                "finished": clock(export.finished_at),
                "custodians": ", ".join(seen.custodians) or NONE,
                "manifest": export.manifest_sha256 or NONE,
            }
        )
        if export.abandoned_by:
            ui.label(f"Given up by {export.abandoned_by}: {export.abandon_note}").classes("note")
        with ui.row().classes("decisions"):
            if desk.may_operate and export.state is ExportState.WRITING:
                ui.button("Finish it", on_click=lambda: ask_for(desk, JobKind.EXPORT, {"run_id": export.run_id})).props(
                    "no-caps unelevated"
                )
                ui.button("Give it up…", on_click=lambda: _abandon(desk, export)).props("no-caps outline")
            if desk.may_operate and any(way.state is not Leg.DELIVERED for way in seen.ways):
                deliver = ui.button(
                    "Deliver", on_click=lambda: ask_for(desk, JobKind.DELIVER, {"run_id": export.run_id})
                )
                deliver.props("no-caps outline")
    JobsPanel(desk, is_quiet=True)
    if seen.ways:
        with panel("Deliveries", wide=True):
            ways_table(seen.ways)
    with panel(f"Files: {count(len(seen.files))}", wide=True):
        _files(desk, seen)


def _files(desk: PageContext, seen: ExportView) -> None:
    if not seen.files:
        ui.label("Its files are not here: it has not left, or its folder was moved.").classes("quiet")
        return
    if not desk.may_operate:
        ui.label("A releaser or an admin may download them.").classes("quiet")
    rows = [
        {
            "path": one["path"],
            "rows": count(one["rows"]) if one["rows"] is not None else "",
            "size": size(one["size"]),
            "sha": one["sha256"][:16] if one["sha256"] else "",
            "link": download_link(seen.export.export_id, one["path"]) if desk.may_operate else "",
        }
        for one in seen.files[:MOST_FILES]
    ]
    columns = {"path": "file", "rows": "rows", "size": "size", "sha": "SHA-256 begins"}
    table = plain_table(columns, rows, numbers=("rows", "size"), link="path" if desk.may_operate else "")
    table.props('aria-label="Files"')
    if len(seen.files) > MOST_FILES:
        ui.label(f"and {plural(len(seen.files) - MOST_FILES, 'file')} more").classes("quiet")


async def _abandon(desk: PageContext, export: ExportRow) -> None:
    text = "None of its orders ever leaves, and its proposals are withdrawn; their accounts get new ones with the next run."
    note = await note_dialog(f"Give up export {export.export_id}?", text, "Give up")
    if note is None:
        return
    settings = desk.backend.settings
    done = await desk.ask(lambda: give_up(settings, export.export_id, note, actor=desk.name))
    if done is not None:
        ui.notify(
            f"{done.export_id} is given up, {plural(done.proposal_count, 'proposal')} withdrawn.", type="positive"
        )
