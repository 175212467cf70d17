"""Copies of ledger and catalogue: as of one moment, from either database to either, with what guards them still there."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from schemas.enums import RunKind
from schemas.errors import Retryable, WrongUsage
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.tables import PUBLIC
from tests.support.ledger_book import NOW, new_run, opened, proposed, staffed
from tests.support.servers import Postgres
from warehouse.copies.backup import (
    CATALOGUE,
    copy_catalogue,
    copy_ledger,
    copy_sqlite,
    has_catalogue,
    has_ledger,
    load_catalogue,
    load_ledger,
)
from warehouse.lake.lake import open_lake
from warehouse.ledger import Decision, Ledger
from warehouse.ledger.store.store import create_engine
from warehouse.ledger.store.tables import metadata

RUN = RunRef("monday", date(2026, 3, 2), RunKind.NIGHTLY, 2)


def busy_ledger(address: str) -> None:
    """Two runs: the later one supersedes a proposal of the earlier, another is decided, everything was halted once."""
    with closing(staffed(address)) as ledger:
        for day, run in enumerate(("r1", "r2"), 1):
            ledger.runs.start_run(new_run(run, day), NOW)
            ledger.proposals.route_proposals(run, proposed(run, ("a1", "a2")), pl.Series(("a1", "a2")), NOW, {})
        ledger.decisions.decide(["r2.a1"], decision=Decision.APPROVE, actor="bob", now=NOW)
        ledger.halts.halt("ann", "drill", NOW)
        ledger.halts.lift_halt("ann", "over", NOW)


def contents(address: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, in an order that no database chooses."""
    engine = create_engine(address)
    with engine.connect() as connection:
        found = {
            table.name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
            for table in metadata.sorted_tables
        }
    engine.dispose()
    return found


