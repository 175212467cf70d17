from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from schemas.enums import RunKind, RunState, Step
from schemas.errors import DecisionRefused, RunHeld, WrongUsage
from tests.support.ledger_book import NOW, hours, new_run
from warehouse.ledger import Ledger


def events(ledger: Ledger) -> list[tuple[str, str | None, str | None]]:
    return [(row.event, row.from_state, row.to_state) for row in ledger.audit.audit_rows(run_id="r1")]


def test_a_run_is_started_once(ledger: Ledger) -> None:
    first = ledger.runs.start_run(new_run("r1"), NOW)
    again = ledger.runs.start_run(replace(new_run("r1"), source="elsewhere"), NOW + hours(1))

    assert again == first
    assert (first.state, first.kind, first.counts) == (RunState.RUNNING, RunKind.NIGHTLY, {})
    assert first.started_at == NOW
    assert events(ledger) == [("run_started", None, "running")]


def test_a_failed_run_is_started_again(ledger: Ledger) -> None:
    ledger.runs.start_run(new_run("r1"), NOW)
    ledger.runs.fail_run("r1", "the disk is full", NOW)
    assert ledger.runs.get_run("r1").finished_at == NOW

    run = ledger.runs.start_run(new_run("r1"), NOW + hours(1))

    assert (run.state, run.started_at, run.finished_at) == (RunState.RUNNING, NOW, None)
    assert events(ledger)[1:] == [("run_failed", "running", "failed"), ("run_resumed", "failed", "running")]


def test_a_run_nobody_started_is_null_or_refused(ledger: Ledger) -> None:
    assert ledger.runs.get_run("r9") is None
    assert ledger.runs.newest_run() is None
    with pytest.raises(WrongUsage, match="no run r9"):
        ledger.runs.set_run_shape("r9", 1, 1)


def test_the_newest_run_is_that_of_the_newest_date_not_of_the_last_start(ledger: Ledger) -> None:
    ledger.runs.start_run(new_run("tuesday", day=7), NOW)
    ledger.runs.start_run(new_run("monday-again", day=6), NOW + hours(1))

    assert ledger.runs.newest_run().run_id == "tuesday"
    assert [run.run_id for run in ledger.runs.list_runs()] == ["monday-again", "tuesday"]
    assert [run.run_id for run in ledger.runs.list_runs(limit=1)] == ["monday-again"]


def test_a_finished_run_has_its_counts_and_stays_finished(ledger: Ledger) -> None:
    ledger.runs.start_run(new_run("r1"), NOW)
    ledger.runs.set_run_shape("r1", 3, 120_000)

    ledger.runs.finish_run("r1", {"proposed": 7}, NOW + hours(1))
    ledger.runs.finish_run("r1", {"proposed": 8}, NOW + hours(2))
    ledger.runs.fail_run("r1", "too late", NOW + hours(3))

    run = ledger.runs.get_run("r1")
    assert (run.state, run.counts, run.finished_at) == (RunState.DONE, {"proposed": 7}, NOW + hours(1))
    assert (run.shard_count, run.accounts_pulled) == (3, 120_000)
    with pytest.raises(WrongUsage, match="is done"):
        ledger.runs.hold_run("r1", "late", NOW)


def test_a_failed_run_cannot_be_finished_before_it_is_started_again(ledger: Ledger) -> None:
    ledger.runs.start_run(new_run("r1"), NOW)
    ledger.runs.fail_run("r1", "the disk is full", NOW)

    with pytest.raises(WrongUsage, match="is failed"):
        ledger.runs.finish_run("r1", {}, NOW)


