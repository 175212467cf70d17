"""``trimtab check``: a night's files read, parsed and gated alone; the home stays as it was."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner, Result

from flows.commands.nights.check import check
from schemas.errors import ExitCode, InputRefused, WrongUsage
from tasks.demo.sample import make_book

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # exchange_calendars, under pandas 3.1
Run = Callable[..., Result]
app = typer.Typer()
app.command("check")(check)
app.command("other")(lambda: None)


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    make_book(folder, account_count=40)
    return folder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path / "home"))
    return lambda *words: CliRunner().invoke(app, ["check", "--as-of", "2022-12-28", *words])


def test_what_would_be_set_aside_is_told_and_nothing_is_kept(run: Run, landing: Path, tmp_path: Path) -> None:
    result = run("--source", str(landing))
    assert result.exit_code in {ExitCode.DONE, ExitCode.HELD}, result.exception
    assert "40 accounts of 2022-12-28 would be looked at." in result.stdout
    assert "lots.parquet" in result.stdout
    assert not (tmp_path / "home").exists()


def test_rows_that_are_spoilt_are_counted_as_the_gate_counts_them(run: Run, landing: Path) -> None:
    before = json.loads(run("--source", str(landing), "--json").stdout)
    cash = pl.read_parquet(landing / "cash.parquet").sort("account_id")
    good = cash.height - 4
    cash.head(good).write_parquet(landing / "cash.parquet")
    after = json.loads(run("--source", str(landing), "--json").stdout)
    assert after["quarantined_count"] > before["quarantined_count"]
    rows = {one["table"]: one["rows"] for one in after["files"]}
    assert rows["cash"] == good
    assert (after["held"] is None) == (run("--source", str(landing)).exit_code == ExitCode.DONE)


def test_what_cannot_be_read_is_refused_in_a_sentence(run: Run, landing: Path) -> None:
    (landing / "prices.parquet").unlink()
    refused = run("--source", str(landing)).exception
    assert isinstance(refused, InputRefused)
    assert "prices" in str(refused)
    assert isinstance(run("--source", str(landing), "--as-of", "monday").exception, WrongUsage)
