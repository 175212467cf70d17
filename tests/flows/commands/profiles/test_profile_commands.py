"""``trimtab changes`` and ``trimtab goal`` as a person types them, on a lake and a ledger in a folder of their own."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from flows.commands.cli import app
from schemas.enums import RunKind
from schemas.errors import DecisionRefused, WrongUsage
from schemas.landing_columns import dtypes
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.settings import load_settings
from schemas.stored import TABLES
from schemas.tables import PUBLIC, RUN_COLUMNS
from tasks.runtime.stores import open_ledger
from tests.support.ledger_book import new_run
from warehouse.lake.lake import open_lake
from warehouse.ledger import ASKED, Ledger

Run = Callable[..., Result]
NIGHT = "night"
DAY = date(2026, 7, 1)
CHANGE: dict[str, Any] = {
    "content_hash": "c1",
    "subject_kind": "account",
    "subject_id": "a1",
    "household_id": "H",
    "investor_id": "I",
    "account_count": 1,
    "from_model_id": "calm",
    "current_model_id": "calm",
    "to_model_id": "bold",
    "current_rung": 1,
    "to_rung": 2,
    "reason": "they dare more",
    "nav_usd": 100_000,
    "est_tax_usd": 12.345678,
    "est_cost_usd": 3,
    "gross_value_usd": 40_000,
    "turnover": 0.2,
    "order_count": 4,
    "approvals_needed": 2,
}
INVESTOR: dict[str, Any] = {
    "investor_id": "I",
    "household_id": "H",
    "is_tenth_risked": True,
    "is_half_risked": True,
    "horizon_years": 20.0,
    "wealth_usd": 500_000,
    "yearly_flow_usd": 1_000,
    "goal_usd": 200_000,
    "profiled_date": DAY,
}


def rows(table: str, *given: dict[str, Any]) -> pl.DataFrame:
    """Rows of a table of the lake; columns not named are null."""
    types = {name: dtype for name, dtype in TABLES[table].items() if name not in RUN_COLUMNS}
    return pl.DataFrame([{name: row.get(name) for name in types} for row in given], types)


def rung(model: str, number: int, mu: float, sigma: float) -> dict[str, Any]:
    return {
        "model_id": model,
        "rung": number,
        "expected_return": mu,
        "volatility": sigma,
        "source_date": DAY,
        "row_number": number,
    }


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """One night of one account and its investor, with a change that waits for two people; whoever runs the tests is the admin."""
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    settings, now = load_settings(), datetime.now(UTC)
    ledger = open_ledger(settings)
    ledger.runs.start_run(new_run(NIGHT), now)
    run = RunRef(NIGHT, DAY, RunKind.NIGHTLY, 1)
    lake = open_lake(settings)
    lake.replace(
        run,
        GLOBAL_SHARD,
        {
            "landed_investors": rows("landed_investors", {**INVESTOR, "row_number": 1}),
            "landed_ladder": rows("landed_ladder", rung("calm", 1, 0.03, 0.04), rung("bold", 2, 0.06, 0.12)),
        },
    )
    lake.replace(
        run,
        0,
        {
            "landed_accounts": rows("landed_accounts", {"account_id": "a1", "household_id": "H", "model_id": "calm"}),
            "account_drift": rows("account_drift", {"account_id": "a1", "nav_usd": 100_000, "triggers": ""}),
            "account_outcomes": rows("account_outcomes", {"account_id": "a1", "outcome": "in_band", "reason": ""}),
            "profile_findings": rows("profile_findings", {"household_id": "H2", "finding": "profile_stale"}),
        },
    )
    asked = pl.DataFrame([CHANGE], PUBLIC["model_changes"]).select(ASKED)
    ledger.model_changes.enter_changes(NIGHT, asked, asked.select("subject_kind", "subject_id"), now)
    ledger.runs.finish_run(NIGHT, {}, now)
    yield ledger
    ledger.close()


@pytest.fixture
def run(ledger: Ledger) -> Run:
    def run(*words: str) -> Result:
        assert ledger.runs.get_run(NIGHT) is not None
        return CliRunner().invoke(app, words)

    return run


def change_id(run: Run) -> str:
    return str(json.loads(run("changes", "list", "--json").stdout)[0]["change_id"])


def test_what_waits_is_listed_and_shown_with_its_reason_tax_and_cost(run: Run) -> None:
    listed = run("changes", "list").stdout
    assert "1 model changes" in listed
    assert "12.35" in listed
    one = change_id(run)
    assert "they dare more" in run("changes", "show", one[:6]).stdout
    assert json.loads(run("changes", "show", one, "--json").stdout)["decisions"] == []
    assert "0 model changes" in run("changes", "list", "--state", "approved").stdout


def test_two_people_are_needed_and_the_second_is_waited_for(run: Run) -> None:
    one = change_id(run)
    done = run("changes", "approve", one, "--note", "agreed")
    assert "pending_review" in done.stdout
    assert "1 still waiting for a second person's approval." in done.stderr
    shown = run("changes", "show", one).stdout
    assert "agreed" in shown
    assert json.loads(run("changes", "show", one, "--json").stdout)["decisions"][0]["decision"] == "approve"
    again = run("changes", "approve", one)
    assert isinstance(again.exception, DecisionRefused)


def test_a_rejection_needs_its_note(run: Run) -> None:
    one = change_id(run)
    assert "needs a note" in str(run("changes", "reject", one).exception)
    told = json.loads(run("changes", "reject", one, "--note", "no", "--json").stdout)
    assert told == {"decision": "reject", "states": {one: "rejected"}}
    assert "must be approved" in str(run("changes", "withdraw", one, "--note", "w").exception)


@pytest.mark.parametrize(("name", "said"), [("ab", "too short"), ("zzzzzzz", "there is no model change zzzzzzz")])
def test_a_name_that_is_none_says_so(run: Run, name: str, said: str) -> None:
    found = run("changes", "show", name)
    assert isinstance(found.exception, WrongUsage)
    assert said in str(found.exception)


def test_findings_are_those_of_the_newest_night(run: Run) -> None:
    assert "profile_stale" in run("changes", "findings").stdout
    (found,) = json.loads(run("changes", "findings", "--json").stdout)
    assert (found["household_id"], found["finding"]) == ("H2", "profile_stale")


def test_a_goal_is_said_with_its_chances_and_the_best_rung_by_wealth_and_time(run: Run) -> None:
    text = run("goal", "a1").stdout
    assert "200,000.00 USD in 20.0 years" in text
    assert "100,000.00 USD, +1,000.00 a year" in text
    assert "on rung 2" in text
    assert "Taxes, costs and inflation are not in it" in text
    told = json.loads(run("goal", "a1", "--json").stdout)
    assert told["findings"] == []
    assert told["outlook"]["chance_as_today"] <= told["outlook"]["chance_within_profile"]


def test_an_account_without_a_profile_or_a_run_says_so(run: Run) -> None:
    assert "no run has an account a9" in str(run("goal", "a9").exception)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"goal_usd": None}, "none is given"),
        ({"horizon_years": None}, "no horizon"),
        ({"household_id": "other"}, "has no profile"),
    ],
)
def test_a_profile_that_says_no_goal_is_not_made_one(run: Run, changes: dict[str, Any], said: str) -> None:
    lake, at = open_lake(load_settings()), RunRef(NIGHT, DAY, RunKind.NIGHTLY, 1)
    lake.replace(
        at, GLOBAL_SHARD, {"landed_investors": rows("landed_investors", {**INVESTOR, "row_number": 1, **changes})}
    )
    found = run("goal", "a1")
    assert said in found.stdout + str(found.exception or "")
    assert "Chance of the goal" not in found.stdout


def test_the_columns_of_investors_here_are_those_of_the_contract() -> None:
    assert set(INVESTOR) <= set(dtypes("investors"))