def test_a_hold_outlives_everything_but_a_release(ledger: Ledger) -> None:
    ledger.runs.start_run(new_run("r1"), NOW)
    ledger.runs.hold_run("r1", "prices are stale", NOW)

    ledger.runs.hold_run("r1", "something else", NOW)
    ledger.runs.fail_run("r1", "stopped", NOW)
    ledger.runs.start_run(new_run("r1"), NOW)
    with pytest.raises(RunHeld, match="prices are stale"):
        ledger.runs.finish_run("r1", {}, NOW)

    assert (ledger.runs.get_run("r1").state, ledger.runs.get_run("r1").held_reason) == (
        RunState.HELD,
        "prices are stale",
    )


def test_a_release_is_remembered_with_its_note(ledger: Ledger) -> None:
    ledger.runs.start_run(new_run("r1"), NOW)
    ledger.runs.hold_run("r1", "prices are stale", NOW)

    ledger.runs.release_run("r1", actor="rex", note="the exchange was closed", now=NOW)

    run = ledger.runs.get_run("r1")
    assert (run.state, run.released_by, run.release_note) == (RunState.RUNNING, "rex", "the exchange was closed")
    assert run.held_reason == "prices are stale"
    assert events(ledger)[-1] == ("run_released", "held", "running")


def test_a_second_hold_uses_the_release_up(ledger: Ledger) -> None:
    ledger.runs.start_run(new_run("r1"), NOW)
    ledger.runs.hold_run("r1", "prices are stale", NOW)
    ledger.runs.release_run("r1", actor="rex", note="the exchange was closed", now=NOW)

    ledger.runs.hold_run("r1", "too many orders", NOW)

    run = ledger.runs.get_run("r1")
    assert (run.held_reason, run.released_by, run.release_note) == ("too many orders", None, None)


def test_a_release_covers_the_guards_that_held_the_run_before_it(ledger: Ledger) -> None:
    ledger.runs.start_run(new_run("r1"), NOW)
    assert ledger.runs.get_run("r1").held_guards == ()
    ledger.runs.hold_run("r1", "prices are stale", NOW, guards=["prices_age", "cash"])
    assert not ledger.runs.get_run("r1").is_released_for(["cash"])

    ledger.runs.release_run("r1", actor="rex", note="the exchange was closed", now=NOW)

    run = ledger.runs.get_run("r1")
    assert run.held_guards == ("prices_age", "cash")
    assert run.is_released_for(["cash", "prices_age"])
    assert run.is_released_for([])
    assert not run.is_released_for(["cash", "order_count"])


def test_a_release_for_further_guards_covers_the_earlier_ones_too(ledger: Ledger) -> None:
    ledger.runs.start_run(new_run("r1"), NOW)
    ledger.runs.hold_run("r1", "prices are stale", NOW, guards=["prices_age"])
    ledger.runs.release_run("r1", actor="rex", note="the exchange was closed", now=NOW)

    ledger.runs.hold_run("r1", "too many orders", NOW, guards=["order_count", "prices_age"])
    held = ledger.runs.get_run("r1")
    assert (held.held_guards, held.is_released_for(["prices_age"])) == (("prices_age", "order_count"), False)
    ledger.runs.release_run("r1", actor="rex", note="expected", now=NOW)

    assert ledger.runs.get_run("r1").is_released_for(["prices_age", "order_count"])


def test_a_guard_that_finds_the_run_held_already_is_not_covered_by_its_release(ledger: Ledger) -> None:
    ledger.runs.start_run(new_run("r1"), NOW)
    ledger.runs.hold_run("r1", "prices are stale", NOW, guards=["prices_age"])
    ledger.runs.hold_run("r1", "too many orders", NOW, guards=["order_count"])

    ledger.runs.release_run("r1", actor="rex", note="the exchange was closed", now=NOW)

    assert not ledger.runs.get_run("r1").is_released_for(["order_count"])


def done(ledger: Ledger, run_id: str, day: int, start: float, **changed: Any) -> None:
    ledger.runs.start_run(replace(new_run(run_id, day=day), **changed), NOW + hours(start))
    ledger.runs.finish_run(run_id, {}, NOW + hours(start))


