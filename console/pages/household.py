"""A household: its accounts side by side, and where it is managed together its weights before and after, and the one decision."""

from typing import Any

from fastapi import Request
from nicegui import ui

from console.pages.account_trail import members_table
from console.pages.parts import class_panel, panel
from console.shared import (
    Backend,
    dollars,
    from_to,
    page_context,
    plural,
    waiting_page,
    word,
)
from tasks.review import household_page


def register(backend: Backend) -> None:
    """``/households/<id>``, of the newest run that has it, and ``?run=`` of another."""

    @ui.page("/households/{household_id}")
    async def page(request: Request, household_id: str, run: str = "") -> None:
        desk = page_context(backend, request)
        content = await waiting_page(desk, request, "Household")
        if content is not None:
            await desk.show(
                content, lambda: household_page(backend.account_stores, household_id, run_id=run or None), _draw
            )


def _draw(page: dict[str, Any]) -> None:
    accounts = page["accounts"]
    proposed = [one for one in accounts if one["proposal_id"]]
    with ui.element("section").classes("panel head"):
        with ui.row().classes("headline"):
            ui.label(f"Household {page['household_id']}").classes("title").props('role="heading" aria-level="2"')
            ui.label("managed together" if page["is_managed"] else "each account managed alone").classes("chip mark")
            ui.space()
            ui.link(f"night of {page['run']['as_of_date']}", f"/?run={page['run']['run_id']}").classes("quiet")
        with ui.element("div").classes("tiles small"):
            for figure, text in _figures(page, proposed):
                with ui.element("div").classes("tile"):
                    ui.label(figure).classes("figure")
                    ui.label(text).classes("quiet")
        if page["is_managed"] and proposed:
            states = sorted({one["state"] for one in proposed})
            ui.label(
                f"{plural(len(proposed), 'proposal')}, one decision: {', '.join(map(word, states))}. "
                "An account's own drift may grow where the household's shrinks."
            )
            ui.link("To the decision", f"/proposals/{proposed[0]['proposal_id']}")
    class_panel(page)
    with panel("Accounts", wide=True):
        members_table(page)


def _figures(page: dict[str, Any], proposed: list[dict[str, Any]]) -> list[tuple[str, str]]:
    figures = [(f"{page['account_count']:,}", "accounts")]
    if page["is_managed"]:
        figures.append((dollars(page["nav_usd"]), "value"))
        figures.append((from_to(page["one_way_drift"], page["one_way_drift_after"]), "one-way drift of the household"))
    if proposed:
        figures.append((dollars(sum(one["gross_value_usd"] for one in proposed)), "of trades"))
        figures.append((dollars(sum(one["est_tax_usd"] for one in proposed)), "estimated tax"))
    return figures
