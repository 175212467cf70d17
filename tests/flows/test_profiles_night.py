"""Investors' profiles in whole nights: a change is asked for, decided, and made by the next night's trades; without profiles nothing is other than it was."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import ChangeState, Role
from schemas.errors import DecisionRefused
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.tables import PUBLIC
from tasks.operate.replay import replay_run
from tasks.review.goals import goal_of_account
from tasks.runtime.stores import open_ledger
from tests.support.profile_scene import INVESTORS, book, night, with_profiles
from warehouse.lake.lake import open_lake
from warehouse.ledger import Decision

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home of its own."""
    return Settings(home=tmp_path / "home", max_quarantined_fraction=1.0, max_run_turnover=None)


def public(settings: Settings, table: str, run: RunRef) -> list[dict[str, object]]:
    return open_lake(settings).read(table, run.run_id).sort(pl.all()).to_dicts()


def queue(settings: Settings) -> dict[str, tuple[str, str, str]]:
    """By subject: its newest change's name, the model and the state."""
    with closing(open_ledger(settings)) as ledger:
        rows = ledger.model_changes.model_changes().sort("created_at")
    return {row["subject_id"]: (row["change_id"], row["to_model_id"], row["state"]) for row in rows.to_dicts()}


def decide(settings: Settings, change: str, decision: Decision, actor: str = "eve", note: str = "") -> ChangeState:
    with closing(open_ledger(settings)) as ledger:
        if not ledger.users.roles_of(actor):
            ledger.users.add_user(actor, {Role.REVIEWER}, actor=ledger.users.list_users()[0].name, now=NOW)
        done = ledger.model_changes.decide_changes({change: None}, decision=decision, actor=actor, now=NOW, note=note)
    return done[change]


def test_profiles_ask_for_changes_with_their_reason_tax_and_cost(settings: Settings) -> None:
    run = night(settings, with_profiles())
    asked = {row["subject_id"]: row for row in public(settings, "model_changes", run)}
    assert {name: (row["from_model_id"], row["to_model_id"]) for name, row in asked.items()} == {
        "H1": ("growth", "income"),
        "A3": ("income", "growth"),
    }
    assert (asked["H1"]["subject_kind"], asked["H1"]["account_count"]) == ("household", 2)
    assert "The most averse counts: rung 1" in str(asked["H1"]["reason"])
    assert asked["H1"]["order_count"] > 0  # type: ignore[operator]
    assert asked["H1"]["est_cost_usd"] > 0  # type: ignore[operator]
    assert {name: found[1:] for name, found in queue(settings).items()} == {
        "H1": ("income", "pending_review"),
        "A3": ("growth", "pending_review"),
    }


def test_what_is_approved_is_the_model_of_the_next_night_and_nothing_before(settings: Settings) -> None:
    first = night(settings, with_profiles())
    trades = public(settings, "orders", first)
    waiting = queue(settings)
    for subject in ("A3", "H1"):
        assert decide(settings, waiting[subject][0], Decision.APPROVE) is ChangeState.APPROVED
    assert public(settings, "orders", first) == trades
    second = night(settings, with_profiles(), day=1)
    targets = {
        (row["account_id"], row["asset_class"]): row["target_weight"] for row in public(settings, "drift", second)
    }
    assert targets["A3", "stocks"] == 0.7
    assert targets["A1", "bonds"] == targets["A2", "bonds"] == 0.9  # the household moves as one
    sides = {(row["account_id"], row["security_id"], row["side"]) for row in public(settings, "orders", second)}
    assert {("A3", "STK", "buy"), ("A3", "BND", "sell"), ("A1", "STK", "sell")} <= sides
    assert public(settings, "model_changes", second) == []
    assert {found[2] for found in queue(settings).values()} == {"approved"}
    assert replay_run(settings, second.run_id, settings.home.parent / "again").is_same
    tables = with_profiles()
    tables["accounts"] = tables["accounts"].with_columns(
        model_id=pl.when(pl.col("account_id") == "A3").then(pl.lit("growth")).otherwise("model_id")
    )
    night(settings, tables, day=2)
    assert (queue(settings)["A3"][2], queue(settings)["H1"][2]) == ("taken_over", "approved")
    back = night(settings, with_profiles(), day=3)  # asked for again, and not in force by itself
    assert [row["subject_id"] for row in public(settings, "model_changes", back)] == ["A3"]
    with closing(open_ledger(settings)) as ledger:
        assert ledger.audit.verify_audit()


