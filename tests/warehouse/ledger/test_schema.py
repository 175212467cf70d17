import contextlib
import shutil
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from schemas.enums import Role
from schemas.errors import LedgerBusy, StoreRefused, WrongUsage
from tests.support.ledger_book import NOW, opened, route, states
from warehouse.ledger import Ledger, schema
from warehouse.ledger.schema import HEAD, MIGRATIONS

NEXT = f"{int(HEAD) + 1:04}"


def test_head_names_the_newest_migration() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [HEAD]


def test_opening_an_up_to_date_ledger_does_not_load_alembic(address: str) -> None:
    opened(address).close()
    code = (
        "import sys; from tests.support.ledger_book import opened; opened(sys.argv[1]).close();"
        "sys.exit('alembic' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code, address], check=False).returncode == 0


def test_threads_may_each_make_a_ledger_at_once(tmp_path: Path) -> None:
    all_of_them = threading.Barrier(8)

    def users(number: int) -> list[str]:
        all_of_them.wait()
        with closing(opened(f"sqlite:///{tmp_path / str(number)}.sqlite")) as ledger:
            return [user.name for user in ledger.users.list_users()]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(users, range(8))) == [["ann"]] * 8


def test_folder_and_files_are_for_their_owner_alone(ledger: Ledger) -> None:
    with ledger.writing():
        folder = Path(ledger.engine.url.database).parent
        modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}

    assert folder.stat().st_mode & 0o777 == 0o700
    assert modes == {"ledger.sqlite": 0o600, "ledger.sqlite-wal": 0o600, "ledger.sqlite-shm": 0o600}


def test_who_opens_the_ledger_first_is_its_admin_and_nobody_after(address: str) -> None:
    opened(address).close()

    again = Ledger.open(address, owner="mallory", now=NOW)

    assert [(user.name, user.roles) for user in again.users.list_users()] == [("ann", frozenset({Role.ADMIN}))]
    again.close()


def at_version(address: str, version: str) -> None:
    """A ledger whose tables say that they are of this version."""
    with closing(opened(address)) as ledger, ledger.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :version"), {"version": version})


def test_a_ledger_of_a_newer_program_is_refused(address: str) -> None:
    at_version(address, "9999")

    with pytest.raises(WrongUsage, match="version 9999, this program knows"):
        opened(address)


@pytest.mark.parametrize("version", ["0001", "0006"])
def test_a_ledger_of_a_program_before_the_first_release_is_refused_and_left_as_it_is(
    address: str, version: str
) -> None:
    at_version(address, version)

    with pytest.raises(WrongUsage, match=f"version {version}, made by a trimtab before its first release.*\n\nHint: "):
        opened(address)
    with closing(sqlite3.connect(address.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(version,)]


@pytest.fixture
def with_one_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program with a migration more than this one: ``runs`` gets a column."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / f"{NEXT}_next.py").write_text(
        f"import sqlalchemy as sa\nfrom alembic import op\n\nrevision, down_revision = '{NEXT}', '{HEAD}'\n\n"
        "def upgrade():\n    op.add_column('runs', sa.Column('weather', sa.Text))\n"
    )
    monkeypatch.setattr(schema, "MIGRATIONS", folder)
    monkeypatch.setattr(schema, "HEAD", NEXT)


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, address: str) -> str:
    """Address of a ledger that is not there yet, in each of the databases."""
    if request.param == "sqlite":
        return address
    server = request.getfixturevalue("postgres")
    return str(server.url(server.new_database())).replace("postgresql://", "postgresql+psycopg://")


def test_a_ledger_is_brought_up_to_date_with_its_rows(either: str, request: pytest.FixtureRequest) -> None:
    opened(either).close()
    request.getfixturevalue("with_one_more")

    with closing(opened(either)) as ledger:
        with ledger.reading() as connection:
            assert schema.stored_revision(connection) == NEXT
            assert "weather" in {column["name"] for column in sa.inspect(connection).get_columns("runs")}
        assert [user.name for user in ledger.users.list_users()] == ["ann"]


