"""Models that investors' profiles ask for: what the move would cost, why, and what a person says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
from fastapi import Request
from nicegui import events, ui

from console.pages.decide import DONE, VERBS
from console.pages.grace import Grace
from console.pages.parts import name_boxes, panel, plain_table
from console.shared import (
    Backend,
    PageContext,
    dollars,
    follow,
    frame,
    note_dialog,
    page_context,
    percent,
    plural,
    word,
)
from schemas.enums import ChangeState
from schemas.errors import WrongUsage
from tasks.review import newest_findings
from warehouse.ledger import Decision

TITLE: Final = "Model changes"
COLUMNS: Final = {
    "who": "who",
    "models": "from → to",
    "why": "why",
    "tax": "tax",
    "cost": "cost",
    "turnover": "of NAV",
    "orders": "orders",
}
NUMBERS: Final = ("tax", "cost", "turnover", "orders")
WHO_CELL: Final = """
<q-td :props="props"><a :href="props.row.link" class="row-link mono">{{ props.row.who }}</a>
  <div v-for="each in props.row.marks" :key="each"><span class="chip mark">{{ each }}</span></div></q-td>
"""
FOUND_COLUMNS: Final = {"household": "household", "account": "account", "investor": "investor", "what": "what"}
NEED_NOTE: Final = frozenset({Decision.REJECT, Decision.WITHDRAW})
SHOWN: Final = {
    ChangeState.PENDING_REVIEW: ("Models that wait for a person", (Decision.APPROVE, Decision.REJECT)),
    ChangeState.APPROVED: ("Changes in force", (Decision.WITHDRAW,)),
}
"""By state: what its table is called, and what may be said of its rows."""


def register(backend: Backend) -> None:
    """``/model-changes``."""

    @ui.page("/model-changes")
    async def page(request: Request) -> None:
        desk = page_context(backend, request)
        with frame(desk, request, TITLE):
            if not await desk.arrived():
                return
            view = ModelChangesView(desk)
            await view.build()
        follow(desk, view.refresh)


@dataclass(frozen=True)
class ChangesFound:
    """What the page shows; ``findings`` are of the run ``run_id``, which is empty before the first night."""

    changes: pl.DataFrame
    findings: pl.DataFrame
    run_id: str


class ModelChangesView:
    """The page as one person looks at it."""

    def __init__(self, desk: PageContext) -> None:
        self.desk = desk
        self.grace = Grace(desk)
        self.seen: dict[str, str] = {}
        """By change on the screen: its content."""
        self.selected: dict[ChangeState, list[str]] = {}
        self.tables: dict[ChangeState, ui.table] = {}

    async def build(self) -> None:
        """Draw the page once."""
        with ui.column().classes("stack"):
            for state, (title, decisions) in SHOWN.items():
                with panel(title, wide=True):
                    self._table(state, title, decisions)
            with panel("Profiles that a person has to look at first", wide=True):
                self.findings = plain_table(FOUND_COLUMNS, [])
                self.nothing = ui.label("None.").classes("quiet")
        await self.refresh()

    def _table(self, state: ChangeState, title: str, decisions: tuple[Decision, ...]) -> None:
        described = [
            {"name": name, "label": label, "field": name, "align": "right" if name in NUMBERS else "left"}
            for name, label in COLUMNS.items()
        ]
        is_deciding = self.desk.may_review
        table = ui.table(rows=[], columns=described, row_key="id", selection="multiple" if is_deciding else None)
        table.props(
            f'flat dense wrap-cells hide-pagination :rows-per-page-options="[0]" no-data-label="None." aria-label="{title}"'
        )
        table.classes("plain").add_slot("body-cell-who", WHO_CELL)
        name_boxes(table, "who")
        table.on_select(lambda event: self._on_select(state, event))
        self.tables[state] = table
        if is_deciding:
            with ui.row().classes("dialog-buttons"):
                for decision in decisions:
                    verb = VERBS[decision].partition(" ")[0]
                    button = ui.button(f"{verb} selected…", on_click=lambda d=decision: self._decide(state, d))
                    button.props("no-caps unelevated" if decision is Decision.APPROVE else "no-caps outline")

    def _on_select(self, state: ChangeState, event: events.TableSelectionEventArguments) -> None:
        self.selected[state] = [row["id"] for row in event.selection]

    async def refresh(self) -> None:
        """Read everything again."""
        found = await self.desk.look(self._read)
        if found is None:
            return
        rows = found.changes.to_dicts()
        self.seen = {row["change_id"]: row["content_hash"] for row in rows}
        for state, table in self.tables.items():
            table.rows = [_row(row) for row in rows if row["state"] == state]
            chosen = set(self.selected.get(state, ()))
            table.selected = [row for row in table.rows if row["id"] in chosen]
            self.selected[state] = [row["id"] for row in table.selected]
            table.update()
        self.findings.rows = [{"id": n, **_finding(row)} for n, row in enumerate(found.findings.to_dicts())]
        self.findings.update()
        self.findings.set_visibility(found.findings.height > 0)
        self.nothing.set_visibility(found.findings.is_empty())

    def _read(self) -> ChangesFound:
        backend = self.desk.backend
        changes = backend.ledger.model_changes.model_changes(*SHOWN)
        try:
            run_id, findings = newest_findings(backend.lake, backend.ledger.runs)
        except WrongUsage:  # no night is done yet
            return ChangesFound(changes, pl.DataFrame(), "")
        return ChangesFound(changes, findings, run_id)

    async def _decide(self, state: ChangeState, decision: Decision) -> None:
        """Decide what is selected, as it stands on the screen."""
        seen = {one: self.seen[one] for one in self.selected.get(state, ()) if one in self.seen}
        if not seen:
            ui.notify("Select the changes first.", type="info")
            return
        what = f"{VERBS[decision]} {plural(len(seen), 'model change')}"
        text = "An approved model is aimed at from the next night on; its trades wait in the queue as all others."
        verb = what.partition(" ")[0]
        is_needed = decision in NEED_NOTE
        note = await note_dialog(f"{what}?", text if decision is Decision.APPROVE else "", verb, is_needed=is_needed)
        if note is None:
            return
        desk = self.desk

        async def finish(states: Mapping[str, ChangeState] | None) -> None:
            if states is not None:
                waiting = sum(one is ChangeState.PENDING_REVIEW for one in states.values())
                more = f" {waiting:,} of them wait for a second person." if waiting else ""
                ui.notify(f"{plural(len(states), 'model change')} {DONE[decision]}.{more}", type="positive")
            await self.refresh()

        await self.grace.let(
            decision,
            what,
            lambda: desk.backend.ledger.model_changes.decide_changes(
                seen, decision=decision, actor=desk.name, now=desk.now, note=note
            ),
            finish,
        )


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    room = f"{row['subject_kind']}s"
    return {
        "id": row["change_id"],
        "who": row["subject_id"],
        "link": f"/{room}/{row['subject_id']}",
        "marks": [
            *([] if row["subject_kind"] == "account" else ["household managed together"]),
            *(["two people approve"] if row["approvals_needed"] > 1 else []),
        ],
        "models": f"{row['from_model_id']} → {row['to_model_id']}",
        "why": row["reason"],
        "tax": dollars(row["est_tax_usd"]),
        "cost": dollars(row["est_cost_usd"]),
        "turnover": percent(row["turnover"]),
        "orders": f"{row['order_count']:,}",
    }


def _finding(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "household": row["household_id"] or "",
        "account": row["account_id"] or "",
        "investor": row["investor_id"] or "",
        "what": word(row["finding"]),
    }
