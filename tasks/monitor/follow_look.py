"""What one step of following a price stream comes to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum


class FollowState(StrEnum):
    """What a step came to."""

    LOOKING = "looking"  #: the book was looked at
    HELD = "held"  #: a guard holds the look: nothing of it was entered
    AWAY = "away"  #: the stream has no fresh price: files are looked at instead
    WAITING = "waiting"  #: no session, no night, or a store that does not answer


@dataclass(frozen=True, slots=True)
class FollowLook:
    """What one step came to; counts are of accounts, but for securities that are held and must be quoted: ``fresh``, ``old``, ``never_quoted``.

    ``reasons``: a sentence for each that it is held or waits. ``refused_lines``: of the stream since the start, by reason.
    """

    state: FollowState
    looked_at_time: datetime
    as_of_date: date | None = None
    night_run_id: str = ""
    reasons: tuple[str, ...] = ()
    looked_at: int = 0
    skipped: int = 0
    out_of_band: int = 0
    newly: int = 0
    armed_again: int = 0
    breach_batch_ids: tuple[str, ...] = ()
    announced: tuple[str, ...] = ()
    fresh: int = 0
    old: int = 0
    never_quoted: int = 0
    refused_lines: Mapping[str, int] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    seconds: float = 0.0
