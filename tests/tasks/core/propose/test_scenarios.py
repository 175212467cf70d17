"""The trade-off between tracking and what it costs: what must hold between the scenarios whatever the accounts."""

from datetime import date
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.tables import PUBLIC
from tasks.core.drift.drift import account_drift
from tasks.core.facts.facts import Facts, account_parameters
from tasks.core.propose.scenarios import FACTORS, Scenario, frontier
from tests.support.examples import at_most
from tests.support.facts_table import drift_of, facts_of, household_drift_of

ACCOUNTS = 12
CLASSES = ("stocks", "bonds", "gold", "land")
FINE = "security_id | asset_class | quantity_step | half_spread_bps\n" + "\n".join(
    f"{name[0].upper()} | {name} | 0.0001 | {spread}" for name, spread in zip(CLASSES, (3, 8, 5, 20), strict=True)
)
TARGETS = "asset_class | target_weight\n stocks | 0.4\n bonds | 0.3\n gold | 0.2\n land | 0.1\n cash | 0"
BUYS = "asset_class | security_id\n" + "\n".join(f"{name} | {name[0].upper()}" for name in CLASSES)
FREE = {"min_trade_usd": 0.0, "trade_to": 0.2}
CENTS = 0.25
"""Rounding to 0.0001 shares of 100 USD, costs paid from cash, and what both spill into the tracking term."""


def frontier_of(facts: Facts, *wanted: str) -> pl.DataFrame:
    drift, accounts = drift_of(facts), account_parameters(facts)
    nobody = pl.DataFrame(schema={"account_id": pl.String})
    by_account = account_drift(drift, accounts, household_drift_of(facts), due=(), changed_models=nobody)
    names = pl.Series(wanted, dtype=pl.String) if wanted else accounts["account_id"]
    return frontier(facts, drift, by_account, names, run_id="r")


def random_facts(seed: int, least_gain: float, policy: dict[str, Any]) -> Facts:
    """Accounts with lots at a gain of ``least_gain`` to 70 % of their price in every class, and some cash."""
    rng = np.random.default_rng(seed)
    lots, cash = (
        ["account_id | security_id | lot_id | quantity | unit_cost_usd | acquired_date"],
        ["account_id | settled_usd"],
    )
    for number in range(ACCOUNTS):
        cash.append(f"a{number} | {rng.uniform(0, 5_000):.2f}")
        for name in CLASSES:
            for lot in range(int(rng.integers(1, 4))):
                cost, day = 100 * (1 - rng.uniform(least_gain, 0.7)), date(2025 - 8 * int(rng.integers(2)), 9, 1)
                lots.append(f"a{number} | {name[0].upper()} | {lot} | {rng.uniform(1, 400):.4f} | {cost:.4f} | {day}")
    drawn = {"lots": "\n".join(lots), "cash": "\n".join(cash)}
    names = "account_id\n" + "\n".join(f"a{number}" for number in range(ACCOUNTS))
    return facts_of({**FREE, **policy}, accounts=names, securities=FINE, model_targets=TARGETS, buy_list=BUYS, **drawn)


@cache
def random_frontier(seed: int, least_gain: float = 0.0) -> pl.DataFrame:
    return frontier_of(random_facts(seed, least_gain, {}))


def one(rows: pl.DataFrame, scenario: Scenario) -> pl.DataFrame:
    return rows.filter(pl.col("scenario") == scenario).sort("account_id")


def worst_beyond(rows: pl.DataFrame) -> float:
    """The least objective of any scenario less policy's own, usd."""
    policy = one(rows, Scenario.POLICY).select("account_id", best="objective_usd")
    beyond = rows.join(policy, on="account_id").select((pl.col("objective_usd") - pl.col("best")).min())
    return float(beyond.item())


SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=at_most(3), phases=[Phase.explicit, Phase.reuse, Phase.generate])
"""A smaller seed is no simpler book: nothing is shrunk."""


def test_the_table_has_the_columns_of_the_lake_and_its_grain() -> None:
    rows = random_frontier(1)
    assert rows.schema == pl.Schema(PUBLIC["frontier"])
    assert rows.height == ACCOUNTS * (len(Scenario) - 1 + len(FACTORS))
    assert not rows.select("account_id", "scenario", "tracking_penalty").is_duplicated().any()


