"""A unit dearer than the class wants gives way to the next choice, and cash that is left over pushes no class past its destination."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.enums import Reason
from tasks.core.facts.facts import Facts
from tasks.core.propose import class_reasons, order_rows
from tasks.core.propose.solved import Solved
from tests.support.examples import at_most
from tests.support.facts_table import facts_of, traded
from tests.tasks.core.propose.test_engine import solved_of

SECURITIES = """
    security_id | asset_class | quantity_step | price_factor | security_type
    D           | stocks      | 1             |              | equity
    E           | stocks      | 1             |              | etf
    F           | stocks      | 0.001         |              | mutual_fund
    P           | stocks      | 5000          | 0.01         | bond
    B           | bonds       | 1             |              | etf
"""
PRICES = "security_id | price_usd\n D | 8000\n E | 50\n F | 8000\n P | 100\n B | 72"
TARGETS = "asset_class | target_weight\n stocks | 0.5\n bonds | 0.48\n cash | 0.02"


def world(
    ranked: str, policy: dict[str, Any] | None = None, /, settled: str = "5300", held: str = " B | 66", **more: str
) -> Facts:
    listed = "\n".join(f" stocks | {name} | {rank}" for rank, name in enumerate(ranked, 1))
    drawn = {
        "accounts": "account_id | tax_status\n a | tax_deferred",
        "securities": SECURITIES,
        "prices": PRICES,
        "model_targets": TARGETS,
        "buy_list": f"asset_class | security_id | rank\n{listed}\n bonds | B | 1",
        "lots": f"security_id | quantity\n{held}",
        "cash": f"account_id | settled_usd\n a | {settled}",
    }
    return facts_of(policy or {}, **{**drawn, **more})


def reasons(solved: Solved) -> dict[str, str]:
    return dict(class_reasons(solved).select("asset_class", "code").rows())


@pytest.mark.parametrize(
    ("ranked", "bought"),
    [("DE", {"E": 100}), ("DFE", {"F": 0.62}), ("FE", {"F": 0.62}), ("DPE", {"P": 5000}), ("ED", {"E": 100})],
)
def test_a_unit_dearer_than_the_class_wants_gives_way_to_the_next_choice(ranked: str, bought: dict[str, float]) -> None:
    assert traded(solved_of(world(ranked))) == pytest.approx({**bought, "B": 2}, abs=0.01)


def test_an_order_says_what_it_is_bought_in_the_place_of() -> None:
    orders, _ = order_rows(solved_of(world("DE")), "r")
    (reason,) = orders.filter(security_id="E")["reason"]
    assert reason.startswith(
        "in place of D, of which a unit at 8000.0 USD is more than the class wants; stocks at 0.0%"
    )
    plain, _ = order_rows(solved_of(world("ED")), "r")
    assert plain.filter(security_id="E")["reason"][0].startswith("stocks at 0.0%")


def test_where_no_unit_fits_nothing_is_bought_and_it_is_said_why() -> None:
    solved = solved_of(world("D"))
    assert traded(solved) == {}
    (row,) = class_reasons(solved).iter_rows(named=True)
    assert (row["code"], row["asset_class"]) == (Reason.UNIT_TOO_DEAR, "stocks")
    assert row["detail"] == "a unit of D is worth 8000.0 USD, the class wants 5026.0 USD"


def test_a_unit_that_the_cash_does_not_reach_for_gives_way_too() -> None:
    """The class wants 9,000, a unit is 8,000, and there are 6,000 to spend."""
    facts = world("DE", {"trade_mode": "buy_only"}, settled="6000", held=" B | 180")
    assert set(traded(solved_of(facts))) == {"E"}
    rich = world("DE", {"trade_mode": "buy_only"}, settled="20000", held=" B | 180")
    assert traded(solved_of(rich))["D"] == 2 or set(traded(solved_of(rich))) == {"D", "B"}


def test_a_choice_that_is_barred_is_named_before_one_that_is_too_dear() -> None:
    solved = solved_of(world("ED", restrictions="security_id | rule\n E | no_buy"))
    assert reasons(solved) == {"stocks": "restricted"}
    other = solved_of(world("DE", restrictions="security_id | rule\n E | no_buy"))
    assert reasons(other) == {"stocks": "unit_too_dear"}


def test_a_household_wants_what_all_its_accounts_lack() -> None:
    drawn = {
        "accounts": "account_id | household_id | tax_status\n a | h | tax_deferred\n b | h | tax_deferred",
        "households": "household_id\n h",
        "lots": "account_id | security_id | quantity\n a | B | 66\n b | B | 66",
        "cash": "account_id | settled_usd\n a | 8300\n b | 2300",
    }
    solved = solved_of(world("DE", **drawn))
    chosen = solved.classes.filter(asset_class="stocks").select("account_id", "buy_security_id")
    assert chosen.rows() == [("a", "D"), ("b", "E")]


def test_a_harvest_buys_no_unit_that_its_proceeds_do_not_pay() -> None:
    lots = " E | 100 | 90\n B | 66 | 72"
    drawn = {
        "accounts": "account_id | tax_status\n a | taxable",
        "lots": f"security_id | quantity | unit_cost_usd\n{lots}",
        "cash": "account_id | settled_usd\n a | 400",
    }
    policy = {"is_harvesting": True, "harvest_min_loss_usd": 10.0}
    assert traded(solved_of(world("ED", policy, **drawn))).get("E", 0) >= 0
    assert {"E", "F"} <= set(traded(solved_of(world("EDF", policy, **drawn))))


THREE = """
    security_id | asset_class
    S           | stocks
    B           | bonds
    G           | gold
