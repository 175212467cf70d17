from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tasks.core.solver.solution import CANNOT_RAISE_CASH, STAYS, TRADED
from tests.support.facts_table import ago, facts_of, solved_of, traded

MIXED = "security_id | quantity\n S | 720\n B | 280"
RELATIVE = """
    asset_class | target_weight | absolute_band | relative_band
    stocks      | 0.6           |               | 0.2
    bonds       | 0.4           |               | 0.3
    cash        | 0             |               |
"""
GAINS = f"""
    security_id | lot_id | quantity | unit_cost_usd | acquired_date
    S           | new    | 720      | 50            | {ago(30)}
    B           | old    | 280      | 100           | 2015-01-05
"""


def shares(policy: dict[str, Any] | None = None, **drawn: str) -> dict[str, float]:
    return traded(solved_of(facts_of(policy, **drawn)))


@pytest.mark.parametrize(("trade_to", "sold"), [(0.0, 120), (0.5, 60), (1.0, 0)])
def test_a_rebalance_lands_on_target_half_way_or_on_the_edge(trade_to: float, sold: float) -> None:
    found = shares({"trade_to": trade_to}, lots=MIXED, model_targets=RELATIVE)
    assert found == ({"S": -sold, "B": sold} if sold else {})


def test_half_way_from_72_percent_is_66_percent_after_the_trade() -> None:
    solved = solved_of(facts_of({"trade_to": 0.5}, lots=MIXED, model_targets=RELATIVE))
    stocks = solved.classes.filter(pl.col("asset_class") == "stocks")
    assert stocks["after_usd"].item() == 66_000
    assert solved.accounts["status"].to_list() == [TRADED]


def test_an_account_on_target_stays() -> None:
    solved = solved_of(facts_of(lots="security_id | quantity\n S | 60\n B | 40"))
    assert solved.accounts["status"].to_list() == [STAYS]
    assert traded(solved) == {}


def test_cash_is_invested_by_the_model() -> None:
    assert shares(cash="settled_usd\n 10000.01") == {"S": 60, "B": 40}


def test_a_loss_goes_before_a_gain() -> None:
    lots = """
        security_id | lot_id | quantity | unit_cost_usd
        S           | gain   | 700      | 40
        S           | loss   | 20       | 110
        B           | bonds  | 280      | 100
    """
    solved = solved_of(facts_of(lots=lots))
    sold = dict(solved.lots.select("lot_id", pl.col("sold").cast(pl.Float64)).rows())
    assert sold["loss"] == 20
    assert sold["gain"] < 100


def test_a_loss_is_never_sold_for_the_tax_alone() -> None:
    lots = "security_id | quantity | unit_cost_usd\n S | 600 | 400\n B | 400 | 400"
    assert shares(lots=lots) == {}


def test_a_short_term_gain_is_kept_where_no_cash_is_owed() -> None:
    assert shares({"short_term_gains": "avoid"}, lots=GAINS) == {}
    assert shares({"short_term_gains": "allow"}, lots=GAINS) != {}


def test_a_short_term_gain_is_kept_where_other_lots_raise_the_cash_owed() -> None:
    found = shares({"short_term_gains": "avoid"}, lots=GAINS, cash="settled_usd\n -5000")
    assert set(found) == {"B"}
    assert found["B"] <= -50


def test_a_short_term_gain_is_sold_where_cash_cannot_be_raised_otherwise() -> None:
    solved = solved_of(facts_of({"short_term_gains": "avoid"}, lots=GAINS, cash="settled_usd\n -30000"))
    assert solved.accounts["status"].to_list() == [TRADED]
    assert traded(solved)["S"] < 0
    assert solved.accounts["cash_after"].item() >= 0


def test_only_the_account_that_owes_has_its_gains_opened() -> None:
    facts = facts_of(
        {"short_term_gains": "avoid"},
        accounts="account_id\n a\n b",
        lots=f"""
            account_id | security_id | quantity | unit_cost_usd | acquired_date
            a          | S           | 100      | 50            | {ago(30)}
            b          | S           | 100      | 50            | {ago(30)}
        """,
        cash="account_id | settled_usd\n a | -500\n b | 0",
    )
    solved = solved_of(facts)
    assert traded(solved)["S"] < 0
    assert traded(solved, "b") == {}
    assert solved.lots.select("account_id", "lock").rows() == [("a", None), ("b", "short_term_gain_avoided")]


def test_cash_that_cannot_be_raised_is_named_with_its_shortfall() -> None:
    facts = facts_of(lots="security_id | quantity\n S | 10", cash="settled_usd\n -700", restrictions="security_id\n S")
    solved = solved_of(facts)
    assert solved.accounts.select("status", "shortfall_usd").rows() == [(CANNOT_RAISE_CASH, pytest.approx(700))]
    assert traded(solved) == {}


@pytest.mark.parametrize("tax_status", ["taxable", "tax_deferred"])
def test_a_lot_of_unknown_basis_is_sold_only_where_gains_are_not_taxed(tax_status: str) -> None:
    found = shares(
        accounts=f"account_id | tax_status\n a | {tax_status}",
        lots="security_id | quantity | unit_cost_usd\n S | 1000 |",
    )
    assert found == ({} if tax_status == "taxable" else {"S": -400, "B": 400})


def test_unmodelled_holdings_are_held_or_sold_to_the_last_fraction() -> None:
    world = {
        "securities": "security_id | asset_class\n G | gold\n S | stocks\n B | bonds",
        "lots": "security_id | quantity\n G | 10.5\n S | 600\n B | 400",
    }
    assert "G" not in shares({"unmodelled": "hold"}, **world)
    assert shares({"unmodelled": "sell"}, **world)["G"] == -10.5


def test_units_are_multiples_of_the_step_and_a_lot_sold_whole_keeps_its_fraction() -> None:
    securities = "security_id | asset_class | quantity_step\n S | stocks | 1\n B | bonds | 0.001"
    targets = "asset_class | target_weight\n stocks | 0\n bonds | 1\n cash | 0"
    solved = solved_of(
        facts_of(
            securities=securities,
            lots="security_id | quantity\n S | 33.3337",
            prices="security_id | price_usd\n S | 10\n B | 7",
            model_targets=targets,
        )
    )
    assert solved.lots["sold"].to_list() == [Decimal("33.333700")]
    bought = solved.classes.filter(pl.col("asset_class") == "bonds")["bought"].item()
    assert bought == Decimal("47.619000")


def test_what_is_below_the_minimum_is_dropped_and_said() -> None:
    facts = facts_of({"min_trade_usd": 60_000.0}, lots=MIXED)
    solved = solved_of(facts)
    assert traded(solved) == {}
    dropped = solved.lots.select("security_id", "lot_dropped").rows()
    assert ("S", "below_minimum") in dropped
    assert solved.classes.filter(pl.col("asset_class") == "bonds")["buy_dropped"].to_list() == ["below_minimum"]


def test_no_accounts_are_no_trouble() -> None:
    nobody = solved_of(facts_of(accounts="account_id", lots="security_id | quantity\n S | 1"))
    assert (nobody.accounts.height, nobody.classes.height, nobody.lots.height) == (0, 0, 0)


def test_a_bound_is_never_above_the_objective() -> None:
    accounts = solved_of(facts_of(lots=GAINS, cash="settled_usd\n 1234.56")).accounts
    assert (accounts["objective_usd"] >= accounts["lower_bound_usd"] - 1e-9).all()
