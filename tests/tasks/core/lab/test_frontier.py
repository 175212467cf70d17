"""The efficient frontier against closed forms, another solver, and random mixes that none may beat."""

import cvxpy as cp
import numpy as np
import pytest

from tasks.core.lab import Moments, efficient_mixes, find_frontier, moments_of

TWO = Moments(("bonds", "stocks"), np.array([0.03, 0.08]), np.array([[0.0025, 0.001], [0.001, 0.0256]]))


def drawn(seed: int, count: int) -> Moments:
    """Random moments of several classes."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(count, count))
    return Moments(
        [f"c{at}" for at in range(count)], rng.uniform(0.0, 0.1, count), root @ root.T / 50 + 1e-4 * np.eye(count)
    )


def test_two_classes_have_the_frontier_of_the_textbook() -> None:
    """The least variance of two classes is at w = (b² - ab·r)/(a² + b² - 2ab·r) of the first; from there to all of the better one."""
    (a, c), (_, b) = TWO.covariance
    least = (b - c) / (a + b - 2 * c)
    mixes = efficient_mixes(TWO, 5)
    assert mixes[0] == pytest.approx([least, 1 - least], abs=1e-5)
    assert mixes[-1] == pytest.approx([0, 1], abs=5e-4)
    steps = np.diff(TWO.volatility(mixes))
    assert steps == pytest.approx(np.full(4, steps.mean()), abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_no_random_mix_is_above_the_frontier(seed: int) -> None:
    moments = drawn(seed, 4)
    mixes = efficient_mixes(moments, 12)
    rng = np.random.default_rng(seed)
    for some in (0.2, 1.0, 3.0):
        others = rng.dirichlet(np.full(4, some), 20_000)
        for weights in mixes:
            calmer = moments.volatility(others) <= moments.volatility(weights)
            assert moments.mean_of(others[calmer]).max(initial=-1) <= moments.mean_of(weights) + 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_a_mix_is_as_far_from_the_frontier_as_another_solver_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.multivariate_normal([0.005, 0.004, 0.008], np.array([[9, 1, 2], [1, 4, 1], [2, 1, 16]]) * 1e-4, 240)
    most = {"two": 0.5, "three": 0.7}
    weights = next(each for each in rng.dirichlet(np.ones(3), 100) if (each <= (1, 0.5, 0.7)).all())
    found = find_frontier(returns, ("one", "two", "three"), 12, mixes={"mine": weights}, most=most, draws=3)
    (mix,), moments = found.mixes, found.moments
    chosen = cp.Variable(3, nonneg=True)
    variance = cp.quad_form(chosen, cp.psd_wrap(moments.covariance))
    limits = [cp.sum(chosen) == 1, chosen <= np.array([1, 0.5, 0.7])]
    highest = cp.Problem(cp.Maximize(moments.mean @ chosen), [*limits, variance <= mix.volatility**2])
    highest.solve(solver=cp.CLARABEL)
    calmest = cp.Problem(cp.Minimize(variance), [*limits, moments.mean @ chosen >= mix.expected_return])
    calmest.solve(solver=cp.CLARABEL)
    assert mix.more_return == pytest.approx(highest.value - mix.expected_return, abs=2e-6)
    assert mix.less_volatility == pytest.approx(mix.volatility - np.sqrt(calmest.value), abs=2e-5)
    assert mix.more_return > -1e-6
    assert (found.resampled >= 0).all()
    assert (found.resampled <= np.array([1, 0.5, 0.7]) + 1e-6).all()
    assert found.resampled.sum(axis=1) == pytest.approx(np.ones(10))
    assert (np.diff(moments.volatility(found.resampled)) >= 0).all()


def test_a_mix_on_the_frontier_has_no_distance() -> None:
    rng = np.random.default_rng(1)
    returns = rng.multivariate_normal([0.002, 0.006], np.array([[4, 1], [1, 25]]) * 1e-4, 300)
    found = find_frontier(
        returns,
        ("bonds", "stocks"),
        12,
        mixes={"all": np.array([0.0, 1.0])},
        expected={"bonds": 0.02, "stocks": 0.07},
        draws=5,
    )
    assert found.mixes[0].more_return == pytest.approx(0, abs=1e-6)
    assert found.mixes[0].error == pytest.approx(0, abs=1e-6)


def test_the_calmest_mix_has_no_distance() -> None:
    """At w = (b² - ab·r)/(a² + b² - 2ab·r) nothing is as calm: what is compared with it is itself."""
    rng = np.random.default_rng(1)
    returns = rng.multivariate_normal([0.002, 0.006], np.array([[4, 1], [1, 25]]) * 1e-4, 300)
    (a, ab), (_, b) = moments_of(returns, ("bonds", "stocks"), 12).covariance
    share = (b - ab) / (a + b - 2 * ab)
    found = find_frontier(returns, ("bonds", "stocks"), 12, mixes={"calmest": np.array([share, 1 - share])}, draws=5)
    assert found.mixes[0].more_return == pytest.approx(0, abs=1e-4)
    assert found.mixes[0].less_volatility == pytest.approx(0, abs=1e-4)


def test_the_error_of_a_distance_is_that_of_the_difference_of_two_means() -> None:
    rng = np.random.default_rng(3)
    returns = rng.multivariate_normal([0.002, 0.006, 0.006], np.diag([4, 25, 25]) * 1e-4, 240)
    found = find_frontier(returns, ("one", "two", "three"), 12, mixes={"two": np.array([0.0, 1.0, 0.0])}, draws=80)
    mix, moments = found.mixes[0], found.moments
    best = efficient_mixes(moments, 100)
    nearest = best[np.abs(moments.volatility(best) - mix.volatility).argmin()]
    plain = (returns @ (nearest - mix.weights)).std(ddof=1) / np.sqrt(240) * 12
    assert mix.error == pytest.approx(plain, rel=0.25)


def test_variances_are_those_of_the_history_and_correlations_are_nearer_to_none() -> None:
    rng = np.random.default_rng(2)
    returns = rng.multivariate_normal([0, 0, 0], np.array([[9, 5, 0], [5, 4, 0], [0, 0, 1e-4]]) * 1e-4, 60)
    moments = moments_of(returns, ("a", "b", "c"), 12)
    assert np.diag(moments.covariance) == pytest.approx(returns.var(axis=0, ddof=1) * 12, rel=1e-9)
    plain, deviation = np.corrcoef(returns.T), np.sqrt(np.diag(moments.covariance))
    shrunk = moments.covariance / np.outer(deviation, deviation)
    off = ~np.eye(3, dtype=bool)
    assert (np.abs(shrunk[off]) < np.abs(plain[off])).all()
    assert shrunk[0, 1] > 0.5


def test_what_is_stated_counts_instead_of_the_mean_and_cash_has_next_to_no_risk() -> None:
    rng = np.random.default_rng(2)
    returns = np.column_stack([rng.normal(0.01, 0.04, 120), np.zeros(120)])
    found = find_frontier(
        returns,
        ("stocks", "cash"),
        12,
        mixes={"half": np.array([0.5, 0.5])},
        expected={"stocks": 0.06, "cash": 0.02},
        draws=20,
    )
    assert found.moments.mean.tolist() == [0.06, 0.02]
    assert found.mixes[0].expected_return == pytest.approx(0.04)
    assert found.mixes[0].more_return == pytest.approx(0, abs=1e-5)
    assert found.moments.volatility(found.efficient[0]) == pytest.approx(1e-4, rel=0.01)
    assert moments_of(np.zeros((30, 1)), ("cash",), 12).covariance.tolist() == [[1e-8]]


def test_a_history_that_is_too_short_and_limits_that_do_not_reach_are_refused() -> None:
    returns = np.full((30, 2), 0.01)
    with pytest.raises(ValueError, match="the history has 23 returns; needed 24 at least"):
        find_frontier(returns[:23], ("a", "b"), 12, mixes={})
    with pytest.raises(ValueError, match=r"the classes may have 0\.9 of a mix together; needed 1"):
        find_frontier(returns, ("a", "b"), 12, mixes={}, most={"a": 0.4, "b": 0.5})
