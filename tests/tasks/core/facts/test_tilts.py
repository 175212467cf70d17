"""Effective models: by hand, and against what they must be whatever is asked; and tilted accounts beside accounts of a made-up model of the same weights."""

from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.landing_columns import CASH, dtypes
from schemas.tables import PUBLIC
from tasks.core.facts.facts import Facts, account_parameters
from tasks.core.facts.target_hashes import model_hashes
from tasks.core.facts.tilts import tilt_models, untilted_model
from tests.support.examples import at_most
from tests.support.facts_table import by_class, drift_of, facts_of, household_drift_of, solved_of, traded

CLASSES = ("stocks", "bonds", "gold", "land", CASH)
MODEL = {"stocks": 0.5, "bonds": 0.3, "gold": 0.18, CASH: 0.02}


def tilts_of(tilts: dict[str, float], account: str = "a", exclude: str | None = None) -> pl.DataFrame:
    rows = [{"account_id": account, "asset_class": name, "delta_weight": delta} for name, delta in tilts.items()]
    return pl.DataFrame(rows, dtypes("tilts")).with_columns(exclude=pl.lit(exclude, pl.String))


def targets_of(model: dict[str, float], name: str = "m") -> pl.DataFrame:
    rows = [{"model_id": name, "asset_class": each, "target_weight": weight} for each, weight in model.items()]
    return pl.DataFrame(rows, dtypes("model_targets"))


def tilted(model: dict[str, float], tilts: dict[str, float], household: str | None = None) -> pl.DataFrame:
    """Rows of ``tilted_targets``."""
    account = pl.DataFrame(
        {"account_id": ["a"], "model_id": ["m"], "managed_household_id": [household]},
        schema_overrides={"managed_household_id": pl.String},
    )
    return tilt_models(account, tilts_of(tilts), targets_of(model)).rows


def weights(model: dict[str, float], tilts: dict[str, float]) -> dict[str, float]:
    return {name: round(weight, 12) for name, weight in by_class(tilted(model, tilts), "target_weight").items()}


def notes(rows: pl.DataFrame) -> dict[str, str]:
    return by_class(rows.drop_nulls("note"), "note")


def test_the_other_classes_make_room_in_proportion_and_cash_does_not() -> None:
    found = tilted(MODEL, {"stocks": 0.06})
    assert weights(MODEL, {"stocks": 0.06}) == {"bonds": 0.2625, CASH: 0.02, "gold": 0.1575, "stocks": 0.56}
    assert (by_class(found, "model_weight"), notes(found)) == (dict(sorted(MODEL.items())), {})
    assert found.schema == pl.Schema(PUBLIC["tilted_targets"])


def test_tilts_that_balance_leave_the_others_as_they_are() -> None:
    assert weights(MODEL, {"stocks": 0.1, "bonds": -0.1}) == {"bonds": 0.2, CASH: 0.02, "gold": 0.18, "stocks": 0.6}


def test_cash_is_tilted_where_a_tilt_names_it() -> None:
    assert weights({"stocks": 0.6, "bonds": 0.38, CASH: 0.02}, {CASH: 0.07}) == {
        "bonds": round(0.38 * 0.91 / 0.98, 12),
        CASH: 0.09,
        "stocks": round(0.6 * 0.91 / 0.98, 12),
    }


@pytest.mark.parametrize(
    ("tilts", "expected", "said"),
    [
        (
            {"gold": -0.3},
            {"bonds": 0.3675, CASH: 0.02, "gold": 0.0, "stocks": 0.6125},
            {"gold": "of the tilt of -30.0 % only -18.0 % is done: the model has no more of it"},
        ),
        (
            {"stocks": 0.7},
            {"bonds": 0.0, CASH: 0.02, "gold": 0.0, "stocks": 0.98},
            {"stocks": "of the tilt of +70.0 % only +48.0 % is done: the classes that make room for it have no more"},
        ),
        (
            {"stocks": 0.1, "bonds": -0.2, "gold": -0.1},
            {"bonds": 0.233333333333, CASH: 0.02, "gold": 0.146666666667, "stocks": 0.6},
            {
                "bonds": "of the tilt of -20.0 % only -6.6667 % is done: no other class takes up more",
                "gold": "of the tilt of -10.0 % only -3.3333 % is done: no other class takes up more",
            },
        ),
        (
            {"land": 0.1},
            {"land": 0.0},
            {"land": "of the tilt of +10.0 % only 0.0 % is done: its model does not have the class"},
        ),
    ],
)
def test_what_cannot_be_done_is_said(tilts: dict[str, float], expected: dict[str, float], said: dict[str, str]) -> None:
    assert (weights(MODEL, tilts), notes(tilted(MODEL, tilts))) == (expected, said)


