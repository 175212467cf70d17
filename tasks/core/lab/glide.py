"""Accounts that change models on the way, as a glide path or a goal programme says: at each year's end everyone goes to the targets of a rung.

The trades are the night's, as in ``run``: lots, rates, netting and carried losses. What an account's model is at a year's end may hang on the year and on its wealth.

Known limits: everyone trades at every year's end, whatever the bands; drift is not measured, as targets move.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from tasks.core.lab.account import holders_of
from tasks.core.lab.advance import advance
from tasks.core.lab.arrays import ANNUAL, MEASURES, LabPolicy, Market, Terms
from tasks.core.lab.booking import make_trades
from tasks.core.lab.standing import course_of, grid_of, new_state
from tasks.core.lab.trade import find_trades
from tasks.core.solver import Floats, Ints

MOST_LOTS: Final = 256
Choose = Callable[[int, Floats], Ints]
"""The rung's place of each account at the end of a year, from 0 for the first date; of the years gone and the wealth of each, usd."""


@dataclass(frozen=True)
class Glided:
    """By account: usd on the last date, before and after a sale of everything, tax paid on the way, and how often its model changed."""

    wealth: Floats
    liquidated: Floats
    tax: Floats
    changes: Ints

    def chance(self, goal: float, *, is_liquidated: bool) -> tuple[float, float]:
        """Share of accounts that come to a goal, and its standard error."""
        share = float(((self.liquidated if is_liquidated else self.wealth) >= goal).mean())
        return share, float(np.sqrt(share * (1 - share) / len(self.wealth)))


def simulate_glide(market: Market, policy: LabPolicy, terms: Terms, rungs: Floats, choose: Choose) -> Glided:
    """One account on each course of the market, from cash on the first date to the last.

    Parameters
    ----------
    market, terms
        As in ``run.simulate``; ``terms.targets`` count for nothing.
    policy
        Its look and bands count for nothing.
    rungs
        (rungs, classes) targets, which sum to 1.
    choose
        Whose place on the ladder it is.

    Raises
    ------
    ValueError
        An account has more lots than there is room for.
    """
    calendar = LabPolicy(ANNUAL, policy.policy, absolute_band=0.0)
    course, grid = course_of(market, terms), grid_of([calendar], market, holders_of(market, terms))
    every_look = grid._replace(cash_tolerance=np.full(1, -np.inf))
    aims = [course._replace(target=np.append(rung, 0.0)[None]) for rung in np.asarray(rungs, np.float64)]
    state, paths = new_state(market, terms, 1, MOST_LOTS), market.growth.shape[0]
    place, changes, due, year = np.zeros(paths, np.int64), np.zeros(paths, np.int64), np.arange(paths), 0
    while len(due):
        is_last = state.at[due[0]] == len(course.year) - 1
        chosen = place[due] if is_last else np.asarray(choose(year, state.before[due]), np.int64)
        changes[due] += (chosen != place[due]) & (year > 0)
        place[due] = chosen
        for number in np.unique(chosen):
            some = due[chosen == number]
            found = find_trades(aims[number], grid, state, paths, some)
            if not make_trades(aims[number], state, paths, some, found):
                message = f"an account has more than {MOST_LOTS} lots, for which there is room"
                raise ValueError(message)
        advance(course, every_look, state, paths, due)
        due, year = due[state.is_due[due] > 0], year + 1
    wealth, liquidated, tax = (
        state.values[:, MEASURES.index(name)].copy() for name in ("wealth", "wealth_liquidated", "tax")
    )
    return Glided(wealth, liquidated, tax, changes)
