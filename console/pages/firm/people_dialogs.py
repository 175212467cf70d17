"""Dialogs of the page People: what is filled in, and what comes of it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from nicegui import ui

from schemas.enums import Role

ROLES: Final = {
    Role.VIEWER: "look",
    Role.REVIEWER: "approve and reject",
    Role.RELEASER: "export, start and resume nights",
    Role.ADMIN: "everything, and say who may do what",
}


async def show_once(secret: str) -> None:
    """Shows a new token, which cannot be shown again."""
    with open_dialog("The token, shown this once") as dialog:
        ui.label("Only its hash is kept: copy it now. It goes into the header Authorization: Bearer …")
        ui.input("Token", value=secret).props("outlined readonly").classes("full mono")
        with ui.row().classes("dialog-buttons"):
            ui.button("Close", on_click=lambda: dialog.submit(None)).props("no-caps unelevated")
    await dialog


@contextmanager
def open_dialog(title: str) -> Iterator[ui.dialog]:
    """A dialog; what is made inside goes into its card."""
    with ui.dialog().props("no-backdrop-dismiss") as dialog, ui.card().classes("dialog"):
        ui.label(title).classes("panel-title").props('role="heading" aria-level="2"')
        yield dialog


def dialog_buttons(dialog: ui.dialog, go: str, answer: Callable[[], Any]) -> None:
    """Cancel, which answers null, and the button that answers."""
    with ui.row().classes("dialog-buttons"):
        ui.button("Cancel", on_click=lambda: dialog.submit(None)).props("flat no-caps")
        ui.button(go, on_click=lambda: dialog.submit(answer())).props("no-caps unelevated")


def password_input(label: str) -> ui.input:
    """A field whose text is not seen and that no browser fills in."""
    return ui.input(label, password=True).props('outlined autocomplete="new-password"').classes("full")


def role_boxes(has: frozenset[Role]) -> dict[Role, ui.checkbox]:
    """A box a role, ticked where somebody has it."""
    return {role: ui.checkbox(f"{role}: may {meaning}", value=role in has) for role, meaning in ROLES.items()}


def ticked_names(boxes: Mapping[Any, ui.checkbox]) -> list[Any]:
    """Names whose boxes are ticked."""
    return [name for name, box in boxes.items() if box.value]


def names_in(text: str) -> list[str] | None:
    """Names between commas; null: there is none."""
    return [name.strip() for name in text.split(",") if name.strip()] or None
