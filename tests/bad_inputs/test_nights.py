"""Whole nights on bad inputs: refused or held in a sentence, or gone through with every row where it belongs."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import InputRefused, RunHeld
from schemas.settings import Settings
from tests.bad_inputs.damage import Files, damaged_files
from tests.bad_inputs.deliver import Spoil, content, rows
from tests.bad_inputs.test_fuzz import is_sentence, row_count
from tests.support.landing_book import AS_OF, sound_book, write_book
from tests.support.night_driver import export, files_of, run_night
from warehouse.lake.lake import Lake, open_lake

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1

HOSTILE = [
    "../../x",
    "/etc/x",
    "=cmd|' /C calc'!A0",
    "x'; DROP TABLE lots; --",
    "<script>alert(1)</script>",
    "A\u202e1",
]
OUTCOMES = {"in_band", "proposed", "blocked", "quarantined", "frozen", "cooling_down", "no_trade"}


def night(home: Path, files: Files) -> tuple[str, Lake]:
    """The run, or how it was refused or held."""
    source = home / "source"
    source.mkdir()
    for name, data in files.items():
        (source / name).write_bytes(data)
    mine = Settings(home=home / "home", max_quarantined_fraction=1)
    try:
        return run_night(mine, source, AS_OF).run_id, open_lake(mine)
    except (InputRefused, RunHeld) as end:
        return str(end), open_lake(mine)


def files_after(folder: Path, *spoils: Spoil) -> Files:
    """The sound book, spoilt, as files."""
    folder.mkdir()
    write_book(folder, sound_book(), "csv")
    for spoil in spoils:
        spoil(folder)
    return files_of(folder)


def test_hostile_names_end_in_the_quarantine_and_nowhere_else(tmp_path: Path) -> None:
    spoils = [rows("accounts", 3, "account_id", HOSTILE), rows("cash", 3, "account_id", HOSTILE)]
    run_id, lake = night(tmp_path, files_after(tmp_path / "spoilt", *spoils))
    outcomes = dict(lake.read("account_outcomes", run_id).select("account_id", "outcome").rows())
    assert {name for name, outcome in outcomes.items() if outcome == "quarantined"} == set(HOSTILE)
    assert set(lake.read("orders", run_id)["account_id"]) <= {"A1", "A2", "A3"}
    export(Settings(home=tmp_path / "home"), run_id)
    places = [path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")]
    assert set(places) == {"source", "spoilt", "home"}
    assert lake.read("landed_lots", run_id).height == 4


def test_an_error_page_in_the_place_of_a_table_ends_the_night_with_a_sentence(tmp_path: Path) -> None:
    refusal, _ = night(tmp_path, files_after(tmp_path / "spoilt", content("lots.csv", b"<!DOCTYPE html><html>503")))
    assert refusal.startswith("lots.csv cannot be read as CSV in UTF-8: it is an HTML page; needed the table lots")


@settings(max_examples=3, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_night_on_damaged_files_is_refused_or_gives_every_account_an_outcome(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    files = data.draw(damaged_files(sound_book()))
    end, lake = night(tmp_path_factory.mktemp("night"), files)
    if not end.startswith(f"{AS_OF}-nightly-"):
        assert is_sentence(end, {*files, *sound_book(), "held"}), end
        return
    for name, content_ in files.items():
        table = name.partition(".")[0]
        if table in sound_book():
            assert lake.read(f"landed_{table}", end).height == row_count(name, content_)
    quarantine = lake.read("quarantine", end)
    assert max(Counter(quarantine.select("table_name", "landed_row").rows()).values(), default=1) == 1
    outcomes = lake.read("account_outcomes", end)
    landed = lake.read("landed_accounts", end)["account_id"].drop_nulls()
    assert not outcomes["account_id"].is_duplicated().any()
    assert set(landed) <= set(outcomes["account_id"])
    assert set(outcomes["outcome"]) <= OUTCOMES
    traded = lake.read("orders", end)["account_id"].unique()
    lost = outcomes.filter(pl.col("outcome") == "quarantined")["account_id"]
    assert set(traded).isdisjoint(lost)
