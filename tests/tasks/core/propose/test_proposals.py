import hashlib
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from schemas.tables import PUBLIC, USD
from tasks.core.drift.drift import account_drift
from tasks.core.export import content_hashes
from tasks.core.facts.facts import Facts, account_parameters
from tasks.core.propose.orders import order_rows, short_hashes
from tasks.core.propose.proposals import ROUTED, proposal_rows
from tests.support.facts_table import ago, drift_of, facts_of, household_drift_of, solved_of

SPREADS = """
    security_id | symbol | asset_class | half_spread_bps
    S           | STK    | stocks      | 10
    T           | AAA    | stocks      | 0
    B           | BND    | bonds       | 20
"""
LOTS = """
    security_id | lot_id | quantity | unit_cost_usd | acquired_date
    S           | 1      | 500      | 90            | 2015-01-05
    S           | 2      | 100      | 110           | 2025-12-05
    T           | 1      | 100      | 130           | 2015-01-05
    B           | 1      | 300      | 100           | 2015-01-05
"""
OVERWEIGHT = """
    security_id | quantity
    S           | 720
    B           | 280
"""


def orders_of(facts: Facts, run_id: str = "r") -> tuple[pl.DataFrame, pl.DataFrame]:
    return order_rows(solved_of(facts), run_id)


def proposals_of(facts: Facts) -> pl.DataFrame:
    solved = solved_of(facts)
    orders, relief = order_rows(solved, "r")
    nobody = pl.DataFrame(schema={"account_id": pl.String})
    by_account = account_drift(
        drift_of(facts), account_parameters(facts), household_drift_of(facts), due=(), changed_models=nobody
    )
    return proposal_rows(solved, orders, relief, by_account)


def world(policy: dict[str, Any] | None = None, **drawn: str) -> Facts:
    buys = "asset_class | security_id\n stocks | S\n bonds | B"
    return facts_of(policy, **{"securities": SPREADS, "lots": LOTS, "buy_list": buys, **drawn})


def test_tables_have_the_columns_of_the_lake() -> None:
    orders, relief = orders_of(world())
    assert orders.schema == pl.Schema(PUBLIC["orders"])
    assert relief.schema == pl.Schema(PUBLIC["lot_relief"])
    unrouted = {name: dtype for name, dtype in PUBLIC["proposals"].items() if name not in ROUTED}
    assert proposals_of(world()).schema == pl.Schema({**unrouted, "cash_after": pl.Float64(), "cash_floor_usd": USD})


def test_tables_of_accounts_that_stay_are_empty_and_have_their_columns() -> None:
    facts = facts_of(lots="security_id | quantity\n S | 60\n B | 40")
    orders, relief = orders_of(facts)
    assert orders.is_empty()
    assert relief.is_empty()
    assert orders.schema == pl.Schema(PUBLIC["orders"])
    assert proposals_of(facts).is_empty()


def test_no_accounts_make_no_orders() -> None:
    nobody = facts_of(accounts="account_id")
    assert [frame.height for frame in orders_of(nobody)] == [0, 0]
    assert proposals_of(nobody).is_empty()


def test_sells_come_before_buys_then_by_symbol() -> None:
    targets = "asset_class | target_weight\n stocks | 0.1\n bonds | 0.9\n cash | 0"
    orders, _ = orders_of(world(model_targets=targets))
    assert orders.select("side", "symbol").rows() == [("sell", "AAA"), ("sell", "STK"), ("buy", "BND")]


def test_an_orders_value_is_its_quantity_at_the_price_and_its_cost_half_the_spread() -> None:
    orders, _ = orders_of(
        facts_of(
            securities=SPREADS, lots=OVERWEIGHT, prices="security_id | price_usd\n S | 99.99\n B | 33.333333\n T | 1"
        )
    )
    assert orders["value_usd"].to_list() == [
        quantity * price for quantity, price in orders.select("quantity", "price_usd").rows()
    ]
    sell, buy = orders.rows(named=True)
    assert sell["est_cost_usd"] == pytest.approx(sell["value_usd"] * Decimal("0.001"), abs=Decimal("0.000001"))
    assert buy["est_cost_usd"] == pytest.approx(buy["value_usd"] * Decimal("0.002"), abs=Decimal("0.000001"))
    assert buy["est_tax_usd"] == 0


