"""Returns: known answers, and the faults that are common elsewhere."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
import pyxirr
from hypothesis import given
from hypothesis import strategies as st

from schemas.enums import ReturnMethod
from tasks.core.performance.returns import (
    dietz_return,
    money_weighted_returns,
    period_growth,
    return_method,
    time_in_account,
)

FIRST = date(2026, 1, 1)


def earned(then: float, now: float, flow: float = 0.0, weighted: float = 0.0) -> float | None:
    columns = {"then": [then], "now": [now], "flow": [flow], "weighted": [weighted]}
    expression = dietz_return(*(pl.col(name) for name in columns))
    found: float | None = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Float64)).select(expression).item()
    return found


def test_modified_dietz_of_a_value_that_trebles_with_a_flow_half_way() -> None:
    assert earned(100, 300, flow=50, weighted=25) == pytest.approx(1.2, abs=1e-15)


def test_the_internal_rate_of_the_same_is_half_a_half() -> None:
    assert pyxirr.irr([-100, -50, 300]) == pytest.approx(0.5, abs=1e-12)
    days = 365
    found = money_weighted_returns(
        pl.DataFrame(
            {
                "account_id": ["a"],
                "inception_date": [FIRST],
                "inception_value_usd": [100.0],
                "night_date": [FIRST + timedelta(days=2 * days)],
                "value_usd": [300.0],
            }
        ),
        pl.DataFrame({"account_id": ["a"], "flow_date": [FIRST + timedelta(days=days)], "flow_usd": [50.0]}),
    )
    assert found["money_weighted_return"].item() == pytest.approx(1.5**2 - 1, abs=1e-9)


def test_a_rate_that_solves_nothing_is_null() -> None:
    accounts = pl.DataFrame(
        {
            "account_id": ["a", "b"],
            "inception_date": [FIRST, FIRST],
            "inception_value_usd": [0.0, 100.0],
            "night_date": [FIRST + timedelta(days=10)] * 2,
            "value_usd": [0.0, 100.0],
        }
    )
    flows = pl.DataFrame(
        {
            "account_id": ["a", "a", "b", "c"],
            "flow_date": [FIRST + timedelta(days=4)] * 4,
            "flow_usd": [-5.0, -5.0, 0.0, 3.0],
        }
    )
    assert money_weighted_returns(accounts, flows).rows() == [("a", None)]


def test_days_link_at_the_value_before_each_flow() -> None:
    """100 grow by 10 %, 890 come in, all of it loses 10 %: 1.1 x 0.9, however large the flow."""
    first, second = earned(100, 110 + 890, flow=890), earned(1000, 900)
    assert first is not None
    assert second is not None
    assert (1 + first) * (1 + second) - 1 == pytest.approx(-0.01, abs=1e-15)


@given(
    returns=st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=20),
    flows=st.lists(st.floats(-0.3, 3), min_size=20, max_size=20),
)
def test_flows_do_not_move_the_time_weighted_return(returns: list[float], flows: list[float]) -> None:
    value, growth = 1000.0, 1.0
    for night, share in zip(returns, flows, strict=False):
        moved = value * (1 + night)
        flow = share * moved
        found = earned(value, moved + flow, flow=flow)
        assert found is not None
        growth, value = growth * (1 + found), moved + flow
    assert growth == pytest.approx(np.prod(1 + np.array(returns)), rel=1e-9)


@pytest.mark.parametrize("then", [0.0, 0.009, -5.0])
def test_an_account_that_was_worth_nothing_has_no_return(then: float) -> None:
    assert earned(then, 100, flow=100) is None


def test_a_withdrawal_that_leaves_nothing_to_earn_has_no_return() -> None:
    assert earned(100, 0, flow=-100, weighted=-100) is None


def test_the_time_in_the_account_is_that_after_the_flow() -> None:
    row = pl.DataFrame({"flow": [date(2026, 1, 3)], "since": [date(2026, 1, 1)], "night": [date(2026, 1, 5)]})
    assert row.select(time_in_account(pl.col("flow"), pl.col("since"), pl.col("night"))).item() == 0.5


def test_a_night_says_how_its_return_was_found() -> None:
    rows = pl.DataFrame({"base": [False, True, True], "weighted": [1.0, 1.0, 0.0]})
    found = rows.select(return_method(pl.col("base"), pl.col("weighted"))).to_series().to_list()
    assert found == [ReturnMethod.NO_VALUE, ReturnMethod.MODIFIED_DIETZ, ReturnMethod.LINKED]


def test_a_period_begins_anew_and_a_night_without_a_return_changes_nothing() -> None:
    rows = pl.DataFrame(
        {"before": [0.5, 0.5, 0.5, None], "earned": [0.1, 0.1, None, 0.1], "new": [False, True, False, False]}
    )
    found = rows.select(period_growth(pl.col("before"), pl.col("earned"), is_new=pl.col("new"))).to_series()
    assert found.to_list() == pytest.approx([0.65, 0.1, 0.5, 0.1])


def test_rebalancing_is_not_the_weighted_mean_of_returns() -> None:
    """50/50 of which one gains and the other loses 10 % a night: rebalanced 0, left alone 3.0 % after three nights."""
    rebalanced = 1.0
    alone = np.array([0.5, 0.5])
    for _ in range(3):
        one = earned(100, 50 * 1.1 + 50 * 0.9)
        assert one is not None
        rebalanced *= 1 + one
        alone = alone * np.array([1.1, 0.9])
    assert rebalanced - 1 == pytest.approx(0, abs=1e-15)
    assert alone.sum() - 1 == pytest.approx(0.03, abs=1e-12)
