"""The firm's own accounts in the lab: who is left out and why, what the others bring along, and that their trades are those of a night."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from schemas.landing_columns import dtypes
from schemas.policy import Policy
from schemas.stored import INTERNAL
from tasks.core.facts import Facts, with_policy_defaults
from tasks.core.lab.arrays import Holders, LabPolicy, Market
from tasks.core.lab.conformance import compare_with_night, night_of
from tasks.core.lab.holders import hold_accounts
from tasks.core.lab.parts import account_part_rows, merge_accounts, over_accounts, path_measures
from tasks.core.lab.run import simulate
from tasks.core.lab.standing import course_of, grid_of, new_state
from tasks.core.lab.trade import find_trades
from tests.support.facts_table import AS_OF, ago, facts_of

CLASSES = ("bonds", "stocks")
SECURITIES = """
    security_id | asset_class | half_spread_bps | quantity_step
    S           | stocks      | 2               | 1
    S2          | stocks      | 3               | 1
    S3          | stocks      | 5               | 1
    B           | bonds       | 1               | 1
    F           | cash        | 0               | 1
"""
BUY_LIST = """
    asset_class | security_id | rank
    stocks      | S           | 1
    stocks      | S2          | 2
    bonds       | B           | 1
"""
LOTS = """
    security_id | lot_id | quantity | unit_cost_usd | acquired_date
    S           | 1      | 300      | 60            | 2019-03-04
    S3          | 1      | 100      | 90            | 2025-12-01
    S2          | 1      | 50       | 120           | 2024-02-01
    B           | 1      | 200      | 101           | 2024-05-06
