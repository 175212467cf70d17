"""The price stream, read on a thread of its own, and the last quote of each security.

1. A message holds one or more lines of JSON (``tasks.core.monitor.quotes``). A line that is refused is counted by its reason.
2. Where the connection breaks, it is made again after a pause that doubles each time, up to ``LONGEST_PAUSE``; the first quote that
   arrives makes the next pause short again. A server that takes connections and says nothing is not asked faster and faster.
3. A server that no longer answers is noticed by the pings of its protocol (``stream_sources``).

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

from tasks.core.monitor import Quote, QuoteFault, read_quote
from tasks.monitor.stream_sources import CLOSED, PATIENCE, Receive, StreamAddress, StreamBroken, connect_stream
from tasks.runtime import utc_now

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""Seconds between two attempts to connect."""
LISTEN: Final = 0.5
"""Seconds after which the reader asks whether it is to stop."""


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
    """Reads a stream into a board until closed.

    Parameters
    ----------
    url
        As ``stream_sources`` has them.
    greeting
        What a websocket is sent once connected; empty: nothing.
    board
        What takes the quotes.
    pause
        Waits so many seconds, or until it is to stop: then true.
    """

    def __init__(
        self, url: str, greeting: str, board: PriceBoard, pause: Callable[[float], bool] | None = None
    ) -> None:
        self._url, self._greeting, self._board = url, greeting, board
        self._host = StreamAddress.of(url).hosts
        self._stop = threading.Event()
        self._has_heard = False
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
            self._has_heard, trouble = False, CLOSED
            try:
                with connect_stream(self._url, self._greeting) as receive:
                    self._state = StreamState(is_connected=True, since=utc_now())
                    self._listen(receive)
            except StreamBroken as error:
                trouble = str(error)
            attempts = 0 if self._has_heard else attempts + 1
            if self._stop.is_set():
                return
            self._note(trouble)
            if self._pause(next_pause(attempts)):
                return

    def _note(self, trouble: str) -> None:
        was = self._state
        since = utc_now() if was.is_connected else was.since
        self._state = StreamState(is_connected=False, since=since, trouble=f"{self._host}: {trouble}")

    def _listen(self, receive: Receive) -> None:
        """Until it breaks."""
        while not self._stop.is_set():
            with suppress(TimeoutError):
                if self._board.take(receive(LISTEN), utc_now()):
                    self._has_heard = True


def next_pause(attempts: int) -> float:
    """Seconds to wait after so many attempts in a row that brought nothing: doubled each time, and up to half less by chance."""
    longest = min(FIRST_PAUSE * 2.0 ** min(attempts, 16), LONGEST_PAUSE)
    return longest * (1 - random.random() / 2)  # noqa: S311 - so that many do not come back at once
