"""What a page shows adds up, whatever the account: some hundred accounts that nobody picked, under policies with every limit."""

from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pytest

from schemas.enums import TaxStatus
from tasks.core.explain.account_page import page
from tasks.core.explain.gap_section import gap_marks
from tasks.core.explain.plain_values import Page
from tasks.core.facts.facts import Facts
from tests.support.account_record import records_of
from tests.support.facts_table import AS_OF, ago, facts_of

CLASSES = ("stocks", "bonds", "gold")
SECURITIES = """
    security_id | asset_class | half_spread_bps | quantity_step
    S           | stocks      | 3               | 1
    T           | stocks      | 5               | 1
    B           | bonds       | 8               | 0.001
    G           | gold        | 5               | 1
"""
PRICES = "security_id | price_usd\n S | 31\n T | 100\n B | 57.3\n G | 410"
TARGETS = "asset_class | target_weight\n stocks | 0.5\n bonds | 0.3\n gold | 0.18\n cash | 0.02"
BUYS = "asset_class | security_id | rank\n stocks | S | 1\n stocks | T | 2\n bonds | B | 1\n gold | G | 1"
POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {"max_turnover": 0.04, "max_realized_gain_usd": 400.0},
    {"max_orders": 2, "fewest_trades_bps": 0.5, "improvement": 0.3},
    {"is_harvesting": True, "harvest_min_loss_usd": 200.0, "max_realized_gain_usd": 1_500.0},
    {"min_trade_usd": 0.0, "tracking_penalty": 0.3, "short_term_gains": "avoid"},
)
ACCOUNTS = 24
PRICE = {"S": 31.0, "T": 100.0, "B": 57.3, "G": 410.0}
UNITS = {"stocks": PRICE["T"], "bonds": 0.001 * PRICE["B"], "gold": PRICE["G"]}
"""The dearest unit of a class, usd."""
CENT = 0.01


def random_facts(seed: int, policy: dict[str, Any]) -> Facts:
    """Accounts with gains and losses of either term this year, lots old and of last week, and cash too much or owed."""
    rng = np.random.default_rng(seed)
    names = [f"a{number}" for number in range(ACCOUNTS)]
    accounts = ["account_id | tax_status | ytd_short_gain_usd | ytd_long_gain_usd | loss_carryforward_long_usd"]
    lots = ["account_id | security_id | lot_id | quantity | unit_cost_usd | acquired_date"]
    cash = ["account_id | settled_usd"]
    for name in names:
        status = "taxable" if rng.uniform() < 0.9 else "tax_deferred"
        year = [f"{rng.normal(0, 3_000):.2f}" for _ in range(2)]
        accounts.append(f"{name} | {status} | {' | '.join(year)} | {max(rng.normal(0, 2_000), 0):.2f}")
        cash.append(f"{name} | {rng.normal(1_500, 2_500):.2f}")
        for security, price in PRICE.items():
            for lot in range(int(rng.integers(0, 4))):
                held = rng.uniform(500, 20_000) / price
                day = rng.choice([date(2015, 3, 2).isoformat(), ago(200), ago(9)])
                quantity = f"{held:.3f}" if security == "B" else f"{max(round(held), 1)}"
                lots.append(f"{name} | {security} | {lot} | {quantity} | {price * rng.uniform(0.4, 1.7):.4f} | {day}")
    drawn = {"accounts": "\n".join(accounts), "lots": "\n".join(lots), "cash": "\n".join(cash)}
    return facts_of(policy, securities=SECURITIES, prices=PRICES, model_targets=TARGETS, buy_list=BUYS, **drawn)


@cache
def pages() -> tuple[Page, ...]:
    """The pages of all accounts under all policies."""
    found = []
    for seed, policy in enumerate(POLICIES):
        facts = random_facts(1_000 + seed, policy)
        found += [page(record) for record in records_of(facts, facts.accounts["account_id"]).values()]
    return tuple(found)


def traded() -> Iterator[Page]:
    return (found for found in pages() if found["proposal"] is not None)


def taxed() -> Iterator[Page]:
    return (found for found in traded() if found["tax"]["tax_status"] == TaxStatus.TAXABLE)


def owed(short: float, long: float, short_rate: float, long_rate: float) -> float:
    """The year's tax, by cases."""
    if short < 0 < long:
        return max(long + short, 0.0) * long_rate
    if long < 0 < short:
        return max(short + long, 0.0) * short_rate
    return max(short, 0.0) * short_rate + max(long, 0.0) * long_rate


def test_the_accounts_are_many_and_of_every_kind() -> None:
    assert len(list(traded())) > 80
    kinds = {(found["tax"]["netting_after"], found["tax"]["side"]) for found in taxed()}
    assert {"gains", "losses", "long_loss", "short_loss"} <= {netting for netting, _ in kinds}
    assert {"A", "B"} <= {side for _, side in kinds}
    assert any(term["disallowed_usd"] > 1 for found in taxed() for term in found["tax"]["terms"])
    binding = {limit["limit"] for found in traded() for limit in found["limits"] if limit["is_binding"]}
    assert binding == {"cash", "gain_budget", "turnover", "orders"}
    assert any(row["is_binding"] and row["sold_usd"] > 0 for found in traded() for row in found["losses"])
    parts = {one["part"] for found in traded() for one in found["certificate"]["parts"] if one["usd"] > CENT}
    assert {"whole_units", "smallest_order", "order_limit"} <= parts


