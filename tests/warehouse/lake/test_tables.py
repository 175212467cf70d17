"""A lake of an earlier version goes on: its rows stay, what is new is null in them."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import RunKind
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.stored import TABLES
from schemas.tables import PUBLIC
from tests.support.ledger_book import NOW, opened, route
from warehouse.lake import lake as lake_module
from warehouse.lake.attach import attach_lake
from warehouse.lake.connection import connect
from warehouse.lake.lake import open_lake
from warehouse.lake.public_query import query
from warehouse.lake.tables import absent

RUN = RunRef("monday", date(2026, 3, 2), RunKind.NIGHTLY, 2)
LATER = RunRef("tuesday", date(2026, 3, 3), RunKind.NIGHTLY, 1)
OUTCOMES = pl.DataFrame(
    {"account_id": ["A1"], "outcome": ["in_band"], "reason": ["no_trigger"]}, schema=PUBLIC["account_outcomes"]
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def older(settings: Settings) -> Settings:
    """A lake with one outcome, made by a version that knew no reasons, no cost of an order and no frontier."""
    open_lake(settings).replace(RUN, 0, {"account_outcomes": OUTCOMES})
    altered(
        settings,
        "ALTER TABLE lake.account_outcomes DROP COLUMN reason",
        "ALTER TABLE lake.orders DROP COLUMN est_cost_usd",
        "DROP TABLE lake.frontier",
    )
    return settings


def altered(settings: Settings, *statements: str) -> None:
    """Run statements on the lake and forget that this process has attached it."""
    with connect("ducklake", "sqlite") as connection:
        attach_lake(connection, settings.lake_address, settings.lake_data_address)
        for statement in statements:
            connection.execute(statement)
    lake_module._attachments[settings.lake_address, settings.lake_data_address].close()


def columns_of(settings: Settings) -> dict[tuple[str, str], str]:
    with connect("ducklake", "sqlite") as connection:
        attach_lake(connection, settings.lake_address, settings.lake_data_address, is_read_only=True)
        found = connection.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = 'lake'"
        ).fetchall()
    return {(table, column): kind for table, column, kind in found}


def test_what_an_older_lake_lacks_is_named(older: Settings) -> None:
    with connect("ducklake", "sqlite") as connection:
        attach_lake(connection, older.lake_address, older.lake_data_address, is_read_only=True)
        lacking = {table: list(columns) for table, columns in absent(connection, TABLES).items()}

    assert lacking == {
        "account_outcomes": ["reason"],
        "frontier": list(TABLES["frontier"]),
        "orders": ["est_cost_usd"],
    }


def test_an_older_lake_has_every_column_and_table_once_it_was_opened(older: Settings, tmp_path: Path) -> None:
    open_lake(older)

    new = Settings(home=tmp_path / "new")
    open_lake(new)
    assert columns_of(older) == columns_of(new)


def test_rows_of_an_older_lake_stay_and_new_ones_stand_beside_them(older: Settings) -> None:
    lake = open_lake(older)
    lake.replace(LATER, 0, {"account_outcomes": OUTCOMES})

    assert lake.read("account_outcomes", "monday").rows() == [("A1", "in_band", None)]
    assert lake.read("account_outcomes", "tuesday").rows() == [("A1", "in_band", "no_trigger")]


def test_opening_a_lake_that_is_up_to_date_changes_nothing(settings: Settings) -> None:
    open_lake(settings)
    before = snapshots(settings)
    lake_module._attachments[settings.lake_address, settings.lake_data_address].close()

    open_lake(settings)

    assert snapshots(settings) == before


def snapshots(settings: Settings) -> int:
    connection, _ = lake_module._attachments[settings.lake_address, settings.lake_data_address].cursor()
    return len(connection.execute("SELECT snapshot_id FROM ducklake_snapshots('lake')").fetchall())


@pytest.mark.parametrize(
    "text", ["SELECT account_id, reason FROM account_outcomes", "SELECT account_id, NULL FROM latest.account_outcomes"]
)
def test_a_query_brings_an_older_lake_up_to_date(older: Settings, text: str) -> None:
    ledger = opened(older.ledger_address)
    route(ledger, "monday", ["A1"], now=NOW)
    ledger.close()

    assert query(older, text).rows() == [("A1", None)]
    assert query(older, "SELECT * FROM frontier").is_empty()
