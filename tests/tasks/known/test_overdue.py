"""Which night is due and how far it is; no server is needed for that."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from schemas.enums import RunState
from schemas.settings import Settings
from tasks.known.overdue_nights import deadline, last_due, overdue_night
from tests.support.ledger_book import NOW, new_run, staffed
from warehouse.ledger import Ledger

NEW_YORK = ZoneInfo("America/New_York")
WEDNESDAY, FRIDAY = date(2026, 11, 25), date(2026, 11, 27)
pytestmark = pytest.mark.filterwarnings("ignore:Series.values returning:Warning")  # exchange_calendars on new pandas


def at(text: str) -> datetime:
    """A moment in New York."""
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(staffed(f"sqlite:///{tmp_path / 'ledger.sqlite'}")) as ledger:
        yield ledger


@pytest.mark.parametrize(
    ("now", "by", "day"),
    [
        ("2026-11-25T22:59", "23:00", date(2026, 11, 24)),
        ("2026-11-25T23:00", "23:00", WEDNESDAY),
        ("2026-11-26T23:30", "23:00", WEDNESDAY),  # Thanksgiving: no night of its own
        ("2026-11-29T12:00", "23:00", FRIDAY),  # a Sunday
        ("2026-11-26T01:59", "02:00", date(2026, 11, 24)),
        ("2026-11-26T02:00", "02:00", WEDNESDAY),
    ],
)
def test_the_night_that_is_due_is_that_of_the_last_trading_day_whose_deadline_has_passed(
    now: str, by: str, day: date
) -> None:
    due = last_due(Settings(night_deadline=time.fromisoformat(by)), at(now))
    assert due is not None
    assert due[0] == day


def test_nobody_waits_without_a_deadline() -> None:
    assert last_due(Settings(night_deadline=None), at("2026-11-25T23:59")) is None


def test_a_deadline_is_the_same_time_of_day_in_summer_and_in_winter() -> None:
    moments = [deadline(date(2026, month, 2), time(23), NEW_YORK).astimezone(UTC) for month in (7, 12)]
    assert [moment.hour for moment in moments] == [3, 4]


def test_a_night_that_is_done_is_not_overdue(ledger: Ledger) -> None:
    settings, now = Settings(), at("2026-11-25T23:30")
    ledger.runs.start_run(replace(new_run("r1"), as_of_date=WEDNESDAY), NOW)
    found = overdue_night(ledger.runs, settings, now)
    assert found is not None
    assert (found.day, found.state, found.overtaken_by) == (WEDNESDAY, RunState.RUNNING, None)

    ledger.runs.finish_run("r1", {}, NOW)

    assert overdue_night(ledger.runs, settings, now) is None


def test_a_run_of_some_accounts_is_not_the_night(ledger: Ledger) -> None:
    ledger.runs.start_run(replace(new_run("r1"), as_of_date=WEDNESDAY, scope='["a1"]'), NOW)
    ledger.runs.finish_run("r1", {}, NOW)
    found = overdue_night(ledger.runs, Settings(), at("2026-11-25T23:30"))
    assert found is not None
    assert found.state is None


@pytest.mark.parametrize(("now", "later"), [("2026-11-27T12:59", None), ("2026-11-27T13:00", FRIDAY)])
def test_a_night_is_overtaken_when_the_next_trading_day_has_closed(
    ledger: Ledger, now: str, later: date | None
) -> None:
    found = overdue_night(ledger.runs, Settings(), at(now))  # the Friday after Thanksgiving closes at 13:00
    assert found is not None
    assert (found.day, found.overtaken_by) == (WEDNESDAY, later)
