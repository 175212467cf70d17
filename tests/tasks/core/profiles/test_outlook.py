"""What is said of a goal: three ways to it, and the best rung by wealth and time."""

import numpy as np
import pytest

from tasks.core.profiles.goals import plan_goal
from tasks.core.profiles.ladder import Ladder
from tasks.core.profiles.outlook import PARTS_OF_TIME, SHARES_OF_WEALTH, Outlook, goal_outlook, outlook_table

LADDER = Ladder(("a", "b", "c"), np.array([10, 20, 30]), np.array([0.03, 0.05, 0.07]), np.array([0.03, 0.09, 0.16]))


def outlook(*, now: int | None = 0, most: int = 1) -> Outlook:
    return goal_outlook(LADDER, now=now, most=most, wealth=100_000, goal=200_000, years=12, yearly_flow=1_000)


def test_more_rungs_never_make_a_goal_less_likely() -> None:
    found = outlook()
    assert found.chance_as_today is not None
    assert found.chance_as_today <= found.chance_within_profile <= found.chance_on_all_rungs
    assert outlook(most=2).chance_within_profile == found.chance_on_all_rungs
    assert outlook(now=None).chance_as_today is None


def test_the_table_is_that_of_the_plan() -> None:
    found = outlook()
    plan = plan_goal(LADDER.part(0, 1), wealth=100_000, goal=200_000, years=12, yearly_flow=1_000)
    assert len(found.looks) == len(PARTS_OF_TIME) * len(SHARES_OF_WEALTH)
    assert [look.years_left for look in found.looks[:: len(SHARES_OF_WEALTH)]] == pytest.approx([12, 9, 6, 3])
    for look in found.looks:
        step = round(12 - look.years_left)
        assert look.chance == plan.chance_at(look.wealth_usd, step)
        assert look.rung == [10, 20][plan.place_at(look.wealth_usd, step)]
    assert found.best_rung in {10, 20}


def test_the_table_in_words_has_a_row_for_each_wealth_and_a_column_for_each_time() -> None:
    found = outlook()
    columns, rows = outlook_table(found)
    assert columns == ["wealth", "12.0 years", "9.0 years", "6.0 years", "3.0 years"]
    assert [row[0] for row in rows] == [f"{100_000 * share:,.0f} USD" for share in SHARES_OF_WEALTH]
    cells = [cell for row in zip(*(row[1:] for row in rows), strict=True) for cell in row]
    assert cells == [f"{look.chance:.0%} on rung {look.rung}" for look in found.looks]
