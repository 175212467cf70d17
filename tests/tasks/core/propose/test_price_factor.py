"""Value, basis and gain are quantity x price x factor: a bond at percent of par is worth what the same bond is at dollars a unit."""

from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.facts.facts import Facts, priced_securities, valued_lots
from tasks.core.propose import order_rows, proposal_rows
from tests.support.examples import at_most
from tests.support.facts_table import drift_of, facts_of
from tests.tasks.core.propose.test_engine import measured, solved_of

COMPARED = ("account_id", "side", "security_id", "quantity", "value_usd", "est_cost_usd", "est_tax_usd")


def world(factor: str, price: Decimal, cost: Decimal, face: int, step: str = "1000", **more: str) -> Facts:
    return facts_of(
        securities=f"""
            security_id | asset_class | security_type | quantity_step | half_spread_bps | price_factor
            S           | stocks      | etf           | 1             | 1               |
            P           | bonds       | bond          | {step}        | 5               | {factor}
        """,
        prices=f"security_id | price_usd\n S | 300\n P | {price}",
        buy_list="asset_class | security_id\n stocks | S\n bonds | P",
        lots=f"""
            security_id | lot_id | quantity | unit_cost_usd | acquired_date
            P           | 1      | {face}   | {cost}        | 2015-01-05
            S           | 1      | 35       | 100           | 2015-01-05
        """,
        cash="account_id | settled_usd\n a | 500",
        **more,
    )


def test_a_bond_at_percent_of_par_is_worth_its_price() -> None:
    drift = drift_of(world("0.01", Decimal("98.5"), Decimal("97.2"), 10_000))
    assert dict(drift.select("asset_class", pl.col("value_usd").cast(pl.Float64)).rows())["bonds"] == 9_850
    assert float(drift["nav_usd"][0]) == 9_850 + 10_500 + 500


@pytest.mark.parametrize(
    ("factor", "price", "value"),
    [("0.01", "101.123456", 10_112.3456), ("10", "5", 500_000.0), ("100", "2.5", 2_500_000.0), ("0.001", "1", 10.0)],
)
def test_any_factor_counts(factor: str, price: str, value: float) -> None:
    facts = world(factor, Decimal(price), Decimal(price), 10_000)
    lots = valued_lots(facts, priced_securities(facts))
    assert lots.filter(security_id="P")["value_usd"].cast(pl.Float64).to_list() == [value]


def test_an_order_of_a_bond_names_its_factor_and_its_value() -> None:
    facts = world(
        "0.01",
        Decimal("98.5"),
        Decimal("97.2"),
        20_000,
        model_targets="asset_class | target_weight\n stocks | 0.8\n bonds | 0.2\n cash | 0",
    )
    orders, relief = order_rows(solved_of(facts), "r")
    (bond,) = orders.filter(security_id="P").iter_rows(named=True)
    assert (bond["price_usd"], bond["price_factor"]) == (Decimal("98.5"), Decimal("0.01"))
    assert bond["value_usd"] == bond["quantity"] * Decimal("98.5") / 100
    (lot,) = relief.iter_rows(named=True)
    assert lot["gain_usd"] == lot["quantity"] * (Decimal("98.5") - Decimal("97.2")) / 100


@settings(max_examples=at_most(40), deadline=None)
@given(
    st.integers(100, 20_000),
    st.integers(1, 20_000),
    st.integers(1, 60),
    st.sampled_from([("0.01", Decimal(100)), ("0.1", Decimal(10)), ("10", Decimal(1) / 10), ("0.5", Decimal(2))]),
    st.sampled_from(["", " P | hold_range | | | 500 | 6000", " P | hold_range | 3000 | 9000 | | "]),
)
def test_the_same_bond_quoted_another_way_makes_the_same_trades(
    cents: int, cost: int, thousands: int, factor: tuple[str, Decimal], rule: str
) -> None:
    text, times = factor
    price, basis, face = Decimal(cents) / 100, Decimal(cost) / 100, thousands * 1000
    columns = "security_id | rule | min_quantity | max_quantity | min_value_usd | max_value_usd"
    more = {"restrictions": f"{columns}\n{rule}"} if rule else {}
    found = []
    for quoted in (world(text, price * times, basis * times, face, **more), world("1", price, basis, face, **more)):
        solved = solved_of(quoted)
        orders, relief = order_rows(solved, "r")
        proposals = proposal_rows(solved, orders, relief, measured(quoted))
        found.append((orders.select(COMPARED), relief.select("lot_id", "quantity", "gain_usd"), proposals))
    (first, second) = found
    assert first[0].equals(second[0])
    assert first[1].equals(second[1])
    assert first[2]["est_tax_usd"].equals(second[2]["est_tax_usd"])
