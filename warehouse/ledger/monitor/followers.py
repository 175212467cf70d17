"""Processes that follow a stream of prices: each says after every look how it stands, for whoever watches it.

Nothing is decided by it, so no row of the audit chain stands behind it. A process that was killed leaves its row, whose newest look grows old.
"""

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from warehouse.ledger.store import Store, followers

KEPT: Final = timedelta(days=7)
"""The rows of processes that said nothing for so long are removed when another begins."""


@dataclass(frozen=True, slots=True)
class FollowerRow:
    """A process and its newest look; fields of the look as in ``tasks.monitor.FollowLook``, ``reasons`` as one text.

    ``look_count``, ``newly`` and ``refused_lines`` are since it started. ``ended_at``: when it was told to stop; null: it was not, or was killed.
    """

    follower_id: str
    host: str
    process: int
    started_at: datetime
    looked_at_time: datetime
    ended_at: datetime | None
    look_every_seconds: float
    look_count: int
    state: str
    reasons: str
    as_of_date: date | None
    night_run_id: str
    looked_at: int
    skipped: int
    out_of_band: int
    newly: int
    fresh: int
    old: int
    never_quoted: int
    refused_lines: int
    seconds: float


class Followers(Store):
    """Saying how a follower stands, and reading it."""

    def note_look(self, row: FollowerRow) -> None:
        """The follower's newest look, in the place of the one before."""
        values = asdict(row)
        with self.writing() as connection:
            of_it = sa.update(followers).where(followers.c.follower_id == row.follower_id)
            if connection.execute(of_it.values(**values)).rowcount:
                return
            long_ago = row.looked_at_time - KEPT
            connection.execute(sa.delete(followers).where(followers.c.looked_at_time < long_ago))
            connection.execute(sa.insert(followers).values(**values))

    def list_followers(self, since: datetime) -> list[FollowerRow]:
        """Those that looked since, the newest look first."""
        query = sa.select(followers).where(followers.c.looked_at_time >= since)
        with self.reading() as connection:
            found = connection.execute(query.order_by(followers.c.looked_at_time.desc(), followers.c.follower_id))
            return [FollowerRow(*row) for row in found]
