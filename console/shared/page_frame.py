"""What every page has around it: who is signed in, the way to the other pages, a halt in force, and the theme."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from fastapi import Request
from nicegui import run, ui
from nicegui.client import ClientConnectionTimeout

from console.shared.backend import Backend
from console.shared.bell import Bell
from console.shared.find_box import FindBox
from console.shared.formatting import clock, sentence
from console.shared.guard import session_in
from schemas.enums import Role
from schemas.errors import TrimtabError
from tasks.review import session_of

Answer = TypeVar("Answer")

PAGES: Final = (
    ("/", "Tonight"),
    ("/queue", "Queue"),
    ("/breaks", "Breaks"),
    ("/quarantine", "Quarantine"),
    ("/runs", "Runs"),
    ("/monitor", "Monitor"),
    ("/book", "Book"),
    ("/models", "Models"),
    ("/studies", "Studies"),
    ("/audit", "Audit"),
)
THEMES: Final = {"auto": None, "light": False, "dark": True}
LOOKS_EVERY_SECONDS: Final = 1.0
CONNECT_SECONDS: Final = 60


@dataclass
class PageContext:
    """One open page: the stores, and who sits before it."""

    backend: Backend
    name: str
    roles: frozenset[Role]
    secret: str

    @property
    def now(self) -> datetime:
        """The time."""
        return self.backend.now()

    @property
    def may_review(self) -> bool:
        """Whether buttons for decisions are worth showing; the ledger asks again."""
        return not self.roles.isdisjoint({Role.REVIEWER, Role.ADMIN})

    @property
    def may_operate(self) -> bool:
        """Whether buttons that start, stop and release are worth showing; the ledger asks again."""
        return not self.roles.isdisjoint({Role.RELEASER, Role.ADMIN})

    def is_here(self) -> bool:
        """Whether the person is still signed in; asking is a use of the session."""
        backend = self.backend
        found = session_of(backend.ledger.access, self.secret, now=backend.now(), lifetime=backend.lifetime)
        return found is not None and found.name == self.name

    async def ask(self, work: Callable[[], Answer]) -> Answer | None:
        """Do work that a person asked for, outside the event loop; a refusal becomes a notice, and null comes back.

        Somebody who is no longer signed in is sent to the sign-in page instead.
        """
        if not await run.io_bound(self.is_here):
            self.send_away()
            return None
        return await self.look(work)

    async def look(self, work: Callable[[], Answer]) -> Answer | None:
        """As ``ask``, for what a page does on its own."""
        try:
            return await run.io_bound(work)
        except TrimtabError as error:
            ui.notify(sentence(str(error)), type="negative", multi_line=True, timeout=10_000, close_button="Close")
            return None

    async def show(self, content: ui.column, read: Callable[[], Answer], draw: Callable[[Answer], None]) -> None:
        """Fill the column of a ``waiting_page``: what is read, drawn, or that there is nothing."""
        found = await self.look(read)
        content.clear()
        with content:
            if found is None:
                nothing_here()
            else:
                draw(found)

    async def arrived(self) -> bool:
        """Wait until the browser has the page's frame: what takes time comes after it. False: it went away meanwhile."""
        try:
            await ui.context.client.connected(timeout=CONNECT_SECONDS)
        except ClientConnectionTimeout:
            return False
        return not ui.context.client.is_deleted

    def send_away(self) -> None:
        """To the sign-in page, and back here afterwards."""
        ui.run_javascript("location.assign('/sign-in?next=' + encodeURIComponent(location.pathname + location.search))")


def page_context(backend: Backend, request: Request) -> PageContext:
    """The page's desk."""
    session = session_in(request)
    return PageContext(backend, session.name, session.roles, str(request.scope["state"]["secret"]))


@contextmanager
def frame(desk: PageContext, request: Request, title: str) -> Iterator[ui.element]:
    """The page with its header; what is made inside goes into the main part."""
    ui.page_title(f"{title} · trimtab")
    theme = request.cookies.get("theme", "auto")
    dark = ui.dark_mode(THEMES.get(theme))
    with ui.header().classes("bar"):
        ui.link("trimtab", "/").classes("brand")
        with ui.element("nav").props('aria-label="Pages"').classes("pages"):
            for path, name in PAGES:
                link = ui.link(name, path).classes("page-link")
                if name == title:
                    link.props('aria-current="page"')
        ui.space()
        FindBox(lambda text: desk.look(lambda: desk.backend.find(text)))
        Bell(lambda: desk.look(lambda: desk.backend.notices(desk.name, desk.roles)), lambda: desk.now)
        _person(desk, dark)
    page = ui.element("div").classes("page").props('tabindex="-1"')  # within the one main part that every page has
    ui.skip_link(target=page)
    with page:
        ui.label(title).classes("only-read").props('role="heading" aria-level="1"')
        _halt(desk)
        yield page


