"""The efficient frontier of asset classes: the most return that can be expected at each volatility, no class sold short.

1. Expected returns are means of the history, or as somebody states them; both arithmetic, a year. Variances are those of the history, correlations are shrunk
   towards none (Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices", on returns of equal variance, so that bills do not
   get the risk of shares).
2. The mixes of least risk are found by ``skfolio``'s ``MeanRisk``.
3. *Resampled* (Michaud 1998, "Efficient Asset Management"): the steps of the history are drawn again with replacement, each draw has moments and a frontier of its own,
   and its points are averaged one by one: what leans on the luck of one history is in few of them.
4. A mix's *distance*: how much more return the frontier promises at its volatility. Its standard error is that of the difference of the two mixes' means over the draws.

Known limits: steps are drawn one by one, as if they did not depend on each other; means of a history tell little of the years to come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from skfolio import RiskMeasure
from skfolio.optimization import MeanRisk, ObjectiveFunction
from skfolio.prior import BasePrior, ReturnDistribution
from sklearn.covariance import ledoit_wolf

from tasks.core.solver import Floats

LEAST_VARIANCE: Final = 1e-8
"""Of a class a year: one without any, as cash, is taken to have so little."""
CLOSE: Final = 1e-6
"""Shares of a volatility or of a return that a solver is given to reach a bound."""
ONE_TENTH_BP: Final = 1e-5
"""Return a year that is given up where several mixes have about as much: the calmest of them is the last of the frontier."""
EXTREMES: Final = (ObjectiveFunction.MINIMIZE_RISK, ObjectiveFunction.MAXIMIZE_RETURN)
FEWEST_STEPS: Final = 24
"""A history of fewer steps says nothing of risk."""


@dataclass(frozen=True)
class Moments:
    """``mean`` (C) and ``covariance`` (C, C) of the classes' returns, arithmetic, a year."""

    classes: Sequence[str]
    mean: Floats
    covariance: Floats

    def mean_of(self, weights: Floats) -> Floats:
        """Expected return of mixes (..., C)."""
        return np.asarray(weights @ self.mean)

    def volatility(self, weights: Floats) -> Floats:
        """Standard deviation a year of mixes (..., C)."""
        return np.asarray(np.sqrt(np.einsum("...i,ij,...j->...", weights, self.covariance, weights)))


@dataclass(frozen=True)
class Mix:
    """A mix of the classes beside the frontier.

    ``more_return``: what the frontier expects beyond it at its volatility; ``error``: standard error of that; ``less_volatility``: how much less volatility the
    frontier has at its return.
    """

    name: str
    weights: Floats
    expected_return: float
    volatility: float
    more_return: float
    error: float
    less_volatility: float


@dataclass(frozen=True)
class EfficientFrontier:
    """``efficient`` and ``resampled``: mixes (., C) from the least volatility to the greatest; ``mixes``: those that were to be compared."""

    moments: Moments
    efficient: Floats
    resampled: Floats
    mixes: Sequence[Mix]


class _Given(BasePrior):  # type: ignore[misc]
    """Moments that are known already."""

    def __init__(self, mean: Floats, covariance: Floats) -> None:
        self.mean, self.covariance = mean, covariance

    def fit(self, X: Any, y: Any = None, **_others: Any) -> Self:  # noqa: ARG002, N803 - as the library calls it
        """The moments, whatever the returns."""
        self.return_distribution_ = ReturnDistribution(mu=self.mean, covariance=self.covariance, returns=np.asarray(X))
        return self


def moments_of(
    returns: Floats, classes: Sequence[str], steps_per_year: float, expected: Mapping[str, float] | None = None
) -> Moments:
    """Moments of returns (T, C) per step; the mean of a class in ``expected`` is what it says there."""
    stated = expected or {}
    mean = np.array(
        [stated.get(name, each) for name, each in zip(classes, returns.mean(axis=0) * steps_per_year, strict=True)]
    )
    deviation = returns.std(axis=0, ddof=1)
    has_risk = deviation > 0
    correlation = np.eye(len(classes))
    if has_risk.any():
        known = np.ix_(has_risk, has_risk)
        shrunk, _ = ledoit_wolf(
            (returns - returns.mean(axis=0))[:, has_risk] / deviation[has_risk], assume_centered=True
        )
        scale = np.sqrt(np.diag(shrunk))
        correlation[known] = shrunk / np.outer(scale, scale)
    spread = np.sqrt(np.maximum(deviation**2 * steps_per_year, LEAST_VARIANCE))
    return Moments(tuple(classes), mean, correlation * np.outer(spread, spread))


