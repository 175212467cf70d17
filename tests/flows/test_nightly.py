"""The night as a Prefect flow: states, artifacts, retries, holds, and what it says when it cannot go on."""

import json
import logging
import shlex
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast
from uuid import UUID

import pytest
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import State
from prefect.flow_engine import run_flow
from prefect.runtime import flow_run
from prefect.states import Scheduled
from typer.testing import CliRunner

from flows.commands.cli import app
from flows.commands.run import resume_night
from flows.nightly import NightResult, nightly
from schemas.enums import RunState, Step
from schemas.errors import InputRefused, LedgerBusy, Retryable, RunHeld, Terminal, TrimtabError, WrongUsage
from schemas.events import EventName
from schemas.settings import load_settings
from tasks.demo.sample import make_book
from tasks.monitor.announce import announce_queue, remind
from tasks.runtime.flow_states import ForeseenWithoutTraceback, without_tracebacks
from tasks.runtime.retries import ATTEMPTS, retry_quietly
from tasks.runtime.sessions import overtaken_by, previous_session
from tasks.runtime.steps import Stores
from tasks.runtime.stores import current_actor, open_ledger
from tests.support.ledger_book import NOW
from tests.support.prefect_reader import artifacts_of, events_named, flow_run_of, tasks_of
from tests.support.queue_scene import CUT_OFF, waiting_queue
from warehouse.lake.public_query import query
from warehouse.ledger import RunRow

AS_OF = date(2022, 12, 28)
ACCOUNTS = 200
PATIENCE_SECONDS: Final = 20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("prefect_api"),
    pytest.mark.filterwarnings("ignore:Series.values returning:Warning"),  # exchange_calendars on new pandas
]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    make_book(folder, account_count=ACCOUNTS)
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, book: Path) -> Path:
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    monkeypatch.setenv("TRIMTAB_SOURCE_URL", str(book))
    return tmp_path


def ended(**parameters: Any) -> State[Any]:
    """The final state of a night."""
    return cast("State[Any]", nightly(**parameters, return_state=True))


def done(**parameters: Any) -> NightResult:
    night = nightly(**parameters)
    assert isinstance(night, NightResult)
    return night


def only_run() -> RunRow:
    with closing(open_ledger(load_settings())) as ledger:
        (row,) = ledger.runs.list_runs()
        return row


def steps() -> list[tuple[Step, int, datetime]]:
    with closing(open_ledger(load_settings())) as ledger:
        return [(row.step, row.shard, row.finished_at) for row in ledger.runs.step_rows(only_run().run_id)]


@pytest.mark.usefixtures("home")
def test_a_night_completes_and_shows_itself_in_the_ui() -> None:
    state = ended(as_of=AS_OF)

    assert state.is_completed()
    run = flow_run_of(state)
    assert run.name == "2022-12-28 nightly"
    shown = artifacts_of(run)
    assert {key: one.type for key, one in shown.items()} == {
        "night-progress": "progress",
        "night-summary": "markdown",
        "night-exceptions": "table",
        "night-timings": "table",
        "night-drift": "markdown",
    }
    assert shown["night-progress"].data == 100
    assert {"validate-common", "validate-0", "measure-0", "propose-0"} <= set(tasks_of(run))
    row = only_run()
    assert (row.state, row.accounts_pulled) == (RunState.DONE, ACCOUNTS)
    assert row.run_id in shown["night-summary"].data
    assert {one.description.split(":")[0] for one in shown.values()} == {row.run_id}
    listed = json.loads(shown["night-exceptions"].data)
    assert listed
    for one in listed:
        program, command, text = shlex.split(one["command"])
        assert (program, command) == ("trimtab", "query")
        assert query(load_settings(), text).height == one["accounts"]
    accounts = query(load_settings(), "SELECT account_id FROM account_outcomes")["account_id"]
    told = " ".join(f"{one.data} {one.description}" for one in shown.values())
    assert [name for name in accounts if name in told] == [], "Prefect's database holds no account"


def ended_of_schedule(due: str) -> State[Any]:
    """The final state of a night that a schedule meant for that moment, long ago."""
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(nightly, state=Scheduled(scheduled_time=datetime.fromisoformat(due)))
    return cast("State[Any]", run_flow(nightly, flow_run=run, parameters={}, return_type="state"))


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("due", "day"),
    [
        ("2022-11-25T01:00:00+00:00", "2022-11-24"),  # Thanksgiving, 20:00 in New York
        ("2022-12-27T01:00:00+00:00", "2022-12-26"),  # Christmas, observed on Monday
        ("2022-07-05T00:00:00+00:00", "2022-07-04"),  # 20:00 in New York, in summer time
        ("2022-12-31T15:00:00+00:00", "2022-12-31"),  # a Saturday
    ],
)
def test_a_day_without_trading_is_skipped(due: str, day: str) -> None:
    state = ended_of_schedule(due)

    assert (state.name, state.is_completed()) == ("Skipped", True)
    assert state.message == f"{day} is no trading day of XNYS"
    assert flow_run_of(state).name == f"{day} nightly"
    assert not (load_settings().home / "ledger.sqlite").exists()


