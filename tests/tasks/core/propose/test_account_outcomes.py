from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.enums import AccountStatus, Calendar, Outcome
from schemas.stored import INTERNAL
from schemas.tables import PUBLIC
from tasks.core.drift.drift import account_drift
from tasks.core.facts.facts import Facts, account_parameters, priced_securities, valued_lots
from tasks.core.propose.account_outcomes import outcomes, with_standing
from tasks.core.propose.conservation import outcome_gaps
from tasks.core.propose.reasons import class_reasons
from tasks.core.propose.solve import solve
from tasks.core.reconcile.unshown_fills import waiting, waiting_orders
from tasks.core.rules.compile import compile_book
from tests.support.examples import at_most
from tests.support.facts_table import AS_OF, drift_of, facts_of, household_drift_of, table

NOBODY = pl.DataFrame(schema=INTERNAL["gate"])
OVER = "security_id | quantity\n S | 800\n B | 200"
EVEN = "security_id | quantity\n S | 60\n B | 40"


def decided(facts: Facts, *, gate: pl.DataFrame = NOBODY, due: tuple[Calendar, ...] = ()) -> pl.DataFrame:
    """The outcomes of all accounts, as the night decides them."""
    accounts, drift, securities = account_parameters(facts), drift_of(facts), priced_securities(facts)
    nobody = pl.DataFrame(schema={"account_id": pl.String})
    by_account = account_drift(drift, accounts, household_drift_of(facts), due=due, changed_models=nobody)
    models = facts.model_targets["model_id"].unique()
    standing = with_standing(
        accounts,
        by_account,
        facts.last_exports,
        facts.members,
        models=models,
        waiting=waiting(facts.unshown_fills),
        open_orders=waiting_orders(facts.open_orders),
        as_of=AS_OF,
    )
    open_accounts = standing.filter(pl.col("outcome").is_null())
    lots = valued_lots(facts, securities)
    solved = solve(compile_book(open_accounts, drift, lots, facts=facts, securities=securities, trade_date=AS_OF))
    return outcomes(standing, solved, class_reasons(solved), gate)


def outcome(facts: Facts, *, due: tuple[Calendar, ...] = ()) -> tuple[str, str]:
    _, word, reason = decided(facts, due=due).row(0)
    return word, reason


def exported(days_ago: int, account_id: str = "a") -> pl.DataFrame:
    row = (account_id, AS_OF - timedelta(days=days_ago), "hash")
    return pl.DataFrame([row], schema=INTERNAL["last_exports"], orient="row")


def one(policy: dict[str, Any] | None = None, *, status: str = "active", **drawn: str) -> Facts:
    return facts_of(policy, **{"accounts": f"account_id | status\n a | {status}", "lots": OVER, **drawn})


def test_an_account_out_of_band_is_proposed_for_its_triggers() -> None:
    assert outcome(one()) == ("proposed", "drift")
    assert outcome(one({"calendar": "daily"}), due=(Calendar.DAILY,)) == ("proposed", "drift|calendar")


def test_an_account_without_a_trigger_is_in_band() -> None:
    assert outcome(one(lots=EVEN)) == ("in_band", "no_trigger")


@pytest.mark.parametrize(("status", "reason"), [("frozen", "account_frozen"), ("closed", "account_closed")])
def test_frozen_and_closed_accounts_are_never_traded(status: str, reason: str) -> None:
    assert outcome(one(status=status)) == ("frozen", reason)
    assert outcome(one(status=status, cash="settled_usd\n -99999999")) == ("frozen", reason)


@pytest.mark.parametrize("cash", ["-100000", "-200000"])
def test_an_account_without_investable_value_is_blocked(cash: str) -> None:
    assert outcome(one(cash=f"settled_usd\n {cash}")) == ("blocked", "no_investable_value")


def test_an_empty_account_is_blocked() -> None:
    assert outcome(facts_of()) == ("blocked", "no_investable_value")