"""
CASH = "account_id | settled_usd\na | 2500"


def world(**drawn: str) -> Facts:
    tables = {"securities": SECURITIES, "buy_list": BUY_LIST, "lots": LOTS, "cash": CASH}
    return facts_of(None, **{**tables, **drawn})


def held(facts: Facts, wanted: Sequence[str] = ("a",)) -> tuple[Holders, dict[str, str]]:
    holders, left_out = hold_accounts(facts, wanted, CLASSES)
    return holders, dict(left_out.iter_rows())


def market(growth: np.ndarray, begin: date = AS_OF) -> Market:
    paths, steps, _ = growth.shape
    dates = [begin + timedelta(days=30 * number) for number in range(steps + 1)]
    return Market(dates, CLASSES, growth, np.zeros(2), np.zeros((paths, steps)), 12)


def test_an_account_brings_its_lots_cash_rates_and_buy_list() -> None:
    holders, left_out = held(world())
    assert left_out == {}
    assert holders.names == ["a"]
    assert holders.class_of.tolist() == [[0, 1, 1, 1]]
    assert holders.choice.tolist() == [[1, 1, 2, 0]]
    assert (1e4 * holders.spread).round(6).tolist() == [[1, 2, 3, 5]]
    assert holders.target.tolist() == [[0.4, 0.6, 0]]
    assert holders.has_cash_band.tolist() == [True]
    assert holders.rates.tolist() == [[0.4, 0.2]]
    assert holders.cash.tolist() == [2500]
    assert holders.lot_date == [date(2019, 3, 4), date(2024, 2, 1), date(2024, 5, 6), date(2025, 12, 1)]
    assert holders.lot_units.tolist() == [300e6, 50e6, 200e6, 100e6]
    assert holders.lot_cost.tolist() == [60, 120, 101, 90]
    assert holders.lot_security.tolist() == [1, 2, 0, 3]


LEFT_OUT: list[tuple[dict[str, str], str]] = [
    ({"accounts": "account_id | status\na | frozen"}, "it is not active"),
    (
        {"accounts": "account_id | household_id\na | h", "households": "household_id\nh"},
        "it is managed together with its household",
    ),
    ({"accounts": "account_id | household_id\na | h\nb | h"}, "its household has other accounts"),
    ({"cash": "account_id | settled_usd\na | -90000"}, "its NAV is not above 0"),
    (
        {"model_targets": "asset_class | target_weight\nstocks | 0.6\nbonds | 0.3\ngold | 0.1"},
        "its model has a class of which the market has nothing",
    ),
    (
        {
            "model_targets": "asset_class | target_weight\nstocks | 1",
            "buy_list": "asset_class | security_id\nstocks | S",
        },
        "it holds what its model has no class for",
    ),
    ({"lots": "security_id | quantity\nF | 10"}, "it holds securities of the class cash"),
    ({"lots": "security_id | quantity | is_frozen\nS | 10 | true"}, "a lot of it is frozen"),
    ({"lots": "security_id | quantity | acquired_date\nS | 10 |"}, "the cost or the date of a lot is unknown"),
    (
        {
            "securities": SECURITIES.replace("quantity_step\n", "quantity_step | is_tradable\n").replace(
                "| 1\n", "| 1 | false\n"
            )
        },
        "is not tradable or has no price",
    ),
    (
        {
            "securities": SECURITIES.replace("quantity_step\n", "quantity_step | order_in\n").replace(
                "| 1\n", "| 1 | usd\n"
            )
        },
        "is priced per hundred or ordered in dollars",
    ),
    ({"restrictions": f"security_id | rule | until_date\nS | no_buy | {ago(-90)}"}, "a restriction of it ends"),
    ({"restrictions": "account_id | security_id | rule\n | S2 | no_new"}, "a restriction of it ends"),
    ({"trades": f"security_id | trade_date\nS | {ago(40)}"}, "it sold at a loss within two wash-sale windows"),
    (
        {"trades": f"security_id | trade_date | side | realized_gain_usd\nS | {ago(20)} | buy |"},
        "it bought what it no longer holds",
    ),
]


@pytest.mark.parametrize(("drawn", "said"), LEFT_OUT, ids=[said for _, said in LEFT_OUT])
def test_what_the_lab_cannot_hold_is_left_out_with_its_reason(drawn: dict[str, str], said: str) -> None:
    holders, left_out = held(world(**drawn))
    assert said in left_out["a"]
    assert "a" not in holders.names


def test_an_account_with_orders_under_way_or_without_facts_is_left_out() -> None:
    order = {"account_id": "a", "security_id": "S", "side": "buy", "quantity": 1, "trade_date": AS_OF}
    orders = pl.DataFrame([order], schema=INTERNAL["pending_orders"], strict=False)
    _, left_out = held(replace(world(), pending_orders=orders), ["a", "nobody"])
    assert left_out == {"a": "orders of it are under way", "nobody": "it was quarantined, or is not the night's"}


def test_an_account_that_pays_no_tax_needs_no_cost_and_may_have_neighbours() -> None:
    accounts = "account_id | household_id | tax_status\na | h | tax_exempt\nb | h | tax_exempt"
    lots = "security_id | quantity | unit_cost_usd | acquired_date\nS | 10 | |"
    holders, left_out = held(world(accounts=accounts, lots=lots))
    assert left_out == {}
    assert (holders.is_taxed.tolist(), holders.rates.tolist()) == ([False], [[0, 0]])
    assert holders.lot_cost.tolist() == [100]


def test_what_may_not_be_bought_or_sold_for_good_is_taken_along() -> None:
    restrictions = "account_id | security_id | rule\na | S | no_buy\n | S2 | no_sell\na | B | no_trade"
    holders, left_out = held(world(restrictions=restrictions))
    assert left_out == {}
    assert holders.choice.tolist() == [[0, 0, 2, 0]]
    assert holders.can_sell.tolist() == [[False, True, False, True]]


TILTED = 3
"""Every so many accounts of ``random_facts`` have a tilt."""


def random_facts(seed: int, count: int = 60) -> Facts:
    """Accounts with several securities of a class, whole shares, restrictions and cash that is owed or idle."""
    rng = np.random.default_rng(seed)
    names = [f"a{number:02d}" for number in range(count)]
    accounts = "account_id | tax_status | ytd_short_gain_usd | loss_carryforward_long_usd\n" + "\n".join(
        f"{name} | {rng.choice(['taxable', 'taxable', 'tax_exempt'])} | {rng.integers(-900, 900)} | {rng.integers(0, 500)}"
        for name in names
    )
    lots = "account_id | security_id | lot_id | quantity | unit_cost_usd | acquired_date\n" + "\n".join(
        f"{name} | {rng.choice(['S', 'S2', 'S3', 'B'])} | {lot} | {rng.integers(5, 120)} | {rng.integers(60, 150)} | {ago(int(rng.integers(1, 900)))}"
        for name in names
        for lot in range(rng.integers(1, 7))
    )
    cash = "account_id | settled_usd\n" + "\n".join(f"{name} | {rng.integers(-400, 3_000)}" for name in names)
    rules = "account_id | security_id | rule\n" + "\n".join(
        f"{name} | {rng.choice(['S', 'S2', 'B'])} | {rng.choice(['no_buy', 'no_sell', 'no_trade'])}"
        for name in names[::4]
    )
    prices = "security_id | price_usd\nS | 173.25\nS2 | 88.5\nS3 | 1210\nB | 49.995\nF | 1"
    location = "asset_class | tax_status | cost_bps\nbonds | taxable | 25\nstocks | tax_exempt | 4"
    tables = {"accounts": accounts, "lots": lots, "cash": cash, "restrictions": rules, "prices": prices}
    tilts = [{"account_id": name, "asset_class": "stocks", "delta_weight": 0.1} for name in names[::TILTED]]
    return world(**tables, location_preferences=location).with_tilts(pl.DataFrame(tilts, dtypes("tilts")))


def test_a_tilt_of_an_account_comes_along() -> None:
    facts = random_facts(1)
    names = facts.accounts["account_id"].to_list()
    holders, _ = held(facts, names)
    own = dict(zip(holders.names, holders.target.round(6).tolist(), strict=True))
    assert own[next(name for name in names[::TILTED] if name in own)] == pytest.approx([0.3, 0.7, 0], abs=0.04)
    assert {tuple(own[name]) for name in own if name not in names[::TILTED]} == {(0.4, 0.6, 0.0)}


def test_what_a_class_costs_in_an_account_comes_along() -> None:
    facts = random_facts(1)
    holders, _ = held(facts, facts.accounts["account_id"].to_list())
    status = dict(facts.accounts.select("account_id", "tax_status").iter_rows())
    wanted = [[0.0025, 0.0] if status[name] == "taxable" else [0.0, 0.0004] for name in holders.names]
    assert holders.location.round(6).tolist() == wanted


RULES: list[dict[str, Any]] = [
    {},
    {"trade_to": 0.5, "min_trade_usd": 500.0},
    {"max_orders": 2},
    {"max_turnover": 0.03},
    {"is_harvesting": True, "harvest_min_loss_usd": 50.0},
]


@pytest.mark.parametrize("rules", RULES, ids=str)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_first_trades_are_those_that_the_night_makes_of_the_real_rows(seed: int, rules: dict[str, Any]) -> None:
    """The night is given the landing rows themselves, and not what the lab has made of them."""
    facts, policy = random_facts(seed), Policy(**rules)
    holders, left_out = held(facts, facts.accounts["account_id"].to_list())
    assert len(holders.names) > 40
    own = facts.accounts.filter(~pl.col("account_id").is_in(list(left_out)))
    own_policy = pl.DataFrame([{"policy_id": "p", **rules}], schema=facts.policies.schema)
    standing, orders = night_of(replace(facts, accounts=own, policies=with_policy_defaults(own_policy)))
    world = market(np.ones((1, 1, 2)))
    lab = [LabPolicy("monthly", policy, absolute_band=0.05)]
    course, grid = course_of(world, holders), grid_of(lab, world, holders)
    state = new_state(world, holders, 1, 32)
    found = find_trades(course, grid, state, len(holders.names), np.arange(len(holders.names)))
    due = dict(standing.select("account_id", "is_due").iter_rows())
    night: dict[tuple[str, str], float] = {}
    for account, asset_class, _, units in orders.iter_rows():
        night[account, asset_class] = night.get((account, asset_class), 0.0) + units
    mine: dict[tuple[str, str], float] = {}
    for row, account in enumerate(holders.names):
        for c, asset_class in enumerate(CLASSES):
            k = 2 * row + c
            lots = slice(found.book.lot_start[k], found.book.lot_start[k + 1])
            traded = found.answer.bought[k] * found.book.buy_step[k] * 1e6 - found.answer.sold[lots].sum()
            if due[account] and traded:
                mine[account, asset_class] = traded
    assert sum(due.values()) > 20
    assert mine.keys() == night.keys()
    assert all(abs(mine[key] - night[key]) <= 5 for key in night)


def test_every_look_afterwards_trades_what_a_night_would() -> None:
    facts = random_facts(3, 24)
    holders, _ = held(facts, facts.accounts["account_id"].to_list())
    growth = np.random.default_rng(3).lognormal(0.003, 0.06, (3, 14, 2))
    policies = [LabPolicy("monthly", Policy(**rules), 0.03) for rules in RULES]
    found = compare_with_night(market(growth), policies, holders, most=1_500)
    assert found.states >= 1_000
    assert found.differences == ()


def test_an_account_among_others_is_the_same_as_alone() -> None:
    facts = random_facts(4, 12)
    names = facts.accounts["account_id"].to_list()
    holders, _ = held(facts, names)
    growth = np.random.default_rng(4).lognormal(0.003, 0.05, (4, 20, 2))
    policies = [LabPolicy("monthly", Policy(), band) for band in (0.02, 0.1)]
    together = simulate(market(growth), policies, holders)
    count = len(holders.names)
    for k in (0, count // 2, count - 1):
        alone, _ = held(facts, [holders.names[k]])
        found = simulate(market(growth), policies, alone)
        np.testing.assert_array_equal(found.values, together.values[:, k::count])


def test_figures_of_a_course_are_means_of_its_accounts_and_each_account_has_its_own() -> None:
    facts = random_facts(5, 8)
    holders, _ = held(facts, facts.accounts["account_id"].to_list())
    growth = np.random.default_rng(5).lognormal(0.003, 0.05, (6, 12, 2))
    policies = [LabPolicy("monthly", Policy(), band) for band in (0.02, 0.2)]
    figures = path_measures(simulate(market(growth), policies, holders), market(growth))
    count = len(holders.names)
    means = over_accounts(figures, count)
    assert means["rms_drift"][1, 2] == pytest.approx(figures["rms_drift"][1, 2 * count : 3 * count].mean())
    first, second = (
        account_part_rows({name: values[:, part] for name, values in figures.items()}, holders.names)
        for part in (slice(0, 2 * count), slice(2 * count, None))
    )
    whole = merge_accounts([first, second])
    row = whole.filter(policy_number=1, account_id=holders.names[3]).row(0, named=True)
    assert row["tax_per_year_usd"] == pytest.approx(figures["tax_per_year_usd"][1, 3::count].mean())
    for (_,), rows in whole.group_by("account_id"):
        error, paid = (
            rows["tracking_error"].to_numpy(),
            (rows["tax_per_year_usd"] + rows["cost_per_year_usd"]).to_numpy(),
        )
        beaten = [any((error < e) & (paid <= p) | (error <= e) & (paid < p)) for e, p in zip(error, paid, strict=True)]
        assert rows["is_on_frontier"].to_list() == [not each for each in beaten]
