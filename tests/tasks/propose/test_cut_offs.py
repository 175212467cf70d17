from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from schemas.settings import Settings
from tasks.propose.route import next_cut_offs

NEW_YORK = ZoneInfo("America/New_York")
SETTINGS = Settings(cut_offs={"northbank": time(15, 30), "harbor": time(9, 0)})

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1


def ahead(*moment: int) -> dict[str, str]:
    """The next cut-offs, seen from a moment in New York and told in its time."""
    found = next_cut_offs(SETTINGS, datetime(*moment, tzinfo=NEW_YORK).astimezone(UTC))
    return {name: f"{at.astimezone(NEW_YORK):%a %d %b %H:%M}" for name, at in found.items()}


def test_the_same_day_where_there_is_time_left() -> None:
    assert ahead(2026, 7, 1, 8, 0) == {"northbank": "Wed 01 Jul 15:30", "harbor": "Wed 01 Jul 09:00"}


def test_the_moment_itself_still_counts_and_the_one_after_does_not() -> None:
    assert ahead(2026, 7, 1, 9, 0)["harbor"] == "Wed 01 Jul 09:00"
    assert ahead(2026, 7, 1, 9, 0, 1)["harbor"] == "Thu 02 Jul 09:00"


def test_a_friday_night_looks_to_monday() -> None:
    assert ahead(2026, 6, 26, 20, 0)["northbank"] == "Mon 29 Jun 15:30"


def test_a_holiday_is_passed_over() -> None:
    assert ahead(2026, 11, 25, 20, 0)["harbor"] == "Fri 27 Nov 09:00"


def test_a_half_day_ends_when_the_exchange_closes() -> None:
    assert ahead(2026, 11, 25, 20, 0) == {"northbank": "Fri 27 Nov 13:00", "harbor": "Fri 27 Nov 09:00"}
    assert ahead(2026, 11, 27, 13, 0, 1)["northbank"] == "Mon 30 Nov 15:30"


def test_summer_time_changes_nothing_on_the_clock() -> None:
    assert ahead(2026, 3, 6, 20, 0)["northbank"] == "Mon 09 Mar 15:30"


def test_without_cut_offs_there_are_none() -> None:
    assert next_cut_offs(Settings(), datetime(2026, 7, 1, tzinfo=UTC)) == {}
