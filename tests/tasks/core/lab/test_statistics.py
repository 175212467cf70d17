"""Statistics of the lab: closed forms, and another program as the referee of confidence sets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.lab.statistics import (
    annual_deviation,
    annual_rate,
    best_by_luck,
    confidence_groups,
    confidence_set,
    deflated_sharpe,
    is_distinguishable,
    sharpe_error,
)

DAYS = 250


def test_the_deflated_sharpe_ratio_is_that_of_its_paper() -> None:
    """Bailey and López de Prado: an annual ratio of 2.5 over five years of days, best of 100 trials whose variance is one half."""
    variance = 0.5 / DAYS
    assert best_by_luck(variance, 100) == pytest.approx(0.113172, abs=5e-7)
    found = deflated_sharpe(2.5 / np.sqrt(DAYS), 1_250, variance=variance, trials=100, skewness=-3, kurtosis=10)
    assert found == pytest.approx(0.900397, abs=5e-7)


def test_the_error_of_a_sharpe_ratio_is_that_of_lo() -> None:
    assert sharpe_error(0.5, 30) == pytest.approx(0.1936, abs=5e-5)


def test_one_trial_is_not_deflated() -> None:
    assert best_by_luck(0.3, 1) == 0
    assert deflated_sharpe(0.0, 100, variance=0.3, trials=1) == 0.5


def test_more_trials_deflate_more() -> None:
    found = [deflated_sharpe(0.1, 360, variance=0.001, trials=trials) for trials in (1, 2, 10, 100, 1000)]
    assert found == sorted(found, reverse=True)


def test_a_rate_for_a_period_is_not_taken_for_one_a_year() -> None:
    assert annual_rate(np.array([1.21, 0.0, -0.1]), 2.0) == pytest.approx([0.1, -1, -1])
    steps = np.array([0.01, -0.02, 0.03, 0.01])
    m2 = np.array([((steps - steps.mean()) ** 2).sum()])
    assert annual_deviation(m2, 4, 12.0) == pytest.approx(np.std(steps, ddof=1) * np.sqrt(12))


def test_a_difference_within_its_error_is_noise() -> None:
    assert is_distinguishable(0.02, 0.01)
    assert not is_distinguishable(0.0195, 0.01)
    assert is_distinguishable(-0.02, 0.01)
    assert not is_distinguishable(0.5, float("nan"))
    assert not is_distinguishable(0.0, 0.0)


# --- confidence sets


def test_policies_far_apart_are_told_apart_and_those_alike_are_not() -> None:
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(400, 1))
    losses = noise + rng.normal(size=(400, 5)) * 0.1 + np.array([0.0, 0.0, 1.0, 1.0, 3.0])
    assert confidence_groups(losses).tolist() == [1, 1, 2, 2, 3]


def test_policies_that_trade_alike_are_in_one_group() -> None:
    rng = np.random.default_rng(5)
    one = rng.normal(size=(100, 1))
    assert confidence_groups(np.hstack([one, one, one])).tolist() == [1, 1, 1]
    assert confidence_groups(np.hstack([one + 1, one, one])).tolist() == [2, 1, 1]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.integers(30, 200))
def test_the_best_policy_is_in_the_set_and_their_order_changes_nothing(seed: int, policies: int, paths: int) -> None:
    rng = np.random.default_rng(seed)
    losses = rng.normal(size=(paths, policies)) + rng.normal(size=policies)
    found = confidence_set(losses)
    assert losses.mean(axis=0).argmin() in found
    order = rng.permutation(policies)
    assert sorted(order[confidence_set(losses[:, order])].tolist()) == found.tolist()


@pytest.mark.parametrize("seed", range(12))
def test_another_program_finds_the_same_set(seed: int) -> None:
    """``arch`` resamples with other random numbers: sets agree where no policy stands near the edge."""
    from arch.bootstrap import MCS  # noqa: PLC0415 - seconds

    rng = np.random.default_rng(seed)
    policies, paths = int(rng.integers(2, 9)), 250
    losses = rng.normal(size=(paths, policies)) + rng.normal(size=policies) * 0.2
    referee = MCS(losses, size=0.05, reps=2_000, block_size=1, method="max", seed=seed)
    referee.compute()
    p_values = referee.pvalues["Pvalue"]
    near = set(p_values.index[(p_values > 0.03) & (p_values < 0.08)])
    assert set(confidence_set(losses).tolist()) - near == set(referee.included) - near
