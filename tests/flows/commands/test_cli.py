"""The command as people and programs use it: exit codes, what goes to stdout, and sentences instead of tracebacks."""

import csv
import io
import json
import shutil
import subprocess
import sys
from contextlib import closing
from datetime import date
from importlib.metadata import version
from pathlib import Path

import polars as pl
import pytest

from flows.commands.cli import main
from schemas.settings import Settings
from tasks.demo.sample import make_book
from tasks.runtime.stores import open_ledger
from tests.support.cli_session import Command, environment, session
from tests.support.night_driver import export, files_of, public_tables, run_night
from warehouse.lake.lake import open_lake

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # exchange_calendars, under pandas 3.1
]

DAY = "2022-12-28"
NEXT_DAY = "2022-12-29"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    assert make_book(folder, account_count=150).as_of_date == date.fromisoformat(DAY)
    return folder


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Settings:
    """A home with a night and an export, made without the command."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    export(settings, run_night(settings, source, date.fromisoformat(DAY)).run_id)
    return settings


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory, source: Path) -> dict[str, Command]:
    """One evening at the terminal."""
    folder = tmp_path_factory.mktemp("typed")
    broken = folder / "broken"
    shutil.copytree(source, broken)
    pl.read_parquet(source / "lots.parquet").drop("quantity").write_parquet(broken / "lots.parquet")
    strict = {"TRIMTAB_MAX_QUARANTINED_FRACTION": "0", "TRIMTAB_GUARD_MIN_ACCOUNTS": "0"}
    whole = ["nightly", "--source", str(source), "--as-of"]
    commands: dict[str, tuple[list[str], dict[str, str]]] = {
        "strict": ([*whole, DAY, "--json", "--strict", "--export"], {}),
        "again": ([*whole, DAY], {}),
        "dry": ([*whole, NEXT_DAY, "--dry-run", "--export"], {}),
        "broken": (["nightly", "--source", str(broken), "--as-of", DAY], {}),
        "nobody": ([*whole, DAY, "--account", "nobody"], {}),
        "held": ([*whole, NEXT_DAY], strict),
        "held again": ([*whole, NEXT_DAY], strict),
        "runs": (["runs", "--json"], {}),
    }
    home = folder / "home"
    home.mkdir()
    return dict(zip(commands, session(home, *commands.values()), strict=True))


def home_of(typed: dict[str, Command]) -> Settings:
    (made,) = json.loads(typed["strict"].out)["exports"]
    return Settings(home=Path(made["folder"]).parents[2])


def test_strict_tells_quarantined_accounts_by_the_exit_code(typed: dict[str, Command]) -> None:
    told = json.loads(typed["strict"].out)
    assert told["counts"]["quarantined"] > 0
    assert typed["strict"].code == 5


def test_the_real_command_gives_the_bytes_of_the_steps_alone(typed: dict[str, Command], night: Settings) -> None:
    run_id = json.loads(typed["strict"].out)["run_id"]
    there = home_of(typed)
    left, right = public_tables(there, run_id), public_tables(night, run_id)
    assert [table for table in left if not left[table].equals(right[table])] == []
    files = files_of(night.export_folder)
    assert len(files) > 20
    assert files_of(there.export_folder) == files


def test_the_same_night_again_is_quiet_and_done(typed: dict[str, Command]) -> None:
    again = typed["again"]
    assert again.code == 0
    assert again.out.splitlines()[0] == json.loads(typed["strict"].out)["run_id"]
    assert "quarantined" in again.out


def test_a_dry_run_keeps_nothing(typed: dict[str, Command]) -> None:
    dry = typed["dry"]
    assert dry.code == 0
    assert dry.out.startswith(f"{NEXT_DAY}-nightly-")
    assert kept(dry) == kept(typed["again"])
    assert NEXT_DAY not in {row["run_id"][:10] for row in json.loads(typed["runs"].out) if row["state"] != "held"}


def kept(command: Command) -> list[str]:
    """Files of the home but those that SQLite has only while it is open."""
    return [name for name in command.files if not name.endswith(("-wal", "-shm"))]


def test_input_that_cannot_be_used_is_refused_with_a_sentence(typed: dict[str, Command]) -> None:
    broken = typed["broken"]
    assert broken.code == 4
    assert broken.out == ""
    assert "trimtab: lots.parquet has no column quantity" in broken.err
    assert "Traceback" not in broken.err


def test_an_account_that_is_not_there_is_wrong_usage(typed: dict[str, Command]) -> None:
    assert typed["nobody"].code == 2
    assert "the source has no account nobody" in typed["nobody"].err
    assert "Traceback" not in typed["nobody"].err


@pytest.mark.parametrize("name", ["held", "held again"])
def test_a_guard_holds_the_run_until_a_person_releases_it(typed: dict[str, Command], name: str) -> None:
    assert typed[name].code == 3
    assert typed[name].out == ""
    assert f"trimtab: run {NEXT_DAY}-nightly-" in typed[name].err
    assert "trimtab resume" in typed[name].err
    assert "Traceback" not in typed[name].err
    states = {row["run_id"][:10]: row["state"] for row in json.loads(typed["runs"].out)}
    assert states == {DAY: "done", NEXT_DAY: "held"}


# --- commands that need no Prefect: in this process


class Shell:
    """Runs commands at a home; remembers the last one's outputs."""

    def __init__(self, capture: pytest.CaptureFixture[bytes]) -> None:
        self._capture = capture
        self.out = b""
        self.err = ""

    def __call__(self, *words: str) -> int:
        with pytest.raises(SystemExit) as end:
            main(words)
        read = self._capture.readouterr()
        self.out, self.err = read.out, read.err.decode()
        return end.value.code or 0  # type: ignore[return-value]


