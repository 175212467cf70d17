"""Which rung an investor should stand on, or why a person has to look at the profile first.

1. Willingness: the aversion of the gambles or of the score, of both the more averse, divided by what future savings add (``glide.leverage``), and
   the rung of the greatest mu - g sigma^2 / 2.
2. Capacity: the boldest rung whose loss over the horizon can be borne (``capacity``).
3. The firm's glide path, where the profile names one, at the years that are left.
4. The most averse of the three is the rung. Each is said with its reason.
5. What contradicts itself, is over or is old leads to no rung: it is said as findings, all of them, for a person.

A profile is old after three years: brokers have their clients confirm what they know of them at least every 36 months (SEC rule 17a-3(a)(17)).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from schemas.enums import ProfileFinding
from tasks.core.profiles import aversion as risk
from tasks.core.profiles.capacity import safe_rung, tolerable_loss
from tasks.core.profiles.glide import annuity, leverage, path_rung, path_share
from tasks.core.profiles.ladder import Ladder, best_rung, rung_within
from tasks.core.solver import Floats, Ints

DAYS: Final = 365.25
"""Of a year."""
STALE_YEARS: Final = 3.0
HELD_TOLERANCE: Final = 1.1
"""All wealth is as old as the profile, the accounts as of tonight: they may be so many times as much before the two contradict each other."""


@dataclass(frozen=True, slots=True)
class InvestorProfile:
    """What is known of an investor; columns of the landing table ``investors``, amounts in dollars, null: not said."""

    answers: tuple[bool | None, ...]
    """To ``aversion.GAMBLES``."""
    risk_score: float | None
    horizon_years: float | None
    """From ``profiled_date`` on."""
    goal_date: date | None
    yearly_flow_usd: float
    """Paid in, below 0: drawn."""
    yearly_income_usd: float | None
    wealth_usd: float | None
    income_beta: float
    """How much of future savings moves as the market does: 1 where nothing is said, so that they change nothing."""
    glide_path_id: str | None
    profiled_date: date


@dataclass(frozen=True, slots=True)
class GlidePath:
    """A firm's table: a risky share, or a rung, by years to the goal, ascending; the other of the two is empty."""

    years_to_goal: Floats
    risky_share: Floats
    rung: Ints


@dataclass(frozen=True, slots=True)
class Advice:
    """Where an investor should stand, and why; places are those of the ladder, from 0."""

    place: int
    willing: int
    able: int
    path: int | None
    """Null: no glide path."""
    aversion: float
    loss: float
    """Share of the accounts that may be lost."""
    years: float
    """That are left."""


def findings(
    profile: InvestorProfile, value: float, paths: Mapping[str, GlidePath], as_of: date
) -> tuple[ProfileFinding, ...]:
    """Why a person has to look at a profile; empty: nothing. ``value``: what its accounts hold, in dollars."""
    least, most = risk.aversion_range(profile.answers)
    is_asked, score = any(each is not None for each in profile.answers), profile.risk_score
    left = _years_left(profile, as_of)
    wealth, income = profile.wealth_usd, profile.yearly_income_usd
    found = {
        ProfileFinding.NOTHING_ANSWERED: not is_asked and score is None,
        ProfileFinding.ANSWERS_CONTRADICT: least > most,
        ProfileFinding.SCORE_CONTRADICTS: score is not None and least <= most and not risk.fits(score, least, most),
        ProfileFinding.FLOW_ABOVE_INCOME: income is not None and profile.yearly_flow_usd > income,
        ProfileFinding.WEALTH_BELOW_ACCOUNTS: wealth is not None and value > wealth * HELD_TOLERANCE,
        ProfileFinding.NO_HORIZON: not left,
        ProfileFinding.HORIZON_PASSED: any(years <= 0 for years in left),
        ProfileFinding.PROFILE_STALE: (as_of - profile.profiled_date).days / DAYS > STALE_YEARS,
        ProfileFinding.PATH_UNKNOWN: profile.glide_path_id is not None and profile.glide_path_id not in paths,
    }
    return tuple(name for name, is_so in found.items() if is_so)


def advise(
    profile: InvestorProfile, value: float, ladder: Ladder, paths: Mapping[str, GlidePath], as_of: date
) -> Advice:
    """The rung of a profile without ``findings``; ``value``: what its accounts hold, in dollars, above 0."""
    years = min(_years_left(profile, as_of))
    known = [] if profile.risk_score is None else [risk.score_aversion(profile.risk_score)]
    if any(each is not None for each in profile.answers):
        known.append(risk.typical_aversion(*risk.aversion_range(profile.answers)))
    savings = annuity(profile.yearly_flow_usd, years=years, rate=float(ladder.expected_return[0]))
    aversion = max(known) / leverage(beta=profile.income_beta, human_capital=savings, wealth=value)
    loss = tolerable_loss(value, wealth=profile.wealth_usd or value, yearly_flow=profile.yearly_flow_usd, years=years)
    willing, able = best_rung(ladder, aversion), safe_rung(ladder, loss=loss, years=years)
    path = None if profile.glide_path_id is None else path_place(ladder, paths[profile.glide_path_id], years)
    place = min(each for each in (willing, able, path) if each is not None)
    return Advice(place, willing, able, path, aversion, loss, years)


def path_place(ladder: Ladder, path: GlidePath, years: float) -> int:
    """The place of a glide path with so many years left: its rung, or the boldest below it that the ladder has.

    A risky share is one of the boldest rung: it allows the rungs of no more than that share of its volatility.
    """
    if len(path.rung):
        below = np.flatnonzero(ladder.rung <= path_rung(path.years_to_goal, path.rung, years))
        return int(below[-1]) if len(below) else 0
    share = path_share(path.years_to_goal, path.risky_share, years)
    return rung_within(ladder, share * float(ladder.volatility[-1]))


def reason(advice: Advice, ladder: Ladder) -> str:
    """Why an investor should stand there, as a sentence."""
    said = [
        f"willing to stand on rung {ladder.rung[advice.willing]} (risk aversion {advice.aversion:.2f})",
        f"able to bear rung {ladder.rung[advice.able]} (may lose {advice.loss:.0%} of the accounts)",
    ]
    if advice.path is not None:
        said.append(f"the glide path allows rung {ladder.rung[advice.path]}")
    return f"With {advice.years:.1f} years left: {'; '.join(said)}. The most averse counts: rung {ladder.rung[advice.place]}."


def _years_left(profile: InvestorProfile, as_of: date) -> list[float]:
    """Years until the horizon and until the day of the goal, as far as they are said."""
    left = []
    if profile.horizon_years is not None:
        left.append(profile.horizon_years - (as_of - profile.profiled_date).days / DAYS)
    if profile.goal_date is not None:
        left.append((profile.goal_date - as_of).days / DAYS)
    return left
