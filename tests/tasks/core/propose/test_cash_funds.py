"""Funds of the class cash are cash: they count, pay what is owed, and their excess is invested."""

from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.enums import Side
from tasks.core.facts.facts import Facts
from tasks.core.propose import order_rows
from tasks.core.solver import CANNOT_RAISE_CASH, STAYS
from tests.support.examples import at_most
from tests.support.facts_table import facts_of
from tests.tasks.core.propose.test_engine import measured, orders_that_add_up, solved_of

SECURITIES = """
    security_id | asset_class | quantity_step | half_spread_bps
    S           | stocks      | 1             | 1
    B           | bonds       | 1             | 1
    M           | cash        | {step}        | {spread}
    N           | cash        | 1             | 0
"""
PRICES = "security_id | price_usd\n S | 100\n B | 50\n M | 1\n N | 25"
TARGETS = "asset_class | target_weight\n stocks | 0.5\n bonds | 0.48\n cash | 0.02"


def world(
    lots: str, cash: str, policy: dict[str, Any] | None = None, /, step: str = "0.01", spread: str = "0", **more: str
) -> Facts:
    drawn = {
        "securities": SECURITIES.format(step=step, spread=spread),
        "prices": PRICES,
        "model_targets": TARGETS,
        "lots": f"security_id | quantity | unit_cost_usd | lot_id\n{lots}",
        "cash": f"account_id | settled_usd | pending_usd\n a | {cash}",
    }
    return facts_of(policy or {}, **{**drawn, **more})


def orders_of(facts: Facts) -> dict[tuple[str, str], Decimal]:
    """Quantity by side and security; everything that must add up does."""
    orders = orders_that_add_up(facts)
    return {
        (side, security): quantity
        for side, security, quantity in orders.select("side", "security_id", "quantity").rows()
    }


ON_TARGET = " S | 50 | 50 | 1\n B | 96 | 50 | 1\n"


@pytest.mark.parametrize(
    ("lots", "cash", "sold"),
    [
        (" M | 22000 | 1 | 1", "0 | -20000", {"M": "20000"}),
        (" M | 22000 | 1 | 1", "-20000 | 0", {"M": "20000"}),
        (" M | 12000.5 | 1 | 1\n M | 10000 | 0.9 | 2", "500 | -20500.25", {"M": "20000.25"}),
        (" N | 880 | 25 | 1", "0 | -20000", {"N": "800"}),
        (" N | 400 | 25 | 1\n M | 12000 | 1 | 1", "0 | -20000", {"M": "12000", "N": "320"}),
    ],
)
def test_a_fund_pays_the_cash_that_is_owed_and_nothing_else_is_sold(lots: str, cash: str, sold: dict[str, str]) -> None:
    more = " S | 500 | 50 | 1\n B | 960 | 50 | 1\n"
    found = orders_of(world(more + lots, cash))
    assert found == {("sell", name): Decimal(quantity) for name, quantity in sold.items()}


def test_the_excess_of_a_fund_is_invested() -> None:
    found = orders_of(world(" S | 5 | 50 | 1\n B | 10 | 50 | 1\n M | 9000 | 1 | 1", "0 | 0"))
    assert set(found) == {("sell", "M"), ("buy", "S"), ("buy", "B")}
    assert Decimal(9_700) > found["sell", "M"] > Decimal(8_600)


def test_settled_cash_goes_before_the_fund() -> None:
    found = orders_of(world(" S | 40 | 50 | 1\n B | 96 | 50 | 1\n M | 200 | 1 | 1", "1050 | 0"))
    assert set(found) == {("buy", "S")}


@pytest.mark.parametrize(
    ("column", "more"),
    [
        ("restricted", {"restrictions": "security_id | rule\n M | no_sell"}),
        ("kept", {"restrictions": "security_id | rule | min_quantity\n M | hold_range | 22000"}),
        ("no basis", {}),
    ],
)
def test_a_fund_that_may_not_be_sold_does_not_pay(column: str, more: dict[str, str]) -> None:
    cost = "" if column == "no basis" else "1"
    found = orders_of(world(f" S | 500 | 50 | 1\n B | 960 | 50 | 1\n M | 22000 | {cost} | 1", "0 | -20000", **more))
    assert ("sell", "M") not in found
    assert {side for side, _ in found} == {"sell"}


