"""The audit chain: who did what, newest first, and whether the chain is whole."""

from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request
from nicegui import run, ui

from console.pages.parts import panel, plain_table
from console.shared import Backend, PageContext, clock, count, follow, frame, page_context, sentence, word
from schemas.errors import AuditBroken

PAGE_ROWS: Final = 100
COLUMNS: Final = {
    "seq": "number",
    "at": "at",
    "actor": "who",
    "event": "what",
    "change": "state",
    "about": "about",
    "detail": "detail",
}


@dataclass(slots=True)
class AuditFilter:
    """Which rows are shown."""

    actor: str
    run: str
    proposal: str
    below: int | None = None


def register(backend: Backend) -> None:
    """``/audit?actor=&run=&proposal=``."""

    @ui.page("/audit")
    async def page(request: Request, actor: str = "", run: str = "", proposal: str = "") -> None:
        desk = page_context(backend, request)
        wanted = AuditFilter(actor, run, proposal)
        with frame(desk, request, "Audit"), panel("Audit chain", wide=True):
            with ui.row().classes("filter-bar"):
                inputs = {
                    name: ui.input(label, value=getattr(wanted, name)).props("outlined dense clearable")
                    for name, label in (("actor", "Who"), ("run", "Run"), ("proposal", "Proposal"))
                }
                further = ui.button("Older").props("no-caps flat")
                ui.space()
                button = ui.button("Verify the chain", icon="verified").props("no-caps outline")
                button.on_click(lambda: _verify(desk, button))
            table = plain_table(COLUMNS, [], numbers=("seq",))

        if not await desk.arrived():
            return

        async def show() -> None:
            rows = await desk.look(lambda: _rows(desk, wanted))
            table.rows = rows or []
            table.update()

        async def chosen() -> None:
            for name, field in inputs.items():
                setattr(wanted, name, (field.value or "").strip())
            wanted.below = None
            await show()

        async def older() -> None:
            if table.rows:
                wanted.below = int(table.rows[-1]["id"])
                await show()

        further.on_click(older)
        for field in inputs.values():
            field.on("keydown.enter", chosen)
            field.on("clear", chosen)
        await show()
        follow(desk, show)


def _rows(desk: PageContext, wanted: AuditFilter) -> list[dict[str, Any]]:
    found = desk.backend.ledger.audit.audit_rows(
        actor=wanted.actor or None,
        run_id=wanted.run or None,
        proposal_id=wanted.proposal or None,
        below=wanted.below,
        limit=PAGE_ROWS,
    )
    return [
        {
            "id": row.seq,
            "seq": count(row.seq),
            "at": clock(row.at),
            "actor": row.actor,
            "event": word(row.event),
            "change": " → ".join(word(state) for state in (row.from_state, row.to_state) if state),
            "about": row.proposal_id or row.run_id or "",
            "detail": "" if row.detail == "{}" else row.detail,
        }
        for row in reversed(found)
    ]


async def _verify(desk: PageContext, button: ui.button) -> None:
    button.props("loading")
    try:
        number = await run.io_bound(desk.backend.ledger.audit.verify_audit)
    except AuditBroken as error:
        ui.notify(sentence(str(error)), type="negative", multi_line=True, timeout=0, close_button="Close")
    else:
        ui.notify(f"The chain is whole: {number:,} rows.", type="positive")
    finally:
        button.props(remove="loading")
