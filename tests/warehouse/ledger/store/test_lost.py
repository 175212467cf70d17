"""A ledger whose server goes away says so in one sentence wherever it is asked, and is the same ledger when it is back."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from flows.commands.cli import main
from schemas.errors import LedgerUnreachable, Retryable
from schemas.settings import Settings
from tests.support.ledger_book import NOW, new_run, opened
from tests.support.servers import PASSWORD, Postgres, postgres_in
from warehouse.copies.backup import copy_ledger
from warehouse.lake.lake import open_lake
from warehouse.lake.public_query import query
from warehouse.ledger import Ledger

CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()"
SECRET = PASSWORD.replace(" ", "%20")


def address_of(server: Postgres, database: str) -> str:
    return server.url(database).replace("postgresql://owner@", f"postgresql+psycopg://owner:{SECRET}@")


@pytest.fixture(scope="module")
def stopped() -> Iterator[Ledger]:
    """A ledger, still open, whose server was stopped."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        with postgres_in(Path(folder)) as server:
            ledger = opened(address_of(server, server.new_database()))
            ledger.runs.start_run(new_run("r1"), NOW)
        with closing(ledger):
            yield ledger


def turned(ledger: Ledger) -> None:
    with ledger.locks.turn("r1"):
        pass


ASKED: dict[str, Callable[[Ledger], Any]] = {
    "reading": lambda ledger: ledger.runs.list_runs(1),
    "writing": lambda ledger: ledger.runs.start_run(new_run("r2"), NOW),
    "a turn": turned,
    "opening": lambda ledger: opened(text_of(ledger)),
    "copying": lambda ledger: copy_ledger(text_of(ledger), Path("/nowhere/ledger.sqlite")),
}


def text_of(ledger: Ledger) -> str:
    return ledger.engine.url.render_as_string(hide_password=False)


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_whatever_asks_a_ledger_whose_server_was_stopped_is_told_to_try_again(
    stopped: Ledger, ask: Callable[[Ledger], Any]
) -> None:
    with pytest.raises(LedgerUnreachable) as caught:
        ask(stopped)
    sentence, hint = str(caught.value).split("\n\n")
    assert sentence.startswith("the ledger at postgresql+psycopg://owner:***@127.0.0.1:")
    assert sentence.endswith("Connection refused")
    assert hint == "Hint: try again when its server answers."
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "words", ["runs", "status", "review list", "users list", "audit verify", "reconcile", "query|SELECT 1"]
)
def test_a_command_says_so_in_a_sentence_with_a_hint(
    stopped: Ledger,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    monkeypatch.setenv("TRIMTAB_LEDGER_URL", text_of(stopped))
    with pytest.raises(SystemExit) as ended:
        main(words.split("|") if "|" in words else words.split())
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (Retryable.exit_code, "")
    sentence, hint = said.err.strip().split("\n\n")
    assert "\n" not in sentence
    assert sentence.startswith("trimtab: the ledger at postgresql")
    assert hint.startswith("Hint: try again")


def test_a_query_whose_ledger_went_away_meanwhile_tells_no_password(stopped: Ledger, tmp_path: Path) -> None:
    open_lake(Settings(home=tmp_path))
    with pytest.raises(Retryable, match="cannot be reached\n\nHint: try again") as caught:
        query(Settings(home=tmp_path, ledger_url=text_of(stopped)), "SELECT 1")
    assert PASSWORD not in str(caught.value)


def test_a_lake_whose_catalogue_is_not_there_says_so_and_tells_no_password(tmp_path: Path) -> None:
    nowhere = f"ducklake:postgres:host=127.0.0.1 port=9 dbname=lake user=owner password='{PASSWORD}'"
    with pytest.raises(Retryable, match=r"^the lake cannot be reached; .*\n\nHint: try again") as caught:
        open_lake(Settings(home=tmp_path, lake_url=nowhere))
    assert PASSWORD not in str(caught.value)


def test_a_connection_cut_in_a_transaction_says_so_and_the_next_one_is_made_anew(postgres: Postgres) -> None:
    database = postgres.new_database()
    with closing(opened(address_of(postgres, database))) as ledger:
        with pytest.raises(LedgerUnreachable, match="terminating connection"):
            delete_after(ledger, lambda: postgres.run("public", CUT.format(database)))
        assert [user.name for user in ledger.users.list_users()] == ["ann"]


def delete_after(ledger: Ledger, something: Callable[[], Any]) -> None:
    with ledger.writing() as connection:
        something()
        connection.execute(sa.text("DELETE FROM user_roles"))


def test_a_query_reaches_a_ledger_whose_password_has_a_space(postgres: Postgres, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, ledger_url=address_of(postgres, postgres.new_database()))
    with closing(opened(settings.ledger_url)) as ledger:
        ledger.runs.start_run(new_run("r1"), NOW)
    open_lake(settings)
    assert query(settings, "SELECT run_id FROM runs").rows() == [("r1",)]


def test_a_statement_that_is_wrong_stays_what_it_is(postgres: Postgres) -> None:
    with (
        closing(opened(address_of(postgres, postgres.new_database()))) as ledger,
        pytest.raises(ProgrammingError),
        ledger.reading() as connection,
    ):
        connection.execute(sa.text("SELEC 1"))
