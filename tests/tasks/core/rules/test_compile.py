from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from tasks.core.facts.facts import Facts, account_parameters, priced_securities, valued_lots
from tasks.core.rules.book_arrays import starts, to_arrays
from tasks.core.rules.compile import Problem, compile_book, compile_households
from tasks.core.rules.destinations import destinations
from tasks.core.solver.arrays import NO_ORDER_LIMIT
from tests.support.examples import at_most
from tests.support.facts_table import AS_OF, ago, drift_of, facts_of, household_drift_of, problem_of

JOINT = """
    account_id | household_id | tax_status | status
    a          | h            | taxable    | active
    ira        | h            | tax_exempt | active
    alone      |              | taxable    | active
"""
JOINT_LOTS = """
    account_id | security_id | lot_id | quantity
    a          | S           | 1      | 70
    ira        | B           | 1      | 20
    alone      | S           | 1      | 5
"""


def lot(**cells: str) -> str:
    drawn = {"security_id": "S", "quantity": "10", **cells}
    return f"{' | '.join(drawn)}\n{' | '.join(drawn.values())}"


def test_lots_stand_cheapest_first_within_their_class_ties_by_security_and_lot() -> None:
    facts = facts_of(
        lots="""
            security_id | lot_id | quantity | unit_cost_usd
            S           | dear   | 1        | 10
            B           | z      | 1        | 100
            S           | b      | 1        | 100
            S           | a      | 1        | 100
            S           | loss   | 1        | 100
        """
    )
    assert problem_of(facts).lots["lot_id"].to_list() == ["z", "a", "b", "loss", "dear"]


@pytest.mark.parametrize(
    ("target", "drift", "band", "trade_to", "weight"),
    [
        (0.6, 0.12, 0.12, 0.5, 0.66),
        (0.6, 0.3, 0.12, 0.5, 0.66),
        (0.6, -0.3, 0.12, 0.5, 0.54),
        (0.6, 0.3, 0.12, 0.0, 0.6),
        (0.6, 0.3, 0.12, 1.0, 0.72),
        (0.6, 0.02, 0.12, 0.5, 0.62),
        (0.6, 0.3, None, 0.5, 0.6),
    ],
)
def test_a_rebalance_lands_between_target_and_the_bands_edge(
    target: float, drift: float, band: float | None, trade_to: float, weight: float
) -> None:
    row = {"account_id": "a", "weight": target + drift, "target_weight": target, "band": band}
    rest = {"account_id": "a", "weight": 1 - target - drift, "target_weight": 1 - target, "band": 10.0}
    frame = pl.DataFrame([row, rest], schema_overrides={"band": pl.Float64})
    found = destinations(frame.with_columns(trade_to=pl.lit(trade_to), nav_usd=pl.lit(50_000)))["destination_usd"]
    assert found.to_list() == pytest.approx([weight * 50_000, (1 - weight) * 50_000])


@settings(max_examples=at_most(60))
@given(st.integers(0, 2**32 - 1))
def test_destinations_are_the_smallest_move_that_leaves_every_class_near_enough(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 8))
    weight, target = rng.dirichlet(np.ones(count)), rng.dirichlet(np.ones(count))
    band, trade_to = rng.uniform(0, 0.2, count) * (rng.random(count) < 0.8), float(rng.uniform(0, 1))
    frame = pl.DataFrame({"account_id": ["a"] * count, "weight": weight, "target_weight": target, "band": band})
    frame = frame.with_columns(trade_to=pl.lit(trade_to), nav_usd=pl.lit(1))
    found = destinations(frame)["destination_usd"].to_numpy()
    low = np.maximum(np.minimum(weight, target), target - trade_to * band)
    high = np.minimum(np.maximum(weight, target), target + trade_to * band)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert (found >= low - 1e-12).all()
    assert (found <= high + 1e-12).all()
    referee = minimize(
        lambda d: ((d - weight) ** 2).sum(),
        target,
        jac=lambda d: 2 * (d - weight),
        bounds=list(zip(np.minimum(low, high), high, strict=True)),
        constraints={"type": "eq", "fun": lambda d: d.sum() - 1, "jac": np.ones_like},
        method="SLSQP",
        options={"ftol": 1e-14},
    )
    assert ((found - weight) ** 2).sum() <= referee.fun + 1e-9


