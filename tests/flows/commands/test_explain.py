"""``trimtab explain`` on the stores of a whole night: pages that fit a terminal, JSON that a program reads, refusals in a sentence."""

import io
import json
import re
from collections.abc import Callable
from contextlib import closing
from typing import Any

import polars as pl
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from flows.commands import explain as explain_cli
from flows.commands.explain_tables import LOTS, print_rows
from schemas.enums import Outcome
from schemas.errors import WrongUsage
from schemas.settings import Settings
from tasks.demo.sample import make_book
from tasks.review.explain import explain_account
from tasks.runtime.stores import current_actor, open_ledger, utc_now
from tests.support.night_driver import run_night
from warehouse.lake.lake import Lake, open_lake
from warehouse.ledger import Decision

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1

Run = Callable[..., Result]
WIDTH = 100

app = typer.Typer()
app.command("explain")(explain_cli.explain)
app.command("other")(lambda: None)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home after a night that also wrote the trade-off of each proposed account."""
    source, home = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("home")
    book = make_book(source, account_count=300)
    settings = Settings(home=home, is_frontier_written=True)
    run_night(settings, source, book.as_of_date)
    return settings


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return open_lake(settings)


@pytest.fixture
def run_id(settings: Settings) -> str:
    with closing(open_ledger(settings)) as ledger:
        row = ledger.runs.newest_run()
    assert row is not None
    return row.run_id


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("TRIMTAB_HOME", str(settings.home))
    return lambda *words: CliRunner().invoke(app, ["explain", *words])


@pytest.fixture
def outcomes(lake: Lake, run_id: str) -> pl.DataFrame:
    return lake.read("account_outcomes", run_id).sort("account_id")


def first(outcomes: pl.DataFrame, outcome: str) -> str:
    return str(outcomes.filter(pl.col("outcome") == outcome)["account_id"][0])


def test_every_outcome_of_the_book_has_a_page_that_fits_a_terminal(run: Run, outcomes: pl.DataFrame) -> None:
    for outcome in outcomes["outcome"].unique():
        result = run(first(outcomes, outcome), "--frontier")
        assert result.exit_code == 0, result.exception
        assert result.stderr == ""
        assert f"\n{outcome}: " in result.stdout
        assert max(map(len, result.stdout.splitlines())) <= WIDTH


def test_a_proposed_account_shows_all_its_sections(run: Run, lake: Lake, run_id: str) -> None:
    taxed = lake.read("proposals", run_id).filter(pl.col("realized_long_gain_usd") != 0).sort("account_id")
    account = taxed["account_id"][0]
    page = run(account, "--frontier").stdout
    for title in (
        "Drift",
        "Orders",
        "Lots sold",
        "Tax",
        "Cash",
        "Certificate",
        "Proposal",
        "Tracking against tax and cost",
    ):
        assert f"\n{title}\n" in page
    orders = lake.read("orders", run_id).filter(pl.col("account_id") == account)
    for reason in orders["reason"]:
        assert reason in " ".join(page.split())
    assert taxed["proposal_id"][0] in page


def test_what_stopped_a_class_is_on_the_page(run: Run, lake: Lake, run_id: str) -> None:
    row = lake.read("class_reasons", run_id).sort("account_id", "asset_class").row(0, named=True)
    page = run(row["account_id"]).stdout
    assert "What stopped the rest" in page
    assert f"\n{row['asset_class']}, drift " in page


def test_a_quarantined_account_shows_the_messages_of_its_broken_rows(
    run: Run, lake: Lake, run_id: str, outcomes: pl.DataFrame
) -> None:
    account = first(outcomes, Outcome.QUARANTINED)
    messages = lake.read("quarantine", run_id).filter(pl.col("account_id") == account)["message"]
    page = " ".join(run(account).stdout.split())
    assert messages.len() > 0
    assert all(" ".join(message.split()) in page for message in messages)
    assert "Orders" not in page


def test_json_has_the_same_keys_for_every_outcome(run: Run, outcomes: pl.DataFrame) -> None:
    pages = [json.loads(run(first(outcomes, name), "--json").stdout) for name in outcomes["outcome"].unique()]
    assert len({tuple(page) for page in pages}) == 1
    assert {page["outcome"]["outcome"] for page in pages} == set(outcomes["outcome"])


def test_json_holds_numbers_and_the_tables_rows(run: Run, lake: Lake, run_id: str, outcomes: pl.DataFrame) -> None:
    account = first(outcomes, Outcome.PROPOSED)
    page: dict[str, Any] = json.loads(run(account, "--json").stdout)
    orders = lake.read("orders", run_id).filter(pl.col("account_id") == account)
    assert {order["order_id"]: order["value_usd"] for order in page["orders"]} == {
        name: float(value) for name, value in orders.select("order_id", "value_usd").iter_rows()
    }
    assert page["run"]["run_id"] == run_id
    assert "frontier" not in page


def test_the_trade_off_is_what_the_night_wrote(run: Run, lake: Lake, run_id: str, outcomes: pl.DataFrame) -> None:
    account = first(outcomes, Outcome.PROPOSED)
    shown = json.loads(run(account, "--json", "--frontier").stdout)["frontier"]["scenarios"]
    written = lake.read("frontier", run_id)
    assert (
        written["account_id"].unique().sort().to_list() == lake.read("proposals", run_id)["account_id"].sort().to_list()
    )
    expected = {row["scenario"]: row for row in written.filter(pl.col("account_id") == account).iter_rows(named=True)}
    for row in shown:
        if row["scenario"] != "sweep":
            assert row["est_tax_usd"] == float(expected[row["scenario"]]["est_tax_usd"])
            assert row["order_count"] == expected[row["scenario"]]["order_count"]
    (policy,) = [row for row in shown if row["scenario"] == "policy"]
    proposal = lake.read("proposals", run_id).filter(pl.col("account_id") == account).row(0, named=True)
    assert policy["objective_usd"] == pytest.approx(proposal["objective_usd"])
    assert policy["est_tax_usd"] == float(proposal["est_tax_usd"])


def test_an_account_that_may_not_be_traded_has_no_trade_off(run: Run, outcomes: pl.DataFrame) -> None:
    account = first(outcomes, Outcome.FROZEN)
    assert json.loads(run(account, "--json", "--frontier").stdout)["frontier"] is None
    assert "may not be traded at all" in run(account, "--frontier").stdout


def test_who_decided_is_on_the_page(run: Run, settings: Settings, run_id: str) -> None:
    with closing(open_ledger(settings)) as ledger:
        waiting = (
            ledger.proposals.list_proposals(run_id=run_id)
            .filter(pl.col("state") == "pending_review")
            .row(0, named=True)
        )
        ledger.decisions.decide(
            [waiting["proposal_id"]],
            decision=Decision.HOLD,
            actor=current_actor(),
            now=utc_now(),
            note="asked the adviser",
        )
    page = run(waiting["account_id"]).stdout
    assert "waits for a person" in page
    assert f"{current_actor()} said hold: asked the adviser" in page


def test_an_account_or_a_run_that_is_not_there_is_refused_in_a_sentence(
    run: Run, outcomes: pl.DataFrame, run_id: str
) -> None:
    for words, sentence in {
        ("nobody",): "no run has an account nobody",
        ("nobody", "--run", run_id): f"run {run_id} has no outcome for an account nobody",
        (outcomes["account_id"][0], "--run", "monday"): "there is no run monday",
    }.items():
        error = run(*words).exception
        assert isinstance(error, WrongUsage)
        assert error.exit_code == 2
        assert str(error).startswith(sentence)


def test_the_newest_run_is_meant_where_none_is_named(run: Run, outcomes: pl.DataFrame, run_id: str) -> None:
    account = outcomes["account_id"][0]
    assert run(account).stdout == run(account, "--run", run_id).stdout


def test_what_follows_from_the_solution_is_on_the_page(run: Run, lake: Lake, run_id: str) -> None:
    taxed = lake.read("proposals", run_id).filter(pl.col("realized_long_gain_usd") < 0).sort("account_id")
    text = run(taxed["account_id"][0]).stdout
    for title in ("Which way", "Tax", "Losses", "Limits", "Certificate"):
        assert f"\n{title}\n" in text
    for sentence in (
        "\nBefore: ",
        "\nAfter: ",
        "The answer lies on side ",
        "\nPrice: what one more dollar of the limit would be worth",
        "\nB the proven bound ",
        "Trading nothing ",
    ):
        assert sentence in text
    assert re.search(r"^B.*C.*T-*/*-*N?$", text, re.MULTILINE)


def test_a_household_is_shown_as_one_and_not_solved_again_where_it_is_large(
    run: Run, lake: Lake, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposals = lake.read("proposals", run_id).filter(pl.col("household_id").is_not_null()).sort("account_id")
    account = proposals["account_id"][0]
    page = json.loads(run(account, "--json").stdout)
    assert page["limits"]
    assert sum(one["usd"] for one in page["certificate"]["parts"]) == pytest.approx(page["certificate"]["gap_usd"])
    assert "Distances and room for losses are the household's." in run(account).stdout
    monkeypatch.setattr("tasks.review.explain.MOST_MEMBERS", 1)
    without = json.loads(run(account, "--json").stdout)
    assert without["not_solved_again"].startswith("Its household of 2 accounts is not solved again here")
    assert (without["limits"], without["certificate"]["parts"]) == ([], [])
    assert "is not solved again here" in " ".join(run(account).stdout.split())


def test_text_from_files_is_printed_as_it_stands() -> None:
    written = io.StringIO()
    row = dict.fromkeys(("term", "gain_usd", "tax_at_own_rate_usd", "unit_cost_usd", "acquired_date"))
    named = {**row, "symbol": "[red]S[/red]", "lot_id": "[link=x]1", "quantity": 2.5}
    print_rows(Console(file=written, width=WIDTH), LOTS, [named])
    assert "[red]S[/red]" in written.getvalue()
    assert "[link=x]1" in written.getvalue()


def test_a_proposal_without_a_certificate_prints_no_empty_amounts(
    settings: Settings, lake: Lake, outcomes: pl.DataFrame
) -> None:
    with closing(open_ledger(settings)) as ledger:
        page = explain_account(
            lake, ledger.runs, ledger.proposals, ledger.amendments, first(outcomes, Outcome.PROPOSED)
        )
    whole, without = io.StringIO(), io.StringIO()
    explain_cli.print_page(page, Console(file=whole, width=WIDTH))
    nothing = {**dict.fromkeys(page["certificate"]), "sentence": "There is none."}
    explain_cli.print_page({**page, "certificate": nothing}, Console(file=without, width=WIDTH))
    assert "no answer below" in whole.getvalue()
    assert "There is none." in without.getvalue()
    assert "Objective " not in without.getvalue()
