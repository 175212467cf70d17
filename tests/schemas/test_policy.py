"""Policy: the defaults that section 6 of the design promises, its limits, and its twin in the landing contract."""

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.enums import BandRule, Calendar, ShortTermGains, TradeMode, Unmodelled
from schemas.landing import Policies
from schemas.landing_columns import dtypes
from schemas.policy import Policy

DEFAULTS = {
    "is_pending_invested": False,
    "cash_tolerance_usd": 5.0,
    "tracking_penalty": 2.0,
    "band_rule": BandRule.LESSER,
    "trade_to": 0.0,
    "calendar": Calendar.NONE,
    "is_threshold_triggered": True,
    "cool_down_days": 0,
    "open_order_sessions": 5,
    "min_trade_usd": 100.0,
    "min_trade_weight": 0.0,
    "improvement": 0.0,
    "max_turnover": None,
    "max_orders": None,
    "trade_mode": TradeMode.FULL,
    "fewest_trades_bps": 0.0,
    "unmodelled": Unmodelled.HOLD,
    "short_term_gains": ShortTermGains.ALLOW,
    "max_realized_gain_usd": None,
    "is_harvesting": False,
    "harvest_min_loss_usd": 500.0,
    "harvest_min_loss_fraction": 0.05,
    "wash_sale_days": 30,
    "auto_approve_max_turnover": None,
    "auto_approve_max_tax_usd": None,
    "four_eyes_above_usd": None,
    "proposal_ttl_hours": 20.0,
}


def test_defaults_are_those_promised() -> None:
    assert Policy().model_dump() == DEFAULTS


def test_the_landing_table_has_exactly_these_parameters() -> None:
    assert set(dtypes("policies")) == {"policy_id", *Policy.model_fields}


def test_every_parameter_may_be_absent_from_the_landing_table() -> None:
    columns = Policies.to_schema().columns
    assert {name for name, column in columns.items() if not column.nullable} == {"policy_id"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tracking_penalty", 0),
        ("tracking_penalty", float("inf")),
        ("tracking_penalty", float("nan")),
        ("band_rule", "widest"),
        ("trade_to", 1.01),
        ("trade_to", -0.01),
        ("calendar", "fortnightly"),
        ("cool_down_days", -1),
        ("open_order_sessions", 0),
        ("open_order_sessions", 61),
        ("cool_down_days", 1.5),
        ("min_trade_usd", -1),
        ("min_trade_weight", 2),
        ("unmodelled", "buy"),
        ("short_term_gains", "never"),
        ("max_realized_gain_usd", -1),
        ("harvest_min_loss_fraction", 5),
        ("wash_sale_days", -1),
        ("auto_approve_max_turnover", -0.1),
        ("auto_approve_max_tax_usd", float("inf")),
        ("four_eyes_above_usd", -1),
        ("proposal_ttl_hours", 0),
        ("proposal_ttl_hours", 1e10),
        ("wash_sale_days", 367),
        ("cool_down_days", 10**9),
        ("max_orders", 10**18),
        ("max_turnover", 10.5),
        ("fewest_trades_bps", 10_001),
        ("min_trade_usd", 1e13),
    ],
)
def test_a_value_out_of_range_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        Policy(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("trade_to", 0), ("trade_to", 1), ("max_realized_gain_usd", 0), ("wash_sale_days", 0), ("min_trade_weight", 1)],
)
def test_the_edge_of_a_range_is_inside(name: str, value: float) -> None:
    assert getattr(Policy(**{name: value}), name) == value


NUMBERS = [name for name, dtype in dtypes("policies").items() if dtype.is_numeric()]


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_has_a_range_and_the_landing_table_has_the_same(name: str) -> None:
    checks = Policies.to_schema().columns[name].checks
    low, high = (next(iter(check.statistics.values())) for check in checks)
    for value in (low, high):
        assert getattr(Policy(**{name: value}), name) == value
    for value in (low - 1, high + 1):
        with pytest.raises(ValidationError, match=name):
            Policy(**{name: value})


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Policy(kappa=2.0)  # type: ignore[call-arg]


def test_a_policy_is_frozen() -> None:
    policy = Policy()
    with pytest.raises(ValidationError, match="frozen"):
        policy.trade_to = 1.0  # type: ignore[misc]
