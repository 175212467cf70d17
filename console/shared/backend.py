"""What pages and routes share: the settings, the ledger, the lake, and the time."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import polars as pl

from schemas.enums import Role, RunState
from schemas.settings import Settings
from tasks.propose import RunPicture, run_picture
from tasks.review import (
    AccountStores,
    BookNight,
    FoundThing,
    Lifetime,
    NameIndex,
    Notice,
    Reader,
    WaitStores,
    book_nights,
    find_named,
    newest_runs,
    notices_for,
    read_names,
)
from tasks.runtime import open_ledger, utc_now
from warehouse.lake import Lake, open_lake
from warehouse.ledger import AnswerGrace, Ledger, RunRow

MOST_PICTURES: Final = 2
"""How many finished runs' pictures are kept."""
MOST_NIGHTS: Final = 600
"""How many nights' sums are kept, a few rows each."""
NOTICES_FOR: Final = timedelta(seconds=30)
"""How long notices are kept while nothing is decided: what is due by the clock is noticed so late."""
LOOK_AGAIN: Final = timedelta(milliseconds=500)


@dataclass(frozen=True)
class Backend:
    """One console's stores. Safe to share between threads: the ledger pools connections, the lake gives each caller its own cursor."""

    settings: Settings
    ledger: Ledger
    now: Callable[[], datetime] = utc_now
    _pictures: dict[str, RunPicture] = field(default_factory=dict)
    _change: dict[str, tuple[datetime, int]] = field(default_factory=dict)
    _nights: dict[str, BookNight] = field(default_factory=dict)
    _notices: dict[str, tuple[int, datetime, list[Notice]]] = field(default_factory=dict)
    _names: dict[str, NameIndex] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def lifetime(self) -> Lifetime:
        """How long people stay signed in."""
        settings = self.settings
        return Lifetime(
            timedelta(hours=settings.console_session_hours), timedelta(minutes=settings.console_idle_minutes)
        )

    @property
    def is_https(self) -> bool:
        """Whether people reach the console over TLS."""
        return urlsplit(self.settings.console_url).scheme == "https"

    @property
    def lake(self) -> Lake:
        """The lake, for the calling thread."""
        return open_lake(self.settings)

    @property
    def account_stores(self) -> AccountStores:
        """What an account is read from."""
        ledger = self.ledger
        return AccountStores(self.lake, ledger.runs, ledger.proposals, ledger.amendments, ledger.answers)

    @property
    def wait_stores(self) -> WaitStores:
        """What is read to know what waits."""
        ledger = self.ledger
        return WaitStores(
            ledger.proposals, ledger.waits, ledger.users, ledger.runs, ledger.model_changes, ledger.policy_changes
        )

    def notices(self, name: str, roles: frozenset[Role]) -> list[Notice]:
        """What somebody should know of; as it was a few seconds ago, and read again once anything was decided."""
        key, now, change = f"{name} {sorted(roles)}", self.now(), self.newest_change()
        with self._lock:
            known = self._notices.get(key)
        if known is not None and known[0] == change and timedelta() <= now - known[1] < NOTICES_FOR:
            return known[2]
        found = notices_for(self.wait_stores, self.ledger.answers, self.grace, name, roles)
        with self._lock:
            self._notices[key] = (change, now, found)
        return found

    @property
    def grace(self) -> AnswerGrace:
        """Which orders without an answer are breaks by now."""
        return AnswerGrace.of(self.settings, self.now())

    def names(self) -> NameIndex:
        """Names of the newest runs; kept until there is a newer one."""
        runs = newest_runs(self.ledger.runs)
        with self._lock:
            known = self._names.get("newest")
        if known is None or known.runs != tuple(run.run_id for run in runs):
            known = read_names(self.lake, runs)
            with self._lock:
                self._names["newest"] = known
        return known

    def find(self, text: str) -> list[FoundThing]:
        """What is called so, of every kind."""
        ledger = self.ledger
        return find_named(
            self.names(), text, lake=self.lake, runs=ledger.runs, proposals=ledger.proposals, fills=ledger.fills
        )

    def reader(self, account_id: str) -> Reader:
        """Reads an account's rows of a table for a run."""
        lake = self.lake

        def read(table: str, run_id: str) -> pl.DataFrame:
            return lake.read_account(table, run_id, account_id)

        return read

    def newest_change(self) -> int:
        """Number of the newest change of anything; as of half a second ago, so that many open pages ask as often as one."""
        with self._lock:
            now = self.now()
            at, change = self._change.get("newest", (now - LOOK_AGAIN, 0))
            if not timedelta() <= now - at < LOOK_AGAIN:
                change = self.ledger.queue.newest_change()
                self._change["newest"] = (now, change)
            return change

    def book_nights(self, most: int) -> list[BookNight]:
        """The newest nights of the whole book, oldest first. A finished run does not change: what it comes to is read once."""
        runs = self.ledger.runs.full_nights(most)[::-1]
        with self._lock:
            known = {run.run_id: self._nights[run.run_id] for run in runs if run.run_id in self._nights}
        new = {one.run_id: one for one in book_nights(self.lake, [run for run in runs if run.run_id not in known])}
        with self._lock:
            self._nights.update(new)
            while len(self._nights) > MOST_NIGHTS:
                del self._nights[next(iter(self._nights))]
        return [(known | new)[run.run_id] for run in runs]

    def picture(self, run: RunRow) -> RunPicture:
        """What the lake holds of a run; kept once the run is done."""
        with self._lock:
            if run.run_id in self._pictures:
                return self._pictures[run.run_id]
        seen = run_picture(self.lake, run.run_id)
        if run.state is RunState.DONE:
            with self._lock:
                self._pictures[run.run_id] = seen
                while len(self._pictures) > MOST_PICTURES:
                    del self._pictures[next(iter(self._pictures))]
        return seen


def open_backend(settings: Settings) -> Backend:
    """The stores that the settings name."""
    return Backend(settings, open_ledger(settings))
