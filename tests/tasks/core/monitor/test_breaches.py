"""A look by hand-drawn accounts: what is new, what lasts, what is armed again, and what is left alone."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.stored import INTERNAL
from tasks.core.facts.facts import Facts
from tasks.core.facts.target_hashes import model_hashes
from tasks.core.monitor.breaches import NEW, SEEN, KnownToday, seen_accounts, verdict
from tasks.core.reconcile.unshown_fills import MISSING, waiting_orders
from tests.support.facts_table import AS_OF, facts_of

TODAY = AS_OF + timedelta(days=1)
REARM = 0.8
HOUSEHOLD = {
    "accounts": "account_id | household_id\n a | h\n b | h",
    "households": "household_id\n h",
}
BREACHES = {"breach_id": pl.Int64, "account_id": pl.String, "is_before_night": pl.Boolean}


def at_price(price: float, /, policy: dict[str, Any] | None = None, **drawn: str) -> Facts:
    """Account ``a`` holds 60 stocks and 40 bonds, in band when both cost 100; stocks cost ``price`` now."""
    tables = {
        "lots": "account_id | security_id | quantity\n a | S | 60\n a | B | 40",
        "prices": f"security_id | price_usd\n S | {price}\n B | 100",
        **drawn,
    }
    return facts_of(policy or {}, **tables)


def known(facts: Facts, **changed: pl.DataFrame) -> KnownToday:
    nothing = pl.DataFrame(schema={"account_id": pl.String, "model_hash": pl.String})
    night = facts.accounts.select("account_id", triggers=pl.lit(""))
    values: dict[str, pl.DataFrame] = {
        "night": night,
        "fills": pl.DataFrame(schema=MISSING),
        "busy": nothing.select("account_id"),
        "night_models": model_hashes(facts.model_targets),
        "handled": nothing,
        "open_orders": waiting_orders(pl.DataFrame(schema=INTERNAL["open_orders"])),
    }
    return KnownToday(**(values | changed))


def seen(facts: Facts, **changed: pl.DataFrame) -> pl.DataFrame:
    return seen_accounts(facts, known(facts, **changed), as_of=TODAY)


def breaches(*rows: tuple[int, str, bool]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=BREACHES, orient="row")


def newly(rows: pl.DataFrame, *lasting: tuple[int, str, bool]) -> list[str]:
    return verdict(rows, breaches(*lasting), rearm=REARM).new["account_id"].to_list()


def over(rows: pl.DataFrame, *lasting: tuple[int, str, bool]) -> list[int]:
    return verdict(rows, breaches(*lasting), rearm=REARM).cleared.to_list()


def accounts(*names: str) -> pl.DataFrame:
    return pl.DataFrame({"account_id": names}, schema={"account_id": pl.String})


def exported(days_ago: int) -> pl.DataFrame:
    row = ("a", TODAY - timedelta(days=days_ago), "hash")
    return pl.DataFrame([row], schema=INTERNAL["last_exports"], orient="row")


def fill(security: str, quantity: str, value_usd: str) -> pl.DataFrame:
    return pl.DataFrame([("a", security, Decimal(quantity), Decimal(value_usd))], schema=MISSING, orient="row")


def test_an_account_is_new_when_prices_take_it_out_of_its_band() -> None:
    assert newly(seen(at_price(100))) == []
    assert newly(seen(at_price(70))) == ["a"]
    assert seen(at_price(70)).columns == list(SEEN)
    assert verdict(seen(at_price(70)), breaches(), rearm=REARM).new.columns == list(NEW)


def test_nearness_is_the_greatest_drift_over_its_band() -> None:
    rows = seen(at_price(120))  # 7200 of 11200 are stocks
    assert rows["nearness"].item() == pytest.approx((7200 / 11200 - 0.6) / 0.05)


def test_touching_the_band_is_inside() -> None:
    facts = facts_of(lots="security_id | quantity\n S | 65\n B | 35")
    assert seen(facts)["triggers"].item() == ""


def test_what_the_night_found_out_of_band_it_has_handled() -> None:
    night = pl.DataFrame({"account_id": ["a"], "triggers": ["harvest|drift"]})
    assert newly(seen(at_price(70), night=night)) == []
    other = pl.DataFrame({"account_id": ["a"], "triggers": ["calendar"]})
    assert newly(seen(at_price(70), night=other)) == ["a"]


def test_a_breach_that_lasts_is_not_new_again_until_the_account_is_well_inside() -> None:
    lasting = (7, "a", False)
    assert newly(seen(at_price(70)), lasting) == []
    for price in (82, 83, 84):  # inside the band, and within a fifth of its edge
        rows = seen(at_price(price))
        assert rows["nearness"].item() > REARM
        assert rows["triggers"].item() == ""
        assert over(rows, lasting) == []
    assert over(seen(at_price(95)), lasting) == [7]


def test_a_newer_night_that_found_it_in_band_arms_it_again_and_a_break_since_is_new() -> None:
    rows = seen(at_price(70))
    assert over(rows, (7, "a", True)) == [7]
    assert newly(rows, (7, "a", True)) == ["a"]
    night = pl.DataFrame({"account_id": ["a"], "triggers": ["drift"]})
    assert over(seen(at_price(70), night=night), (7, "a", True)) == []


def test_a_breach_of_an_account_that_is_not_seen_goes_on() -> None:
    assert over(seen(at_price(100)), (7, "gone", True)) == []


@pytest.mark.parametrize("status", ["frozen", "closed"])
def test_an_account_that_is_not_traded_starts_nothing(status: str) -> None:
    assert newly(seen(at_price(70, accounts=f"account_id | status\n a | {status}"))) == []


def test_cool_down_is_honoured_and_ends() -> None:
    facts = at_price(70, policy={"cool_down_days": 5})
    assert newly(seen(replace(facts, last_exports=exported(4)))) == []
    assert newly(seen(replace(facts, last_exports=exported(5)))) == ["a"]
    assert newly(seen(replace(at_price(70), last_exports=exported(0)))) == []


def test_an_open_proposal_of_the_account_or_its_household_starts_nothing() -> None:
    assert newly(seen(at_price(70), busy=accounts("a"))) == []
    assert newly(seen(at_price(70, **HOUSEHOLD), busy=accounts("b"))) == []
    apart = {"accounts": HOUSEHOLD["accounts"]}
    assert newly(seen(at_price(70, **apart), busy=accounts("b"))) == ["a"]


def test_a_policy_without_threshold_starts_nothing_but_for_negative_cash() -> None:
    calm = {"is_threshold_triggered": False}
    assert newly(seen(at_price(70, policy=calm))) == []
    rows = seen(at_price(100, policy=calm, cash="account_id | settled_usd\n a | -6"))
    assert newly(rows) == ["a"]
    assert rows["triggers"].item() == "cash"
    assert over(rows, (7, "a", False)) == []


def test_a_deposit_takes_the_class_cash_out_of_its_band() -> None:
    targets = """
        asset_class | target_weight | absolute_band
        stocks      | 0.6           | 0.2
        bonds       | 0.4           | 0.2
        cash        | 0             | 0.05
    """
    rows = seen(at_price(100, model_targets=targets, cash="account_id | settled_usd | pending_usd\n a | 1000 | 0"))
    assert rows["triggers"].item() == "cash"


def test_a_household_is_in_or_out_of_band_as_one() -> None:
    lots = "account_id | security_id | quantity\n a | S | 60\n b | B | 40"
    assert newly(seen(at_price(100, lots=lots, **HOUSEHOLD))) == []
    rows = seen(at_price(70, lots=lots, **HOUSEHOLD))
    assert newly(rows) == ["a", "b"]
    assert rows["nearness"].to_list() == [pytest.approx((0.6 - 42 / 82) / 0.05)] * 2


def test_fills_that_holdings_do_not_show_count_and_leave_the_account_alone() -> None:
    rows = seen(at_price(100), fills=fill("S", "30", "-3000"))
    assert rows["triggers"].item() == "drift|cash"
    assert newly(rows) == []
    back = seen(at_price(70), fills=pl.concat([fill("S", "9", "-630"), fill("B", "-6.3", "630")]))
    assert back["nearness"].item() < REARM
    assert over(back, (7, "a", False)) == [7]


def test_what_has_no_fresh_price_takes_its_account_and_household_out_of_the_look() -> None:
    prices = "security_id | price_usd\n B | 100"
    assert seen(at_price(70, prices=prices)).is_empty()
    lots = "account_id | security_id | quantity\n a | S | 60\n b | B | 40"
    assert seen(at_price(70, lots=lots, prices=prices, **HOUSEHOLD)).is_empty()
    apart = {"accounts": HOUSEHOLD["accounts"]}
    assert seen(at_price(70, lots=lots, prices=prices, **apart))["account_id"].to_list() == ["b"]


def test_a_model_whose_targets_changed_is_new_whatever_lasts_and_only_once() -> None:
    facts = at_price(100)
    others = pl.DataFrame({"model_id": ["m"], "model_hash": ["before"]})
    rows = seen(facts, night_models=others)
    assert rows["triggers"].item() == "model_change"
    assert newly(rows) == newly(rows, (7, "a", False)) == ["a"]
    assert over(rows, (7, "a", False)) == [7]
    now = model_hashes(facts.model_targets)["model_hash"].item()
    handled = pl.DataFrame({"account_id": ["a"], "model_hash": [now]})
    assert newly(seen(facts, night_models=others, handled=handled)) == []
    back_again = pl.DataFrame({"account_id": ["a"], "model_hash": ["before"]})
    assert newly(seen(facts, handled=back_again)) == ["a"]


def test_an_account_without_investable_value_is_never_new_and_never_armed() -> None:
    rows = seen(facts_of(lots="security_id | quantity\n S | 1", cash="account_id | settled_usd\n a | -500"))
    assert rows["nearness"].item() is None
    assert newly(rows) == []
    assert over(rows, (7, "a", False)) == []


def test_shuffled_rows_and_other_accounts_change_nothing() -> None:
    lots = "account_id | security_id | quantity\n a | S | 60\n a | B | 40\n b | S | 10\n b | B | 90"
    both = at_price(70, accounts="account_id\n b\n a", lots=lots)
    turned = replace(both, lots=both.lots.reverse(), accounts=both.accounts.reverse())
    assert seen(both).equals(seen(turned))
    assert seen(both).filter(pl.col("account_id") == "a").equals(seen(at_price(70)))


@cache
def seen_at(price: int) -> pl.DataFrame:
    return seen(at_price(price))


def looks(prices: list[int]) -> tuple[int, int]:
    """How many scopes a sequence of looks makes of the account, and how often it was armed again."""
    scopes = rearmed = 0
    lasting: list[tuple[int, str, bool]] = []
    for price in prices:
        found = verdict(seen_at(price), breaches(*lasting), rearm=REARM)
        if found.cleared.len():
            lasting, rearmed = [], rearmed + 1
        if found.new.height:
            assert lasting == []
            scopes += 1
            lasting = [(scopes, "a", False)]
    return scopes, rearmed


def test_prices_that_flap_around_the_band_make_one_breach() -> None:
    assert looks([100, *([79, 83] * 20)]) == (1, 0)
    assert looks([79, 83, 100, 79]) == (2, 1)


@given(st.lists(st.integers(60, 150), max_size=12))
def test_an_account_is_in_at_most_one_scope_more_than_it_was_armed_again(prices: list[int]) -> None:
    scopes, rearmed = looks(prices)
    assert rearmed <= scopes <= rearmed + 1


def test_an_account_that_the_night_left_alone_for_its_open_orders_stays_alone() -> None:
    waits = pl.DataFrame({"account_id": ["a"], "open_orders": ["buy 5 S"], "open_sessions": [1]})
    assert seen(at_price(50))["is_free"].to_list() == [True]
    assert seen(at_price(50), open_orders=waits)["is_free"].to_list() == [False]
