from collections.abc import Collection
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.enums import LookReason
from tasks.core.explain.sentences import LOOKS
from tasks.core.propose.route import POINTS, Noticed, noticed_accounts, with_look, with_route

LIMITS = ("auto_approve_max_turnover", "auto_approve_max_tax_usd", "four_eyes_above_usd")
SCHEMA = {"account_id": pl.String, "household_id": pl.String, **dict.fromkeys(LIMITS, pl.Float64)}
amounts = st.none() | st.floats(0, 100)


def routed(
    turnover: float = 0.0,
    tax: float = 0.0,
    gross: float = 0.0,
    *,
    looks: str = "",
    always: Collection[LookReason] = (),
    vouched: frozenset[str] | None = None,
    limits: tuple[float | None, float | None, float | None] = (1.0, 100.0, None),
) -> tuple[str, str, int]:
    """Route, reasons and approvals of one proposal."""
    proposal = pl.DataFrame(
        {
            "account_id": ["a"],
            "turnover": [turnover],
            "est_tax_usd": [tax],
            "gross_value_usd": [gross],
            "look_reasons": [looks],
        }
    )
    proposal = proposal.with_columns(pl.col("est_tax_usd", "gross_value_usd").cast(pl.Decimal(38, 6)))
    found = with_route(proposal, pl.DataFrame([("a", None, *limits)], schema=SCHEMA, orient="row"), always, vouched)
    assert found.columns == [*proposal.columns, "household_id", "route_reasons", "approvals_needed", "route"]
    return found.select("route", "route_reasons", "approvals_needed").row(0)


def test_a_proposal_within_every_limit_is_approved_by_policy() -> None:
    assert routed(0.5, 50) == ("auto", "", 1)


def test_touching_a_limit_is_within_it() -> None:
    assert routed(1.0, 100.0, 500.0, limits=(1.0, 100.0, 500.0)) == ("auto", "", 1)


@pytest.mark.parametrize(
    ("turnover", "tax", "reasons"),
    [
        (1.01, 0, "turnover_above_limit"),
        (0, 100.01, "tax_above_limit"),
        (2, 200, "turnover_above_limit|tax_above_limit"),
    ],
)
def test_above_either_limit_a_person_looks(turnover: float, tax: float, reasons: str) -> None:
    assert routed(turnover, tax) == ("review", reasons, 1)


@pytest.mark.parametrize("limits", [(None, 100.0, None), (1.0, None, None), (None, None, None)])
def test_without_either_limit_a_person_always_looks(limits: tuple[float | None, float | None, None]) -> None:
    assert routed(limits=limits) == ("review", "policy_asks_for_a_person", 1)


def test_a_null_limit_does_not_hide_that_the_other_is_broken() -> None:
    assert routed(2.0, limits=(1.0, None, None))[1] == "policy_asks_for_a_person|turnover_above_limit"


def test_above_the_third_limit_two_people_approve() -> None:
    assert routed(gross=500.01, limits=(1.0, 100.0, 500.0)) == ("review", "four_eyes", 2)


def test_a_tax_saved_is_no_tax() -> None:
    assert routed(tax=-5_000) == ("auto", "", 1)


def test_rows_keep_their_order_and_meet_their_own_limits() -> None:
    proposals = pl.DataFrame(
        {"account_id": ["c", "a", "b"], "turnover": [0.5] * 3, "est_tax_usd": [0.0] * 3, "gross_value_usd": [0.0] * 3}
    ).with_columns(look_reasons=pl.lit(""))
    limits = pl.DataFrame(
        [("a", None, 1.0, 1.0, None), ("b", None, 0.1, 1.0, None), ("c", None, 1.0, 1.0, None)],
        schema=SCHEMA,
        orient="row",
    )
    found = with_route(proposals, limits)
    assert found.select("account_id", "route").rows() == [("c", "auto"), ("a", "auto"), ("b", "review")]


