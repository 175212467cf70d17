from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from tasks.core.facts.facts import Facts
from tests.support.facts_table import AS_OF, ago, facts_of, problem_of

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


@pytest.mark.parametrize("is_harvesting", [False, True])
def test_a_loss_is_priced_as_what_it_saves(*, is_harvesting: bool) -> None:
    facts = facts_of({"is_harvesting": is_harvesting}, securities=SPREADS, lots=lot(unit_cost_usd="100.5"))
    assert costs(facts) == {"1": 0.001 - 0.2 * 0.005}


def replacing(facts: Facts) -> dict[str, tuple[float, float]]:
    """Inside and outside quantity of each lot of account ``a`` by its ``lot_id``."""
    lots = problem_of(facts).lots.filter(pl.col("account_id") == "a")
    return {
        name: (inside, outside)
        for name, inside, outside in lots.select("lot_id", "inside_quantity", "outside_quantity").rows()
    }


@pytest.mark.parametrize(
    ("buyer", "days", "inside", "outside"), [("ira", 30, 0, 2), ("ira", 31, 0, 0), ("a", 30, 2, 0), ("a", 31, 0, 0)]
)
def test_what_the_household_bought_in_the_window_replaces_losses(
    buyer: str, days: int, inside: float, outside: float
) -> None:
    facts = facts_of(
        accounts=HOUSEHOLD,
        securities=SPREADS,
        lots=f"""
            account_id | security_id | lot_id | quantity | unit_cost_usd | acquired_date
            a          | S           | old    | 10       | 300           | 2015-01-05
            {buyer}    | S           | new    | 2        | 100           | {ago(days)}
        """,
    )
    found = replacing(facts)
    assert found["old"] == (0, outside)
    assert found.get("new", (inside, outside)) == (inside, outside)


def test_of_one_days_purchase_the_first_lots_have_what_is_left_of_it() -> None:
    header = "security_id | lot_id | quantity | unit_cost_usd | acquired_date"
    day = ago(6)
    facts = facts_of(
        securities=SPREADS,
        lots=f"{header}\n S | 1 | 10 | 300 | {ago(5)}\n S | 2 | 1 | 300 | {day}\n S | 3 | 4 | 300 | {day}",
    )
    assert replacing(facts) == {"1": (10, 0), "2": (1, 0), "3": (4, 0)}


def test_a_gain_is_taxed_whatever_was_bought_back() -> None:
    header = "security_id | lot_id | quantity | unit_cost_usd | acquired_date"
    facts = facts_of(lots=f"{header}\n S | old | 10 | 50 | 2015-01-05\n S | new | 5 | 100 | {ago(5)}")
    assert costs(facts)["old"] == 0.1


def test_a_frozen_lot_is_locked() -> None:
    assert one_lock(is_frozen="true") == "lot_frozen"
    assert one_lock(is_frozen="false") is None


def test_an_account_that_only_buys_sells_nothing() -> None:
    assert one_lock({"trade_mode": "buy_only"}) == "buy_only"
    assert one_lock({"trade_mode": "sell_only"}) is None


@pytest.mark.parametrize("status", ["frozen", "closed"])
def test_an_account_that_is_not_active_sells_and_buys_nothing(status: str) -> None:
    problem = problem_of(facts_of(accounts=f"account_id | status\n a | {status}", lots=lot()))
    assert problem.lots["lock"].to_list() == ["member_not_traded"]
    assert problem.classes["buy_lock"].to_list() == ["member_not_traded"] * 2
    assert problem.book.lot_cap.tolist() == [0]
    assert problem.book.buy_cap.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("cells", "policy", "lock"),
    [
        ({"is_frozen": "true"}, {"unmodelled": "hold"}, "lot_frozen"),
        ({"unit_cost_usd": ""}, {"unmodelled": "hold"}, "unmodelled_held"),
        ({"unit_cost_usd": ""}, {"unmodelled": "sell", "trade_mode": "buy_only"}, "missing_basis"),
        (
            {"unit_cost_usd": "90", "acquired_date": ago(20)},
            {"unmodelled": "sell", "trade_mode": "buy_only", "short_term_gains": "avoid"},
            "buy_only",
        ),
    ],
)
def test_of_several_locks_the_first_is_named(cells: dict[str, str], policy: dict[str, Any], lock: str) -> None:
    securities = "security_id | asset_class\n G | gold\n S | stocks\n B | bonds"
    facts = facts_of(policy, securities=securities, lots=lot(security_id="G", **cells))
    assert locks(facts) == {"1": lock}


def test_selling_what_is_badly_placed_is_relieved_of_what_holding_it_costs() -> None:
    placed = "asset_class | tax_status | cost_bps\n stocks | taxable | 30\n stocks | tax_deferred | 7"
    facts = facts_of(securities=SPREADS, location_preferences=placed, lots=lot(unit_cost_usd="60"))
    assert costs(facts) == {"1": 0.001 + 0.2 * 0.4 - 0.003}
    classes = problem_of(facts).classes
    assert classes["buy_cost"].to_list() == pytest.approx([0.002, 0.001 + 0.003])
    assert classes["buy_spread"].to_list() == pytest.approx([0.002, 0.001])


@pytest.mark.parametrize(
    ("cells", "tax_status", "gains"),
    [
        ({"unit_cost_usd": "60"}, "taxable", (0.4, False)),
        ({"unit_cost_usd": "60", "acquired_date": ago(20)}, "taxable", (0.4, True)),
        ({"unit_cost_usd": "150"}, "taxable", (-0.5, False)),
        ({"unit_cost_usd": ""}, "taxable", (0.0, False)),
        ({"unit_cost_usd": "60", "acquired_date": ""}, "taxable", (0.0, False)),
        ({"unit_cost_usd": "60"}, "tax_exempt", (0.0, False)),
        ({"unit_cost_usd": "0"}, "taxable", (1.0, False)),
    ],
)
def test_only_gains_that_are_taxed_count_in_the_netting(
    cells: dict[str, str], tax_status: str, gains: tuple[float, bool]
) -> None:
    facts = facts_of(accounts=f"account_id | tax_status\n a | {tax_status}", lots=lot(**cells))
    assert problem_of(facts).lots.select("gain", "is_short").row(0) == pytest.approx(gains)


def test_a_missing_basis_is_not_a_cost_of_zero() -> None:
    lots = "security_id | lot_id | quantity | unit_cost_usd\n S | unknown | 5 | \n S | gift | 5 | 0"
    found = problem_of(facts_of(lots=lots)).lots.select("lot_id", "lock", "tax", "gain").rows()
    assert found == [("unknown", "missing_basis", 0, 0), ("gift", None, 0.2, 1)]


def test_365_days_held_or_366_over_a_leap_day_are_not_a_year() -> None:
    facts = facts_of(lots=lot(unit_cost_usd="60", acquired_date="2015-02-28"))
    terms = [problem_of(facts, day).lots["is_short"].item() for day in (date(2016, 2, 29), date(2016, 3, 1))]
    assert terms == [True, False]