"""
OF_THREE = "asset_class | target_weight\n stocks | 0.4\n bonds | 0.4\n gold | 0.18\n cash | 0.02"


def after(solved: Solved) -> dict[str, tuple[float, float]]:
    """By class: value after the trades and destination."""
    classes = solved.classes.select("asset_class", "governed_after_usd", "destination_usd")
    return {name: (value, goal) for name, value, goal in classes.rows()}


def flooded(listed: str, policy: dict[str, Any] | None = None, /, **more: str) -> Facts:
    drawn = {
        "accounts": "account_id | tax_status\n a | tax_deferred",
        "securities": THREE,
        "model_targets": OF_THREE,
        "lots": "security_id | quantity\n B | 30\n G | 10",
        "cash": "account_id | settled_usd\n a | 6000",
        "buy_list": f"asset_class | security_id\n{listed}",
    }
    return facts_of(policy or {}, **{**drawn, **more})


@pytest.mark.parametrize(
    ("why", "more"),
    [
        ("nothing is listed", {"buy_list": "asset_class | security_id\n bonds | B\n gold | G"}),
        ("a restriction", {"restrictions": "security_id | rule\n S | no_buy"}),
        ("a maximum", {"restrictions": "security_id | rule | max_quantity\n S | hold_range | 5"}),
        ("a loss sale", {"trades": "security_id | trade_date | realized_gain_usd\n S | 2026-02-20 | -50"}),
        ("no price", {"prices": "security_id | price_usd\n B | 100\n G | 100"}),
        ("a price of 0", {"prices": "security_id | price_usd\n S | 0\n B | 100\n G | 100"}),
        ("a dear unit", {"prices": "security_id | price_usd\n S | 100000\n B | 100\n G | 100"}),
    ],
)
def test_cash_that_one_class_cannot_take_pushes_no_other_past_its_destination(why: str, more: dict[str, str]) -> None:
    found = after(solved_of(flooded(" stocks | S\n bonds | B\n gold | G", **more)))
    for name in ("bonds", "gold"):
        value, goal = found[name]
        assert goal - 100 - 1e-6 < value <= goal + 1e-6, why


def test_money_of_what_is_sold_floods_no_class_either() -> None:
    lots = "security_id | quantity\n B | 30\n G | 68"
    found = after(solved_of(flooded(" bonds | B\n gold | G", lots=lots, cash="account_id | settled_usd\n a | 200")))
    assert found["bonds"][0] <= found["bonds"][1] + 1e-6
    assert found["gold"][0] < 6_800


@pytest.mark.parametrize("policy", [{"max_orders": 1}, {"max_orders": 2}, {"improvement": 0.9}])
def test_an_order_that_is_left_out_pushes_the_others_by_no_more_than_a_unit(policy: dict[str, Any]) -> None:
    found = after(solved_of(flooded(" stocks | S\n bonds | B\n gold | G", policy)))
    assert all(value <= goal + 100 for value, goal in found.values())


def test_members_of_a_household_flood_no_class_together() -> None:
    drawn = {
        "accounts": "account_id | household_id | tax_status\n a | h | tax_deferred\n b | h | tax_deferred",
        "households": "household_id\n h",
        "lots": "account_id | security_id | quantity\n a | B | 30\n b | G | 10",
        "cash": "account_id | settled_usd\n a | 3000\n b | 3000",
    }
    solved = solved_of(flooded(" bonds | B\n gold | G", **drawn))
    for value, goal in after(solved).values():
        assert value <= goal + 100
    assert (solved.accounts["objective_usd"] >= solved.accounts["lower_bound_usd"] - 1e-6).all()


@settings(max_examples=at_most(60), deadline=None)
@given(
    st.lists(st.integers(0, 80), min_size=3, max_size=3),
    st.integers(0, 12_000),
    st.sets(st.sampled_from(["stocks", "bonds", "gold"]), max_size=2),
    st.sampled_from(
        [{}, {"trade_to": 0.5}, {"tracking_penalty": 50.0}, {"trade_mode": "buy_only"}, {"max_turnover": 0.2}]
    ),
)
def test_no_class_is_bought_past_its_destination_while_another_cannot_be(
    held: list[int], cash: int, barred: set[str], policy: dict[str, Any]
) -> None:
    names = {"stocks": "S", "bonds": "B", "gold": "G"}
    lots = "\n".join(f" {name} | {shares}" for name, shares in zip("SBG", held, strict=True) if shares)
    listed = "\n".join(f" {asset_class} | {name}" for asset_class, name in names.items() if asset_class not in barred)
    facts = flooded(
        listed or " stocks | S",
        policy,
        lots=f"security_id | quantity\n{lots}",
        cash=f"account_id | settled_usd\n a | {cash}",
    )
    if not sum(held) + cash:
        return
    classes = solved_of(facts).classes.with_columns(
        gap=pl.col("destination_usd") - pl.col("start_value_usd").cast(pl.Float64)
    )
    if classes.filter(pl.col("asset_class").is_in(sorted(barred)), pl.col("gap") > 1).is_empty():
        return
    for row in classes.filter(pl.col("bought") > 0).iter_rows(named=True):
        assert row["governed_after_usd"] <= row["destination_usd"] + 1e-6, row