def efficient_mixes(moments: Moments, count: int, most: Floats | None = None) -> Floats:
    """(count, C) mixes of the most expected return, three at least, from the least volatility to the greatest, evenly spaced by it; ``most`` (C): of each class, 1 where null."""
    low = _solve(moments, most, objective_function=EXTREMES[0])
    high = _solve(moments, most, min_return=_highest(moments, most) - ONE_TENTH_BP)
    least, greatest = (float(moments.volatility(each)) for each in (low, high))
    if greatest <= least * (1 + CLOSE):
        return np.repeat(low[None], count, axis=0)
    between = _solve(
        moments,
        most,
        objective_function=ObjectiveFunction.MAXIMIZE_RETURN,
        max_standard_deviation=np.linspace(least, greatest, count)[1:-1],
    )
    return np.concatenate([low[None], between, high[None]])


def find_frontier(
    returns: Floats,
    classes: Sequence[str],
    steps_per_year: float,
    *,
    mixes: Mapping[str, Floats],
    expected: Mapping[str, float] | None = None,
    most: Mapping[str, float] | None = None,
    count: int = 10,
    points: int = 30,
    draws: int = 100,
    seed: int = 1,
) -> EfficientFrontier:
    """The frontier of classes with returns (T, C) per step, drawn again ``draws`` times, and the mixes by name beside it.

    Parameters
    ----------
    returns, classes, steps_per_year
        The history; at least ``FEWEST_STEPS`` steps.
    mixes
        Weights (C) by name.
    expected
        Expected returns of classes a year, instead of the history's means.
    most
        Most weight of classes; 1 where absent.
    count, points
        Mixes of the resampled frontier, and of the efficient one; three at least.
    draws, seed
        Of the resampling.

    Raises
    ------
    ValueError
        The history is too short, or the weights allowed do not reach 1.
    """
    if len(returns) < FEWEST_STEPS:
        message = f"the history has {len(returns)} returns; needed {FEWEST_STEPS} at least"
        raise ValueError(message)
    limits = np.array([(most or {}).get(name, 1.0) for name in classes])
    if limits.sum() < 1:
        message = f"the classes may have {limits.sum():.6g} of a mix together; needed 1"
        raise ValueError(message)
    moments = moments_of(returns, classes, steps_per_year, expected)
    if expected:  # the draws are around what is stated
        stated = np.array([name in expected for name in classes])
        returns = returns + np.where(stated, moments.mean / steps_per_year - returns.mean(axis=0), 0.0)
    rng = np.random.default_rng(seed)
    sums, means = np.zeros((count, len(classes))), np.zeros((draws, len(classes)))
    for draw in range(draws):
        again = returns[rng.integers(0, len(returns), len(returns))]
        sums += efficient_mixes(moments_of(again, classes, steps_per_year), count, limits)
        means[draw] = again.mean(axis=0) * steps_per_year
    resampled = sums / draws
    order = np.argsort(moments.volatility(resampled), kind="stable")
    beside = [_beside(moments, name, weights, limits, means) for name, weights in mixes.items()]
    return EfficientFrontier(moments, efficient_mixes(moments, points, limits), resampled[order], beside)


def _beside(moments: Moments, name: str, weights: Floats, most: Floats, means: Floats) -> Mix:
    own, volatility = float(moments.mean_of(weights)), float(moments.volatility(weights))
    best = _most_return(moments, volatility, most)
    calmest = _solve(moments, most, min_return=min(own, _highest(moments, most) - ONE_TENTH_BP))
    return Mix(
        name=name,
        weights=weights,
        expected_return=own,
        volatility=volatility,
        more_return=float(moments.mean_of(best)) - own,
        error=float((means @ (best - weights)).std(ddof=1)),
        less_volatility=volatility - float(moments.volatility(calmest)),
    )


def _highest(moments: Moments, most: Floats | None) -> float:
    return float(moments.mean_of(_solve(moments, most, objective_function=EXTREMES[1])))


def _most_return(moments: Moments, volatility: float, most: Floats | None) -> Floats:
    """The mix of the most return at a volatility at most; that of the least volatility where none has so little."""
    low = _solve(moments, most, objective_function=EXTREMES[0])
    least = float(moments.volatility(low))
    if volatility <= least * (1 + CLOSE):
        return low
    return _solve(
        moments, most, objective_function=ObjectiveFunction.MAXIMIZE_RETURN, max_standard_deviation=volatility
    )


def _solve(moments: Moments, most: Floats | None, **asked: Any) -> Floats:
    model = MeanRisk(
        risk_measure=RiskMeasure.VARIANCE,
        prior_estimator=_Given(moments.mean, moments.covariance),
        max_weights=1.0 if most is None else most,
        **asked,
    )
    rows = np.zeros((2, len(moments.mean)))  # the prior knows the moments; the library wants returns all the same
    weights = np.maximum(model.fit(rows).weights_, 0.0)
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))
