"""What accounts would trade under policy, whatever triggers them."""

import polars as pl

from schemas.enums import Trigger
from tasks.core.drift.drift import account_drift
from tasks.core.facts.facts import Facts, account_parameters
from tasks.core.propose import policy_trades
from tasks.core.propose.engine import shard_of, solve_accounts
from tasks.core.propose.orders import order_rows
from tests.support.facts_table import drift_of, facts_of, household_drift_of

FACTS = {
    "accounts": "account_id | status\na | active\nb | active\nc | frozen",
    "securities": "security_id | asset_class | quantity_step\nS | stocks | 1\nB | bonds | 1",
    "model_targets": "asset_class | target_weight | absolute_band\nstocks | 0.5 | 0.4\nbonds | 0.5 | 0.4\ncash | 0 |",
    "buy_list": "asset_class | security_id\nstocks | S\nbonds | B",
    "lots": "account_id | security_id | lot_id | quantity | unit_cost_usd\na | S | 1 | 80 | 100\na | B | 1 | 20 | 100\nb | S | 1 | 50 | 100\nb | B | 1 | 50 | 100\nc | S | 1 | 90 | 100",
    "cash": "account_id | settled_usd\na | 100\nb | 0\nc | 0",
}


def drifts(facts: Facts) -> tuple[pl.DataFrame, pl.DataFrame]:
    drift, accounts = drift_of(facts), account_parameters(facts)
    nobody = pl.DataFrame(schema={"account_id": pl.String})
    return drift, account_drift(drift, accounts, household_drift_of(facts), due=(), changed_models=nobody)


def test_an_account_within_its_bands_is_tried_too_and_one_that_may_not_trade_is_not() -> None:
    facts = facts_of({"min_trade_usd": 0.0}, **FACTS)
    drift, by_account = drifts(facts)
    assert Trigger.DRIFT not in by_account.filter(account_id="a")["triggers"].item()
    found = policy_trades(facts, drift, by_account, pl.Series(["a", "c"]), run_id="r")
    assert found["account_id"].to_list() == ["a"]
    assert found["order_count"][0] > 0


def test_it_is_what_the_engine_trades() -> None:
    facts = facts_of({"min_trade_usd": 0.0}, **FACTS)
    drift, by_account = drifts(facts)
    found = policy_trades(facts, drift, by_account, pl.Series(["a"]), run_id="r").row(0, named=True)
    own = account_parameters(facts).join(by_account.select("account_id", "nav_usd"), on="account_id")
    orders, _ = order_rows(solve_accounts(own.filter(account_id="a"), shard_of(facts, drift, by_account)), "r")
    assert (found["order_count"], found["gross_value_usd"]) == (orders.height, orders["value_usd"].sum())
    assert (found["est_tax_usd"], found["est_cost_usd"]) == (orders["est_tax_usd"].sum(), orders["est_cost_usd"].sum())
