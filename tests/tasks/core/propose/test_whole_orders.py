"""An order is a multiple of the security's step unless it sells all that is held, whatever its lots are."""

from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.enums import Side
from tasks.core.facts.facts import Facts
from tests.support.examples import at_most
from tests.support.facts_table import facts_of
from tests.tasks.core.propose.test_engine import orders_that_add_up

SECURITIES = """
    security_id | asset_class | quantity_step | half_spread_bps
    S           | stocks      | 1             | 1
    T           | stocks      | {step}        | 3
    B           | bonds       | 1             | 1
"""
BUYS = "asset_class | security_id | rank\n stocks | T | 1\n stocks | S | 2\n bonds | B | 1"


def world(
    lots: str, policy: dict[str, Any] | None = None, /, step: str = "1", settled: str = "0", **more: str
) -> Facts:
    header = "security_id | lot_id | quantity | unit_cost_usd | acquired_date\n"
    drawn = {
        "securities": SECURITIES.format(step=step),
        "buy_list": BUYS,
        "lots": header + lots,
        "cash": f"account_id | settled_usd\n a | {settled}",
    }
    return facts_of(policy or {}, **{**drawn, **more})


def checked_orders(facts: Facts) -> pl.DataFrame:
    """Orders that are whole, of lots that are there, and that add up."""
    orders = orders_that_add_up(facts)
    held = facts.lots.group_by("account_id", "security_id").agg(held=pl.col("quantity").sum())
    steps = facts.securities.select("security_id", "quantity_step")
    both = orders.join(held, on=["account_id", "security_id"], how="left").join(steps, on="security_id")
    for row in both.iter_rows(named=True):
        is_whole = Decimal(row["quantity"]) % Decimal(row["quantity_step"]) == 0
        assert is_whole or (row["side"] == Side.SELL and row["quantity"] == row["held"]), row
    return orders


def sold(facts: Facts, security: str = "S") -> float:
    orders = checked_orders(facts).filter(side="sell", security_id=security)
    return float(orders["quantity"].sum())


DIVIDENDS = """
    S | 1 | 80    | 60  | 2015-01-05
    S | 2 | 4.337 | 90  | 2016-01-05
    S | 3 | 3.25  | 95  | 2017-01-05
    S | 4 | 2.5   | 110 | 2018-01-05
    B | 1 | 10    | 100 | 2015-01-05
"""


def test_lots_of_dividends_reinvested_make_whole_orders() -> None:
    assert sold(world(DIVIDENDS)) == 29
    assert sold(world(DIVIDENDS, accounts="account_id | tax_status\n a | tax_deferred")) == 31


def test_a_position_that_closes_goes_with_its_fractions() -> None:
    facts = world(
        DIVIDENDS,
        {"unmodelled": "sell"},
        accounts="account_id | tax_status\n a | tax_deferred",
        model_targets="asset_class | target_weight\n bonds | 1\n cash | 0",
        buy_list="asset_class | security_id\n bonds | B",
    )
    assert sold(facts) == 90.087


@pytest.mark.parametrize(
    ("why", "more"),
    [
        ("a lot is frozen", {}),
        ("no basis of one", {}),
        ("as much is kept", {"restrictions": "security_id | rule | min_quantity\n S | hold_range | 55.5"}),
    ],
)
def test_where_the_position_cannot_close_the_fraction_stays(why: str, more: dict[str, str]) -> None:
    cost = "" if why == "no basis of one" else "95"
    frozen = str(why == "a lot is frozen").lower()
    lots = f"""
        security_id | lot_id | quantity | unit_cost_usd | acquired_date | is_frozen
        S           | 1      | 80.25    | 60            | 2015-01-05    | false
        S           | 2      | 4.337    | 90            | 2016-01-05    | false
        S           | 3      | 3.25     | {cost}        | 2017-01-05    | {frozen}
    """
    facts = facts_of(
        {"unmodelled": "sell"},
        securities=SECURITIES.format(step="1"),
        buy_list="asset_class | security_id\n bonds | B",
        lots=lots,
        model_targets="asset_class | target_weight\n bonds | 1\n cash | 0",
        **more,
    )
    assert sold(facts) == {"as much is kept": 31}.get(why, 84)


def test_harvested_fractions_round_down_and_what_is_above_a_maximum_up() -> None:
    harvested = world(
        " S | 1 | 60.4 | 60 | 2015-01-05\n S | 2 | 9.7 | 300 | 2016-01-05\n B | 1 | 40 | 100 | 2015-01-05",
        {"is_harvesting": True},
    )
    assert sold(harvested) == 9
    above = world(
        " S | 1 | 30.4 | 60 | 2015-01-05\n S | 2 | 9.7 | 90 | 2016-01-05\n B | 1 | 40 | 100 | 2015-01-05",
        restrictions="security_id | rule | max_quantity\n S | hold_range | 25.5",
    )
    assert sold(above) == 15
    both = world(
        " S | 1 | 60.4 | 60 | 2015-01-05\n S | 2 | 9.7 | 300 | 2016-01-05\n B | 1 | 40 | 100 | 2015-01-05",
        {"is_harvesting": True},
        restrictions="security_id | rule | max_quantity\n S | hold_range | 50.05",
    )
    assert sold(both) == 21


def test_cash_that_is_owed_is_raised_in_whole_shares() -> None:
    found = sold(world(DIVIDENDS.replace("B | 1 | 10 ", "B | 1 | 60 "), settled="-550"))
    assert found == int(found) > 0


LOTS = st.lists(
    st.tuples(
        st.sampled_from("SSSTB"),
        st.integers(1, 60_000),
        st.sampled_from(["", "20", "60", "99.5", "100", "130", "260"]),
        st.sampled_from(["2015-01-05", "2025-09-01", "2026-02-20"]),
    ),
    min_size=2,
    max_size=9,
)
POLICIES = st.sampled_from(
    [
        {},
        {"is_harvesting": True, "harvest_min_loss_usd": 50.0},
        {"short_term_gains": "avoid"},
        {"max_realized_gain_usd": 200.0},
        {"max_turnover": 0.05},
        {"trade_mode": "cash_flow_first"},
        {"improvement": 0.5},
        {"max_orders": 2},
        {"min_trade_usd": 0.0, "tracking_penalty": 1000.0},
    ]
)
STATES = st.tuples(st.integers(-60_000, 200_000), st.sampled_from(["taxable", "tax_deferred"]))
RULES = st.sampled_from(
    [
        "",
        " S | no_sell | | ",
        " S | hold_range | 12.75 | ",
        " S | hold_range | | 20.4",
        " S | hold_range | 3.3 | 20.4",
        " T | no_trade | | ",
    ]
)


@settings(max_examples=at_most(80), deadline=None)
@given(LOTS, POLICIES, RULES, st.sampled_from(["1", "0.001", "5"]), STATES)
def test_every_order_is_whole(
    lots: list[tuple[str, int, str, str]], policy: dict[str, Any], rule: str, step: str, state: tuple[int, str]
) -> None:
    cents, status = state
    drawn = "\n".join(
        f" {name} | {number} | {Decimal(quantity) / 1000} | {cost} | {day}"
        for number, (name, quantity, cost, day) in enumerate(lots)
    )
    more = {"restrictions": f"security_id | rule | min_quantity | max_quantity\n{rule}"} if rule else {}
    checked_orders(
        world(
            drawn,
            policy,
            step=step,
            settled=str(Decimal(cents) / 100),
            accounts=f"account_id | tax_status\n a | {status}",
            **more,
        )
    )
