"""No room, or no access: told in one sentence with what to do, and without the words of whoever refused it."""

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import duckdb
import psycopg
import pytest
import sqlalchemy as sa

from schemas.errors import LedgerUnreachable, StoreRefused
from schemas.settings import Settings
from tasks.runtime.steps import note_failure
from tasks.runtime.stores import open_ledger
from tests.support.cli_session import environment
from tests.support.ledger_book import NOW, new_run, opened
from tests.warehouse.lake.test_maintenance import filled, run_of
from warehouse.copies.backup import copy_sqlite
from warehouse.faults.disk_errors import translate_disk_errors
from warehouse.lake.attach import retry_conflicts
from warehouse.ledger import Ledger

ROOT: Final = Path(__file__).parents[3]
BIN: Final = Path(sys.executable).parent
ADDRESS: Final = "postgresql://owner:hunter2@db"
NO_ROOM: Final = "no room is left on the disk"
NO_ACCESS: Final = "access is denied"
NOT_OPENED: Final = "it cannot be opened"
READ_ONLY: Final = "the disk is read-only"


class Answer(duckdb.Error):
    """What an object store says, as DuckDB passes it on."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP GET error on {ADDRESS}")
        self.status_code = status


def in_sql(error: Exception) -> sa.exc.DBAPIError:
    return sa.exc.OperationalError(f"INSERT ... {ADDRESS}", {}, error)


REFUSALS: Final[dict[str, tuple[Exception, str]]] = {
    "full": (OSError(errno.ENOSPC, ADDRESS), NO_ROOM),
    "quota": (OSError(errno.EDQUOT, ADDRESS), NO_ROOM),
    "not ours": (PermissionError(errno.EACCES, ADDRESS), NO_ACCESS),
    "mounted read-only": (OSError(errno.EROFS, ADDRESS), READ_ONLY),
    "broken": (OSError(errno.EIO, ADDRESS), "the disk reports an error"),
    "SQLite, read-only": (in_sql(sqlite3.OperationalError("attempt to write a readonly database")), NO_ACCESS),
    "SQLite, alone": (sqlite3.OperationalError("unable to open database file"), NOT_OPENED),
    "PostgreSQL, full": (
        in_sql(psycopg.errors.DiskFull('could not extend file "base/1": No space left on device')),
        NO_ROOM,
    ),
    "PostgreSQL, no right": (
        in_sql(psycopg.errors.InsufficientPrivilege("permission denied for table runs")),
        NO_ACCESS,
    ),
    "PostgreSQL, a copy": (
        in_sql(psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT in a read-only transaction")),
        READ_ONLY,
    ),
    "object store, no right": (Answer(403), "the object store denies access"),
    "object store, full": (Answer(507), NO_ROOM),
}


@pytest.mark.parametrize(("error", "why"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_a_sentence_with_a_hint_and_never_with_a_password(error: Exception, why: str) -> None:
    with pytest.raises(StoreRefused) as caught, translate_disk_errors("the lake"):
        raise error
    sentence, hint = str(caught.value).split("\n\n")
    assert sentence == f"the lake cannot be read or written: {why}"
    assert hint.startswith("Hint: ")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        FileExistsError(errno.EEXIST, "there"),
        duckdb.ParserException("syntax error at or near SELEC"),
        in_sql(sqlite3.OperationalError("no such table: runs")),
        Answer(404),
        ValueError("no space left on device"),
    ],
    ids=repr,
)
def test_other_errors_pass_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, translate_disk_errors("the lake"):
        raise error
    assert caught.value is error


def test_duckdb_on_a_full_disk() -> None:
    with (
        duckdb.connect() as connection,
        pytest.raises(StoreRefused, match=f"the lake .*: {NO_ROOM}\n\nHint: make room"),
    ):
        retry_conflicts(lambda: connection.execute("COPY (FROM range(1_000_000)) TO '/dev/full' (FORMAT csv)"))


def start_runs(ledger: Ledger, count: int) -> None:
    for number in range(count):
        ledger.runs.start_run(new_run(f"r{number}"), NOW)


def full(ledger: Ledger) -> None:
    """No page more for any connection made from here on."""

    def limit(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA max_page_count = 1").close()

    sa.event.listen(ledger.engine, "connect", limit)
    ledger.engine.dispose()


def test_a_ledger_on_a_full_disk_keeps_what_it_has(tmp_path: Path) -> None:
    with closing(opened(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        full(ledger)
        with pytest.raises(StoreRefused, match=f"the ledger cannot be read or written: {NO_ROOM}"):
            start_runs(ledger, 1_000)
        there = {row.run_id for row in ledger.runs.list_runs(1_000)}
        assert there == {f"r{number}" for number in range(len(there))}
    with closing(opened(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        ledger.audit.verify_audit()
        ledger.runs.start_run(new_run("later"), NOW)
        assert len(ledger.runs.list_runs(1_000)) == len(there) + 1


@pytest.mark.parametrize("also", [StoreRefused("full"), LedgerUnreachable("gone")], ids=repr)
def test_what_broke_a_run_off_is_told_where_the_ledger_cannot_take_it_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, also: Exception
) -> None:
    def fail_run(*_: object) -> None:
        raise also

    first = StoreRefused("the lake is full")
    with closing(opened(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        monkeypatch.setattr(ledger.runs, "fail_run", fail_run)
        with pytest.raises(StoreRefused) as caught, note_failure(ledger.runs, run_of(1)):
            raise first
    assert caught.value is first


def test_a_database_that_cannot_be_opened_is_not_copied(tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match=f"gone.sqlite cannot be read or written: {NOT_OPENED}"):
        copy_sqlite(tmp_path / "gone.sqlite", tmp_path / "copy.sqlite")


# --- as a user without root's power


def powerless(*words: str) -> list[str]:
    """The words, run with no more power over files than their owner has."""
    if os.geteuid():
        return list(words)
    power = "-dac_override,-dac_read_search"
    return [str(shutil.which("setpriv")), "--bounding-set", power, "--inh-caps", power, *words]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a ledger and a lake, in which a run stands."""
    folder = tmp_path_factory.mktemp("home")
    settings = filled(Settings(home=folder), days=1)
    with closing(open_ledger(settings)) as ledger:
        ledger.runs.start_run(new_run("r1"), NOW)
    (settings.export_folder / "2026-07-01" / "x").mkdir(parents=True)
    return folder


