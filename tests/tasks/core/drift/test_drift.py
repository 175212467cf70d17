from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.enums import BandRule, Calendar
from schemas.tables import PUBLIC
from schemas.units import EXACT
from tasks.core.drift.drift import account_drift, is_out_of_band, tolerance_band
from tasks.core.facts.facts import Facts, account_parameters
from tasks.core.facts.target_hashes import model_hashes
from tests.support.examples import at_most
from tests.support.facts_table import by_class, drift_of, facts_of, household_drift_of, table

NONE_CHANGED = pl.DataFrame(schema={"account_id": pl.String})
FOUR_SECURITIES = """
    security_id | asset_class
    N           | north
    E           | east
    S           | south
    W           | west
"""


def accounts_of(
    facts: Facts, *, due: Sequence[Calendar] = (), changed: Sequence[str] = (), is_manual: bool = False
) -> pl.DataFrame:
    changed_models = pl.DataFrame({"account_id": changed}, schema=NONE_CHANGED.schema)
    parameters = account_parameters(facts)
    households = household_drift_of(facts)
    return account_drift(
        drift_of(facts), parameters, households, due=due, changed_models=changed_models, is_manual=is_manual
    )


def triggers(
    facts: Facts, *, due: Sequence[Calendar] = (), changed: Sequence[str] = (), is_manual: bool = False
) -> str:
    return str(accounts_of(facts, due=due, changed=changed, is_manual=is_manual)["triggers"].item())


def stocks_and_cash(stocks: float, cash: float, *, pending: float = 0, **more: str) -> Facts:
    targets = """
        asset_class | target_weight | absolute_band
        stocks      | 0.9           | 0.05
        cash        | 0.1           | 0.05
    """
    tables = {
        "lots": f"security_id | quantity\n S | {stocks / 100}",
        "cash": f"settled_usd | pending_usd\n {cash} | {pending}",
        "model_targets": targets,
        **more,
    }
    return facts_of(**tables)


def test_textbook_case_of_stocks_bonds_and_real_estate() -> None:
    facts = facts_of(
        lots="""
            security_id | quantity
            S           | 60
            B           | 30
            R           | 10
        """,
        securities="""
            security_id | asset_class
            S           | stocks
            B           | bonds
            R           | real_estate
        """,
        model_targets="""
            asset_class | target_weight | absolute_band
            stocks      | 0.5           | 0.05
            bonds       | 0.4           | 0.05
            real_estate | 0.1           | 0.05
            cash        | 0             | 0.05
        """,
    )
    drift = drift_of(facts)
    assert by_class(drift, "drift") == pytest.approx({"stocks": 0.1, "bonds": -0.1, "real_estate": 0, "cash": 0})
    assert by_class(drift, "is_out_of_band") == {"stocks": True, "bonds": True, "real_estate": False, "cash": False}
    assert triggers(facts) == "drift"


@pytest.mark.parametrize(("drift", "is_out"), [(0.65 - 0.60, False), (0.05, False), (0.0501, True), (-0.0501, True)])
def test_touching_the_edge_of_a_band_is_inside(drift: float, *, is_out: bool) -> None:
    frame = pl.DataFrame({"drift": [drift], "band": [0.05]})
    assert frame.select(is_out_of_band(pl.col("drift"), pl.col("band"))).item() is is_out


def test_an_account_at_65_percent_of_a_60_percent_target_touches_its_band() -> None:
    facts = facts_of(
        lots="""
            security_id | quantity
            S           | 65
            B           | 35
        """
    )
    assert triggers(facts) == ""


@pytest.mark.parametrize(
    ("absolute", "relative", "rule", "band"),
    [
        (0.05, 0.25, BandRule.LESSER, 0.05),
        (0.05, 0.25, BandRule.GREATER, 0.1),
        (0.2, 0.25, BandRule.LESSER, 0.1),
        (0.05, None, BandRule.GREATER, 0.05),
        (None, 0.25, BandRule.LESSER, 0.1),
        (None, None, BandRule.LESSER, None),
        (None, None, BandRule.GREATER, None),
    ],
)
def test_the_band_is_the_lesser_or_greater_of_those_given(
    absolute: float | None, relative: float | None, rule: BandRule, band: float | None
) -> None:
    schema = {"target": pl.Float64, "absolute": pl.Float64, "relative": pl.Float64, "rule": pl.String}
    frame = pl.DataFrame([(0.4, absolute, relative, rule)], schema=schema, orient="row")
    found = frame.select(tolerance_band(*(pl.col(name) for name in schema))).item()
    assert found == pytest.approx(band)


