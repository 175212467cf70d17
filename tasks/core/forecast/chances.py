"""The chance that an account leaves its bands by the next session, if classes move as they have.

Returns of classes until then are normal, with mean 0 and the shrunk covariance of past sessions. A class of weight w that returns r in an account
that returns R weighs ``w (1 + r) / (1 + R)`` then; the account leaves its bands where a weight differs from its target by more than its band.
For one class, to first order in r, that is the band-exit formula

    P = Phi((low - w) / s) + Phi((w - high) / s),    s^2 = w^2 (e - v)' S (e - v)

with v the account's weights, e the class's unit vector and S the covariance. That one class or another leaves has no closed form beyond two
classes: all accounts are looked at under the same draws of returns, so that the count of accounts has its spread too, which comes from markets and not
from accounts one by one. The chance lies between the largest P of a class and their sum (tests/tasks/core/forecast/test_chances.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.core.lab import moments_of

Floats = NDArray[np.float64]
AT_ONCE: Final = 400
"""Accounts that are looked at together: what limits memory."""
LEAST_DEVIATION: Final = 1e-9


@dataclass(frozen=True)
class Bands:
    """Accounts (A) that stand within their bands. ``weights``, ``low``, ``high`` (A, C): fractions; edges are infinite where a class has no band."""

    account_ids: pl.Series
    classes: tuple[str, ...]
    weights: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Chances:
    """``chance`` (A): of each account. ``counts`` (S): accounts that leave, by draw. ``distance`` (A, 2): to the nearest edges of two classes, in deviations of a session."""

    chance: Floats
    counts: NDArray[np.int64]
    distance: Floats


def bands_of(drift: pl.DataFrame, classes: Sequence[str]) -> Bands:
    """The accounts of a night that stand within all their bands.

    Parameters
    ----------
    drift
        ``account_id, asset_class, weight, target_weight, band, is_out_of_band``, a row an account and class.
    classes
        Those whose returns are known. Another's weight is counted with cash, which returns nothing: it moves only as others do.
    """
    inside = drift.filter(~pl.col("is_out_of_band").any().over("account_id"))
    names = tuple(dict.fromkeys([*classes, *inside["asset_class"].unique().sort()]))
    accounts = inside["account_id"].unique().sort()
    weights, low, high = (np.full((accounts.len(), len(names)), fill) for fill in (0.0, -np.inf, np.inf))
    rows = accounts.search_sorted(inside["account_id"]).to_numpy()
    places = {name: place for place, name in enumerate(names)}
    columns = inside["asset_class"].replace_strict(places, return_dtype=pl.Int64).to_numpy()
    weight, target = (inside[name].fill_null(0.0).to_numpy() for name in ("weight", "target_weight"))
    band = inside["band"].fill_null(float("inf")).to_numpy()
    weights[rows, columns], low[rows, columns], high[rows, columns] = weight, target - band, target + band
    return Bands(accounts, names, weights, low, high)


def draws_of(returns: Floats, count: int, seed: int) -> tuple[Floats, Floats]:
    """Returns of classes until the next session, drawn: ``draws`` (count, C), each beside its opposite, and their covariance (C, C).

    Parameters
    ----------
    returns
        (T, C), fractions a session, T at least 2.
    """
    covariance = moments_of(returns, [str(place) for place in range(returns.shape[1])], 1.0).covariance
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    half = np.random.default_rng(seed).standard_normal((count // 2, returns.shape[1])) @ root.T
    return np.vstack([half, -half]), covariance


def chances_of(bands: Bands, draws: Floats, covariance: Floats) -> Chances:
    """Chances of the accounts under draws of the first classes' returns; classes beyond return nothing."""
    more = len(bands.classes) - draws.shape[1]
    growth = np.hstack([1.0 + draws, np.ones((len(draws), more))])
    chance, counts = np.zeros(len(bands.weights)), np.zeros(len(draws), np.int64)
    for first in range(0, len(chance), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        then = bands.weights[part, None, :] * growth[None]
        then /= then.sum(axis=2, keepdims=True)
        leaves = ((then < bands.low[part, None, :]) | (then > bands.high[part, None, :])).any(axis=2)
        chance[part] = leaves.mean(axis=1)
        counts += leaves.sum(axis=0)
    return Chances(chance, counts, _distance(bands, np.pad(covariance, (0, more))))


def _distance(bands: Bands, covariance: Floats) -> Floats:
    """The two least distances to an edge, in deviations of a session; the same twice where an account has one class."""
    deviation = deviations(bands.weights, covariance)
    room = np.minimum(bands.weights - bands.low, bands.high - bands.weights)
    away = np.where(np.isfinite(room), room / np.maximum(deviation, LEAST_DEVIATION), np.inf)
    nearest = np.sort(away, axis=1)
    return nearest[:, [0, min(1, nearest.shape[1] - 1)]]


def deviations(weights: Floats, covariance: Floats) -> Floats:
    """Standard deviation (A, C) of each weight's change until the next session, to first order; ``s`` of the formula."""
    across = weights @ covariance
    of_account = np.einsum("ac,ac->a", across, weights)
    variance = np.diag(covariance)[None] - 2 * across + of_account[:, None]
    found: Floats = weights * np.sqrt(np.maximum(variance, 0.0))
    return found
