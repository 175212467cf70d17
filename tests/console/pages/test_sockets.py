"""Somebody who is signed in speaks for a page that somebody else opened, and somebody who no longer may for their own."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from schemas.enums import Role
from schemas.settings import Settings
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.browser import console_on
from tests.support.console_scene import PASSWORD, copied
from warehouse.ledger import Filter, Ledger

pytestmark = pytest.mark.system

HANDSHAKE: Final = {"tab_id": "tab", "document_id": "document", "next_message_id": "0"}
SECONDS: Final = 30
"""How long an answer may take on a machine that does much else."""
MOST_PINGS: Final = 4


@pytest.fixture(scope="module")
def home(night_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(night_home, tmp_path_factory.mktemp("sockets") / "home")


@pytest.fixture(scope="module")
def ledger(home: Path) -> Iterator[Ledger]:
    with closing(open_ledger(Settings(home=home))) as ledger:
        yield ledger


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    with console_on(home) as address:
        yield address


class Browser:
    """A program that has somebody's cookie and knows what is said over a page's socket."""

    def __init__(self, address: str, name: str) -> None:
        self.address = address
        self.http = httpx.Client(base_url=address, headers={"origin": address, "accept": "text/html"})
        self.http.post("/sign-in", data={"name": name, "password": PASSWORD})

    def open_page(self, path: str) -> str:
        """The page's client id."""
        page = self.http.get(path).raise_for_status().text
        found = re.search("client_id.{1,20}?([0-9a-f-]{36})", page)
        assert found is not None
        return found[1]

    @contextmanager
    def socket(self, **query: str) -> Iterator[ClientConnection]:
        asked = urlencode({"EIO": "4", "transport": "websocket", **query})
        url = f"{self.address.replace('http', 'ws')}/_nicegui_ws/socket.io/?{asked}"
        cookie = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        with connect(url, origin=self.address, additional_headers={"cookie": cookie}, max_size=None) as socket:  # type: ignore[arg-type]
            assert str(socket.recv(SECONDS)).startswith("0")
            socket.send("40")
            yield socket

    @contextmanager
    def page_socket(self, client_id: str) -> Iterator[ClientConnection]:
        with self.socket(client_id=client_id, implicit_handshake="true", **HANDSHAKE) as socket:
            yield socket


def until(socket: ClientConnection, wanted: Callable[[str], bool]) -> str:
    """The first frame that is wanted; pings are answered, a few times."""
    pings = 0
    while pings < MOST_PINGS:
        frame = str(socket.recv(SECONDS))
        if wanted(frame):
            return frame
        if frame == "2":
            pings += 1
            socket.send("3")
    raise AssertionError("nothing of it came")


def rows_in(socket: ClientConnection) -> str:
    """A frame with content: what a page is for."""
    return until(socket, lambda frame: frame.startswith("42") and "update" in frame[:20])


def refused(socket: ClientConnection) -> bool:
    return until(socket, lambda frame: frame.startswith(("40", "44"))).startswith("44")


def pushed(socket: ClientConnection) -> list[str]:
    """Everything until the socket is closed."""
    found: list[str] = []
    with pytest.raises(ConnectionClosed):
        until(socket, lambda frame: found.append(frame) is not None)
    return found


def say(socket: ClientConnection, event: str, **message: Any) -> None:
    socket.send("42" + json.dumps([event, message]))


def answered(socket: ClientConnection, event: str, **message: Any) -> str:
    socket.send("427" + json.dumps([event, message]))
    return until(socket, lambda frame: frame.startswith("437"))


@pytest.fixture
def enter(address: str) -> Iterator[Callable[[str], Browser]]:
    """Signs somebody in."""
    entered: list[Browser] = []

    def let_in(name: str) -> Browser:
        entered.append(Browser(address, name))
        return entered[-1]

    yield let_in
    for one in entered:
        one.http.close()


Entering = Callable[[str], Browser]


