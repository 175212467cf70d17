"""The chance of leaving bands: by hand, between the bounds that the formula of single classes gives, and its count by another way."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from tasks.core.forecast.chances import Bands, bands_of, chances_of, deviations, draws_of

DRAWS = 40_000


def drift_of(*rows: tuple[str, str, float, float | None, float | None]) -> pl.DataFrame:
    schema = {"account_id": pl.String, "asset_class": pl.String, "weight": pl.Float64, "target_weight": pl.Float64}
    frame = pl.DataFrame(rows, schema=schema | {"band": pl.Float64}, orient="row")
    is_out = (pl.col("weight") - pl.col("target_weight")).abs() > pl.col("band")
    return frame.with_columns(is_out_of_band=is_out.fill_null(value=False))


def single(bands: Bands, covariance: np.ndarray) -> np.ndarray:
    """The band-exit formula of each class."""
    spread = np.maximum(deviations(bands.weights, covariance), 1e-12)
    return norm.cdf((bands.low - bands.weights) / spread) + norm.cdf((bands.weights - bands.high) / spread)


def test_accounts_within_all_their_bands_are_looked_at() -> None:
    drift = drift_of(
        ("B", "stocks", 0.62, 0.6, 0.05),
        ("B", "cash", 0.38, 0.4, None),
        ("A", "bonds", 1.0, 1.0, 0.05),
        ("C", "stocks", 0.7, 0.6, 0.05),
        ("C", "cash", 0.3, 0.4, 0.5),
    )
    bands = bands_of(drift, ["bonds", "stocks"])
    assert bands.account_ids.to_list() == ["A", "B"]
    assert bands.classes == ("bonds", "stocks", "cash")
    np.testing.assert_allclose(bands.weights, [[1, 0, 0], [0, 0.62, 0.38]])
    np.testing.assert_allclose(bands.low[1], [-np.inf, 0.55, -np.inf])
    np.testing.assert_allclose(bands.high[0], [1.05, np.inf, np.inf])


def test_draws_have_the_covariance_of_the_past_and_no_mean() -> None:
    past = np.random.default_rng(1).multivariate_normal([0.01, 0.0], [[4e-4, 1e-4], [1e-4, 1e-4]], size=5000)
    draws, covariance = draws_of(past, DRAWS, 3)
    np.testing.assert_allclose(draws.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(np.cov(draws.T), covariance, rtol=0.05)
    np.testing.assert_allclose(covariance, np.cov(past.T), rtol=0.02)
    again, _ = draws_of(past, DRAWS, 3)
    np.testing.assert_array_equal(draws, again)


def test_with_two_classes_the_chance_is_that_of_the_formula() -> None:
    """They leave together: what one gains the other loses."""
    covariance = np.diag([1e-6, 1e-6])
    draws = np.random.default_rng(5).multivariate_normal([0, 0], covariance, size=DRAWS)
    weights = np.array([[0.5, 0.5], [0.501, 0.499], [0.3, 0.7]])
    bands = Bands(pl.Series(["A", "B", "C"]), ("x", "y"), weights, weights - 0.0005, weights + 0.0005)
    found = chances_of(bands, draws, covariance)
    np.testing.assert_allclose(found.chance, single(bands, covariance)[:, 0], atol=0.01)


@pytest.mark.parametrize("seed", range(6))
def test_the_chance_lies_between_the_largest_of_a_class_and_their_sum(seed: int) -> None:
    """The hunter: random books, random covariances, the other way round."""
    draw = np.random.default_rng(seed)
    accounts, classes = 300, int(draw.integers(2, 8))
    root = draw.normal(size=(classes, classes)) * 0.004
    covariance = root @ root.T
    weights = draw.dirichlet(np.ones(classes), size=accounts)
    room = draw.uniform(0.0002, 0.01, size=(2, accounts, classes))
    bands = Bands(
        pl.Series(map(str, range(accounts))),
        tuple(map(str, range(classes))),
        weights,
        weights - room[0],
        weights + room[1],
    )
    draws = draw.multivariate_normal(np.zeros(classes), covariance, size=DRAWS)
    found, one = chances_of(bands, draws, covariance), single(bands, covariance)
    slack = 4 * np.sqrt(0.25 / DRAWS) + 0.01
    assert (found.chance >= one.max(axis=1) - slack).all()
    assert (found.chance <= one.sum(axis=1) + slack).all()


def test_counts_are_those_of_each_draw_account_by_account() -> None:
    draw = np.random.default_rng(9)
    weights = draw.dirichlet(np.ones(3), size=900)
    bands = Bands(pl.Series(map(str, range(900))), ("a", "b", "c"), weights, weights - 0.004, weights + 0.003)
    draws = draw.normal(scale=0.01, size=(50, 2))
    found = chances_of(bands, draws, np.diag([1e-4, 1e-4]))
    for place, moved in enumerate(draws):
        then = weights * np.array([1 + moved[0], 1 + moved[1], 1.0])
        then /= then.sum(axis=1, keepdims=True)
        leaves = ((then < bands.low) | (then > bands.high)).any(axis=1)
        assert found.counts[place] == leaves.sum()
    assert found.counts.sum() == pytest.approx(found.chance.sum() * len(draws))


def test_distances_are_to_the_nearest_edges_in_deviations_of_a_session() -> None:
    covariance = np.diag([1e-4, 0.0])
    weights = np.array([[0.5, 0.5]])
    bands = Bands(
        pl.Series(["A"]), ("stocks", "cash"), weights, np.array([[0.46, -np.inf]]), np.array([[0.52, np.inf]])
    )
    found = chances_of(bands, np.zeros((2, 2)), covariance)
    np.testing.assert_allclose(found.distance, [[0.02 / (0.5 * 0.5 * 0.01), np.inf]])
    alone = Bands(pl.Series(["A"]), ("stocks",), np.array([[1.0]]), np.array([[0.9]]), np.array([[1.1]]))
    np.testing.assert_allclose(chances_of(alone, np.zeros((2, 1)), covariance[:1, :1]).distance, [[1e8, 1e8]])


def test_a_book_without_accounts_has_no_chances() -> None:
    bands = bands_of(drift_of(("C", "stocks", 0.7, 0.6, 0.05)), ["stocks"])
    found = chances_of(bands, np.zeros((4, 1)), np.zeros((1, 1)))
    assert (found.chance.size, found.counts.tolist(), found.distance.shape) == (0, [0, 0, 0, 0], (0, 2))
