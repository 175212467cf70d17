"""``trimtab quarantine`` as a person types it, on a ledger and a lake in a folder of their own."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from flows.commands.cli import app
from schemas.enums import RunKind
from schemas.errors import DecisionRefused, WrongUsage
from schemas.run import RunRef
from schemas.settings import Settings, load_settings
from schemas.stored import INTERNAL
from tasks.runtime.stores import current_actor, open_ledger
from tests.support.cli_session import environment
from tests.support.ledger_book import new_run
from tests.support.quarantine_scene import EVENT, GATE, id_of, quarantine, released_before
from warehouse.lake.lake import open_lake
from warehouse.ledger import Ledger

Run = Callable[..., Result]

ROWS = quarantine()
SPLIT = id_of(ROWS, "split_suspected")
LOT_ID = id_of(ROWS, "lot_id_identifier")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake with the rows of run r1; r2, of the day before, was started later and has none; ``event`` has causes."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    run = RunRef("r1", date(2026, 7, 2), RunKind.NIGHTLY, 1)
    open_lake(settings).replace(
        run, 0, {"quarantine": ROWS, "released_rows": released_before(), "gate": GATE.select(INTERNAL["gate"].keys())}
    )
    event = RunRef("event", date(2026, 7, 1), RunKind.NIGHTLY, 1)
    open_lake(settings).replace(event, 0, {**EVENT, "released_rows": released_before().clear()})
    return settings


@pytest.fixture
def ledger(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Whoever runs the tests is the admin of a ledger of the test's own."""
    monkeypatch.setenv("TRIMTAB_HOME", str(settings.home))
    (settings.home / "ledger.sqlite").unlink(missing_ok=True)
    ledger = open_ledger(load_settings())
    ledger.runs.start_run(new_run("r1", day=2), datetime.now(UTC))
    for name in ("r2", "event"):
        ledger.runs.start_run(new_run(name, day=1), datetime.now(UTC))
    yield ledger
    ledger.close()


@pytest.fixture
def run(ledger: Ledger) -> Run:
    def run(*words: str) -> Result:
        assert ledger.runs.get_run("r1") is not None
        return CliRunner().invoke(app, ["quarantine", *words])

    return run


def test_the_list_shows_the_newest_runs_rows_and_what_can_be_released(run: Run) -> None:
    result = run("list")

    assert (result.exit_code, result.stderr) == (0, "")
    assert "5 rows set aside by r1" in result.stdout
    cells = [[cell.strip() for cell in line.split("│")] for line in result.stdout.splitlines() if "│" in line]
    rules = {row[1]: row[4] for row in cells if row[1]}
    assert rules[LOT_ID] == "lot_id_identifier"
    assert "quantity_not_negative" in [row[4] for row in cells if not row[1]], "below the row's first rule"
    may_pass = {row[1]: row[5] for row in cells if row[1]}
    assert (may_pass[SPLIT], may_pass[LOT_ID]) == ("yes", "no")


