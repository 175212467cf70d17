"""How a follower stands, said after each of its looks for those who watch it: the console's page, ``/metrics`` and ``/api/monitor``."""

import os
import platform
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from schemas.errors import TrimtabError
from tasks.monitor.follow_look import FollowLook
from tasks.runtime import utc_now
from warehouse.ledger import Breaches, BreachRow, FollowerRow, Followers, ScopeRow

SHOWN_FOR: Final = timedelta(days=1)
"""How long a follower that ended, or fell silent, is listed."""
SILENT_AFTER: Final = 4
"""Looks that were due and did not come, after which a follower counts as silent."""
SHORTEST_SILENCE_SECONDS: Final = 30.0
"""However often it looks: loading a book of a million accounts takes as long."""


class LookRecord:
    """What one process says of its looks. A ledger that does not answer does not stop the looks: the next one says it again."""

    def __init__(self, followers: Followers, look_every_seconds: float) -> None:
        self._followers, self._every = followers, look_every_seconds
        self._started_at = utc_now()
        self._name = f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._row: FollowerRow | None = None

    def note(self, found: FollowLook) -> None:
        """The newest look."""
        before = self._row
        self._row = FollowerRow(
            follower_id=self._name,
            host=platform.node(),
            process=os.getpid(),
            started_at=self._started_at,
            looked_at_time=found.looked_at_time,
            ended_at=None,
            look_every_seconds=self._every,
            look_count=1 + (before.look_count if before else 0),
            state=str(found.state),
            reasons="; ".join(found.reasons),
            as_of_date=found.as_of_date,
            night_run_id=found.night_run_id,
            looked_at=found.looked_at,
            skipped=found.skipped,
            out_of_band=found.out_of_band,
            newly=found.newly + (before.newly if before else 0),
            fresh=found.fresh,
            old=found.old,
            never_quoted=found.never_quoted,
            refused_lines=sum(found.refused_lines.values()),
            seconds=found.seconds,
        )
        self._say(self._row)

    def end(self) -> None:
        """It stops because it was told to."""
        if self._row is not None:
            self._say(replace(self._row, ended_at=utc_now()))

    def _say(self, row: FollowerRow) -> None:
        with suppress(TrimtabError):
            self._followers.note_look(row)


@contextmanager
def look_record(followers: Followers, look_every_seconds: float) -> Iterator[LookRecord]:
    """A record that says at its end that it ended, whatever ended it but a kill."""
    record = LookRecord(followers, look_every_seconds)
    try:
        yield record
    finally:
        record.end()


@dataclass(frozen=True, slots=True)
class MonitorStanding:
    """Followers of the last day, what is out of band now with how many accounts that are, and the newest scopes."""

    followers: Sequence[FollowerRow]
    breaches: Sequence[BreachRow]
    breach_count: int
    scopes: Sequence[ScopeRow]


def monitor_standing(followers: Followers, breaches: Breaches, now: datetime, limit: int) -> MonitorStanding:
    """How the looks between the nights stand; of breaches and scopes the newest ``limit``."""
    rows, number = breaches.newest_breaches(limit)
    return MonitorStanding(followers.list_followers(now - SHOWN_FOR), rows, number, breaches.newest_scopes(limit))


def is_silent(row: FollowerRow, now: datetime) -> bool:
    """Whether a follower that was not told to stop no longer looks: so many looks were due and did not come."""
    patience = max(SILENT_AFTER * row.look_every_seconds, SHORTEST_SILENCE_SECONDS) + row.seconds
    return row.ended_at is None and now - row.looked_at_time > timedelta(seconds=patience)


def silent_follower(followers: Followers, now: datetime) -> FollowerRow | None:
    """The follower that looked last, where none looks now and this one was not told to stop; else null."""
    rows = followers.list_followers(now - SHOWN_FOR)
    is_watched = any(row.ended_at is None and not is_silent(row, now) for row in rows)
    return rows[0] if rows and not is_watched and rows[0].ended_at is None else None
