"""Work that was asked for is done by a process of its own, as who asked, and what became of it is known whatever happens to the process."""

import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import Role, RunState
from schemas.errors import DecisionRefused, ExitCode
from schemas.settings import Settings
from tasks.demo.sample import make_book
from tasks.jobs import log_of, settle_lost, start_job
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.ledger_book import hours
from warehouse.ledger import JobKind, JobRow, Ledger

pytestmark = pytest.mark.system
PATIENCE_SECONDS = 240


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("jobs") / "home"
    settings = Settings(home=home)
    make_book(home / "landing", account_count=60)
    return settings


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with closing(open_ledger(settings)) as ledger:
        if not ledger.users.roles_of("rex"):
            for name, role in {"rex": Role.RELEASER, "vic": Role.VIEWER}.items():
                ledger.users.add_user(name, [role], actor=current_actor(), now=utc_now())
        yield ledger


def ended(ledger: Ledger, job: JobRow) -> JobRow:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        found = ledger.jobs.get_job(job.job_id)
        if found.finished_at is not None:
            return found
        time.sleep(0.3)
    raise AssertionError(f"job {job.job_id} did not end")


def wanted(day: str = "2022-12-28") -> dict[str, object]:
    return {"as_of": day, "source": []}


def start(ledger: Ledger, settings: Settings, kind: JobKind, **more: object) -> JobRow:
    return start_job(ledger.jobs, settings, kind, {**wanted(), **more}, actor="rex", now=utc_now())


def test_a_check_says_what_the_night_would_do_and_keeps_nothing(settings: Settings, ledger: Ledger) -> None:
    done = ended(ledger, start(ledger, settings, JobKind.CHECK))
    assert done.exit_code in {ExitCode.DONE, ExitCode.HELD}, done.told
    assert "60 accounts of 2022-12-28 would be looked at." in (done.told or "")
    assert ledger.runs.list_runs() == []
    log = log_of(settings, done.job_id)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert stat.S_IMODE(log.parent.stat().st_mode) == 0o700


def test_a_night_is_submitted_by_who_asked_who_therefore_may_not_approve_it(settings: Settings, ledger: Ledger) -> None:
    done = ended(ledger, start(ledger, settings, JobKind.NIGHT))
    run = ledger.runs.newest_run()
    assert run is not None
    assert run.submitter == "rex"
    if done.exit_code == ExitCode.HELD:
        assert run.state is RunState.HELD
        resumed = ended(
            ledger,
            start_job(
                ledger.jobs,
                settings,
                JobKind.RESUME,
                {"run_id": run.run_id, "note": "seen"},
                actor="rex",
                now=utc_now(),
            ),
        )
        assert resumed.exit_code == ExitCode.DONE, resumed.told
        run = ledger.runs.get_run(run.run_id)
        assert run is not None
        assert (run.released_by, run.release_note) == ("rex", "seen")
    assert run.state is RunState.DONE
    submitters = ledger.proposals.list_proposals(run_id=run.run_id)["submitter"].unique()
    assert submitters.to_list() == ["rex"]
    asked = [row for row in ledger.audit.audit_rows() if row.event == "job_asked"]
    assert {row.actor for row in asked} == {"rex"}
    assert ledger.audit.verify_audit()
    assert isinstance(submitters, pl.Series)


def test_a_refusal_is_told_as_a_sentence(settings: Settings, ledger: Ledger, tmp_path: Path) -> None:
    nowhere = start_job(
        ledger.jobs,
        settings,
        JobKind.NIGHT,
        {**wanted(), "source": [str(tmp_path)]},
        actor=current_actor(),
        now=utc_now(),
    )
    done = ended(ledger, nowhere)
    assert done.exit_code == ExitCode.INPUT_REFUSED
    assert str(tmp_path) in (done.told or "")
    assert "Traceback" not in log_of(settings, done.job_id).read_text()


def test_who_may_not_starts_no_process(settings: Settings, ledger: Ledger) -> None:
    before = len(ledger.jobs.list_jobs())
    with pytest.raises(DecisionRefused, match="vic has the role viewer"):
        start_job(ledger.jobs, settings, JobKind.NIGHT, wanted(), actor="vic", now=utc_now())
    assert len(ledger.jobs.list_jobs()) == before


def test_a_process_that_is_killed_is_told_as_gone(settings: Settings, ledger: Ledger) -> None:
    job = start(ledger, settings, JobKind.DRY_RUN)
    end = time.monotonic() + PATIENCE_SECONDS
    while (taken := ledger.jobs.get_job(job.job_id)).process is None and time.monotonic() < end:
        time.sleep(0.1)
    assert taken.process is not None
    os.kill(taken.process, signal.SIGKILL)
    done = ended(ledger, job)
    assert done.exit_code == ExitCode.FAILED
    assert "its process is gone" in (done.told or "")


def test_what_no_console_waits_for_is_settled_by_the_next_look(ledger: Ledger) -> None:
    now = utc_now()
    asked = ledger.jobs.ask_job(JobKind.CHECK, wanted("2022-12-29"), actor="rex", now=now)
    lost = ledger.jobs.ask_job(JobKind.CHECK, wanted("2022-12-30"), actor="rex", now=now)
    elsewhere = ledger.jobs.ask_job(JobKind.CHECK, wanted("2022-12-31"), actor="rex", now=now)
    ledger.jobs.begin_job(lost.job_id, host=socket.gethostname(), process=2**22 + 1, now=now)
    ledger.jobs.begin_job(elsewhere.job_id, host="another", process=1, now=now)
    assert settle_lost(ledger.jobs, now) == 1
    assert ledger.jobs.get_job(lost.job_id).exit_code == ExitCode.FAILED
    assert settle_lost(ledger.jobs, now + hours(1)) == 1
    assert ledger.jobs.get_job(asked.job_id).exit_code == ExitCode.FAILED
    assert ledger.jobs.get_job(elsewhere.job_id).finished_at is None
    ledger.jobs.finish_job(elsewhere.job_id, exit_code=0, told="", run_id=None, now=now)
