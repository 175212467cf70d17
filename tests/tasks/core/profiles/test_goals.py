"""Goals: the answer of the paper, closed forms, Browne's bound, and simulation that knows nothing of the grid."""

from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.profiles.goals import GoalPlan, best_chance, plan_goal, single_rung_chance
from tasks.core.profiles.ladder import Ladder

MEANS = np.array([0.0493, 0.0770, 0.0886])
COVARIANCE = np.array([[0.0017, -0.0017, -0.0021], [-0.0017, 0.0396, 0.03086], [-0.0021, 0.03086, 0.0392]])


def frontier(count: int) -> Ladder:
    """So many portfolios of the frontier of Das et al., from the least variance to the greatest mean, means evenly apart."""
    inverse, ones = np.linalg.inv(COVARIANCE), np.ones(3)
    k, m, p = ones @ inverse @ ones, MEANS @ inverse @ ones, MEANS @ inverse @ MEANS
    mu = np.linspace(m / k, MEANS[-1], count)
    return ladder_of(mu, np.sqrt((k * mu**2 - 2 * m * mu + p) / (k * p - m**2)))


def ladder_of(mu: npt.NDArray[np.float64], sigma: npt.NDArray[np.float64]) -> Ladder:
    return Ladder(tuple(f"P{n}" for n in range(len(mu))), np.arange(len(mu)), mu, sigma)


def mixes(rate: float, excess: float, volatility: float, *, boldest: float = 1.0, count: int = 12) -> Ladder:
    """Shares of one asset, from none to ``boldest``; the rest earns the rate. The drift of a mix is that of its share."""
    shares = np.linspace(0, boldest, count)
    return ladder_of(rate + excess * shares, volatility * shares)


PAPER = frontier(15)


def test_the_paper_is_met() -> None:
    """Das, Ostrov, Radhakrishnan and Srivastav: 100 to 200 in ten years; 0.669 there, 0.6701 on a grid of 6,401 points."""
    assert plan_goal(PAPER, wealth=100, goal=200, years=10, points=6_401).chance_at(100) == pytest.approx(
        0.6701, abs=5e-5
    )
    assert single_rung_chance(PAPER, 100, 200, 10).max() == pytest.approx(0.50099, abs=5e-6)


def test_the_usual_grid_is_near() -> None:
    assert plan_goal(PAPER, wealth=100, goal=200, years=10).chance_at(100) == pytest.approx(0.6701, abs=5e-4)


def test_brownes_bound_is_his() -> None:
    found = best_chance(100, 200, years=10, excess_return=0.05, volatility=0.16, rate=0.03)
    assert found == pytest.approx(0.925317, abs=5e-7)
    assert best_chance(100, 100, years=1, excess_return=0.05, volatility=0.16, rate=0.03) == 1


@settings(max_examples=40, deadline=None)
@given(
    wealth=st.floats(20, 190),
    years=st.floats(0.5, 25),
    rate=st.floats(0, 0.05),
    excess=st.floats(0.01, 0.08),
    volatility=st.floats(0.05, 0.3),
    boldest=st.floats(0.5, 5),
)
def test_no_plan_beats_brownes_bound(  # noqa: PLR0917 - what is drawn
    wealth: float, years: float, rate: float, excess: float, volatility: float, boldest: float
) -> None:
    plan = plan_goal(mixes(rate, excess, volatility, boldest=boldest), wealth=wealth, goal=200, years=years)
    bound = best_chance(wealth, 200, years=years, excess_return=excess, volatility=volatility, rate=rate)
    assert plan.chance_at(wealth) <= bound + 2e-3  # what a straight line between points may add


def test_the_bound_is_no_mere_ceiling() -> None:
    """The oftener and the bolder one may trade, the nearer to it: 0.34, 0.59 and 0.76 of 0.86."""
    ladder, bound = mixes(0.03, 0.05, 0.16, boldest=16.0, count=60), 0.855595
    assert best_chance(150, 200, years=1, excess_return=0.05, volatility=0.16, rate=0.03) == pytest.approx(
        bound, abs=1e-6
    )
    chances = [_finer(ladder, wealth=150, goal=200, steps=steps) for steps in (1, 4, 16)]
    assert chances == sorted(chances)
    assert bound - 0.11 < chances[-1] < bound


def _finer(ladder: Ladder, *, wealth: float, goal: float, steps: int) -> float:
    """A year in many steps: a plan over as many years on a ladder whose year is a step."""
    slow = ladder_of(ladder.expected_return / steps, ladder.volatility / np.sqrt(steps))
    return plan_goal(slow, wealth=wealth, goal=goal, years=steps).chance_at(wealth)


def test_one_rung_is_its_closed_form() -> None:
    one = ladder_of(np.array([0.07]), np.array([0.15]))
    plan = plan_goal(one, wealth=100, goal=170, years=8, points=1_601)
    assert plan.chance_at(100) == pytest.approx(float(single_rung_chance(one, 100, 170, 8)[0]), abs=1e-4)