@FEW
@given(SEEDS)
def test_tracking_never_grows_and_what_it_costs_never_falls_as_the_penalty_rises(seed: int) -> None:
    rows = random_frontier(seed).with_columns(paid=(pl.col("est_tax_usd") + pl.col("est_cost_usd")).cast(pl.Float64))
    tracking = pl.col("objective_usd") - pl.col("paid")
    sweep = one(rows, Scenario.SWEEP).sort("account_id", "tracking_penalty").with_columns(tracking=tracking)
    rise = sweep.with_columns(pl.col("tracking", "paid", "turnover").diff().over("account_id")).drop_nulls("tracking")
    assert (rise["tracking"] <= CENTS).all()
    assert (rise["paid"] >= -CENTS).all()
    assert (sweep["paid"] > 100).any()


@FEW
@given(SEEDS)
def test_no_scenario_beats_policy_by_policys_own_measure(seed: int) -> None:
    assert worst_beyond(random_frontier(seed)) >= -CENTS


@FEW
@given(SEEDS)
def test_the_full_targets_leave_no_drift_and_are_the_dearest(seed: int) -> None:
    rows = random_frontier(seed)
    full, policy = one(rows, Scenario.FULL), one(rows, Scenario.POLICY)
    assert (full["one_way_drift_after"] < 2e-3).all()
    assert (full["est_tax_usd"] + full["est_cost_usd"] >= policy["est_tax_usd"] + policy["est_cost_usd"]).all()


def test_holding_trades_nothing_and_keeps_the_drift() -> None:
    facts = random_facts(3, 0.0, {})
    hold = one(frontier_of(facts), Scenario.HOLD)
    before = drift_of(facts).group_by("account_id").agg(pl.col("drift").abs().sum() / 2).sort("account_id")["drift"]
    assert hold.select("turnover", "order_count", "est_tax_usd", "est_cost_usd").sum().row(0) == (0, 0, 0, 0)
    assert hold["one_way_drift_after"].to_list() == pytest.approx(before.to_list())
    assert not hold["is_chosen"].any()


def test_holding_scores_the_tracking_term_of_the_kernel() -> None:
    facts = facts_of({"min_trade_usd": 0}, lots="security_id | quantity\n S | 700\n B | 300")
    rows = frontier_of(facts)
    assert one(rows, Scenario.HOLD)["objective_usd"].item() == pytest.approx(2 / 200_000 * 2 * 10_000**2)


def test_policys_own_row_scores_what_the_solver_reached() -> None:
    rows = random_frontier(4, -0.5)
    policy = one(rows, Scenario.POLICY)
    same = one(rows, Scenario.SWEEP).filter(pl.col("tracking_penalty") == policy["tracking_penalty"][0])
    assert same.drop("scenario").equals(policy.drop("scenario"))
    assert policy["is_chosen"].all()


def test_an_account_that_policy_leaves_alone_chose_to_hold() -> None:
    facts = facts_of(lots="security_id | quantity\n S | 600\n B | 400")
    rows = frontier_of(facts)
    assert rows.filter("is_chosen")["scenario"].unique().sort().to_list() == sorted(Scenario)


def test_half_way_lands_between_holding_and_the_target() -> None:
    facts = facts_of(
        {"min_trade_usd": 0}, lots="security_id | quantity | unit_cost_usd\n S | 700 | 100\n B | 300 | 100"
    )
    rows = frontier_of(facts)
    assert one(rows, Scenario.HOLD)["one_way_drift_after"].item() == pytest.approx(0.10)
    assert one(rows, Scenario.HALF_WAY)["one_way_drift_after"].item() == pytest.approx(0.025)
    assert one(rows, Scenario.FULL)["one_way_drift_after"].item() == pytest.approx(0.0, abs=1e-12)


def test_an_account_that_may_not_be_traded_has_no_rows() -> None:
    drawn = {
        "lots": "account_id | security_id | quantity\n a | S | 10\n b | S | 10",
        "accounts": "account_id | status\n a | frozen\n b | active",
    }
    facts = facts_of(**drawn)
    assert frontier_of(facts)["account_id"].unique().to_list() == ["b"]
    assert frontier_of(facts, "a").is_empty()


def test_only_the_accounts_wanted_have_rows_and_the_others_change_nothing() -> None:
    facts = random_facts(5, -0.3, {})
    alone, among_others = frontier_of(facts, "a3"), frontier_of(facts).filter(pl.col("account_id") == "a3")
    assert_frame_equal(alone, among_others, rel_tol=1e-12, abs_tol=1e-12)
