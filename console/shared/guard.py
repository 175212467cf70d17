"""Who comes in: the session of a browser, where a request came from, and what browsers are told never to do.

Everything is closed but what ``OPEN`` lists. Other sites cannot act for somebody who is signed in: the cookie is not sent with
their posts (SameSite), and a request that changes something, or a socket, must name this console as its origin.

Scripts may be inline and may be evaluated because the pages' framework needs both; nothing is loaded from elsewhere.
"""

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import quote, urlsplit

from anyio.to_thread import run_sync
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from console.shared.backend import Backend
from console.shared.sockets import REFUSED, Message, Receive, Scope, Send, watched
from tasks.review import session_of
from warehouse.ledger import SessionRow

App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN: Final = ("/sign-in", "/healthz", "/metrics", "/openapi.json", "/favicon.ico", "/robots.txt")
OPEN_UNDER: Final = ("/sign-in/", "/api/", "/_nicegui/", "/static/")
"""Of these the API asks for a token itself; the others hold nothing of anybody's."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
MOST_BYTES: Final = 4 * 2**20
"""Of a body for the API: the longest list that it takes, twice over."""
FEW_BYTES: Final = 64 * 2**10
TOO_LONG: Final = "This request is too long."
CSP: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
}
HSTS: Final = "max-age=31536000"


def cookie_name(*, is_secure: bool) -> str:
    """Over TLS the name itself makes browsers insist on ``Secure``, ``Path=/`` and no ``Domain``."""
    return "__Host-trimtab" if is_secure else "trimtab"


def is_secure(backend: Backend, connection: HTTPConnection) -> bool:
    """Whether the browser speaks TLS, to us or to a proxy before us."""
    return backend.is_https or connection.url.scheme in {"https", "wss"}


def secret_of(backend: Backend, connection: HTTPConnection) -> str:
    """The session's secret that the browser sent; empty if none."""
    return connection.cookies.get(cookie_name(is_secure=is_secure(backend, connection)), "")


def own_origin(backend: Backend, connection: HTTPConnection) -> str:
    """What a browser calls the origin of our own pages."""
    if backend.settings.console_url:
        parts = urlsplit(backend.settings.console_url)
        return f"{parts.scheme}://{parts.netloc}"
    scheme = {"ws": "http", "wss": "https"}.get(connection.url.scheme, connection.url.scheme)
    return f"{scheme}://{connection.headers.get('host', '')}"


def is_foreign(backend: Backend, connection: HTTPConnection) -> bool:
    """Whether a request that may change something came from another site, or does not say from where."""
    return connection.headers.get("origin") != own_origin(backend, connection)


def session_in(connection: HTTPConnection) -> SessionRow:
    """Who is signed in; the guard has put it there."""
    found = connection.scope["state"]["session"]
    if not isinstance(found, SessionRow):
        raise TypeError("the guard lets nobody in without a session")
    return found


class RequestGuard:
    """ASGI middleware that lets in whoever is signed in, and adds the headers."""

    def __init__(self, app: App, backend: Backend) -> None:
        self._app = app
        self._backend = backend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        most = most_bytes(connection)
        answer = _too_long(connection, most) or await self._refusal(connection)
        if answer is None and scope["type"] == "websocket":
            await self._app(scope, *watched(receive, send, lambda: run_sync(self._stands, connection)))
        elif answer is None:
            await self._app(scope, _measured(receive, most), self._with_headers(connection, send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": REFUSED})
        else:
            await answer(scope, receive, self._with_headers(connection, send))

    async def _refusal(self, connection: HTTPConnection) -> Response | None:
        """What to answer instead of passing the request on; null: pass it on."""
        path, scope = connection.url.path, connection.scope
        is_safe = scope["type"] == "http" and scope["method"] in SAFE_METHODS
        is_api = path.startswith("/api/")
        if not is_safe and not is_api and is_foreign(self._backend, connection):
            return PlainTextResponse("This request came from another site, or does not say from where.", 403)
        if path in OPEN or path.startswith(OPEN_UNDER):
            return None
        secret = secret_of(self._backend, connection)
        session = await run_sync(lambda: self._session(secret))
        if session is None:
            if is_safe and "text/html" in connection.headers.get("accept", "text/html"):
                return RedirectResponse(f"/sign-in?next={quote(_local(connection), safe='')}", 303)
            return PlainTextResponse("Sign in first.", 401)
        scope.setdefault("state", {}).update(session=session, secret=secret)
        return None

    def _session(self, secret: str, *, is_use: bool = True) -> SessionRow | None:
        backend = self._backend
        return session_of(backend.ledger.access, secret, now=backend.now(), lifetime=backend.lifetime, is_use=is_use)

    def _stands(self, connection: HTTPConnection) -> bool:
        """Whether a socket's session is still as it was: nobody signed it out, and nothing was given to or taken from its user."""
        was, found = session_in(connection), self._session(connection.scope["state"]["secret"], is_use=False)
        return found is not None and (found.name, found.roles) == (was.name, was.roles)

    def _with_headers(self, connection: HTTPConnection, send: Send) -> Send:
        has_tls = is_secure(self._backend, connection)
        is_asset = connection.url.path.startswith(("/_nicegui/", "/static/"))

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if not is_asset:
                    headers["cache-control"] = "no-store"
                if has_tls:
                    headers["strict-transport-security"] = HSTS
            await send(message)

        return sending


def most_bytes(connection: HTTPConnection) -> int:
    """How long a body may be: short where nobody says who they are."""
    return (
        MOST_BYTES if connection.url.path.startswith("/api/") and "authorization" in connection.headers else FEW_BYTES
    )


def _too_long(connection: HTTPConnection, most: int) -> Response | None:
    """The answer to a body that says itself that it is too long; nothing of it is read."""
    told = connection.headers.get("content-length", "0")
    return PlainTextResponse(TOO_LONG, 413) if not told.isdecimal() or int(told) > most else None


def _measured(receive: Receive, most: int) -> Receive:
    """What a request receives, refused when it turns out to be too long."""
    left = most

    async def receiving() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, TOO_LONG)
        return message

    return receiving


def _local(connection: HTTPConnection) -> str:
    """The page asked for, as a path of our own."""
    query = connection.url.query
    return f"{connection.url.path}?{query}" if query else connection.url.path


def is_local(path: str) -> bool:
    """Whether a path leads nowhere but to our own pages: two slashes lead to another host."""
    return path.startswith("/") and not path.startswith(("//", "/\\")) and not any(each < " " for each in path)
