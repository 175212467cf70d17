from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from schemas.enums import Step
from schemas.errors import WrongUsage
from schemas.run import GLOBAL_SHARD
from tests.support.ledger_book import NOW, hours, new_run
from warehouse.ledger import InputRow, InputState, LandedBefore, Ledger

TONIGHT = new_run("tonight").as_of_date
LOTS = InputRow(
    number=0,
    source="northbank",
    name="positions.txt",
    table_name="lots",
    first_row=1,
    row_count=120,
    last_row=120,
    size_bytes=4_096,
    sha256="f00d",
    state=InputState.READ,
    taken_at=NOW,
    modified_at=NOW - hours(2),
    sequence=41,
    reader="d1ge57",
)
AWAITED = InputRow(
    number=1,
    source="southbank",
    name="cash_20260701.csv",
    table_name="cash",
    first_row=121,
    row_count=0,
    last_row=120,
    size_bytes=0,
    sha256="",
    state=InputState.AWAITED,
    taken_at=NOW,
    note="not there at 22:00 UTC",
)


def took(ledger: Ledger, run_id: str, day: int, **changed: Any) -> None:
    ledger.runs.start_run(new_run(run_id, day=day), NOW)
    ledger.inputs.record_inputs(run_id, [replace(LOTS, **changed)])


def test_inputs_come_back_as_they_were_recorded_by_number(ledger: Ledger) -> None:
    ledger.runs.start_run(new_run("r1"), NOW)

    ledger.inputs.record_inputs("r1", [AWAITED, LOTS])

    assert ledger.inputs.inputs_of("r1") == [LOTS, AWAITED]
    assert ledger.inputs.inputs_of("r9") == []


def test_recording_again_replaces_the_runs_inputs_and_no_others(ledger: Ledger) -> None:
    took(ledger, "r0", 1)
    took(ledger, "r1", 1)
    ledger.inputs.record_inputs("r1", [AWAITED])
    assert ledger.inputs.inputs_of("r1") == [AWAITED]

    ledger.inputs.record_inputs("r1", [])

    assert (ledger.inputs.inputs_of("r0"), ledger.inputs.inputs_of("r1")) == ([LOTS], [])


def test_inputs_that_cannot_all_be_recorded_leave_the_earlier_ones(ledger: Ledger) -> None:
    took(ledger, "r1", 1)

    with pytest.raises(Exception, match="no time zone"):
        ledger.inputs.record_inputs("r1", [AWAITED, replace(LOTS, taken_at=NOW.replace(tzinfo=None))])

    assert ledger.inputs.inputs_of("r1") == [LOTS]


def test_inputs_of_no_run_are_refused(ledger: Ledger) -> None:
    with pytest.raises(WrongUsage, match="no run r9"):
        ledger.inputs.record_inputs("r9", [])


def test_the_last_sequence_is_of_the_newest_date_before_whatever_was_started_last(ledger: Ledger) -> None:
    took(ledger, "monday", 6, sequence=41)
    took(ledger, "wednesday", 8, sequence=43)
    took(ledger, "tuesday", 7, sequence=42, state=InputState.COPIED)

    last = {day: ledger.inputs.last_sequence("northbank", "d1ge57", date(2026, 7, day)) for day in (6, 7, 8, 9)}

    assert last == {
        6: None,
        7: (date(2026, 7, 6), 41),
        8: (date(2026, 7, 7), 42),
        9: (date(2026, 7, 8), 43),
    }


def test_the_last_sequence_is_of_this_source_and_reader_and_of_a_file_that_was_taken(ledger: Ledger) -> None:
    took(ledger, "monday", 6, sequence=41)
    took(ledger, "other-source", 7, sequence=1, source="southbank")
    took(ledger, "other-reader", 7, sequence=2, reader="")
    took(ledger, "refused", 7, sequence=3, state=InputState.REFUSED, note="of another date")
    took(ledger, "unnumbered", 7, sequence=None)

    assert ledger.inputs.last_sequence("northbank", "d1ge57", date(2026, 7, 8)) == (date(2026, 7, 6), 41)


def test_of_several_files_of_a_date_the_greatest_number_counts(ledger: Ledger) -> None:
    took(ledger, "first", 6, sequence=42)
    took(ledger, "second", 6, sequence=9)

    assert ledger.inputs.last_sequence("northbank", "d1ge57", date(2026, 7, 7)) == (date(2026, 7, 6), 42)


def landed(ledger: Ledger, run_id: str, start: float = 0, *, is_pulled: bool = True, **changed: Any) -> None:
    """A run that took one file and put its rows in the lake."""
    run = {name: changed.pop(name) for name in ("scope", "base_run_id", "code_version") if name in changed}
    ledger.runs.start_run(replace(new_run(run_id), **run), NOW + hours(start))
    ledger.inputs.record_inputs(run_id, [replace(LOTS, **changed)])
    if is_pulled:
        ledger.runs.finish_step(run_id, Step.PULL, GLOBAL_SHARD, rows=120, seconds=1, now=NOW)


def test_a_file_is_known_again_by_its_content_its_reader_and_its_table(ledger: Ledger) -> None:
    landed(ledger, "first", 0)
    landed(ledger, "second", 1, first_row=51, last_row=170)
    landed(ledger, "cash", 2, table_name="cash")
    landed(ledger, "other", 3, sha256="beef")

    found = ledger.inputs.landed_before([("f00d", TONIGHT), ("unknown", TONIGHT)], new_run("tonight"))

    assert found == {
        ("f00d", "d1ge57", "lots"): LandedBefore("second", 51, 170, 120),
        ("f00d", "d1ge57", "cash"): LandedBefore("cash", 1, 120, 120),
    }


def test_a_file_is_not_known_from_a_run_that_did_not_land_all_of_it(ledger: Ledger) -> None:
    landed(ledger, "unfinished", is_pulled=False)
    landed(ledger, "scoped", scope="A1")
    landed(ledger, "late-files", base_run_id="scoped")
    landed(ledger, "other-version", code_version="0.0.9")
    landed(ledger, "refused", state=InputState.REFUSED, note="of another date")
    landed(ledger, "unread", sha256="")
    landed(ledger, "tonight")

    assert ledger.inputs.landed_before([("f00d", TONIGHT), ("", TONIGHT)], new_run("tonight")) == {}


def test_a_file_of_a_format_is_known_from_the_night_of_its_day_alone(ledger: Ledger) -> None:
    landed(ledger, "formatted")
    landed(ledger, "plain", reader="", table_name="cash")
    tomorrow = new_run("tomorrow", day=8)

    assert set(ledger.inputs.landed_before([("f00d", tomorrow.as_of_date)], tomorrow)) == {("f00d", "", "cash")}
    assert set(ledger.inputs.landed_before([("f00d", TONIGHT)], tomorrow)) == {
        ("f00d", "d1ge57", "lots"),
        ("f00d", "", "cash"),
    }
