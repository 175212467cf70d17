"""A websocket that sends what a test says, and breaks when it says so."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

PATIENCE_SECONDS = 20


def quote_lines(prices: Mapping[str, float], at: datetime | None = None) -> str:
    """A line of JSON for each security."""
    moment = (at or datetime.now(UTC)).isoformat()
    return "\n".join(
        json.dumps({"security_id": name, "price": price, "time": moment}) for name, price in prices.items()
    )


@dataclass
class QuoteServer:
    """Sends its prices, with the time of day, to each that connects, and again every tenth of a second."""

    port: int = 0
    prices: dict[str, float] = field(default_factory=dict)
    extra: list[str] = field(default_factory=list)
    greetings: list[str] = field(default_factory=list)
    connections: list[ServerConnection] = field(default_factory=list)
    _server: Server | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/prices?token=secret"

    def start(self) -> None:
        self._server = serve(self._answer, "127.0.0.1", self.port)
        self.port = self._server.socket.getsockname()[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Break every connection, and answer nobody."""
        assert self._server is not None
        self._server.shutdown()
        for connection in self.connections:
            with suppress(OSError):
                connection.socket.shutdown(2)
        self._server, self.connections = None, []

    def _answer(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        with suppress(ConnectionClosed, OSError):
            with suppress(TimeoutError):
                self.greetings.append(str(connection.recv(timeout=0.2)))
            for line in self.extra:
                connection.send(line)
            while True:
                connection.send(quote_lines(self.prices))
                time.sleep(0.1)


@contextmanager
def quote_server(prices: Mapping[str, float]) -> Iterator[QuoteServer]:
    server = QuoteServer(prices=dict(prices))
    server.start()
    try:
        yield server
    finally:
        if server._server is not None:
            server.stop()


def wait_until(condition: object, what: str) -> None:
    """Until it is so; fails with what was waited for."""
    assert callable(condition)
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(what)
