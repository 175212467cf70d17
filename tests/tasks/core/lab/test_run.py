"""Policies on paths: against sums by hand, against the night's own trades, and against what is published."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from schemas.policy import Policy
from tasks.core.facts.facts import Facts
from tasks.core.lab import conformance, run
from tasks.core.lab.advance import advance
from tasks.core.lab.arrays import MEASURES, LabPolicy, Market, Measured, Terms, look_flags
from tasks.core.lab.booking import make_trades
from tasks.core.lab.conformance import compare_with_night
from tasks.core.lab.run import simulate
from tasks.core.lab.standing import Course, Standing, course_of, grid_of, new_state, price_of
from tasks.core.lab.trade import find_trades

ALWAYS = LabPolicy("monthly", Policy(min_trade_usd=0), absolute_band=0.0)
NEVER = LabPolicy("monthly", Policy(min_trade_usd=0))


def month_ends(count: int, first_year: int = 2001) -> list[date]:
    """The last day of December before ``first_year`` and of ``count`` months from there."""
    starts = [date(first_year + k // 12, k % 12 + 1, 1) for k in range(count + 1)]
    return [each - timedelta(days=1) for each in starts]


def market(growth: Any, dividends: Sequence[float] | None = None, **more: Any) -> Market:
    """Paths of monthly growth (P, T, C), or one path (T, C)."""
    paths = np.array(growth, np.float64)
    paths = paths[None] if paths.ndim == 2 else paths
    p, t, c = paths.shape
    classes = ("bonds", "gold", "stocks")[:c] if c > 1 else ("stocks",)
    none = np.zeros((p, t))
    return Market(month_ends(t), classes, paths, np.array(dividends or [0.0] * c), more.get("risk_free", none), 12)


def terms(targets: Sequence[float], spread: float = 0.0, **more: Any) -> Terms:
    """An account of 100,000 USD."""
    return Terms(100_000.0, np.array(targets), np.full(len(targets), spread), **more)


def one(found: Measured, measure: str) -> float:
    """A measure of the one policy on the one path."""
    return float(found.of(measure)[0, 0])


def test_rebalancing_is_not_the_mean_of_the_returns() -> None:
    up_down = [[1.1, 0.9], [0.9, 1.1]] * 3
    both = simulate(market(up_down), [ALWAYS, NEVER], terms([0.5, 0.5]))
    assert both.of("growth")[0, 0] == pytest.approx(1.0, abs=1e-7)
    three = [[1.1, 0.9]] * 3
    grown = simulate(market(three), [ALWAYS, NEVER], terms([0.5, 0.5])).of("growth")[:, 0]
    assert grown == pytest.approx([1.0, 0.5 * (1.1**3 + 0.9**3)], abs=1e-7)
    assert grown[1] == pytest.approx(1.03)


@pytest.mark.parametrize("band", [0.0, 0.05, None])
def test_of_one_asset_rebalancing_changes_nothing(band: float | None) -> None:
    growth = np.random.default_rng(1).lognormal(0, 0.1, (24, 1))
    found = simulate(market(growth), [LabPolicy("monthly", Policy(), band)], terms([1.0]))
    assert one(found, "growth") == pytest.approx(growth.prod(), abs=1e-8)
    assert one(found, "events") == 0


def test_buying_in_costs_once_and_holding_costs_nothing() -> None:
    found = simulate(market([[1.0, 1.0]] * 12), [NEVER], terms([0.6, 0.4], spread=10))
    assert one(found, "wealth") == pytest.approx(100_000 / 1.001, abs=0.01)
    assert one(found, "cost") == pytest.approx(100_000 / 1.001 * 0.001, abs=0.01)
    assert one(found, "turnover") == 0
    assert one(found, "wealth_liquidated") == pytest.approx(100_000 / 1.001 * 0.999, abs=0.01)


def test_turnover_is_that_of_weights_that_have_drifted() -> None:
    found = simulate(market([[2.0, 1.0], [1.0, 1.0]]), [ALWAYS], terms([0.5, 0.5]))
    assert one(found, "turnover") == pytest.approx(1 / 6, abs=1e-6), "two thirds to a half"
    assert one(found, "events") == 1
    assert one(found, "orders") == 2
    assert one(found, "drift_sum") == pytest.approx(1 / 6, abs=1e-6)
    assert one(found, "wealth") == pytest.approx(150_000)


def test_a_drawdown_compounds_and_the_last_date_counts() -> None:
    found = simulate(market([[1.2], [0.8], [0.9], [1.3], [0.5]]), [NEVER], terms([1.0]))
    assert one(found, "drawdown") == pytest.approx(1 - 0.8 * 0.9 * 1.3 * 0.5, abs=1e-7)
    returns = np.array([0.2, -0.2, -0.1, 0.3, -0.5])
    assert one(found, "return_mean") == pytest.approx(returns.mean(), abs=1e-7)
    assert one(found, "return_m2") == pytest.approx(returns.var() * 5, abs=1e-7)


def test_excess_is_over_bills_of_the_same_step() -> None:
    bills = np.array([[0.01, 0.02, 0.03]])
    found = simulate(market([[1.1], [1.0], [1.2]], risk_free=bills), [NEVER], terms([1.0]))
    assert one(found, "excess_mean") == pytest.approx((0.09 - 0.02 + 0.17) / 3, abs=1e-7)


def test_a_return_is_none_of_what_flows_in() -> None:
    found = simulate(market([[1.1]] * 4), [NEVER], terms([1.0], flow_usd=np.array([5_000.0, 0, -20_000, 0])))
    assert one(found, "growth") == pytest.approx(1.1 * 126 / 115 * 138.1 / 126 * 1.1, abs=1e-7), (
        "what came in lies idle"
    )
    assert one(found, "wealth") == pytest.approx(118_100 * 1.1, abs=0.01), "what is owed is sold for"
    assert one(found, "events") == 1


def test_a_year_is_netted_taxed_in_the_next_and_its_losses_are_carried_on() -> None:
    growth = np.ones((26, 2))
    growth[2] = (1.5, 0.7)  # in March: a short-term gain is taken and a loss; all of it short
    growth[14] = (1.4, 1.0)  # in March of the second year
    tracking = Policy(min_trade_usd=0, tracking_penalty=1e5)
    own = terms([0.5, 0.5], is_taxed=True, short_term_rate=0.4, long_term_rate=0.2)
    found = simulate(market(growth), [LabPolicy("monthly", tracking, 0.01)], own)
    stocks, bonds = 50_000 * 1.5, 50_000 * 0.7
    sold = (stocks - bonds) / 2
    gain = sold * (1 - 1 / 1.5)
    first_tax = found.by_year[0, 0, 1, 3]
    assert first_tax == pytest.approx(0.4 * gain, rel=1e-3), "paid in January of the second year"
    assert found.by_year[0, 0, 0, 3] == 0
    assert one(found, "realized_short") == pytest.approx(gain, rel=1e-3)
    assert one(found, "realized_long") > 0
    assert one(found, "tax") == pytest.approx(
        0.4 * one(found, "realized_short") + 0.2 * one(found, "realized_long"), rel=1e-6
    )


def test_losses_that_no_gain_takes_up_are_carried_and_said() -> None:
    growth = np.ones((30, 2))
    growth[1] = (0.9, 0.5)
    own = terms([0.5, 0.5], is_taxed=True, short_term_rate=0.4, long_term_rate=0.2)
    found = simulate(market(growth), [LabPolicy("monthly", Policy(min_trade_usd=0, tracking_penalty=1e5), 0.05)], own)
    sold = (50_000 * 0.9 - 50_000 * 0.5) / 2
    assert one(found, "realized_short") == pytest.approx(-sold * (1 / 0.9 - 1), abs=1)
    assert one(found, "tax") == 0
    assert one(found, "unused_losses") == pytest.approx(-one(found, "realized_short"), abs=1e-6)


def test_dividends_come_in_cash_and_are_taxed() -> None:
    own = terms([1.0], is_taxed=True, short_term_rate=0.4, long_term_rate=0.2)
    found = simulate(market([[1.0]] * 12, dividends=[0.01]), [NEVER], own)
    assert one(found, "wealth") == pytest.approx(100_000 * (1 + 12 * 0.01 * 0.8), abs=0.01)
    assert one(found, "tax") == pytest.approx(0.2 * 12_000, abs=0.01)


def test_an_account_is_the_same_alone_and_among_others() -> None:
    rng = np.random.default_rng(4)
    growth = rng.lognormal(0.004, 0.05, (7, 36, 3))
    policies = [
        LabPolicy(look, Policy(trade_to=to, min_trade_usd=0), 0.03)
        for look in ("monthly", "annual")
        for to in (0.0, 1.0)
    ]
    own = terms([0.3, 0.2, 0.5], spread=5, is_taxed=True, short_term_rate=0.37, long_term_rate=0.2)
    together = simulate(market(growth), policies, own)
    for policy in (0, 3):
        for path in (0, 6):
            alone = simulate(market(growth[path]), [policies[policy]], own)
            np.testing.assert_array_equal(alone.values[0, 0], together.values[policy, path])


def test_an_account_of_many_lots_gets_room_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    growth = np.random.default_rng(5).lognormal(0.004, 0.03, (60, 2))
    found = simulate(market(growth), [ALWAYS], terms([0.5, 0.5], flow_usd=np.full(60, 1_000.0)))
    spent = one(found, "wealth") / 100_000
    assert spent > 1
    assert one(found, "events") == 60
    monkeypatch.setattr(run, "FIRST_LOTS", 512)
    again = simulate(market(growth), [ALWAYS], terms([0.5, 0.5], flow_usd=np.full(60, 1_000.0)))
    np.testing.assert_array_equal(found.values, again.values)


def test_looks_are_the_last_dates_of_their_periods() -> None:
    dates = month_ends(7)
    assert look_flags(dates, "quarterly").tolist() == [False, False, True, False, False, True, True]
    assert look_flags(dates, "annual").tolist() == [False] * 6 + [True]
    assert look_flags(dates, "daily").all()


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (LabPolicy("weekly", Policy()), "weekly"),
        (LabPolicy("monthly", Policy(trade_mode="buy_only")), "buy_only"),
        (LabPolicy("monthly", Policy(calendar="monthly")), "calendar"),
        (LabPolicy("monthly", Policy(short_term_gains="avoid")), "avoid"),
        (LabPolicy("monthly", Policy(is_threshold_triggered=False)), "is_threshold_triggered"),
    ],
)
def test_what_the_lab_cannot_try_it_says(policy: LabPolicy, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        simulate(market([[1.0]]), [policy], terms([1.0]))


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="2 targets"):
        simulate(market([[1.0]]), [NEVER], terms([0.5, 0.5]))


RULES: list[dict[str, Any]] = [
    {},
    {"trade_to": 0.5},
    {"max_turnover": 0.05},
    {"improvement": 0.3},
    {"max_orders": 2},
    {"fewest_trades_bps": 1.0},
    {"max_realized_gain_usd": 2000.0},
    {"min_trade_usd": 2000.0, "tracking_penalty": 20.0},
]


def tried(rules: Sequence[dict[str, Any]] = RULES) -> list[LabPolicy]:
    """Policies of the rules, each with two kinds of band."""
    return [LabPolicy("monthly", Policy(**rule), *band) for rule in rules for band in ((0.03, None), (0.05, 0.25))]


def owner(step: float = 1.0, *, is_taxed: bool = True) -> Terms:
    """An account of three classes into which, and out of which, cash flows."""
    flow = np.random.default_rng(7).choice([0, 0, 2_000.0, -1_500.0], 48)
    own = terms([0.3, 0.2, 0.5], spread=4, quantity_step=step, flow_usd=flow)
    return replace(own, is_taxed=is_taxed, short_term_rate=0.37, long_term_rate=0.2)


def courses() -> Market:
    """A dozen paths of four years."""
    return market(np.random.default_rng(6).lognormal(0.005, 0.06, (12, 48, 3)))


@pytest.mark.parametrize(("step", "is_taxed"), [(1.0, False), (1.0, True), (1e-6, True)])
def test_the_lab_trades_what_a_night_would(step: float, *, is_taxed: bool) -> None:
    found = compare_with_night(courses(), tried(), owner(step, is_taxed=is_taxed), most=1_500)
    assert found.states >= 1_500
    assert found.skipped < found.states / 4
    assert found.ties < found.states / 500
    assert found.differences == ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"absolute_band": 0.02}, "due at night and not in the lab"),
        ({"absolute_band": 0.08}, "due in the lab and not at night"),
        ({"target_weight": 0.4}, " in the lab, "),
    ],
)
def test_a_lab_that_traded_otherwise_would_be_found(
    changed: dict[str, float], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = conformance.as_facts

    def other(*given: Any, **more: Any) -> Facts:
        facts = honest(*given, **more)
        is_stocks = pl.col("asset_class") == "stocks" if "target_weight" in changed else pl.lit(value=True)
        new = [pl.when(is_stocks).then(value).otherwise(name).alias(name) for name, value in changed.items()]
        return replace(facts, model_targets=facts.model_targets.with_columns(new))

    monkeypatch.setattr(conformance, "as_facts", other)
    found = compare_with_night(courses(), tried(RULES[:1]), owner(), most=300)
    assert any(said in each for each in found.differences)


def test_an_account_of_more_lots_than_a_comparison_has_room_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "MOST_LOTS", 4)
    with pytest.raises(ValueError, match="more than 4 lots"):
        compare_with_night(courses(), tried(RULES[:1]), owner(), most=300)


def test_money_and_shares_are_conserved_at_every_trade_and_over_every_step() -> None:
    own, world, policies = owner(1e-6), courses(), tried()
    course, grid, paths = course_of(world, own), grid_of(policies, world, own), 12
    state = new_state(world, own, len(policies), 256)
    due, trades = np.arange(len(state.at)), 0
    while len(due):
        before, cost, tax = nav_of(course, state, due), measured(state, due, "cost"), measured(state, due, "tax")
        assert make_trades(course, state, paths, due, find_trades(course, grid, state, paths, due))
        after = nav_of(course, state, due)
        np.testing.assert_allclose(before - after, measured(state, due, "cost") - cost, rtol=0, atol=1e-6)
        for a in due:
            lots = slice(0, state.lot_count[a])
            held = np.bincount(state.lot_security[a, lots], state.lot_units[a, lots], 3)
            np.testing.assert_array_equal(held, state.units[a])
            assert (state.lot_units[a, lots] > 0).all()
        held, cash, since = state.units[due].copy(), state.cash[due].copy(), state.at[due].copy()
        advance(course, grid, state, paths, due)
        np.testing.assert_array_equal(state.units[due], held)
        came = np.array([course.flow[first:last].sum() for first, last in zip(since, state.at[due], strict=True)])
        paid = measured(state, due, "tax") - tax
        np.testing.assert_allclose(state.cash[due], cash + came - paid, rtol=0, atol=1e-6)
        trades += len(due)
        due = due[state.is_due[due] > 0]
    assert trades > 2_000


def nav_of(course: Course, state: Standing, which: np.ndarray) -> np.ndarray:
    """Cash and what is held where each account stands, usd."""
    price = np.array([[price_of(course, a % 12, state.at[a], s) for s in range(3)] for a in which])
    return state.cash[which] + (state.units[which] / 1e6 * price).sum(axis=1)


def measured(state: Standing, which: np.ndarray, measure: str) -> np.ndarray:
    """A measure as it is so far."""
    return state.values[which, MEASURES.index(measure)].copy()


def test_a_look_at_which_losses_have_moved_to_a_recent_lot_is_left_out_and_counted() -> None:
    world = market(np.random.default_rng(9).lognormal(-0.02, 0.12, (1, 48, 3)))
    policy = LabPolicy("monthly", Policy(min_trade_usd=0, tracking_penalty=50.0, wash_sale_days=60), 0.0)
    found = compare_with_night(world, [policy], owner(1e-6), most=48)
    assert 0 < found.skipped < 49
    assert found.states + found.skipped == 49
    assert found.differences == ()