def test_a_proposal_without_limits_goes_to_a_person() -> None:
    proposals = pl.DataFrame(
        {"account_id": ["x"], "turnover": [0.0], "est_tax_usd": [0.0], "gross_value_usd": [0.0]}
    ).with_columns(look_reasons=pl.lit(""))
    limits = pl.DataFrame(schema=SCHEMA)
    assert with_route(proposals, limits)["route"].to_list() == ["review"]


def household_routed(
    *members: tuple[str, str | None, float, float], four_eyes: float = 1000.0
) -> list[tuple[object, ...]]:
    """Route, reasons and approvals of accounts: name, household, turnover and gross value of each."""
    columns = {"account_id": 0, "household_id": 1, "turnover": 2, "gross_value_usd": 3}
    rows = pl.DataFrame({name: [each[place] for each in members] for name, place in columns.items()})
    proposals = rows.select(pl.all().exclude("household_id")).with_columns(est_tax_usd=0.0, look_reasons=pl.lit(""))
    limits = rows.select("account_id", "household_id").with_columns(
        auto_approve_max_turnover=0.1, auto_approve_max_tax_usd=100.0, four_eyes_above_usd=four_eyes
    )
    return with_route(proposals, limits).select("route", "route_reasons", "approvals_needed").rows()


def test_a_household_goes_to_a_person_whole() -> None:
    found = household_routed(("a", "h", 0.05, 10), ("b", "h", 0.2, 10), ("c", "h2", 0.05, 10), ("d", None, 0.05, 10))
    assert found == [
        ("review", "household_reviewed", 1),
        ("review", "turnover_above_limit", 1),
        ("auto", "", 1),
        ("auto", "", 1),
    ]


def test_four_eyes_are_for_the_sum_of_a_household() -> None:
    together = household_routed(("a", "h", 0.05, 600), ("b", "h", 0.05, 401))
    assert together == [("review", "four_eyes", 2)] * 2
    assert household_routed(("a", "h", 0.05, 600), ("b", "h", 0.05, 400)) == [("auto", "", 1)] * 2
    assert household_routed(("a", None, 0.05, 600), ("b", None, 0.05, 401)) == [("auto", "", 1)] * 2


def test_a_household_and_an_account_of_one_name_are_apart() -> None:
    assert household_routed(("a", None, 0.2, 10), ("b", "a", 0.05, 10))[1] == ("auto", "", 1)


@given(
    turnover=st.floats(0, 5),
    tax=st.floats(-10, 200),
    gross=st.floats(0, 100),
    limits=st.tuples(amounts, amounts, amounts),
)
def test_policy_approves_only_what_breaks_no_limit_and_needs_one_person(
    turnover: float, tax: float, gross: float, limits: tuple[float | None, float | None, float | None]
) -> None:
    route, reasons, approvals = routed(turnover, round(tax, 6), round(gross, 6), limits=limits)
    most_turnover, most_tax, most_gross = limits
    is_two = most_gross is not None and round(gross, 6) > most_gross
    is_auto = (
        most_turnover is not None
        and most_tax is not None
        and turnover <= most_turnover
        and round(tax, 6) <= most_tax
        and not is_two
    )
    assert route == ("auto" if is_auto else "review")
    assert (reasons == "") is is_auto
    assert approvals == (2 if is_two else 1)


CALM: dict[str, Any] = {
    "account_id": "a",
    "nav_usd": 100_000.0,
    "cash_before_usd": 1.0,
    "cash_floor_usd": 0.0,
    "est_tax_usd": 0.0,
    "triggers": "drift",
    "turnover": 0.05,
    "one_way_drift_before": 0.06,
    "one_way_drift_after": 0.01,
    "gross_value_usd": 9_999.0,
}


def looked(known: Noticed = Noticed(), **values: Any) -> tuple[str, int]:  # noqa: B008 - frozen
    found = with_look(pl.DataFrame([{**CALM, **values}]), known)
    return found.select("look_reasons", "priority").row(0)