@pytest.fixture
def page(ledger: Ledger) -> str:
    row = ledger.queue.page(Filter(), limit=1).rows.row(0, named=True)
    return f"/proposals/{row['proposal_id']}"


def test_a_page_is_for_whoever_opened_it(enter: Entering, page: str) -> None:
    bob = enter("bob")
    with bob.page_socket(bob.open_page(page)) as socket:
        assert not refused(socket)
        assert rows_in(socket)


@pytest.mark.parametrize("thief", ["vic", "cat", "bob"])
def test_nobody_connects_to_a_page_that_another_session_opened(enter: Entering, page: str, thief: str) -> None:
    """Not even the same person's: what is signed out elsewhere must not go on here."""
    client_id = enter("bob").open_page(page)

    with enter(thief).page_socket(client_id) as socket:
        assert refused(socket)


def test_a_handshake_in_a_message_is_looked_at_too(enter: Entering, page: str) -> None:
    bob, vic = enter("bob"), enter("vic")
    client_id, own = bob.open_page(page), vic.open_page(page)
    with vic.socket() as socket:
        assert not refused(socket)
        assert answered(socket, "handshake", client_id=client_id, **HANDSHAKE) == "437[false]"
        assert answered(socket, "handshake", client_id=own, **HANDSHAKE) == "437[true]"
        assert rows_in(socket)


@pytest.mark.parametrize("event", ["event", "javascript_response", "ack", "log"])
def test_what_is_said_for_another_page_is_not_heard(enter: Entering, page: str, event: str) -> None:
    bob, vic = enter("bob"), enter("vic")
    theirs = bob.open_page(page)
    message = {
        "client_id": theirs,
        "id": 999_999,
        "args": [],
        "listener_id": "x",
        "level": "info",
        "message": "x",
        "request_id": "x",
        "next_message_id": 0,
    }
    with bob.page_socket(theirs) as own, vic.page_socket(vic.open_page(page)) as socket:
        assert not refused(own)
        assert not refused(socket)
        assert answered(socket, event, **message) == "437[false]"
        assert answered(own, event, **message) != "437[false]"


def test_other_ways_than_a_websocket_are_closed(enter: Entering) -> None:
    answer = enter("bob").http.get("/_nicegui_ws/socket.io/", params={"EIO": "4", "transport": "polling"})

    assert (answer.status_code, answer.json()) == (400, "Invalid transport")


def test_after_signing_out_an_open_page_is_told_nothing_and_does_nothing(
    enter: Entering, page: str, ledger: Ledger
) -> None:
    bob = enter("bob")
    client_id = bob.open_page(page)
    with bob.page_socket(client_id) as socket:
        assert rows_in(socket)
        bob.http.post("/sign-out")
        before = ledger.queue.newest_change()
        say(socket, "event", client_id=client_id, id=1, listener_id="x", args=[])

        assert pushed(socket)[-1] == '42["run_javascript",{"code":"location.reload()"}]'
    assert ledger.queue.newest_change() == before
    with pytest.raises(InvalidStatus), bob.page_socket(client_id):
        pass


@pytest.mark.parametrize("roles", [[Role.VIEWER], [], [Role.REVIEWER, Role.RELEASER]])
def test_after_a_change_of_roles_an_open_page_is_over_by_itself(
    enter: Entering, page: str, ledger: Ledger, roles: list[Role]
) -> None:
    """Nobody says anything; the next push, if only a ping, ends it, and another socket may not speak for the page either."""
    cat = enter("cat")
    client_id = cat.open_page(page)
    try:
        with cat.page_socket(client_id) as socket:
            assert rows_in(socket)
            ledger.users.set_roles("cat", roles, actor=current_actor(), now=utc_now())

            assert pushed(socket)[-1] == '42["run_javascript",{"code":"location.reload()"}]'
    finally:
        ledger.users.set_roles("cat", [Role.REVIEWER], actor=current_actor(), now=utc_now())