def test_of_a_household_that_is_managed_together_nobody_is_tilted() -> None:
    found = tilted(MODEL, {"stocks": 0.1}, household="h")
    said = "of the tilt of +10.0 % only 0.0 % is done: its household is managed together, to one model"
    assert (by_class(found, "target_weight"), notes(found)) == ({"stocks": 0.5}, {"stocks": said})


def test_tilts_of_nothing_and_of_no_model_do_nothing() -> None:
    assert tilted(MODEL, {"stocks": 0.0}).is_empty()
    assert tilted({}, {"stocks": 0.1}).is_empty()


def expected_weights(model: dict[str, float], tilts: dict[str, float]) -> dict[str, float]:
    """The same found by trying: the largest part of the raises that can be paid for, then of the cuts that somebody takes up."""
    total = sum(model.values())
    start = {name: weight / total for name, weight in model.items()}
    own = {name: delta for name, delta in tilts.items() if name in start and delta}
    others = {name: weight for name, weight in start.items() if name not in own and name != CASH}

    def trial(raised: float, cut: float) -> dict[str, float]:
        moved = dict(start)
        for name, delta in own.items():
            moved[name] += delta * raised if delta > 0 else -min(-delta, start[name]) * cut
        return moved

    def fits(raised: float, cut: float) -> bool:
        moved = sum(trial(raised, cut).values()) - 1
        room = sum(others.values())
        return -1e-13 <= moved <= room + 1e-13 if room == 0 else moved <= room + 1e-13

    def largest(is_good: Any) -> float:
        if is_good(1.0):
            return 1.0
        low, high = 0.0, 1.0
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if is_good(middle) else (low, middle)
        return low

    raised = largest(lambda part: sum(trial(part, 1.0).values()) - 1 <= sum(others.values()) + 1e-13)
    cut = 1.0 if sum(others.values()) > 0 else largest(lambda part: sum(trial(raised, part).values()) - 1 >= -1e-13)
    moved = trial(raised, cut)
    over = sum(moved.values()) - 1
    room = sum(others.values())
    return {name: weight * (1 - over / room) if name in others and room else weight for name, weight in moved.items()}


parts = st.lists(st.integers(0, 60), min_size=2, max_size=4).filter(lambda found: sum(found) > 0)
some_tilts = st.dictionaries(
    st.sampled_from(CLASSES), st.sampled_from([-1.0, -0.31, -0.1, -0.02, 0.0, 0.03, 0.1, 0.37, 1.0])
)


def model_of(numbers: list[int]) -> dict[str, float]:
    return {
        name: number / sum(numbers) for name, number in zip([*CLASSES[: len(numbers) - 1], CASH], numbers, strict=True)
    }


@settings(max_examples=at_most(300))
@given(parts, some_tilts)
def test_targets_sum_to_one_and_do_as_much_as_can_be_done(numbers: list[int], tilts: dict[str, float]) -> None:
    model = model_of(numbers)
    rows = tilted(model, tilts)
    whole = rows.filter(pl.col("asset_class").is_in(list(model)))
    asked = {name: delta for name, delta in tilts.items() if name in model and delta}
    if not asked:
        assert whole.is_empty()
        return
    found = by_class(whole, "target_weight")
    assert abs(sum(found.values()) - 1) < 1e-12
    assert min(found.values()) >= 0
    assert found == pytest.approx(expected_weights(model, tilts), abs=1e-9)
    for name, delta in asked.items():
        done = found[name] - by_class(whole, "model_weight")[name]
        assert -1e-12 <= done / delta <= 1 + 1e-12
        assert (name in notes(rows)) == (abs(done - delta) > 1e-9)
    if CASH not in asked:
        assert found[CASH] == pytest.approx(model[CASH], abs=1e-15)


WORLD = {
    "accounts": """
        account_id | model_id
        a          | m
        b          | made
        c          | m
    """,
    "lots": """
        account_id | security_id | quantity | unit_cost_usd
        a          | S           | 700      | 60
        a          | B           | 280      | 110
        b          | S           | 700      | 60
        b          | B           | 280      | 110
        c          | S           | 700      | 60
        c          | B           | 280      | 110
    """,
    "cash": """
        account_id | settled_usd
        a          | 2000
        b          | 2000
        c          | 2000
    """,
    "buy_list": """
        model_id | asset_class | security_id
        m        | stocks      | S
        m        | bonds       | B
        made     | stocks      | S
        made     | bonds       | B
    """,
}
HEAD = "model_id | asset_class | target_weight | absolute_band | relative_band"


