"""Goals: how likely an account comes to an amount by a day, and on which rung it should stand for that, by wealth and time.

Dynamic programming on the ladder (Das, Ostrov, Radhakrishnan and Srivastav, 2020, "Dynamic portfolio allocation in goals-based wealth management", Computational
Management Science 17). With V(T, w) = 1 where w reaches the goal and 0 elsewhere, at the beginning of each step t

    V(t, w) = max over rungs k of E V(t + 1, (w + flow) * exp((mu_k - sigma_k^2 / 2) h + sigma_k sqrt(h) Z))

and nothing comes of wealth that a withdrawal takes to 0.

1. Wealth stands on a grid that is even in its logarithm and reaches ``BREADTH`` standard deviations of the boldest rung beyond wealth, goal and a step's flow.
2. The last step is in closed form, because what follows it jumps at the goal. What follows the others is taken for straight between the points of the grid, and its
   expectation is exact for that: the weight of a point is the normal expectation of its hat.
3. A flow moves wealth between the points: the expectation is read there on a straight line.
4. Of rungs that are as good as each other the safest stands.

Known limits: error falls with the square of the distance between points; beyond the grid V is that of its end, 0 below and nearly 1 above. Taxes are not in it: what a change
of rung costs after tax is said where the change is proposed.

No policy whatever beats Browne's (1999, "Reaching goals by a deadline", Advances in Applied Probability 31), who may trade at any moment and borrow without
limit: ``best_chance`` is his probability, for a market of one asset and a rate that is certain.
"""

from dataclasses import dataclass
from math import erfc
from statistics import NormalDist
from typing import Final

import numpy as np

from tasks.core.profiles.ladder import Ladder
from tasks.core.solver import Floats, Ints

POINTS: Final = 801
BREADTH: Final = 4.0
NORMAL: Final = NormalDist()
EQUAL: Final = 1e-9
"""Chances that differ by less are the same."""
_ERFC: Final = np.vectorize(erfc, otypes=[float])
STEEPEST: Final = 8.0
"""The normal distribution has nothing beyond so many standard deviations that a chance of 1e-14 would show."""


@dataclass(frozen=True, slots=True)
class GoalPlan:
    """The chance of the goal and the best rung, by wealth and time."""

    goal_usd: float
    step_years: float
    wealth_usd: Floats
    """The grid, ascending."""
    chance: Floats
    """(steps + 1, points): of reaching the goal from there, before the flow of the step; the last row is the goal itself."""
    place: Ints
    """(steps, points): the best rung's place on the ladder."""

    def chance_at(self, wealth: float, step: int = 0) -> float:
        """The chance with so much wealth at the beginning of a step."""
        if wealth <= 0:
            return 0.0
        return float(np.interp(np.log(wealth), np.log(self.wealth_usd), self.chance[step]))

    def place_at(self, wealth: float, step: int = 0) -> int:
        """The place of the best rung: that of the nearest point of the grid. Without wealth the safest."""
        if wealth <= 0:
            return 0
        return int(self.place[step, np.abs(np.log(self.wealth_usd) - np.log(wealth)).argmin()])


def best_chance(
    wealth: float, goal: float, *, years: float, excess_return: float, volatility: float, rate: float
) -> float:
    """Browne's bound: Phi(Phi^-1(w e^(rT) / goal) + (mu - r) / sigma * sqrt(T)); 1 where the rate alone reaches the goal."""
    sure = wealth * np.exp(rate * years) / goal
    if sure >= 1:
        return 1.0
    return NORMAL.cdf(NORMAL.inv_cdf(float(sure)) + abs(excess_return) / volatility * float(np.sqrt(years)))


def single_rung_chance(ladder: Ladder, wealth: float, goal: float, years: float) -> Floats:
    """The chance of the goal on each rung where it is never left and nothing is paid in or out."""
    growth = (ladder.expected_return - ladder.volatility**2 / 2) * years
    return _normal(_over(np.log(wealth / goal) + growth, ladder.volatility * np.sqrt(years)))


