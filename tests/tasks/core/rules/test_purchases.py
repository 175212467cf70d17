from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.facts.facts import CLASS, Facts, account_parameters, priced_securities
from tasks.core.rules.purchases import open_choices, purchases
from tests.support.examples import at_most
from tests.support.facts_table import AS_OF, ago, drift_of, facts_of, problem_of, shuffled_facts

THREE = """
    security_id | asset_class | is_tradable | half_spread_bps
    S1          | stocks      | true        | 1
    S2          | stocks      | true        | 2
    S3          | stocks      | true        | 3
    B           | bonds       | true        | 4
"""
RANKED = """
    asset_class | security_id | rank
    stocks      | S3          | 3
    stocks      | S1          | 1
    stocks      | S2          | 2
    bonds       | B           | 1
"""
TWO_ACCOUNTS = """
    account_id | household_id | tax_status
    a          | h            | taxable
    ira        | h            | tax_deferred
"""


def world(securities: str = THREE, buy_list: str = RANKED, **more: str) -> Facts:
    return facts_of(securities=securities, buy_list=buy_list, **more)


def found(
    function: Callable[..., pl.DataFrame], facts: Facts, sold_at_loss: pl.DataFrame | None = None
) -> pl.DataFrame:
    """What ``function`` finds for every class of every account but cash."""
    accounts = account_parameters(facts)
    households = accounts.select("account_id", "wash_sale_days").join(facts.members, on="account_id")
    terms = accounts.select("account_id", "model_id", "tax_status")
    classes = drift_of(facts).select(CLASS).join(terms, on="account_id").filter(pl.col("asset_class") != "cash")
    classes = classes.with_columns(dear_above_usd=pl.lit(None, pl.Float64))
    securities = priced_securities(facts)
    return function(classes, facts, securities, households=households, trade_date=AS_OF, sold_at_loss=sold_at_loss)


def choice(
    facts: Facts, asset_class: str = "stocks", account_id: str = "a", sold_at_loss: pl.DataFrame | None = None
) -> tuple[str | None, str | None]:
    """What the class may buy, and why nothing."""
    classes = found(purchases, facts, sold_at_loss)
    rows = classes.filter((pl.col("account_id") == account_id) & (pl.col("asset_class") == asset_class))
    return rows.select("buy_security_id", "buy_lock").row(0)


def open_to(facts: Facts, account_id: str = "a", sold_at_loss: pl.DataFrame | None = None) -> list[str]:
    """Stocks that the account may buy, best first."""
    rows = found(open_choices, facts, sold_at_loss).filter(
        (pl.col("account_id") == account_id) & (pl.col("asset_class") == "stocks")
    )
    assert rows["position"].to_list() == list(range(rows.height))
    return rows["security_id"].to_list()


def restricted(*securities: str, account: str = "a", rule: str = "no_buy") -> str:
    return "account_id | security_id | rule\n" + "\n".join(f"{account} | {name} | {rule}" for name in securities)


def loss_of(security: str, account: str = "a", days: int = 30) -> str:
    return f"account_id | security_id | trade_date\n {account} | {security} | {ago(days)}"


def test_the_first_of_the_buy_list_is_bought_at_its_own_terms() -> None:
    classes = found(purchases, world())
    assert classes.select(pl.col("^buy_.*$"), "asset_class").rows(named=True)[1] == {
        "asset_class": "stocks",
        "buy_security_id": "S1",
        "buy_symbol": "S1",
        "buy_price_usd": 100,
        "buy_price_factor": 1,
        "buy_unit_usd": 100,
        "buy_step": 1,
        "buy_half_spread_bps": 1,
        "buy_order_in": None,
        "buy_lock": None,
    }


@pytest.mark.parametrize("rule", ["no_buy", "no_trade"])
def test_a_restricted_choice_gives_way_to_the_next_rank(rule: str) -> None:
    assert choice(world(restrictions=restricted("S1", rule=rule))) == ("S2", None)
    assert choice(world(restrictions=restricted("S1", "S2", rule=rule))) == ("S3", None)


def test_a_choice_that_may_not_be_sold_may_be_bought() -> None:
    assert choice(world(restrictions=restricted("S1", rule="no_sell"))) == ("S1", None)


def test_a_restriction_for_everyone_moves_everyone_on() -> None:
    facts = world(restrictions=restricted("S1", account=""), accounts=TWO_ACCOUNTS)
    assert choice(facts) == choice(facts, account_id="ira") == ("S2", None)


def test_a_restriction_of_one_account_leaves_the_others_their_first_choice() -> None:
    facts = world(restrictions=restricted("S1", account="ira"), accounts=TWO_ACCOUNTS)
    assert choice(facts) == ("S1", None)
    assert choice(facts, account_id="ira") == ("S2", None)