@pytest.mark.system
@pytest.mark.parametrize(
    ("part", "words", "told"),
    [
        (".", "runs", f"{{home}}/trimtab.toml cannot be read or written: {NO_ACCESS}"),
        ("ledger.sqlite", "runs", f"the ledger cannot be read or written: {NOT_OPENED}"),
        ("lake/catalog.sqlite", "maintain", f"the lake cannot be read or written: {NOT_OPENED}"),
        ("lake/catalog.sqlite.shared", "query|SELECT count(*) FROM account_outcomes", "the lake cannot be read"),
        ("lake/catalog.sqlite", "backup|{home}/backups", f"catalog.sqlite cannot be read or written: {NOT_OPENED}"),
        ("exports/2026-07-01", "backup|{home}/backups", "{home}/exports/2026-07-01 cannot be read or written: "),
    ],
)
def test_a_command_on_files_of_somebody_else_says_so_in_a_sentence(
    home: Path, part: str, words: str, told: str
) -> None:
    command = [each.format(home=home) for each in words.split("|")]
    before = (home / part).stat().st_mode
    (home / part).chmod(0)
    try:
        done = subprocess.run(
            powerless(str(BIN / "trimtab"), *command),
            cwd=ROOT,
            env=environment(home),
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        (home / part).chmod(before)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert f"trimtab: {told.format(home=home)}" in done.stderr
    assert "Hint: " in done.stderr
    assert list((home / "backups").glob("2*")) == []