def test_lots_sum_to_their_order_and_carry_term_and_gain() -> None:
    targets = "asset_class | target_weight\n stocks | 0\n bonds | 1\n cash | 0"
    orders, relief = orders_of(world({"tracking_penalty": 100.0}, model_targets=targets))
    sums = relief.group_by("order_id").agg(pl.col("quantity").sum()).sort("order_id")
    sells = orders.filter(pl.col("side") == "sell").select("order_id", "quantity").sort("order_id")
    assert sums.equals(sells)
    assert relief.select("security_id", "lot_id", "term", "gain_usd").rows() == [
        ("S", "1", "long", 5_000),
        ("S", "2", "short", -1_000),
        ("T", "1", "long", -3_000),
    ]
    net_long, net_short = 5_000 - 3_000, -1_000
    assert orders["est_tax_usd"].sum() == Decimal("0.2") * (net_long + net_short), "the short loss offsets long gains"
    share = Decimal("0.2") * (net_long + net_short) / net_long
    assert orders.filter(pl.col("symbol") == "STK")["est_tax_usd"].item() == share * 5_000


@pytest.mark.parametrize(
    ("buyer", "days", "disallowed"),
    [("a", 31, 0), ("ira", 31, 0), ("ira", 10, 20), ("a", 10, 0)],
    ids=["own-before", "iras-before", "iras", "own-sold-with-it"],
)
def test_a_loss_that_the_wash_sale_window_disallows_saves_no_tax(buyer: str, days: int, disallowed: int) -> None:
    lots = f"""
        account_id | security_id | lot_id | quantity | unit_cost_usd | acquired_date
        a          | S           | old    | 700      | 150           | 2015-01-05
        {buyer}    | S           | new    | 20       | 100           | {ago(days)}
        a          | B           | 1      | 280      | 100           | 2015-01-05
    """
    accounts = """
        account_id | household_id | tax_status   | ytd_long_gain_usd
        a          | h            | taxable      | 100000
        ira        | h            | tax_deferred |
    """
    orders, relief = orders_of(facts_of(lots=lots, accounts=accounts))
    (sell,) = orders.filter(account_id="a", side="sell").rows(named=True)
    sold = dict(relief.filter(account_id="a").select("lot_id", "quantity").rows())
    assert sold["old"] > disallowed
    if (buyer, days) == ("a", 10):
        assert sold["new"] == 20, "what replaced the loss is sold with it, and the loss moved to it"
    assert sell["est_tax_usd"] == -Decimal("0.2") * 50 * (sold["old"] - disallowed)


def test_an_unknown_basis_has_no_gain_and_no_tax() -> None:
    facts = facts_of(
        accounts="account_id | tax_status\n a | tax_exempt",
        lots="security_id | quantity | unit_cost_usd | acquired_date\n S | 1000 | |",
    )
    orders, relief = orders_of(facts)
    assert relief.select("unit_cost_usd", "acquired_date", "term", "gain_usd").rows() == [(None, None, None, None)]
    assert orders["est_tax_usd"].sum() == 0
    proposal = proposals_of(facts).row(0, named=True)
    assert (proposal["realized_short_gain_usd"], proposal["realized_long_gain_usd"]) == (0, 0)


def test_ids_are_hashes_of_run_account_security_and_side() -> None:
    orders, relief = orders_of(facts_of(lots=OVERWEIGHT), "night")
    assert orders["proposal_id"].unique().to_list() == [hashlib.sha256(b"night|a").hexdigest()[:20]]
    assert orders["order_id"].to_list() == [
        hashlib.sha256(b"night|a|S|sell").hexdigest()[:20],
        hashlib.sha256(b"night|a|B|buy").hexdigest()[:20],
    ]
    assert relief["order_id"].to_list() == orders["order_id"].to_list()[:1]
    assert set(orders["order_id"]).isdisjoint(orders_of(facts_of(lots=OVERWEIGHT), "other night")[0]["order_id"])


def test_a_hash_is_of_the_parts_joined_by_a_bar() -> None:
    assert short_hashes([("a", "b"), ("a|b",)]).n_unique() == 1
    assert short_hashes([]).dtype == pl.String


def test_each_order_says_why_and_what_it_is_worth() -> None:
    targets = "asset_class | target_weight\n stocks | 0.5\n bonds | 0.5\n cash | 0"
    facts = facts_of(securities=SPREADS, lots=OVERWEIGHT, model_targets=targets)
    sell, buy = orders_of(facts)[0].rows(named=True)
    assert sell["reason"].startswith("stocks at 72.0% against a target of 50.0%; after the trade 5")
    assert buy["reason"].startswith("bonds at 28.0% against a target of 50.0%; after the trade 4")
    assert sell["marginal_benefit_bps"] > sell["marginal_cost_bps"] == pytest.approx(10)
    assert buy["marginal_benefit_bps"] > buy["marginal_cost_bps"]
    shadow_price = solved_of(facts).accounts["shadow_price"].item()
    assert buy["marginal_cost_bps"] == pytest.approx(20 + 1e4 * shadow_price)