def test_a_restricted_alternate_changes_nothing() -> None:
    assert choice(world(restrictions=restricted("S2"))) == ("S1", None)


def test_bars_for_everyone_and_for_the_account_add_up() -> None:
    rows = "account_id | security_id | rule\n | S1 | no_buy\n a | S2 | no_buy"
    assert choice(world(restrictions=rows)) == ("S3", None)


@pytest.mark.parametrize("seller", ["a", "ira"])
def test_what_the_household_sold_at_a_loss_gives_way_for_all_its_accounts(seller: str) -> None:
    facts = world(trades=loss_of("S1", seller), accounts=TWO_ACCOUNTS)
    assert choice(facts) == choice(facts, account_id="ira") == ("S2", None)
    assert choice(world(trades=loss_of("S1", seller, days=31), accounts=TWO_ACCOUNTS)) == ("S1", None)


def test_a_choice_that_is_not_tradable_gives_way() -> None:
    assert choice(world(THREE.replace("S1          | stocks      | true ", "S1          | stocks      | false"))) == (
        "S2",
        None,
    )


def test_a_choice_without_a_price_gives_way() -> None:
    assert choice(world(prices="security_id\n S2\n S3\n B")) == ("S2", None)


def test_a_choice_of_another_class_or_unknown_is_no_choice() -> None:
    strays = "asset_class | security_id | rank\n stocks | B | 1\n stocks | GONE | 2\n stocks | S3 | 3\n bonds | B | 1"
    assert choice(world(buy_list=strays)) == ("S3", None)


def test_a_choice_for_a_tax_status_is_for_such_accounts_only() -> None:
    facts = world(
        buy_list="""
            asset_class | security_id | rank | tax_status
            stocks      | S1          | 1    | tax_deferred
            stocks      | S2          | 2    |
        """,
        accounts=TWO_ACCOUNTS,
    )
    assert choice(facts) == ("S2", None)
    assert choice(facts, account_id="ira") == ("S1", None)


def test_at_the_same_rank_a_choice_for_the_tax_status_comes_first_then_the_lower_name() -> None:
    facts = world(
        buy_list="""
            asset_class | security_id | rank | tax_status
            stocks      | S2          | 1    |
            stocks      | S1          | 1    |
            stocks      | S3          | 1    | taxable
        """,
        accounts=TWO_ACCOUNTS,
    )
    assert choice(facts) == ("S3", None)
    assert choice(facts, account_id="ira") == ("S1", None)


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        ({"buy_list": "asset_class | security_id\n bonds | B"}, "nothing_to_buy"),
        ({"restrictions": restricted("S1")}, "restricted"),
        ({"restrictions": restricted("S1", account="")}, "restricted"),
        ({"trades": loss_of("S1")}, "wash_sale_window"),
        ({"restrictions": restricted("S1", rule="no_new")}, "not_held"),
        ({"restrictions": restricted("S1", account="", rule="no_new")}, "not_held"),
        ({"prices": "security_id\n S2\n S3\n B"}, "no_price"),
        ({"securities": THREE.replace("S1          | stocks      | true ", "S1 | stocks | false")}, "not_tradable"),
    ],
)
def test_with_nothing_left_the_lock_says_what_bars_the_first_choice(spoilt: dict[str, str], reason: str) -> None:
    single = {"buy_list": "asset_class | security_id\n stocks | S1\n bonds | B"}
    facts = world(**{**single, **spoilt})
    assert choice(facts) == (None, reason)
    assert choice(facts, "bonds") == ("B", None)


def test_with_all_choices_barred_for_different_reasons_the_first_is_named() -> None:
    facts = world(restrictions=restricted("S2"), trades=loss_of("S1"), prices="security_id\n S1\n S2\n B")
    assert choice(facts) == (None, "wash_sale_window")


def test_a_class_that_may_not_buy_has_no_room_in_the_problem() -> None:
    problem = problem_of(world(buy_list="asset_class | security_id\n bonds | B"))
    assert problem.classes["asset_class"].to_list() == ["bonds", "stocks"]
    assert problem.book.buy_cap.tolist() == [float("inf"), 0]
    assert problem.book.buy_cost.tolist() == [0.0004, 0]


def test_what_is_sold_at_a_loss_tonight_gives_way() -> None:
    tonight = pl.DataFrame({"account_id": ["a", "a"], "security_id": ["S1", "S2"]})
    facts = world(accounts=TWO_ACCOUNTS)
    assert choice(facts, sold_at_loss=tonight) == ("S3", None)
    assert choice(facts, account_id="ira", sold_at_loss=tonight) == ("S1", None)
    assert open_to(facts, sold_at_loss=tonight) == ["S3"]


