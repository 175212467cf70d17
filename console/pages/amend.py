"""Dropping orders of a proposal, or making them smaller: a dialog, and on to the version that comes of it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from nicegui import ui

from console.shared import PageContext, dollars, shares
from tasks.review import amend_proposal
from warehouse.ledger import ReviewedVersion


async def change_orders(desk: PageContext, proposal: Mapping[str, Any], orders: Sequence[dict[str, Any]]) -> None:
    """Ask for the quantities, make the version, and go to it; a check that fails leaves everything as it is."""
    with ui.dialog().props("no-backdrop-dismiss") as dialog, ui.card().classes("dialog wide-dialog"):
        ui.label("Change orders").classes("panel-title")
        ui.label(
            "Orders can be made smaller or dropped. What is left is checked against cash, rules and conservation, and waits "
            "for another person as a new version."
        ).classes("quiet")
        fields = _fields(orders)
        note = ui.textarea("Why (recorded)").props("outlined autogrow").classes("full")
        with ui.row().classes("dialog-buttons"):
            ui.button("Cancel", on_click=lambda: dialog.submit(None)).props("flat no-caps")
            go = ui.button("Make version", on_click=lambda: dialog.submit(note.value)).props("no-caps unelevated")
            go.bind_enabled_from(note, "value", backward=lambda text: bool((text or "").strip()))
    said = await dialog
    if said is None:
        return
    try:
        wish = _wish(orders, {name: field.value for name, field in fields.items()})
    except InvalidOperation:
        ui.notify("A quantity is not a number.", type="negative")
        return
    seen = ReviewedVersion(proposal["content_hash"], proposal["revision"])
    backend = desk.backend
    made = await desk.ask(
        lambda: amend_proposal(
            backend.ledger.amendments,
            backend.ledger.proposals,
            backend.ledger.runs,
            backend.lake,
            proposal["proposal_id"],
            wish=wish,
            actor=desk.name,
            now=desk.now,
            note=said,
            seen=seen,
        )
    )
    if made is not None:
        ui.navigate.to(f"/proposals/{made}")


def _fields(orders: Sequence[dict[str, Any]]) -> dict[str, ui.input]:
    """A field an order, with the quantity that stands."""
    found: dict[str, ui.input] = {}
    with ui.element("table").classes("mini"):
        for one in orders:
            name = one["symbol"] or one["security_id"]
            with ui.element("tr"):
                with ui.element("td").classes(f"side {one['side']}"):
                    ui.label(one["side"])
                with ui.element("td").classes("mono"):
                    ui.label(name)
                with ui.element("td").classes("number"):
                    ui.label(dollars(one["value_usd"]))
                with ui.element("td").classes("number"):
                    field = ui.input(value=shares(one["quantity"])).props("dense outlined input-class=text-right")
                    field.props["aria-label"] = f"Shares to {one['side']} of {name}"
                    found[one["order_id"]] = field
                with ui.element("td"):
                    ui.button("Drop", on_click=lambda f=field: f.set_value("0")).props("flat dense no-caps")
    return found


def _wish(orders: Sequence[dict[str, Any]], wanted: Mapping[str, str]) -> list[tuple[str, Decimal]]:
    """The quantities that are not what stands."""
    found = []
    for one in orders:
        quantity = Decimal((wanted[one["order_id"]] or "0").replace(",", "").strip())
        if quantity != one["quantity"]:
            found.append((one["order_id"], quantity))
    return found
