"""Measures of accounts, and parts of shards that come to the same as all paths at once."""

from datetime import date
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.lab.arrays import MEASURES, Market, Measured
from tasks.core.lab.market import later_dates
from tasks.core.lab.parts import (
    WITH_QUANTILES,
    histogram,
    merged,
    part_rows,
    path_measures,
    quantiles_of,
    steps_by_year,
    year_rows,
)

POLICIES, PATHS, YEARS = 3, 40, 4


def market(years: int = YEARS) -> Market:
    dates = later_dates(date(2003, 12, 31), 12 * years, 12.0)
    return Market(dates, ["bonds", "stocks"], np.ones((1, 12 * years, 2)), np.zeros(2), np.zeros((1, 12 * years)), 12.0)


def measured(seed: int, paths: int = PATHS, policies: int = POLICIES) -> Measured:
    """Figures that an engine could give."""
    rng = np.random.default_rng(seed)
    values = np.abs(rng.normal(size=(policies, paths, len(MEASURES))))
    for name in ("wealth", "wealth_liquidated"):
        values[:, :, MEASURES.index(name)] = np.exp(rng.normal(14, 0.5, size=(policies, paths)))
    values[:, :, MEASURES.index("solves")] = rng.integers(1, 50, size=(policies, paths))
    weights = rng.dirichlet([1.0, 1.0], size=(policies, paths)) * 12 * YEARS
    by_year = np.abs(rng.normal(1, 0.1, size=(policies, paths, YEARS, 4)))
    return Measured(values, weights, by_year)


def of_paths(given: Measured, rows: slice) -> Measured:
    return Measured(given.values[:, rows], given.weight_sum[:, rows], given.by_year[:, rows])


def one_account(**measures: float) -> dict[str, float]:
    """Measures of a single account over 4 years of months; what is not named is 0."""
    values = np.zeros((1, 1, len(MEASURES)))
    for name, value in measures.items():
        values[0, 0, MEASURES.index(name)] = value
    figures = path_measures(Measured(values, np.array([[[12.0, 36.0]]]), np.zeros((1, 1, YEARS, 4))), market())
    return {name: float(found[0, 0]) for name, found in figures.items()}


def test_measures_are_annual_figures_of_what_was_counted() -> None:
    returns = np.random.default_rng(3).normal(0.01, 0.03, 48)
    excess = returns - 0.002
    found = one_account(
        growth=1.4641,
        return_m2=((returns - returns.mean()) ** 2).sum(),
        excess_mean=excess.mean(),
        excess_m2=((excess - excess.mean()) ** 2).sum(),
        tracking_m2=48 * 0.001**2,
        drift_sum=4.8,
        drift_squares=48 * 0.04,
        events=8,
        orders=16,
        turnover=0.4,
        cost=400,
        tax=800,
        solves=10,
        gap_sum=1,
        gap_max=0.5,
    )
    assert found["annual_return"] == pytest.approx(0.1)
    assert found["annual_volatility"] == pytest.approx(np.std(returns, ddof=1) * np.sqrt(12))
    assert found["sharpe"] == pytest.approx(excess.mean() / np.std(excess, ddof=1) * np.sqrt(12))
    assert found["tracking_error"] == pytest.approx(0.001 * np.sqrt(12))
    assert (found["mean_drift"], found["rms_drift"]) == pytest.approx((0.1, 0.2))
    assert (found["events"], found["orders_per_year"], found["turnover_per_year"]) == (8, 4, 0.1)
    assert (found["cost_per_year_usd"], found["tax_per_year_usd"]) == (100, 200)
    assert (found["mean_gap_bps"], found["max_gap_bps"]) == (0.1, 0.5)
    assert (found["mean_weight_bonds"], found["mean_weight_stocks"]) == (0.25, 0.75)


def test_a_ratio_of_no_risk_is_unknown_and_no_solve_has_no_gap() -> None:
    found = one_account(excess_mean=0.01)
    assert np.isnan(found["sharpe"])
    assert found["mean_gap_bps"] == 0


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.lists(st.integers(1, PATHS - 1), max_size=6, unique=True))
def test_parts_come_to_the_same_as_all_paths_at_once(seed: int, cuts: list[int]) -> None:
    given, edges = measured(seed), [0, *sorted(cuts), PATHS]
    figures = path_measures(given, market())
    shards = [slice(*pair) for pair in pairwise(edges)]
    found = merged([part_rows(path_measures(of_paths(given, rows), market())) for rows in shards])
    assert found.path_count == PATHS
    for name, values in figures.items():
        difference = values - values[0]
        assert found.mean[name] == pytest.approx(values.mean(axis=1), rel=1e-9)
        assert found.deviation[name] == pytest.approx(values.std(axis=1, ddof=1), rel=1e-9)
        assert found.difference[name] == pytest.approx(difference.mean(axis=1), rel=1e-6, abs=1e-9)
        assert found.difference_error[name] == pytest.approx(difference.std(axis=1, ddof=1) / np.sqrt(PATHS), rel=1e-6)
        assert found.greatest[name].tolist() == values.max(axis=1).tolist()
    for name in WITH_QUANTILES:
        for share, values in found.quantiles[name].items():
            exact = np.quantile(figures[name], share, axis=1, method="inverted_cdf")
            assert values == pytest.approx(exact, rel=0.0026)


def test_a_paired_difference_is_surer_than_the_difference_of_means() -> None:
    """What all policies share, the course of the market, cancels."""
    rng = np.random.default_rng(8)
    shared, own = rng.normal(0, 1, size=(1, 500)), rng.normal(0, 0.01, size=(2, 500))
    found = merged([part_rows({"annual_return": shared + own})])
    assert found.difference_error["annual_return"][1] < 0.05 * found.deviation["annual_return"][1] / np.sqrt(500)
    assert found.difference_error["annual_return"][0] == 0


def test_of_a_single_path_there_is_no_error() -> None:
    found = merged([part_rows(path_measures(measured(1, paths=1), market()))])
    assert np.isnan(found.difference_error["annual_return"]).all()
    wealth = measured(1, paths=1).of("wealth")[:, 0]
    assert found.quantiles["terminal_wealth_usd"][0.05].tolist() == wealth.tolist()


def test_years_are_those_of_the_dates() -> None:
    given = measured(2)
    assert steps_by_year(market()) == {2004: 12, 2005: 12, 2006: 12, 2007: 12}
    rows = year_rows(given, market())
    for at, year in enumerate(range(2004, 2008)):
        found = merged([rows.filter(rows["year"] == year)])
        assert found.mean["year_return"] == pytest.approx(given.by_year[:, :, at, 0].mean(axis=1) - 1)
        assert found.mean["rms_drift"] == pytest.approx(np.sqrt(given.by_year[:, :, at, 1] / 12).mean(axis=1))
        assert found.mean["turnover"] == pytest.approx(given.by_year[:, :, at, 2].mean(axis=1))


def test_what_is_nothing_or_less_has_a_bin_of_its_own() -> None:
    assert quantiles_of([histogram(np.array([-5.0, 0.0, 1.0, 1.0]))], [0.25, 0.5, 0.9]) == pytest.approx(
        [0, 0, 1], rel=0.003
    )


def test_quantiles_of_nothing_are_unknown() -> None:
    assert np.isnan(quantiles_of([], [0.5])).all()
