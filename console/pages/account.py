"""One account as a whole: what it holds, its drift over nights, what a run made of it and why, its proposals, orders and fills."""

from typing import Any

from fastapi import Request
from nicegui import ui

from console.pages.account_panels import (
    goal_behind,
    goal_panel,
    head_facts,
    holdings_panel,
    nights_panel,
    restrictions_panel,
)
from console.pages.account_trail import (
    members_table,
    proposals_panel,
    sent_panel,
    set_aside_panel,
    trades_panel,
)
from console.pages.parts import class_panel, orders_panel, panel, plain_table
from console.pages.proposal_panels import solution_panels
from console.shared import Backend, PageContext, nothing_here, page_context, waiting_page, word
from tasks.review import account_page, explain_account


def register(backend: Backend) -> None:
    """``/accounts/<id>``, of the newest run that has it, and ``?run=`` of another."""

    @ui.page("/accounts/{account_id}")
    async def page(request: Request, account_id: str, run: str = "") -> None:
        desk = page_context(backend, request)
        content = await waiting_page(desk, request, "Account")
        if content is None:
            return
        found = await desk.look(lambda: account_page(backend.account_stores, account_id, run_id=run or None))
        content.clear()
        with content:
            if found is None:
                nothing_here()
                return
            _head(found)
            why = ui.column().classes("stack")
            with why:
                ui.spinner()
            aims = ui.column().classes("stack")
            _draw(found)
        goal = await desk.look(lambda: goal_behind(backend, account_id, found["run"]["run_id"]))
        with aims:
            goal_panel(goal)
        explained = await desk.look(lambda: _explain(desk, account_id, found["run"]["run_id"]))
        why.clear()
        if explained is not None:
            with why:
                _why(explained)


def _explain(desk: PageContext, account_id: str, run_id: str) -> dict[str, Any]:
    ledger = desk.backend.ledger
    return explain_account(
        desk.backend.lake, ledger.runs, ledger.proposals, ledger.amendments, account_id, run_id=run_id
    )


def _head(page: dict[str, Any]) -> None:
    outcome, run = page["outcome"], page["run"]
    with ui.element("section").classes("panel head"):
        with ui.row().classes("headline"):
            ui.label(page["account"]["account_id"]).classes("title mono").props('role="heading" aria-level="2"')
            ui.label(word(outcome["outcome"])).classes(f"state {outcome['outcome']}")
            ui.space()
            ui.link(f"night of {run['as_of_date']}", f"/?run={run['run_id']}").classes("quiet")
        for text in outcome["sentences"]:
            ui.label(text)
        head_facts(page)


def _draw(page: dict[str, Any]) -> None:
    """What is known of it, whatever the night made of it."""
    nights_panel(page)
    holdings_panel(page)
    set_aside_panel(page)
    if page["household"] is not None:
        household = page["household"]
        with panel(f"Household {household['household_id']}", wide=True):
            members_table(household, page["account"]["account_id"])
    proposals_panel(page)
    sent_panel(page)
    with ui.element("div").classes("halves"):
        restrictions_panel(page)
        trades_panel(page)


def _why(page: dict[str, Any]) -> None:
    """What the night made of it."""
    if page["anomaly"] and page["anomaly"]["sentence"]:
        ui.label(f"Unusual: {page['anomaly']['sentence']}").classes("note")
    if page["causes"]:
        with panel("What stands behind it"):
            plain_table({"text": "cause", "found": "what was found"}, page["causes"])
    class_panel(page)
    if page["orders"]:
        orders_panel(page["orders"])
        with ui.element("div").classes("halves"):
            solution_panels(page)