def test_a_removed_model_never_sells_to_cash() -> None:
    targets = "model_id | asset_class | target_weight\n other | stocks | 1\n other | cash | 0"
    facts = one({"calendar": "daily", "unmodelled": "sell"}, model_targets=targets, cash="settled_usd\n -50")
    assert outcome(facts, due=(Calendar.DAILY,)) == ("blocked", "no_target")


def test_cash_that_cannot_be_raised_blocks_with_its_shortfall() -> None:
    facts = one(cash="settled_usd\n -700.5", restrictions="security_id\n S\n B")
    assert outcome(facts) == ("blocked", "cannot_raise_cash: 700.5 USD short")


def test_an_account_where_nothing_helps_is_not_traded_for_the_reasons_of_its_classes() -> None:
    assert outcome(one(restrictions="security_id | rule\n S | no_sell\n B | no_sell")) == (
        "no_trade",
        "no_cash_to_buy|restricted",
    )
    assert outcome(one({"calendar": "daily"}, lots=EVEN), due=(Calendar.DAILY,)) == (
        "no_trade",
        "nothing_worth_trading",
    )


@pytest.mark.parametrize(
    ("days_ago", "cool_down", "word"),
    [(1, 0, "proposed"), (4, 5, "cooling_down"), (5, 5, "proposed"), (0, 0, "cooling_down"), (-1, 0, "cooling_down")],
)
def test_an_account_cools_down_for_the_days_of_its_policy(days_ago: int, cool_down: int, word: str) -> None:
    facts = replace(one({"cool_down_days": cool_down}), last_exports=exported(days_ago))
    assert outcome(facts)[0] == word


def test_cooling_down_says_since_when() -> None:
    facts = one({"cool_down_days": 5})
    assert outcome(replace(facts, last_exports=exported(4))) == (
        "cooling_down",
        "cool_down: 4 days since the last export",
    )
    assert outcome(replace(facts, last_exports=exported(0))) == ("cooling_down", "exported_for_this_date")
    assert outcome(replace(facts, last_exports=exported(1, "other")))[0] == "proposed"


def test_only_drift_and_calendar_wait_and_cash_owed_does_not() -> None:
    waiting = one({"cool_down_days": 9, "calendar": "daily"})
    assert outcome(replace(waiting, last_exports=exported(1)), due=(Calendar.DAILY,))[0] == "cooling_down"
    owing = one({"cool_down_days": 9}, cash="settled_usd\n -5000")
    assert outcome(replace(owing, last_exports=exported(1)))[0] == "proposed"
    for days_ago in (0, -1):
        assert outcome(replace(owing, last_exports=exported(days_ago)))[0] == "cooling_down"


def unshown_of(account_id: str) -> pl.DataFrame:
    """A fill of the account that its holdings do not show."""
    row = {
        "order_id": "o",
        "account_id": account_id,
        "security_id": "S",
        "expected_change": Decimal(5),
        "moved": Decimal(0),
    }
    schema = INTERNAL["unshown_fills"]
    return pl.DataFrame([{name: row.get(name) for name in schema}], schema=schema)


def test_an_account_whose_holdings_do_not_show_its_fills_waits_whatever_it_owes() -> None:
    reason = "fills_not_shown: S moved by 0 where 5 was filled"
    for facts in (one({}), one({}, cash="settled_usd\n -5000"), one({}, lots=EVEN)):
        assert outcome(replace(facts, unshown_fills=unshown_of("a"))) == ("cooling_down", reason)
        assert outcome(replace(facts, unshown_fills=unshown_of("other")))[0] != "cooling_down"


def open_of(account_id: str, sessions: int) -> pl.DataFrame:
    """An order of the account that left so many trading days ago."""
    row = {
        "order_id": f"o-{account_id}",
        "account_id": account_id,
        "security_id": "S",
        "side": "buy",
        "filled_quantity": Decimal(5),
        "proposed_date": AS_OF - timedelta(days=sessions),
        "session_count": sessions,
    }
    schema = INTERNAL["open_orders"]
    return pl.DataFrame([{name: row.get(name) for name in schema}], schema=schema)


