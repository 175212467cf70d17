from typing import Any

import polars as pl
import pytest

from tasks.core.facts.facts import Facts, account_parameters, priced_securities, valued_lots
from tasks.core.rules.harvest import harvest_candidates
from tests.support.facts_table import AS_OF, ago, facts_of, problem_of

SECURITIES = """
    security_id | asset_class
    S           | stocks
    T           | stocks
    U           | stocks
    B           | bonds
"""
BUY_LIST = """
    asset_class | security_id | rank
    stocks      | S           | 1
    stocks      | T           | 2
    bonds       | B           | 1
"""
HOUSEHOLD = """
    account_id | household_id | tax_status
    a          | h            | taxable
    b          | h            | taxable
    ira        | h            | tax_deferred
"""
DEEP = "security_id | quantity | unit_cost_usd\n S | 10 | 200"


def harvesting(policy: dict[str, Any] | None = None, /, **drawn: str) -> Facts:
    """A world whose policy harvests losses of 500 USD and 5 %, with an alternate for stocks."""
    return facts_of(
        {"is_harvesting": True, **(policy or {})}, **{"securities": SECURITIES, "buy_list": BUY_LIST, **drawn}
    )


def candidates(facts: Facts, **options: Any) -> pl.DataFrame:
    securities = priced_securities(facts)
    lots = valued_lots(facts, securities)
    accounts = account_parameters(facts)
    return harvest_candidates(accounts, lots, facts=facts, securities=securities, trade_date=AS_OF, **options)


def harvested(facts: Facts, **options: Any) -> list[tuple[str, str, str]]:
    """``account_id, security_id, alternate`` of each lot to be harvested."""
    return candidates(facts, **options).select("account_id", "security_id", "alternate").rows()


def test_a_lot_past_both_limits_is_sold_whole_and_its_alternate_bought() -> None:
    problem = problem_of(harvesting(lots=DEEP))
    assert candidates(harvesting(lots=DEEP)).rows() == [("a", "S", "1", 1000.0, "T")]
    assert problem.lots.select(pl.col("outright").cast(pl.Float64), "outright_reason").rows() == [(10.0, "harvest")]
    stocks = problem.classes.filter(asset_class="stocks")
    assert stocks["buy_security_id"].to_list() == ["T"]
    assert stocks.select(pl.col("value_usd", "start_value_usd").cast(pl.Float64)).row(0) == (1000, 0)
    assert problem.book.cash.tolist() == [1000]
    assert problem.book.lot_cap.tolist() == [0]
    assert problem.limits.long_before.tolist() == [-1000]


def test_a_loss_sold_is_never_bought_back_under_the_same_name() -> None:
    """An early version sold the loss and bought the same first choice."""
    problem = problem_of(harvesting(lots=f"{DEEP}\n B | 10 | 100"))
    sold = problem.lots.filter(pl.col("outright") > 0)["security_id"].to_list()
    assert sold == ["S"]
    assert not set(sold) & set(problem.classes["buy_security_id"].to_list())


@pytest.mark.parametrize(
    ("quantity", "cost", "is_harvested"),
    [
        ("10", "150", True),
        ("10", "149.99", False),
        ("500", "105.2", False),
        ("500", "105.3", True),
        ("10", "100", False),
        ("10", "50", False),
        ("100", "0", False),
    ],
)
def test_a_loss_must_reach_both_limits(quantity: str, cost: str, *, is_harvested: bool) -> None:
    facts = harvesting(lots=f"security_id | quantity | unit_cost_usd\n S | {quantity} | {cost}")
    assert bool(harvested(facts)) is is_harvested


def test_a_lot_counts_by_itself_and_not_with_the_others_of_its_security() -> None:
    lots = "security_id | lot_id | quantity | unit_cost_usd\n S | 1 | 4 | 200\n S | 2 | 4 | 200\n S | 3 | 6 | 200"
    assert candidates(harvesting(lots=lots))["lot_id"].to_list() == ["3"]