@pytest.mark.usefixtures("home")
def test_a_late_start_belongs_to_the_day_it_was_due(monkeypatch: pytest.MonkeyPatch) -> None:
    next_morning = datetime(2022, 12, 29, 15, tzinfo=UTC)
    monkeypatch.setattr("flows.nightly.utc_now", lambda: next_morning)
    state = ended_of_schedule("2022-12-29T01:00:00+00:00")

    assert flow_run_of(state).name == "2022-12-28 nightly"
    assert (only_run().as_of_date, only_run().state) == (AS_OF, RunState.DONE)


@pytest.mark.usefixtures("home")
def test_a_night_that_was_missed_until_another_day_had_closed_is_skipped() -> None:
    state = ended_of_schedule("2022-12-29T01:00:00+00:00")
    assert (state.name, state.is_completed()) == ("Skipped", True)
    assert str(state.message).startswith("2022-12-28 was missed, and ")
    assert not (load_settings().home / "ledger.sqlite").exists()


@pytest.mark.parametrize(
    ("moment", "by"),
    [
        ("2022-11-23T21:00:00+00:00", None),  # the close of the day itself
        ("2022-11-25T17:59:00+00:00", None),  # after Thanksgiving, a minute before the early close
        ("2022-11-25T18:00:00+00:00", date(2022, 11, 25)),
        ("2022-11-28T12:00:00+00:00", date(2022, 11, 25)),  # Monday morning
        ("2022-11-28T21:00:00+00:00", date(2022, 11, 28)),
    ],
)
def test_a_missed_night_is_overtaken_when_a_later_day_has_closed(moment: str, by: date | None) -> None:
    assert overtaken_by(date(2022, 11, 23), "XNYS", datetime.fromisoformat(moment)) == by


@pytest.mark.parametrize(
    ("day", "is_trading_day"),
    [
        (date(2022, 11, 24), False),  # Thanksgiving
        (date(2022, 11, 25), True),  # closes early
        (date(2022, 12, 26), False),  # Christmas observed
        (date(2022, 12, 27), True),
        (date(2022, 12, 31), False),
    ],
)
def test_holidays_are_no_trading_days(day: date, *, is_trading_day: bool) -> None:
    assert previous_session(day, "XNYS")[0] is is_trading_day


@pytest.mark.usefixtures("home")
def test_running_it_again_skips_what_is_finished() -> None:
    first = done(as_of=AS_OF)
    before = steps()

    again = done(as_of=AS_OF)

    assert again == first
    assert [row for row in steps() if row[0] is not Step.PUBLISH] == [
        row for row in before if row[0] is not Step.PUBLISH
    ]


