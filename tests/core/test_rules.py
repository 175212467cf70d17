from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from tasks.core.facts import Facts
from tasks.core.rules import destinations, starts
from tests.core.facts_table import AS_OF, ago, facts_of, problem_of

SPREADS = """
    security_id | asset_class | half_spread_bps
    S           | stocks      | 10
    B           | bonds       | 20
"""
HOUSEHOLD = """
    account_id | household_id | tax_status
    a          | h            | taxable
    ira        | h            | tax_deferred
"""


def locks(facts: Facts, account_id: str = "a") -> dict[str, str | None]:
    """Lock of each lot by its ``lot_id``."""
    lots = problem_of(facts).lots.filter(pl.col("account_id") == account_id)
    return dict(lots.select("lot_id", "lock").rows())


def costs(facts: Facts) -> dict[str, Any]:
    """Cost per dollar sold of each lot of account ``a``."""
    lots = problem_of(facts).lots.filter(pl.col("account_id") == "a")
    return {lot: pytest.approx(cost, abs=1e-12) for lot, cost in lots.select("lot_id", "cost").rows()}


def lot(**cells: str) -> str:
    drawn = {"security_id": "S", "quantity": "10", **cells}
    return f"{' | '.join(drawn)}\n{' | '.join(drawn.values())}"


def one_lock(policy: dict[str, Any] | None = None, /, *, tax_status: str = "taxable", **cells: str) -> str | None:
    accounts = f"account_id | tax_status\n a | {tax_status}"
    return locks(facts_of(policy, accounts=accounts, lots=lot(**cells)))["1"]


def test_a_lot_is_free_unless_a_rule_locks_it() -> None:
    assert one_lock() is None


@pytest.mark.parametrize(("rule", "lock"), [("no_sell", "restricted"), ("no_trade", "restricted"), ("no_buy", None)])
@pytest.mark.parametrize("account", ["a", ""])
def test_a_restriction_locks_the_security(rule: str, lock: str | None, account: str) -> None:
    facts = facts_of(lots=lot(), restrictions=f"account_id | security_id | rule\n {account} | S | {rule}")
    assert locks(facts) == {"1": lock}


def test_a_security_that_is_not_tradable_is_locked() -> None:
    securities = "security_id | asset_class | is_tradable\n S | stocks | false\n B | bonds | true"
    assert locks(facts_of(lots=lot(), securities=securities)) == {"1": "not_tradable"}


@pytest.mark.parametrize("cells", [{"unit_cost_usd": ""}, {"acquired_date": ""}])
def test_an_unknown_basis_locks_a_lot_where_gains_are_taxed(cells: dict[str, str]) -> None:
    assert one_lock(**cells) == "missing_basis"
    assert one_lock(**cells, tax_status="tax_deferred") is None
    assert one_lock(**cells, tax_status="tax_exempt") is None


def test_a_cost_of_zero_is_real_and_taxed_whole() -> None:
    facts = facts_of(lots=lot(unit_cost_usd="0"))
    assert locks(facts) == {"1": None}
    assert costs(facts) == {"1": 0.2}


@pytest.mark.parametrize(("unmodelled", "lock"), [("hold", "unmodelled_held"), ("sell", None)])
def test_a_class_without_a_target_is_held_or_sold_as_policy_says(unmodelled: str, lock: str | None) -> None:
    securities = "security_id | asset_class\n G | gold\n S | stocks\n B | bonds"
    facts = facts_of({"unmodelled": unmodelled}, securities=securities, lots=lot(security_id="G"))
    assert locks(facts) == {"1": lock}


def test_a_class_with_a_target_of_zero_is_modelled() -> None:
    targets = "asset_class | target_weight\n stocks | 0\n bonds | 1\n cash | 0"
    assert locks(facts_of(lots=lot(), model_targets=targets)) == {"1": None}


@pytest.mark.parametrize(
    ("cells", "tax_status", "lock"),
    [
        ({"unit_cost_usd": "90", "acquired_date": ago(20)}, "taxable", "short_term_gain_avoided"),
        ({"unit_cost_usd": "90", "acquired_date": ago(20)}, "tax_exempt", None),
        ({"unit_cost_usd": "90", "acquired_date": ago(2000)}, "taxable", None),
        ({"unit_cost_usd": "110", "acquired_date": ago(20)}, "taxable", None),
        ({"unit_cost_usd": "100", "acquired_date": ago(20)}, "taxable", None),
    ],
)
def test_only_taxed_gains_of_short_term_are_avoided(cells: dict[str, str], tax_status: str, lock: str | None) -> None:
    assert one_lock({"short_term_gains": "avoid"}, tax_status=tax_status, **cells) == lock
    assert one_lock({"short_term_gains": "allow"}, tax_status=tax_status, **cells) is None


def test_a_restriction_is_named_before_every_other_lock() -> None:
    facts = facts_of(
        {"short_term_gains": "avoid"},
        lots=lot(unit_cost_usd="", acquired_date=""),
        restrictions="security_id\n S",
    )
    assert locks(facts) == {"1": "restricted"}