@pytest.mark.parametrize(
    ("sessions", "word"), [(1, "orders_open"), (4, "orders_open"), (5, "orders_overdue"), (60, "orders_overdue")]
)
def test_an_account_with_an_open_order_waits_whatever_it_owes_and_is_overdue_after_so_many_trading_days(
    sessions: int, word: str
) -> None:
    for facts in (one({}), one({}, cash="settled_usd\n -5000"), one({}, lots=EVEN), one({"cool_down_days": 90})):
        found = outcome(replace(facts, open_orders=open_of("a", sessions)))
        assert (found[0], found[1].split(":")[0]) == ("blocked", word)
        assert "buy 5 S of" in found[1]
        assert "order o-a" in found[1]
        assert outcome(replace(facts, open_orders=open_of("other", sessions)))[0] != "blocked"
    patient = replace(one({"open_order_sessions": 60}), open_orders=open_of("a", min(sessions, 59)))
    assert outcome(patient)[1].startswith("orders_open")


def test_orders_that_left_for_this_date_are_no_wait_of_days() -> None:
    facts = replace(one(), open_orders=open_of("a", 0), last_exports=exported(0))
    assert outcome(facts) == ("cooling_down", "exported_for_this_date")


def test_fills_that_holdings_do_not_show_are_overdue_after_so_many_trading_days() -> None:
    late = unshown_of("a").with_columns(session_count=pl.lit(5, pl.Int64))
    assert outcome(replace(one(), unshown_fills=late))[1].startswith("fills_overdue: S moved")


def test_the_quarantined_stand_beside_the_others_sorted() -> None:
    gate = pl.DataFrame([("0", "quarantined", "lots:quantity_not_negative")], schema=INTERNAL["gate"], orient="row")
    found = decided(one(), gate=gate)
    assert found.rows() == [("0", "quarantined", "lots:quantity_not_negative"), ("a", "proposed", "drift")]
    assert found.schema == pl.Schema(PUBLIC["account_outcomes"])


def test_without_accounts_there_are_no_outcomes() -> None:
    assert decided(facts_of(accounts="account_id")).is_empty()


def household(
    statuses: str = "active active",
    policy: dict[str, Any] | None = None,
    *,
    lots: str = "account_id | security_id | quantity\n a | S | 800\n b | B | 200",
    landed: tuple[str, ...] = ("a", "b"),
    cash: str = "account_id | settled_usd\n a | 0\n b | 0\n z | 0",
) -> Facts:
    """Accounts ``a`` and ``b`` of a managed household out of band, and ``z`` that is alone and without value."""
    first, second = statuses.split()
    drawn = f"account_id | household_id | status\n a | h | {first}\n b | h | {second}\n z | |active"
    facts = facts_of(policy, accounts=drawn, lots=lots, households="household_id\n h", cash=cash)
    members = pl.DataFrame(
        [*((name, "h h") for name in landed), ("z", "a z")], schema=facts.members.schema, orient="row"
    )
    return replace(facts, members=members)


def standing(facts: Facts, *, models: tuple[str, ...] = ("m",)) -> dict[str, tuple[str | None, str | None, bool]]:
    """Outcome, reason and lock of each account before anything is solved."""
    parameters, nobody = account_parameters(facts), pl.DataFrame(schema={"account_id": pl.String})
    by_account = account_drift(drift_of(facts), parameters, household_drift_of(facts), due=(), changed_models=nobody)
    found = with_standing(
        parameters,
        by_account,
        facts.last_exports,
        facts.members,
        models=pl.Series(models),
        waiting=waiting(facts.unshown_fills),
        open_orders=waiting_orders(facts.open_orders),
        as_of=AS_OF,
    )
    return {name: tuple(rest) for name, *rest in found.select("account_id", "outcome", "reason", "is_locked").rows()}  # type: ignore[misc]


ALONE = ("blocked", "no_investable_value", False)
TO_SOLVE = (None, None, False)


def test_a_household_is_solved_whole_whatever_its_accounts_hold() -> None:
    assert standing(household()) == {"a": TO_SOLVE, "b": TO_SOLVE, "z": ALONE}


