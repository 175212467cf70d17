"""A shard's accounts solved together with what binds them: cash flow first, households, and tonight's own loss sales."""

from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest

from schemas.enums import Reason
from tasks.core.drift.drift import account_drift
from tasks.core.facts.facts import Facts, account_parameters
from tasks.core.propose.conservation import cash_gaps, oversold, relief_gaps
from tasks.core.propose.engine import shard_of, solve_accounts
from tasks.core.propose.orders import order_rows
from tasks.core.propose.proposals import proposal_rows
from tasks.core.propose.solved import Solved
from tests.support.facts_table import ago, drift_of, facts_of, household_drift_of, traded

HOUSEHOLD = "account_id | household_id | tax_status\n a | h | taxable\n ira | h | tax_deferred"
ALTERNATES = """
    asset_class | security_id | rank
    stocks      | S           | 1
    stocks      | T           | 2
    bonds       | B           | 1
"""
SECURITIES = "security_id | asset_class\n S | stocks\n T | stocks\n B | bonds"
AT_A_LOSS = """
    account_id | security_id | quantity | unit_cost_usd
    a          | S           | 900      | {cost}
    a          | B           | 100      | 100
    ira        | B           | 1000     | 100
"""


def measured(facts: Facts) -> pl.DataFrame:
    nobody = pl.DataFrame(schema={"account_id": pl.String})
    return account_drift(
        drift_of(facts), account_parameters(facts), household_drift_of(facts), due=(), changed_models=nobody
    )


def solved_of(facts: Facts, policies: Mapping[str, Mapping[str, Any]] | None = None) -> Solved:
    """Every account solved; ``policies``: parameters of single accounts that are not the policy's."""
    by_account = measured(facts)
    accounts = account_parameters(facts).join(by_account.select("account_id", "nav_usd"), on="account_id")
    for account, parameters in (policies or {}).items():
        is_this = pl.col("account_id") == account
        accounts = accounts.with_columns(
            pl.when(is_this).then(pl.lit(value)).otherwise(name).alias(name) for name, value in parameters.items()
        )
    return solve_accounts(accounts, shard_of(facts, drift_of(facts), by_account))


def orders_that_add_up(facts: Facts) -> pl.DataFrame:
    """Every order: cash, the lots sold and what is held add up, and no bound lies above its answer."""
    solved = solved_of(facts)
    orders, relief = order_rows(solved, "r")
    proposals = proposal_rows(solved, orders, relief, measured(facts))
    assert cash_gaps(proposals, orders).is_empty()
    assert relief_gaps(orders, relief).is_empty()
    assert oversold(relief, facts.lots).is_empty()
    assert (proposals["gap_bps"] > -1e-6).all()
    return orders


def test_a_purchase_yields_to_the_households_loss_sale_of_the_same_night_and_takes_the_alternate() -> None:
    facts = facts_of(
        accounts=HOUSEHOLD,
        securities=SECURITIES,
        buy_list=ALTERNATES,
        lots=AT_A_LOSS.format(cost=150),
    )
    solved = solved_of(facts)
    assert traded(solved, "a")["S"] < 0
    ira = traded(solved, "ira")
    assert ira["T"] > 0
    assert "S" not in ira


def test_without_an_alternate_the_purchase_waits_and_says_why() -> None:
    facts = facts_of(
        accounts=HOUSEHOLD,
        lots=AT_A_LOSS.format(cost=150),
    )
    solved = solved_of(facts)
    assert traded(solved, "ira") == {"B": -300}, "cash may stand in for half of what it cannot buy"
    locks = solved.classes.filter((pl.col("account_id") == "ira") & (pl.col("asset_class") == "stocks"))
    assert locks["buy_lock"].to_list() == [Reason.WASH_SALE_WINDOW]


def test_a_sale_at_a_gain_bars_nobody_and_neither_does_one_in_another_household() -> None:
    gain = solved_of(facts_of(accounts=HOUSEHOLD, lots=AT_A_LOSS.format(cost=99)))
    apart = "account_id | household_id | tax_status\n a | h | taxable\n ira | | tax_deferred"
    other = solved_of(facts_of(accounts=apart, lots=AT_A_LOSS.format(cost=150)))
    assert traded(gain, "ira")["S"] > 0
    assert traded(other, "ira")["S"] > 0