@pytest.fixture
def shell(night: Settings, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Shell:
    monkeypatch.setenv("TRIMTAB_HOME", str(night.home))
    return Shell(capfdbinary)


COUNTS = "SELECT outcome, count(*) AS accounts FROM latest.account_outcomes GROUP BY 1 ORDER BY 1"


def test_a_query_prints_every_format(shell: Shell) -> None:
    assert shell("query", COUNTS, "--format", "json") == 0
    expected = json.loads(shell.out)
    assert sum(row["accounts"] for row in expected) == 150

    assert shell("query", COUNTS, "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(shell.out.decode())))
    assert rows == [{name: str(value) for name, value in row.items()} for row in expected]

    assert shell("query", COUNTS, "--format", "parquet") == 0
    assert pl.read_parquet(io.BytesIO(shell.out)).to_dicts() == expected

    assert shell("query", COUNTS) == 0
    assert all(row["outcome"] in shell.out.decode() for row in expected)
    assert shell.err == ""


def test_an_unknown_table_is_a_sentence_and_exit_code_2(shell: Shell) -> None:
    assert shell("query", "SELECT * FROM nothing") == 2
    assert shell.out == b""
    assert shell.err.startswith("trimtab: the query cannot be run: Catalog Error")
    assert "Hint: tables are" in shell.err


def test_a_write_is_refused_with_exit_code_2(shell: Shell) -> None:
    assert shell("query", "DELETE FROM ledger.proposals") == 2
    assert shell.err == "trimtab: `trimtab query` takes one SELECT; it only reads\n"


def test_a_home_without_runs_says_what_to_do(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path / "empty"))
    assert shell("query", "SELECT 1") == 2
    assert "has no runs yet\n\nHint: `trimtab demo` makes one" in shell.err
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize("words", [("query", "SELECT 1"), ("status",)])
def test_a_home_of_a_program_before_the_first_release_is_refused_in_a_sentence(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    settings = Settings(home=tmp_path)
    open_lake(settings)
    with closing(open_ledger(settings)) as ledger, ledger.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0003'")
    assert shell(*words) == 2
    assert shell.err.startswith("trimtab: the ledger is at version 0003, made by a trimtab before its first release")


def test_status_and_runs_tell_of_the_night(shell: Shell) -> None:
    assert shell("status", "--json") == 0
    status = json.loads(shell.out)
    assert (status["state"], status["counts"]["accounts"]) == ("done", 150)
    assert status["queue"]["exported"] > 0
    assert status["open_orders"]["count"] > 0
    assert status["open_orders"]["session_count"] > 0
    oldest = f"the oldest of {status['open_orders']['oldest_date']}, {status['open_orders']['session_count']} trading days ago"
    assert shell("runs") == 0
    assert status["run_id"] in shell.out.decode()
    assert shell("status") == 0
    assert "propose" in shell.out.decode()
    assert oldest in shell.out.decode()


def test_the_version_is_that_of_the_distribution(shell: Shell) -> None:
    assert shell("--version") == 0
    assert shell.out.decode() == f"trimtab {version('trimtab')}\n"


@pytest.mark.parametrize("words", [("nightly", "--as-of", "nonsense"), ("nightly", "--as-of", "2022-02-30")])
def test_a_date_that_is_none_is_wrong_usage(shell: Shell, words: tuple[str, ...]) -> None:
    assert shell(*words) == 2
    assert f"trimtab: {words[-1]} is not a date; needed YYYY-MM-DD" in shell.err
    assert shell.out == b""


@pytest.mark.parametrize("words", [("nightly",), ("rebalance",), ("query",), ("query", "SELECT 1", "--format", "xml")])
def test_words_that_do_not_fit_are_wrong_usage(shell: Shell, words: tuple[str, ...]) -> None:
    assert shell(*words) == 2
    assert "Traceback" not in shell.err


@pytest.mark.parametrize("words", [("nightly", "--as-of", DAY), ("query", "SELECT 1"), ("runs",), ("status",)])
def test_a_setting_that_is_none_is_refused(
    shell: Shell, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_EXPORT_DIR", "/tmp/x")  # noqa: S108 - a name, nothing is written
    assert shell(*words) == 2
    assert shell.err.startswith("trimtab: TRIMTAB_EXPORT_DIR is not a setting")


def test_reading_imports_neither_prefect_nor_the_landing_contract(night: Settings) -> None:
    """They take seconds; a query should not."""
    text = (
        "import sys\nfrom flows.commands.cli import main\n"
        "try:\n    main(['query', 'SELECT 1 AS one', '--format', 'csv'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'prefect', 'pandera', 'pandas', 'numba', 'alembic', 'fastapi'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], env=environment(night.home), capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("one\n1\n[]\n", "")


def test_a_night_without_sftp_starts_no_compiler(night: Settings) -> None:
    """At its import, what speaks SFTP has the C compiler look for a library that hardly anybody has."""
    text = "import sys, flows.nightly, tasks.export, tasks.reconcile.execution_files\nprint('asyncssh' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", text], env=environment(night.home), capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_a_night_imports_nothing_of_the_lab(night: Settings) -> None:
    text = (
        "import sys, flows.nightly, flows.monitor, flows.release, flows.reconcile\n"
        "print(sorted({'arch', 'linearmodels', 'skfolio', 'statsmodels', 'scipy.stats'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], env=environment(night.home), capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_reader_that_has_seen_enough_is_no_error(night: Settings) -> None:
    command = f"{sys.executable} -m flows.commands.cli query 'SELECT range FROM range(500000)' --format csv | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=environment(night.home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "range\n", "")
