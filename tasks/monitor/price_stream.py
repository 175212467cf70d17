"""The price stream: a websocket that is read on a thread of its own, and the last quote of each security.

1. A message holds one or more lines of JSON (``tasks.core.monitor.quotes``). A line that is refused is counted by its reason.
2. Where the connection breaks, it is made again after a pause that doubles each time, up to ``LONGEST_PAUSE``; the first quote that
   arrives makes the next pause short again. A server that takes connections and says nothing is not asked faster and faster.
3. A server that no longer answers is noticed by the pings of the websocket.

The address may hold a secret: sentences name its host alone.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tasks.core.monitor import Quote, QuoteFault, read_quote
from tasks.runtime import utc_now

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""Seconds between two attempts to connect."""
PATIENCE: Final = 10.0
"""Seconds that a server has to accept a connection."""
LISTEN: Final = 0.5
"""Seconds after which the reader asks whether it is to stop."""
LONGEST_MESSAGE: Final = 2**22
"""Bytes."""


class PriceBoard:
    """The last quote of each security, and how many lines were refused, by reason. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._quotes: dict[str, Quote] = {}
        self._faults: Counter[QuoteFault] = Counter()
        self._heard = threading.Event()

    def take(self, message: str | bytes, now: datetime) -> int:
        """Take in the lines of a message; how many were used."""
        found = [read_quote(line, now) for line in message.splitlines() if line.strip()]
        with self._lock:
            return sum(self._put(each) for each in found)

    def _put(self, found: Quote | QuoteFault) -> bool:
        if isinstance(found, Quote):
            last = self._quotes.get(found.security_id)
            if last is None or found.quoted_at >= last.quoted_at:
                self._quotes[found.security_id] = found
                self._heard.set()
                return True
            found = QuoteFault.OUT_OF_ORDER
        self._faults[found] += 1
        return False

    def wait_for_quotes(self, seconds: float) -> bool:
        """Until the first quote, for so long at most; whether there is one."""
        return self._heard.wait(seconds)

    def quotes(self) -> Mapping[str, Quote]:
        """The last of each security, as of now."""
        with self._lock:
            return dict(self._quotes)

    def faults(self) -> Mapping[str, int]:
        """Lines refused since the start, by reason."""
        with self._lock:
            return {str(fault): count for fault, count in sorted(self._faults.items())}


@dataclass(frozen=True, slots=True)
class StreamState:
    """Whether the stream is connected, since when that is so, and a sentence where it is not."""

    is_connected: bool
    since: datetime
    trouble: str = ""


class PriceStream:
    """Reads a websocket into a board until closed.

    Parameters
    ----------
    url
        ``ws://`` or ``wss://``.
    greeting
        What is sent once connected; empty: nothing.
    board
        What takes the quotes.
    pause
        Waits so many seconds, or until it is to stop: then true.
    """

    def __init__(
        self, url: str, greeting: str, board: PriceBoard, pause: Callable[[float], bool] | None = None
    ) -> None:
        self._url, self._greeting, self._board = url, greeting, board
        self._host = urlsplit(url).hostname or "no host"
        self._stop = threading.Event()
        self._pause = pause or self._stop.wait
        self._state = StreamState(is_connected=False, since=utc_now(), trouble=f"{self._host} has not answered yet")
        self._thread = threading.Thread(target=self._read, name="price-stream", daemon=True)

    def __enter__(self) -> Self:
        """Begin to read."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and close the connection."""
        self._stop.set()
        self._thread.join(PATIENCE)

    @property
    def state(self) -> StreamState:
        """As of now."""
        return self._state

    def _read(self) -> None:
        attempts = 0
        while not self._stop.is_set():
            heard = False
            try:
                with connect(self._url, open_timeout=PATIENCE, close_timeout=1, max_size=LONGEST_MESSAGE) as connection:
                    self._state = StreamState(is_connected=True, since=utc_now())
                    heard = self._listen(connection)
                trouble = "the connection was closed"
            except (OSError, WebSocketException) as error:
                trouble = type(error).__name__
            attempts = 0 if heard else attempts + 1
            if self._stop.is_set():
                return
            self._note(trouble)
            if self._pause(next_pause(attempts)):
                return

    def _note(self, trouble: str) -> None:
        was = self._state
        since = utc_now() if was.is_connected else was.since
        self._state = StreamState(is_connected=False, since=since, trouble=f"{self._host}: {trouble}")

    def _listen(self, connection: Connection) -> bool:
        """Until it breaks; whether any quote arrived."""
        if self._greeting:
            connection.send(self._greeting)
        heard = False
        with suppress(WebSocketException):
            while not self._stop.is_set():
                with suppress(TimeoutError):
                    heard = bool(self._board.take(connection.recv(timeout=LISTEN), utc_now())) or heard
        return heard


def next_pause(attempts: int) -> float:
    """Seconds to wait after so many attempts in a row that brought nothing: doubled each time, and up to half less by chance."""
    longest = min(FIRST_PAUSE * 2.0 ** min(attempts, 16), LONGEST_PAUSE)
    return longest * (1 - random.random() / 2)  # noqa: S311 - so that many do not come back at once
