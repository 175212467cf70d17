"""Glide paths: how the risky share falls as what is still to be earned becomes what has been saved.

    a* = (mu - r) / (g * sigma^2)                    Merton (1969): the share of all wealth in the risky asset
    share = clamp(a* * (1 + (1 - b) * H / W))        Bodie, Merton and Samuelson (1992, "Labor supply flexibility", JEDC 16)

W is financial wealth, H what future savings are worth today, and b how much of that moves with the risky asset: 0 as a bond, 1 as the
asset itself, where H changes nothing. On a ladder the same is said of the aversion: g / (1 + (1 - b) * H / W) instead of g.

A firm may deliver a table instead, by years to the goal: risky shares are read between its rows on a straight line, rungs are those of the row
with the most years that are not more than those left, and beyond either end stands the last row.

Known limits: H is counted at a rate that is certain, and its own risk only through b.
"""

from math import expm1

import numpy as np

from tasks.core.solver import Floats, Ints


def merton_share(excess_return: float, volatility: float, aversion: float) -> float:
    """Share of all wealth in the risky asset, (mu - r) / (g sigma^2); may be beyond 0 and 1."""
    return excess_return / (aversion * volatility**2)


def glide_share(share: float, *, beta: float, human_capital: float, wealth: float) -> float:
    """The share of financial wealth, 0 to 1, that holds ``share`` of all wealth in the risky asset."""
    return min(max(share * leverage(beta=beta, human_capital=human_capital, wealth=wealth), 0.0), 1.0)


def leverage(*, beta: float, human_capital: float, wealth: float) -> float:
    """1 + (1 - b) H / W: so many times the share of all wealth is that of financial wealth, and the aversion is divided by it."""
    return 1 + (1 - beta) * human_capital / wealth


def annuity(yearly: float, *, years: float, rate: float) -> float:
    """What a flow a year is worth today, paid evenly over the years, at a continuous rate; 0 where nothing is paid in."""
    if yearly <= 0 or years <= 0:
        return 0.0
    return yearly * (-expm1(-rate * years) / rate if rate else years)


def path_share(years_to_goal: Floats, risky_share: Floats, years: float) -> float:
    """The risky share of a table with so many years left; ``years_to_goal`` ascending."""
    return float(np.interp(years, years_to_goal, risky_share))


def path_rung(years_to_goal: Floats, rung: Ints, years: float) -> int:
    """The rung of a table with so many years left: that of the row with the most years that are not more; the first where all are more."""
    return int(rung[max(int(np.searchsorted(years_to_goal, years, side="right")) - 1, 0)])
