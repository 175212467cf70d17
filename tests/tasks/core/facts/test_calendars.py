from datetime import date, timedelta
from itertools import pairwise

import pytest

from schemas.enums import Calendar
from tasks.core.facts.calendars import due_on

DAILY, WEEKLY, MONTHLY = Calendar.DAILY, Calendar.WEEKLY, Calendar.MONTHLY
QUARTERLY, ANNUAL = Calendar.QUARTERLY, Calendar.ANNUAL
ALL = {DAILY, WEEKLY, MONTHLY, QUARTERLY, ANNUAL}
WEEKDAYS = [day for day in (date(2024, 12, 31) + timedelta(days=number) for number in range(800)) if day.weekday() < 5]


@pytest.mark.parametrize(
    ("day", "previous", "due"),
    [
        (date(2026, 3, 3), date(2026, 3, 2), {DAILY}),
        (date(2026, 3, 9), date(2026, 3, 6), {DAILY, WEEKLY}),
        (date(2026, 5, 1), date(2026, 4, 30), {DAILY, MONTHLY}),
        (date(2026, 3, 2), date(2026, 2, 27), {DAILY, WEEKLY, MONTHLY}),
        (date(2026, 4, 1), date(2026, 3, 31), {DAILY, MONTHLY, QUARTERLY}),
        (date(2027, 1, 4), date(2026, 12, 31), ALL),
    ],
)
def test_due_is_what_begins_on_the_day(day: date, previous: date, due: set[Calendar]) -> None:
    assert due_on(day, previous, is_session=True) == due


def test_the_second_of_january_begins_a_year_inside_a_week() -> None:
    assert due_on(date(2026, 1, 2), date(2025, 12, 31), is_session=True) == ALL - {WEEKLY}


def test_a_holiday_on_the_first_moves_the_period_to_the_next_session() -> None:
    assert due_on(date(2026, 9, 8), date(2026, 9, 4), is_session=True) == {DAILY, WEEKLY}
    assert QUARTERLY in due_on(date(2026, 10, 2), date(2026, 9, 30), is_session=True)


def test_a_year_later_the_same_month_or_week_is_another_period() -> None:
    assert due_on(date(2026, 3, 2), date(2025, 3, 3), is_session=True) == ALL


def test_nothing_is_due_on_a_day_without_trading() -> None:
    assert due_on(date(2026, 2, 1), date(2026, 1, 30), is_session=False) == frozenset()
    assert due_on(date(2026, 2, 1), None, is_session=False) == frozenset()


def test_all_is_due_where_no_earlier_session_is_known() -> None:
    assert due_on(date(2026, 3, 4), None, is_session=True) == ALL


def test_none_is_never_due() -> None:
    assert all(Calendar.NONE not in due_on(day, before, is_session=True) for before, day in pairwise(WEEKDAYS))


@pytest.mark.parametrize(
    ("calendar", "count"), [(DAILY, 522), (WEEKLY, 104), (MONTHLY, 24), (QUARTERLY, 8), (ANNUAL, 2)]
)
def test_each_period_is_due_once(calendar: Calendar, count: int) -> None:
    days = [day for before, day in pairwise(WEEKDAYS) if calendar in due_on(day, before, is_session=True)]
    assert len([day for day in days if day.year in {2025, 2026}]) == count
