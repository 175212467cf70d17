"""Capacity: how much loss somebody could bear, whatever they are willing to.

Safety first (Telser, 1955, "Safety first and hedging", REStud 23, after Roy, 1952): the boldest rung on which wealth at the horizon falls below a floor with a
chance of no more than 5 %. The floor is what the accounts hold today, less the loss that can be borne:

    tolerable loss = (a third of the wealth outside the accounts + what is paid in until the horizon) / value of the accounts

within 0 and 1. So somebody who has nothing else must be likely to have at least as much at the horizon as today, which the more volatile rungs reach only in
decades; somebody with other wealth, or who saves much, can bear to lose some; what is drawn counts as much, with the other sign.

Assumptions: returns are lognormal, of median growth mu - sigma^2 / 2 a year; what is paid in is counted at its face value, as if it were not invested.
"""

from statistics import NormalDist
from typing import Final

import numpy as np

from tasks.core.profiles.ladder import Ladder

LEAST_SAFE_CHANCE: Final = 0.95
"""How likely wealth must be above its floor at the horizon."""
_DEVIATIONS: Final = NormalDist().inv_cdf(LEAST_SAFE_CHANCE)
BEARABLE: Final = 1 / 3
"""Share of other wealth that may make up for a loss."""


def tolerable_loss(value: float, *, wealth: float, yearly_flow: float, years: float) -> float:
    """Share of the accounts' value that may be lost, 0 to 1.

    Parameters
    ----------
    value
        Of the accounts, in dollars, above 0.
    wealth
        Of their investor, all told and the accounts too; less than they hold is taken for what they hold.
    yearly_flow
        What is paid in a year, in dollars; below 0: drawn.
    years
        To the horizon.
    """
    bearable = BEARABLE * max(wealth - value, 0.0) + yearly_flow * years
    return min(max(bearable / value, 0.0), 1.0)


def safe_rung(ladder: Ladder, *, loss: float, years: float) -> int:
    """The place of the boldest rung that loses more than ``loss`` over the years with a chance of no more than 5 %; the safest where none is so.

    A loss of 1 can never be exceeded: it allows the boldest.
    """
    if loss >= 1:
        return len(ladder.model_ids) - 1
    spread = _DEVIATIONS * ladder.volatility * np.sqrt(years)
    worst = (ladder.expected_return - ladder.volatility**2 / 2) * years - spread
    safe = np.flatnonzero(worst >= np.log1p(-loss))
    return int(safe[-1]) if len(safe) else 0
