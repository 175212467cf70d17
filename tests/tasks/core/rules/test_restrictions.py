from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from schemas.enums import RestrictionRule
from schemas.stored import INTERNAL
from tasks.core.facts.facts import Facts, account_parameters
from tasks.core.rules.restrictions import (
    active_restrictions,
    loss_sales,
    not_held,
    own_restrictions,
    sold_tonight,
    wash_conflicts,
)
from tests.support.facts_table import AS_OF, ago, facts_of
from tests.support.landing_book import rows_of

NO_BUY = (RestrictionRule.NO_BUY, RestrictionRule.NO_TRADE)
HOUSEHOLD = """
    account_id | household_id | tax_status
    a          | h            | taxable
    ira        | h            | tax_deferred
    other      |              | taxable
"""


def households_of(facts: Facts) -> pl.DataFrame:
    return account_parameters(facts).select("account_id", "wash_sale_days").join(facts.members, on="account_id")


def washed(facts: Facts) -> list[tuple[str, str]]:
    return sorted(loss_sales(facts, households_of(facts), AS_OF).rows())


def sold(days: int, account: str = "a", *, gain: str = "-5", side: str = "sell") -> str:
    return f"account_id | security_id | trade_date | side | realized_gain_usd\n {account} | S | {ago(days)} | {side} | {gain}"


def pending(days: int, account: str = "a", *, side: str = "sell", is_loss: bool = True) -> pl.DataFrame:
    """One share of S, ordered by another run so many days before tonight."""
    order = (account, "S", side, 1, AS_OF - timedelta(days=days), is_loss)
    return pl.DataFrame([order], schema=INTERNAL["pending_orders"], orient="row")


@pytest.mark.parametrize(("rule", "is_barred"), [("no_buy", True), ("no_trade", True), ("no_sell", False)])
def test_only_rules_asked_for_count(rule: str, *, is_barred: bool) -> None:
    facts = facts_of(restrictions=f"security_id | rule\n S | {rule}")
    pairs, everyone = active_restrictions(facts, AS_OF, NO_BUY)
    assert pairs.rows() == ([("a", "S")] if is_barred else [])
    assert everyone.is_empty()


@pytest.mark.parametrize(("until", "is_barred"), [(ago(0), True), (ago(1), False), (ago(-1), True), ("", True)])
def test_the_last_date_of_a_restriction_is_still_restricted(until: str, *, is_barred: bool) -> None:
    facts = facts_of(restrictions=f"security_id | until_date\n S | {until}")
    assert active_restrictions(facts, AS_OF, NO_BUY)[0].is_empty() is not is_barred


def test_a_restriction_without_an_account_is_for_everyone() -> None:
    facts = facts_of(
        restrictions="""
            account_id | security_id
                       | S
            a          | B
            a          | B
        """
    )
    pairs, everyone = active_restrictions(facts, AS_OF, NO_BUY)
    assert (pairs.rows(), everyone.to_list()) == ([("a", "B")], ["S"])


@pytest.mark.parametrize(("days", "is_barred"), [(0, True), (1, True), (30, True), (31, False), (-1, False)])
def test_day_30_after_a_loss_sale_is_inside_the_window_and_day_31_outside(days: int, *, is_barred: bool) -> None:
    assert washed(facts_of(trades=sold(days))) == ([("a", "S")] if is_barred else [])


@pytest.mark.parametrize(("gain", "side"), [("0", "sell"), ("5", "sell"), ("", "sell"), ("-5", "buy")])
def test_only_sales_at_a_loss_count(gain: str, side: str) -> None:
    assert washed(facts_of(trades=sold(3, gain=gain, side=side))) == []


def test_the_window_is_the_accounts_own_policy() -> None:
    assert washed(facts_of({"wash_sale_days": 10}, trades=sold(10))) == [("a", "S")]
    assert washed(facts_of({"wash_sale_days": 10}, trades=sold(11))) == []


@pytest.mark.parametrize("seller", ["a", "ira"])
def test_a_loss_sale_bars_the_household_whole_iras_included(seller: str) -> None:
    facts = facts_of(accounts=HOUSEHOLD, trades=sold(30, seller))
    assert washed(facts) == [("a", "S"), ("ira", "S")]


@pytest.mark.parametrize(
    ("days", "is_barred"), [(31, False), (30, True), (0, True), (-1, True), (-30, True), (-31, False)]
)
def test_an_order_to_sell_at_a_loss_bars_as_a_sale_does_before_it_is_filled(days: int, *, is_barred: bool) -> None:
    facts = replace(facts_of(accounts=HOUSEHOLD), pending_orders=pending(days, "ira"))
    assert washed(facts) == ([("a", "S"), ("ira", "S")] if is_barred else [])


def test_an_order_to_buy_or_to_sell_at_a_gain_bars_nothing() -> None:
    for orders in (pending(1, side="buy"), pending(1, is_loss=False)):
        assert washed(replace(facts_of(), pending_orders=orders)) == []


def test_a_member_that_is_not_traded_tonight_still_bars_its_household() -> None:
    whole = facts_of(accounts=HOUSEHOLD, trades=sold(30, "ira"))
    facts = facts_of(accounts="account_id | household_id\n a | h", trades=sold(30, "ira"))
    assert washed(facts) == []
    quarantined = Facts(**{**vars(facts), "members": whole.members})
    assert washed(quarantined) == [("a", "S")]