@pytest.fixture(params=["sqlite", "postgres"])
def new_address(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Addresses at which nothing is yet, in either database."""
    if request.param == "sqlite":
        numbers = iter(range(9))
        return lambda: f"sqlite:///{tmp_path / f'home{next(numbers)}' / 'ledger.sqlite'}"
    server: Postgres = request.getfixturevalue("postgres")
    return lambda: server.url(server.new_database()).replace("postgresql:", "postgresql+psycopg:")


def test_a_ledger_comes_back_row_by_row_and_goes_on(new_address: Callable[[], str], tmp_path: Path) -> None:
    here, there, copy = new_address(), new_address(), tmp_path / "copy.sqlite"
    busy_ledger(here)
    assert not has_ledger(there)
    copy_ledger(here, copy)
    load_ledger(copy, there)
    assert has_ledger(there)
    assert contents(there) == contents(here) == contents(f"sqlite:///{copy}")
    assert {table: len(rows) for table, rows in contents(there).items() if table in {"proposals", "halts"}} == {
        "proposals": 4,
        "halts": 1,
    }
    with closing(opened(there)) as ledger:
        count = ledger.audit.verify_audit()
        ledger.decisions.decide(["r2.a2"], decision=Decision.REJECT, actor="bob", now=NOW, note="no")
        ledger.halts.halt("ann", "again", NOW)
        assert ledger.audit.verify_audit() == count + 2


def test_a_restored_ledger_still_refuses_to_forget(new_address: Callable[[], str], tmp_path: Path) -> None:
    here, there, copy = new_address(), new_address(), tmp_path / "copy.sqlite"
    busy_ledger(here)
    copy_ledger(here, copy)
    load_ledger(copy, there)
    for address in (there, f"sqlite:///{copy}"):
        engine = create_engine(address)
        with pytest.raises(sa.exc.DBAPIError, match="never changed or deleted"), engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM audit")
        with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO user_roles (name, role) VALUES ('nobody', 'admin')")
        engine.dispose()


def test_a_ledger_is_never_loaded_over_another(new_address: Callable[[], str], tmp_path: Path) -> None:
    here, copy = new_address(), tmp_path / "copy.sqlite"
    busy_ledger(here)
    before = contents(here)
    copy_ledger(here, copy)
    with pytest.raises(WrongUsage):
        load_ledger(copy, here)
    assert contents(here) == before


def test_a_copy_has_what_is_not_checkpointed_yet_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    source, target = tmp_path / "a.sqlite", tmp_path / "b.sqlite"
    with closing(sqlite3.connect(source)) as live:
        live.execute("PRAGMA journal_mode = WAL")
        live.execute("CREATE TABLE facts (n)")
        live.execute("INSERT INTO facts VALUES (42)")
        live.commit()
        copy_sqlite(source, target)
        live.execute("INSERT INTO facts VALUES (43)")
        live.commit()
    with closing(sqlite3.connect(target)) as copy:
        assert copy.execute("SELECT n FROM facts").fetchall() == [(42,)]
    assert target.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.sqlite", "b.sqlite"]
    with pytest.raises(FileExistsError):
        copy_sqlite(source, target)


def test_a_ledger_moves_to_the_other_database(postgres: Postgres, tmp_path: Path) -> None:
    here = f"sqlite:///{tmp_path / 'home' / 'ledger.sqlite'}"
    there = postgres.url(postgres.new_database()).replace("postgresql:", "postgresql+psycopg:")
    busy_ledger(here)
    copy_ledger(here, tmp_path / "copy.sqlite")
    load_ledger(tmp_path / "copy.sqlite", there)
    assert contents(there) == contents(here)


# --- the catalogue


@pytest.fixture(params=["sqlite", "postgres"])
def new_lake(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Settings]:
    """Settings of homes with a lake of their own, in either database."""

    def settings(name: str) -> Settings:
        home = tmp_path / name
        if request.param == "sqlite":
            return Settings(home=home)
        server: Postgres = request.getfixturevalue("postgres")
        target = f"host=127.0.0.1 port={server.port} user=owner dbname={server.new_database()}"
        return Settings(home=home, lake_url=f"ducklake:postgres:{target}")

    return settings


def outcomes(shard: int, count: int) -> pl.DataFrame:
    accounts = [f"a{shard}-{number}\t\\'\n" for number in range(count)]
    return pl.DataFrame(
        {"account_id": accounts, "outcome": "in_band", "reason": None}, schema=PUBLIC["account_outcomes"]
    )


def test_a_catalogue_names_its_files_and_finds_them_at_another_place(
    new_lake: Callable[[str], Settings], tmp_path: Path
) -> None:
    here, there, folder = new_lake("here"), new_lake("there"), tmp_path / "copy"
    folder.mkdir()
    lake = open_lake(here)
    lake.replace(RUN, 1, {"account_outcomes": outcomes(1, 50)})
    lake.replace(RUN, 2, {"account_outcomes": outcomes(2, 3)})  # so few that they stand in the catalogue
    lake.replace(RUN, 1, {"account_outcomes": outcomes(1, 40)})

    files = copy_catalogue(here.lake_address, folder)

    data = Path(here.lake_data_address)
    assert {name: (data / name).stat().st_size for name in files} == files
    assert len(files) == 2
    lake.replace(RUN, 1, {"account_outcomes": outcomes(1, 30)})  # after the copy
    assert not has_catalogue(there.lake_address)
    for name in files:
        target = Path(there.lake_data_address) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (data / name).rename(target)
    load_catalogue(folder, there.lake_address, there.lake_data_address)
    assert has_catalogue(there.lake_address)
    restored = open_lake(there)
    assert restored.read("account_outcomes", RUN.run_id).sort("account_id")["account_id"].to_list() == sorted(
        [*outcomes(1, 40)["account_id"], *outcomes(2, 3)["account_id"]]
    )
    restored.replace(RUN, 2, {"account_outcomes": outcomes(2, 60)})
    assert restored.read("account_outcomes", RUN.run_id).height == 100


def test_a_catalogue_of_the_other_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / CATALOGUE).touch()
    with pytest.raises(WrongUsage, match="of SQLite"):
        load_catalogue(tmp_path, "ducklake:postgres:dbname=lake", "s3://bucket/lake")
    with pytest.raises(WrongUsage, match="of PostgreSQL"):
        load_catalogue(tmp_path / "none", f"ducklake:sqlite:{tmp_path / 'new.sqlite'}", str(tmp_path / "data"))


def test_a_catalogue_that_does_not_answer_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Retryable, match="the lake's catalogue cannot be reached"):
        copy_catalogue("ducklake:postgres:host=127.0.0.1 port=1 dbname=lake", tmp_path)


def test_a_ledger_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    assert not has_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    assert list(tmp_path.iterdir()) == []
    Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", owner="ann", now=NOW).close()
    assert has_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
