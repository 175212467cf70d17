"""Terms, windows and restrictions are judged on the first session after the as-of date, and on nothing else."""

from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.facts.facts import Facts, account_parameters
from tasks.core.propose import order_rows
from tasks.core.propose.engine import shard_of, solve_accounts
from tasks.core.propose.solved import Solved
from tests.support.examples import at_most
from tests.support.facts_table import AS_OF, drift_of, facts_of, traded

FRIDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 23)


def solved_on(facts: Facts, as_of: date = FRIDAY, trade_date: date = MONDAY) -> Solved:
    facts = replace(facts, as_of=as_of, trade_date=trade_date)
    drift = drift_of(facts)
    nav = drift.select("account_id", "nav_usd").unique()
    accounts = account_parameters(facts).join(nav, on="account_id")
    return solve_accounts(accounts, shard_of(facts, drift, nav))


def terms(acquired: str, as_of: date, trade_date: date) -> set[str]:
    facts = facts_of(
        lots=f"security_id | quantity | unit_cost_usd | acquired_date\n S | 90 | 90 | {acquired}\n B | 10 | 100 | 2015-01-05"
    )
    _, relief = order_rows(solved_on(facts, as_of, trade_date), "r")
    return set(relief["term"])


@pytest.mark.parametrize(
    ("acquired", "as_of", "trade_date", "term"),
    [
        ("2025-11-20", "2026-11-20", "2026-11-23", "long"),
        ("2025-11-22", "2026-11-20", "2026-11-23", "long"),
        ("2025-11-23", "2026-11-20", "2026-11-23", "short"),
        ("2025-11-26", "2026-11-25", "2026-11-27", "long"),
        ("2024-02-29", "2025-02-28", "2025-03-03", "long"),
        ("2024-02-29", "2025-02-27", "2025-02-28", "short"),
        ("2023-02-28", "2024-02-28", "2024-02-29", "short"),
        ("2025-12-31", "2026-12-31", "2027-01-04", "long"),
        ("2026-01-04", "2026-12-31", "2027-01-04", "short"),
    ],
)
def test_a_term_is_that_of_the_day_of_the_trade(acquired: str, as_of: str, trade_date: str, term: str) -> None:
    assert terms(acquired, date.fromisoformat(as_of), date.fromisoformat(trade_date)) == {term}


@pytest.mark.parametrize(
    ("until", "is_sold"), [("2026-11-20", True), ("2026-11-22", True), ("2026-11-23", False), ("2026-11-24", False)]
)
@pytest.mark.parametrize("rule", ["no_sell", "no_trade"])
def test_a_restriction_holds_on_its_last_date_and_not_after(rule: str, until: str, *, is_sold: bool) -> None:
    facts = facts_of(
        lots="security_id | quantity\n S | 90\n B | 10",
        restrictions=f"security_id | rule | until_date\n S | {rule} | {until}",
    )
    assert ("S" in traded(solved_on(facts))) is is_sold


@pytest.mark.parametrize("until", ["2026-11-21", "2026-11-23"])
def test_a_range_that_is_over_on_the_day_keeps_nothing(until: str) -> None:
    facts = facts_of(
        lots="security_id | quantity\n S | 90\n B | 10",
        restrictions=f"security_id | rule | until_date | min_quantity\n S | hold_range | {until} | 80",
    )
    sold = -traded(solved_on(facts)).get("S", 0.0)
    assert (sold > 10) is (until < "2026-11-23")


@pytest.mark.parametrize(("days", "is_bought"), [(30, False), (31, True), (33, True)])
def test_a_window_after_a_loss_sale_ends_before_the_day_of_the_trade(days: int, *, is_bought: bool) -> None:
    sold = MONDAY - timedelta(days=days)
    facts = facts_of(
        lots="security_id | quantity\n B | 100",
        trades=f"account_id | security_id | trade_date | side | realized_gain_usd\n a | S | {sold} | sell | -50",
    )
    assert ("S" in traded(solved_on(facts))) is is_bought


@pytest.mark.parametrize(("days", "replaced"), [(30, 10.0), (31, 0.0), (33, 0.0)])
def test_a_purchase_before_a_loss_sale_disallows_it_within_the_window_of_the_trade(days: int, replaced: float) -> None:
    bought = MONDAY - timedelta(days=days)
    facts = facts_of(
        lots=f"""
            security_id | lot_id | quantity | unit_cost_usd | acquired_date
            S           | old    | 80       | 130           | 2015-01-05
            S           | new    | 10       | 101           | {bought}
            B           | 1      | 10       | 100           | 2015-01-05
        """,
    )
    lots = solved_on(facts).lots.filter(lot_id="old")
    assert lots["replaced_quantity"].to_list() == [replaced]


@settings(max_examples=at_most(25), deadline=None)
@given(st.integers(0, 40), st.integers(1, 5), st.integers(0, 400))
def test_the_as_of_date_decides_nothing(late: int, gap: int, age: int) -> None:
    """What is so on one trade date is so whichever night proposed it, within a year."""
    trade_date = AS_OF + timedelta(days=late)
    facts = facts_of(
        lots=f"""
            security_id | lot_id | quantity | unit_cost_usd | acquired_date
            S           | 1      | 60       | 80            | {trade_date - timedelta(days=age)}
            S           | 2      | 40       | 120           | {trade_date - timedelta(days=gap)}
        """,
        restrictions=f"security_id | rule | until_date\n B | no_buy | {AS_OF}",
    )
    one, other = (
        solved_on(facts, trade_date - timedelta(days=days), trade_date).lots.select(
            "lot_id", "term", "sold", "replaced_quantity"
        )
        for days in (gap, 1)
    )
    assert one.equals(other)
    assert pl.Series(one["term"]).null_count() == 0
