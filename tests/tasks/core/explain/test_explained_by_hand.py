"""Small accounts of which every number on the page is worked out by hand."""

from typing import Any

import pytest

from tasks.core.explain.account_page import page
from tasks.core.explain.plain_values import Page
from tests.support.account_record import told_of
from tests.support.facts_table import facts_of

SEARCHED = 1e-4
"""A price that is found by a search is near the exact one."""

# Account one. NAV 100,000; the targets are 60 % stocks and 40 % bonds, a price of 100 USD, no spread.
#
#   stocks  650 shares bought at 150 in 2015: 65,000, a long-term loss of 50 on each
#   bonds   350 shares bought at 100: 35,000
#   this year: a short-term gain of 10,000; rates 40 % short, 20 % long
#
# Stocks are 5,000 above their destination and no cash is lacking: that is the room for losses, 50 shares, and all of it is used. The
# loss of 50 x 50 = 2,500 is set off against the short-term gain: 7,500 is left. Tax 0.4 x 10,000 = 4,000 before, 0.4 x 7,500 = 3,000 after.
NETTING: dict[str, str] = {
    "accounts": "account_id | ytd_short_gain_usd\n a | 10000",
    "lots": "security_id | quantity | unit_cost_usd\n S | 650 | 150\n B | 350 | 100",
}

# Account two. As before, but nothing is at a gain or a loss: stocks 72,000 (12,000 above), bonds 28,000 (12,000 below), and policy allows a
# turnover of 6 %: buys and sells of 2 x 0.06 x 100,000 = 12,000 together. So 60 shares are sold and 60 bought, and each class stays 6,000
# off. With kappa = 2 a dollar off costs k = 2 / 100,000 per dollar: a dollar sold and one bought are worth 2 x 6,000 k = 0.24 together, of
# two dollars of the limit: rho = 0.12, and mu = 0, since cash is worth the same on either side.
TURNOVER: dict[str, str] = {"lots": "security_id | quantity\n S | 720\n B | 280"}

# Account three. A price of 70 USD for stocks and 100 for bonds, kappa = 2,000, so that k / 2 = 0.01 per dollar:
#
#   stocks  860 shares: 60,200, 200 above       bonds  398 shares: 39,800, 200 below
#
# In fractions of shares nothing is left to wish for: objective and bound are 0. In whole shares 3 of stocks are sold (210) and 2 of
# bonds bought (200): 10 too little and 10 of cash, 0.01 x (10^2 + 10^2) = 2. Doing nothing: 0.01 x (200^2 + 200^2) = 800.
#
# Where no order may be smaller than 250, two shares of bonds are too little, three (300) need five of stocks (350): 150 too little, 100 too much
# and 50 of cash: 0.01 x (150^2 + 100^2 + 50^2) = 350, of which the smallest order has made 348.
WHOLE: dict[str, str] = {
    "prices": "security_id | price_usd\n S | 70\n B | 100",
    "lots": "security_id | quantity | unit_cost_usd\n S | 860 | 70\n B | 398 | 100",
}

# Account four. As the second, but stocks were bought at 50, long ago, and policy allows a net gain of 3,000 instead of a turnover: 60 shares,
# 50 on each. Bonds stay 6,000 below: mu = 6,000 k = 0.12. A dollar of stocks is worth 6,000 k + mu = 0.24, of which tax takes 0.2 x 0.5 = 0.1:
# what is left, 0.14, is for half a dollar of the budget: nu = 0.28.
BUDGET: dict[str, str] = {"lots": "security_id | quantity | unit_cost_usd\n S | 720 | 50\n B | 280 | 100"}


@pytest.fixture(scope="module")
def netting() -> Page:
    return page(told_of(facts_of(**NETTING)))


@pytest.fixture(scope="module")
def turnover() -> Page:
    return page(told_of(facts_of({"max_turnover": 0.06}, **TURNOVER)))


