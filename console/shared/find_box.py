"""The search box of every page: whatever is called so, as links below it, while somebody types."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from nicegui import events, ui

from tasks.review import FoundKind, FoundThing

Finder = Callable[[str], Awaitable[Sequence[FoundThing] | None]]
LINKS: Final[Mapping[FoundKind, str]] = {
    FoundKind.ACCOUNT: "/accounts/{}",
    FoundKind.HOUSEHOLD: "/households/{}",
    FoundKind.SECURITY: "/securities/{}",
    FoundKind.PROPOSAL: "/proposals/{}",
    FoundKind.ORDER: "/proposals/{}",
    FoundKind.RUN: "/?run={}",
}
"""Where each is shown; an order with its proposal."""
NEXT: Final = """(event) => {
  const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
  if (!step) return;
  event.preventDefault();
  const box = event.target.closest('.find');
  const all = [box.querySelector('input'), ...box.querySelectorAll('.found a')];
  all[Math.min(Math.max(all.indexOf(document.activeElement) + step, 0), all.length - 1)].focus();
}"""
"""Arrows go from the box to what was found and back."""
LEAVE: Final = "() => document.activeElement.blur()"


def link_of(one: FoundThing) -> str:
    """Where a thing is shown."""
    return LINKS[one.kind].format(quote(one.proposal_id or one.name, safe=""))


def findings_list(found: Sequence[FoundThing]) -> None:
    """What was found, as links."""
    for one in found:
        with ui.link(target=link_of(one)).classes("finding"):
            ui.label(one.name).classes("mono strong")
            ui.label(one.kind).classes("chip")
            ui.label(one.about).classes("quiet")


class FindBox:
    """One box; ``find`` looks in a thread of its own."""

    def __init__(self, find: Finder) -> None:
        self._find = find
        with ui.element("search").classes("find").on("keydown", js_handler=NEXT):
            self._input = ui.input(placeholder="Find anything  /", on_change=self._look)
            self._input.props(
                'dense outlined debounce="120" maxlength="80" autocomplete="off" aria-label="Find anything"'
            )
            self._input.on("keydown.enter", self._go, js_handler="(event) => emit(event.target.value)")
            self._input.on("keydown.escape", js_handler=LEAVE)
            self._found = ui.element("div").classes("found").props('role="status" aria-live="polite"')
            self._found.on("keydown.escape", js_handler=LEAVE)

    async def _look(self, event: events.ValueChangeEventArguments[Any]) -> None:
        text = str(event.value or "").strip()
        found = await self._find(text) if text else None
        if text != str(self._input.value or "").strip():
            return  # more was typed meanwhile, which has its own answer
        self._found.clear()
        if text and found is not None:
            with self._found:
                findings_list(found)
                if not found:
                    ui.label("Nothing of the newest nights is called so.").classes("quiet")

    async def _go(self, event: events.GenericEventArguments) -> None:
        """To the one that is called so, or is the only one; else to the page of all that was found.

        What stands in the box is newer than what it has told of while somebody types fast.
        """
        text = str(event.args or "").strip()
        found = await self._find(text) if text else None
        if found is None:
            return
        meant = [one for one in found if one.name.lower() == text.lower()] or found
        ui.navigate.to(link_of(meant[0]) if len(meant) == 1 else f"/find?text={quote(text, safe='')}")
