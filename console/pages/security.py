"""A security: who holds it, what is proposed in it, and what restricts it."""

from typing import Any

from fastapi import Request
from nicegui import ui

from console.pages.parts import facts, panel, plain_table
from console.shared import (
    NONE,
    Backend,
    count,
    day,
    dollars,
    large_dollars,
    page_context,
    plural,
    price,
    shares,
    waiting_page,
    word,
)
from tasks.review import security_page


def register(backend: Backend) -> None:
    """``/securities/<id>``, of the newest night, and ``?run=`` of another run."""

    @ui.page("/securities/{security_id}")
    async def page(request: Request, security_id: str, run: str = "") -> None:
        desk = page_context(backend, request)
        content = await waiting_page(desk, request, "Security")
        if content is not None:
            await desk.show(
                content, lambda: security_page(backend.account_stores, security_id, run_id=run or None), _draw
            )


def _draw(page: dict[str, Any]) -> None:
    security, held = page["security"], page["held"]
    with ui.element("section").classes("panel head"):
        with ui.row().classes("headline"):
            name = f"{security['symbol']} · {security['name']}" if security["name"] else security["symbol"]
            ui.label(name).classes("title").props('role="heading" aria-level="2"')
            if security["is_tradable"] is False:
                ui.label("not tradable").classes("chip bad")
            ui.space()
            ui.link(f"night of {page['run']['as_of_date']}", f"/?run={page['run']['run_id']}").classes("quiet")
        facts(
            {
                "identifier": security["security_id"],
                "class, type": f"{word(security['asset_class'] or NONE)}, {word(security['security_type'] or NONE)}",
                "price": f"{price(security['price_usd'])} of {day(security['price_date'])}",
                "held": f"{shares(held['quantity'])}, {large_dollars(held['value_usd'])}, by {plural(held['holder_count'], 'account')}",
            }
        )
    with ui.element("div").classes("halves"):
        _orders(page)
        _restrictions(page)
    with panel("Who holds it", wide=True):
        rows = [
            {
                "account": one["account_id"],
                "link": f"/accounts/{one['account_id']}",
                "shares": shares(one["quantity"]),
                "value": dollars(one["value_usd"]),
            }
            for one in page["holders"]
        ]
        table = plain_table(
            {"account": "account", "shares": "shares", "value": "value"},
            rows,
            numbers=("shares", "value"),
            link="account",
        )
        table.props('aria-label="Who holds it"')
        if held["holder_count"] > len(rows):
            ui.label(f"and {held['holder_count'] - len(rows):,} that hold less").classes("quiet")


def _orders(page: dict[str, Any]) -> None:
    with panel("Proposed in it"):
        rows = [
            {
                "side": one["side"],
                "orders": count(one["count"]),
                "shares": shares(one["quantity"]),
                "value": large_dollars(one["value_usd"]),
            }
            for one in page["orders"]
        ]
        if not rows:
            ui.label("No orders.").classes("quiet")
            return
        columns = {"side": "", "orders": "orders", "shares": "shares", "value": "value"}
        plain_table(columns, rows, numbers=("orders", "shares", "value")).props('aria-label="Proposed in it"')


def _restrictions(page: dict[str, Any]) -> None:
    if not page["restrictions"]:
        return
    with panel("Restrictions"):
        rows = [
            {
                "rule": word(one["rule"] or NONE),
                "whose": "every account" if one["is_everyones"] else plural(one["accounts"], "account"),
                "until": day(one["until_date"]) if one["until_date"] else "for good",
            }
            for one in page["restrictions"]
        ]
        plain_table({"rule": "rule", "whose": "of", "until": "until"}, rows).props('aria-label="Restrictions"')
