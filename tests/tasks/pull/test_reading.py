"""Which night a statement is of that is taken in the morning after."""

from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.errors import InputRefused
from schemas.settings import Settings
from schemas.sources import Source
from tasks.pull.inputs import take
from tasks.pull.reading import day_of_statement, raw_tables
from tasks.runtime.run_settings import use_settings
from tests.support.landing_book import sound_book, write_book
from tests.tasks.pull.test_residues import OFX, STATEMENT

FRIDAY = date(2026, 11, 20)


def read(folder: Path, stamp: str, night: date, **options: Any) -> int:
    """How many rows of cash a statement of that time gives."""
    (folder / "in").mkdir()
    (folder / "in" / "s.ofx").write_text(OFX.format(STATEMENT.format("USD", "A", "5")).replace("20260105", stamp))
    rest = {table: rows for table, rows in sound_book().items() if table != "cash"}
    (folder / "rest").mkdir()
    write_book(folder / "rest", rest, "csv")
    sources = (
        {"name": "rest", "url": str(folder / "rest"), "tables": tuple(rest)},
        {"name": "s", "url": str(folder / "in"), "tables": ("cash",), "format": "ofx", "files": "*.ofx", **options},
    )
    settings = Settings(home=folder / "home", sources=sources)
    with use_settings(settings):
        (each,) = take(settings.sources_of(night), settings.staging_folder).of("cash")
        return sum(raw.frame.height for raw in raw_tables(each, ("cash",)))


@pytest.mark.parametrize(
    "stamp",
    [
        "20261120160000.000[-5:EST]",
        "20261120",
        "20261120000000",
        "20261120235959",
        "20261121033014.000[-5:EST]",
        "202611210330",
        "20261121083014[0:GMT]",
        "20261123055959",
        "20261122010000",
    ],
)
def test_a_statement_of_the_morning_after_is_of_the_trading_day_before(tmp_path: Path, stamp: str) -> None:
    assert read(tmp_path, stamp, FRIDAY, morning_until="09:00") == 1


@pytest.mark.parametrize(
    ("stamp", "is_of"),
    [
        ("20261120033000", "2026-11-19"),
        ("20261121093000", "2026-11-21"),
        ("20261123160000", "2026-11-23"),
        ("20261124030000", "2026-11-23"),
        ("20261121000000", "2026-11-21"),
    ],
)
def test_a_statement_of_another_day_is_still_refused(tmp_path: Path, stamp: str, is_of: str) -> None:
    with pytest.raises(InputRefused, match=f"is of {is_of}; the night is 2026-11-20"):
        read(tmp_path, stamp, FRIDAY, morning_until="09:00")


def test_without_the_option_the_day_that_is_written_counts_and_the_hint_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"is of 2026-11-21(.|\n)*morning_until"):
        read(tmp_path, "20261121033014", FRIDAY)


def test_a_holiday_belongs_to_the_session_before_it() -> None:
    morning = datetime(2026, 11, 27, 3)  # noqa: DTZ001 - at its own place; after Thanksgiving
    assert day_of_statement(morning, until=time(6), exchange="XNYS") == date(2026, 11, 25)


def test_landing_tables_say_no_time_of_day() -> None:
    with pytest.raises(ValidationError, match="landing tables say no time of day"):
        Source(name="s", url="/in", morning_until=time(9))
