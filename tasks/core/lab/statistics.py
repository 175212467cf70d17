"""What the measures of policies say, and how sure of it one can be.

Rates and ratios are per step inside and made annual once. Sources:

* standard error of a Sharpe ratio: Lo (2002, "The statistics of Sharpe ratios", FAJ 58);
* deflated Sharpe ratio: Bailey and López de Prado (2014, "The deflated Sharpe ratio", JPM 40): how likely the true ratio is above what the best of so many
  worthless trials would show by luck;
* model confidence set: Hansen, Lunde and Nason (2011, "The model confidence set", Econometrica 79), with the statistic T_max; paths are independent of each other,
  so that they are resampled one by one. ``arch.bootstrap.MCS`` divides by the spread of differences and cannot take two policies that trade alike.

Known limits: the deflated ratio of a study takes returns for normal (skewness 0, kurtosis 3) and the policies of the grid for independent trials, which they are
not: it is on the cautious side.
"""

from statistics import NormalDist
from typing import Final

import numpy as np

from tasks.core.solver import Floats, Ints

SURE: Final = 1.959963984540054
"""So many standard errors a difference must be from nothing to be told from it: 95 % of a normal distribution, both sides."""
EULER: Final = 0.5772156649015329
NORMAL: Final = NormalDist()
RESAMPLES: Final = 1_000
LEVEL: Final = 0.05
"""Chance of leaving the best policy out of a confidence set."""


def annual_rate(growth: Floats, years: float) -> Floats:
    """The rate a year of a growth over years; -1 where nothing is left."""
    return np.asarray(np.maximum(growth, 0.0) ** (1 / years) - 1)


def annual_deviation(m2: Floats, steps: Ints | int, steps_per_year: Floats | float) -> Floats:
    """Standard deviation a year of returns per step whose squared deviations from their mean sum to ``m2``; 0 for a single step."""
    return np.asarray(np.sqrt(m2 / np.maximum(np.asarray(steps) - 1, 1) * steps_per_year))


def sharpe_error(sharpe: Floats | float, years: Floats | float) -> Floats:
    """Standard error of annual Sharpe ratios that were measured over years, for returns independent of each other and normal."""
    return np.asarray(np.sqrt((1 + np.asarray(sharpe) ** 2 / 2) / years))


def best_by_luck(variance: float, trials: int) -> float:
    """The Sharpe ratio that the best of so many trials without skill is expected to show; ``variance``: of the trials' ratios, per step."""
    if trials == 1:
        return 0.0
    one, two = (NORMAL.inv_cdf(1 - 1 / (trials * each)) for each in (1.0, np.e))
    return float(np.sqrt(variance)) * ((1 - EULER) * one + EULER * two)


def deflated_sharpe(
    sharpe: float, steps: int, *, variance: float, trials: int, skewness: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Probability that a policy's true Sharpe ratio is above what the best of the trials shows by luck.

    Parameters
    ----------
    sharpe
        The ratio that was measured, per step.
    steps
        How many returns it was measured on.
    variance
        Of the ratios of all trials, per step.
    trials
        How many policies were tried.
    skewness, kurtosis
        Of the returns; those of normal ones where absent.
    """
    spread = np.sqrt(1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2)
    return NORMAL.cdf(float((sharpe - best_by_luck(variance, trials)) * np.sqrt(steps - 1) / spread))


def is_distinguishable(difference: float, error: float) -> bool:
    """Whether a difference is more than noise: further from 0 than ``SURE`` standard errors. Unknown, which is not a number, is not."""
    return bool(abs(difference) > SURE * error)


def confidence_set(losses: Floats, *, seed: int = 0, level: float = LEVEL) -> Ints:
    """The policies, by number, that cannot be told from the best: the model confidence set.

    Parameters
    ----------
    losses
        (paths, policies); less is better. At least two paths.
    seed
        Of the resampling.
    level
        Chance that the best is not in the set.

    Notes
    -----
    1. Paths are drawn with replacement ``RESAMPLES`` times; each gives every policy's mean loss again.
    2. Of the policies left, each one's mean loss less that of all, over its standard error, is its statistic. Where the greatest is
       beyond what the resamples show around their own mean with chance ``level``, its policy is left out.
    3. Until it is not. A policy that differs from the others by the same on every path needs no test: it is left out where it is worse.
    """
    paths, policies = losses.shape
    draws = np.random.default_rng(seed).multinomial(paths, np.full(paths, 1 / paths), size=RESAMPLES) / paths
    mean, resampled = losses.mean(axis=0), draws @ losses
    scale = np.abs(mean).max(initial=1.0) * np.finfo(float).eps * paths
    left = np.arange(policies)
    while len(left) > 1:
        excess = mean[left] - mean[left].mean()
        around = resampled[:, left] - resampled[:, left].mean(axis=1, keepdims=True) - excess
        error = np.sqrt((around**2).mean(axis=0))
        known = error > scale
        certain = np.where(excess > scale, np.inf, -np.inf)
        statistic = np.where(known, excess / np.where(known, error, 1.0), certain)
        worst = int(statistic.argmax())
        if statistic[worst] == -np.inf:
            break
        if known[worst]:
            greatest = (around[:, known] / error[known]).max(axis=1)
            if (greatest >= statistic[worst]).mean() >= level:
                break
        left = np.delete(left, worst)
    return left


def confidence_groups(losses: Floats, *, seed: int = 0) -> Ints:
    """A number for each policy: 1 for those that cannot be told from the best, 2 for those that cannot be told from the best of the others, and so on."""
    groups, left, number = np.zeros(losses.shape[1], np.int64), np.arange(losses.shape[1]), 0
    while len(left):
        number += 1
        chosen = confidence_set(losses[:, left], seed=seed)
        groups[left[chosen]] = number
        left = np.delete(left, chosen)
    return groups
