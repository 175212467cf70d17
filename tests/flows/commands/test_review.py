"""The commands as a person types them, on a ledger and a lake in a folder of their own."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from flows.commands import audit as audit_cli
from flows.commands import review as review_cli
from flows.commands import users as users_cli
from schemas.enums import RunKind
from schemas.errors import DecisionRefused, WrongUsage
from schemas.run import RunRef
from schemas.settings import load_settings
from schemas.tables import PUBLIC
from tasks.runtime.stores import current_actor, open_ledger
from tests.support.ledger_book import new_run, proposed, route, states
from warehouse.lake.lake import open_lake
from warehouse.ledger import Ledger

Run = Callable[..., Result]

app = typer.Typer()
for name, part in {"review": review_cli.app, "users": users_cli.app, "audit": audit_cli.app}.items():
    app.add_typer(part, name=name)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Three proposals of run monday; whoever runs the tests is the admin."""
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    ledger = open_ledger(load_settings())
    now = datetime.now(UTC)
    route(ledger, "monday", ["aa", "ab"], now=now)
    route(ledger, "monday", ["bb"], now=now, custodian="southbank", approvals_needed=2)
    yield ledger
    ledger.close()


@pytest.fixture
def run(ledger: Ledger) -> Run:
    def run(*words: str) -> Result:
        assert ledger.runs.get_run("monday") is not None
        return CliRunner().invoke(app, words)

    return run


def rows(table: str, **columns: list[object]) -> pl.DataFrame:
    """Rows of a public table; columns not named are null."""
    height = len(next(iter(columns.values())))
    names = {name: columns.get(name, [None] * height) for name in PUBLIC[table]}
    return pl.DataFrame(names, schema=PUBLIC[table])


def test_the_list_is_a_table_on_stdout(run: Run) -> None:
    result = run("review", "list")

    assert result.exit_code == 0
    assert "3 proposals" in result.stdout
    assert "monday.bb" in result.stdout
    assert "12,345.67" in result.stdout
    assert result.stderr == ""