def test_a_certain_rung_reaches_what_it_reaches() -> None:
    sure = ladder_of(np.array([0.05]), np.array([0.0]))
    assert single_rung_chance(sure, 100, 105.1, 1) == [1]
    assert single_rung_chance(sure, 100, 105.2, 1) == [0]
    both = ladder_of(np.array([0.05, 0.07]), np.array([0.0, 0.15]))
    plan = plan_goal(both, wealth=100, goal=110, years=3)
    assert plan.chance_at(100) == pytest.approx(1)
    assert plan.place_at(100) == 0


def simulated(plan: GoalPlan, ladder: Ladder, wealth: float, yearly_flow: float, *, count: int, seed: int) -> float:
    """The share of paths that reach the goal by the plan's rungs; Monte Carlo of the very steps, without a grid of chances."""
    rng, at = np.random.default_rng(seed), np.full(count, wealth)
    for step in range(len(plan.place)):
        near = np.abs(np.log(plan.wealth_usd)[None, :] - np.log(np.maximum(at, 1e-9))[:, None]).argmin(axis=1)
        rung = plan.place[step, near]
        mu, sigma = ladder.expected_return[rung], ladder.volatility[rung]
        h = plan.step_years
        at = np.maximum(at + yearly_flow * h, 0) * np.exp(
            (mu - sigma**2 / 2) * h + sigma * np.sqrt(h) * rng.standard_normal(count)
        )
    return float((at >= plan.goal_usd).mean())


@settings(max_examples=15, deadline=None)
@given(
    wealth=st.floats(30, 250),
    flow=st.floats(-12, 12),
    years=st.floats(0.3, 15),
    seed=st.integers(0, 2**31),
)
def test_simulation_comes_to_the_chance(wealth: float, flow: float, years: float, seed: int) -> None:
    plan = plan_goal(PAPER, wealth=wealth, goal=200, years=years, yearly_flow=flow)
    count = 4_000
    share = simulated(plan, PAPER, wealth, flow, count=count, seed=seed)
    chance = plan.chance_at(wealth)
    assert abs(share - chance) < 4.5 * np.sqrt(max(chance * (1 - chance), 0.01) / count) + 3e-3


@settings(max_examples=10, deadline=None)
@given(flow=st.floats(-6, 12), years=st.integers(2, 12), seed=st.integers(0, 2**31))
def test_no_other_policy_reaches_the_goal_more_often(flow: float, years: int, seed: int) -> None:
    """Policies that nobody picked: rungs at random by time and wealth."""
    plan = plan_goal(PAPER, wealth=100, goal=200, years=years, yearly_flow=flow)
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 15, (years, 12)).repeat(len(plan.wealth_usd) // 12 + 1, axis=1)
    other = GoalPlan(plan.goal_usd, plan.step_years, plan.wealth_usd, plan.chance, blocks[:, : len(plan.wealth_usd)])
    share = simulated(other, PAPER, 100, flow, count=4_000, seed=seed + 1)
    assert share < plan.chance_at(100) + 4.5 * np.sqrt(0.25 / 4_000)


@settings(max_examples=20, deadline=None)
@given(wealth=st.floats(10, 400), flow=st.floats(0, 20), years=st.floats(0.5, 20))
def test_more_wealth_more_flow_and_more_rungs_never_harm(wealth: float, flow: float, years: float) -> None:
    plan = plan_goal(PAPER, wealth=wealth, goal=200, years=years, yearly_flow=flow)
    assert (np.diff(plan.chance[0]) >= -1e-9).all()
    more = plan_goal(PAPER, wealth=wealth, goal=200, years=years, yearly_flow=flow + 5)
    assert more.chance_at(wealth) >= plan.chance_at(wealth) - 2e-3
    fewer = ladder_of(PAPER.expected_return[::2], PAPER.volatility[::2])
    less = plan_goal(fewer, wealth=wealth, goal=200, years=years, yearly_flow=flow)
    assert less.chance_at(wealth) <= plan.chance_at(wealth) + 2e-3


def test_what_is_drawn_to_nothing_reaches_nothing() -> None:
    plan = plan_goal(PAPER, wealth=100, goal=200, years=10, yearly_flow=-150)
    assert plan.chance_at(100) == 0
    assert plan.place_at(100) == 0
    assert plan.chance_at(0) == 0
    assert plan.place_at(-1) == 0


def test_far_behind_the_boldest_rung_is_best_and_near_the_goal_a_safe_one() -> None:
    plan = plan_goal(PAPER, wealth=100, goal=200, years=10)
    assert plan.place_at(40, 8) == 14
    assert plan.place_at(190, 8) < 4
    assert plan.place.shape == (10, 801)
    assert plan.chance[-1, 0] == 0
    assert plan.chance[-1, -1] == 1


def test_a_step_of_less_than_a_year_is_cut_evenly() -> None:
    plan = plan_goal(PAPER, wealth=100, goal=120, years=2.5)
    assert plan.step_years == pytest.approx(2.5 / 3)
    last = NormalDist().cdf(1.0)  # of a known distance: one deviation above the goal on the safest rung
    mu, sigma, h = PAPER.expected_return[0], PAPER.volatility[0], plan.step_years
    ahead = 120 * np.exp(sigma * np.sqrt(h) - (mu - sigma**2 / 2) * h)
    assert plan.chance_at(ahead, 2) >= last - 1e-3