@pytest.mark.parametrize("closed_to", ["a", ""])
def test_what_is_closed_to_new_holders_is_bought_by_those_that_hold_it(closed_to: str) -> None:
    closed = restricted("S1", account=closed_to, rule="no_new")
    assert choice(world(restrictions=closed)) == ("S2", None)
    assert choice(world(restrictions=closed, lots="security_id | quantity\n S1 | 1")) == ("S1", None)
    assert choice(world(restrictions=closed, lots="security_id | quantity\n S2 | 1")) == ("S2", None)


def test_a_holding_of_another_member_opens_nothing() -> None:
    facts = world(
        accounts=TWO_ACCOUNTS,
        restrictions=restricted("S1", account="", rule="no_new"),
        lots="account_id | security_id | quantity\n ira | S1 | 1",
    )
    assert choice(facts) == ("S2", None)
    assert choice(facts, account_id="ira") == ("S1", None)


def test_a_holder_is_still_bound_by_what_else_bars_the_security() -> None:
    rows = "account_id | security_id | rule\n | S1 | no_new\n | S1 | no_buy\n | S2 | no_new\n a | S2 | no_buy"
    held = "security_id | quantity\n S1 | 1\n S2 | 1"
    assert choice(world(restrictions=rows, lots=held)) == ("S3", None)
    assert open_to(world(restrictions=rows, lots=held)) == ["S3"]


def test_open_choices_are_all_that_nothing_bars_best_first() -> None:
    assert open_to(world()) == ["S1", "S2", "S3"]
    assert open_to(world(restrictions=restricted("S2"))) == ["S1", "S3"]
    assert open_to(world(restrictions=restricted("S1", "S2", "S3"))) == []


def test_a_security_listed_twice_is_one_open_choice_at_its_better_rank() -> None:
    twice = """
        asset_class | security_id | rank | tax_status
        stocks      | S1          | 3    |
        stocks      | S2          | 2    |
        stocks      | S1          | 1    | taxable
    """
    assert open_to(world(buy_list=twice)) == ["S1", "S2"]


RESTRICTION = st.tuples(
    st.sampled_from(["a", "ira", ""]),
    st.sampled_from(["S1", "S2", "S3"]),
    st.sampled_from(["no_buy", "no_trade", "no_new", "no_sell"]),
)
HELD = st.sets(st.tuples(st.sampled_from(["a", "ira"]), st.sampled_from(["S1", "S2", "S3"])))


def drawn(restrictions: list[tuple[str, str, str]], held: set[tuple[str, str]], sold: str) -> Facts:
    rules = "\n".join(" | ".join(row) for row in restrictions)
    lots = "\n".join(f"{account} | {security} | 1" for account, security in sorted(held))
    return world(
        accounts=TWO_ACCOUNTS,
        restrictions="account_id | security_id | rule\n" + rules,
        lots="account_id | security_id | quantity\n" + lots,
        trades=loss_of(sold, "ira"),
    )


@settings(max_examples=at_most(40))
@given(st.lists(RESTRICTION, max_size=5), HELD, st.sampled_from(["S1", "S2", "S3"]))
def test_what_is_bought_is_the_best_open_choice(
    restrictions: list[tuple[str, str, str]], held: set[tuple[str, str]], sold: str
) -> None:
    facts = drawn(restrictions, held, sold)
    bought = found(purchases, facts).filter(pl.col("buy_security_id").is_not_null())
    best = found(open_choices, facts).filter(pl.col("position") == 0)
    assert bought.select(*CLASS, security_id="buy_security_id").rows() == best.select(*CLASS, "security_id").rows()


@settings(max_examples=at_most(40))
@given(st.lists(RESTRICTION, max_size=5), HELD, st.sampled_from(["S1", "S2", "S3"]))
def test_open_choices_are_those_that_no_rule_names(
    restrictions: list[tuple[str, str, str]], held: set[tuple[str, str]], sold: str
) -> None:
    def is_barred(account: str, security: str) -> bool:
        rules = {rule for who, what, rule in restrictions if who in {account, ""} and what == security}
        return bool(rules & {"no_buy", "no_trade"}) or ("no_new" in rules and (account, security) not in held)

    facts = drawn(restrictions, held, sold)
    for account in ("a", "ira"):
        names = [name for name in ("S1", "S2", "S3") if name != sold and not is_barred(account, name)]
        assert open_to(facts, account) == names


def test_the_order_of_the_facts_changes_no_choice() -> None:
    rules = [("a", "S1", "no_buy"), ("", "S2", "no_new"), ("ira", "S1", "no_new"), ("", "S3", "no_sell")]
    facts = drawn(rules, {("a", "S2"), ("ira", "S3"), ("ira", "S2")}, "S1")
    shuffled = shuffled_facts(facts, 3)
    for function in (purchases, open_choices):
        assert found(function, shuffled).equals(found(function, facts))