def test_seventy_two_percent_of_a_sixty_percent_target_goes_half_way_to_sixty_six() -> None:
    facts = facts_of(
        {"trade_to": 0.5},
        lots="security_id | quantity\n S | 720\n B | 280",
        model_targets="""
            asset_class | target_weight | absolute_band | relative_band
            stocks      | 0.6           |               | 0.2
            bonds       | 0.4           |               | 0.3
            cash        | 0             |               |
        """,
    )
    assert problem_of(facts).classes["destination_usd"].to_list() == pytest.approx([34_000, 66_000])


def test_a_fund_of_the_class_cash_is_cash_and_is_no_lot_to_the_solver() -> None:
    facts = facts_of(
        securities="security_id | asset_class\n S | stocks\n M | cash",
        lots="security_id | quantity\n S | 90\n M | 10",
        model_targets="asset_class | target_weight\n stocks | 0.8\n cash | 0.2",
        buy_list="asset_class | security_id\n stocks | S",
    )
    problem = problem_of(facts)
    assert problem.lots["security_id"].to_list() == ["S"]
    assert problem.book.cash.tolist() == [1_000]
    assert problem.accounts["cash_target_usd"].item() == pytest.approx(2_000)


@pytest.mark.parametrize("why", ["not tradable", "frozen", "restricted"])
def test_a_fund_that_may_not_be_sold_lowers_the_cash_to_keep(why: str) -> None:
    untradable = "security_id | asset_class | is_tradable\n S | stocks | true\n M | cash | false"
    drawn = {
        "securities": untradable if why == "not tradable" else "security_id | asset_class\n S | stocks\n M | cash",
        "lots": f"security_id | quantity | is_frozen\n S | 90 | false\n M | 10 | {str(why == 'frozen').lower()}",
        "model_targets": "asset_class | target_weight\n stocks | 0.8\n cash | 0.2",
        "buy_list": "asset_class | security_id\n stocks | S",
    }
    more = {"restrictions": "security_id | rule\n M | no_sell"} if why == "restricted" else {}
    problem = problem_of(facts_of(**drawn, **more))
    assert problem.book.cash.tolist() == [0]
    assert problem.accounts["cash_target_usd"].item() == pytest.approx(2_000 - 1_000)


def test_the_smallest_order_is_the_greater_of_the_two_minimums() -> None:
    lots = lot(quantity="1000")
    assert problem_of(facts_of(lots=lots)).book.min_trade.tolist() == [100]
    by_weight = facts_of({"min_trade_weight": 0.02, "min_trade_usd": 50}, lots=lots)
    assert problem_of(by_weight).book.min_trade.tolist() == [2_000]


def test_arrays_follow_the_frames() -> None:
    facts = facts_of(
        {"tracking_penalty": 3.0},
        accounts="account_id\n b\n a",
        lots="""
            account_id | security_id | lot_id | quantity | unit_cost_usd | acquired_date
            b          | S           | 1      | 2.5      | 100           | 2015-01-05
            b          | B           | 1      | 4        |               |
            a          | S           | 1      | 1        | 100           | 2015-01-05
        """,
        cash="account_id | settled_usd\n a | 10\n b | -20",
        prices="security_id | price_usd\n S | 100\n B | 50",
    )
    problem = problem_of(facts)
    book = problem.book
    assert problem.accounts["account_id"].to_list() == ["a", "b"]
    assert book.nav.tolist() == [110, 430]
    assert book.cash.tolist() == [10, -20]
    assert book.tracking_penalty.tolist() == [3, 3]
    assert book.class_start.tolist() == [0, 2, 4]
    assert book.class_value.tolist() == [0, 100, 200, 250]
    assert book.class_target == pytest.approx([44, 66, 172, 258])
    assert book.lot_start.tolist() == [0, 0, 1, 2, 3]
    assert book.lot_quantity.tolist() == [1, 4, 2.5]
    assert book.lot_cap.tolist() == [100, 0, 250]