def by(rows: list[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in rows}


def test_a_long_loss_is_set_off_against_the_years_short_gain(netting: Page) -> None:
    tax = netting["tax"]
    short, long = tax["terms"]
    assert (short["before_usd"], short["tonight_usd"], short["disallowed_usd"], short["after_usd"]) == (
        10_000,
        0,
        0,
        10_000,
    )
    assert (long["before_usd"], long["tonight_usd"], long["disallowed_usd"], long["after_usd"]) == (
        0,
        -2_500,
        0,
        -2_500,
    )
    assert (tax["tax_before_usd"], tax["est_tax_usd"], tax["tax_after_usd"]) == (4_000, -1_000, 3_000)
    assert (tax["netting_before"], tax["netting_after"], tax["side"]) == ("gains", "long_loss", "B")
    assert tax["netting_after_sentence"] == (
        "The long-term loss of 2,500.00 USD is set off against the short-term gain of 10,000.00 USD: 7,500.00 USD is left and taxed at "
        "the short-term rate."
    )
    assert (
        tax["side_sentence"]
        == "The answer lies on side B of the tax: the long-term net, of the lower rate, ends as a loss."
    )


def test_a_dollar_of_either_term_is_taxed_at_the_short_rate_then(netting: Page) -> None:
    assert [term["marginal_rate"] for term in netting["tax"]["terms"]] == [0.4, 0.4]
    assert netting["tax"]["terms"][1]["marginal_sentence"] == (
        "One more dollar of long-term gain would add about 40.0 cents of tax, and one of loss would save as much."
    )


def test_a_sale_at_a_loss_is_worth_what_it_saves_and_half_of_the_distance_it_removes(netting: Page) -> None:
    # Sold: 5,000 from 5,000 above to none, 2,500 on average: k 2,500 = 0.05, and 0.4 x 0.5 = 0.2 of tax saved: 2,500 bps, at no cost.
    sale, purchase = by(netting["orders"], "side")["sell"], by(netting["orders"], "side")["buy"]
    assert (sale["quantity"], purchase["quantity"]) == (50, 50)
    assert (sale["marginal_benefit_bps"], sale["marginal_cost_bps"]) == pytest.approx((2_500, 0))
    assert sale["worth_usd"] == pytest.approx(0.25 * 5_000)
    # Bought: 5,000 from 5,000 below to none: 500 bps.
    assert (purchase["marginal_benefit_bps"], purchase["marginal_cost_bps"]) == pytest.approx((500, 0))
    assert {order["note"] for order in netting["orders"]} == {None}


def test_a_limit_that_binds_has_a_price_and_what_is_used_of_it(turnover: Page) -> None:
    limits = by(turnover["limits"], "limit")
    assert (limits["turnover"]["most"], limits["turnover"]["used"]) == pytest.approx((12_000, 12_000))
    assert limits["turnover"]["price_bps"] == pytest.approx(1_200, rel=SEARCHED)
    assert limits["turnover"]["is_binding"]
    assert limits["turnover"]["sentence"] == (
        "The limit on purchases and sales, 12,000.00 USD, binds: 12,000.00 USD of it are used, and one more dollar would be worth 1,200.0 bps "
        "of it."
    )
    assert limits["cash"]["price_bps"] == pytest.approx(0, abs=1_200 * SEARCHED)


def test_limits_that_policy_does_not_set_say_so(turnover: Page) -> None:
    limits = by(turnover["limits"], "limit")
    assert [limits[name]["most"] for name in ("gain_budget", "orders")] == [None, None]
    assert limits["gain_budget"]["sentence"] == "Policy sets no limit on net gains."
    assert (limits["orders"]["used"], limits["orders"]["price_bps"]) == (2, None)


def test_an_orders_cost_has_in_it_what_the_price_of_turnover_puts_on_it(turnover: Page) -> None:
    # Each order goes from 12,000 to 6,000 off, 9,000 on average: k 9,000 = 0.18, against rho = 0.12: 0.06 on 6,000 dollars.
    for order in turnover["orders"]:
        assert (order["marginal_benefit_bps"], order["marginal_cost_bps"]) == pytest.approx(
            (1_800, 1_200), rel=SEARCHED
        )
        assert order["worth_usd"] == pytest.approx(360, rel=SEARCHED)


def test_a_gain_budget_that_binds_has_a_price_and_stands_in_the_cost_of_what_uses_it_up() -> None:
    found = page(told_of(facts_of({"max_realized_gain_usd": 3_000.0}, **BUDGET)))
    limits = by(found["limits"], "limit")
    assert (limits["gain_budget"]["most"], limits["gain_budget"]["used"]) == (3_000, 3_000)
    assert limits["gain_budget"]["price_bps"] == pytest.approx(2_800, rel=SEARCHED)
    assert limits["gain_budget"]["is_binding"]
    assert limits["cash"]["price_bps"] == pytest.approx(1_200, rel=SEARCHED)
    # Both orders go from 12,000 to 6,000 off: 9,000 k = 0.18 on average. The sale brings cash worth mu, too, and costs 0.1 + 0.5 nu = 0.24;
    # the purchase costs mu.
    orders = by(found["orders"], "side")
    shown = ("marginal_benefit_bps", "marginal_cost_bps", "worth_usd")
    assert [orders["sell"][name] for name in shown] == pytest.approx([3_000, 2_400, 360], rel=SEARCHED)
    assert [orders["buy"][name] for name in shown] == pytest.approx([1_800, 1_200, 360], rel=SEARCHED)
    stocks = by(found["ways"], "asset_class")["stocks"]
    assert (stocks["sell_worth_bps"], stocks["sell_cost_bps"]) == pytest.approx((2_400, 2_400), rel=SEARCHED)


def test_a_limit_that_does_not_bind_is_worth_nothing() -> None:
    limits = by(page(told_of(facts_of({"max_turnover": 0.5, "max_orders": 3}, **TURNOVER)))["limits"], "limit")
    assert (limits["turnover"]["is_binding"], limits["turnover"]["price_bps"]) == (False, 0)
    assert limits["turnover"]["sentence"].endswith(
        "does not bind: 24,000.00 USD of it are used, and one more dollar would be worth nothing."
    )
    assert limits["orders"]["sentence"].startswith("Policy allows 3 orders, and 2 are made;")


def test_room_for_losses_is_what_the_class_has_too_much_of_and_binds(netting: Page) -> None:
    # One more dollar at a loss: nothing for the distance, mu = 0, and 0.4 x 0.5 of tax saved: 2,000 bps.
    (stocks,) = netting["losses"]
    assert stocks["asset_class"] == "stocks"
    amounts = ("held_usd", "room_usd", "above_usd", "sold_usd", "harvested_usd")
    assert [stocks[name] for name in amounts] == pytest.approx([65_000, 5_000, 5_000, 5_000, 0])
    assert stocks["is_binding"]
    assert stocks["price_bps"] == pytest.approx(2_000, rel=SEARCHED)
    assert stocks["sentence"] == (
        "Of the 65,000.00 USD of lots at a loss at most 5,000.00 may be sold (5,000.00 above its destination), and 5,000.00 are: the room binds, "
        "and one more dollar of room would be worth 2,000.0 bps of it."
    )


def test_each_class_goes_the_way_of_its_destination(netting: Page) -> None:
    ways = by(netting["ways"], "asset_class")
    assert [(ways[name]["way"], ways[name]["over_usd"], ways[name]["off_usd"]) for name in ("stocks", "bonds")] == [
        ("sells", 5_000, 0),
        ("buys", -5_000, 0),
    ]
    assert ways["stocks"]["sell_cost_bps"] is None, "the room for losses is used up, and all its lots are at a loss"
    assert ways["bonds"]["sentence"] == "Buys 5,000.00 USD: it is 5,000.00 USD below its destination."
    assert all(row["is_obvious"] for row in netting["ways"])


def test_the_next_dollar_of_a_class_stands_where_its_trades_end(turnover: Page) -> None:
    # 6,000 off: 1,200 bps either way, and rho = 1,200 for each dollar traded; against the way, -1,200.
    ways = by(turnover["ways"], "asset_class")
    worth = ("sell_worth_bps", "sell_cost_bps", "buy_worth_bps", "buy_cost_bps")
    assert [ways["stocks"][name] for name in worth] == pytest.approx([1_200, 1_200, -1_200, 1_200], rel=SEARCHED)
    assert [ways["bonds"][name] for name in worth] == pytest.approx([-1_200, 1_200, 1_200, 1_200], rel=SEARCHED)


def test_where_nothing_is_lost_to_whole_units_there_is_no_gap(netting: Page) -> None:
    # Objective: tracking 0, tax -1,000. Trading nothing: k / 2 (5,000^2 + 5,000^2) = 500.
    certificate = netting["certificate"]
    values = ("lower_bound_usd", "continuous_usd", "objective_usd", "idle_usd")
    assert [certificate[name] for name in values] == pytest.approx([-1_000, -1_000, -1_000, 500], abs=0.005)
    assert certificate["parts_sentence"] == "There is no gap to the cent."
    assert certificate["idle_sentence"] == (
        "Trading nothing would be 1,500.00 USD worse: these trades bring 100.0% of the most that could be gained."
    )


@pytest.mark.parametrize(
    ("least", "objective", "parts"),
    [(100, 2, {"whole_units": 2}), (250, 350, {"whole_units": 2, "smallest_order": 348})],
)
def test_a_gap_is_what_whole_units_and_the_smallest_order_make_of_it(
    least: float, objective: float, parts: dict[str, float]
) -> None:
    found = page(told_of(facts_of({"min_trade_usd": least, "tracking_penalty": 2_000.0}, **WHOLE)))["certificate"]
    values = ("lower_bound_usd", "continuous_usd", "objective_usd", "idle_usd")
    assert [found[name] for name in values] == pytest.approx([0, 0, objective, 800], abs=1e-3)
    assert {one["part"]: one["usd"] for one in found["parts"] if one["usd"] > 1e-3} == pytest.approx(parts, abs=1e-3)
    assert [one["bps"] for one in found["parts"]] == pytest.approx([one["usd"] / 10 for one in found["parts"]])


def test_cash_that_is_owed_does_not_allow_to_trade_nothing() -> None:
    found = page(told_of(facts_of(lots="security_id | quantity\n S | 600\n B | 400", cash="settled_usd\n -2000")))
    assert not found["certificate"]["is_idle_allowed"]
    assert found["certificate"]["idle_sentence"].endswith("is not allowed: cash is owed.")
