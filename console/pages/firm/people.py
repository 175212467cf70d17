"""People, what each may do, how they sign in, and the tokens of machines; for admins alone.

Every change is made by the functions of the command ``trimtab users``, which ask for the role again and write the audit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request
from nicegui import ui

from console.pages.firm.people_dialogs import (
    dialog_buttons,
    names_in,
    open_dialog,
    password_input,
    role_boxes,
    show_once,
    ticked_names,
)
from console.pages.parts import panel, plain_table
from console.shared import Backend, PageContext, clock, follow, frame, page_context, word
from schemas.enums import Role, Scope
from tasks.review import access
from warehouse.ledger import TokenRow

TITLE: Final = "People"
PEOPLE_COLUMNS: Final = {"name": "name", "roles": "may", "signs_in": "signs in", "since": "since"}
TOKEN_COLUMNS: Final = {
    "label": "what for",
    "owner": "acts for",
    "scopes": "may",
    "custodians": "sees",
    "until": "until",
    "state": "",
}


def register(backend: Backend) -> None:
    """``/people``."""

    @ui.page("/people")
    async def page(request: Request) -> None:
        desk = page_context(backend, request)
        with frame(desk, request, TITLE):
            if Role.ADMIN not in desk.roles:
                with panel(TITLE):
                    ui.label("Only an admin sees and changes who may do what.").classes("note")
                return
            if not await desk.arrived():
                return
            view = PeopleView(desk)
            await view.build()
        follow(desk, view.refresh)


@dataclass(frozen=True)
class PersonRow:
    """A user as the page shows them."""

    name: str
    roles: frozenset[Role]
    has_password: bool
    since: str


class PeopleView:
    """The page as one admin looks at it."""

    def __init__(self, desk: PageContext) -> None:
        self.desk = desk
        self.names: list[str] = []

    async def build(self) -> None:
        """Draw the page once."""
        with ui.column().classes("stack"):
            with panel("People", wide=True):
                self.people = plain_table(PEOPLE_COLUMNS, [])
                self.people.props('aria-label="People"')
                with ui.row().classes("decisions"):
                    self.who = ui.select([], label="Who").props("outlined dense").classes("narrow")
                    for text, work in (
                        ("Roles…", self._roles),
                        ("Password…", self._password),
                        ("Link to a sign-in…", self._link),
                        ("New token…", self._token),
                    ):
                        button = ui.button(text, on_click=work).props("no-caps outline")
                        button.bind_enabled_from(self.who, "value", backward=bool)
                    ui.space()
                    ui.button("Add a person…", on_click=self._add).props("no-caps unelevated")
            with panel("Tokens of machines", wide=True):
                self.tokens = plain_table(TOKEN_COLUMNS, [])
                self.tokens.props('no-data-label="None." aria-label="Tokens"')
                with ui.row().classes("decisions"):
                    self.which = ui.select({}, label="Which").props("outlined dense").classes("narrow")
                    button = ui.button("Revoke…", on_click=self._revoke).props("no-caps outline")
                    button.bind_enabled_from(self.which, "value", backward=bool)
        await self.refresh()

    async def refresh(self) -> None:
        """Read everything again."""
        found = await self.desk.look(self._read)
        if found is None:
            return
        people, tokens = found
        self.people.rows = [_person(one) for one in people]
        self.people.update()
        self.who.set_options([one.name for one in people], value=self.who.value)
        now = self.desk.now
        self.tokens.rows = [
            _token(one, "revoked" if one.revoked_at else "over" if one.expires_at <= now else "") for one in tokens
        ]
        self.tokens.update()
        in_force = {
            one.token_id: f"{one.label} of {one.owner}" for one in tokens if not one.revoked_at and one.expires_at > now
        }
        self.which.set_options(in_force, value=self.which.value if self.which.value in in_force else None)

    def _read(self) -> tuple[list[PersonRow], list[TokenRow]]:
        ledger = self.desk.backend.ledger
        people = [
            PersonRow(one.name, one.roles, ledger.access.password_hash_of(one.name) is not None, clock(one.created_at))
            for one in ledger.users.list_users()
        ]
        return people, ledger.access.list_tokens()

    async def _do(self, work: Callable[[], object], said: str) -> None:
        """What an admin asked for; a refusal is said, and nothing happened."""
        if await self.desk.ask(lambda: [work()]) is not None:
            ui.notify(said, type="positive")
        await self.refresh()

    async def _add(self) -> None:
        with open_dialog("Add a person") as dialog:
            name = ui.input("Name, as the operating system calls them").props("outlined autofocus").classes("full")
            password = password_input("Password (at least 12 characters; empty: none yet)")
            roles = role_boxes(frozenset())
            dialog_buttons(dialog, "Add", lambda: (name.value or "", password.value or "", ticked_names(roles)))
        answer = await dialog
        if answer is not None:
            who, secret, chosen = answer
            ledger, desk = self.desk.backend.ledger, self.desk
            await self._do(
                lambda: access.add_person(
                    ledger.users, ledger.access, who, chosen, secret or None, actor=desk.name, now=desk.now
                ),
                f"{who} was added.",
            )

    async def _roles(self) -> None:
        who, desk = str(self.who.value), self.desk
        now = await desk.look(lambda: desk.backend.ledger.users.roles_of(who))
        with open_dialog(f"What may {who} do?") as dialog:
            ui.label("It counts at once, on open pages too. Without a role they are signed out and may do nothing.")
            roles = role_boxes(now or frozenset())
            dialog_buttons(dialog, "Set", lambda: ticked_names(roles))
        chosen = await dialog
        if chosen is not None:
            users = desk.backend.ledger.users
            await self._do(
                lambda: users.set_roles(who, chosen, actor=desk.name, now=desk.now), f"{who} may do that now."
            )

    async def _password(self) -> None:
        who, desk = str(self.who.value), self.desk
        with open_dialog(f"A new password for {who}") as dialog:
            ui.label("Their sessions end. Tell them in person, and let them set another.")
            first, again = password_input("Password (at least 12 characters)"), password_input("Again")
            dialog_buttons(dialog, "Set", lambda: (first.value or "", again.value or ""))
        answer = await dialog
        if answer is None:
            return
        if answer[0] != answer[1]:
            ui.notify("The two passwords differ; nothing was set.", type="negative")
            return
        ledger = desk.backend.ledger
        await self._do(
            lambda: access.set_password(ledger.access, who, answer[0], actor=desk.name, now=desk.now),
            f"{who} has a new password.",
        )

    async def _link(self) -> None:
        who, desk = str(self.who.value), self.desk
        with open_dialog(f"Let {who} sign in by the identity provider") as dialog:
            if not desk.backend.settings.oidc_issuer_url:
                ui.label("No identity provider is set (oidc_issuer_url); the link counts once there is one.").classes(
                    "note"
                )
            subject = ui.input("Subject: <issuer>|<sub>").props("outlined autofocus").classes("full")
            dialog_buttons(dialog, "Link", lambda: subject.value or "")
        answer = await dialog
        if answer:
            ledger = desk.backend.ledger
            await self._do(
                lambda: ledger.access.link_subject(who, answer, actor=desk.name, now=desk.now), f"{who} is linked."
            )

    async def _token(self) -> None:
        who, desk = str(self.who.value), self.desk
        with open_dialog(f"A token that acts for {who}") as dialog:
            label = ui.input("What it is for").props("outlined autofocus").classes("full")
            scopes = {scope: ui.checkbox(str(scope)) for scope in Scope}
            custodians = ui.input("Custodians it sees, by commas (empty: all)").props("outlined").classes("full")
            days = ui.number("Days it lasts", value=access.TOKEN_DAYS, min=1, max=access.MOST_TOKEN_DAYS, precision=0)
            days.props("outlined")
            dialog_buttons(
                dialog,
                "Make",
                lambda: (
                    label.value or "",
                    ticked_names(scopes),
                    names_in(custodians.value or ""),
                    int(days.value or 0),
                ),
            )
        answer = await dialog
        if answer is None:
            return
        said, chosen, seen, lasts = answer
        ledger = desk.backend.ledger
        secret = await desk.ask(
            lambda: access.make_token(
                ledger.access,
                label=said,
                owner=who,
                scopes=chosen,
                custodians=seen,
                actor=desk.name,
                now=desk.now,
                days=lasts,
            )
        )
        await self.refresh()
        if secret is not None:
            await show_once(secret)

    async def _revoke(self) -> None:
        which, desk = str(self.which.value), self.desk
        with open_dialog("Revoke the token?") as dialog:
            ui.label("What uses it is refused from now on.")
            dialog_buttons(dialog, "Revoke", lambda: True)
        if await dialog:
            ledger = desk.backend.ledger
            await self._do(
                lambda: ledger.access.revoke_token(which, actor=desk.name, now=desk.now), "The token is revoked."
            )


def _person(one: PersonRow) -> dict[str, Any]:
    return {
        "id": one.name,
        "name": one.name,
        "roles": ", ".join(map(str, sorted(one.roles))) or "nothing",
        "signs_in": "with a password" if one.has_password else "not with a password",
        "since": one.since,
    }


def _token(one: TokenRow, state: str) -> dict[str, Any]:
    return {
        "id": one.token_id,
        "label": one.label,
        "owner": one.owner,
        "scopes": _names_text(one.scopes),
        "custodians": "every custodian" if one.custodians is None else _names_text(one.custodians),
        "until": clock(one.expires_at),
        "state": word(state),
    }


def _names_text(names: Sequence[str] | frozenset[Any]) -> str:
    return ", ".join(sorted(map(str, names)))