def test_offsets_count_children_of_parents_with_and_without() -> None:
    rows = pl.Series([0, 1, 2], dtype=pl.UInt32)
    assert starts(rows, pl.Series([0, 0, 2], dtype=pl.UInt32)).tolist() == [0, 2, 2, 3]
    assert starts(rows, rows.clear()).tolist() == [0, 0, 0, 0]
    assert starts(rows.clear(), rows.clear()).tolist() == [0]
    assert starts(rows.clear(), rows.clear()).dtype == np.int64


def test_a_part_of_the_accounts_has_arrays_of_its_own() -> None:
    lots = "account_id | security_id | quantity\n a | S | 1\n b | S | 2\n b | B | 3\n c | S | 4"
    problem = problem_of(facts_of(accounts="account_id\n a\n b\n c", lots=lots))
    part = (frame.filter(account_id="b") for frame in (problem.accounts, problem.classes, problem.lots))
    book, limits = to_arrays(*part)
    assert (book.class_start.tolist(), book.lot_start.tolist()) == ([0, 2], [0, 1, 2])
    assert (book.lot_quantity.tolist(), len(limits.lot_gain)) == ([3, 2], 2)


def households_of(facts: Facts) -> Problem:
    """Every household that is managed together, compiled."""
    securities = priced_securities(facts)
    lots = valued_lots(facts, securities)
    nav = drift_of(facts).select("account_id", "nav_usd").unique()
    accounts = account_parameters(facts).join(nav, on="account_id").filter(pl.col("managed_household_id").is_not_null())
    drift = household_drift_of(facts)
    return compile_households(accounts, drift, lots, facts=facts, securities=securities, trade_date=AS_OF)


def joint(policy: dict[str, Any] | None = None, /, **drawn: str) -> Facts:
    """A household of a taxable account in stocks and an exempt one in bonds, 100 shares and cash in all, and an account alone."""
    cash = "account_id | settled_usd\n a | 1000\n ira | 0\n alone | 0"
    tables = {"accounts": JOINT, "lots": JOINT_LOTS, "cash": cash, "households": "household_id\n h"}
    return facts_of(policy, **{**tables, **drawn})


def test_three_percent_of_a_five_percent_target_is_worth_trading_from_half_of_what_is_missing() -> None:
    facts = facts_of(
        {"improvement": 0.5},
        lots="security_id | quantity\n S | 970\n B | 30",
        model_targets="asset_class | target_weight\n stocks | 0.95\n bonds | 0.05\n cash | 0",
    )
    problem = problem_of(facts)
    assert problem.limits.class_min == pytest.approx([0.01 * 100_000] * 2)
    assert problem.classes["class_min_usd"].to_list() == pytest.approx([1_000] * 2)


def test_the_least_worth_trading_is_part_of_the_way_to_the_target_and_not_to_the_destination() -> None:
    lots = "security_id | quantity\n S | 720\n B | 280"
    assert problem_of(facts_of({"improvement": 0.5, "trade_to": 1.0}, lots=lots)).limits.class_min == pytest.approx(
        [6_000, 6_000]
    )


def test_an_account_that_owes_cash_may_make_any_trade() -> None:
    facts = facts_of(
        {"improvement": 0.5}, lots="security_id | quantity\n S | 970", cash="account_id | settled_usd\n a | -6"
    )
    assert problem_of(facts).limits.class_min.tolist() == [0, 0]


