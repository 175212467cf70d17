"""Which runs are so old that their bulk rows may go: started, and of a date, before the retention began, and not the newest night.

Both are asked because a run of today may be of a date long ago. The newest night stays however old it is: the next one
compares with it. Only finished and failed runs go.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from schemas.enums import RunState
from schemas.settings import Settings
from warehouse.ledger import RunRow, Runs

CLOSED: Final = {RunState.DONE, RunState.FAILED}


@dataclass(frozen=True, slots=True)
class Retention:
    """``since``: what is older may go. ``newest_night``: its date, where there was one."""

    since: datetime
    newest_night: date | None

    @classmethod
    def of(cls, settings: Settings, runs: Runs, now: datetime) -> "Retention":
        """The retention of the settings, as of a moment."""
        night = runs.latest_full_run(date.max)
        return cls(years_before(now, settings.retention_years), None if night is None else night.as_of_date)

    def is_beyond(self, run: RunRow) -> bool:
        """Whether the run's bulk rows may go."""
        is_old = run.started_at < self.since and run.as_of_date < self.since.date()
        is_newest = self.newest_night is not None and run.as_of_date >= self.newest_night
        return is_old and run.state in CLOSED and not is_newest


def years_before(now: datetime, years: int) -> datetime:
    """The same time of the same day some years earlier; 28 February where there is no 29th."""
    utc = now.astimezone(UTC)
    try:
        return utc.replace(year=utc.year - years)
    except ValueError:
        return utc.replace(year=utc.year - years, day=28)