@pytest.mark.parametrize("policy", [{"is_harvesting": False}, {"trade_mode": "buy_only"}, {"trade_mode": "sell_only"}])
def test_an_account_harvests_only_where_its_policy_says_and_it_may_sell_and_buy(policy: dict[str, Any]) -> None:
    assert harvested(harvesting(policy, lots=DEEP)) == []
    problem = problem_of(harvesting(policy, lots=DEEP))
    assert problem.lots["outright_reason"].to_list() == [None]


@pytest.mark.parametrize(
    "account", ["tax_status\n a | tax_deferred", "tax_status\n a | tax_exempt", "status\n a | frozen"]
)
def test_an_account_without_tax_or_not_traded_harvests_nothing(account: str) -> None:
    assert harvested(harvesting(accounts=f"account_id | {account}", lots=DEEP)) == []


@pytest.mark.parametrize(
    "drawn",
    [
        {"restrictions": "security_id | rule\n S | no_sell"},
        {"lots": "security_id | quantity | unit_cost_usd | is_frozen\n S | 10 | 200 | true"},
        {"lots": "security_id | quantity | unit_cost_usd | acquired_date\n S | 10 | 200 | "},
        {"lots": "security_id | quantity | unit_cost_usd\n S | 10 | "},
        {
            "securities": SECURITIES.replace("asset_class", "asset_class | is_tradable")
            .replace(" stocks", " stocks | false")
            .replace("| bonds", "| bonds | true")
        },
    ],
)
def test_a_lot_that_is_locked_is_not_harvested(drawn: dict[str, str]) -> None:
    assert harvested(harvesting(**{"lots": DEEP, **drawn})) == []


def test_only_what_a_minimum_does_not_need_is_harvested_the_deepest_loss_first() -> None:
    facts = harvesting(
        lots="security_id | lot_id | quantity | unit_cost_usd\n S | 1 | 10 | 200\n S | 2 | 10 | 300",
        restrictions="security_id | rule | min_quantity\n S | hold_range | 8",
    )
    assert candidates(facts)["lot_id"].to_list() == ["2"]
    tight = harvesting(
        lots="security_id | lot_id | quantity | unit_cost_usd\n S | 1 | 10 | 200\n S | 2 | 10 | 300",
        restrictions="security_id | rule | min_quantity\n S | hold_range | 11",
    )
    assert harvested(tight) == []


def test_a_harvest_comes_before_what_is_above_a_maximum() -> None:
    facts = harvesting(
        lots="security_id | lot_id | quantity | unit_cost_usd\n S | gain | 10 | 50\n S | loss | 10 | 200",
        restrictions="security_id | rule | max_quantity\n S | hold_range | 8",
    )
    rows = problem_of(facts).lots.select("lot_id", pl.col("outright").cast(pl.Float64), "outright_reason").rows()
    assert sorted(rows) == [("gain", 2.0, "hold_range"), ("loss", 10.0, "harvest")]


@pytest.mark.parametrize(("bought", "loss"), [(0, 1000.0), (4, 600.0), (5, 500.0), (6, None), (50, None)])
def test_what_the_household_bought_back_is_no_loss(bought: int, loss: float | None) -> None:
    new = f"\n ira | S | {bought} | 100 | {ago(30)}" if bought else ""
    facts = harvesting(
        accounts=HOUSEHOLD,
        lots=f"account_id | security_id | quantity | unit_cost_usd | acquired_date\n a | S | 10 | 200 | 2015-01-05{new}",
    )
    assert candidates(facts)["loss_usd"].to_list() == ([] if loss is None else [loss])


def test_a_class_without_an_alternate_is_not_harvested() -> None:
    facts = harvesting(buy_list="asset_class | security_id\n stocks | S\n bonds | B", lots=DEEP)
    assert harvested(facts) == []
    assert problem_of(facts).classes.filter(asset_class="stocks")["buy_security_id"].to_list() == ["S"]


