"""Where proposals of the lab go, and the hours that they take."""

import numpy as np
import polars as pl
import pytest

from schemas.policy import Policy
from tasks.core.lab.arrays import LabPolicy
from tasks.core.lab.parts import path_measures
from tasks.core.lab.run import simulate
from tests.tasks.core.lab.test_run import courses, market, one, owner, terms

TURNING = Policy(min_trade_usd=0, tracking_penalty=1e5)


def policy(**limits: float) -> LabPolicy:
    """Trades on every look back to the target."""
    return LabPolicy("monthly", TURNING.model_copy(update=limits), absolute_band=0.0)


@pytest.mark.parametrize(
    ("limits", "counts"),
    [
        ({}, [0, 2, 0]),
        ({"auto_approve_max_turnover": 0.1, "auto_approve_max_tax_usd": 1e9}, [1, 1, 0]),
        ({"auto_approve_max_turnover": 1.0, "auto_approve_max_tax_usd": 100.0}, [1, 1, 0]),
        ({"auto_approve_max_turnover": 1.0, "auto_approve_max_tax_usd": 1e9}, [2, 0, 0]),
        (
            {"auto_approve_max_turnover": 1.0, "auto_approve_max_tax_usd": 1e9, "four_eyes_above_usd": 30_000.0},
            [1, 0, 1],
        ),
    ],
)
def test_a_proposal_goes_where_its_limits_send_it(limits: dict[str, float], counts: list[int]) -> None:
    """In the first month a sixth of the account turns over with a gain, in the second a fortieth at no gain."""
    growth = [[2.0, 1.0], [0.905, 1.0], [1.0, 1.0]]
    own = terms([0.5, 0.5], is_taxed=True, short_term_rate=0.4, long_term_rate=0.2)
    found = simulate(market(growth), [policy(**limits)], own, is_routed=True)
    assert [one(found, f"proposals_{route}") for route in ("auto", "one", "two")] == counts


def test_hours_are_of_a_thousand_accounts_and_every_event_is_a_proposal() -> None:
    limits = {"auto_approve_max_turnover": 0.02, "auto_approve_max_tax_usd": 50.0, "four_eyes_above_usd": 9_000.0}
    world, policies = courses(), [policy(**limits), LabPolicy("monthly", Policy(), 0.05)]
    found = simulate(world, policies, owner(), is_routed=True)
    auto, single, two = (found.of(f"proposals_{route}") for route in ("auto", "one", "two"))
    np.testing.assert_array_equal(auto + single + two, found.of("events"))
    assert min(auto[0].sum(), single[0].sum(), two[0].sum()) > 0
    hours = path_measures(found, world, (0.5, 3.0, 8.0))["review_hours_per_year"]
    np.testing.assert_allclose(hours, (0.5 * auto + 3 * single + 8 * two) / 4 * 1_000 / 60)
    assert "review_hours_per_year" not in path_measures(found, world)


def test_counting_proposals_changes_nothing_else() -> None:
    plain, routed = (simulate(courses(), [policy()], owner(), is_routed=each).values for each in (False, True))
    np.testing.assert_array_equal(plain[:, :, :-3], routed[:, :, :-3])
    assert pl.Series(plain[:, :, -3:].ravel()).sum() == 0