def cells_of(result: Result) -> list[list[str]]:
    """Cells of the tables on stdout, a row each."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines() if "│" in line]


def test_the_list_shows_causes_before_rows_and_counts_consequences(run: Run) -> None:
    result = run("list", "--run", "event")

    out = result.stdout
    assert (
        out.index("2 causes")
        < out.index("prices.csv row 1 (price_usd_readable)")
        < out.index("5 rows set aside by event")
    )
    causes = [row for row in cells_of(result) if len(row) == 5]
    assert [row[2] for row in causes] == ["1", "1"]
    assert "security_has_price" not in out
    assert result.stderr.splitlines()[0] == "1 are only consequences of what stands above; --all shows them."
    assert "--rule cost_plausible --security BND --dry-run" in result.stderr
    assert "security_has_price" in run("list", "--run", "event", "--all").stdout


def test_the_list_of_an_account_has_what_caused_it(run: Run) -> None:
    out = run("list", "--run", "event", "--account", "A2").stdout

    assert "prices.csv row 1 (price_usd_readable)" in out
    assert "security_has_price" in out
    assert "cost_plausible" not in out


def test_a_row_of_nobodys_names_the_account_that_it_cost(run: Run) -> None:
    name = id_of(EVENT["quarantine"], "account_known")

    assert "Account A3 is not traded in this run because of it." in run("show", name, "--run", "event").stdout


def test_an_event_is_shown_before_it_is_released_at_once(run: Run, ledger: Ledger) -> None:
    words = ("release", "--run", "event", "--rule", "cost_plausible", "--security", "BND")
    would = run(*words, "--dry-run")

    assert "2 rows would be released" in would.stdout
    assert would.stderr.startswith("Of 2 accounts: A1, A3. Nothing was released.\nOther rows keep 1 of the accounts")
    assert len(json.loads(run(*words, "--dry-run", "--json").stdout)["would_release"]) == 2
    assert ledger.readmissions.released_rows(date(2026, 7, 1)).is_empty()

    done = run(*words, "--note", "costs of a gift")
    assert done.exit_code == 0
    assert len(done.stdout.split()) == 2
    assert ledger.readmissions.released_rows(date(2026, 7, 1))["note"].to_list() == ["costs of a gift"] * 2


def test_rows_that_broke_another_rule_too_are_left_and_said(run: Run) -> None:
    words = ("release", "--rule", "cash_explained", "--rule", "quantity_explained")

    would = run(*words, "--dry-run")

    assert "1 rows would be released" in would.stdout
    said = "1 more rows match and broke split_suspected too; --rule split_suspected covers that as well."
    assert said in would.stderr
    assert json.loads(run(*words, "--dry-run", "--json").stdout)["broke_other_rules_too"] == [SPLIT]


@pytest.mark.parametrize("words", [("--rule", "split_suspected"), (), ("--account", "A2"), (SPLIT, "--account", "A3")])
def test_nothing_to_release_is_a_sentence(run: Run, ledger: Ledger, words: tuple[str, ...]) -> None:
    result = run("release", "--run", "event", *words, "--note", "please")

    assert isinstance(result.exception, WrongUsage | DecisionRefused)
    assert ledger.readmissions.released_rows(date(2026, 7, 1)).is_empty()


def test_the_list_can_be_narrowed_and_says_what_else_there_is(run: Run) -> None:
    assert "1 rows set aside" in run("list", "--table", "cash").stdout
    assert SPLIT in run("list", "--rule", "split_suspected", "--account", "A3").stdout
    nothing = run("list", "--rule", "nonsense")
    assert "0 rows set aside" in nothing.stdout
    assert nothing.stderr.startswith("5 others do not match; rules broken are cash_explained, lot_id_identifier,")
    assert "0 rows set aside by r2" in run("list", "--run", "r2").stdout


def test_a_list_cut_short_says_so_on_stderr(run: Run) -> None:
    result = run("list", "--limit", "2")

    assert SPLIT not in result.stdout
    assert result.stderr.startswith("3 more are not shown")


def test_the_list_as_json_is_whole(run: Run) -> None:
    found = json.loads(run("list", "--limit", "1", "--json").stdout)

    assert [one["quarantine_id"] for one in found] == ROWS["quarantine_id"].to_list()
    assert found[-1]["is_releasable"] is True


def test_rows_let_through_are_listed_with_who_did_and_why(run: Run) -> None:
    result = run("list", "--released")

    assert "1 rows let through by r1" in result.stdout
    assert "a return of capital" in result.stdout
    assert json.loads(run("list", "--released", "--json").stdout)[0]["released_by"] == "bob"


def test_a_row_is_shown_with_cells_rules_cost_and_what_to_do(run: Run) -> None:
    text = run("show", LOT_ID[:7]).stdout

    assert text.startswith(f"{LOT_ID} of lots, in r1\n  =lots.csv row 2\n")
    assert "a/b" in text
    assert "quantity is -5; needed a number of 0 or more." in text
    assert "Account A1 is not traded in this run because of it." in text
    assert "Mend the row at its source, then run the night again: `trimtab nightly --as-of 2026-07-02`." in text


def test_a_row_as_json_has_its_cells_and_rules(run: Run) -> None:
    told = json.loads(run("show", SPLIT, "--json").stdout)

    assert told["cells"]["quantity"] == "4000"
    assert [rule["rule"] for rule in told["rules"]] == ["quantity_explained", "split_suspected"]
    assert told["is_releasable"] is True


def test_a_released_row_is_released_once_and_says_what_to_do_next(run: Run, ledger: Ledger) -> None:
    result = run("release", SPLIT[:6], "--note", "the custodian confirmed it")

    assert (result.exit_code, result.stdout) == (0, f"{SPLIT}\n")
    assert result.stderr.startswith(
        "Other rows keep 1 of the accounts quarantined in r1: A3.\n1 released for 2026-07-02. "
    )
    assert (
        "Run the night again: `trimtab nightly --as-of 2026-07-02`. That is a new run, which uses them" in result.stderr
    )
    (row,) = ledger.readmissions.released_rows(date(2026, 7, 2)).rows(named=True)
    assert (row["quarantine_id"], row["actor"], row["note"]) == (SPLIT, current_actor(), "the custodian confirmed it")
    assert f"Released by {current_actor()} on " in run("show", SPLIT).stdout

    again = run("release", SPLIT, "--note", "once more", "--json")
    assert json.loads(again.stdout) == {
        "released": [],
        "cannot_be_released": [],
        "broke_other_rules_too": [],
        "next": "trimtab nightly --as-of 2026-07-02",
    }
    assert "released before" in run("release", SPLIT, "--note", "once more").stderr


def test_what_cannot_be_released_is_refused_with_a_sentence(run: Run, ledger: Ledger) -> None:
    result = run("release", SPLIT, LOT_ID, "--note", "please")

    assert isinstance(result.exception, DecisionRefused)
    assert "Hint: mend the row at its source." in str(result.exception)
    assert ledger.readmissions.released_rows(date(2026, 7, 2)).is_empty()
    with pytest.raises(WrongUsage, match="needs a note"):
        raise run("release", SPLIT).exception or AssertionError


@pytest.mark.parametrize("words", [("show", "nosuchrow"), ("list", "--run", "r9"), ("show", "abc")])
def test_a_name_of_nothing_is_wrong_usage(run: Run, words: tuple[str, ...]) -> None:
    assert isinstance(run(*words).exception, WrongUsage)


def test_all_rows_are_written_to_a_new_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "rows.json"

    result = run("export", str(file))

    assert result.stdout == f"{file}  5 rows of r1\n"
    found = json.loads(file.read_text())
    assert [(row["run_id"], row["as_of_date"]) for row in found] == [("r1", "2026-07-02")] * 5
    assert found[1]["row"]["lot_id"] == "a/b"
    assert isinstance(run("export", str(file)).exception, WrongUsage)
    assert run("export", str(tmp_path / "rows.txt"), "--format", "csv").exit_code == 0
    assert (tmp_path / "rows.txt").read_text().startswith("run_id,as_of_date,quarantine_id,table_name,")
    assert isinstance(run("export", str(tmp_path / "rows.doc")).exception, WrongUsage)


def test_looking_at_quarantine_does_not_import_prefect(ledger: Ledger, settings: Settings) -> None:
    assert ledger.runs.get_run("r1") is not None
    text = (
        "import sys\nfrom flows.commands.cli import main\n"
        "try:\n    main(['quarantine', 'list', '--json'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'prefect', 'numba', 'alembic'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], env=environment(settings.home), capture_output=True, text=True, check=True
    )
    assert len(json.loads(done.stdout)) == 5
    assert done.stderr == "[]\n"