def test_what_is_not_on_the_buy_list_is_harvested_into_the_first_choice() -> None:
    assert harvested(harvesting(lots="security_id | quantity | unit_cost_usd\n U | 10 | 200")) == [("a", "U", "S")]


@pytest.mark.parametrize("seller", ["a", "b", "ira"])
def test_an_alternate_that_the_household_sold_at_a_loss_is_none(seller: str) -> None:
    header = "account_id | security_id | trade_date"
    facts = harvesting(accounts=HOUSEHOLD, lots=DEEP, trades=f"{header}\n {seller} | T | {ago(30)}")
    assert harvested(facts) == []
    past = harvesting(accounts=HOUSEHOLD, lots=DEEP, trades=f"{header}\n {seller} | T | {ago(31)}")
    assert harvested(past) == [("a", "S", "T")]


def test_an_alternate_that_is_sold_at_a_loss_tonight_is_none() -> None:
    tonight = pl.DataFrame({"account_id": ["a"], "security_id": ["T"]})
    assert harvested(harvesting(lots=DEEP), sold_at_loss=tonight) == []


def test_where_every_choice_stands_at_a_loss_the_best_is_kept_and_bought() -> None:
    facts = harvesting(lots="security_id | quantity | unit_cost_usd\n S | 10 | 200\n T | 10 | 200")
    assert harvested(facts) == [("a", "T", "S")]
    assert problem_of(facts).classes.filter(asset_class="stocks")["buy_security_id"].to_list() == ["S"]


def test_what_one_account_harvests_no_other_of_its_household_buys() -> None:
    facts = harvesting(accounts=HOUSEHOLD, lots=DEEP)
    buys = problem_of(facts).classes.filter(asset_class="stocks").select("account_id", "buy_security_id").rows()
    assert buys == [("a", "T"), ("b", "T"), ("ira", "T")]


def test_two_accounts_of_a_household_do_not_harvest_each_others_alternate() -> None:
    lots = "account_id | security_id | quantity | unit_cost_usd\n a | S | 10 | 200\n b | T | 10 | 200"
    assert harvested(harvesting(accounts=HOUSEHOLD, lots=lots)) == [("b", "T", "S")]
    apart = harvesting(accounts="account_id\n a\n b", lots=lots)
    assert harvested(apart) == [("a", "S", "T"), ("b", "T", "S")]


def test_what_is_harvested_uses_up_what_replaces_losses() -> None:
    facts = harvesting(
        {"harvest_min_loss_usd": 600},
        accounts=HOUSEHOLD,
        securities="security_id | asset_class | half_spread_bps\n S | stocks | 10\n T | stocks | 20\n B | bonds | 0",
        lots=f"""
            account_id | security_id | lot_id | quantity | unit_cost_usd | acquired_date
            a          | S           | big    | 20       | 200           | 2015-01-05
            a          | S           | small  | 5        | 200           | 2015-01-05
            ira        | S           | new    | 8        | 100           | {ago(9)}
        """,
    )
    lots = {row["lot_id"]: row for row in problem_of(facts).lots.filter(account_id="a").iter_rows(named=True)}
    assert lots["big"]["outright_reason"] == "harvest"
    assert lots["small"]["outright_reason"] is None
    assert (lots["big"]["outright"], lots["small"]["outside_quantity"]) == (20, 8)
    assert problem_of(facts).limits.lot_outright.tolist()[:2] == [20, 0]
    assert problem_of(facts).limits.long_before.tolist()[0] == pytest.approx(-1200)


def test_a_table_of_candidates_is_empty_in_its_columns() -> None:
    none = candidates(harvesting())
    assert none.columns == candidates(harvesting(lots=DEEP)).columns
    assert none.schema == candidates(harvesting(lots=DEEP)).schema