def test_before_tonight_and_what_is_disallowed_come_to_after() -> None:
    for found in taxed():
        for term in found["tax"]["terms"]:
            sum_of = term["before_usd"] + term["tonight_usd"] + term["disallowed_usd"]
            assert sum_of == pytest.approx(term["after_usd"], abs=1e-4)


def test_the_tax_before_and_after_is_that_of_the_net_gains_shown() -> None:
    for found in taxed():
        tax = found["tax"]
        rates = (tax["short_term_rate"], tax["long_term_rate"])
        before, after = (owed(*(term[when] for term in tax["terms"]), *rates) for when in ("before_usd", "after_usd"))
        assert before == pytest.approx(tax["tax_before_usd"], abs=CENT)
        assert after == pytest.approx(tax["tax_after_usd"], abs=CENT)
        assert after - before == pytest.approx(tax["est_tax_usd"], abs=CENT)
        assert sum(order["est_tax_usd"] for order in found["orders"]) == pytest.approx(tax["est_tax_usd"], abs=1e-4)


def test_the_objective_is_not_below_its_bound_and_the_gap_is_the_sum_of_its_parts() -> None:
    for found in traded():
        certificate = found["certificate"]
        assert certificate["objective_usd"] >= certificate["lower_bound_usd"] - 1e-6
        assert all(one["usd"] >= -1e-6 for one in certificate["parts"])
        assert sum(one["usd"] for one in certificate["parts"]) == pytest.approx(certificate["gap_usd"], abs=1e-4)
        low, high = certificate["lower_bound_usd"] - 1e-6, certificate["objective_usd"] + 1e-6
        assert low <= certificate["continuous_usd"] <= high
        marks = gap_marks(certificate)
        assert [mark.start for mark in marks[1:]] == [mark.end for mark in marks[:-1]]
        if certificate["is_idle_allowed"]:
            assert certificate["idle_usd"] >= certificate["objective_usd"] - 1e-6


def test_an_order_is_worth_its_cost_or_says_why_it_is_made() -> None:
    orders = [order for found in traded() for order in found["orders"]]
    for order in orders:
        assert (order["note"] is None) == (order["worth_usd"] >= -1e-10 * order["value_usd"])
        assert order["worth_usd"] == pytest.approx(
            order["value_usd"] * (order["marginal_benefit_bps"] - order["marginal_cost_bps"]) / 1e4
        )
    assert sum(order["note"] is not None for order in orders) < 0.05 * len(orders)


def test_no_more_is_sold_at_a_loss_than_there_is_room_for_and_a_room_that_does_not_bind_is_worth_nothing() -> None:
    for found in traded():
        for row in found["losses"]:
            assert row["sold_usd"] <= row["room_usd"] + CENT
            assert row["sold_usd"] + row["harvested_usd"] <= row["held_usd"] + CENT
            assert (row["price_bps"] > 0) == row["is_binding"]
            assert not row["is_binding"] or row["sold_usd"] > row["room_usd"] - UNITS[row["asset_class"]]


def test_no_limit_is_passed_and_one_that_does_not_bind_is_worth_nothing() -> None:
    for found in traded():
        limits = {row["limit"]: row for row in found["limits"]}
        for name in ("gain_budget", "turnover"):
            row = limits[name]
            assert row["is_binding"] == (row["price_bps"] > 1e-5)
        turnover = limits["turnover"]
        assert turnover["most"] is None or turnover["used"] <= turnover["most"] + CENT
        assert limits["orders"]["used"] == len(found["orders"])
        assert limits["cash"]["used"] == pytest.approx(found["cash"]["before_usd"] - found["cash"]["after_usd"])


def test_the_way_of_a_class_is_that_of_its_orders() -> None:
    classes = {"S": "stocks", "T": "stocks", "B": "bonds", "G": "gold"}
    for found in traded():
        ways = {row["asset_class"]: row for row in found["ways"]}
        for name in CLASSES:
            sides = {order["side"] for order in found["orders"] if classes[order["security_id"]] == name}
            expected = {"buys": {"buy"}, "sells": {"sell"}, "neither": set(), "replaces": {"buy", "sell"}}
            assert sides == expected[ways[name]["way"]]
            value = {
                side: sum(
                    order["value_usd"]
                    for order in found["orders"]
                    if order["side"] == side and classes[order["security_id"]] == name
                )
                for side in ("buy", "sell")
            }
            row = ways[name]
            assert row["bought_usd"] == pytest.approx(value["buy"], abs=CENT)
            assert row["sold_usd"] + row["outright_usd"] == pytest.approx(value["sell"], abs=CENT)
            assert row["off_usd"] == pytest.approx(row["over_usd"] + row["bought_usd"] - row["sold_usd"], abs=CENT)


def test_last_week_is_within_the_window() -> None:
    assert (AS_OF - date.fromisoformat(ago(9))).days == 9