def test_the_list_fits_a_terminal_and_breaks_no_id(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("review", "hold", "monday.bb", "--note", "asking").exit_code == 0
    monkeypatch.setattr("flows.commands.terminal.WIDTH_OF_A_FILE", 100)
    result = run("review", "list", "--filter", "custodian=southbank")

    assert max(map(len, result.stdout.splitlines())) <= 100
    cells = [[cell.strip() for cell in line.split("│")] for line in result.stdout.splitlines() if "│" in line]
    proposals, trades, reasons = ([row[column] for row in cells] for column in (2, 3, 4))
    assert proposals[:4] == ["monday.bb", "bb southbank", "drift", f"held by {current_actor()}"]
    assert {"12,345.67 USD", "orders 2"} <= set(trades)
    assert "2 approvals" in reasons


def test_the_list_shows_cut_offs_and_sorts_by_them(run: Run, ledger: Ledger) -> None:
    moment, frame = datetime.now(UTC), proposed("tuesday", ["ca"], custodian="harbor")
    ledger.runs.start_run(new_run("tuesday", 2), moment)
    ledger.proposals.route_proposals(
        "tuesday", frame, frame["account_id"], moment, {"harbor": datetime(2031, 5, 6, 19, 30, tzinfo=UTC)}
    )
    shown = run("review", "list", "--sort", "cut_off").stdout

    assert "2031-05-06" in shown
    assert "19:30Z" in shown
    found = json.loads(run("review", "list", "--sort", "cut_off", "--json").stdout)
    assert [one["proposal_id"] for one in found] == ["tuesday.ca", "monday.aa", "monday.ab", "monday.bb"]
    assert [one["cut_off_at"] for one in found] == ["2031-05-06T19:30:00+00:00", None, None, None]


def test_a_list_cut_short_says_so_on_stderr(run: Run) -> None:
    result = run("review", "list", "--limit", "1")

    assert "monday.aa" in result.stdout
    assert "monday.ab" not in result.stdout
    assert result.stderr.startswith("2 more are not shown")


def test_the_list_as_json_is_whole_and_exact(run: Run) -> None:
    found = json.loads(run("review", "list", "--filter", "custodian=southbank", "--limit", "1", "--json").stdout)

    assert [one["proposal_id"] for one in found] == ["monday.bb"]
    assert found[0]["gross_value_usd"] == "12345.670000"
    assert found[0]["as_of_date"] == "2026-07-01"
    assert json.loads(run("review", "list", "--filter", "state=rejected", "--json").stdout) == []


def test_approving_by_the_beginning_of_a_name(run: Run, ledger: Ledger) -> None:
    result = run("review", "approve", "monday.b", "monday.aa", "--note", "fine")

    assert result.exit_code == 0
    assert "approve: 2 proposals" in result.stdout
    assert result.stderr == "1 still waiting for a second person's approval.\n"
    assert states(ledger) == {"monday.aa": "approved", "monday.ab": "pending_review", "monday.bb": "pending_review"}
    assert [one.actor for one in ledger.proposals.decisions_of("monday.aa")] == [current_actor()]


def test_rejecting_by_filter_decides_all_that_match(run: Run, ledger: Ledger) -> None:
    result = run("review", "reject", "--filter", "custodian=northbank", "--note", "wrong model", "--json")

    assert json.loads(result.stdout) == {
        "decision": "reject",
        "states": {"monday.aa": "rejected", "monday.ab": "rejected"},
        "households": {},
    }
    assert states(ledger)["monday.bb"] == "pending_review"


def test_a_filter_that_matches_nothing_is_a_notice(run: Run) -> None:
    result = run("review", "approve", "--filter", "custodian=nowhere")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing was decided" in result.stderr


def test_holding_and_withdrawing(run: Run, ledger: Ledger) -> None:
    run("review", "hold", "monday.aa")
    run("review", "approve", "monday.ab")
    run("review", "withdraw", "monday.ab")

    assert states(ledger) == {"monday.aa": "pending_review", "monday.ab": "withdrawn", "monday.bb": "pending_review"}
    assert [one.decision for one in ledger.proposals.decisions_of("monday.aa")] == ["hold"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["review", "approve"], WrongUsage),
        (["review", "approve", "monday.aa", "--filter", "run=monday"], WrongUsage),
        (["review", "list", "--filter", "colour=red"], WrongUsage),
        (["review", "show", "tuesday"], WrongUsage),
        (["review", "reject", "monday.aa"], DecisionRefused),
        (["users", "set-roles", "stranger"], WrongUsage),
    ],
)
def test_our_own_errors_pass_through_for_the_command_to_show(
    run: Run, words: list[str], error: type[Exception]
) -> None:
    assert isinstance(run(*words).exception, error)


@pytest.fixture
def lake(ledger: Ledger) -> None:
    """A sale of two lots and a purchase in monday.aa, and an order of monday.ab."""
    assert ledger.runs.get_run("monday") is not None
    frames = {
        "orders": rows(
            "orders",
            order_id=["o1", "o2", "o3"],
            proposal_id=["monday.aa", "monday.aa", "monday.ab"],
            account_id=["aa", "aa", "ab"],
            side=["sell", "buy", "sell"],
            security_id=["S1", "S2", "S3"],
            symbol=["SPY", "AGG", "QQQ"],
        ),
        "lot_relief": rows(
            "lot_relief",
            order_id=["o1", "o1", "o3"],
            account_id=["aa", "aa", "ab"],
            security_id=["S1", "S1", "S3"],
            lot_id=["lot-one", "lot-two", "lot-three"],
        ),
    }
    open_lake(load_settings()).replace(RunRef("monday", date(2026, 7, 1), RunKind.NIGHTLY, 1), 0, frames)


@pytest.mark.usefixtures("lake")
def test_showing_a_proposal_shows_its_orders_and_lots(run: Run) -> None:
    run("review", "hold", "monday.aa", "--note", "asking the adviser")
    result = run("review", "show", "monday.aa")

    assert result.exit_code == 0
    for text in ("monday.aa", "SPY", "AGG", "lot-one", "lot-two", "asking the adviser"):
        assert text in result.stdout
    assert "QQQ" not in result.stdout
    assert "lot-three" not in result.stdout