@pytest.mark.parametrize(
    "policy",
    [
        {"trade_mode": "buy_only"},
        {"short_term_gains": "avoid"},
        {"trade_mode": "sell_only"},
        {"trade_mode": "cash_flow_first"},
    ],
)
def test_what_policy_prefers_does_not_keep_a_fund(policy: dict[str, Any]) -> None:
    lots = " S | 500 | 50 | 1\n B | 960 | 50 | 1\n M | 22000 | 0.99 | 1"
    assert orders_of(world(lots, "0 | -20000", policy))["sell", "M"] == 20_000


def test_of_a_fund_that_has_a_maximum_the_rest_is_sold() -> None:
    rule = "security_id | rule | max_quantity\n M | hold_range | 150.005"
    lots = " S | 50 | 50 | 1\n B | 96 | 50 | 1\n M | 204.1 | 1 | 1"
    assert orders_of(world(lots, "0 | 0", spread="12.5", restrictions=rule)) == {("sell", "M"): Decimal("54.1")}


def test_limits_are_kept_with_what_funds_need_of_them() -> None:
    lots = " S | 5 | 50 | 1\n B | 10 | 50 | 1\n M | 9000 | 1 | 1"
    solved = solved_of(facts := world(lots, "0 | 0", {"max_turnover": 0.2}))
    orders, _ = order_rows(solved, "r")
    assert 0 < float(orders["value_usd"].sum()) <= 2 * 0.2 * 10_000 + 1e-6
    assert len(orders_of(world(lots, "0 | 0", {"max_orders": 2}))) <= 2
    assert orders_of(facts)
    at_a_gain = " S | 5 | 50 | 1\n B | 10 | 50 | 1\n M | 9000 | 0.5 | 1"
    assert orders_of(world(at_a_gain, "0 | 0", {"max_realized_gain_usd": 100.0})) == {}


def test_what_even_funds_cannot_raise_is_owed_still() -> None:
    solved = solved_of(
        world(" M | 100 | 1 | 1\n B | 10 | 50 | 1", "-1000 | 0", restrictions="security_id | rule\n B | no_sell")
    )
    assert solved.accounts["status"].to_list() == [CANNOT_RAISE_CASH]
    assert solved.lots["sold"].sum() == 0


def test_each_member_of_a_household_is_paid_by_its_own_fund() -> None:
    facts = facts_of(
        accounts="account_id | household_id\n a | h\n b | h",
        households="household_id\n h",
        securities=SECURITIES.format(step="0.01", spread="0"),
        prices=PRICES,
        model_targets=TARGETS,
        lots="""
            account_id | security_id | quantity | unit_cost_usd
            a          | S           | 500      | 100
            a          | M           | 12000    | 1
            b          | B           | 960      | 50
            b          | M           | 12000    | 1
        """,
        cash="account_id | settled_usd | pending_usd\n a | 0 | -11000\n b | 0 | -11000",
    )
    orders, _ = order_rows(solved_of(facts), "r")
    rows = orders.filter(security_id="M").select("account_id", "side", pl.col("quantity").cast(pl.Float64)).rows()
    assert rows == [("a", "sell", 11_000), ("b", "sell", 11_000)]
    assert orders.filter(pl.col("security_id") != "M").is_empty()


@pytest.mark.parametrize(("settled", "is_owed"), [("-0.01", False), ("-5", False), ("-5.01", True), ("0", False)])
def test_a_few_dollars_below_zero_are_not_owed(settled: str, *, is_owed: bool) -> None:
    facts = world(
        ON_TARGET,
        f"{settled} | 0",
        model_targets="asset_class | target_weight\n stocks | 0.51\n bonds | 0.49\n cash | 0",
    )
    assert bool(orders_of(facts)) is is_owed
    assert (measured(facts)["triggers"].item() == "cash") is is_owed


