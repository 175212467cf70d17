"""The bar above the queue: the filter and the order, words to add to it, filters that a person saved, and help."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from nicegui import events, ui

from console.shared import PageContext, word
from tasks.review import review
from warehouse.ledger import Filter, Sort

SORT_LABELS: Final = {
    Sort.PRIORITY: "what to look at first",
    Sort.CUT_OFF: "next cut-off",
    Sort.VALUE: "largest trades",
    Sort.TAX: "largest tax",
    Sort.TURNOVER: "largest turnover",
    Sort.DRIFT: "largest drift",
    Sort.AGE: "oldest",
    Sort.ACCOUNT: "account",
}
KEYS_HELP: Final = (
    ("j  k", "next, previous"),
    ("Enter", "open the proposal"),
    ("x", "select or unselect"),
    ("a", "approve the one under the cursor, or the selection"),
    ("r", "reject it, with a note"),
    ("h", "hold it"),
    ("u", "take back what was said last, in the seconds before it counts"),
    ("/", "to the filter"),
    ("?", "this help"),
)


Choosing = Callable[[str, Sort], Awaitable[None]]


class FilterBar:
    """What is shown and in which order; ``chosen`` is called whenever either changes."""

    def __init__(self, desk: PageContext, text: str, sort: Sort, chosen: Choosing) -> None:
        self.desk = desk
        self._text = text
        self._sort = sort
        self._chosen = chosen

    async def build(self) -> None:
        """Draw the bar."""
        self._help = _help_dialog()
        with ui.row().classes("filter-bar"):
            self._input = (
                ui.input("Filter", value=self._text, placeholder="custodian=northbank, min_value=10000, held=no")
                .props("outlined dense clearable")
                .classes("filter-input")
                .on("keydown.enter", self._typed)
                .on("clear", self._typed)
            )
            ui.select(
                {str(key): label for key, label in SORT_LABELS.items()}, value=str(self._sort), label="Order by"
            ).props("outlined dense").classes("narrow").on_value_change(self._sorted)
            with ui.button("Add", icon="filter_alt").props("flat no-caps"), ui.menu():
                await self._suggestions()
            with ui.button("Saved", icon="bookmark").props("flat no-caps"):
                self._saved_menu = ui.menu()
            await self._draw_saved()
            keys = ui.button(icon="keyboard", on_click=self.help).props('flat round aria-label="Keys"')
            keys.classes("keys-button")

    def complain(self, text: str) -> None:
        """Say below the filter what is wrong with it; nothing where the text is empty."""
        self._input.props["error"] = bool(text)
        self._input.props["error-message"] = text
        self._input.update()

    def focus(self) -> None:
        """To the filter."""
        self._input.run_method("focus")

    def help(self) -> None:
        """Show the keys and what a filter knows."""
        self._help.open()

    async def _suggestions(self) -> None:
        wanted, ledger = Filter(), self.desk.backend.ledger
        found = await self.desk.look(
            lambda: (ledger.queue.counts_by("custodian", wanted), ledger.queue.counts_by("look_reasons", wanted))
        )
        custodians, joined = found or ({}, {})
        reasons: dict[str, int] = {}
        for text, number in joined.items():
            for each in filter(None, text.split("|")):
                reasons[each] = reasons.get(each, 0) + number
        for name, number in custodians.items():
            ui.menu_item(f"{name} ({number:,})", lambda n=name: self._with("custodian", n))
        ui.separator()
        for name, number in sorted(reasons.items(), key=lambda item: -item[1]):
            ui.menu_item(f"{word(name)} ({number:,})", lambda n=name: self._with("reason", n))
        ui.separator()
        ui.menu_item("not held", lambda: self._with("held", "no"))
        ui.menu_item("assigned to me", lambda: self._with("assignee", self.desk.name))
        ui.menu_item("approved", lambda: self._with("state", "approved|auto_approved"))
        ui.menu_item("every state", lambda: self._with("state", "any"))

    async def _draw_saved(self) -> None:
        ledger = self.desk.backend.ledger
        filters: Mapping[str, str] = await self.desk.look(lambda: ledger.access.saved_filters(self.desk.name)) or {}
        self._saved_menu.clear()
        with self._saved_menu:
            for name, text in filters.items():
                with ui.menu_item(on_click=lambda t=text: self._use(t)):
                    ui.label(f"{name}: {text or 'all that waits'}")
                    forget = ui.button(icon="close").props("flat dense round")
                    forget.props["aria-label"] = f"Forget {name}"
                    forget.on("click.stop", lambda n=name: self._forget(n))
            if filters:
                ui.separator()
            ui.menu_item("Save this filter…", self._save)

    async def _save(self) -> None:
        with ui.dialog() as dialog, ui.card():
            name = ui.input("Name").props("autofocus outlined")
            with ui.row():
                ui.button("Save", on_click=lambda: dialog.submit(name.value)).props("no-caps")
                ui.button("Cancel", on_click=lambda: dialog.submit(None)).props("flat no-caps")
        given = (await dialog or "").strip()
        if given:
            desk, text = self.desk, self._text
            await desk.ask(lambda: desk.backend.ledger.access.save_filter(desk.name, given, text, desk.now))
            await self._draw_saved()

    async def _forget(self, name: str) -> None:
        await self.desk.ask(lambda: self.desk.backend.ledger.access.drop_filter(self.desk.name, name))
        await self._draw_saved()

    async def _with(self, key: str, value: str) -> None:
        """The filter with one key set anew."""
        parts = dict(part.split("=", 1) for part in self._text.split(",") if "=" in part)
        found = {name.strip(): text.strip() for name, text in parts.items()} | {key: value}
        await self._use(",".join(f"{name}={text}" for name, text in found.items()))

    async def _use(self, text: str) -> None:
        self._input.value = text
        await self._typed()

    async def _typed(self) -> None:
        self._text = (self._input.value or "").strip()
        await self._chosen(self._text, self._sort)

    async def _sorted(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self._sort = Sort(event.value)
        await self._chosen(self._text, self._sort)


def _help_dialog() -> ui.dialog:
    with ui.dialog() as dialog, ui.card():
        ui.label("Keys").classes("panel-title")
        with ui.element("dl").classes("facts"):
            for key, meaning in KEYS_HELP:
                with ui.element("dt"):
                    ui.label(key).classes("mono")
                with ui.element("dd"):
                    ui.label(meaning)
        ui.label(f"The filter knows {', '.join(review.KEYS)}.").classes("quiet")
    return dialog
