"""The bell of every page: how much there is to know of, what it is, and where; it looks by itself, and tells the desktop where that is allowed."""

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import quote

from nicegui import ui

from console.shared.formatting import plural, until
from tasks.review import Notice, NoticeKind

Reading = Callable[[], Awaitable[Sequence[Notice] | None]]
LOOKS_EVERY_SECONDS: Final = 3.0
ASK: Final = "() => window.Notification && Notification.requestPermission()"


class Bell:
    """One page's bell; ``read`` gives what there is to know of, or null where it could not be read."""

    def __init__(self, read: Reading, now: Callable[[], datetime]) -> None:
        self._read, self._now = read, now
        self._shown: list[tuple[str, str]] | None = None
        with ui.button(icon="notifications").props('flat round dense aria-label="Notices"').classes("bell") as button:
            self._count = ui.badge("", color="").props("floating aria-hidden=true").classes("bell-count")
            self._count.set_visibility(False)
            self._menu = ui.menu()
        self._button = button
        ui.timer(LOOKS_EVERY_SECONDS, self._look, immediate=False)
        ui.timer(0.3, self._look, once=True)

    async def _look(self) -> None:
        found = await self._read()
        if found is None:
            return
        lines = [(notice_text(one, self._now()), notice_link(one)) for one in found]
        if lines == self._shown:
            return
        self._shown = lines
        self._button.props(f'aria-label="{plural(len(lines), "notice")}"')
        self._count.text = str(len(lines))
        self._count.set_visibility(bool(lines))
        self._menu.clear()
        with self._menu:
            for text, link in lines:
                ui.menu_item(text, lambda to=link: ui.navigate.to(to))
            if not lines:
                ui.item_label("Nothing to know of.").props("header")
            ui.separator()
            ui.menu_item("Tell me on this desktop too…").on("click", js_handler=ASK)
        told = [{"key": one.key, "text": text, "link": link} for one, (text, link) in zip(found, lines, strict=True)]
        ui.run_javascript(f"window.trimtabNotices && window.trimtabNotices({json.dumps(told)})")


def notice_text(one: Notice, now: datetime) -> str:
    """A notice as a sentence."""
    if one.kind is NoticeKind.HELD_RUN:
        return f"Run {one.subject} is held."
    if one.kind is NoticeKind.APPROVALS:
        late = f"; the first is too late {until(one.until, now)}" if one.until else ""
        return f"{plural(one.count, 'proposal')} you can approve{late}."
    if one.kind is NoticeKind.BREAKS:
        return f"{plural(one.count, 'break')} to look at."
    return f"{plural(one.count, 'change')} of model {'waits' if one.count == 1 else 'wait'} for a reviewer."


def notice_link(one: Notice) -> str:
    """Where a notice leads."""
    links = {
        NoticeKind.HELD_RUN: f"/?run={quote(one.subject)}",
        NoticeKind.APPROVALS: "/queue",
        NoticeKind.BREAKS: "/breaks",
        NoticeKind.MODEL_CHANGES: "/model-changes",
    }
    return links[one.kind]
