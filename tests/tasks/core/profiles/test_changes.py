"""Model changes that profiles ask for, household by household."""

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from schemas.enums import ProfileFinding
from schemas.landing_columns import dtypes
from schemas.stored import INTERNAL
from tasks.core.gate import ProfileTables
from tasks.core.profiles.changes import Asked, ask

AS_OF = date(2026, 1, 5)
DAY = date(2026, 1, 1)
NOBODY = pl.DataFrame(schema={"text": pl.String, "is_anyones": pl.Boolean})
NONE = pl.DataFrame(schema=INTERNAL["changed_models"])
AVERSE: dict[str, Any] = {"is_tenth_risked": False, "horizon_years": 30.0, "wealth_usd": 1e6, "profiled_date": DAY}
BOLD = {**AVERSE, "is_tenth_risked": True, "is_half_risked": True}


def rows(table: str, *given: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in dtypes(table)} for row in given], dtypes(table))


def profiles(
    *investors: dict[str, Any], paths: tuple[dict[str, Any], ...] = (), broken: pl.DataFrame = NOBODY
) -> ProfileTables:
    ladder = rows(
        "ladder",
        {"model_id": "safe", "rung": 1, "expected_return": 0.02, "volatility": 0.02, "source_date": DAY},
        {"model_id": "even", "rung": 2, "expected_return": 0.05, "volatility": 0.09, "source_date": DAY},
        {"model_id": "bold", "rung": 5, "expected_return": 0.07, "volatility": 0.15, "source_date": DAY},
    )
    named = [{"investor_id": f"I{n}", "household_id": "H1", **each} for n, each in enumerate(investors)]
    return ProfileTables(rows("investors", *named), ladder, rows("glide_paths", *paths), broken)


def account(name: str = "A1", model: str = "even", **changes: Any) -> dict[str, Any]:
    sound = {
        "account_id": name,
        "household_id": "H1",
        "managed_household_id": None,
        "status": "active",
        "model_id": model,
        "nav_usd": Decimal(50_000),
        "is_complete": True,
    }
    return sound | changes


def asked(known: ProfileTables, *accounts: dict[str, Any], in_force: pl.DataFrame = NONE) -> Asked:
    schema = {"household_id": pl.String, "managed_household_id": pl.String, "nav_usd": pl.Decimal(38, 6)}
    frame = pl.DataFrame(list(accounts), schema_overrides=schema)
    return ask(frame, known, in_force, AS_OF)


def moves(found: Asked) -> list[tuple[str, str, str, str]]:
    return found.changes.select("subject_kind", "subject_id", "from_model_id", "to_model_id").rows()


def said(found: Asked) -> list[tuple[str | None, str | None, str]]:
    return found.findings.select("investor_id", "account_id", "finding").rows()


def test_every_account_that_may_be_traded_is_asked_to_the_rung_of_the_profile() -> None:
    found = asked(
        profiles(AVERSE),
        account("A1"),
        account("A2", "safe"),
        account("A3", "bold"),
        account("A4", status="frozen"),
        account("A5", status="closed"),
    )
    assert moves(found) == [("account", "A1", "even", "safe"), ("account", "A3", "bold", "safe")]
    assert said(found) == []
    row = found.changes.row(0, named=True)
    assert (row["current_rung"], row["to_rung"], row["account_count"], row["nav_usd"]) == (2, 1, 1, 50_000)
    assert row["reason"].endswith("rung 1.")


def test_a_household_that_is_managed_together_is_one_change() -> None:
    together = {"managed_household_id": "H1"}
    found = asked(profiles(BOLD), account("A1", **together), account("A2", status="frozen", **together))
    assert moves(found) == [("household", "H1", "even", "bold")]
    assert found.changes["account_count"].to_list() == [2]
    assert moves(asked(profiles(BOLD), account("A1", status="frozen", **together))) == []