@pytest.mark.parametrize("reserve", ["100", "2500.5"])
def test_what_is_tolerated_is_so_below_the_reserve_too(reserve: str) -> None:
    accounts = f"account_id | cash_reserve_usd\n a | {reserve}"
    lots = " S | 51 | 50 | 1\n B | 98 | 50 | 1\n"
    for less, word in (("4.99", ""), ("5.01", "cash")):
        settled = str(Decimal(reserve) - Decimal(less))
        assert measured(world(lots, f"{settled} | 0", accounts=accounts))["triggers"].item() == word


@pytest.mark.parametrize(
    ("policy", "pending", "counted"),
    [
        ({}, "50000", 0),
        ({}, "-50", -50),
        ({"is_pending_invested": True}, "50000", 50_000),
        ({"is_pending_invested": True}, "-7.5", -7.5),
    ],
)
def test_contributions_count_when_they_have_settled_and_withdrawals_at_once(
    policy: dict[str, Any], pending: str, counted: float
) -> None:
    facts = world(ON_TARGET, f"200 | {pending}", policy)
    assert float(measured(facts)["nav_usd"].item()) == 200 + 5_000 + 4_800 + counted
    bought = sum(quantity for (side, _), quantity in orders_of(facts).items() if side == Side.BUY)
    assert (bought > 0) is (counted > 1_000)


LOTS = st.lists(
    st.tuples(st.sampled_from("SBMN"), st.integers(1, 4_000_000), st.sampled_from(["0.5", "1", "30", "60", "120"])),
    min_size=1,
    max_size=7,
)


@settings(max_examples=at_most(60), deadline=None)
@given(
    LOTS,
    st.integers(-200_000, 200_000),
    st.sampled_from(["0.01", "1", "0.001"]),
    st.sampled_from(["0", "1", "12.5"]),
    st.sampled_from(
        [{}, {"trade_mode": "buy_only"}, {"min_trade_usd": 0.0}, {"max_turnover": 0.1}, {"is_harvesting": True}]
    ),
)
def test_cash_never_ends_below_the_reserve_and_funds_are_sold_only_where_they_are_needed(
    lots: list[tuple[str, int, str]], cents: int, step: str, spread: str, policy: dict[str, Any]
) -> None:
    drawn = "\n".join(
        f" {name} | {Decimal(quantity) / 1000} | {cost} | {number}"
        for number, (name, quantity, cost) in enumerate(lots)
    )
    facts = world(drawn, f"{Decimal(cents) / 100} | 0", policy, step=step, spread=spread)
    found = orders_of(facts)
    solved = solved_of(facts)
    if solved.accounts["status"].item() in {CANNOT_RAISE_CASH, STAYS}:
        assert found == {}
        return
    after = float(solved.accounts["cash_after"].item())
    floor = -5.0 if not solved.accounts["is_owing"].item() else 0.0
    assert after >= floor - 1e-6
    if any(name in {"M", "N"} for side, name in found):
        least = max(policy.get("min_trade_usd", 100.0), 0.0)
        assert after <= max(least, 25.0 + least) + 26.0, (
            "no more of the funds than what was short, a step and the smallest order"
        )
    assert all(side == Side.SELL for side, name in found if name in {"M", "N"})


@settings(max_examples=at_most(25), deadline=None)
@given(st.integers(0, 3_000_000), st.integers(-500_000, 900_000), st.integers(1, 90), st.integers(1, 180))
def test_a_fund_at_a_constant_price_is_the_same_as_cash(fund: int, cents: int, stocks: int, bonds: int) -> None:
    held, cash = Decimal(fund) / 100, Decimal(cents) / 100
    lots = f" S | {stocks} | 100 | 1\n B | {bonds} | 50 | 1\n"
    with_fund = world(f"{lots} M | {held} | 1 | 1", f"{cash} | 0", {"cash_tolerance_usd": 0.0})
    with_cash = world(lots, f"{cash + held} | 0", {"cash_tolerance_usd": 0.0})
    first, second = orders_of(with_fund), orders_of(with_cash)
    assert {key: quantity for key, quantity in first.items() if key[1] != "M"} == second
