from typing import Any

import polars as pl
import pytest

from schemas.tables import PUBLIC
from tasks.core.facts.facts import Facts
from tasks.core.propose.reasons import class_reasons
from tests.support.facts_table import ago, facts_of, solved_of

OVER = {"lots": "security_id | quantity\n S | 800\n B | 200"}
NO_BONDS = {"buy_list": "asset_class | security_id\n stocks | S"}


def codes(facts: Facts) -> dict[str, str]:
    return dict(class_reasons(solved_of(facts)).select("asset_class", "code").rows())


def detail(facts: Facts, asset_class: str) -> str:
    rows = class_reasons(solved_of(facts))
    return str(rows.filter(pl.col("asset_class") == asset_class)["detail"].item())


def lots(**cells: str) -> dict[str, str]:
    """80 % stocks in one lot with the cells given, 20 % bonds at their price."""
    names, values = " | ".join(cells), " | ".join(cells.values())
    plain = " | ".join({"unit_cost_usd": "100", "acquired_date": "2015-01-05"}[name] for name in cells)
    return {"lots": f"security_id | quantity | {names}\n S | 800 | {values}\n B | 200 | {plain}"}


def test_a_class_that_was_fully_traded_or_is_in_band_has_no_reason() -> None:
    assert codes(facts_of(**OVER)) == {}
    assert codes(facts_of(lots="security_id | quantity\n S | 64\n B | 36")) == {}


@pytest.mark.parametrize(
    ("policy", "drawn", "code"),
    [
        ({}, {**OVER, "restrictions": "security_id | rule\n S | no_sell"}, "restricted"),
        (
            {},
            {**OVER, "securities": "security_id | asset_class | is_tradable\n S | stocks | false\n B | bonds | true"},
            "not_tradable",
        ),
        ({}, lots(unit_cost_usd=""), "missing_basis"),
        ({"short_term_gains": "avoid"}, lots(unit_cost_usd="50", acquired_date=ago(9)), "short_term_gain_avoided"),
        ({}, lots(unit_cost_usd="1"), "tax_exceeds_benefit"),
        ({"min_trade_usd": 50_000.0}, OVER, "below_minimum"),
    ],
)
def test_an_overweight_class_says_what_stopped_its_sale(
    policy: dict[str, Any], drawn: dict[str, str], code: str
) -> None:
    assert codes(facts_of(policy, **drawn))["stocks"] == code


def test_a_wide_spread_is_a_cost_and_not_a_tax() -> None:
    securities = "security_id | asset_class | half_spread_bps\n S | stocks | 900\n B | bonds | 0"
    facts = facts_of(**OVER, securities=securities)
    assert codes(facts)["stocks"] == "cost_exceeds_benefit"
    assert detail(facts, "stocks").startswith("the next dollar sold would cost 900.0 bps (tax 0.0) and is worth ")


def test_a_tax_in_the_way_is_put_in_numbers() -> None:
    assert detail(facts_of(**lots(unit_cost_usd="1")), "stocks").startswith(
        "the next dollar sold would cost 1980.0 bps (tax 1980.0) and is worth "
    )


@pytest.mark.parametrize(
    ("drawn", "code"),
    [
        (NO_BONDS, "nothing_to_buy"),
        ({"restrictions": "security_id | rule\n B | no_buy"}, "restricted"),
        ({"trades": f"security_id | trade_date\n B | {ago(30)}"}, "wash_sale_window"),
    ],
)
def test_an_underweight_class_says_why_nothing_may_be_bought(drawn: dict[str, str], code: str) -> None:
    lots_and_cash = {"lots": "security_id | quantity\n S | 60", "cash": "settled_usd\n 4000"}
    assert codes(facts_of(**lots_and_cash, **drawn))["bonds"] == code


def test_an_underweight_class_whose_purchase_is_small_is_below_the_minimum() -> None:
    assert codes(facts_of({"min_trade_usd": 50_000.0}, **OVER))["bonds"] == "below_minimum"


