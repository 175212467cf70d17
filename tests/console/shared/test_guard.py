import asyncio
from collections.abc import Iterator, MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketDisconnect

from console.app import make_api
from console.shared.backend import Backend
from console.shared.guard import FEW_BYTES, MOST_BYTES, _too_long, is_local
from tasks.review.access import digest
from tests.support.console_scene import Api, api_on, cookie_in, sign_in, value_of

HTML = {"accept": "text/html"}
SELF = {"origin": "http://testserver"}


@pytest.fixture
def guarded(api: Api) -> Api:
    """With a page and a socket of which the guard alone decides who sees them."""
    app = api.client.app

    @app.get("/page")  # type: ignore[attr-defined]
    def page() -> str:
        return "inside"

    @app.post("/act")  # type: ignore[attr-defined]
    def act() -> str:
        return "done"

    return api


def test_a_stranger_is_sent_to_sign_in_and_comes_back_to_the_page(guarded: Api) -> None:
    answer = guarded.client.get("/page?run=r 1", headers=HTML)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Fpage%3Frun%3Dr%25201"


def test_a_program_that_is_not_signed_in_is_told_so(guarded: Api) -> None:
    assert guarded.client.get("/page", headers={"accept": "application/json"}).status_code == 401


def test_somebody_who_is_signed_in_sees_pages(guarded: Api) -> None:
    sign_in(guarded.client, "bob")
    assert guarded.client.get("/page", headers=HTML).json() == "inside"


@pytest.mark.parametrize("secret", ["", "x", "A" * 43, "' OR 1=1 --", "../../etc/passwd", "\x7f"])
def test_a_forged_session_is_no_session(guarded: Api, secret: str) -> None:
    answer = guarded.client.get("/page", headers={**HTML, "cookie": f"trimtab={secret}"})
    assert answer.status_code == 303


def test_the_hash_that_the_ledger_keeps_is_no_session(guarded: Api) -> None:
    secret = value_of(cookie_in(sign_in(guarded.client, "bob")))
    guarded.client.cookies.clear()
    forged = guarded.client.get("/page", headers={**HTML, "cookie": f"trimtab={digest(secret)}"})
    assert forged.status_code == 303


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "http://evil.example",
        "https://testserver",
        "http://testserver.evil.example",
        "http://testserver:81",
    ],
)
def test_a_post_from_elsewhere_does_nothing(guarded: Api, origin: str | None) -> None:
    sign_in(guarded.client, "bob")
    headers = {} if origin is None else {"origin": origin}
    assert guarded.client.post("/act", headers=headers).status_code == 403
    assert guarded.client.post("/act", headers=SELF).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"origin": "http://evil.example"}, SELF])
def test_a_socket_needs_a_session_and_our_own_origin(guarded: Api, headers: dict[str, str]) -> None:
    if headers != SELF:
        sign_in(guarded.client, "bob")
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        guarded.client.websocket_connect("/_nicegui_ws/x", headers=headers),
    ):
        pass
    assert refused.value.code == 1008


def test_every_answer_tells_browsers_what_never_to_do(guarded: Api) -> None:
    for path in ("/sign-in", "/page", "/healthz", "/api/runs", "/nowhere"):
        headers = guarded.client.get(path, headers=HTML).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in headers


def test_signing_out_ends_the_session_everywhere(guarded: Api) -> None:
    secret = value_of(cookie_in(sign_in(guarded.client, "bob")))
    guarded.client.post("/sign-out", headers=SELF)
    again = guarded.client.get("/page", headers={**HTML, "cookie": f"trimtab={secret}"})
    assert again.status_code == 303


def test_a_session_ends_unused_and_in_any_case_some_day(guarded: Api) -> None:
    secret = value_of(cookie_in(sign_in(guarded.client, "bob")))
    backend = guarded.backend
    for later, is_in in ((timedelta(minutes=29), True), (timedelta(minutes=58), True), (timedelta(hours=2), False)):
        moved = Backend(backend.settings, backend.ledger, now=lambda gap=later: backend.now() + gap)  # type: ignore[misc]
        app = make_api(moved)

        @app.get("/page")
        def page() -> str:
            return "inside"

        with TestClient(app, follow_redirects=False) as client:
            found = client.get("/page", headers={**HTML, "cookie": f"trimtab={secret}"})
        assert (found.status_code == 200) is is_in


@pytest.fixture
def over_tls(home: Path) -> Iterator[Api]:
    yield from api_on(home, console_url="https://trimtab.example.com")


def test_over_tls_the_cookie_is_bound_to_the_host_and_to_tls(over_tls: Api) -> None:
    answer = sign_in(over_tls.client, "bob", origin="https://trimtab.example.com")
    cookie = cookie_in(answer)
    assert cookie.startswith("__Host-trimtab=")
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie
    assert over_tls.client.get("/sign-in").headers["strict-transport-security"].startswith("max-age=")


def test_behind_a_proxy_the_origin_is_the_address_people_use(over_tls: Api) -> None:
    assert sign_in(over_tls.client, "bob", origin="http://testserver").status_code == 403


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/queue?a=b", True),
        ("//evil.example", False),
        ("/\\evil.example", False),
        ("https://evil.example", False),
        ("/a\nb", False),
        ("", False),
    ],
)
def test_only_our_own_pages_are_local(path: str, expected: bool) -> None:  # noqa: FBT001
    assert is_local(path) is expected


CHUNK = b"x" * 65_536


def posted(api: Api, path: str, headers: dict[str, str], *, told: int | None = None) -> tuple[int, int]:
    """Post an endless body; the answer's status, and how many chunks of it were read. ``told``: the length that it claims."""
    names = {"host": "testserver", "origin": "http://testserver", "content-type": "application/json", **headers}
    names |= {} if told is None else {"content-length": str(told)}
    found, taken = 0, 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        assert taken < 10_000
        return {"type": "http.request", "body": CHUNK, "more_body": True}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal found
        found = int(message.get("status", found))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in names.items()],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
    }
    asyncio.run(api.client.app(scope, receive, send))  # type: ignore[arg-type]
    return found, taken


PATHS = ("/api/decisions", "/api/proposals/x/decisions", "/api/nowhere", "/sign-in", "/sign-out", "/", "/metrics")


@pytest.mark.parametrize("path", PATHS)
def test_of_a_body_that_says_it_is_too_long_nothing_is_read(guarded: Api, path: str) -> None:
    assert posted(guarded, path, {}, told=300_000_000) == (413, 0)
    assert posted(guarded, path, {"authorization": "Bearer x"}, told=300_000_000) == (413, 0)


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_does_not_say_how_long_it_is_is_read_no_further_than_it_may_be(guarded: Api, path: str) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    for headers in ({}, form, {"transfer-encoding": "chunked"}):
        status, taken = posted(guarded, path, headers)
        assert 400 <= status < 500
        assert taken <= FEW_BYTES / len(CHUNK) + 1


def test_with_a_token_a_body_may_be_longer_but_not_endless(guarded: Api) -> None:
    token = guarded.token("bob")
    status, taken = posted(guarded, "/api/decisions", token)
    assert (status, taken) == (413, MOST_BYTES // len(CHUNK) + 1)


@pytest.mark.parametrize("told", ["-1", "x", "1e9", "", "٣"])
def test_a_length_that_is_none_is_refused(told: str) -> None:
    connection = HTTPConnection({"type": "http", "headers": [(b"content-length", told.encode())]})
    assert _too_long(connection, FEW_BYTES) is not None
