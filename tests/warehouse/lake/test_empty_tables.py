"""Tables of the lake that never had a row: read as empty, and read as they are from the first row on, whoever writes it."""

from datetime import date
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import RunKind
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.stored import INTERNAL
from warehouse.lake.attachment import Attachment, attached
from warehouse.lake.empty_tables import Filled
from warehouse.lake.lake import Lake, open_lake
from warehouse.lake.sharing import Sharing

RUN = RunRef("monday", date(2026, 3, 2), RunKind.NIGHTLY, 2)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def gate(*accounts: str) -> pl.DataFrame:
    return pl.DataFrame({"account_id": accounts, "outcome": "quarantined", "reason": "lots"}, schema=INTERNAL["gate"])


def attached_apart(settings: Settings) -> Lake:
    """The lake on a connection of its own, as another process has it."""
    return Lake(Attachment(partial(attached, settings.lake_address, settings.lake_data_address)), Sharing())


def test_a_table_that_never_had_a_row_is_read_from_memory(settings: Settings) -> None:
    lake = open_lake(settings)
    statement = "SELECT * FROM lake.gate JOIN lake.awaiting USING (account_id)"
    filled = Filled()

    assert filled.stood_in(statement, lake._cursor) == statement.replace("lake.", "unfilled.")

    lake.replace(RUN, 0, {"gate": gate("A1")})
    assert filled.stood_in(statement, lake._cursor) == statement.replace("lake.awaiting", "unfilled.awaiting")
    assert filled.among(["awaiting", "scope", "gate"], lake._cursor) == ["gate"]


def test_a_table_whose_rows_are_gone_again_has_had_rows(settings: Settings) -> None:
    lake = open_lake(settings)
    lake.replace(RUN, 0, {"gate": gate("A1")})
    lake.replace(RUN, 0, {"gate": gate()})

    assert Filled().among(["gate"], lake._cursor) == ["gate"]
    assert lake.read("gate", RUN.run_id).is_empty()


def test_rows_that_others_write_are_read_and_replaced(settings: Settings) -> None:
    lake = open_lake(settings)
    lake.replace(RUN, 0, {"scope": pl.DataFrame({"account_id": ["A1"]})})
    assert lake.read("scope", RUN.run_id).height == 1
    assert lake.read("gate", RUN.run_id).is_empty()

    attached_apart(settings).replace(RUN, 0, {"gate": gate("A1", "A2")})

    assert lake.read("gate", RUN.run_id)["account_id"].sort().to_list() == ["A1", "A2"]
    lake.replace(RUN, 0, {"gate": gate("A3")})
    assert lake.read("gate", RUN.run_id)["account_id"].to_list() == ["A3"]


def test_a_write_that_was_rolled_back_fills_nothing(settings: Settings) -> None:
    lake = open_lake(settings)
    spoilt = gate("A1").drop("account_id")

    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        lake.replace(RUN, 0, {"gate": gate("A1"), "scope": spoilt})

    assert Filled().among(["gate"], lake._cursor) == []
    assert lake.read("gate", RUN.run_id).is_empty()


def test_several_tables_are_read_at_one_moment(settings: Settings) -> None:
    lake = open_lake(settings)
    scope = pl.DataFrame({"account_id": ["A1"]})
    lake.replace(RUN, 0, {"gate": gate("A1"), "scope": scope})
    lake.replace(RUN, 1, {"gate": gate("A2")})

    read = lake.read_tables({"gate": ("account_id",), "scope": (), "awaiting": ()}, RUN.run_id, 0)

    assert read["gate"].to_dicts() == [{"account_id": "A1"}]
    assert read["scope"].equals(scope)
    assert read["awaiting"].equals(pl.DataFrame(schema=INTERNAL["awaiting"]))
    assert lake.read_tables({"gate": ("account_id",)}, RUN.run_id)["gate"]["account_id"].sort().to_list() == [
        "A1",
        "A2",
    ]