@pytest.mark.parametrize(("acquired", "cost"), [(ago(2000), 0.2 * 0.4 + 0.001), (ago(20), 0.4 * 0.4 + 0.001)])
def test_the_cost_of_a_gain_is_half_the_spread_and_tax_at_its_term(acquired: str, cost: float) -> None:
    facts = facts_of(securities=SPREADS, lots=lot(unit_cost_usd="60", acquired_date=acquired))
    assert costs(facts) == {"1": cost}


def test_the_term_is_that_of_the_date_of_sale() -> None:
    facts = facts_of(lots=lot(unit_cost_usd="60", acquired_date="2025-03-01"))
    assert problem_of(facts, AS_OF).lots["term"].item() == "long"
    assert problem_of(facts, AS_OF - timedelta(days=1)).lots["term"].item() == "short"


def test_with_harvesting_off_a_loss_pays_no_more_than_a_round_trip() -> None:
    facts = facts_of(securities=SPREADS, lots=lot(unit_cost_usd="300"))
    assert costs(facts) == {"1": 0.001 - 0.002}
    assert problem_of(facts).lots["tax"].item() == pytest.approx(-0.002)


def test_a_round_trip_counts_the_spread_of_what_the_class_would_buy() -> None:
    securities = "security_id | asset_class | half_spread_bps\n S | stocks | 10\n T | stocks | 30\n B | bonds | 0"
    buys = "asset_class | security_id\n stocks | T\n bonds | B"
    facts = facts_of(securities=securities, buy_list=buys, lots=lot(unit_cost_usd="300"))
    assert costs(facts) == {"1": 0.001 - 0.004}


def test_where_nothing_can_be_bought_a_round_trip_is_the_sale_alone() -> None:
    facts = facts_of(
        securities=SPREADS, buy_list="asset_class | security_id\n bonds | B", lots=lot(unit_cost_usd="300")
    )
    assert costs(facts) == {"1": 0.0}


def test_a_small_loss_saves_its_tax() -> None:
    facts = facts_of(securities=SPREADS, lots=lot(unit_cost_usd="100.5"))
    assert costs(facts) == {"1": 0.001 - 0.2 * 0.005}


@pytest.mark.parametrize(("buyer", "days", "is_replaced"), [("ira", 30, True), ("ira", 31, False), ("a", 30, True)])
def test_a_loss_that_the_household_bought_back_saves_no_tax(buyer: str, days: int, *, is_replaced: bool) -> None:
    facts = facts_of(
        accounts=HOUSEHOLD,
        securities=SPREADS,
        lots=f"""
            account_id | security_id | lot_id | quantity | unit_cost_usd | acquired_date
            a          | S           | old    | 10       | 300           | 2015-01-05
            {buyer}    | S           | new    | 2        | 100           | {ago(days)}
        """,
    )
    assert costs(facts)["old"] == (0.001 if is_replaced else -0.001)


def test_a_recent_lot_does_not_replace_itself_but_two_replace_each_other() -> None:
    header = "security_id | lot_id | quantity | unit_cost_usd | acquired_date"
    alone = facts_of(securities=SPREADS, lots=f"{header}\n S | 1 | 10 | 300 | {ago(5)}")
    both = facts_of(securities=SPREADS, lots=f"{header}\n S | 1 | 10 | 300 | {ago(5)}\n S | 2 | 1 | 300 | {ago(6)}")
    assert costs(alone) == {"1": -0.001}
    assert costs(both) == {"1": 0.001, "2": 0.001}


def test_a_gain_is_taxed_whatever_was_bought_back() -> None:
    header = "security_id | lot_id | quantity | unit_cost_usd | acquired_date"
    facts = facts_of(lots=f"{header}\n S | old | 10 | 50 | 2015-01-05\n S | new | 5 | 100 | {ago(5)}")
    assert costs(facts)["old"] == 0.1


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
    row = {"target_weight": target, "drift": drift, "band": band, "trade_to": trade_to, "nav_usd": 50_000}
    frame = pl.DataFrame([row], schema_overrides={"band": pl.Float64})
    assert destinations(frame)["destination_usd"].item() == pytest.approx(weight * 50_000)


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


def test_a_security_of_the_class_cash_is_not_sold_and_lowers_the_cash_to_keep() -> None:
    facts = facts_of(
        securities="security_id | asset_class\n S | stocks\n M | cash",
        lots="security_id | quantity\n S | 90\n M | 10",
        model_targets="asset_class | target_weight\n stocks | 0.8\n cash | 0.2",
        buy_list="asset_class | security_id\n stocks | S",
    )
    problem = problem_of(facts)
    assert problem.lots["security_id"].to_list() == ["S"]
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
    parents = pl.DataFrame({"k": ["a", "b", "c"]})
    children = pl.DataFrame({"k": ["a", "a", "c"]})
    assert starts(parents, children, "k").tolist() == [0, 2, 2, 3]
    assert starts(parents.clear(), children.clear(), "k").tolist() == [0]
    assert starts(parents, children, "k").dtype == np.int64