@pytest.mark.usefixtures("with_one_more")
def test_a_new_ledger_is_made_whole_and_goes_through_no_migration(address: str) -> None:
    with closing(opened(address)) as ledger, ledger.reading() as connection:
        assert schema.stored_revision(connection) == NEXT
        assert "weather" not in {column["name"] for column in sa.inspect(connection).get_columns("runs")}


def test_a_ledger_of_before_households_were_one_decision_goes_on(address: str) -> None:
    path = Path(address.removeprefix("sqlite:///"))
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as old:
        old.executescript((Path(__file__).parent / "ledger_0007.sql").read_text())

    with closing(opened(address)) as ledger:
        assert states(ledger) == {"r1.a1": "pending_review", "r1.a2": "approved", "r1.a3": "approved"}
        (export,) = ledger.exports.exports_of("r1")
        assert ledger.exports.publish_export(export.export_id, "f00d", NOW)
        route(ledger, "r2", ["a1", "a2"], day=2, households={"a1": "h1", "a2": "h1"})
        ledger.decisions.decide(["r2.a1"], decision="approve", actor="bob", now=NOW)
        assert states(ledger, "r2") == {"r2.a1": "approved", "r2.a2": "approved"}
        assert states(ledger, "r1") == {"r1.a1": "superseded", "r1.a2": "superseded", "r1.a3": "exported"}
        with ledger.reading() as connection:
            migrated = objects(connection)
    with closing(opened(f"{address}.new")) as ledger, ledger.reading() as connection:
        assert migrated == objects(connection)


def objects(connection: sa.Connection) -> set[tuple[str, str]]:
    """Tables with their columns, indexes with theirs, triggers with what they do."""
    kinds = {"table": "table_info", "index": "index_info"}
    columns = {
        (name, str(each.name))
        for kind, pragma in kinds.items()
        for (name,) in connection.execute(sa.text("SELECT name FROM sqlite_master WHERE type = :kind"), {"kind": kind})
        for each in connection.exec_driver_sql(f"PRAGMA {pragma}('{name}')")
    }
    triggers = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    return columns | {(name, text) for name, text in triggers}


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but long enough to look at" * 50)

    with pytest.raises(WrongUsage, match="is not a ledger"):
        opened(f"sqlite:///{tmp_path / 'notes.txt'}")


@pytest.mark.parametrize("address", ["", "ledger.sqlite", "nosuch://host/db"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(WrongUsage, match="address"):
        opened(address)


@pytest.mark.parametrize(
    ("driver", "problem"), [("psycopg2cffi", r"//me:\*\*\*@.* needs a driver"), ("asyncpg", "asynchronous")]
)
def test_an_address_without_a_driver_that_fits_is_refused(driver: str, problem: str) -> None:
    with pytest.raises(WrongUsage, match=problem):
        opened(f"postgresql+{driver}://me:secret@localhost/db")


def test_a_place_where_no_file_can_be_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(WrongUsage, match="cannot be written: File exists"):
        opened(f"sqlite:///{tmp_path / 'file' / 'ledger.sqlite'}")
    with pytest.raises(StoreRefused, match="cannot be read or written: it cannot be opened\n\nHint: is it a file"):
        opened(f"sqlite:///{tmp_path}")


def test_a_ledger_locked_for_too_long_is_busy(address: str) -> None:
    ledger = opened(address)
    impatient = opened(f"{address}?timeout=0.05")

    with ledger.writing(), pytest.raises(LedgerBusy, match="another writer"):
        impatient.users.set_roles("ann", [Role.ADMIN], actor="ann", now=NOW)
    ledger.close()
    impatient.close()


def test_readers_do_not_wait_for_a_writer(address: str) -> None:
    ledger = opened(address)
    impatient = opened(f"{address}?timeout=0.05")

    with ledger.writing():
        assert impatient.users.roles_of("ann") == {Role.ADMIN}
    ledger.close()
    impatient.close()


def test_half_a_transaction_is_no_transaction(ledger: Ledger) -> None:
    with contextlib.suppress(KeyboardInterrupt), ledger.writing() as connection:
        connection.exec_driver_sql("INSERT INTO users (name, created_at) VALUES ('ghost', '2026-07-01')")
        raise KeyboardInterrupt

    assert "ghost" not in {user.name for user in ledger.users.list_users()}