def test_no_accounts_have_no_bars() -> None:
    facts = facts_of(trades=sold(3))
    nobody = households_of(facts).clear()
    assert loss_sales(facts, nobody, AS_OF).is_empty()


def test_a_restriction_is_named_before_the_window() -> None:
    facts = facts_of(restrictions="security_id | rule\n S | no_buy\n B | no_sell", trades=sold(3))
    assert own_restrictions(facts, households_of(facts), AS_OF).rows() == [("a", "S", "restricted")]


def own(facts: Facts, sold_at_loss: pl.DataFrame | None = None) -> list[tuple[str, str, str]]:
    return sorted(own_restrictions(facts, households_of(facts), AS_OF, sold_at_loss=sold_at_loss).rows())


def test_what_the_household_sells_at_a_loss_tonight_is_in_the_window() -> None:
    tonight = pl.DataFrame({"account_id": ["a", "a"], "security_id": ["S", "B"]})
    facts = facts_of(restrictions="security_id | rule\n S | no_buy")
    assert own(facts, tonight) == [("a", "B", "wash_sale_window"), ("a", "S", "restricted")]


def test_a_soft_close_bars_an_account_that_does_not_hold_the_security() -> None:
    facts = facts_of(
        accounts=HOUSEHOLD,
        restrictions="account_id | security_id | rule\n a | S | no_new\n ira | S | no_new",
        lots="account_id | security_id | quantity\n ira | S | 1\n a | B | 1",
    )
    assert own(facts) == [("a", "S", "not_held")]


@pytest.mark.parametrize(("until", "is_barred"), [(ago(0), True), (ago(1), False)])
def test_a_soft_close_ends_with_its_last_date(until: str, *, is_barred: bool) -> None:
    facts = facts_of(restrictions=f"security_id | rule | until_date\n S | no_new | {until}")
    assert own(facts) == ([("a", "S", "not_held")] if is_barred else [])


def test_a_soft_close_for_everyone_spares_those_that_hold_the_security() -> None:
    facts = facts_of(
        accounts=HOUSEHOLD,
        restrictions="account_id | security_id | rule\n | S | no_new",
        lots="account_id | security_id | lot_id | quantity\n ira | S | 1 | 1\n ira | S | 2 | 1\n a | B | 1 | 1",
    )
    pairs, spared = not_held(facts, AS_OF)
    assert (pairs.rows(), spared.rows()) == ([], [("ira", "S")])


def test_the_window_is_named_before_a_soft_close() -> None:
    facts = facts_of(restrictions="security_id | rule\n S | no_new", trades=sold(3))
    assert own(facts) == [("a", "S", "wash_sale_window")]


MEMBERS = pl.DataFrame(
    {"account_id": ["a", "b", "ira", "other"], "household_key": ["h 1", "h 1", "h 1", "a other"]},
)
ORDERS = """
    order_id | account_id | side | security_id
    1        | a          | sell | S
    2        | b          | buy  | S
    3        | ira        | buy  | S
    4        | other      | buy  | S
    5        | b          | sell | B
    6        | ira        | buy  | B
    7        | ira        | sell | C
    8        | a          | buy  | C
"""


def conflicts(*gains: tuple[str, str], orders: str = ORDERS) -> list[tuple[str, str]]:
    """Purchases that yield, given (order, gain of a lot it closes); a and b pay tax."""
    relief = pl.DataFrame(gains, schema=["order_id", "gain_usd"], orient="row").with_columns(
        pl.col("gain_usd").cast(pl.Float64, strict=False)
    )
    return wash_conflicts(rows_of(orders), relief, MEMBERS, taxed=pl.Series(["a", "b", "other"])).rows()


def test_a_purchase_yields_to_a_sale_at_a_loss_in_another_account_of_the_household() -> None:
    assert conflicts(("1", "-5"), ("5", "3"), ("7", "0")) == [("b", "S"), ("ira", "S")]


def test_one_lot_at_a_loss_is_enough_whatever_the_order_gains() -> None:
    assert conflicts(("5", "100"), ("5", "-1")) == [("ira", "B")]


@pytest.mark.parametrize("gain", ["0", "4", ""])
def test_a_sale_without_a_loss_bars_no_purchase(gain: str) -> None:
    assert conflicts(("1", gain)) == []


def test_a_sale_in_an_account_that_pays_no_tax_has_no_loss() -> None:
    assert conflicts(("7", "-5")) == []


def test_the_accounts_that_do_not_buy_it_tonight_may_not_buy_it_instead_either() -> None:
    relief = pl.DataFrame({"order_id": ["5"], "gain_usd": [-1.0]})
    barred = sold_tonight(rows_of(ORDERS), relief, MEMBERS, taxed=pl.Series(["a", "b"]))
    assert barred.rows() == [("a", "B"), ("b", "B"), ("ira", "B")]


def test_without_orders_nothing_conflicts() -> None:
    header = ORDERS.splitlines()[1]
    assert conflicts(("1", "-5"), orders=header) == []


def test_the_order_of_tonights_orders_changes_no_conflict() -> None:
    lines = ORDERS.splitlines()
    backwards = "\n".join(["", lines[1], *reversed(lines[2:])])
    gains = [("1", "-5"), ("5", "-1"), ("5", "2")]
    assert (
        conflicts(*reversed(gains), orders=backwards) == conflicts(*gains) == [("b", "S"), ("ira", "B"), ("ira", "S")]
    )