def world(made: dict[str, float]) -> Facts:
    rows = [
        *("m | stocks | 0.6 | 0.05 | 0.2", "m | bonds | 0.38 | 0.04 |", "m | cash | 0.02 | |"),
        *(f"made | stocks | {made['stocks']!r} | 0.05 | 0.2", f"made | bonds | {made['bonds']!r} | 0.04 |"),
        f"made | cash | {made[CASH]!r} | |",
    ]
    return facts_of(**WORLD, model_targets="\n".join([HEAD, *rows]))


def of(frame: pl.DataFrame, account: str) -> pl.DataFrame:
    return frame.filter(pl.col("account_id") == account).drop("account_id")


@settings(max_examples=at_most(40))
@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("stocks", "bonds", CASH), st.integers(-70, 70).map(lambda one: one / 100))
    )
)
def test_a_tilted_account_drifts_and_trades_as_one_of_a_made_up_model_of_its_weights(tilts: dict[str, float]) -> None:
    plain = world({"stocks": 0.6, "bonds": 0.38, CASH: 0.02})
    targets = plain.with_tilts(tilts_of(tilts))
    weights = by_class(of(drift_of(targets), "a"), "target_weight")
    facts = world(weights).with_tilts(tilts_of(tilts))
    drift, solved = drift_of(facts), solved_of(facts)
    assert of(drift, "a").equals(of(drift, "b"))
    assert traded(solved, "a") == traded(solved, "b")
    hashes = dict(model_hashes(facts.model_targets).iter_rows())
    models = dict(account_parameters(facts).select("account_id", "model_id").iter_rows())
    assert hashes[models["a"]] == hashes["made"]
    assert of(drift, "c").equals(of(drift_of(plain), "c"))
    assert traded(solved, "c") == traded(solved_of(plain), "c")


def test_an_effective_model_is_no_model_of_anybody_else() -> None:
    facts = world(dict(zip(("stocks", "bonds", CASH), (0.6, 0.38, 0.02), strict=True)))
    found = facts.with_tilts(tilts_of({"stocks": 0.1}))
    models = account_parameters(found).select("account_id", "model_id", own=untilted_model())
    assert models.rows() == [("a", "m+a", "m"), ("b", "made", "made"), ("c", "m", "m")]
    before, after = facts.model_targets, found.model_targets
    assert after.head(before.height).equals(before)
    assert set(after["model_id"][before.height :]) == {"m+a"}
    assert set(found.buy_list.filter(model_id="m+a")["security_id"]) == {"S", "B"}


def test_nothing_is_other_than_it_was_without_tilts() -> None:
    facts = world(dict(zip(("stocks", "bonds", CASH), (0.6, 0.38, 0.02), strict=True)))
    assert facts.with_tilts(tilts_of({})) is facts


def test_a_change_of_model_takes_the_tilt_along() -> None:
    made = {"stocks": 0.3, "bonds": 0.6, CASH: 0.1}
    facts = world(made).with_tilts(tilts_of({"stocks": 0.1}))
    moved = {"subject_kind": "account", "subject_id": "a", "from_model_id": "m", "to_model_id": "made"}
    found = facts.in_models(pl.DataFrame([moved]))
    expected = {"bonds": 0.5, CASH: 0.1, "stocks": 0.4}
    assert by_class(of(drift_of(found), "a"), "target_weight") == pytest.approx(expected)
    again = found.in_models(pl.DataFrame([{**moved, "from_model_id": "made", "to_model_id": "m"}]))
    assert of(drift_of(again), "a").equals(of(drift_of(facts), "a"))
    assert again.buy_list.is_duplicated().sum() == 0


def test_of_some_households_only_their_tilts_are_kept() -> None:
    made = {"stocks": 0.3, "bonds": 0.6, CASH: 0.1}
    facts = world(made).with_tilts(pl.concat([tilts_of({"stocks": 0.1}), tilts_of({"bonds": 0.1}, "b")]))
    found = facts.of_households(pl.Series(["b"]))
    assert found.tilts["account_id"].to_list() == ["b"]
    assert of(drift_of(found), "b").equals(of(drift_of(facts), "b"))


def test_a_managed_household_keeps_its_model_and_says_so() -> None:
    facts = facts_of(accounts="account_id | household_id\na | h\nb | h", households="household_id\nh")
    found = facts.with_tilts(tilts_of({"stocks": 0.1}))
    assert household_drift_of(found).equals(household_drift_of(facts))
    assert found.tilted_targets["note"].null_count() == 0
    assert found.tilted_targets.height == 1


def test_location_preferences_go_with_the_model() -> None:
    facts = facts_of(location_preferences="asset_class | tax_status | cost_bps\nbonds | taxable | 10")
    found = replace(facts).with_tilts(tilts_of({"stocks": 0.1}))
    assert found.location_preferences["model_id"].to_list() == ["m", "m+a"]