def test_an_account_is_solved_the_same_alone_with_its_household_and_in_a_shard_of_many() -> None:
    names = [f"x{number}" for number in range(40)]
    accounts = HOUSEHOLD + "".join(f"\n {name} | | taxable" for name in names)
    lots = """
        account_id | security_id | quantity | unit_cost_usd
        a          | S           | 900      | 150
        a          | B           | 100      | 80
        ira        | B           | 1000     | 100
    """ + "".join(f"\n {name} | S | {100 + 7 * i} | {60 + 2 * i}" for i, name in enumerate(names))
    many = solved_of(facts_of(accounts=accounts, lots=lots))
    few = solved_of(facts_of(accounts=HOUSEHOLD, lots="\n".join(lots.strip().split("\n")[:4])))
    assert traded(many, "a") == traded(few, "a")
    assert traded(many, "ira") == traded(few, "ira")
    columns = ["objective_usd", "lower_bound_usd", "shadow_price"]
    mine = many.accounts.filter(pl.col("account_id").is_in(["a", "ira"])).select(columns)
    assert mine.equals(few.accounts.select(columns))


def test_cash_flow_first_invests_cash_only_where_that_brings_every_class_into_its_band() -> None:
    lots = "security_id | quantity\n S | 620\n B | 280"
    facts = facts_of({"trade_mode": "cash_flow_first"}, lots=lots, cash="account_id | settled_usd\n a | 10000")
    solved = solved_of(facts)
    assert min(traded(solved).values()) > 0


def test_cash_flow_first_trades_in_full_where_cash_is_not_enough() -> None:
    lots = "security_id | quantity\n S | 900\n B | 100"
    facts = facts_of({"trade_mode": "cash_flow_first"}, lots=lots, cash="account_id | settled_usd\n a | 1000")
    solved = solved_of(facts)
    assert traded(solved)["S"] < 0
    assert traded(solved)["B"] > 0


def test_cash_flow_first_only_sells_where_cash_is_owed_and_that_is_enough() -> None:
    lots = "security_id | quantity\n S | 640\n B | 390"
    facts = facts_of({"trade_mode": "cash_flow_first"}, lots=lots, cash="account_id | settled_usd\n a | -3000")
    assert max(traded(solved_of(facts)).values()) < 0


@pytest.mark.parametrize(("mode", "cash", "sign"), [("buy_only", 20_000, 1), ("sell_only", 0, -1)])
def test_one_way_modes_trade_one_way(mode: str, cash: int, sign: int) -> None:
    lots = "security_id | quantity\n S | 900\n B | 100"
    facts = facts_of({"trade_mode": mode}, lots=lots, cash=f"account_id | settled_usd\n a | {cash}")
    shares = traded(solved_of(facts))
    assert shares
    assert all(sign * share > 0 for share in shares.values())


TOGETHER = {"households": "household_id | model_id | policy_id\n h | m | p", "accounts": HOUSEHOLD}


def test_a_household_reaches_its_targets_without_value_moving_between_accounts() -> None:
    lots = """
        account_id | security_id | quantity | unit_cost_usd
        a          | S           | 1000     | 40
        ira        | S           | 900      | 100
        ira        | B           | 100      | 100
    """
    solved = solved_of(facts_of(**TOGETHER, lots=lots))
    assert traded(solved, "a") == {}, "its gain is taxed; the other account can do it"
    assert traded(solved, "ira") == {"S": -700, "B": 700}
    assert solved.accounts["governed_nav_usd"].to_list() == [200_000, 200_000]
    assert solved.accounts["objective_usd"].n_unique() == 1


def test_location_preference_puts_bonds_where_they_cost_less() -> None:
    lots = """
        account_id | security_id | quantity
        a          | B           | 500
        a          | S           | 500
        ira        | S           | 1000
    """
    location = "asset_class | tax_status | cost_bps\n bonds | taxable | 200"
    facts = facts_of(
        **TOGETHER,
        lots=lots,
        location_preferences=location,
        model_targets="asset_class | target_weight\n stocks | 0.75\n bonds | 0.25\n cash | 0",
    )
    solved = solved_of(facts)
    assert traded(solved, "a") == {"B": -500, "S": 500}
    assert traded(solved, "ira") == {"B": 500, "S": -500}
    assert (
        traded(
            solved_of(
                facts_of(
                    **TOGETHER,
                    lots=lots,
                    model_targets="asset_class | target_weight\n stocks | 0.75\n bonds | 0.25\n cash | 0",
                )
            ),
            "a",
        )
        == {}
    )


