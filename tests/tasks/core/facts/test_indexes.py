"""A class split into the members of an index: by hand, and against what it must be whatever is asked."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.landing_columns import dtypes
from schemas.tables import PUBLIC
from tasks.core.facts.facts import Facts, account_parameters
from tasks.core.facts.target_hashes import model_hashes
from tests.support.examples import at_most
from tests.support.facts_table import by_class, drift_of, facts_of, table

SECURITIES = """
    security_id | asset_class
    X           | stocks
    Y           | stocks
    Z           | stocks
    E           | stocks
    B           | bonds
"""
BUY_LIST = "asset_class | security_id\nstocks | E\nbonds | B"
WEIGHTS = "security_id | weight\nX | 0.5\nY | 0.3\nZ | 0.2"
LOTS = "security_id | quantity\nX | 300\nE | 100\nB | 600"


def held(direct: str = "account_id\na", weights: str = WEIGHTS, *, exclude: str | None = None, **drawn: str) -> Facts:
    rows = table("direct_indexes", direct).with_columns(exclude=pl.lit(exclude, pl.String))
    plain = facts_of(securities=SECURITIES, **{"buy_list": BUY_LIST, "lots": LOTS, **drawn})
    return plain.with_indexes(rows, table("index_weights", weights))


def targets(facts: Facts) -> dict[str, float]:
    return {name: round(weight, 12) for name, weight in by_class(drift_of(facts), "target_weight").items()}


def test_members_have_their_weight_of_the_class_and_what_else_is_held_of_it_nothing() -> None:
    facts = held()
    assert targets(facts) == {
        "bonds": 0.4,
        "cash": 0.0,
        "stocks": 0.0,
        "stocks::X": 0.3,
        "stocks::Y": 0.18,
        "stocks::Z": 0.12,
    }
    assert by_class(drift_of(facts), "value_usd")["stocks"] == 10_000
    bands = {name: band and round(band, 12) for name, band in by_class(drift_of(facts), "band").items()}
    assert bands == {
        "bonds": 0.05,
        "cash": 0.05,
        "stocks": None,
        "stocks::X": 0.025,
        "stocks::Y": 0.015,
        "stocks::Z": 0.01,
    }
    choices = facts.buy_list.filter(model_id="m+a").select("asset_class", "security_id").sort(pl.all()).rows()
    assert choices == [("bonds", "B"), ("stocks::X", "X"), ("stocks::Y", "Y"), ("stocks::Z", "Z")]


def test_what_is_left_out_is_spread_over_the_others_in_proportion() -> None:
    facts = held(exclude="X|B")
    assert targets(facts) == {
        "bonds": 0.4,
        "cash": 0.0,
        "stocks": 0.0,
        "stocks::X": 0.0,
        "stocks::Y": 0.36,
        "stocks::Z": 0.24,
    }
    (row,) = facts.index_baskets.to_dicts()
    assert (row["member_count"], row["left_out_count"], row["left_out_weight"]) == (3, 1, 0.5)
    assert facts.index_baskets.schema == pl.Schema(PUBLIC["index_baskets"])


def test_the_lightest_are_left_out_where_a_least_weight_is_asked_for() -> None:
    assert targets(held("min_weight\n0.3"))["stocks::X"] == 0.375
    assert "stocks::Z" not in targets(held("min_weight\n0.3"))


def test_weights_that_are_rounded_are_scaled_to_one() -> None:
    found = targets(held(weights="security_id | weight\nX | 0.4998\nY | 0.2999\nZ | 0.2"))
    assert sum(found.values()) == pytest.approx(1, abs=1e-12)
    assert found["stocks::X"] == pytest.approx(0.6 * 0.4998 / 0.9997, abs=1e-12)


@pytest.mark.parametrize(
    ("direct", "more", "said"),
    [
        ("exclude\nall", {}, "nothing of the index is left to hold"),
        ("min_weight\n0.6", {}, "nothing of the index is left to hold"),
        ("asset_class\ngold", {}, "its model does not have the class"),
        (
            "account_id\na",
            {"accounts": "account_id | household_id\na | h\nb | h", "households": "household_id\nh"},
            "its household is managed together, to one model",
        ),
    ],
)
def test_where_no_index_is_held_that_is_said_and_nothing_changes(direct: str, more: dict[str, str], said: str) -> None:
    facts = held(direct, exclude="X|Y|Z" if "all" in direct else None, **more)
    plain = facts_of(securities=SECURITIES, buy_list=BUY_LIST, lots=LOTS, **more)
    assert facts.index_baskets["note"].to_list() == [said]
    assert drift_of(facts).equals(drift_of(plain))
    assert facts.buy_list.equals(plain.buy_list)


def test_a_blank_index_is_none() -> None:
    facts = held("account_id | index_id\na |", exclude="X")
    assert facts.index_baskets.is_empty()
    assert "stocks::X" not in targets(facts)


def test_other_accounts_of_the_model_are_as_they_were() -> None:
    facts = held(accounts="account_id\na\nb", lots="account_id | security_id | quantity\na | X | 100\nb | X | 100")
    others = drift_of(facts).filter(account_id="b")
    assert set(others["asset_class"]) == {"stocks", "bonds", "cash"}
    assert others.filter(asset_class="stocks")["value_usd"].item() == 10_000
    models = dict(account_parameters(facts).select("account_id", "model_id").rows())
    assert models == {"a": "m+a", "b": "m"}


def test_a_tilt_comes_first_and_a_change_of_model_takes_both_along() -> None:
    tilts = table("tilts", "account_id | asset_class | delta_weight | exclude\na | stocks | 0.1 |")
    plain = facts_of(
        securities=SECURITIES,
        buy_list=BUY_LIST,
        lots=LOTS,
        model_targets="model_id | asset_class | target_weight\nm | stocks | 0.6\nm | bonds | 0.4\nm | cash | 0\nn | stocks | 0.2\nn | bonds | 0.8\nn | cash | 0",
    )
    weights, direct = table("index_weights", WEIGHTS), table("direct_indexes", "account_id\na")
    facts = plain.with_tilts(tilts).with_indexes(direct, weights)
    assert targets(facts)["stocks::X"] == 0.35
    moved = {"subject_kind": "account", "subject_id": "a", "from_model_id": "m", "to_model_id": "n"}
    there = facts.in_models(pl.DataFrame([moved]))
    assert targets(there)["stocks::X"] == 0.15
    back = there.in_models(pl.DataFrame([{**moved, "from_model_id": "n", "to_model_id": "m"}]))
    assert drift_of(back).equals(drift_of(facts))
    assert back.buy_list.is_duplicated().sum() == 0
    alone = plain.with_indexes(direct, weights).in_models(pl.DataFrame([moved]))
    assert targets(alone)["stocks::X"] == 0.1
    assert set(alone.of_households(pl.Series(["b"])).index_members["account_id"]) == set()


def test_weights_that_move_are_no_change_of_model_and_holding_an_index_is() -> None:
    plain = facts_of(securities=SECURITIES, buy_list=BUY_LIST, lots=LOTS)
    moved = "security_id | weight\nX | 0.52\nY | 0.29\nZ | 0.19"
    hashes = [
        dict(model_hashes(each.model_targets).rows())[account_parameters(each)["model_id"].item()]
        for each in (
            plain,
            held(),
            held(weights=moved),
            held(lots="security_id | quantity\nB | 600"),
            held(exclude="X"),
        )
    ]
    assert hashes[0] != hashes[1]
    assert len(set(hashes[1:])) == 1


def test_location_preferences_of_a_class_are_those_of_its_members() -> None:
    facts = held(location_preferences="asset_class | tax_status | cost_bps\nstocks | taxable | 10\nbonds | taxable | 3")
    own = facts.location_preferences.filter(model_id="m+a").select("asset_class", "cost_bps").sort(pl.all()).rows()
    assert own == [("bonds", 3.0), ("stocks::X", 10.0), ("stocks::Y", 10.0), ("stocks::Z", 10.0)]


parts = st.lists(st.integers(1, 1000), min_size=1, max_size=12)


@settings(max_examples=at_most(60))
@given(parts, st.sets(st.integers(0, 11)), st.sampled_from([None, 0.02, 0.1, 0.3]), st.integers(1, 999))
def test_shares_are_the_index_on_what_is_left_of_it(
    numbers: list[int], out: set[int], least: float | None, target: int
) -> None:
    """Said once more: sum to one, nothing of what is left out, and all others in the index's own ratios."""
    weights = [number / sum(numbers) for number in numbers]
    names = [f"S{number:02}" for number in range(len(numbers))]
    excluded = "|".join(names[number] for number in sorted(out) if number < len(names)) or None
    kept = {
        name: weight
        for number, (name, weight) in enumerate(zip(names, weights, strict=True))
        if number not in out and (least is None or weight >= least)
    }
    drawn = pl.DataFrame({"index_id": "i", "security_id": names, "weight": weights}).join(
        pl.DataFrame(schema=dtypes("index_weights")).drop("weight"), on=["index_id", "security_id"], how="left"
    )
    direct = table("direct_indexes", "account_id\na").with_columns(
        exclude=pl.lit(excluded, pl.String), min_weight=pl.lit(least, pl.Float64)
    )
    plain = facts_of(
        securities="security_id | asset_class\nB | bonds\n" + "\n".join(f"{name} | stocks" for name in names),
        model_targets=f"asset_class | target_weight\nstocks | {target / 1000}\nbonds | {(1000 - target) / 1000}\ncash | 0",
    )
    near = min((abs(weight - least) for weight in weights), default=1.0) if least else 1.0
    facts = plain.with_indexes(direct, drawn.select(dtypes("index_weights").keys()))
    found = dict(facts.index_members.filter(pl.col("share") > 0).select("security_id", "share").rows())
    if near < 1e-12:
        return
    assert set(found) == set(kept)
    if kept:
        whole = sum(kept.values())
        assert found == pytest.approx({name: weight / whole for name, weight in kept.items()}, abs=1e-12)
        own = facts.model_targets.filter(model_id="m+a")
        assert own["target_weight"].sum() == pytest.approx(1, abs=1e-12)


def test_without_indexes_nothing_is_other_than_it_was() -> None:
    plain = facts_of(securities=SECURITIES, buy_list=BUY_LIST, lots=LOTS)
    assert plain.with_indexes(plain.direct_indexes, table("index_weights", WEIGHTS)) is plain
