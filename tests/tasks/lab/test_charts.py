"""Pictures of studies: the closed form against a walk in small steps and against policies, and what is called noise."""

import math
import xml.etree.ElementTree as ET

import numpy as np
import polars as pl
import pytest

from schemas.lab import parse_study
from tasks.core.lab import merged, part_rows, path_measures, simulate, year_rows
from tasks.lab.charts import STAMP, edge_turnover, study_pictures, weight_volatility
from tasks.lab.simulate import path_rows
from tasks.lab.study import StudyPlan, plan_of
from tasks.lab.summary import gap_rows, policy_rows, year_table

TEXT = """
name = "bands"
[market]
source = "lognormal"
means = { stocks = 0.08, bonds = 0.03 }
volatilities = { stocks = 0.16, bonds = 0.05 }
correlations = { stocks = { bonds = 0.1 } }
[paths]
count = 30
years = 20
[book]
targets = { stocks = 0.6, bonds = 0.4 }
half_spread_bps = 10
[grid]
look = ["monthly", "annual"]
absolute_band = [0.02, 0.05, 0.1]
trade_to = [0.0, 1.0]
min_trade_usd = 0
"""


def plan(text: str = TEXT) -> StudyPlan:
    return plan_of(parse_study(text.encode(), source="x.toml"))


def found(asked: StudyPlan) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """``lab_policies``, ``lab_years`` and ``lab_gaps``."""
    market = asked.courses(0, asked.path_count)
    measured = simulate(market, asked.policies, asked.terms(market))
    figures = path_measures(measured, market)
    years = year_rows(measured, market)
    by_year = {year: merged([years.filter(pl.col("year") == year)]) for year in years["year"].unique().sort()}
    whole = merged([part_rows(figures)])
    policies = policy_rows(asked, whole, by_year, path_rows(asked, figures, 0))
    order = policies.sort("is_reference", "liquidated_wealth_usd", "policy_id", descending=[True, True, False])
    return order, year_table(asked, by_year), gap_rows(asked, whole)


def test_the_closed_form_is_that_of_a_walk_held_at_its_edges() -> None:
    """A weight that wanders and is put back to the edge of its band whenever it leaves it: its drift and what is traded."""
    rng, spread, band, steps = np.random.default_rng(1), 0.04, 0.05, 2_000
    at, traded, squares, years = np.zeros(2_000), 0.0, 0.0, 10
    for _ in range(years * steps):
        moved = at + rng.normal(0, spread / math.sqrt(steps), len(at))
        at = np.clip(moved, -band, band)
        traded += np.abs(moved - at).sum()
        squares += (at**2).sum()
    drift = math.sqrt(squares / (years * steps * len(at)))
    turnover = traded / (years * len(at))
    assert turnover == pytest.approx(edge_turnover(drift, spread), rel=0.12)


def test_the_weight_of_a_60_40_wanders_as_far_as_is_known() -> None:
    """16 % and 5 % a year with a correlation of 0.1: 3.91 % a year."""
    market = plan().courses(0, 30)
    assert weight_volatility(market, 0.6) == pytest.approx(0.0391, rel=0.03)


def test_no_policy_has_less_of_both_than_the_closed_form() -> None:
    asked = plan()
    policies, _, _ = found(asked)
    spread = weight_volatility(asked.courses(0, 30), 0.6)
    for row in policies.iter_rows(named=True):
        assert row["turnover_per_year"] > 0.9 * edge_turnover(row["rms_drift"], spread)


def test_every_picture_is_stamped_and_names_every_policy() -> None:
    asked = plan()
    policies, years, gaps = found(asked)
    pictures = study_pictures(asked, policies, years, gaps)
    assert len(pictures) == 5
    for picture in pictures:
        ET.fromstring(picture.svg)  # noqa: S314 - we wrote it
        assert STAMP in picture.svg
    for name in policies["policy_id"]:
        assert sum(f"{name}: " in picture.svg for picture in pictures) >= 4
    assert "closed form" in pictures[0].svg
    assert "not distinguishable" in pictures[2].caption


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("count = 30", "count = 1"),
        ("targets = { stocks = 0.6, bonds = 0.4 }", "targets = { stocks = 1.0 }"),
        (
            'look = ["monthly", "annual"]\nabsolute_band = [0.02, 0.05, 0.1]\ntrade_to = [0.0, 1.0]',
            "absolute_band = 1.0",
        ),
    ],
)
def test_a_single_course_a_single_class_and_a_single_policy_have_pictures_too(old: str, new: str) -> None:
    text = TEXT.replace(old, new).replace("years = 20", "years = 2")
    if "1.0 }" in new:
        text = text.replace("correlations = { stocks = { bonds = 0.1 } }\n", "")
    asked = plan(text)
    for picture in study_pictures(asked, *found(asked)):
        ET.fromstring(picture.svg)  # noqa: S314 - we wrote it
