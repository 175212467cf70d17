"""A lake whose catalogue fails in the middle of a read: DuckDB gives its database up, and the process goes on with another."""

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
from warehouse.lake.attachment import is_given_up
from warehouse.lake.lake import Lake, open_lake
from warehouse.lake.snapshots import past_of

pytestmark = pytest.mark.system

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


def test_frames_that_a_statement_reads_go_along(
    lake: Lake, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach.time, "sleep", lambda _: catalogue.bring_back())
    catalogue.take_away()
    rows = lake.rows_of("gate", RUN.run_id, [0], pl.Series(["A2"]), ("account_id", "reason"))
    assert rows.rows() == [("A2", "lots")]


def test_rows_are_written_once_though_the_database_was_given_up(
    lake: Lake, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach.time, "sleep", lambda _: catalogue.bring_back())
    catalogue.take_away()
    lake.replace(RUN, 0, {"gate": gate("A2", "A3")})
    assert accounts_in(lake) == ["A2", "A3"]


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


def test_the_past_is_read_on_too(settings: Settings, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach.time, "sleep", lambda _: catalogue.bring_back())
    with past_of(settings) as past:
        then = past.newest
        catalogue.take_away()
        assert then.read("gate", RUN.run_id)["account_id"].sort().to_list() == ["A1", "A2"]