async def waiting_page(desk: PageContext, request: Request, title: str) -> ui.column | None:
    """A page whose content takes time: its frame, sent at once, and the column to fill, which shows that something comes.

    Null: the browser went away meanwhile.
    """
    with frame(desk, request, title):
        content = ui.column().classes("stack")
        with content:
            ui.spinner(size="lg")
    return content if await desk.arrived() else None


def nothing_here() -> None:
    """What a page says that has nothing to show; why was said in a notice."""
    ui.label("There is nothing to show here.").classes("quiet")
    ui.link("To the queue", "/queue")


def _person(desk: PageContext, dark: ui.dark_mode) -> None:
    def use(name: str) -> None:
        dark.value = THEMES[name]
        ui.run_javascript(f"document.cookie = 'theme={name}; path=/; max-age=31536000; samesite=lax'")

    with ui.button(desk.name, icon="person").props("flat no-caps").classes("person"), ui.menu():
        roles = ", ".join(sorted(desk.roles)) or "no role"
        ui.item_label(roles).props("header")
        for name in THEMES:
            ui.menu_item({"auto": "Theme of the system"}.get(name, f"{name.capitalize()} theme"), lambda n=name: use(n))
        ui.separator()
        if Role.ADMIN in desk.roles:
            ui.menu_item("People…", lambda: ui.navigate.to("/people"))
        if desk.may_operate:
            ui.menu_item("Settings…", lambda: ui.navigate.to("/settings"))
        if desk.may_operate and desk.backend.ledger.halts.current_halt() is None:
            ui.separator()
            ui.menu_item("Halt everything…", lambda: throw_halt(desk))
        ui.separator()
        ui.menu_item("Sign out", lambda: ui.run_javascript(_SIGN_OUT))


_SIGN_OUT: Final = "fetch('/sign-out', {method: 'POST'}).then(() => location.assign('/sign-in'))"


def _halt(desk: PageContext) -> None:
    halt = desk.backend.ledger.halts.current_halt()
    if halt is not None:
        with ui.element("div").classes("banner bad").props('role="alert"'):
            ui.label(f"Everything is halted since {clock(halt.halted_at)} by {halt.actor}: {halt.note}")
            if desk.may_operate:
                ui.button("Lift the halt…", on_click=lambda: lift_halt(desk)).props("no-caps outline")
            else:
                ui.label("Nothing leaves until a releaser or an admin lifts it.").classes("quiet")


async def note_dialog(title: str, text: str, go: str, *, is_needed: bool = True) -> str | None:
    """Asks for a note and whether to go on; null: not after all, as by Escape. ``go``: what the button says."""
    with ui.dialog().props("no-backdrop-dismiss") as dialog, ui.card().classes("dialog"):
        ui.label(title).classes("panel-title").props('role="heading" aria-level="2"')
        if text:
            ui.label(text)
        note = ui.textarea("Why (recorded)" if is_needed else "Note (optional, recorded)")
        note.props("outlined autofocus autogrow").classes("full")
        with ui.row().classes("dialog-buttons"):
            ui.button("Cancel", on_click=lambda: dialog.submit(None)).props("flat no-caps")
            button = ui.button(go, on_click=lambda: dialog.submit(note.value or "")).props("no-caps unelevated")
            if is_needed:
                button.bind_enabled_from(note, "value", backward=lambda text: bool((text or "").strip()))
    answer: str | None = await dialog
    return answer


async def throw_halt(desk: PageContext) -> None:
    """Stop all that leaves, after asking why."""
    note = await note_dialog(
        "Halt everything?", "Nothing is exported, also what is under way, and no held run goes on.", "Halt"
    )
    if note is not None:
        halts = desk.backend.ledger.halts
        await desk.ask(lambda: [halts.halt(desk.name, note, desk.now)])
        ui.navigate.reload()


async def lift_halt(desk: PageContext) -> None:
    """Let things leave again, after asking why."""
    note = await note_dialog("Lift the halt?", "Exports and held runs may go on; none does by itself.", "Lift")
    if note is not None:
        halts = desk.backend.ledger.halts
        if await desk.ask(lambda: halts.lift_halt(desk.name, note, desk.now)) is not None:
            ui.navigate.reload()


def follow(desk: PageContext, refresh: Callable[[], Awaitable[None]], *, every: int = 1) -> None:
    """Call ``refresh`` after anything was decided by anybody.

    ``every``: refresh at most each so many looks; what happens in between is seen at the next.
    """
    seen = {"change": -1, "looks": 0}

    async def look() -> None:
        seen["looks"] += 1
        if seen["looks"] % every:
            return
        change = await desk.look(desk.backend.newest_change)
        if change is None or change == seen["change"]:
            return
        is_first, seen["change"] = seen["change"] < 0, change
        if not is_first:
            await refresh()

    ui.timer(LOOKS_EVERY_SECONDS, look)