@pytest.mark.usefixtures("home")
def test_a_refused_input_is_a_sentence_without_a_traceback(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = ended(as_of=AS_OF, source=str(tmp_path))

    assert (state.name, state.is_failed()) == ("Refused", True)
    assert "has no file of the table accounts" in str(state.message)
    assert [record for record in caplog.records if record.exc_info] == []
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert any("has no file of the table accounts" in line for line in told)
    with pytest.raises(InputRefused):
        nightly(as_of=AS_OF, source=str(tmp_path))


def test_wrong_settings_are_told_in_the_state(home: Path) -> None:
    (home / "trimtab.toml").write_text("colour = 'red'\n")

    state = ended()

    assert state.is_failed()
    assert "colour" in str(state.message)
    assert flow_run_of(state).name == "without settings: nightly"


def test_a_run_that_breaks_off_is_failed_in_the_ledger_and_goes_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_MAX_QUARANTINED_FRACTION", "0")
    monkeypatch.setenv("TRIMTAB_GUARD_MIN_ACCOUNTS", "0")
    assert ended(as_of=AS_OF).name == "Held"
    run_id = only_run().run_id
    monkeypatch.setenv("TRIMTAB_MAX_QUARANTINED_FRACTION", "1")
    (home / "lake" / "data").rename(home / "lake" / "unplugged")

    with pytest.raises(Exception, match="a file of the lake is damaged or gone"):
        resume_night(load_settings(), run_id, actor=current_actor(), note="go on")

    assert only_run().state is RunState.FAILED
    (home / "lake" / "unplugged").rename(home / "lake" / "data")
    assert done(as_of=AS_OF).run_id == run_id
    assert only_run().state is RunState.DONE


def test_a_held_run_says_so_and_goes_on_when_released_on_what_it_pulled(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_MAX_QUARANTINED_FRACTION", "0")
    monkeypatch.setenv("TRIMTAB_GUARD_MIN_ACCOUNTS", "0")

    state = ended(as_of=AS_OF, submitter="scheduler")

    assert (state.name, state.is_failed()) == ("Held", True)
    row = only_run()
    behind, share = str(row.held_reason).splitlines()
    assert behind.startswith("no good row of CVX.OLD in securities (security_known; lots.parquet row ")
    assert share.startswith("3 of 200 accounts are quarantined (1.5%)")
    assert str(state.message).startswith(f"run {row.run_id} is held: {row.held_reason}")
    assert f"trimtab resume {row.run_id}" in str(state.message)
    assert row.state is RunState.HELD
    page = artifacts_of(flow_run_of(state))["night-held"]
    assert (page.type, page.description) == ("markdown", row.run_id)
    assert "3 of 200 accounts are quarantined" in page.data
    assert "| quarantine |" in page.data
    shown = CliRunner().invoke(app, ["status"])
    assert f"{row.run_id}: held because\n  {behind}\n  {share}" in shown.stdout
    with pytest.raises(RunHeld) as caught:
        nightly(as_of=AS_OF, submitter="scheduler")
    assert caught.value.exit_code == 3
    before = steps()
    monkeypatch.setenv("TRIMTAB_SOURCE_URL", str(home / "gone"))

    night = resume_night(load_settings(), row.run_id, actor=current_actor(), note="three known accounts")

    assert night.run_id == row.run_id
    assert only_run().state is RunState.DONE
    assert steps()[: len(before)] == before
    assert night.counts["accounts"] == ACCOUNTS


@pytest.mark.parametrize(
    ("error", "attempts"),
    [(LedgerBusy, ATTEMPTS + 1), (Retryable, ATTEMPTS + 1), (Terminal, 1), (WrongUsage, 1), (ValueError, 1)],
)
def test_only_what_may_succeed_later_is_tried_again(error: type[Exception], attempts: int) -> None:
    tries = []

    @task(cache_policy=NO_CACHE, **{**retry_quietly, "retry_delay_seconds": 0})
    def fails() -> None:
        tries.append(len(tries))
        raise error("broken")

    @flow
    def one_task() -> None:
        fails()

    with pytest.raises(error, match="broken"):
        one_task()
    assert len(tries) == attempts


def test_a_busy_ledger_that_comes_back_costs_one_retry() -> None:
    tries = []

    @task(cache_policy=NO_CACHE, **{**retry_quietly, "retry_delay_seconds": 0})
    def comes_back() -> int:
        tries.append(len(tries))
        if len(tries) == 1:
            raise LedgerBusy("locked")
        return len(tries)

    @flow
    def one_task() -> int:
        return comes_back()

    assert one_task() == 2


@pytest.mark.parametrize("name", ["prefect.flow_runs", "prefect.task_runs", "prefect.engine"])
def test_only_foreseen_failures_lose_their_traceback(name: str, caplog: pytest.LogCaptureFixture) -> None:
    without_tracebacks()
    without_tracebacks()
    logger = logging.getLogger(name)
    assert len([one for one in logger.filters if isinstance(one, ForeseenWithoutTraceback)]) == 1

    for error in (TrimtabError("the source is gone\n\nHint: look"), ZeroDivisionError("a bug")):
        logger.error("Encountered exception", exc_info=error, extra={"send_to_api": False})

    foreseen, bug = caplog.records
    assert (foreseen.getMessage(), foreseen.exc_info) == ("the source is gone", None)
    assert bug.exc_info is not None


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    with waiting_queue(tmp_path / "home") as stores:
        yield stores


def test_a_night_that_leaves_something_to_people_says_so_with_a_link(stores: Stores) -> None:
    @flow
    def night() -> str:
        assert announce_queue(stores, "r1", NOW) == 3
        return str(flow_run.id)

    name = night()
    (event,) = events_named(EventName.REVIEW_PENDING, "trimtab.run.r1")
    link = "https://trimtab.example.com/queue?filter=run%3Dr1"
    assert event["payload"] == {
        "run_id": "r1",
        "waiting": 3,
        "gross_value_usd": "37037.010000",
        "next_cut_off_at": CUT_OFF.isoformat(),
        "link": link,
    }
    with get_client(sync_client=True) as client:
        is_of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(name)]))
        (artifact,) = client.read_artifacts(artifact_filter=is_of_run)
    assert artifact.key == "review-queue"
    assert f"[3 proposals wait for review]({link})" in str(artifact.data)


def test_a_reminder_is_an_event_of_the_custodian(stores: Stores) -> None:
    moment = CUT_OFF - timedelta(minutes=10)
    (first,) = remind(stores, moment)
    (event,) = events_named(EventName.REVIEW_REMINDER, "trimtab.custodian.northbank")
    assert (event["payload"]["waiting"], event["payload"]["cut_off_at"]) == (2, first.cut_off_at.isoformat())
    assert set(event["payload"]) == {"custodian", "cut_off_at", "waiting", "gross_value_usd", "link"}
    assert remind(stores, moment) == []
