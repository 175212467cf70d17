"""The record of forecasts: what was said before each night, what happened, and whether what was learned has won.

Brier's score is the mean squared difference of chance and event; log loss is the mean negative logarithm of the chance of what happened. Less is better
(Gneiting and Raftery, "Strictly proper scoring rules", JASA 102, 2007). Accounts of a night move together, so that nights are what is counted: what was
learned has won where the mean over nights of the difference is above ``ERRORS`` of its standard errors, on nights that it had not seen, for both scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tasks.core.forecast.chances import Floats
from tasks.core.forecast.learned import LEAST_CHANCE

FEWEST_SCORED: Final = 20
"""Nights that must be scored before anything can have won."""
ERRORS: Final = 1.645
INTERVAL: Final = (0.05, 0.95)


@dataclass(frozen=True, slots=True)
class Score:
    """A night's forecast and what came of it. ``low``, ``high``: the middle 90 % of the count; learned figures are null where nothing was learned yet."""

    night_date: date
    accounts: int
    expected: float
    low: float
    high: float
    happened: int
    brier: float
    log_loss: float
    learned_expected: float | None
    learned_brier: float | None
    learned_log_loss: float | None


@dataclass(frozen=True, slots=True)
class ForecastRecord:
    """``covered``: share of nights whose count was in its interval. ``gain``, ``error``: of Brier's score by learning, over ``compared`` nights, and its standard error."""

    nights: int
    covered: float | None
    brier: float | None
    log_loss: float | None
    compared: int
    gain: float | None
    error: float | None
    is_learned_used: bool


def score_of(
    night_date: date, chance: Floats, counts: NDArray[np.int64], has_left: NDArray[np.bool_], learned: Floats | None
) -> Score:
    """The score of a night's chances (A), whose ``counts`` are those of all draws."""
    low, high = interval_of(counts)
    return Score(
        night_date=night_date,
        accounts=len(chance),
        expected=float(chance.sum()),
        low=low,
        high=high,
        happened=int(has_left.sum()),
        brier=_brier(chance, has_left),
        log_loss=_log_loss(chance, has_left),
        learned_expected=None if learned is None else float(learned.sum()),
        learned_brier=None if learned is None else _brier(learned, has_left),
        learned_log_loss=None if learned is None else _log_loss(learned, has_left),
    )


def interval_of(counts: NDArray[np.int64]) -> tuple[float, float]:
    """The middle 90 % of counts."""
    low, high = np.quantile(counts, INTERVAL, method="inverted_cdf")
    return float(low), float(high)


def record_of(scores: Sequence[Score]) -> ForecastRecord:
    """What the record says."""
    both = [one for one in scores if one.learned_brier is not None and one.learned_log_loss is not None]
    brier = np.array([one.brier - one.learned_brier for one in both if one.learned_brier is not None])
    logs = np.array([one.log_loss - one.learned_log_loss for one in both if one.learned_log_loss is not None])
    is_told = len(both) > 1
    return ForecastRecord(
        nights=len(scores),
        covered=_mean([one.low <= one.happened <= one.high for one in scores]),
        brier=_mean([one.brier for one in scores]),
        log_loss=_mean([one.log_loss for one in scores]),
        compared=len(both),
        gain=_mean(list(brier)),
        error=float(_error(brier)) if is_told else None,
        is_learned_used=len(both) >= FEWEST_SCORED and _wins(brier) and _wins(logs),
    )


def _wins(gains: Floats) -> bool:
    return bool(gains.mean() > ERRORS * _error(gains))


def _error(gains: Floats) -> float:
    return float(gains.std(ddof=1) / np.sqrt(len(gains)))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _brier(chance: Floats, has_left: NDArray[np.bool_]) -> float:
    return float(np.mean((chance - has_left) ** 2)) if len(chance) else 0.0


def _log_loss(chance: Floats, has_left: NDArray[np.bool_]) -> float:
    bounded = np.clip(chance, LEAST_CHANCE, 1 - LEAST_CHANCE)
    return float(-np.mean(np.log(np.where(has_left, bounded, 1 - bounded)))) if len(chance) else 0.0
