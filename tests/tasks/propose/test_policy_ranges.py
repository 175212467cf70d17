"""A policy at the ends of its ranges ends the night like any other, and one beyond them costs its accounts the night."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.landing import Policies
from schemas.landing_columns import dtypes
from schemas.settings import Settings
from tests.support.landing_book import AS_OF, sound_book, write_book
from tests.support.night_driver import run_night
from warehouse.lake.lake import Lake, open_lake

NUMBERS = [name for name, dtype in dtypes("policies").items() if dtype.is_numeric()]
LIMITS = {
    name: [next(iter(check.statistics.values())) for check in Policies.to_schema().columns[name].checks]
    for name in NUMBERS
}
AUTOMATIC = {"auto_approve_max_turnover": 1000, "auto_approve_max_tax_usd": 10**12, "is_harvesting": True}


def night(folder: Path, **policy: Any) -> tuple[Lake, str]:
    """A night of a book with cash to invest under one policy."""
    book = sound_book()
    rich = book["cash"].with_columns(settled_usd=pl.lit("10000"), pending_usd=pl.lit("0"))
    policies = pl.DataFrame({"policy_id": "plain", **{name: str(value) for name, value in policy.items()}})
    (folder / "in").mkdir()
    write_book(folder / "in", {**book, "cash": rich, "policies": policies}, "csv")
    settings = Settings(home=folder / "home", max_quarantined_fraction=1.0)
    return open_lake(settings), run_night(settings, folder / "in", AS_OF).run_id


def outcomes(lake: Lake, run_id: str) -> dict[str, str]:
    return dict(lake.read("account_outcomes", run_id).select("account_id", "outcome").rows())


@pytest.mark.parametrize("end", [0, 1], ids=["least", "most"])
def test_every_number_at_an_end_of_its_range_ends_the_night(tmp_path: Path, end: int) -> None:
    lake, run_id = night(tmp_path, **{**AUTOMATIC, **{name: limits[end] for name, limits in LIMITS.items()}})
    assert set(outcomes(lake, run_id).values()) <= {"proposed", "no_trade", "blocked", "frozen", "in_band"}


@pytest.mark.parametrize(
    "name",
    ["proposal_ttl_hours", "wash_sale_days", "cool_down_days", "max_turnover", "max_realized_gain_usd", "max_orders"],
)
def test_a_limit_as_wide_as_it_can_be_limits_nothing(tmp_path: Path, name: str) -> None:
    lake, run_id = night(tmp_path, **{**AUTOMATIC, name: LIMITS[name][1]})
    assert outcomes(lake, run_id)["A1"] == "proposed"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("proposal_ttl_hours", "1e10"),
        ("wash_sale_days", "1000000000"),
        ("tracking_penalty", "1e-320"),
        ("max_turnover", "1e13"),
    ],
)
def test_a_number_beyond_its_range_is_said_and_trades_nothing(tmp_path: Path, name: str, value: str) -> None:
    lake, run_id = night(tmp_path, **{name: value})
    assert set(outcomes(lake, run_id).values()) <= {"quarantined", "frozen"}
    low, high = LIMITS[name]
    (message,) = lake.read("quarantine", run_id).filter(pl.col("table_name") == "policies")["message"]
    assert message == f"policies.csv row 1: {name} is {value}; needed a number from {low} to {high}."