def test_the_policy_says_which_band_counts() -> None:
    targets = """
        asset_class | target_weight | absolute_band | relative_band
        stocks      | 0.6           | 0.05          | 0.25
        cash        | 0.4           | 0.05          | 0.25
    """
    for rule, stocks, cash in (("lesser", 0.05, 0.05), ("greater", 0.15, 0.1)):
        facts = facts_of({"band_rule": rule}, model_targets=targets, cash="settled_usd\n 100")
        assert by_class(drift_of(facts), "band") == pytest.approx({"cash": cash, "stocks": stocks})


def test_a_class_without_any_band_never_triggers() -> None:
    targets = """
        asset_class | target_weight | absolute_band
        stocks      | 0.6           |
        bonds       | 0.4           |
        cash        | 0             |
    """
    facts = facts_of(model_targets=targets, lots="security_id | quantity\n S | 100")
    assert by_class(drift_of(facts), "band") == {"stocks": None, "bonds": None, "cash": None}
    assert triggers(facts) == ""


def test_a_held_class_without_a_target_is_compared_with_zero_and_has_no_band() -> None:
    facts = facts_of(
        lots="""
            security_id | quantity
            G           | 4
            S           | 60
            B           | 36
        """,
        securities="""
            security_id | asset_class
            G           | gold
            S           | stocks
            B           | bonds
        """,
    )
    gold = drift_of(facts).row(by_predicate=pl.col("asset_class") == "gold", named=True)
    assert (gold["target_weight"], gold["drift"], gold["band"]) == (0, pytest.approx(0.04), None)
    assert not gold["is_out_of_band"]
    assert triggers(facts) == ""


def test_a_class_with_a_target_that_is_not_held_is_underweight() -> None:
    drift = drift_of(facts_of(lots="security_id | quantity\n S | 1"))
    assert by_class(drift, "value_usd") == {"bonds": 0, "cash": 0, "stocks": 100}
    assert by_class(drift, "drift") == pytest.approx({"bonds": -0.4, "cash": 0, "stocks": 0.4})


def test_cash_is_settled_and_pending_less_the_reserve() -> None:
    facts = stocks_and_cash(900, 180, pending=-30, accounts="account_id | cash_reserve_usd\n a | 50")
    drift = drift_of(facts)
    assert by_class(drift, "value_usd") == {"cash": 100, "stocks": 900}
    assert drift["nav_usd"].unique().to_list() == [1000]


def test_a_security_of_the_class_cash_counts_as_cash() -> None:
    securities = """
        security_id | asset_class
        S           | stocks
        M           | cash
    """
    lots = """
        security_id | quantity
        S           | 8
        M           | 1
    """
    drift = drift_of(stocks_and_cash(0, 100, securities=securities, lots=lots))
    assert by_class(drift, "value_usd") == {"cash": 200, "stocks": 800}


def test_cash_out_of_its_band_triggers_cash_and_not_drift() -> None:
    targets = """
        asset_class | target_weight | absolute_band
        stocks      | 0.9           | 0.2
        cash        | 0.1           | 0.05
    """
    assert triggers(stocks_and_cash(840, 160, model_targets=targets)) == "cash"


def test_negative_cash_triggers_inside_the_band_and_without_thresholds() -> None:
    lots = "security_id | quantity\n S | 10"
    targets = "asset_class | target_weight\n stocks | 1\n cash | 0"
    overdrawn = facts_of(
        {"is_threshold_triggered": False}, lots=lots, cash="settled_usd\n -5.01", model_targets=targets
    )
    assert triggers(overdrawn) == "cash"
    even = facts_of({"is_threshold_triggered": False}, lots=lots, cash="settled_usd\n -5", model_targets=targets)
    assert triggers(even) == ""


def test_thresholds_can_be_switched_off() -> None:
    lots = "security_id | quantity\n S | 1"
    assert triggers(facts_of(lots=lots)) == "drift"
    assert triggers(facts_of({"is_threshold_triggered": False}, lots=lots)) == ""


def test_thirty_twenty_thirty_twenty_against_quarters_is_ten_percent_one_way() -> None:
    facts = facts_of(
        securities=FOUR_SECURITIES,
        lots="""
            security_id | quantity
            N           | 30
            E           | 20
            S           | 30
            W           | 20
        """,
        model_targets="""
            asset_class | target_weight
            north       | 0.25
            east        | 0.25
            south       | 0.25
            west        | 0.25
            cash        | 0
        """,
    )
    account = accounts_of(facts).row(0, named=True)
    assert account["one_way_drift"] == pytest.approx(0.1, abs=1e-15)
    assert account["max_abs_drift"] == pytest.approx(0.05)
    assert account["nav_usd"] == 10_000