def test_a_proposal_like_any_other_has_no_reason_to_be_looked_at() -> None:
    assert looked() == ("", 15)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"cash_before_usd": -0.01}, "short_cash"),
        ({"est_tax_usd": 500.01}, "large_tax"),
        ({"triggers": "drift|model_change"}, "new_model"),
        ({"turnover": 0.1001}, "large_turnover"),
        ({"one_way_drift_after": 0.0551}, "low_improvement"),
        ({"triggers": "harvest"}, "harvest"),
    ],
)
def test_each_figure_beyond_its_limit_is_a_reason_to_look(values: dict[str, Any], reason: str) -> None:
    assert looked(**values) == (reason, 15 + POINTS[LookReason(reason)])


@pytest.mark.parametrize(
    "values",
    [
        {"est_tax_usd": 500.0},
        {"turnover": 0.1},
        {"cash_before_usd": 0.0},
        {"cash_before_usd": -4.0, "cash_floor_usd": -4.0},
    ],
)
def test_touching_the_figure_is_none(values: dict[str, Any]) -> None:
    assert looked(**values)[0] == ""


def test_what_is_known_of_the_account_is_a_reason_too() -> None:
    known = Noticed(unusual=frozenset("a"), held=frozenset("a"), exported=frozenset("b"))
    assert looked(known)[0] == "hold|anomaly|first_trade"
    assert looked(Noticed(frozenset("b"), frozenset("b"), frozenset("a")))[0] == ""


def test_larger_trades_come_first_among_equals() -> None:
    assert [looked(gross_value_usd=value)[1] for value in (0.5, 10.0, 99.0, 100.0, 1e6)] == [0, 5, 5, 10, 30]


def test_accounts_are_noticed_for_what_is_unusual_only() -> None:
    anomalies = pl.DataFrame({"account_id": ["a", "b", "c", "d"], "score": [3.6, -3.6, 3.5, None]})
    held = pl.DataFrame({"account_id": ["h"], "held_by": ["bob"]})
    exported = pl.DataFrame({"account_id": ["e"]})
    vouched = pl.DataFrame({"account_id": ["v"]})
    tilted = pl.DataFrame({"account_id": ["t", "u"], "note": ["why", None]})
    plain = pl.DataFrame({"account_id": ["v", "w"], "note": [None, "why"]})
    found = noticed_accounts(anomalies, held, exported, vouched, tilted_targets=tilted, index_baskets=plain)
    assert found == Noticed(
        frozenset("ab"), frozenset("h"), frozenset("e"), frozenset("v"), frozenset("t"), frozenset("w")
    )


def test_a_tilt_or_an_index_that_is_not_as_asked_goes_to_a_person_whatever_the_settings_say() -> None:
    assert routed(looks="tilt_cut") == ("review", "tilt_cut", 1)
    assert routed(looks="index_not_held") == ("review", "index_not_held", 1)
    assert looked(Noticed(cut=frozenset("a"), exported=frozenset("a")))[0] == "tilt_cut"
    assert looked(Noticed(without_index=frozenset("a"), exported=frozenset("a")))[0] == "index_not_held"


@pytest.mark.parametrize(
    ("vouched", "expected"),
    [
        (None, ("auto", "", 1)),
        (frozenset("a"), ("auto", "", 1)),
        (frozenset("b"), ("review", "first_seen", 1)),
        (frozenset(), ("review", "first_seen", 1)),
    ],
)
def test_policy_approves_only_what_was_checked(vouched: frozenset[str] | None, expected: tuple[str, str, int]) -> None:
    assert routed(vouched=vouched) == expected


def test_some_reasons_to_look_send_a_proposal_to_a_person_whatever_policy_says() -> None:
    always = frozenset({LookReason.HOLD, LookReason.ANOMALY})
    assert routed(looks="hold|harvest", always=always) == ("review", "hold", 1)
    assert routed(looks="harvest", always=always) == ("auto", "", 1)
    assert routed(2.0, looks="hold|anomaly", always=always)[1] == "turnover_above_limit|hold|anomaly"


def test_every_reason_has_its_points_and_its_sentence() -> None:
    assert set(POINTS) == set(LOOKS) == set(LookReason)
