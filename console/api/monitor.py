"""The part of the REST API about looks between the nights: who follows the stream of prices, what is out of band now, and the runs asked for."""

from datetime import date, datetime
from typing import Any

from fastapi import APIRouter

from console.api.caller import Caller, Limit
from console.api.models import ApiModel
from console.shared import Backend
from tasks.monitor import is_silent, monitor_standing


class FollowerOut(ApiModel):
    """A process that follows a stream of prices, and its newest look; counts of accounts, ``fresh``, ``old`` and ``never_quoted`` of securities held.

    ``is_silent``: several looks were due and did not come. ``newly``, ``look_count`` and ``refused_lines`` are since it started.
    """

    follower_id: str
    host: str
    started_at: datetime
    looked_at_time: datetime
    ended_at: datetime | None
    is_silent: bool
    state: str
    reasons: str
    as_of_date: date | None
    night_run_id: str
    look_every_seconds: float
    seconds: float
    look_count: int
    looked_at: int
    skipped: int
    out_of_band: int
    newly: int
    fresh: int
    old: int
    never_quoted: int
    refused_lines: int


class BreachOut(ApiModel):
    """An account that is out of band, since when; ``run_id`` null: no run has begun over it."""

    account_id: str
    causes: list[str]
    breached_at: datetime
    scope_id: str
    run_id: str | None


class ScopeOut(ApiModel):
    """What one run is for; ``account_count`` 0: files that came late."""

    scope_id: str
    as_of_date: date
    causes: list[str]
    account_count: int
    night_run_id: str
    created_at: datetime
    announced_at: datetime | None
    run_id: str | None


class MonitorOut(ApiModel):
    """How the looks between the nights stand; of breaches and scopes the newest. ``breach_count``: of all accounts out of band."""

    followers: list[FollowerOut]
    breaches: list[BreachOut]
    breach_count: int
    scopes: list[ScopeOut]


def add_monitor(router: APIRouter, backend: Backend, reads: Any) -> None:
    """``/monitor``."""

    @router.get("/monitor", tags=["monitor"])
    def monitor(limit: Limit = 100, caller: Caller = reads) -> MonitorOut:
        """Followers of the last day, what is out of band now, and the newest runs that looks asked for."""
        caller.need_everything("A look at the whole book")
        now = backend.now()
        found = monitor_standing(backend.ledger.followers, backend.ledger.breaches, now, limit)
        return MonitorOut(
            followers=[FollowerOut.made_of(row, is_silent=is_silent(row, now)) for row in found.followers],
            breaches=[BreachOut.made_of(row, causes=row.causes.split("|")) for row in found.breaches],
            breach_count=found.breach_count,
            scopes=[ScopeOut.made_of(row, causes=row.cause.split("|")) for row in found.scopes],
        )