def test_an_account_that_only_sells_buys_nothing() -> None:
    problem = problem_of(facts_of({"trade_mode": "sell_only"}, lots=lot()))
    assert problem.classes["buy_lock"].to_list() == ["sell_only", "sell_only"]
    assert problem.book.buy_cap.tolist() == [0, 0]
    free = problem_of(facts_of({"trade_mode": "buy_only"}, lots=lot()))
    assert free.classes["buy_lock"].to_list() == [None, None]
    assert free.book.buy_cap.tolist() == [float("inf")] * 2


def test_what_bars_a_purchase_for_everyone_is_named_before_the_mode() -> None:
    facts = facts_of({"trade_mode": "sell_only"}, lots=lot(), buy_list="asset_class | security_id\n stocks | S")
    assert problem_of(facts).classes["buy_lock"].to_list() == ["nothing_to_buy", "sell_only"]


def test_without_limits_nothing_but_cash_and_tax_couples_the_trades() -> None:
    limits = problem_of(facts_of(lots=lot())).limits
    assert (limits.turnover[0], limits.gain[0], limits.max_orders[0]) == (float("inf"), float("inf"), NO_ORDER_LIMIT)
    assert (limits.slack[0], limits.class_min.tolist()) == (0, [0, 0])
    assert (limits.short_rate[0], limits.long_rate[0]) == (0.4, 0.2)


def test_the_policys_limits_are_dollars_of_the_account() -> None:
    policy = {"max_turnover": 0.1, "max_realized_gain_usd": 250, "max_orders": 3, "fewest_trades_bps": 5}
    limits = problem_of(facts_of(policy, lots=lot(quantity="1000"))).limits
    assert limits.turnover.tolist() == pytest.approx([2 * 0.1 * 100_000])
    assert limits.gain.tolist() == [250]
    assert limits.max_orders.tolist() == [3]
    assert limits.slack.tolist() == pytest.approx([50])


def test_the_years_gains_less_losses_carried_forward_come_before_the_run() -> None:
    header = "account_id | ytd_short_gain_usd | ytd_long_gain_usd | loss_carryforward_short_usd"
    limits = problem_of(facts_of(accounts=f"{header}\n a | 100 | 200 | 130", lots=lot())).limits
    assert (limits.short_before.tolist(), limits.long_before.tolist()) == ([-30], [200])


@pytest.mark.parametrize("tax_status", ["tax_deferred", "tax_exempt"])
def test_an_account_that_pays_no_tax_has_no_rates(tax_status: str) -> None:
    limits = problem_of(facts_of(accounts=f"account_id | tax_status\n a | {tax_status}", lots=lot())).limits
    assert (limits.short_rate.tolist(), limits.long_rate.tolist()) == ([0], [0])


def test_gains_stand_beside_their_lots() -> None:
    header = "security_id | lot_id | quantity | unit_cost_usd | acquired_date"
    rows = f"S | long | 1 | 60 | 2015-01-05\n S | short | 1 | 90 | {ago(20)}\n S | loss | 1 | 130 | {ago(20)}"
    problem = problem_of(facts_of(lots=f"{header}\n {rows}"))
    assert problem.lots["lot_id"].to_list() == ["loss", "short", "long"]
    assert problem.limits.lot_gain == pytest.approx([-0.3, 0.1, 0.4])
    assert problem.limits.lot_is_short.tolist() == [True, True, False]


def test_what_is_sold_at_a_loss_tonight_is_not_bought() -> None:
    facts = facts_of(
        securities="security_id | asset_class\n S | stocks\n T | stocks\n B | bonds",
        buy_list="asset_class | security_id | rank\n stocks | S | 1\n stocks | T | 2\n bonds | B | 1",
        lots=lot(),
    )
    tonight = pl.DataFrame({"account_id": ["a"], "security_id": ["S"]})
    assert problem_of(facts).classes["buy_security_id"].to_list() == ["B", "S"]
    assert recompiled(facts, tonight).classes["buy_security_id"].to_list() == ["B", "T"]