@pytest.mark.parametrize(
    ("known", "members", "findings"),
    [
        (profiles(AVERSE, BOLD), [account()], [(None, None, "two_investors")]),
        (profiles({**AVERSE, "horizon_years": None}), [account()], [("I0", None, "no_horizon")]),
        (profiles(AVERSE), [account(model="other")], [("I0", "A1", "model_off_ladder")]),
        (
            profiles(AVERSE, broken=pl.DataFrame({"text": ["h1"], "is_anyones": [False]})),
            [account()],
            [(None, None, "profile_broken")],
        ),
        (
            profiles(broken=pl.DataFrame({"text": ["H1"], "is_anyones": [False]})),
            [account()],
            [(None, None, "profile_broken")],
        ),
        (profiles({**AVERSE, "glide_path_id": "none"}), [account()], [("I0", None, "path_unknown")]),
    ],
)
def test_what_a_person_has_to_look_at_is_a_finding_and_no_change(
    known: ProfileTables, members: list[dict[str, Any]], findings: list[tuple[str | None, str | None, str]]
) -> None:
    found = asked(known, *members)
    assert moves(found) == []
    assert said(found) == findings
    assert {finding for _, _, finding in said(found)} <= set(ProfileFinding)


@pytest.mark.parametrize(
    "member",
    [account(household_id=None), account(household_id="H2"), account(is_complete=False), account(nav_usd=Decimal(0))],
)
def test_nothing_is_said_of_accounts_without_a_profile_or_that_are_not_known_whole(member: dict[str, Any]) -> None:
    found = asked(profiles(AVERSE), member)
    assert (moves(found), said(found)) == ([], [])


def test_what_is_in_force_says_the_source_s_model_and_is_not_asked_again() -> None:
    in_force = pl.DataFrame(
        {
            "change_id": "x",
            "subject_kind": "account",
            "subject_id": "A1",
            "from_model_id": "bold",
            "to_model_id": "even",
        },
        schema=INTERNAL["changed_models"],
    )
    assert moves(asked(profiles(AVERSE), account(), in_force=in_force)) == [("account", "A1", "bold", "safe")]
    assert moves(asked(profiles(AVERSE), account(model="bold"), in_force=in_force)) == [
        ("account", "A1", "bold", "safe")
    ]
    assert moves(asked(profiles(BOLD), account(), in_force=in_force)) == [("account", "A1", "bold", "bold")]  # back


def test_a_change_is_named_by_whose_it_is_both_models_and_the_profile() -> None:
    def name(profile: dict[str, Any], *members: dict[str, Any]) -> str:
        return str(asked(profiles(profile), *members).changes["content_hash"][0])

    first = name(AVERSE, account())
    assert first == name(AVERSE, account(nav_usd=Decimal(60_000)))
    others = [
        name({**AVERSE, "wealth_usd": 2e6}, account()),
        name(AVERSE, account("A9")),
        name(AVERSE, account(model="bold")),
        name(AVERSE, account(managed_household_id="H1")),
    ]
    assert len({first, *others}) == 5


def test_a_glide_path_is_read_from_its_rows_in_any_order() -> None:
    paths = (
        {"glide_path_id": "P", "years_to_goal": 20.0, "rung": 5},
        {"glide_path_id": "P", "years_to_goal": 0.0, "rung": 1},
    )
    near = {**BOLD, "glide_path_id": "P", "horizon_years": 10.0}
    assert moves(asked(profiles(near, paths=paths), account())) == [("account", "A1", "even", "safe")]
    assert moves(asked(profiles({**near, "horizon_years": 25.0}, paths=paths), account())) == [
        ("account", "A1", "even", "bold")
    ]
    shares = ({"glide_path_id": "P", "years_to_goal": 0.0, "risky_share": 0.7},)
    assert moves(asked(profiles(near, paths=shares), account(model="bold"))) == [("account", "A1", "bold", "even")]


def test_the_answer_of_a_household_does_not_depend_on_others() -> None:
    known = profiles(AVERSE)
    alone = asked(known, account("A2"))
    other = account("B1", household_id="H7", nav_usd=Decimal(9))
    beside = asked(known, other, account("A2"))
    assert alone.changes.equals(beside.changes)
    assert alone.findings.equals(beside.findings)


def test_goals_wealth_and_income_are_read_as_dollars() -> None:
    told = {**AVERSE, "yearly_flow_usd": 5.0, "yearly_income_usd": 4.0, "wealth_usd": 10.0, "income_beta": 0.5}
    assert [finding for _, _, finding in said(asked(profiles(told), account()))] == [
        "flow_above_income",
        "wealth_below_accounts",
    ]
