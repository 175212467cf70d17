from dataclasses import replace
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.landing_columns import dtypes
from schemas.policy import Policy
from schemas.tables import USD
from schemas.units import EXACT
from tasks.core.facts.facts import (
    account_parameters,
    priced_securities,
    rounded_usd,
    usd,
    valued_lots,
    with_policy_defaults,
)
from tasks.core.facts.sums import exact_sum
from tests.support.facts_table import facts_of

amounts = st.decimals("0.000001", "99999999", places=6)


def product(quantity: str, price: str) -> Decimal:
    frame = pl.DataFrame({"q": [Decimal(quantity)], "p": [Decimal(price)]}, schema={"q": EXACT, "p": EXACT})
    found: Decimal = frame.select(usd(pl.col("q"), pl.col("p"), pl.lit(1, EXACT))).item()
    return found


@pytest.mark.parametrize(
    ("quantity", "price", "value"),
    [
        ("3", "33.33", "99.99"),
        ("0.000001", "0.5", "0"),
        ("0.000003", "0.5", "0.000002"),
        ("-0.000003", "0.5", "-0.000002"),
    ],
)
def test_a_value_is_exact_and_rounded_half_even_at_the_sixth_digit(quantity: str, price: str, value: str) -> None:
    assert product(quantity, price) == Decimal(value)


@given(quantity=amounts, price=amounts)
def test_a_value_is_the_product_to_half_a_millionth(quantity: Decimal, price: Decimal) -> None:
    assert abs(product(str(quantity), str(price)) - quantity * price) <= Decimal("0.0000005")


def test_an_amount_is_rounded_to_millionths() -> None:
    frame = pl.DataFrame({"amount": [1.0000004, -2.9999996, None]})
    found = frame.select(rounded_usd(pl.col("amount"))).to_series()
    assert found.dtype == USD
    assert found.to_list() == [1, -3, None]


@given(numbers=st.lists(st.floats(-10, 10), min_size=1, max_size=30), seed=st.integers(0, 99))
def test_an_exact_sum_does_not_depend_on_the_order(numbers: list[float], seed: int) -> None:
    frame = pl.DataFrame({"x": numbers})
    shuffled = frame.sample(fraction=1, shuffle=True, seed=seed)
    found = frame.select(exact_sum(pl.col("x"))).item()
    assert shuffled.select(exact_sum(pl.col("x"))).item() == found
    assert found == pytest.approx(sum(numbers), abs=1e-12)


def test_a_policy_that_says_nothing_has_every_default() -> None:
    silent = pl.DataFrame([{"policy_id": "p"}], schema=dtypes("policies"))
    row = with_policy_defaults(silent).drop("policy_id").row(0, named=True)
    assert row == Policy().model_dump(mode="json")


def test_what_a_policy_says_is_kept_zero_and_false_included() -> None:
    spoken: dict[str, Any] = {
        "policy_id": "p",
        "min_trade_usd": 0.0,
        "is_threshold_triggered": False,
        "wash_sale_days": 0,
    }
    row = with_policy_defaults(pl.DataFrame([spoken], schema=dtypes("policies"))).row(0, named=True)
    assert {name: row[name] for name in spoken} == spoken


def test_lots_are_those_of_the_accounts_at_their_prices() -> None:
    facts = facts_of(
        lots="""
            account_id | security_id | quantity
            other      | S           | 5
            a          | B           | 2.5
            a          | S           | 1
        """,
        prices="security_id | price_usd\n S | 10\n B | 3.3",
    )
    lots = valued_lots(facts, priced_securities(facts))
    assert lots.select("security_id", "asset_class", "value_usd").rows() == [
        ("B", "bonds", Decimal("8.25")),
        ("S", "stocks", Decimal(10)),
    ]


def test_a_security_without_a_price_is_kept_without_one() -> None:
    facts = facts_of(prices="security_id\n S")
    assert dict(priced_securities(facts).select("security_id", "price_usd").rows()) == {"S": 100, "B": None}


def test_parameters_are_the_accounts_its_policys_and_its_cash_beyond_the_reserve() -> None:
    facts = facts_of(
        {"trade_to": 0.5},
        accounts="account_id | cash_reserve_usd\n b | 0\n a | 250.5",
        cash="account_id | settled_usd | pending_usd\n a | 100 | -50\n b | 8 | 1",
    )
    parameters = account_parameters(facts)
    assert parameters.select("account_id", "cash_usd", "trade_to", "tracking_penalty").rows() == [
        ("a", Decimal("-200.5"), 0.5, 2.0),
        ("b", Decimal(8), 0.5, 2.0),
    ]


def test_accounts_of_a_managed_household_follow_its_model_and_policy() -> None:
    facts = facts_of(
        accounts="account_id | household_id | model_id\n a | h | m\n b | h | x\n c | g | x\n d | | x",
        households="household_id | model_id | policy_id\n h | y | q",
    )
    strict = facts.policies.with_columns(policy_id=pl.lit("q"), trade_to=pl.lit(0.5))
    parameters = account_parameters(replace(facts, policies=pl.concat([facts.policies, strict])))
    assert parameters.select("account_id", "managed_household_id", "model_id", "policy_id", "trade_to").rows() == [
        ("a", "h", "y", "q", 0.5),
        ("b", "h", "y", "q", 0.5),
        ("c", None, "x", "p", 0.0),
        ("d", None, "x", "p", 0.0),
    ]
    assert parameters["household_id"].to_list() == ["h", "h", "g", None]


def test_losses_carried_forward_are_zero_where_there_are_none() -> None:
    facts = facts_of(accounts="account_id | loss_carryforward_short_usd\n a | 12.5\n b |")
    carried = account_parameters(facts).select("loss_carryforward_short_usd", "loss_carryforward_long_usd")
    assert carried.rows() == [(Decimal("12.5"), 0), (0, 0)]


def test_a_lot_is_frozen_only_where_it_is_said_to_be() -> None:
    facts = facts_of(lots="security_id | quantity | is_frozen\n S | 1 | true\n B | 1 | false\n S | 2 |")
    assert valued_lots(facts, priced_securities(facts))["is_frozen"].to_list() == [True, False, False]