def plan_goal(
    ladder: Ladder, *, wealth: float, goal: float, years: float, yearly_flow: float = 0.0, points: int = POINTS
) -> GoalPlan:
    """The chance of a goal and the best rung on the way to it.

    Parameters
    ----------
    ladder
        Rungs that may be stood on.
    wealth, goal
        In dollars, above 0.
    years
        Until the goal, above 0; cut into equal steps of a year at most.
    yearly_flow
        Dollars paid in a year, a part at the beginning of each step; below 0: drawn.
    points
        Of the grid.
    """
    steps = max(int(np.ceil(years - 1e-9)), 1)
    step = years / steps
    flow = yearly_flow * step
    drift = (ladder.expected_return - ladder.volatility**2 / 2) * step
    deviation = ladder.volatility * np.sqrt(step)
    breadth = BREADTH * float(ladder.volatility.max()) * np.sqrt(years)
    ends = [wealth, goal, max(abs(flow), min(wealth, goal) / 10)]
    grid = np.linspace(np.log(min(ends)) - breadth, np.log(max(ends)) + breadth, points)
    left = np.exp(grid) + flow
    after = np.log(np.where(left > 0, left, 1.0))
    chance, place = np.zeros((steps + 1, points)), np.zeros((steps, points), np.int64)
    chance[steps] = grid >= np.log(goal) - EQUAL
    weights, reach = _weights(drift, deviation, grid[1] - grid[0])
    for t in reversed(range(steps)):
        if t == steps - 1:
            worth = _normal(_over(after[None, :] + drift[:, None] - np.log(goal), deviation[:, None]))
        else:
            expected = _expectations(chance[t + 1], weights, reach)
            worth = np.stack([np.interp(after, grid, row) for row in expected])
        worth = np.where(left > 0, worth, 0.0)
        place[t] = (worth >= worth.max(axis=0) - EQUAL).argmax(axis=0)
        chance[t] = np.take_along_axis(worth, place[t][None, :], axis=0)[0]
    return GoalPlan(goal, step, np.exp(grid), chance, place)


def _weights(drift: Floats, deviation: Floats, apart: float) -> tuple[Floats, int]:
    """(rungs, 2 reach + 1) weights of the points to the left and right of one: the normal expectation of each point's hat.

    A hat is the second difference of the expected excess over a strike, E max(X - x, 0) = s (phi(d) + d Phi(d)) with d = (m - x) / s.
    """
    reach = int(np.ceil(float((np.abs(drift) + STEEPEST * deviation).max()) / apart)) + 1
    strikes = np.arange(-reach - 1, reach + 2) * apart
    distance = drift[:, None] - strikes[None, :]
    d = _over(distance, deviation[:, None])
    density = np.exp(-(np.clip(d, -40, 40) ** 2) / 2) / np.sqrt(2 * np.pi)
    excess = np.where(deviation[:, None] > 0, deviation[:, None] * density, 0.0) + distance * _normal(d)
    weights = np.maximum(np.diff(excess, n=2, axis=1) / apart, 0.0)
    return weights / weights.sum(axis=1, keepdims=True), reach


def _expectations(following: Floats, weights: Floats, reach: int) -> Floats:
    """(rungs, points): what is expected of the points that follow, those beyond the ends as the ends."""
    padded = np.pad(following, reach, mode="edge")
    return np.stack([np.correlate(padded, row, mode="valid") for row in weights])


def _over(distance: Floats, deviation: Floats) -> Floats:
    """How many deviations a distance is; without any deviation it is infinitely many either way, 0 above."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = distance / deviation
    return np.where(deviation > 0, ratio, np.where(distance >= -EQUAL, np.inf, -np.inf))


def _normal(distance: Floats) -> Floats:
    """The normal distribution at each distance."""
    return np.asarray(_ERFC(-distance / np.sqrt(2)) / 2)
