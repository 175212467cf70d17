"""Work that people ask of the console: who may, once at a time, taken by one process, finished once, and all of it in the audit chain."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from schemas.errors import DecisionRefused, RunHeld, WrongUsage
from tests.support.ledger_book import NOW, hours
from warehouse.ledger import JobKind, Ledger

NIGHT = {"as_of": "2026-07-01", "source": []}


def events(ledger: Ledger) -> list[tuple[str, str, str]]:
    rows = [row for row in ledger.audit.audit_rows() if row.event.startswith("job_")]
    return [(row.actor, row.event, json.loads(row.detail)["kind"]) for row in rows]


def test_a_job_is_asked_for_taken_and_finished_and_the_audit_names_who_asked(ledger: Ledger) -> None:
    job = ledger.jobs.ask_job(JobKind.NIGHT, NIGHT, actor="rex", now=NOW)
    assert (job.actor, job.wanted, job.began_at, job.finished_at) == ("rex", NIGHT, None, None)
    begun = ledger.jobs.begin_job(job.job_id, host="h", process=7, now=NOW + hours(1))
    assert (begun.host, begun.process, begun.began_at) == ("h", 7, NOW + hours(1))
    assert ledger.jobs.finish_job(job.job_id, exit_code=3, told="held", run_id=None, now=NOW + hours(2))
    done = ledger.jobs.get_job(job.job_id)
    assert (done.exit_code, done.told, done.finished_at) == (3, "held", NOW + hours(2))
    assert events(ledger) == [("rex", "job_asked", "night"), ("rex", "job_finished", "night")]
    assert ledger.audit.verify_audit()


@pytest.mark.parametrize("who", ["vic", "bob", "nobody"])
@pytest.mark.parametrize("kind", list(JobKind))
def test_who_is_no_operator_is_refused_and_nothing_is_written(ledger: Ledger, who: str, kind: JobKind) -> None:
    with pytest.raises(DecisionRefused, match=who):
        ledger.jobs.ask_job(kind, {**NIGHT, "note": "why", "run_id": "r1"}, actor=who, now=NOW)
    assert ledger.jobs.list_jobs() == []
    assert events(ledger) == []


def test_a_source_of_ones_own_is_for_an_admin(ledger: Ledger) -> None:
    wanted = {**NIGHT, "source": ["/elsewhere"]}
    with pytest.raises(DecisionRefused, match="needed is admin"):
        ledger.jobs.ask_job(JobKind.NIGHT, wanted, actor="rex", now=NOW)
    assert ledger.jobs.ask_job(JobKind.NIGHT, wanted, actor="ann", now=NOW).wanted == wanted


def test_the_same_is_under_way_once_and_may_be_asked_for_again_afterwards(ledger: Ledger) -> None:
    first = ledger.jobs.ask_job(JobKind.NIGHT, NIGHT, actor="rex", now=NOW)
    with pytest.raises(WrongUsage, match="rex asked for the same"):
        ledger.jobs.ask_job(JobKind.NIGHT, dict(reversed(NIGHT.items())), actor="ann", now=NOW)
    ledger.jobs.ask_job(JobKind.DRY_RUN, NIGHT, actor="rex", now=NOW)
    ledger.jobs.finish_job(first.job_id, exit_code=0, told="", run_id="r1", now=NOW)
    again = ledger.jobs.ask_job(JobKind.NIGHT, NIGHT, actor="rex", now=NOW)
    assert again.job_id != first.job_id


def test_of_many_processes_one_takes_a_job(ledger: Ledger) -> None:
    job = ledger.jobs.ask_job(JobKind.NIGHT, NIGHT, actor="rex", now=NOW)
    all_of_them = threading.Barrier(6)

    def take(number: int) -> bool:
        all_of_them.wait()
        try:
            ledger.jobs.begin_job(job.job_id, host="h", process=number, now=NOW)
        except WrongUsage:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(take, range(1, 7))) == 1


def test_what_was_said_at_the_end_stands(ledger: Ledger) -> None:
    job = ledger.jobs.ask_job(JobKind.CHECK, NIGHT, actor="rex", now=NOW)
    assert ledger.jobs.finish_job(job.job_id, exit_code=0, told="first", run_id=None, now=NOW)
    assert not ledger.jobs.finish_job(job.job_id, exit_code=1, told="second", run_id=None, now=NOW)
    assert ledger.jobs.get_job(job.job_id).told == "first"
    with pytest.raises(WrongUsage, match="was taken before"):
        ledger.jobs.begin_job(job.job_id, host="h", process=1, now=NOW)


@pytest.mark.parametrize("kind", [JobKind.RESUME, JobKind.EXPORT, JobKind.DELIVER])
def test_a_halt_stops_what_lets_something_go_on_and_nothing_else(ledger: Ledger, kind: JobKind) -> None:
    ledger.halts.halt("rex", "a wrong price", NOW)
    with pytest.raises(RunHeld, match="a wrong price"):
        ledger.jobs.ask_job(kind, {"run_id": "r1", "note": "go"}, actor="rex", now=NOW)
    assert ledger.jobs.ask_job(JobKind.CHECK, NIGHT, actor="rex", now=NOW)


def test_a_resumption_says_why(ledger: Ledger) -> None:
    with pytest.raises(WrongUsage, match="needs a note"):
        ledger.jobs.ask_job(JobKind.RESUME, {"run_id": "r1", "note": " "}, actor="rex", now=NOW)


def test_a_job_that_is_not_there_is_a_sentence(ledger: Ledger) -> None:
    with pytest.raises(WrongUsage, match="there is no job 41"):
        ledger.jobs.get_job(41)