def test_a_household_in_band_is_left_alone_whatever_its_accounts_hold() -> None:
    even = "account_id | security_id | quantity\n a | S | 60\n b | B | 40"
    assert (
        standing(household(lots=even))["a"] == standing(household(lots=even))["b"] == ("in_band", "no_trigger", False)
    )


def test_no_account_of_a_household_is_traded_while_one_did_not_pass() -> None:
    found = standing(household(landed=("a", "b", "c")))
    assert found == {
        "a": ("blocked", "member_not_traded", False),
        "b": ("blocked", "member_not_traded", False),
        "z": ALONE,
    }


@pytest.mark.parametrize("status", ["frozen", "closed"])
def test_a_frozen_account_of_a_household_is_locked_and_the_others_go_on(status: str) -> None:
    assert standing(household(f"active {status}")) == {
        "a": TO_SOLVE,
        "b": ("frozen", f"account_{status}", True),
        "z": ALONE,
    }


def test_nothing_is_locked_in_a_household_that_is_not_traded() -> None:
    assert standing(household("frozen frozen"))["a"] == ("frozen", "account_frozen", False)
    assert standing(household("active frozen"), models=("gone",))["b"] == ("frozen", "account_frozen", False)


@pytest.mark.parametrize("member", ["a", "b"])
@pytest.mark.parametrize(
    ("days_ago", "reason"), [(0, "exported_for_this_date"), (3, "cool_down: 3 days since the last export")]
)
def test_while_one_account_of_a_household_waits_all_wait(member: str, days_ago: int, reason: str) -> None:
    facts = household(policy={"cool_down_days": 5})
    waiting = standing(replace(facts, last_exports=exported(days_ago, member)))
    assert waiting["a"] == waiting["b"] == ("cooling_down", reason, False)
    rested = pl.concat([exported(5, "a"), exported(9, "b")])
    assert standing(replace(facts, last_exports=rested))["b"] == TO_SOLVE


@pytest.mark.parametrize("statuses", ["active active", "active frozen"])
def test_while_holdings_of_one_account_of_a_household_are_behind_all_wait(statuses: str) -> None:
    found = standing(replace(household(statuses), unshown_fills=unshown_of("b")))
    assert found["a"] == ("cooling_down", "fills_not_shown: S moved by 0 where 5 was filled", False)


@pytest.mark.parametrize("statuses", ["active active", "active frozen"])
def test_while_an_order_of_one_account_of_a_household_is_open_all_wait_as_long_as_the_oldest(statuses: str) -> None:
    found = standing(replace(household(statuses), open_orders=pl.concat([open_of("a", 1), open_of("b", 6)])))
    assert found["a"][0] == "blocked"
    assert str(found["a"][1]).startswith("orders_overdue: buy 5 S of")
    assert "order o-b" in str(found["a"][1])
    assert found["z"] == ALONE


def test_an_account_of_a_household_without_value_is_locked_and_the_household_goes_on() -> None:
    only_a = "account_id | security_id | quantity\n a | S | 800"
    assert standing(household(lots=only_a))["b"] == ("blocked", "no_investable_value", True)
    assert standing(household(lots=only_a))["a"] == TO_SOLVE


def test_a_household_that_owes_more_than_it_has_is_not_traded() -> None:
    owed = "account_id | settled_usd\n a | -90000\n b | -20000\n z | 0"
    found = standing(household(cash=owed))
    assert found["a"] == found["b"] == ("blocked", "no_investable_value", False)


