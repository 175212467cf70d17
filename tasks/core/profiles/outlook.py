"""What a goal looks like from where an investor stands: how likely it is on each way there, and the best rung by wealth and time.

Three ways: staying on the rung of today, the best of the rungs that the profile allows, and the best of all rungs. What the last adds to the second is the price
of what the investor wants and can bear, which the ladder does not overrule. Flows are those of the profile; taxes and inflation are not in it.
"""

from dataclasses import dataclass
from typing import Final

from tasks.core.profiles.goals import GoalPlan, plan_goal
from tasks.core.profiles.ladder import Ladder

NOT_IN_IT: Final = "Taxes, costs and inflation are not in it; expected returns are the ladder's, and no promise."
SHARES_OF_WEALTH: Final = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Of what the accounts hold today: the rows of the table."""
PARTS_OF_TIME: Final = (0.0, 0.25, 0.5, 0.75)
"""Of the years that are left: its columns, at the beginning of the step that is under way then."""


@dataclass(frozen=True, slots=True)
class Look:
    """One cell of the table."""

    years_left: float
    wealth_usd: float
    chance: float
    rung: int
    """The best of those that the profile allows, by the firm's number."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is said of a goal; chances are probabilities."""

    goal_usd: float
    years: float
    wealth_usd: float
    yearly_flow_usd: float
    chance_as_today: float | None
    """On the rung of today; null: the accounts are on no rung, or not all on one."""
    chance_within_profile: float
    chance_on_all_rungs: float
    best_rung: int
    """To stand on today, of those that the profile allows."""
    looks: tuple[Look, ...]


def goal_outlook(
    ladder: Ladder, *, now: int | None, most: int, wealth: float, goal: float, years: float, yearly_flow: float
) -> Outlook:
    """What a goal looks like.

    Parameters
    ----------
    ladder
        All rungs.
    now
        The place of the rung of today, from 0; null: none, or more than one.
    most
        The place of the boldest that the profile allows.
    wealth, goal
        In dollars, above 0.
    years
        Until the goal, above 0.
    yearly_flow
        Dollars paid in a year; below 0: drawn.
    """

    def planned(rungs: Ladder) -> GoalPlan:
        return plan_goal(rungs, wealth=wealth, goal=goal, years=years, yearly_flow=yearly_flow)

    within = planned(ladder.part(0, most))
    steps = len(within.place)
    looks = []
    for part in PARTS_OF_TIME:
        step = int(part * steps)
        for share in SHARES_OF_WEALTH:
            at = share * wealth
            rung = int(ladder.rung[within.place_at(at, step)])
            looks.append(Look((steps - step) * within.step_years, at, within.chance_at(at, step), rung))
    return Outlook(
        goal_usd=goal,
        years=years,
        wealth_usd=wealth,
        yearly_flow_usd=yearly_flow,
        chance_as_today=None if now is None else planned(ladder.part(now, now)).chance_at(wealth),
        chance_within_profile=within.chance_at(wealth),
        chance_on_all_rungs=planned(ladder).chance_at(wealth),
        best_rung=int(ladder.rung[within.place_at(wealth)]),
        looks=tuple(looks),
    )


def outlook_table(told: Outlook) -> tuple[list[str], list[list[str]]]:
    """Columns by years left and rows by wealth, in words: ``71% on rung 3``."""
    years = list(dict.fromkeys(look.years_left for look in told.looks))
    at: dict[float, dict[float, Look]] = {}
    for look in told.looks:
        at.setdefault(look.wealth_usd, {})[look.years_left] = look
    rows = [
        [f"{wealth:,.0f} USD", *(f"{row[left].chance:.0%} on rung {row[left].rung}" for left in years)]
        for wealth, row in at.items()
    ]
    return ["wealth", *(f"{left:.1f} years" for left in years)], rows
