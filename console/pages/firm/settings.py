"""Settings and limits: each with its value, where that comes from, and what it is for. Secrets are not shown."""

from typing import Final

from fastapi import Request
from nicegui import ui

from console.pages.parts import panel, plain_table
from console.shared import Backend, frame, page_context
from schemas.enums import Role
from tasks.review import setting_rows

TITLE: Final = "Settings"
COLUMNS: Final = {
    "name": "setting",
    "value": "value",
    "source": "from",
    "default": "default",
    "meaning": "what it is for",
}
CELLS: Final = """
<template v-if="col.name === 'name'"><span class="mono strong">{{ props.row.name }}</span>
  <div class="quiet mono">{{ props.row.variable }}</div></template>
<span v-else-if="col.name === 'source'" :class="'chip ' + (props.row.source === 'default' ? '' : 'mark')">{{ props.row.source }}</span>
"""


def register(backend: Backend) -> None:
    """``/settings``, for operators and admins: it says where things are."""

    @ui.page("/settings")
    async def page(request: Request) -> None:
        desk = page_context(backend, request)
        with frame(desk, request, TITLE), panel("Settings and limits", wide=True):
            if not desk.may_operate:
                ui.label(f"Settings are shown to people with the role {Role.RELEASER} or {Role.ADMIN}.").classes("note")
                return
            ui.label(
                "A variable of the environment wins over a line of trimtab.toml in the home. A change counts once the console is started again. "
                "What may be a secret is not shown."
            ).classes("quiet")
            rows = [
                {
                    "name": one.name,
                    "variable": one.variable,
                    "value": one.value,
                    "source": str(one.source),
                    "default": "" if one.default == one.value else one.default,
                    "meaning": one.meaning,
                }
                for one in setting_rows(backend.settings)
            ]
            plain_table(COLUMNS, rows, cells=CELLS).props('aria-label="Settings"')