def test_triggers_are_named_in_one_order_joined_by_a_bar() -> None:
    facts = facts_of({"calendar": "monthly"}, lots="security_id | quantity\n S | 1", cash="settled_usd\n -10")
    assert triggers(facts, due=[Calendar.MONTHLY], changed=["a"], is_manual=True) == (
        "drift|cash|calendar|model_change|manual"
    )
    assert triggers(facts, due=[Calendar.DAILY]) == "drift|cash"
    assert triggers(facts, changed=["b"]) == "drift|cash"


def test_an_account_in_band_has_no_trigger_on_a_day_when_nothing_is_due() -> None:
    facts = facts_of({"calendar": "daily"}, lots="security_id | quantity\n S | 6\n B | 4")
    assert triggers(facts) == ""
    assert triggers(facts, due=[Calendar.DAILY]) == "calendar"


@pytest.mark.parametrize("cash", ["-600", "-1000"])
def test_without_a_positive_nav_weights_are_null_and_nothing_is_out_of_band(cash: str) -> None:
    facts = facts_of(lots="security_id | quantity\n S | 6", cash=f"settled_usd\n {cash}")
    drift = drift_of(facts)
    assert drift["weight"].null_count() == drift["drift"].null_count() == drift.height
    assert not drift["is_out_of_band"].any()
    account = accounts_of(facts).row(0, named=True)
    assert (account["one_way_drift"], account["max_abs_drift"], account["triggers"]) == (0, 0, "cash")


def test_each_account_is_measured_against_its_own_model_and_an_empty_one_still_appears() -> None:
    facts = facts_of(
        accounts="""
            account_id | model_id
            b          | other
            a          | m
            c          | m
        """,
        lots="""
            account_id | security_id | quantity
            b          | S           | 1
            a          | S           | 1
        """,
        model_targets="""
            model_id | asset_class | target_weight
            m        | stocks      | 0.6
            m        | cash        | 0.4
            other    | stocks      | 1
            other    | cash        | 0
        """,
    )
    assert accounts_of(facts).select("account_id", "nav_usd", "one_way_drift").rows() == [
        ("a", 100, pytest.approx(0.4)),
        ("b", 100, 0),
        ("c", 0, 0),
    ]


def test_tables_have_the_columns_of_the_lake() -> None:
    facts = facts_of(lots="security_id | quantity\n S | 1")
    assert drift_of(facts).drop("nav_usd").schema == pl.Schema(PUBLIC["drift"])
    assert accounts_of(facts).schema == pl.Schema(PUBLIC["account_drift"])


def test_a_models_hash_follows_its_targets_and_not_its_bands_or_their_order() -> None:
    def hash_of(text: str) -> str:
        return str(model_hashes(table("model_targets", text))["model_hash"].item())

    plain = hash_of("asset_class | target_weight\n stocks | 0.6\n cash | 0.4")
    turned = hash_of("asset_class | target_weight | absolute_band\n cash | 0.4 | 0.01\n stocks | 0.6 |")
    moved = hash_of("asset_class | target_weight\n stocks | 0.61\n cash | 0.39")
    assert len(plain) == 16
    assert plain == turned != moved


QUARTERS = """
    asset_class | target_weight
    north       | 0.5
    east        | 0.3
    cash        | 0.2
"""
holdings = st.dictionaries(st.sampled_from("NESW"), st.decimals("0.001", 900, places=3), min_size=1)


@given(quantities=holdings, cash=st.decimals(0, 50_000, places=2), seed=st.integers(0, 99))
@settings(max_examples=at_most(30))
def test_weights_sum_to_one_and_one_way_drift_is_what_is_overweight(
    quantities: dict[str, Decimal], cash: Decimal, seed: int
) -> None:
    plain = facts_of(securities=FOUR_SECURITIES, model_targets=QUARTERS, lots="security_id | quantity\n N | 1")
    (lot,) = plain.lots.to_dicts()
    rows = [{**lot, "security_id": name, "quantity": quantity} for name, quantity in quantities.items()]
    lots = pl.DataFrame(rows, schema=plain.lots.schema)
    facts = replace(plain, lots=lots, cash=plain.cash.with_columns(settled_usd=pl.lit(cash, EXACT)))
    drift = drift_of(facts)
    assert drift["weight"].sum() == pytest.approx(1, abs=1e-12)
    overweight = drift.filter(pl.col("drift") > 0)["drift"].sum()
    assert accounts_of(facts)["one_way_drift"].item() == pytest.approx(overweight, abs=1e-12)
    shuffled = replace(facts, lots=lots.sample(fraction=1, shuffle=True, seed=seed))
    assert drift_of(shuffled).equals(drift)
    assert accounts_of(shuffled).equals(accounts_of(facts))


PAIR = "account_id | household_id\n a | h\n b | h\n z |"
"""Two accounts of a household, and one that is alone."""
SPLIT = "account_id | security_id | quantity\n a | S | 60\n b | B | 40\n z | S | 60"


