"""Harvests of the lab: sums by hand, closed forms, and what a night would do."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from schemas.policy import Policy
from tasks.core.lab.account import holders_of
from tasks.core.lab.arrays import Holders, LabPolicy, Market, Terms
from tasks.core.lab.conformance import compare_with_night
from tasks.core.lab.run import simulate
from tests.tasks.core.lab.test_run import courses, market, one, owner, terms

TAXED = {"is_taxed": True, "short_term_rate": 0.408, "long_term_rate": 0.238}
HARVEST = Policy(min_trade_usd=0, is_harvesting=True, harvest_min_loss_usd=0, harvest_min_loss_fraction=0.05)
KEEP = Policy(min_trade_usd=0)


def both(look: str = "monthly") -> list[LabPolicy]:
    """Without any band: only what is harvested, or owed, ever trades."""
    return [LabPolicy(look, KEEP), LabPolicy(look, HARVEST)]


def holder_of_a_loss(world: Market, own: Terms, loss: float = 1_000.0, cash: float = 408.0) -> Holders:
    """10,000 USD of stocks that cost more, cash for the tax on as large a short-term gain of the year, and an alternate."""
    kept = holders_of(world, replace(own, nav_usd=cash))
    return replace(
        kept,
        begins_in_cash=False,
        gains=np.array([[loss, 0.0]]),
        lot_start=np.array([0, 1]),
        lot_security=np.zeros(1, np.int64),
        lot_units=np.array([100_000_000]),
        lot_cost=np.array([100 + loss / 100]),
        lot_date=(date(2000, 11, 30),),
    )


@pytest.mark.parametrize(("long_rate", "short_rate", "worth"), [(0.238, 0.408, 1062.17), (0.238, 0.238, 520.43)])
def test_a_harvest_is_worth_the_tax_it_saves_grown_less_what_it_puts_off(
    long_rate: float, short_rate: float, worth: float
) -> None:
    growth = np.full((242, 1), 1.07 ** (1 / 12))
    growth[:2] = 1.0  # a look in which the loss is short-term, then the tax of the year
    dates = [date(2000 + (10 + k) // 12, (10 + k) % 12 + 1, 28) for k in range(243)]
    world = replace(market(growth), dates=dates)
    own = terms([1.0], **{**TAXED, "long_term_rate": long_rate, "short_term_rate": short_rate}, alternates=1)
    found = simulate(world, both(), holder_of_a_loss(world, own, cash=1_000 * short_rate))
    kept, sold = (found.of("wealth_liquidated")[n, 0] for n in (0, 1))
    assert sold - kept == pytest.approx(worth, abs=0.01)
    assert found.of("harvested")[:, 0] == pytest.approx([0, 1_000], abs=1e-6)
    saved, put_off = found.of("tax")[:, 0], found.of("deferred_tax")[:, 0]
    assert saved[0] - saved[1] == pytest.approx(1_000 * short_rate, abs=1e-6)
    grown = 1_000 * short_rate * (1.07**20 - 1)
    assert put_off[1] - put_off[0] == pytest.approx(long_rate * (1_000 + grown), abs=0.01)


def test_what_is_never_sold_is_taxed_once() -> None:
    own = terms([1.0], **TAXED)
    found = simulate(market(np.full((360, 1), 1.07 ** (1 / 12))), [LabPolicy("annual", KEEP)], own)
    assert one(found, "wealth_liquidated") / 100_000 == pytest.approx(1.07**30 * (1 - 0.238) + 0.238, abs=1e-6)
    assert one(found, "wealth_liquidated") / 100_000 == pytest.approx(6.038538, abs=1e-5)
    assert one(found, "deferred_tax") == pytest.approx(100_000 * 0.238 * (1.07**30 - 1), abs=0.1)


def test_a_harvested_loss_that_no_gain_takes_up_is_carried_on() -> None:
    growth = np.ones((26, 1))
    growth[1], growth[13] = 0.8, 1.5
    found = simulate(market(growth), both(), terms([1.0], **TAXED, alternates=1))
    assert found.of("harvested")[:, 0] == pytest.approx([0, 20_000], abs=0.1)
    assert found.of("unused_losses")[:, 0] == pytest.approx([0, 20_000], abs=0.1)
    assert found.of("deferred_tax")[1, 0] == pytest.approx(0.238 * 20_000, abs=0.1), "40,000 of gain, half of it free"
    assert found.of("tax")[:, 0] == pytest.approx([0, 0])


def test_nothing_is_harvested_where_nothing_stands_in_or_the_window_is_open() -> None:
    growth = np.full((8, 1), 0.9)
    lone = simulate(market(growth), both(), terms([1.0], **TAXED))
    assert lone.of("harvested")[1, 0] == 0
    days = [date(2001, 1, 1 + 2 * k) for k in range(9)]
    near = replace(market(growth), dates=days)
    paired = simulate(near, [LabPolicy("daily", HARVEST)], terms([1.0], **TAXED, alternates=1))
    assert one(paired, "events") == 1, (
        "the first is sold for the second, and nothing is left to buy for it within thirty days"
    )
    three = simulate(near, [LabPolicy("daily", HARVEST)], terms([1.0], **TAXED, alternates=3))
    assert one(three, "events") == 3


RULES = [
    {},
    {"harvest_min_loss_usd": 3_000.0},
    {"max_realized_gain_usd": 1_000.0, "trade_to": 0.5},
    {"max_turnover": 0.05},
    {"max_orders": 2},
    {"improvement": 0.3},
    {"min_trade_usd": 2_000.0, "harvest_min_loss_fraction": 0.15},
]


@pytest.mark.parametrize(("step", "alternates"), [(1e-6, 1), (1.0, 2)])
def test_the_lab_harvests_what_a_night_would(step: float, alternates: int) -> None:
    policies = [
        LabPolicy("monthly", Policy(**{"is_harvesting": True, "harvest_min_loss_usd": 200.0, **rule}), band)
        for rule in RULES
        for band in (0.03, None)
    ]
    world, own = courses(), replace(owner(step), alternates=alternates)
    assert simulate(world, policies, own).of("harvested").max() > 1_000
    found = compare_with_night(world, policies, own, most=1_500)
    assert found.differences == ()
    assert found.states >= 1_500
    assert found.ties < found.states / 200
    assert found.skipped < found.states / 4


def test_daily_looks_harvest_what_a_night_would() -> None:
    rng = np.random.default_rng(11)
    world = market(rng.lognormal(0.0, 0.02, (6, 200, 3)))
    days = [date.fromordinal(date(2001, 1, 2).toordinal() + int(1.45 * k)) for k in range(201)]
    own = replace(owner(1e-6), alternates=2, flow_usd=rng.choice([0, 0, 0, 2_000.0, -1_500.0], 200))
    policies = [
        LabPolicy("daily", replace_policy(fraction), band) for fraction in (0.03, 0.08) for band in (0.02, 0.05)
    ]
    found = compare_with_night(replace(world, dates=days), policies, own, most=1_500)
    assert found.differences == ()
    assert found.states >= 1_500
    assert found.ties < found.states / 200


def replace_policy(fraction: float) -> Policy:
    """A policy that harvests whatever has lost so much."""
    return Policy(is_harvesting=True, harvest_min_loss_usd=50.0, harvest_min_loss_fraction=fraction)
