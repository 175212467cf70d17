"""Studies on packaged data against figures that are known: a paper's, and those of plain arithmetic on the same data."""

from collections.abc import Mapping

import numpy as np
import pytest

from schemas.lab import parse_study
from tasks.core.lab import courses, path_measures, simulate, terms
from tasks.core.solver import Floats
from tasks.lab.study import StudyPlan, plan_of

MIXED = "{ stocks = 0.6, bonds = 0.4 }"
SHARES = [
    "AAPL",
    "AMD",
    "BAC",
    "BBY",
    "CVX",
    "GE",
    "HD",
    "JNJ",
    "JPM",
    "KO",
    "LLY",
    "MRK",
    "MSFT",
    "PEP",
    "PFE",
    "PG",
    "RRC",
    "UNH",
    "WMT",
    "XOM",
]


def plan(market: str, grid: str, *, targets: str = MIXED, half_spread_bps: float = 0, paths: str = "") -> StudyPlan:
    text = f'name = "known"\n[market]\n{market}\n{paths}\n[book]\ntargets = {targets}\nhalf_spread_bps = {half_spread_bps}\n[grid]\n{grid}\n'
    return plan_of(parse_study(text.encode(), source="known.toml"))


def measures(asked: StudyPlan) -> dict[str, Mapping[str, Floats]]:
    """Each policy's measures, (paths)."""
    market = courses(asked.study, asked.history, 0, asked.path_count)
    figures = path_measures(simulate(market, asked.policies, terms(asked.study, market)), market)
    return {
        point.policy_id: {name: values[number] for name, values in figures.items()}
        for number, point in enumerate(asked.study.points())
    }


VANGUARD = {
    ("monthly", 0.01): (400, 389),
    ("monthly", 0.05): (62, 58),
    ("monthly", 0.1): (22, 20),
    ("quarterly", 0.01): (214, 210),
    ("quarterly", 0.05): (48, 50),
    ("quarterly", 0.1): (22, 21),
    ("annual", 0.01): (73, 72),
    ("annual", 0.05): (31, 28),
    ("annual", 0.1): (16, 15),
}
"""Events of a 60/40 account from 1927 to 2009 without cost: by arithmetic on the packaged data, and as Vanguard published them in 2010 from its own."""


def test_events_are_those_of_vanguard() -> None:
    found = measures(
        plan(
            'source = "history"\ndata = "us_1926_2018"\nfrom = "1927-01"\nto = "2009-12"',
            'look = ["monthly", "quarterly", "annual"]\nabsolute_band = [0.01, 0.05, 0.1]',
        )
    )
    for (look, band), (ours, published) in VANGUARD.items():
        own = found[f"absolute_band={band},look={look}"]
        assert own["events"][0] == ours
        assert abs(own["events"][0] / published - 1) < 0.15
        assert 11 < 100 * own["annual_volatility"][0] < 13
    returns = {(look, band): found[f"absolute_band={band},look={look}"]["annual_return"][0] for look, band in VANGUARD}
    assert round(100 * returns["monthly", 0.05], 2) == 8.66
    assert round(100 * returns["quarterly", 0.05], 2) == 8.76
    assert round(100 * returns["annual", 0.05], 2) == 8.68


def test_returns_of_always_and_never() -> None:
    found = measures(
        plan(
            'source = "history"\ndata = "us_1926_2018"\nfrom = "1927-01"\nto = "2009-12"',
            "absolute_band = [0.0, 1.0]\nmin_trade_usd = 0",
        )
    )
    returns = {name: round(100 * of["annual_return"][0], 2) for name, of in found.items()}
    assert returns == {"absolute_band=0": 8.53, "absolute_band=1": 8.92}


TO_TARGET = "tracking_penalty = 1_000_000\nmin_trade_usd = 0"
"""Half spreads count for nothing beside distance from the target: trades go all the way, as in the arithmetic."""
BAND, CALENDAR = "absolute_band=0.05,look=monthly", "absolute_band=0,look=annual"


def test_a_band_beside_a_calendar_as_it_was() -> None:
    """1927 to 2018, 10 basis points a dollar: a band of 5 % looked at monthly, beside back to the target once a year."""
    market = 'source = "history"\ndata = "us_1926_2018"\nfrom = "1927-01"'
    grid = f'look = ["monthly", "annual"]\nabsolute_band = [0.0, 0.05]\n{TO_TARGET}'
    found = measures(plan(market, grid, half_spread_bps=10))
    band, calendar = found[BAND], found[CALENDAR]
    assert 1e4 * (band["annual_return"] - calendar["annual_return"])[0] == pytest.approx(4.7, abs=0.1)
    assert 100 * np.array([band["rms_drift"][0], calendar["rms_drift"][0]]) == pytest.approx([2.65, 3.15], abs=0.005)
    years = 1103 / 12
    assert [band["events"][0] / years, calendar["events"][0] / years] == pytest.approx([0.73, 1.0], abs=0.011)


def test_the_difference_of_a_band_and_a_calendar_is_noise_on_any_one_course() -> None:
    """The spread of the difference over drawn courses is more than the difference itself; that of drift is far less.

    Studies of one seed see the same courses.
    """
    market, paths = 'source = "bootstrap"\ndata = "us_1926_2018"\nfrom = "1927-01"', "[paths]\ncount = 100\nyears = 92"
    band, calendar = (
        measures(plan(market, f"{grid}\n{TO_TARGET}", half_spread_bps=10, paths=paths))["policy"]
        for grid in ('look = "monthly"\nabsolute_band = 0.05', 'look = "annual"\nabsolute_band = 0.0')
    )
    difference = 1e4 * (band["annual_return"] - calendar["annual_return"])
    assert difference.mean() == pytest.approx(2.2, abs=3 * 8.5 / np.sqrt(100))
    assert 7 < difference.std() < 11
    drift = band["rms_drift"] - calendar["rms_drift"]
    assert drift.mean() < -3 * drift.std() / np.sqrt(100)


def test_twenty_shares_in_equal_weights() -> None:
    """CAGR and one-way turnover from 1990 to 2022: never, monthly and annually traded back."""
    targets = "{ " + ", ".join(f"{name} = 0.05" for name in SHARES) + " }"
    market = 'source = "history"\ndata = "us_stocks_1990_2022"'
    found = measures(
        plan(market, 'look = ["monthly", "annual"]\nabsolute_band = [0.0, 1.0]\nmin_trade_usd = 0', targets=targets)
    )
    expected = {
        "absolute_band=1,look=monthly": (17.472, 0),
        "absolute_band=0,look=monthly": (17.710, 33.97),
        "absolute_band=0,look=annual": (18.309, 10.82),
    }
    for name, (rate, turnover) in expected.items():
        assert 100 * found[name]["annual_return"][0] == pytest.approx(rate, abs=0.0006)
        assert 100 * found[name]["turnover_per_year"][0] == pytest.approx(turnover, abs=0.006)
