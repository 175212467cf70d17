"""All that is called so: where the search box leads when it found several."""

from urllib.parse import quote

from fastapi import Request
from nicegui import ui

from console.pages.parts import panel
from console.shared import Backend, findings_list, frame, page_context


def register(backend: Backend) -> None:
    """``/find?text=``."""

    @ui.page("/find")
    async def page(request: Request, text: str = "") -> None:
        desk = page_context(backend, request)
        with frame(desk, request, "Find"), panel("Find anything", wide=True) as section:
            ui.label(
                "Accounts, households, securities, runs; proposals and orders by the first six digits of their id."
            ).classes("quiet")
        if not await desk.arrived():
            return
        found = await desk.look(lambda: backend.find(text)) or []
        with section:
            said = (
                f"With {text} in its name, the first few of each kind:"
                if found
                else f"Nothing of the newest nights is called {text}."
            )
            ui.label(said)
            findings_list(found)
            if not found and text.strip():
                ui.link(f"Look for an account {text.strip()} in every run", f"/accounts/{quote(text.strip(), safe='')}")
