"""Risk aversion from gambles: the cuts of the literature, and the equation itself as the referee."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.profiles.aversion import (
    CUTS,
    INDIFFERENCES,
    LEAST,
    MOST,
    aversion_range,
    fits,
    indifference,
    score_aversion,
    typical_aversion,
)


@pytest.mark.parametrize(("cut", "aversion"), [(1 / 5, 3.7635), (1 / 3, 2.0), (1 / 2, 1.0), (1 / 10, 7.5272)])
def test_the_cuts_are_those_of_the_literature(cut: float, aversion: float) -> None:
    assert indifference(cut) == pytest.approx(aversion, abs=5e-5)


@given(st.floats(0.001, 0.95))
def test_who_is_indifferent_values_the_gamble_as_the_certain_job(cut: float) -> None:
    power = 1 - indifference(cut)
    assert 0.5 * 2**power + 0.5 * (1 - cut) ** power == pytest.approx(1, abs=1e-8)


@given(st.floats(0.001, 0.9), st.floats(1.001, 1.1))
def test_a_larger_cut_is_taken_by_the_less_averse(cut: float, more: float) -> None:
    assert indifference(cut * more) < indifference(cut)


@pytest.mark.parametrize(
    ("answers", "least", "most"),
    [
        ((True, True, True, True), 0.0, INDIFFERENCES[3]),
        ((True, True, True, False), INDIFFERENCES[3], INDIFFERENCES[2]),
        ((True, True, False, False), INDIFFERENCES[2], INDIFFERENCES[1]),
        ((False, False, False, False), INDIFFERENCES[0], float("inf")),
        ((None, None, None, None), 0.0, float("inf")),
        ((None, True, False, None), INDIFFERENCES[2], INDIFFERENCES[1]),
    ],
)
def test_answers_make_an_interval(answers: tuple[bool | None, ...], least: float, most: float) -> None:
    assert aversion_range(answers) == (least, most)


@given(st.tuples(*[st.sampled_from([True, False, None])] * 4))
def test_answers_contradict_each_other_exactly_where_a_larger_cut_is_taken_and_a_smaller_is_not(
    answers: tuple[bool | None, ...],
) -> None:
    is_odd = any(
        answers[small] is False and answers[large] is True for small in range(4) for large in range(small + 1, 4)
    )
    least, most = aversion_range(answers)
    assert (least > most) is is_odd


@given(st.floats(LEAST * 1.01, MOST * 0.99))
def test_somebody_who_answers_by_their_aversion_is_found_within_the_interval(aversion: float) -> None:
    """A referee who knows nothing of intervals: expected utility itself, gamble by gamble."""
    power = 1 - aversion
    worth = [(0.5 * 2**power + 0.5 * (1 - cut) ** power - 1) / power if power else 0.0 for cut in CUTS]
    least, most = aversion_range([each > 0 for each in worth])
    assert least - 1e-6 <= aversion <= most + 1e-6
    assert max(least, LEAST) <= typical_aversion(least, most) <= min(most, MOST)


def test_a_score_runs_from_the_most_averse_to_the_least() -> None:
    assert score_aversion(0) == MOST
    assert score_aversion(100) == pytest.approx(LEAST)
    assert score_aversion(50) == pytest.approx(np.sqrt(LEAST * MOST))


def test_a_score_may_be_twice_beside_the_gambles() -> None:
    at_four = 100 * np.log(4 / MOST) / np.log(LEAST / MOST)
    assert fits(at_four, 1.0, 2.001)
    assert not fits(at_four, 1.0, 1.999)
    assert fits(at_four, 7.99, 20.0)
    assert not fits(at_four, 8.01, 20.0)
