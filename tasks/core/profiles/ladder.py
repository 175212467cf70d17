"""The ladder: a firm's models from the safest to the boldest, and which of them somebody should stand on.

An investor of relative risk aversion g stands on the rung of the greatest

    mu - g * sigma^2 / 2

with mu and sigma the expected return and volatility a year of the rung's model: the growth of certainty-equivalent wealth under constant relative risk aversion
and lognormal returns (Merton, 1969, "Lifetime portfolio selection under uncertainty", REStat 51). Of rungs of the same worth it is the safest.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from tasks.core.solver import Floats, Ints

SAME: Final = 1e-12
"""Rungs whose worth differs by less are worth the same."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """Models by rung, the safest first: ascending by ``rung``, volatility never falling."""

    model_ids: tuple[str, ...]
    rung: Ints
    """The firm's own numbers of the rungs, ascending."""
    expected_return: Floats
    """A year, of the kind whose median growth is mu - sigma^2 / 2: the drift of a geometric Brownian motion."""
    volatility: Floats
    """A year."""

    def place_of(self, model_id: str) -> int:
        """The place of a model among the rungs, from 0; -1 where it is on none."""
        return self.model_ids.index(model_id) if model_id in self.model_ids else -1

    def part(self, first: int, last: int) -> "Ladder":
        """The rungs from one place to another."""
        cut = slice(first, last + 1)
        return Ladder(self.model_ids[cut], self.rung[cut], self.expected_return[cut], self.volatility[cut])

    def is_rising(self) -> bool:
        """Whether rungs ascend, and volatility with them. A ladder that does not cannot tell the more averse choice."""
        return bool((np.diff(self.rung) > 0).all() and (np.diff(self.volatility) >= 0).all())


def best_rung(ladder: Ladder, aversion: float) -> int:
    """The place, from 0, of the rung of the greatest mu - g sigma^2 / 2."""
    worth = ladder.expected_return - aversion * ladder.volatility**2 / 2
    return int(np.flatnonzero(worth >= worth.max() - SAME)[0])


def rung_within(ladder: Ladder, volatility: float) -> int:
    """The place of the boldest rung whose volatility is no more than this; the safest where none is."""
    within = np.flatnonzero(ladder.volatility <= volatility + SAME)
    return int(within[-1]) if len(within) else 0
