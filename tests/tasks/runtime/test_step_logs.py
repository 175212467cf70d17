"""A night that logs lines of JSON: each parses, each step is told once as it begins and once as it ends, and no account is named."""

import io
import json
import logging
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any, Final

import cloudpickle
import polars as pl
import pytest
from prefect.settings import PREFECT_API_URL

from flows.nightly import nightly
from schemas.enums import RunKind, Step
from schemas.run import GLOBAL_SHARD, RunRef
from tasks.demo.sample import make_book
from tasks.runtime.json_lines import FIELDS, JsonLines
from tasks.runtime.step_logs import log_step

ROOT: Final = Path(__file__).parents[3]
PROGRAM: Final = Path(sys.executable).parent / "trimtab"
ACCOUNTS: Final = 200
RUN: Final = RunRef("2026-03-02-nightly-abc", date(2026, 3, 2), RunKind.NIGHTLY, 4)


def lines_of(home: Path, book: Path, **settings: str) -> list[dict[str, Any]]:
    """What a night logs, in a process of its own, beside the server of the tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
    asked = {
        "PREFECT_API_URL": str(PREFECT_API_URL.value()),
        "TRIMTAB_HOME": str(home),
        "TRIMTAB_SOURCE_URL": str(book),
        "TRIMTAB_LOG_FORMAT": "json",
        "TRIMTAB_ACCOUNTS_PER_SHARD": "50",
    }
    done = subprocess.run(
        [str(PROGRAM), "nightly", "--as-of", "2022-12-28"],
        cwd=ROOT,
        env=environment | asked | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    logged, _, _ = f"\n{done.stderr}".partition("\ntrimtab: ")  # the command's own last words, where a run is held
    assert logged, done.stderr
    return [json.loads(line) for line in logged.splitlines() if line]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    make_book(folder, account_count=ACCOUNTS)
    return folder


def names_in(book: Path) -> set[str]:
    accounts = pl.read_parquet(book / "accounts.parquet")
    return {*accounts["account_id"], *accounts["household_id"].drop_nulls()}


@pytest.mark.system
@pytest.mark.usefixtures("prefect_api")
def test_a_night_logs_lines_that_parse_and_name_no_account(tmp_path: Path, book: Path) -> None:
    lines = lines_of(tmp_path, book)

    assert all({"time", "level", "event", "logger"} <= line.keys() for line in lines)
    began = [line for line in lines if line["event"] == "step_started"]
    ended = [line for line in lines if line["event"] == "step_finished"]
    assert {line["run_id"] for line in began + ended} == {began[0]["run_id"]}
    shards = {line["shard"] for line in ended if line["step"] == Step.MEASURE}
    assert len(shards) > 2
    wanted = [
        *((step, GLOBAL_SHARD) for step in (Step.PULL, Step.VALIDATE, Step.ROUTE, Step.PUBLISH)),
        *((step, shard) for step in (Step.VALIDATE, Step.MEASURE, Step.PROPOSE, Step.PERFORMANCE) for shard in shards),
    ]
    for found in (began, ended):
        assert sorted((line["step"], line["shard"]) for line in found) == sorted(wanted)
    assert all(line["seconds"] >= 0 and line["rows"] >= 0 for line in ended)
    assert {line["flow_run"] for line in ended} == {"2022-12-28 nightly"}
    assert nobody(lines, book)


@pytest.mark.system
@pytest.mark.usefixtures("prefect_api")
def test_a_night_that_is_held_says_so_and_names_no_account(tmp_path: Path, book: Path) -> None:
    lines = lines_of(tmp_path, book, TRIMTAB_MAX_QUARANTINED_FRACTION="0", TRIMTAB_GUARD_MIN_ACCOUNTS="0")

    (ended,) = [line for line in lines if line["event"] == "run_ended"]
    assert (ended["state"], ended["error"], ended["level"]) == ("Held", "RunHeld", "ERROR")
    assert nobody(lines, book)


def nobody(lines: list[dict[str, Any]], book: Path) -> bool:
    """Whether no word of the lines is an account or a household."""
    words = {word for line in lines for value in line.values() for word in re.findall(r"[\w-]+", str(value))}
    return not words & names_in(book)


def logged(level: int, message: str, *arguments: object, exc_info: Any = None, **fields: Any) -> dict[str, Any]:
    logger, text = logging.Logger("any"), io.StringIO()  # noqa: LOG001 - nobody else's
    handler = logging.StreamHandler(text)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    logger.log(level, message, *arguments, exc_info=exc_info, extra={FIELDS: fields} if fields else None)
    line: dict[str, Any] = json.loads(text.getvalue())
    return line


@pytest.mark.parametrize(
    ("level", "message", "arguments"),
    [
        (logging.ERROR, "account A-17 has 12 USD", ()),
        (logging.INFO, "Finished in state Failed('A-17')", ()),
        (logging.INFO, "Task run failed with exception: A-17", ()),
        (logging.INFO, "tried again after %r", (ValueError("A-17"),)),
    ],
)
def test_what_a_failure_says_is_not_repeated(level: int, message: str, arguments: tuple[object, ...]) -> None:
    assert "A-17" not in json.dumps(logged(level, message, *arguments))


def test_prefect_itself_logs_such_lines_where_its_variables_say_so() -> None:
    chosen = {
        "PREFECT_LOGGING_FORMATTERS_JSON_CLASS": "tasks.runtime.json_lines.JsonLines",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_FORMATTER": "json",
    }
    program = "import logging, prefect.main; logging.getLogger('prefect.workers').warning('hello %s', 1)"
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | chosen, cwd=ROOT, capture_output=True, text=True, check=True
    )
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["message"] == "hello 1"


def test_an_exception_is_told_by_its_kind() -> None:
    error = ZeroDivisionError("A-17")
    line = logged(logging.ERROR, "broke off", exc_info=(type(error), error, None))
    assert line["error"] == "ZeroDivisionError"
    assert "A-17" not in json.dumps(line)


def test_a_message_of_several_lines_is_one_line() -> None:
    assert logged(logging.INFO, 'a "quoted"\nword')["message"] == 'a "quoted"\nword'


def test_a_step_that_breaks_off_is_told_once_with_the_kind_of_its_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(ValueError, match="A-17"), log_step(RUN, Step.MEASURE, 3):
        raise ValueError("A-17")
    assert [getattr(record, FIELDS) for record in caplog.records] == [
        {"event": "step_started", "run_id": RUN.run_id, "step": "measure", "shard": 3},
        {"event": "step_failed", "run_id": RUN.run_id, "step": "measure", "shard": 3, "error": "ValueError"},
    ]
    assert [record.getMessage() for record in caplog.records] == [
        "measure of shard 3 begins",
        "measure of shard 3 broke off: ValueError",
    ]


def test_a_flow_can_be_sent_to_a_process_that_imports_in_another_order() -> None:
    sent = cloudpickle.dumps(nightly)
    assert b"State[" not in sent