def test_a_tilt_is_of_the_model_that_is_asked_for_and_goes_along(settings: Settings) -> None:
    tilts = "account_id | asset_class | delta_weight\nA3 | bonds | -0.05"
    first = night(settings, with_profiles(tilts=tilts))
    asked = {row["subject_id"]: row for row in public(settings, "model_changes", first)}
    assert {name: asked["A3"][name] for name in ("from_model_id", "current_model_id", "to_model_id")} == {
        "from_model_id": "income",
        "current_model_id": "income",
        "to_model_id": "growth",
    }
    decide(settings, queue(settings)["A3"][0], Decision.APPROVE)
    second = night(settings, with_profiles(tilts=tilts), day=1)
    found = {row["asset_class"]: row for row in public(settings, "tilted_targets", second)}
    assert {name: (row["model_id"], round(float(str(row["target_weight"])), 9)) for name, row in found.items()} == {
        "stocks": ("growth", 0.75),
        "bonds": ("growth", 0.23),
        "cash": ("growth", 0.02),
    }


def test_what_is_rejected_rests_what_is_not_asked_for_is_over_and_what_cannot_be_looked_at_waits(
    settings: Settings,
) -> None:
    night(settings, with_profiles())
    decide(settings, queue(settings)["A3"][0], Decision.REJECT, note="the client is moving house")
    tables = with_profiles()
    tables["cash"] = tables["cash"].filter(pl.col("account_id") != "A1")
    second = night(settings, tables, day=1)
    assert public(settings, "model_changes", second)[0]["subject_id"] == "A3"
    assert (queue(settings)["A3"][2], queue(settings)["H1"][2]) == ("rejected", "pending_review")
    bold = INVESTORS.replace("2025-06-01", "2026-01-02").replace("false           | false", "true            | true ")
    night(settings, with_profiles(investors=bold), day=2)
    assert (queue(settings)["A3"][2], queue(settings)["H1"][2]) == ("pending_review", "superseded")
    with pytest.raises(DecisionRefused, match="is superseded"):
        decide(settings, queue(settings)["H1"][0], Decision.APPROVE)


def test_contradictions_and_stale_profiles_are_a_list_and_never_a_change(settings: Settings) -> None:
    odd = INVESTORS.replace("false           | false", "false           | true ").replace(
        "30            | 2000000    |          | 2025-06-01", "30            | 2000000    |          | 2021-06-01"
    )
    run = night(settings, with_profiles(investors=odd))
    assert public(settings, "model_changes", run) == []
    assert [(row["household_id"], row["finding"]) for row in public(settings, "profile_findings", run)] == [
        ("H1", "answers_contradict"),
        ("H3", "profile_stale"),
    ]
    assert queue(settings) == {}


def test_a_broken_row_of_profiles_costs_advice_and_no_trade(settings: Settings) -> None:
    sound = night(settings, with_profiles())
    broken = INVESTORS.replace(
        "careful     | H1           | false           | false          | 20",
        "careful     | H1           | false           | false          | soon",
    )
    run = night(settings, with_profiles(investors=broken), day=1)
    assert public(settings, "account_outcomes", run)[0]["outcome"] != "quarantined"
    assert {row["finding"] for row in public(settings, "profile_findings", run)} == {"profile_broken"}
    assert [row["subject_id"] for row in public(settings, "model_changes", run)] == ["A3"]
    assert len(public(settings, "quarantine", run)) == len(public(settings, "quarantine", sound)) + 1


def test_a_night_without_profiles_is_as_if_there_were_none_in_the_program(settings: Settings, tmp_path: Path) -> None:
    """Every public table beside a night whose profiles ask for nothing: the tables of profiles are read by nothing else."""
    other = Settings(**{**settings.model_dump(), "home": tmp_path / "other" / "home"})
    other.home.parent.mkdir()
    without, quiet = (
        night(settings, book()),
        night(other, with_profiles(investors=INVESTORS.replace("2025-06-01", "2020-06-01"))),
    )
    ids = pl.exclude("proposal_id", "order_id", "content_hash", "night_run_id", "since_run_id")
    for table in sorted(set(PUBLIC) - {"profile_findings"}):
        one, same = (
            open_lake(at).read(table, run.run_id).select(ids).sort(pl.all())
            for at, run in ((settings, without), (other, quiet))
        )
        assert one.equals(same), table
    assert public(settings, "profile_findings", without) == public(settings, "model_changes", without) == []
    assert queue(settings) == {}


def test_the_goal_of_an_account_is_told_from_the_night(settings: Settings) -> None:
    night(settings, with_profiles())
    with closing(open_ledger(settings)) as ledger:
        told = goal_of_account(open_lake(settings), ledger.runs, "A2")
    assert (told.household_id, told.account_count, told.findings) == ("H1", 2, ())
    assert told.outlook is not None
    assert told.outlook.goal_usd == 300_000
    assert 0 < told.outlook.chance_within_profile <= told.outlook.chance_on_all_rungs < 1
    assert told.outlook.best_rung == 1
