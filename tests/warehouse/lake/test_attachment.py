"""A lake that has to be attached anew: its catalogue failed in the middle of a read, or what a process remembers of it is not true any more."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import psycopg
import pytest

from schemas.enums import RunKind
from schemas.errors import LakeBusy
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.stored import INTERNAL
from tests.support.servers import PASSWORD, Postgres, only_these_servers
from warehouse.lake import attach
from warehouse.lake.attach import attach_lake
from warehouse.lake.attachment import is_given_up
from warehouse.lake.connection import connect
from warehouse.lake.lake import Lake, open_lake
from warehouse.lake.maintenance import open_upkeep
from warehouse.lake.snapshots import past_of

RUN = RunRef("monday", date(2026, 3, 2), RunKind.NIGHTLY, 2)


class Catalogue:
    """A catalogue in PostgreSQL, with a few rows of ``gate`` that stand in it; those cannot be read while they are away."""

    def __init__(self, url: str) -> None:
        self._url = url
        ((self._table,),) = self._run(
            "SELECT i.table_name FROM ducklake_inlined_data_tables i JOIN ducklake_table t USING (table_id) WHERE t.table_name = 'gate'"
        )

    def _run(self, statement: str) -> list[tuple[str]]:
        with psycopg.connect(self._url, password=PASSWORD, autocommit=True) as connection:
            found = connection.execute(statement)
            return found.fetchall() if found.description else []

    def take_away(self) -> None:
        self._run(f"ALTER TABLE {self._table} RENAME TO away")

    def bring_back(self) -> None:
        self._run(f"ALTER TABLE away RENAME TO {self._table}")


@pytest.fixture
def settings(tmp_path: Path, postgres_server: Postgres) -> Iterator[Settings]:
    database = postgres_server.new_database()
    target = f"host=127.0.0.1 port={postgres_server.port} user=owner password='{PASSWORD}' dbname={database}"
    with only_these_servers():
        yield Settings(home=tmp_path, lake_url=f"ducklake:postgres:{target}", ledger_url=postgres_server.url(database))


@pytest.fixture
def lake(settings: Settings) -> Lake:
    one = open_lake(settings)
    one.replace(RUN, 0, {"gate": gate("A1", "A2")})
    return one


@pytest.fixture
def catalogue(lake: Lake, settings: Settings) -> Catalogue:  # noqa: ARG001 - which has rows then
    return Catalogue(settings.ledger_url)


def gate(*accounts: str) -> pl.DataFrame:
    return pl.DataFrame({"account_id": accounts, "outcome": "quarantined", "reason": "lots"}, schema=INTERNAL["gate"])


def accounts_in(lake: Lake) -> list[str]:
    return lake.read("gate", RUN.run_id)["account_id"].sort().to_list()


@pytest.mark.system
def test_duckdb_gives_its_database_up_where_rows_of_the_catalogue_cannot_be_read(
    lake: Lake, catalogue: Catalogue
) -> None:
    """As long as this holds the rest of this file is needed."""
    catalogue.take_away()
    with pytest.raises(duckdb.InternalException, match="access index 0 within vector of size 0"):
        lake._cursor.execute("SELECT * FROM lake.gate").fetchall()
    assert is_given_up(lake._cursor)
    catalogue.bring_back()
    assert is_given_up(lake._cursor)


@pytest.mark.system
def test_a_read_goes_on_when_the_catalogue_is_back(
    lake: Lake, settings: Settings, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, waits = open_lake(settings), []

    def wait(seconds: float) -> None:
        if not waits:
            catalogue.bring_back()
        waits.append(seconds)

    monkeypatch.setattr(attach.time, "sleep", wait)
    catalogue.take_away()

    assert accounts_in(lake) == ["A1", "A2"]
    assert len(waits) == 1
    assert accounts_in(other) == ["A1", "A2"], "which was given up with it, and is told at its first attempt"
    assert len(waits) == 2
    assert accounts_in(open_lake(settings)) == ["A1", "A2"]
    assert len(waits) == 2


@pytest.mark.system
def test_frames_that_a_statement_reads_go_along(
    lake: Lake, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach.time, "sleep", lambda _: catalogue.bring_back())
    catalogue.take_away()
    rows = lake.rows_of("gate", RUN.run_id, [0], pl.Series(["A2"]), ("account_id", "reason"))
    assert rows.rows() == [("A2", "lots")]


@pytest.mark.system
def test_rows_are_written_once_though_the_database_was_given_up(
    lake: Lake, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach.time, "sleep", lambda _: catalogue.bring_back())
    catalogue.take_away()
    lake.replace(RUN, 0, {"gate": gate("A2", "A3")})
    assert accounts_in(lake) == ["A2", "A3"]


@pytest.mark.system
def test_a_catalogue_that_stays_away_is_a_sentence_and_the_process_is_whole_afterwards(
    lake: Lake, settings: Settings, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach.time, "sleep", lambda _: None)
    catalogue.take_away()
    with pytest.raises(LakeBusy, match="the lake cannot be reached; tried again several times"):
        accounts_in(lake)
    with pytest.raises(LakeBusy, match="the lake cannot be reached"):
        lake.load(RUN, ["gate"], [("gate", gate("A9").with_columns(shard=0))])
    catalogue.bring_back()
    assert accounts_in(open_lake(settings)) == ["A1", "A2"]
    lake.load(RUN, ["gate"], [("gate", gate("A9").with_columns(shard=0))])
    assert accounts_in(lake) == ["A9"]


@pytest.mark.system
def test_the_past_is_read_on_too(settings: Settings, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach.time, "sleep", lambda _: catalogue.bring_back())
    with past_of(settings) as past:
        then = past.newest
        catalogue.take_away()
        assert then.read("gate", RUN.run_id)["account_id"].sort().to_list() == ["A1", "A2"]


# --- a place of rows in the catalogue that another process took away


@pytest.fixture
def upgraded(tmp_path: Path) -> tuple[Settings, Lake]:
    """A lake that this process has read since a table got a column, and whose small rows another process has moved to files since."""
    settings = Settings(home=tmp_path)
    lake = open_lake(settings)
    lake.replace(RUN, 0, {"gate": gate("A1")})
    with connect("ducklake", "sqlite") as connection:
        attach_lake(connection, settings.lake_address, settings.lake_data_address)
        connection.execute("ALTER TABLE lake.gate ADD COLUMN more VARCHAR")
        values = f"'another', DATE '{RUN.as_of_date}', 0, 'A9'"
        connection.execute(f"INSERT INTO lake.gate (run_id, as_of_date, shard, account_id) VALUES ({values})")
    assert accounts_in(lake) == ["A1"]
    with open_upkeep(settings) as upkeep:
        assert upkeep.flush_inlined("gate") == 2
    with pytest.raises(duckdb.CatalogException, match="Failed to read inlined data"):
        lake._cursor.execute("SELECT * FROM lake.gate").fetchall()
    return settings, lake


def test_what_a_process_remembers_of_a_lake_is_looked_up_again(
    upgraded: tuple[Settings, Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, lake = upgraded
    waits: list[float] = []
    monkeypatch.setattr(attach.time, "sleep", waits.append)
    other = open_lake(settings)
    assert accounts_in(lake) == ["A1"]
    assert len(waits) == 1
    assert accounts_in(other) == ["A1"]
    lake.replace(RUN, 0, {"gate": gate("A2")})
    assert accounts_in(other) == ["A2"]
    assert accounts_in(open_lake(settings)) == ["A2"]
    assert len(waits) == 2, "each cursor of then is told once, and the lake was attached once more"


def test_a_load_that_is_told_so_succeeds_when_it_is_tried_again(upgraded: tuple[Settings, Lake]) -> None:
    settings, lake = upgraded
    rows = [("gate", gate("A3").with_columns(shard=0))]
    with pytest.raises(LakeBusy, match="written by others"):
        lake.load(RUN, ["gate"], rows)
    again = open_lake(settings)
    again.load(RUN, ["gate"], rows)
    assert accounts_in(again) == ["A3"]