def pair(policy: dict[str, Any] | None = None, **drawn: str) -> Facts:
    """One account holds the household's stocks, the other its bonds; together they stand at target."""
    return facts_of(policy, **{"accounts": PAIR, "lots": SPLIT, "households": "household_id\n h", **drawn})


def triggers_by_account(facts: Facts, *, changed: Sequence[str] = (), due: Sequence[Calendar] = ()) -> dict[str, str]:
    return dict(accounts_of(facts, changed=changed, due=due).select("account_id", "triggers").rows())


def test_a_household_drifts_by_what_all_its_accounts_hold() -> None:
    facts = pair(cash="account_id | settled_usd | pending_usd\n a | 1000 | 0\n b | 0 | -500\n z | 0 | 0")
    household = household_drift_of(facts)
    assert household.schema == pl.Schema(PUBLIC["household_drift"])
    assert household["household_id"].unique().to_list() == ["h"]
    assert set(household["nav_usd"]) == {Decimal(10500)}
    assert by_class(household, "value_usd") == {"bonds": 4000, "cash": 500, "stocks": 6000}
    assert by_class(household, "weight") == pytest.approx({"bonds": 4 / 10.5, "cash": 0.5 / 10.5, "stocks": 6 / 10.5})
    assert by_class(household, "target_weight") == {"bonds": 0.4, "cash": 0, "stocks": 0.6}
    assert by_class(household, "band") == {"bonds": 0.05, "cash": 0.05, "stocks": 0.05}
    assert not household["is_out_of_band"].any()


def test_accounts_of_a_household_say_their_own_drift_and_have_no_band() -> None:
    drift = drift_of(pair())
    rows = drift.filter(pl.col("account_id") == "a").select("asset_class", "weight", "drift", "band", "is_out_of_band")
    assert rows.rows() == [
        ("bonds", 0.0, -0.4, None, False),
        ("cash", 0.0, 0.0, None, False),
        ("stocks", 1.0, 0.4, None, False),
    ]
    assert drift.filter(pl.col("account_id") == "z").filter(pl.col("asset_class") == "stocks")["is_out_of_band"].item()
    assert accounts_of(pair()).select("account_id", "one_way_drift", "triggers").rows() == [
        ("a", pytest.approx(0.4), ""),
        ("b", pytest.approx(0.6), ""),
        ("z", pytest.approx(0.4), "drift"),
    ]


def test_what_one_account_or_the_household_triggers_all_its_accounts_have() -> None:
    lots = "account_id | security_id | quantity\n a | S | 60\n b | B | 40\n b | S | 20\n z | S | 60\n z | B | 40"
    assert triggers_by_account(pair(lots=lots)) == {"a": "drift", "b": "drift", "z": ""}
    even = lots.replace(" b | S | 20\n", "")
    overdrawn = "account_id | settled_usd\n a | 2\n b | -6\n z | 0"
    assert triggers_by_account(pair(lots=even, cash=overdrawn)) == {"a": "cash", "b": "cash", "z": ""}
    flush = "account_id | settled_usd\n a | 400\n b | 400\n z | 0"
    assert triggers_by_account(pair(lots=even, cash=flush)) == {"a": "cash", "b": "cash", "z": ""}
    assert triggers_by_account(pair(lots=even), changed=["b"]) == {"a": "model_change", "b": "model_change", "z": ""}
    facts = pair({"calendar": "daily"}, lots=even)
    assert set(triggers_by_account(facts, due=[Calendar.DAILY]).values()) == {"calendar"}


def test_a_household_of_one_account_is_that_account() -> None:
    facts = pair(accounts="account_id | household_id\n a | h", lots="security_id | quantity\n S | 70\n B | 30")
    alone = drift_of(replace(facts, households=facts.households.clear()))
    household = household_drift_of(facts)
    assert household.drop("household_id").equals(alone.drop("account_id"))
    assert accounts_of(facts)["triggers"].to_list() == ["drift"]


def test_a_household_without_value_has_no_weights() -> None:
    household = household_drift_of(pair(lots="account_id | security_id | quantity"))
    assert household["weight"].null_count() == household.height == 3
    assert not household["is_out_of_band"].any()


def test_lots_to_be_harvested_trigger_their_account_and_its_household() -> None:
    facts, some = pair(), pl.DataFrame({"account_id": ["b", "b"]})
    found = account_drift(
        drift_of(facts), account_parameters(facts), household_drift_of(facts),
        due=(), changed_models=NONE_CHANGED, harvestable=some,
    )  # fmt: skip
    assert found["triggers"].to_list() == ["harvest", "harvest", "drift"]