@pytest.mark.usefixtures("lake")
def test_showing_a_proposal_says_in_sentences_why_to_look_at_it(run: Run, ledger: Ledger) -> None:
    route(ledger, "monday", ["cc"], now=datetime.now(UTC), look_reasons="hold|first_trade")
    shown = run("review", "show", "monday.cc")

    assert shown.exit_code == 0
    assert "Somebody holds the account back." in shown.stdout
    assert "Nothing was ever exported for the account." in shown.stdout
    assert "Why to look" not in run("review", "show", "monday.aa").stdout


@pytest.mark.usefixtures("lake")
def test_showing_a_proposal_as_json(run: Run) -> None:
    shown = json.loads(run("review", "show", "monday.ab", "--json").stdout)

    assert shown["proposal"]["account_id"] == "ab"
    assert [order["order_id"] for order in shown["orders"]] == ["o3"]
    assert [lot["lot_id"] for lot in shown["lots"]] == ["lot-three"]
    assert shown["decisions"] == []


def test_users_are_added_changed_and_listed(run: Run) -> None:
    added = run("users", "add", "bob", "--role", "reviewer", "--role", "releaser")
    changed = run("users", "set-roles", "bob", "--role", "viewer")
    locked = run("users", "add", "eve")

    assert added.stderr == "bob was added; has the role releaser, reviewer.\n"
    assert changed.stderr == "bob: has the role viewer.\n"
    assert locked.stderr == "eve was added; has no role.\n"
    listed = {user["name"]: user["roles"] for user in json.loads(run("users", "list", "--json").stdout)}
    assert listed == {"bob": ["viewer"], "eve": [], current_actor(): ["admin"]}
    assert "3 users" in run("users", "list").stdout


def test_a_role_that_is_none_is_wrong_usage(run: Run) -> None:
    assert run("users", "add", "bob", "--role", "emperor").exit_code == 2


def test_the_audit_chain_is_listed(run: Run) -> None:
    listed = json.loads(run("audit", "list", "--proposal", "monday.aa", "--json").stdout)
    assert [row["event"] for row in listed] == ["routed"]
    assert "accounts_routed" in run("audit", "list", "--run", "monday").stdout


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (("approve",), "approved"),
        (("reject", "--note", "not now"), "rejected"),
        (("hold",), "pending_review"),
    ],
)
def test_a_decision_on_one_of_a_household_is_said_to_be_on_all(
    run: Run, ledger: Ledger, words: tuple[str, ...], state: str
) -> None:
    households = dict.fromkeys(["ca", "cb"], "H1")
    route(ledger, "tuesday", ["ca", "cb"], now=datetime.now(UTC), day=2, households=households)

    assert "household H1" in run("review", "list").stdout
    result = run("review", words[0], "tuesday.ca", *words[1:])

    assert result.exit_code == 0
    assert f"{words[0]}: 2 proposals" in result.stdout
    assert result.stderr.startswith("2 proposals of household H1 are one decision.")
    assert states(ledger, "tuesday") == {"tuesday.ca": state, "tuesday.cb": state}
    told = run("review", "assign", "tuesday.ca", "--to", current_actor())
    assert (told.exit_code == 0) == (state == "pending_review")
    if told.exit_code == 0:
        assert told.stderr.startswith("2 assigned to")


def test_what_was_decided_as_one_is_in_the_json(run: Run, ledger: Ledger) -> None:
    households = dict.fromkeys(["ca", "cb"], "H1")
    route(ledger, "tuesday", ["ca", "cb"], now=datetime.now(UTC), day=2, households=households)

    told = json.loads(run("review", "approve", "tuesday.cb", "--json").stdout)

    assert told["households"] == {"H1": 2}
    assert told["states"] == {"tuesday.cb": "approved", "tuesday.ca": "approved"}
    assert json.loads(run("review", "comment", "tuesday.cb", "--note", "so", "--json").stdout)["households"] == {}
