"""What was learned is used where it has won on nights that it had not seen, and nowhere else."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from tasks.core.forecast.chances import Bands, Chances
from tasks.core.forecast.learned import features_of, learn
from tasks.core.forecast.record import FEWEST_SCORED, Score, interval_of, record_of, score_of

FIRST = date(2026, 1, 5)


def scored(gains: list[float | None], *, logs: float = 1.0) -> list[Score]:
    """Nights on which learning was better by so much."""
    return [
        Score(
            FIRST + timedelta(n),
            100,
            10.0,
            5.0,
            15.0,
            10,
            0.1,
            0.3,
            10.0,
            None if g is None else 0.1 - g,
            None if g is None else 0.3 - logs * g,
        )
        for n, g in enumerate(gains)
    ]


def test_scores_by_hand() -> None:
    chance, has_left = np.array([0.5, 0.1, 1.0]), np.array([True, False, True])
    found = score_of(FIRST, chance, np.arange(101), has_left, np.array([1.0, 0.0, 0.5]))
    assert found.brier == pytest.approx((0.25 + 0.01 + 0) / 3)
    assert found.log_loss == pytest.approx(-(np.log(0.5) + np.log(0.9) + np.log(1 - 1e-4)) / 3)
    assert found.learned_brier == pytest.approx(0.25 / 3)
    assert (found.low, found.high, found.happened, found.expected) == (5.0, 95.0, 2, pytest.approx(1.6))
    assert interval_of(np.zeros(10, np.int64)) == (0.0, 0.0)


def test_a_night_without_accounts_scores_nothing() -> None:
    found = score_of(FIRST, np.zeros(0), np.zeros(4, np.int64), np.zeros(0, bool), None)
    assert (found.brier, found.log_loss, found.learned_brier) == (0.0, 0.0, None)


@pytest.mark.parametrize(
    ("gains", "logs", "is_used"),
    [
        ([0.01, 0.02] * (FEWEST_SCORED // 2), 1.0, True),
        ([0.01, 0.02] * (FEWEST_SCORED // 2 - 1), 1.0, False),
        ([0.01, -0.01] * FEWEST_SCORED, 1.0, False),
        ([0.01, 0.02] * FEWEST_SCORED, -1.0, False),
        ([None] * 40, 1.0, False),
        ([], 1.0, False),
    ],
    ids=["wins", "too few nights", "by chance", "worse in log loss", "nothing learned", "no night"],
)
def test_what_was_learned_is_used_where_it_won(gains: list[float | None], logs: float, is_used: bool) -> None:  # noqa: FBT001
    found = record_of(scored(gains, logs=logs))
    assert found.is_learned_used is is_used
    assert found.nights == len(gains)
    assert found.covered == (1.0 if gains else None)


def book(seed: int, rough: float) -> tuple[Bands, Chances, np.ndarray, np.ndarray]:
    """Accounts at random distances, whose true chance is the formula's times ``rough``."""
    draw = np.random.default_rng(seed)
    chance = draw.beta(0.5, 4, size=1500)
    weights = draw.dirichlet(np.ones(3), size=len(chance))
    bands = Bands(pl.Series(map(str, range(len(chance)))), ("a", "b", "c"), weights, weights - 1, weights + 1)
    distance = np.column_stack([1 - chance, 2 - chance])
    has_left = draw.uniform(size=len(chance)) < np.minimum(chance * rough, 1.0)
    return bands, Chances(chance, draw.binomial(1500, 0.1, size=100), distance), draw.normal(size=(30, 3)), has_left


@pytest.mark.parametrize(("rough", "is_used"), [(1.0, False), (0.4, True)])
def test_learning_wins_where_the_formula_is_wrong_and_not_where_it_is_right(rough: float, is_used: bool) -> None:  # noqa: FBT001
    """Walked forward: each night is scored by what was learned from those before it."""
    features, left, scores, predict = np.zeros((0, 6)), np.zeros(0, bool), [], None
    for night in range(FEWEST_SCORED + 7):
        bands, chances, returns, has_left = book(night, rough)
        given = features_of(bands, chances, returns)
        if night % 5 == 0:
            predict = learn(features, left)
        learned = None if predict is None else predict(given)
        scores.append(score_of(FIRST + timedelta(night), chances.chance, chances.counts, has_left, learned))
        features, left = np.vstack([features, given]), np.append(left, has_left)
    assert record_of(scores).is_learned_used is is_used


def test_nothing_is_learned_from_a_few() -> None:
    assert learn(np.zeros((100, 6)), np.arange(100) < 19) is None
    assert learn(np.zeros((0, 6)), np.zeros(0, bool)) is None


def test_the_same_nights_teach_the_same() -> None:
    bands, chances, returns, has_left = book(1, 0.7)
    given = features_of(bands, chances, returns)
    one, two = learn(given, has_left), learn(given.copy(), has_left.copy())
    assert one is not None
    assert two is not None
    np.testing.assert_array_equal(one(given), two(given))
