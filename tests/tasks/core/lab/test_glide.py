"""Accounts that change models on the way, beside the goal programme that says when they should."""

import numpy as np
import pytest

from schemas.policy import Policy
from tasks.core.lab import glide
from tasks.core.lab.arrays import LabPolicy, Market, Terms
from tasks.core.lab.glide import Glided, simulate_glide
from tasks.core.profiles import Ladder, path_rung, plan_goal, single_rung_chance
from tasks.core.solver import Floats, Ints
from tests.tasks.core.lab.test_run import month_ends

POLICY = LabPolicy("annual", Policy(min_trade_usd=0))
PURE = np.eye(2)
YEARS, START, GOAL = 10, 100_000.0, 150_000.0
LADDER = Ladder(("bonds", "stocks"), np.arange(2), np.array([0.03, 0.07]), np.array([0.04, 0.18]))
"""Each rung is one class, so that its growth is exactly as the programme takes it to be."""


def world(paths: int, years: int = YEARS) -> Market:
    """Lognormal months of both classes, independent of each other."""
    normal = np.random.default_rng(8).standard_normal((paths, 12 * years, 2))
    drift = (LADDER.expected_return - LADDER.volatility**2 / 2) / 12
    growth = np.exp(drift + LADDER.volatility / np.sqrt(12) * normal)
    return Market(month_ends(12 * years), ("bonds", "stocks"), growth, np.zeros(2), np.zeros(growth.shape[:2]), 12)


def account(**more: object) -> Terms:
    return Terms(START, np.array([0.5, 0.5]), np.zeros(2), **more)  # type: ignore[arg-type]


def by_plan(paths: int, **more: object) -> tuple[Glided, float]:
    """Accounts on the best rungs by wealth and time, and the chance that the programme gives them."""
    plan = plan_goal(LADDER, wealth=START, goal=GOAL, years=YEARS)

    def choose(year: int, wealth: Floats) -> Ints:
        return np.array([plan.place_at(each, year) for each in wealth])

    return simulate_glide(world(paths), POLICY, account(**more), PURE, choose), plan.chance_at(START)


def test_the_lab_reaches_a_goal_as_often_as_the_programme_says() -> None:
    found, chance = by_plan(2_000)
    share, error = found.chance(GOAL, is_liquidated=False)
    assert abs(share - chance) < 3 * error
    assert (found.tax == 0).all()
    np.testing.assert_allclose(found.wealth, found.liquidated)
    assert found.changes.mean() > 1
    for rung, alone in enumerate(single_rung_chance(LADDER, START, GOAL, YEARS)):
        stays = simulate_glide(world(2_000), POLICY, account(), PURE, lambda _, w, at=rung: np.full(len(w), at))
        kept, kept_error = stays.chance(GOAL, is_liquidated=False)
        assert abs(kept - alone) < 3 * kept_error
        assert share > kept
        assert not stays.changes.any()


def test_changing_models_costs_tax_and_so_chance() -> None:
    plain, _ = by_plan(400)
    taxed, _ = by_plan(400, is_taxed=True, short_term_rate=0.37, long_term_rate=0.2)
    assert taxed.tax.mean() > 0
    assert (taxed.liquidated <= taxed.wealth + 1e-6).all()
    assert taxed.chance(GOAL, is_liquidated=True)[0] < plain.chance(GOAL, is_liquidated=True)[0]


def test_a_glide_path_changes_models_at_the_years_of_its_table() -> None:
    left, rungs = np.array([0.0, 3.0, 6.0]), np.array([0, 1, 0])
    found = simulate_glide(
        world(3), POLICY, account(), PURE, lambda year, w: np.full(len(w), path_rung(left, rungs, YEARS - year))
    )
    assert found.changes.tolist() == [2, 2, 2]
    assert found.wealth[0] == pytest.approx(held(0, 5, 0) * held(5, 8, 1) * held(8, 10, 0) * START, rel=1e-6)


def held(first: int, last: int, rung: int) -> float:
    """Growth of the first account between years on one class."""
    return float(world(3).growth[0, 12 * first : 12 * last, rung].prod())


def test_an_account_of_too_many_lots_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glide, "MOST_LOTS", 1)
    with pytest.raises(ValueError, match="more than 1 lots"):
        simulate_glide(world(1), POLICY, account(), np.full((1, 2), 0.5), lambda _, w: np.zeros(len(w), np.int64))