def test_the_latest_full_run_is_a_finished_night_on_every_account(ledger: Ledger) -> None:
    done(ledger, "monday", 6, 0)
    done(ledger, "tuesday", 7, 24)
    done(ledger, "tuesday-again", 7, 25)
    done(ledger, "late-files", 8, 26, base_run_id="monday")
    done(ledger, "some-accounts", 8, 27, scope="A1")
    done(ledger, "looked-again", 8, 28, kind=RunKind.REPLAY)
    ledger.runs.start_run(new_run("unfinished", day=8), NOW + hours(29))

    assert ledger.runs.latest_full_run(date(2026, 7, 9)).run_id == "tuesday-again"
    assert ledger.runs.latest_full_run(date(2026, 7, 7)).run_id == "monday"
    assert ledger.runs.latest_full_run(date(2026, 7, 6)) is None
    assert ledger.runs.full_run_of(date(2026, 7, 7)).run_id == "tuesday-again"
    assert ledger.runs.full_run_of(date(2026, 7, 8)) is None
    assert ledger.runs.get_run("late-files").base_run_id == "monday"


def test_runs_since_a_run_are_the_finished_ones_of_any_kind_in_order_of_their_start(ledger: Ledger) -> None:
    done(ledger, "long-ago", 5, -24)
    done(ledger, "monday", 6, 0)
    done(ledger, "sunday-again", 5, 2, kind=RunKind.REPLAY)
    done(ledger, "some-accounts", 6, 1, scope="A1")
    done(ledger, "tuesday", 7, 24)
    ledger.runs.start_run(new_run("unfinished", day=6), NOW + hours(3))

    runs = ledger.runs.done_runs_since(ledger.runs.get_run("monday"), date(2026, 7, 7))

    assert [run.run_id for run in runs] == ["monday", "some-accounts", "sunday-again"]


def test_a_reviewer_cannot_release(ledger: Ledger) -> None:
    ledger.runs.start_run(new_run("r1"), NOW)
    ledger.runs.hold_run("r1", "prices are stale", NOW)

    with pytest.raises(DecisionRefused, match="bob has the role reviewer; needed is releaser or admin"):
        ledger.runs.release_run("r1", actor="bob", note="please", now=NOW)
    with pytest.raises(WrongUsage, match="note"):
        ledger.runs.release_run("r1", actor="ann", note=" ", now=NOW)
    ledger.runs.release_run("r1", actor="ann", note="checked", now=NOW)
    with pytest.raises(WrongUsage, match="not held"):
        ledger.runs.release_run("r1", actor="ann", note="again", now=NOW)


def test_a_step_finished_twice_is_finished_once_with_the_last_numbers(ledger: Ledger) -> None:
    ledger.runs.start_run(new_run("r1"), NOW)

    ledger.runs.finish_step("r1", Step.PULL, -1, rows=5, seconds=0.5, now=NOW)
    ledger.runs.finish_step("r1", Step.MEASURE, 0, rows=5, seconds=0.5, now=NOW)
    ledger.runs.finish_step("r1", Step.MEASURE, 0, rows=6, seconds=0.25, now=NOW + hours(1))

    assert ledger.runs.finished_steps("r1") == {(Step.PULL, -1), (Step.MEASURE, 0)}
    assert [(row.step, row.rows, row.seconds) for row in ledger.runs.step_rows("r1")] == [
        ("pull", 5, 0.5),
        ("measure", 6, 0.25),
    ]
    assert ledger.runs.finished_steps("r9") == frozenset()


def test_a_step_of_no_run_is_refused(ledger: Ledger) -> None:
    with pytest.raises(WrongUsage, match="no run r9"):
        ledger.runs.finish_step("r9", Step.PULL, 0, rows=0, seconds=0, now=NOW)


def test_a_time_without_zone_is_refused(ledger: Ledger) -> None:
    with pytest.raises(Exception, match="no time zone"):
        ledger.runs.start_run(new_run("r1"), NOW.replace(tzinfo=None))
