import contextlib
import re
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DatabaseError

from schemas.enums import Role
from schemas.errors import DecisionRefused, LedgerBusy, StoreRefused, WrongUsage
from tests.support.ledger_book import NOW, opened
from warehouse.ledger import Ledger
from warehouse.ledger.schema import HEAD, MIGRATIONS
from warehouse.ledger.store.store import Store, create_engine
from warehouse.ledger.store.tables import metadata


def definitions(engine: sa.Engine) -> dict[str, set[str]]:
    """What SQLite was told about each table and index, part by part: a migration adds columns behind the constraints."""
    query = "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql IS NOT NULL AND tbl_name NOT LIKE 'alembic%'"
    with engine.connect() as connection:
        return {row.name: parts(re.sub(r"\s+", "", row.sql)) for row in connection.exec_driver_sql(query)}


def parts(statement: str) -> set[str]:
    """The pieces of a CREATE between the commas of its outermost parentheses, and what stands around them."""
    before, rest = statement.split("(", 1)
    inside, after = rest.rsplit(")", 1)
    outer = re.sub(r"\([^()]*(\([^()]*\)[^()]*)*\)", lambda found: found[0].replace(",", ";"), inside)
    return {before, f"after {after}", *outer.split(",")}


def test_migrations_make_exactly_the_tables_of_the_metadata(address: str, tmp_path: Path) -> None:
    migrated = opened(address)
    declared = create_engine(f"sqlite:///{tmp_path / 'declared.sqlite'}")
    with declared.begin() as connection:
        metadata.create_all(connection)

    assert definitions(migrated.engine) == definitions(declared)
    migrated.close()
    declared.dispose()


def test_head_names_the_newest_migration() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [HEAD]


def test_opening_an_up_to_date_ledger_does_not_load_alembic(address: str) -> None:
    opened(address).close()
    code = (
        "import sys; from tests.support.ledger_book import opened; opened(sys.argv[1]).close();"
        "sys.exit('alembic' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code, address], check=False).returncode == 0


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


def test_a_ledger_of_a_newer_program_is_refused(address: str) -> None:
    ledger = opened(address)
    with ledger.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    ledger.close()

    with pytest.raises(WrongUsage, match="version 9999, this program knows"):
        opened(address)


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


def test_a_ledger_of_the_first_version_is_brought_up_to_date_with_its_rows(address: str) -> None:
    store = Store(create_engine(address))
    with store.upgrading() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO runs (run_id, as_of_date, kind, state, submitter, input_hash, code_version, source, shard_count,"
            " accounts_pulled, started_at, held_reason, released_by) VALUES"
            " ('r1', '2026-07-01', 'nightly', 'done', 'ann', 'x', '0', 's', 1, 1, '2026-07-01 22:00:00', 'stale', 'ann')"
        )
    store.close()

    ledger = opened(address)

    run = ledger.runs.get_run("r1")
    assert (run.held_guards, run.base_run_id, run.is_released_for(["stale"])) == ((), None, False)
    assert ledger.runs.full_run_of(run.as_of_date) == run
    ledger.close()


@pytest.fixture(params=["sqlite", "postgres"])
def older(request: pytest.FixtureRequest, address: str) -> str:
    """A ledger before there were versions of a proposal: two proposals, one approved and one in an export."""
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        address = server.url(server.new_database()).replace("postgresql://", "postgresql+psycopg://")
    store = Store(create_engine(address))
    moment, columns = "'2026-07-01 22:00:00+00:00'", ", ".join(f'"{name}"' for name in OLD_PROPOSAL)
    with store.upgrading() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, "0002")
        for statement in (
            f"INSERT INTO users (name, created_at) VALUES ('ann', {moment}), ('bob', {moment})",
            "INSERT INTO user_roles (name, role) VALUES ('ann', 'admin'), ('bob', 'reviewer')",
            f"INSERT INTO runs ({OLD_RUN}) VALUES ('r1', '2026-07-01', 'nightly', 'done', 'ann', 'x', '0', 's', 1, 2, {moment})",
            f"INSERT INTO exports ({OLD_EXPORT}) VALUES ('r1-1', 'r1', 1, 'writing', 'ann', 'exports', {moment})",
            *(
                f"INSERT INTO proposals ({columns}) VALUES ('{name}', 'r1', 'ann', '{name}', 'northbank', '2026-07-01', 'approved',"
                f" {changes}, 'hash-{name}', 'drift', 'review', 'tax_above_limit', 1000.5, 99.25, 0.1, 1, 0.5, 2, 'm', 1,"
                f" {moment}, {moment}, {moment}, {export})"
                for name, changes, export in (("a1", 2, "NULL"), ("a2", 3, "'r1-1'"))
            ),
            f"INSERT INTO decisions ({OLD_DECISION}) VALUES ('a1', 'hash-a1', 'ann', 'bob', 'approve', 'fine', {moment})",
        ):
            connection.exec_driver_sql(statement)
    store.close()
    return address


OLD_RUN = "run_id, as_of_date, kind, state, submitter, input_hash, code_version, source, shard_count, accounts_pulled, started_at"
OLD_EXPORT = "export_id, run_id, sequence, state, actor, folder, started_at"
OLD_DECISION = "proposal_id, content_hash, submitter, actor, decision, note, decided_at"
OLD_PROPOSAL = (
    "proposal_id",
    "run_id",
    "submitter",
    "account_id",
    "custodian",
    "as_of_date",
    "state",
    "version",
    "content_hash",
    "triggers",
    "route",
    "route_reasons",
    "nav_usd",
    "gross_value_usd",
    "turnover",
    "est_tax_usd",
    "est_cost_usd",
    "order_count",
    "model_hash",
    "approvals_needed",
    "created_at",
    "expires_at",
    "state_changed_at",
    "export_id",
)


def test_proposals_from_before_versions_keep_what_was_decided_of_them(older: str) -> None:
    with closing(opened(older)) as ledger:
        need_kept(ledger)


def need_kept(ledger: Ledger) -> None:
    first, second = (ledger.proposals.get_proposal(name) for name in ("a1", "a2"))
    assert first is not None
    assert second is not None
    assert (first["version"], first["amender"], first["revision"], first["look_reasons"]) == (1, "", 2, "")
    assert (second["revision"], second["export_id"]) == (3, "r1-1")
    assert first["gross_value_usd"] == Decimal("99.25")
    (said,) = ledger.proposals.decisions_of("a1")
    assert (said.actor, str(said.decision), said.note) == ("bob", "approve", "fine")
    ledger.users.add_user("cat", [Role.REVIEWER], actor="ann", now=NOW)
    with pytest.raises(DecisionRefused, match="is approved"):
        ledger.decisions.decide(["a1"], decision="approve", actor="cat", now=NOW - timedelta(hours=1))
    with ledger.writing() as connection, pytest.raises(DatabaseError):
        connection.exec_driver_sql("UPDATE decisions SET note = 'changed'")
