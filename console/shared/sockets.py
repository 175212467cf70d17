"""The socket of a page belongs to the session that opened the page, and lives no longer than that session or its roles.

The pages' framework knows a page by the ``client_id`` and ``tab_id`` that its socket names, and these are no secrets. So a socket may
speak for a page only where both came with the same session, and whatever it says or is told is let through only while the session
stands with the roles that the page was made for. Else the browser is told to load the page again, and the socket is closed.

Other ways than a WebSocket are closed: a session of theirs is another name that may be known.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs

from nicegui import Client, core
from socketio.exceptions import ConnectionRefusedError as SocketRefused

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

REFUSED: Final = 1008
SPOKEN: Final = ("handshake", "event", "javascript_response", "ack", "log")
"""What a browser says over a socket, by the framework's names."""
RELOAD: Final = "Implicit handshake failed"
"""A refusal after which the framework's page loads itself again."""
GOODBYE: Final = '42["run_javascript",{"code":"location.reload()"}]'
"""The same, in an event of Socket.IO, where the socket is open already."""


def watched(receive: Receive, send: Send, stands: Callable[[], Awaitable[bool]]) -> tuple[Receive, Send]:
    """What an open socket receives and sends, as long as ``stands`` says so before each; afterwards it is closed, and nothing goes through."""
    is_over = False

    async def lets_through() -> bool:
        nonlocal is_over
        if not is_over and not await stands() and not is_over:
            is_over = True
            await send({"type": "websocket.send", "text": GOODBYE})
            await send({"type": "websocket.close", "code": REFUSED})
        return not is_over

    async def receiving() -> Message:
        message = await receive()
        if message["type"] == "websocket.receive" and not await lets_through():
            return {"type": "websocket.disconnect", "code": REFUSED}
        return message

    async def sending(message: Message) -> None:
        if message["type"] != "websocket.send" or await lets_through():
            await send(message)

    return receiving, sending


def bind_sockets() -> None:
    """Let sockets speak for pages of their own session only. Once a process, before anything is served."""
    core.sio.eio.transports = ["websocket"]
    core.app.config.socket_io_js_transports = ["websocket"]
    handlers = core.sio.handlers["/"]
    for name in SPOKEN:
        core.sio.on(name, _bound(handlers[name]))
    connects = handlers["connect"]

    async def connect(sid: str, environ: Mapping[str, Any], _: object = None) -> None:
        named = parse_qs(str(environ.get("QUERY_STRING", ""))).get("client_id", [""])
        if not all(_is_own(sid, {"client_id": one}) for one in named):
            raise SocketRefused(RELOAD)
        await connects(sid, environ)

    core.sio.on("connect", connect)


def _bound(handler: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    async def only_own(sid: str, said: Any) -> Any:
        if not _is_own(sid, said):
            return False
        answer = handler(sid, said)
        return await answer if inspect.isawaitable(answer) else answer

    return only_own


def _is_own(sid: str, said: Any) -> bool:
    """Whether the page that is spoken for was opened by the socket's session; one that is gone is nobody's, and left to the framework."""
    client = Client.instances.get(said["client_id"])
    return client is None or _secret(client.request.scope) == _secret(core.sio.get_environ(sid)["asgi.scope"])


def _secret(scope: Scope) -> str:
    return str(scope["state"]["secret"])
