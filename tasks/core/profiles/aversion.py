"""Risk aversion from what somebody would gamble their income for life on.

The question, and who first asked it: Barsky, Juster, Kimball and Shapiro (1997, "Preference parameters and behavioral heterogeneity", QJE 112);
the cut of a tenth was added by the Health and Retirement Study (Kimball, Sahm and Shapiro, 2008, "Imputing risk tolerance from survey
responses", JASA 103). *A job pays as much as yours, for certain. Another may, with even chances, double your income for life or cut it by a given share.
Would you take it?*

Assumption: utility of constant relative risk aversion g, u(c) = c^(1-g) / (1-g), so that the gamble on a cut l is worth as much as the certain job where

    1/2 * 2^(1-g) + 1/2 * (1-l)^(1-g) = 1

1. Who takes the gamble on a cut is at most as averse as that; who declines, at least.
2. Four answers make an interval, open where everything was taken or declined. Answers that leave none contradict each other: a larger cut was taken and
   a smaller one declined.
3. The typical aversion of an interval is its geometric middle, after open ends are closed at ``LEAST`` and ``MOST``.

Known limits: one answer in three is given otherwise when asked again (Kimball, Sahm and Shapiro): hence an interval and not a number, and a
score that may differ from it by ``TOLERANCE`` before the two contradict each other.
"""

from collections.abc import Sequence
from math import expm1, log, log1p, sqrt
from typing import Final

GAMBLES: Final = ("is_tenth_risked", "is_fifth_risked", "is_third_risked", "is_half_risked")
"""Columns of the answers, the smallest cut first: whether the gamble is taken; null: not asked."""
CUTS: Final = (1 / 10, 1 / 5, 1 / 3, 1 / 2)
"""Shares of income that the gambles may cut."""
LEAST: Final = 0.5
"""Nobody is taken to be less averse."""
MOST: Final = 20.0
"""Nor more."""
BEST_SCORE: Final = 100.0
TOLERANCE: Final = 2.0
"""A score contradicts the gambles where its aversion is outside their interval by more than this factor."""


def indifference(cut: float) -> float:
    """The aversion at which the gamble on a cut, between 0 and 1, is worth as much as the certain job; to 1e-12.

    The excess of the gamble falls strictly in g, is 1/2 - cut/2 > 0 at g = 0 and tends to minus infinity: bisection.
    """
    low, high = 0.0, 1.0
    while _excess(high, cut) > 0:
        low, high = high, 2 * high
    while high - low > 1e-12 * max(1.0, high):
        middle = (low + high) / 2
        low, high = (middle, high) if _excess(middle, cut) > 0 else (low, middle)
    return (low + high) / 2


def _excess(aversion: float, cut: float) -> float:
    """Worth of the gamble less that of the certain job, by u(c) = (c^(1-g) - 1) / (1-g), which is log c at g = 1."""
    power = 1 - aversion
    up, down = log(2), log1p(-cut)
    return (expm1(power * up) + expm1(power * down)) / 2 / power if power else (up + down) / 2


INDIFFERENCES: Final = tuple(map(indifference, CUTS))
"""The aversion at each cut, falling: 7.5265, 3.7635, 2, 1."""


def aversion_range(answers: Sequence[bool | None]) -> tuple[float, float]:
    """The least and the most aversion that the answers to ``GAMBLES`` allow; 0 and infinity where they say nothing.

    The least is above the most where they contradict each other.
    """
    asked = [(at, taken) for at, taken in zip(INDIFFERENCES, answers, strict=True) if taken is not None]
    least = max((at for at, taken in asked if not taken), default=0.0)
    most = min((at for at, taken in asked if taken), default=float("inf"))
    return least, most


def typical_aversion(least: float, most: float) -> float:
    """The geometric middle of an interval, its ends within ``LEAST`` and ``MOST``."""
    return sqrt(max(least, LEAST) * min(max(most, LEAST), MOST))


def score_aversion(score: float) -> float:
    """The aversion of a risk score from 0, which is ``MOST``, to 100, which is ``LEAST``; the same factor a point.

    A score's makers do not say what aversion it means: the scale is a convention of ours, which a ladder of its own can undo.
    """
    return MOST * float((LEAST / MOST) ** (score / BEST_SCORE))


def fits(score: float, least: float, most: float) -> bool:
    """Whether a score's aversion is within the interval of the gambles, or outside by no more than ``TOLERANCE``."""
    return least / TOLERANCE <= score_aversion(score) <= most * TOLERANCE