def test_a_locked_account_keeps_its_outcome_beside_those_solved_with_it() -> None:
    facts = household(
        "active frozen", lots="account_id | security_id | quantity\n a | S | 800\n a | B | 10\n b | B | 200"
    )
    parameters, drift, securities = account_parameters(facts), drift_of(facts), priced_securities(facts)
    nobody = pl.DataFrame(schema={"account_id": pl.String})
    by_account = account_drift(drift, parameters, household_drift_of(facts), due=(), changed_models=nobody)
    judged = with_standing(
        parameters,
        by_account,
        facts.last_exports,
        facts.members,
        models=pl.Series(["m"]),
        waiting=waiting(facts.unshown_fills),
        open_orders=waiting_orders(facts.open_orders),
        as_of=AS_OF,
    )
    alone = judged.filter(pl.col("account_id") != "z").with_columns(managed_household_id=pl.lit(None, pl.String))
    solved = solve(
        compile_book(alone, drift, valued_lots(facts, securities), facts=facts, securities=securities, trade_date=AS_OF)
    )
    found = outcomes(judged, solved, class_reasons(solved), NOBODY)
    assert found["account_id"].to_list() == ["a", "b", "z"]
    assert found["outcome"].to_list() == ["proposed", "frozen", "blocked"]


accounts = st.fixed_dictionaries(
    {
        "status": st.sampled_from(AccountStatus),
        "model_id": st.sampled_from(["m", "m", "gone"]),
        "stocks": st.integers(0, 900),
        "bonds": st.integers(0, 900),
        "cash": st.integers(-50_000, 20_000),
        "is_restricted": st.booleans(),
        "exported": st.none() | st.integers(-1, 9),
        "is_quarantined": st.booleans(),
    }
)


def book_of(drawn: list[dict[str, Any]], cool_down: int) -> tuple[Facts, pl.DataFrame]:
    """The accounts drawn, as facts and gate."""
    named = {f"a{number:02}": account for number, account in enumerate(drawn)}
    good = {name: account for name, account in named.items() if not account["is_quarantined"]}
    rows = {
        "accounts": ["account_id | status | model_id"],
        "lots": ["account_id | security_id | quantity"],
        "cash": ["account_id | settled_usd"],
        "restrictions": ["account_id | security_id"],
    }
    for name, account in good.items():
        rows["accounts"].append(f"{name} | {account['status']} | {account['model_id']}")
        rows["lots"] += [f"{name} | S | {account['stocks'] + 1}", f"{name} | B | {account['bonds'] + 1}"]
        rows["cash"].append(f"{name} | {account['cash']}")
        rows["restrictions"] += [f"{name} | S", f"{name} | B"] if account["is_restricted"] else []
    plain = facts_of({"cool_down_days": cool_down})
    tables = {table_name: table.__wrapped__(table_name, "\n".join(lines)) for table_name, lines in rows.items()}
    exports = [
        exported(account["exported"], name) for name, account in named.items() if account["exported"] is not None
    ]
    last_exports = pl.concat([exported(0).clear(), *exports])
    members = tables["accounts"].select("account_id", household_key="account_id")
    out = [(name, "quarantined", "why") for name, account in named.items() if account["is_quarantined"]]
    gate = pl.DataFrame(out, schema=INTERNAL["gate"], orient="row")
    return replace(plain, **tables, last_exports=last_exports, members=members), gate


@given(drawn=st.lists(accounts, min_size=1, max_size=12), cool_down=st.integers(0, 6), is_due=st.booleans())
@settings(max_examples=at_most(25))
def test_every_account_has_exactly_one_outcome(drawn: list[dict[str, Any]], cool_down: int, *, is_due: bool) -> None:
    facts, gate = book_of(drawn, cool_down)
    daily = replace(facts, policies=facts.policies.with_columns(calendar=pl.lit("daily")))
    found = decided(daily, gate=gate, due=(Calendar.DAILY,) if is_due else ())
    pulled = pl.Series("account_id", [f"a{number:02}" for number in range(len(drawn))])
    assert outcome_gaps(pulled, found).is_empty()
    assert found["account_id"].to_list() == sorted(pulled)
    assert found["reason"].null_count() == 0
    assert set(found["outcome"]) <= set(Outcome)
    frozen = {f"a{n:02}" for n, one in enumerate(drawn) if one["status"] != "active" and not one["is_quarantined"]}
    assert set(found.filter(pl.col("outcome") == "frozen")["account_id"]) == frozen