def recompiled(facts: Facts, sold_at_loss: pl.DataFrame) -> Problem:
    securities = priced_securities(facts)
    drift = drift_of(facts)
    accounts = account_parameters(facts).join(drift.select("account_id", "nav_usd").unique(), on="account_id")
    lots = valued_lots(facts, securities)
    return compile_book(
        accounts, drift, lots, facts=facts, securities=securities, trade_date=AS_OF, sold_at_loss=sold_at_loss
    )


def test_members_of_a_household_have_its_destinations_and_their_own_values() -> None:
    problem = households_of(joint())
    assert problem.household_start is not None
    assert problem.household_start.tolist() == [0, 2]
    assert problem.accounts["account_id"].to_list() == ["a", "ira"]
    assert problem.classes.select("account_id", "asset_class").rows() == [
        ("a", "bonds"),
        ("a", "stocks"),
        ("ira", "bonds"),
        ("ira", "stocks"),
    ]
    assert problem.book.nav.tolist() == [10_000, 10_000]
    assert problem.book.class_target == pytest.approx([4_000, 6_000] * 2)
    assert problem.book.class_value.tolist() == [0, 7_000, 2_000, 0]
    assert problem.book.cash.tolist() == [1_000, 0]
    assert problem.book.cash_target.tolist() == [0, 0]
    assert problem.book.lot_start.tolist() == [0, 0, 1, 2, 2]
    assert problem.classes["buy_security_id"].to_list() == ["B", "S"] * 2


def test_a_class_that_one_member_holds_stands_in_every_member_even_without_a_target() -> None:
    securities = "security_id | asset_class\n S | stocks\n B | bonds\n G | gold"
    facts = joint(securities=securities, lots="account_id | security_id | quantity\n a | G | 10\n ira | S | 10")
    classes = households_of(facts).classes
    assert classes["asset_class"].to_list() == ["bonds", "gold", "stocks"] * 2
    assert classes["household_value_usd"].cast(pl.Float64).to_list() == [0, 1_000, 1_000] * 2


def test_limits_of_a_member_are_of_its_own_value() -> None:
    problem = households_of(joint({"max_turnover": 0.1, "min_trade_weight": 0.1}))
    assert problem.limits.turnover.tolist() == pytest.approx([1_600, 400])
    assert problem.book.min_trade.tolist() == [800, 200]


def test_funds_of_any_member_that_may_not_be_sold_lower_the_cash_that_the_household_keeps() -> None:
    facts = joint(
        securities="security_id | asset_class\n S | stocks\n M | cash",
        lots="account_id | security_id | quantity\n a | S | 70\n ira | M | 20",
        restrictions="account_id | security_id | rule\n ira | M | no_sell",
        model_targets="asset_class | target_weight\n stocks | 0.6\n cash | 0.4",
        buy_list="asset_class | security_id\n stocks | S",
    )
    assert households_of(facts).accounts["cash_target_usd"].to_list() == pytest.approx([2_000, 2_000])


def test_a_member_that_is_frozen_counts_and_is_not_traded() -> None:
    problem = households_of(joint(accounts=JOINT.replace("tax_exempt | active", "tax_exempt | frozen")))
    assert problem.book.nav.tolist() == [10_000, 10_000]
    assert problem.book.buy_cap.tolist() == [float("inf")] * 2 + [0, 0]
    assert problem.book.lot_cap.tolist() == [7_000, 0]
    assert problem.lots["lock"].to_list() == [None, "member_not_traded"]


def test_households_stand_one_after_another() -> None:
    accounts = "account_id | household_id\n z | g\n b | h\n a | h\n y | g\n x | h"
    problem = households_of(facts_of(accounts=accounts, households="household_id\n h\n g", lots=lot(account_id="b")))
    assert problem.accounts["account_id"].to_list() == ["y", "z", "a", "b", "x"]
    assert problem.household_start is not None
    assert problem.household_start.tolist() == [0, 2, 5]


def test_accounts_managed_alone_have_no_household() -> None:
    problem = problem_of(facts_of(lots=lot()))
    assert problem.household_start is None
    assert problem.accounts["governed_nav_usd"].to_list() == problem.accounts["nav_usd"].to_list()
