"""A purchase of a security that is ordered in dollars: its amount, its sentence, and the hash that an approval refers to."""

from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.facts.facts import Facts
from tasks.core.propose import order_rows, proposal_rows
from tests.support.examples import at_most
from tests.support.facts_table import facts_of
from tests.tasks.core.propose.test_engine import measured, solved_of


def world(unit: str, price: str = "54.37", cash: str = "10000", held: str = "") -> Facts:
    return facts_of(
        securities=f"""
            security_id | asset_class | security_type | quantity_step | half_spread_bps | order_in
            S           | stocks      | mutual_fund   | 0.001         | 0               | {unit}
            B           | bonds       | etf           | 1             | 1               |
        """,
        prices=f"security_id | price_usd\n S | {price}\n B | 72",
        lots=f"security_id | lot_id | quantity | unit_cost_usd | acquired_date\n {held or 'B | 1 | 3 | 70'} | 2015-01-05",
        cash=f"account_id | settled_usd\n a | {cash}",
    )


def orders_of(facts: Facts) -> pl.DataFrame:
    return order_rows(solved_of(facts), "r")[0]


def hash_of(facts: Facts) -> str:
    solved = solved_of(facts)
    orders, relief = order_rows(solved, "r")
    return str(proposal_rows(solved, orders, relief, measured(facts))["content_hash"].item())


@pytest.mark.parametrize("unit", ["usd", "shares", ""])
def test_what_is_bought_in_dollars_has_its_value_to_the_cent_as_its_amount(unit: str) -> None:
    orders = orders_of(world(unit))
    (fund,) = orders.filter(security_id="S").iter_rows(named=True)
    assert fund["side"] == "buy"
    assert fund["value_usd"] == fund["quantity"] * Decimal("54.37")
    assert fund["amount_usd"] == (round(fund["value_usd"], 2) if unit == "usd" else None)
    said = f"; ordered in dollars: {round(fund['value_usd'], 2)} USD"
    assert fund["reason"].endswith(said) is (unit == "usd")
    others = orders.filter(pl.col("security_id") != "S")
    assert others["amount_usd"].null_count() == others.height > 0


def test_what_is_sold_leaves_in_shares_for_it_closes_lots() -> None:
    orders, relief = order_rows(solved_of(world("usd", cash="0", held="S | 1 | 500.125 | 20")), "r")
    (sell,) = orders.filter(side="sell").iter_rows(named=True)
    assert (sell["security_id"], sell["amount_usd"]) == ("S", None)
    assert relief["quantity"].sum() == sell["quantity"]


def test_shares_and_dollars_are_the_same_trade_and_another_decision() -> None:
    in_shares, in_usd = (orders_of(world(unit)) for unit in ("shares", "usd"))
    told = ("amount_usd", "reason")
    assert in_shares.drop(told).equals(in_usd.drop(told))
    assert hash_of(world("shares")) == hash_of(world("")) != hash_of(world("usd"))


@settings(max_examples=at_most(40), deadline=None)
@given(st.integers(1_000, 200_000), st.integers(100_000, 90_000_000))
def test_an_amount_is_never_further_from_the_value_than_half_a_cent(price: int, cash: int) -> None:
    orders = orders_of(world("usd", str(Decimal(price) / 1_000), str(Decimal(cash) / 100)))
    for row in orders.filter(security_id="S").iter_rows(named=True):
        assert abs(row["amount_usd"] - row["value_usd"]) <= Decimal("0.005")
        assert row["amount_usd"] == row["amount_usd"].quantize(Decimal("0.01"))