def test_a_sale_below_target_says_that_it_raises_the_cash_owed() -> None:
    orders, _ = orders_of(facts_of(lots="security_id | quantity\n S | 60\n B | 40", cash="settled_usd\n -3000"))
    assert orders["side"].unique().to_list() == ["sell"]
    over = facts_of(
        lots="security_id | quantity\n S | 60\n B | 40",
        cash="settled_usd\n -3000",
        restrictions="security_id\n S",
    )
    (order,) = orders_of(over)[0].rows(named=True)
    assert order["symbol"] == "B"
    assert order["reason"].startswith("bonds at ")
    short = facts_of(
        lots="security_id | quantity\n S | 20\n B | 80", cash="settled_usd\n -1000", restrictions="security_id\n B"
    )
    (order,) = orders_of(short)[0].rows(named=True)
    assert order["reason"].startswith("raises the cash owed; stocks at ")


def test_a_proposal_adds_its_orders_up() -> None:
    facts = world(cash="settled_usd\n 2500.5")
    orders, relief = orders_of(facts)
    proposal = proposals_of(facts).row(0, named=True)
    is_sell = pl.col("side") == "sell"
    sold, bought = (orders.filter(where)["value_usd"].sum() for where in (is_sell, ~is_sell))
    assert proposal["order_count"] == orders.height
    assert proposal["gross_value_usd"] == sold + bought
    assert proposal["est_cost_usd"] == orders["est_cost_usd"].sum()
    assert proposal["est_tax_usd"] == orders["est_tax_usd"].sum()
    assert proposal["cash_before_usd"] == Decimal("2500.5")
    assert proposal["cash_after_usd"] == Decimal("2500.5") + sold - bought - orders["est_cost_usd"].sum()
    assert float(proposal["cash_after_usd"]) == pytest.approx(proposal["cash_after"], abs=1e-4)
    assert proposal["turnover"] == pytest.approx(float(sold + bought) / 2 / float(proposal["nav_usd"]))
    gains = {term: relief.filter(pl.col("term") == term)["gain_usd"].sum() for term in ("short", "long")}
    assert (proposal["realized_short_gain_usd"], proposal["realized_long_gain_usd"]) == (gains["short"], gains["long"])


def test_drift_after_is_recomputed_from_what_is_held_after() -> None:
    facts = facts_of(securities=SPREADS, lots=OVERWEIGHT, cash="settled_usd\n 777")
    proposal = proposals_of(facts).row(0, named=True)
    after = dict.fromkeys(["stocks", "bonds"], 0.0) | {"stocks": 72_000.0, "bonds": 28_000.0}
    for order in orders_of(facts)[0].rows(named=True):
        name = {"STK": "stocks", "BND": "bonds", "AAA": "stocks"}[order["symbol"]]
        after[name] += float(order["value_usd"]) * (1 if order["side"] == "buy" else -1)
    after["cash"] = float(proposal["cash_after_usd"])
    nav = sum(after.values())
    targets = {"stocks": 0.6, "bonds": 0.4, "cash": 0.0}
    expected = sum(abs(after[name] / nav - targets[name]) for name in targets) / 2
    assert proposal["one_way_drift_after"] == pytest.approx(expected, abs=1e-9)
    assert proposal["one_way_drift_after"] < proposal["one_way_drift_before"]


def test_the_gap_is_what_the_objective_lies_above_its_bound_in_basis_points_of_nav() -> None:
    proposal = proposals_of(world(cash="settled_usd\n 2500.5")).row(0, named=True)
    apart = proposal["objective_usd"] - proposal["lower_bound_usd"]
    assert proposal["gap_bps"] == pytest.approx(1e4 * apart / float(proposal["nav_usd"]))
    assert 0 <= proposal["gap_bps"] < 1


def test_a_content_hash_changes_with_any_order_and_not_with_their_order() -> None:
    orders, _ = orders_of(world())
    plain = content_hashes(orders)["content_hash"].item()
    assert content_hashes(orders.reverse())["content_hash"].item() == plain
    for column, value in {"quantity": 1, "price_usd": 1, "security_id": "X", "side": "buy", "account_id": "b"}.items():
        first = pl.int_range(pl.len()) == 0
        changed = pl.when(first).then(pl.lit(value).cast(orders.schema[column])).otherwise(column).alias(column)
        assert content_hashes(orders.with_columns(changed))["content_hash"].item() != plain