def test_an_underweight_class_without_cash_names_the_price_of_cash() -> None:
    facts = facts_of(**lots(unit_cost_usd="1"))
    assert codes(facts)["bonds"] == "tax_exceeds_benefit"
    assert detail(facts, "bonds").startswith("a dollar of cash costs ")


@pytest.mark.parametrize("tax_status", ["tax_exempt", "taxable"])
def test_an_underweight_class_names_no_tax_where_the_spread_of_the_sale_is_the_cost(tax_status: str) -> None:
    securities = "security_id | asset_class | half_spread_bps\n S | stocks | 900\n B | bonds | 0"
    facts = facts_of(**OVER, securities=securities, accounts=f"account_id | tax_status\n a | {tax_status}")
    assert codes(facts) == {"bonds": "cost_exceeds_benefit", "stocks": "cost_exceeds_benefit"}


def test_the_next_dollar_of_cash_comes_from_what_is_least_missed_and_not_from_what_is_cheapest_to_sell() -> None:
    facts = facts_of(
        securities="""
            security_id | asset_class | half_spread_bps
            S           | stocks      | 900
            B           | bonds       | 0
            G           | gold        | 0
        """,
        model_targets="""
            asset_class | target_weight
            stocks      | 0.5
            bonds       | 0.3
            gold        | 0.2
            cash        | 0
        """,
        lots="""
            security_id | quantity | unit_cost_usd
            S           | 700      | 100
            B           | 100      | 100
            G           | 200      | 75
        """,
    )
    assert codes(facts)["bonds"] == "cost_exceeds_benefit"


def test_an_underweight_class_has_no_cash_where_nothing_may_be_sold() -> None:
    facts = facts_of(**OVER, restrictions="security_id | rule\n S | no_sell\n B | no_sell")
    assert codes(facts) == {"bonds": "no_cash_to_buy", "stocks": "restricted"}


def test_cash_that_a_barred_class_leaves_pushes_no_other_class_past_its_destination() -> None:
    targets = "asset_class | target_weight\n stocks | 0.8\n bonds | 0.2\n cash | 0"
    facts = facts_of(model_targets=targets, cash="settled_usd\n 100000", restrictions="security_id\n S")
    solved = solved_of(facts)
    assert solved.classes.filter(pl.col("asset_class") == "bonds")["after_usd"].item() == 20_000
    assert codes(facts) == {"stocks": "restricted"}


def test_an_underweight_class_that_is_dear_to_buy_names_the_cost() -> None:
    securities = "security_id | asset_class | half_spread_bps\n S | stocks | 0\n B | bonds | 2000"
    assert codes(facts_of(**OVER, securities=securities))["bonds"] == "cost_exceeds_benefit"


def test_of_several_locks_the_one_that_holds_most_is_named() -> None:
    facts = facts_of(
        {"short_term_gains": "avoid"},
        lots=f"""
            security_id | lot_id | quantity | unit_cost_usd | acquired_date
            S           | some   | 300      | 50            | {ago(9)}
            S           | most   | 500      |               | 2015-01-05
            B           | 1      | 200      | 100           | 2015-01-05
        """,
    )
    assert codes(facts)["stocks"] == "missing_basis"


def test_rows_have_the_columns_of_the_lake_sorted_by_class_with_drift_before_and_after() -> None:
    rows = class_reasons(solved_of(facts_of(**lots(unit_cost_usd="1"))))
    assert rows.schema == pl.Schema(PUBLIC["class_reasons"])
    assert rows["asset_class"].to_list() == ["bonds", "stocks"]
    assert rows["drift_before"].to_list() == pytest.approx([-0.2, 0.2])
    bonds, stocks = rows["drift_after"].to_list()
    assert -0.2 < bonds < 0 < stocks < 0.2
    untraded = class_reasons(solved_of(facts_of(lots="security_id | quantity\n S | 60\n B | 40")))
    assert untraded.is_empty()
    assert untraded.schema == rows.schema