def test_a_locked_member_counts_and_is_not_traded() -> None:
    lots = """
        account_id | security_id | quantity
        a          | S           | 1000
        ira        | S           | 900
        ira        | B           | 100
    """
    facts = facts_of(**TOGETHER, lots=lots)
    by_account = measured(facts)
    accounts = account_parameters(facts).join(by_account.select("account_id", "nav_usd"), on="account_id")
    accounts = accounts.with_columns(is_locked=pl.col("account_id") == "ira")
    solved = solve_accounts(accounts, shard_of(facts, drift_of(facts), by_account))
    assert traded(solved, "ira") == {}
    assert traded(solved, "a") == {"S": -700, "B": 700}


def test_losses_that_a_run_realizes_make_room_for_its_gains() -> None:
    lots = f"""
        security_id | lot_id | quantity | unit_cost_usd | acquired_date
        S           | loss   | 200      | 160           | 2015-01-05
        S           | gain   | 600      | 40            | 2015-01-05
        B           | 1      | 200      | 100           | {ago(400)}
    """
    targets = "asset_class | target_weight\n stocks | 0.3\n bonds | 0.7\n cash | 0"
    facts = facts_of({"tracking_penalty": 0.4}, lots=lots, model_targets=targets)
    solved = solved_of(facts)
    orders, relief = order_rows(solved, "r")
    proposal = proposal_rows(solved, orders, relief, measured(facts)).row(0, named=True)
    gains = dict(relief.select("lot_id", "gain_usd").rows())
    assert gains["loss"] == -12_000
    assert 0 < gains["gain"] <= 12_100
    assert proposal["est_tax_usd"] == pytest.approx(0.2 * max(float(gains["gain"]) - 12_000, 0), abs=0.01)
    assert proposal["tax_regime"] in {"edge", "untaxed"}


def test_a_gain_budget_holds_with_the_losses_of_the_run_as_room() -> None:
    lots = """
        security_id | lot_id | quantity | unit_cost_usd
        S           | loss   | 100      | 150
        S           | gain   | 800      | 50
        B           | 1      | 100      | 100
    """
    facts = facts_of({"max_realized_gain_usd": 1_000.0, "tracking_penalty": 50.0}, lots=lots)
    solved = solved_of(facts)
    _, relief = order_rows(solved, "r")
    assert relief["gain_usd"].sum() <= 1_000
    assert dict(relief.select("lot_id", "gain_usd").rows())["gain"] > 5_000
    assert solved.accounts["gain_price"].item() > 0


def test_accounts_of_a_household_do_not_trade_places_for_the_tax_of_a_loss() -> None:
    securities = "security_id | asset_class | half_spread_bps\n S | stocks | 5\n T | stocks | 1\n B | bonds | 1"
    lots = """
        account_id | security_id | quantity | unit_cost_usd
        a          | S           | 600      | 150
        a          | B           | 400      | 150
        ira        | S           | 600      | 100
        ira        | B           | 400      | 100
    """
    facts = facts_of(**TOGETHER, lots=lots, securities=securities, buy_list=ALTERNATES)
    solved = solved_of(facts)
    assert (traded(solved, "a"), traded(solved, "ira")) == ({}, {})


@pytest.mark.parametrize("start", [3, 7])
def test_three_percent_of_a_five_percent_target_with_half_improvement_lands_between_four_and_six(start: int) -> None:
    rest = 100 - start
    facts = facts_of(
        {"improvement": 0.5},
        lots=f"security_id | quantity | unit_cost_usd\n S | {rest * 10} | 99\n B | {start * 10} | 99",
        model_targets="asset_class | target_weight\n stocks | 0.95\n bonds | 0.05\n cash | 0",
    )
    solved = solved_of(facts)
    bonds = solved.classes.filter(pl.col("asset_class") == "bonds")
    assert 0.04 <= bonds["after_usd"].item() / 100_000 <= 0.06


def test_a_trade_that_would_improve_too_little_is_not_made_and_says_so() -> None:
    facts = facts_of(
        {"improvement": 0.9, "tracking_penalty": 0.5, "min_trade_usd": 0.0},
        lots="security_id | quantity | unit_cost_usd\n S | 850 | 20\n B | 150 | 60",
    )
    solved = solved_of(facts)
    assert traded(solved) == {}
    assert "below_improvement" in solved.lots["lot_dropped"].to_list()
