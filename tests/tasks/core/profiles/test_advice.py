"""From a profile to a rung, or to what a person has to look at."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.enums import ProfileFinding
from tasks.core.profiles.advice import GlidePath, InvestorProfile, advise, findings, path_place, reason
from tasks.core.profiles.ladder import Ladder

AS_OF = date(2026, 1, 5)
LADDER = Ladder(
    ("safe", "calm", "even", "bold"),
    np.array([1, 2, 4, 8]),
    np.array([0.03, 0.045, 0.06, 0.07]),
    np.array([0.02, 0.06, 0.11, 0.16]),
)
NONE = np.array([], float)
PATHS = {
    "shares": GlidePath(np.array([0.0, 20.0]), np.array([0.1, 0.9]), np.array([], np.int64)),
    "rungs": GlidePath(np.array([0.0, 10.0]), NONE, np.array([1, 5])),
    "high": GlidePath(np.array([0.0]), NONE, np.array([0])),
}
SOUND = InvestorProfile(
    answers=(True, True, True, False),
    risk_score=None,
    horizon_years=25.0,
    goal_date=None,
    yearly_flow_usd=0.0,
    yearly_income_usd=None,
    wealth_usd=None,
    income_beta=1.0,
    glide_path_id=None,
    profiled_date=date(2026, 1, 1),
)


def found(**changes: Any) -> tuple[ProfileFinding, ...]:
    return findings(replace(SOUND, **changes), 1_000.0, PATHS, AS_OF)


def test_a_sound_profile_needs_nobody() -> None:
    assert found() == ()
    assert found(risk_score=80.0, glide_path_id="rungs", wealth_usd=950.0, yearly_income_usd=10.0) == ()


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"answers": (None,) * 4}, ProfileFinding.NOTHING_ANSWERED),
        ({"answers": (True, False, True, False)}, ProfileFinding.ANSWERS_CONTRADICT),
        ({"risk_score": 5.0}, ProfileFinding.SCORE_CONTRADICTS),
        ({"yearly_flow_usd": 11.0, "yearly_income_usd": 10.0}, ProfileFinding.FLOW_ABOVE_INCOME),
        ({"wealth_usd": 900.0}, ProfileFinding.WEALTH_BELOW_ACCOUNTS),
        ({"horizon_years": None}, ProfileFinding.NO_HORIZON),
        ({"horizon_years": 0.0}, ProfileFinding.HORIZON_PASSED),
        ({"goal_date": AS_OF}, ProfileFinding.HORIZON_PASSED),
        ({"profiled_date": date(2023, 1, 3)}, ProfileFinding.PROFILE_STALE),
        ({"glide_path_id": "gone"}, ProfileFinding.PATH_UNKNOWN),
    ],
)
def test_what_a_person_has_to_look_at_is_named(changes: dict[str, Any], finding: ProfileFinding) -> None:
    assert found(**changes) == (finding,)


def test_everything_that_is_wrong_is_named() -> None:
    assert len(found(answers=(None,) * 4, horizon_years=None, glide_path_id="gone", wealth_usd=1.0)) == 4


def test_a_contradiction_of_the_gambles_alone_is_not_one_of_the_score_too() -> None:
    assert found(answers=(False, None, None, True), risk_score=1.0) == (ProfileFinding.ANSWERS_CONTRADICT,)


def test_the_more_averse_of_willingness_and_capacity_counts() -> None:
    willing = advise(SOUND, 1_000.0, LADDER, PATHS, AS_OF)
    assert (willing.willing, willing.able, willing.place) == (3, 3, 3)
    short = advise(replace(SOUND, horizon_years=7.0), 1_000.0, LADDER, PATHS, AS_OF)
    assert short.place == short.able < short.willing
    averse = advise(replace(SOUND, answers=(False,) * 4), 1_000.0, LADDER, PATHS, AS_OF)
    assert averse.place == averse.willing < averse.able


def test_of_gambles_and_a_score_the_more_averse_counts() -> None:
    both = advise(replace(SOUND, risk_score=62.0), 1_000.0, LADDER, PATHS, AS_OF)
    gambles = advise(SOUND, 1_000.0, LADDER, PATHS, AS_OF)
    score = advise(replace(SOUND, answers=(None,) * 4, risk_score=62.0), 1_000.0, LADDER, PATHS, AS_OF)
    assert both.aversion == max(gambles.aversion, score.aversion) == score.aversion


def test_savings_to_come_allow_more_where_they_are_as_a_bond() -> None:
    saver = replace(SOUND, answers=(True, False, False, False), yearly_flow_usd=100.0)
    bond = advise(replace(saver, income_beta=0.0), 1_000.0, LADDER, PATHS, AS_OF)
    market = advise(saver, 1_000.0, LADDER, PATHS, AS_OF)
    assert bond.aversion < market.aversion
    assert bond.willing > market.willing


def test_a_glide_path_holds_down_and_says_so() -> None:
    on_path = advise(replace(SOUND, glide_path_id="rungs"), 1_000.0, LADDER, PATHS, AS_OF)
    assert (on_path.path, on_path.place) == (2, 2)
    assert "the glide path allows rung 4" in reason(on_path, LADDER)
    assert reason(on_path, LADDER).endswith("The most averse counts: rung 4.")
    assert "glide path" not in reason(advise(SOUND, 1_000.0, LADDER, PATHS, AS_OF), LADDER)


def test_a_share_of_a_path_is_one_of_the_boldest_rung() -> None:
    assert [path_place(LADDER, PATHS["shares"], years) for years in (0, 7, 15, 20)] == [0, 1, 2, 2]
    assert [path_place(LADDER, PATHS["rungs"], years) for years in (0, 10)] == [0, 2]
    assert path_place(LADDER, PATHS["high"], 5) == 0


def test_the_nearer_of_horizon_and_goal_counts() -> None:
    near = replace(SOUND, goal_date=date(2027, 1, 5))
    assert advise(near, 1_000.0, LADDER, PATHS, AS_OF).years == pytest.approx(1, abs=0.01)
    assert advise(replace(near, horizon_years=None), 1_000.0, LADDER, PATHS, AS_OF).years == pytest.approx(1, abs=0.01)


@given(
    answers=st.integers(0, 4).map(lambda taken: tuple(n < taken for n in range(4))),
    score=st.none() | st.floats(0, 100),
    horizon=st.floats(0.1, 60),
    flow=st.floats(-500, 500),
    wealth=st.none() | st.floats(1_000, 1e7),
    beta=st.floats(0, 1),
    path=st.none() | st.sampled_from(sorted(PATHS)),
)
def test_nobody_is_ever_put_above_what_they_want_can_bear_or_were_promised(  # noqa: PLR0917 - what is drawn
    answers: tuple[bool, ...],
    score: float | None,
    horizon: float,
    flow: float,
    wealth: float | None,
    beta: float,
    path: str | None,
) -> None:
    profile = replace(
        SOUND,
        answers=answers,
        risk_score=score,
        horizon_years=horizon,
        yearly_flow_usd=flow,
        wealth_usd=wealth,
        income_beta=beta,
        glide_path_id=path,
    )
    advice = advise(profile, 1_000.0, LADDER, PATHS, date(2026, 1, 1))
    allowed = [advice.willing, advice.able] + ([] if advice.path is None else [advice.path])
    assert advice.place == min(allowed)
    assert 0 <= advice.place < 4
    assert f"rung {LADDER.rung[advice.place]}." in reason(advice, LADDER)
