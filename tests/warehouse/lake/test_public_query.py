"""The read side: one SELECT over the public tables, and no way to write."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from schemas.enums import RunKind
from schemas.errors import WrongUsage
from schemas.lab_tables import LAB
from schemas.run import RunRef
from schemas.settings import Settings
from schemas.tables import PUBLIC
from tests.support.ledger_book import NOW, opened, route, states
from warehouse.lake.lake import open_lake
from warehouse.lake.public_query import LEDGER_VIEWS, OF_NO_RUN, need_one_select, open_reader, public_names, query

MONDAY = RunRef("monday", date(2026, 7, 1), RunKind.NIGHTLY, 1)
TUESDAY = RunRef("tuesday", date(2026, 7, 2), RunKind.NIGHTLY, 1)


def outcomes(*accounts: str) -> pl.DataFrame:
    rows = {"account_id": accounts, "outcome": "in_band", "reason": "no_trigger"}
    return pl.DataFrame(rows, schema=PUBLIC["account_outcomes"])


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Two runs; monday alone has anything in quarantine. Nothing in this file may change it."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    ledger = opened(settings.ledger_address)
    route(ledger, "monday", ["A1", "A2"], day=1)
    route(ledger, "tuesday", ["A1"], day=2, now=NOW + timedelta(hours=1))
    lake = open_lake(settings)
    broken = {name: ["x"] if kind == pl.String else [1] for name, kind in PUBLIC["quarantine"].items()}
    quarantine = pl.DataFrame(broken, schema=PUBLIC["quarantine"])
    lake.replace(MONDAY, 0, {"account_outcomes": outcomes("A1", "A2"), "quarantine": quarantine})
    lake.replace(TUESDAY, 0, {"account_outcomes": outcomes("A1")})
    before = states(ledger)
    yield settings
    assert states(ledger) == before
    assert lake.read("account_outcomes", "monday").height == 2
    ledger.close()


def test_a_public_table_holds_every_run(settings: Settings) -> None:
    rows = query(settings, "SELECT run_id, as_of_date, account_id FROM account_outcomes ORDER BY ALL").rows()
    assert rows == [
        ("monday", date(2026, 7, 1), "A1"),
        ("monday", date(2026, 7, 1), "A2"),
        ("tuesday", date(2026, 7, 2), "A1"),
    ]


def test_latest_is_the_newest_run_that_has_rows(settings: Settings) -> None:
    assert query(settings, "SELECT DISTINCT run_id FROM latest.account_outcomes").rows() == [("tuesday",)]
    assert query(settings, "SELECT DISTINCT run_id FROM latest.quarantine").rows() == [("monday",)]
    assert query(settings, "SELECT * FROM latest.orders").height == 0


def test_the_queue_says_where_each_proposal_stands(settings: Settings) -> None:
    rows = query(settings, "SELECT account_id, run_id, state FROM queue ORDER BY ALL").rows()
    assert rows == [
        ("A1", "monday", "superseded"),
        ("A1", "tuesday", "pending_review"),
        ("A2", "monday", "pending_review"),
    ]


def test_the_ledgers_runs_can_be_joined_to_the_lakes_tables(settings: Settings) -> None:
    text = (
        "SELECT r.run_id, r.state, count(*) FROM runs AS r JOIN account_outcomes USING (run_id) GROUP BY ALL ORDER BY 1"
    )
    assert query(settings, text).rows() == [("monday", "running", 2), ("tuesday", "running", 1)]


@pytest.mark.parametrize("schema", ["main", "latest"])
def test_every_public_name_can_be_read(settings: Settings, schema: str) -> None:
    lake = {**PUBLIC, **LAB}
    with open_reader(settings) as connection:
        for name in set(public_names()) - (OF_NO_RUN if schema == "latest" else set()):
            columns = connection.sql(f"SELECT * FROM {schema}.{name} LIMIT 1").pl().columns
            assert columns == (["run_id", "as_of_date", *lake[name]] if name in lake else columns)
            assert len(columns) > 3


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 AS one",
        "  select 1 as one  ;  ",
        "WITH t AS (SELECT 1 AS one) SELECT * FROM t",
        "FROM (SELECT 1 AS one)",
        "-- a remark; with a semicolon\nSELECT 1 AS one",
    ],
)
def test_a_select_is_a_select_however_it_is_written(settings: Settings, text: str) -> None:
    assert query(settings, text).to_dicts() == [{"one": 1}]


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO lake.account_outcomes (account_id) VALUES ('A9')",
        "UPDATE ledger.proposals SET state = 'approved'",
        "DELETE FROM ledger.proposals",
        "DROP VIEW account_outcomes",
        "CREATE TABLE t AS SELECT 1",
        "COPY (SELECT 1) TO '{folder}/stolen.csv'",
        "COPY account_outcomes TO '{folder}/stolen.csv'",
        "EXPORT DATABASE '{folder}/stolen'",
        "ATTACH '{folder}/other.db' AS other",
        "DETACH lake",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "PRAGMA enable_profiling",
        "CALL pragma_version()",
        "BEGIN",
        "VACUUM",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP VIEW account_outcomes",
        "EXPLAIN ANALYZE DELETE FROM ledger.proposals",
        "",
        ";",
        "-- nothing",
    ],
)
def test_anything_but_one_select_is_refused(settings: Settings, text: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage):
        query(settings, text.format(folder=tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM '{file}'",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM sqlite_scan('{ledger}', 'users')",
        "SELECT * FROM sqlite_query('ledger', 'SELECT * FROM users')",
        "SELECT * FROM \"Sqlite_Scan\"/* */('{ledger}', 'users')",
        "SELECT (SELECT count(*) FROM sqlite_query('ledger', 'DELETE FROM proposals RETURNING 1'))",
        "SELECT * FROM query('SELECT * FROM sqlite_' || 'scan(''{ledger}'', ''users'')')",
        "SELECT * FROM ducklake_snapshots('lake')",
        "SELECT * FROM postgres_query('ledger', 'SELECT 1')",
    ],
)
def test_a_select_reads_no_other_file_and_hands_nothing_to_sqlite(
    settings: Settings, text: str, tmp_path: Path
) -> None:
    file = tmp_path / "secret.csv"
    file.write_text("a\n1\n", encoding="utf-8")
    ledger = settings.home / "ledger.sqlite"
    with pytest.raises(WrongUsage):
        query(settings, text.format(file=file, folder=tmp_path, ledger=ledger))


def places(settings: Settings) -> list[str]:
    """Every table of what is attached, under every name that it answers to."""
    with open_reader(settings) as connection:
        rows = connection.execute("SELECT database_name, schema_name, table_name FROM duckdb_tables()").fetchall()
        names = {(place, table) for database, schema, table in rows for place in (database, f"{database}.{schema}")}
    return sorted(f"{place}.{table}" for place, table in names if place.split(".")[0] not in {"memory", "temp"})


WRAPPED = (
    "SELECT * FROM {}",
    "FROM {}",
    "SELECT (SELECT count(*) FROM {}) AS n",
    "WITH x AS (SELECT * FROM {}) SELECT * FROM x",
    "SELECT * FROM runs WHERE EXISTS (SELECT 1 FROM {})",
    "SELECT 1 UNION ALL SELECT count(*) FROM {}",
    "SELECT * FROM runs, LATERAL (SELECT * FROM {}) AS x",
    "SELECT [x FOR x IN [1] IF (SELECT count(*) FROM {}) > 0]",
    "SELECT count(*) OVER (ORDER BY (SELECT count(*) FROM {})) FROM runs",
    "SELECT 1 ORDER BY (SELECT count(*) FROM {})",
    "SELECT * FROM runs JOIN {} AS x ON true",
    "SELECT * FROM (DESCRIBE {})",
    "SELECT * FROM (SUMMARIZE {})",
    "FROM {} PIVOT (count(*) FOR name IN ('ann'))",
    "SELECT * FROM (VALUES ((SELECT count(*) FROM {})))",
)


@pytest.mark.parametrize("wrapped", WRAPPED)
def test_no_table_but_the_public_ones_is_read_however_it_is_named(settings: Settings, wrapped: str) -> None:
    """Password hashes, sessions, tokens: what of the ledger is not shown on purpose, and the lake past its views."""
    every = places(settings)
    assert {"ledger.users", "ledger.main.users", "ledger.sessions", "ledger.tokens", "lake.orders"} <= set(every)
    quoted = ['"ledger"."users"', "LEDGER.Users", "ledger . users", "ledger/**/.users", 'lake.main."orders"']
    for name in [*every, *quoted]:
        with pytest.raises(WrongUsage, match=r"reads the public tables only|takes one SELECT"):
            query(settings, wrapped.format(name))


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM users",
        "SELECT * FROM main.users",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM (SHOW ALL TABLES)",
        "SELECT * FROM 'ledger.users'",
    ],
)
def test_what_else_leads_to_other_tables_is_refused(settings: Settings, text: str) -> None:
    with pytest.raises(WrongUsage):
        query(settings, text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT ledger.run_id FROM runs AS ledger",
        "WITH users AS (SELECT 1 AS n) SELECT n FROM users",
        "SELECT * FROM memory.main.runs",
        "SELECT r.run_id FROM latest.runs r JOIN main.queue q USING (run_id)",
        "SELECT unnest([1, 2]) AS n",
        "SELECT * FROM range(3)",
        "FROM runs SELECT count(*)",
        "SELECT run_id, count(*) FROM queue GROUP BY ALL HAVING count(*) > 0 ORDER BY ALL LIMIT 5",
        "SELECT state, row_number() OVER (PARTITION BY run_id) FROM queue QUALIFY true",
        "FROM queue PIVOT (count(*) FOR state IN ('approved'))",
    ],
)
def test_what_reads_public_tables_is_let_through(settings: Settings, text: str) -> None:
    assert query(settings, text).width > 0


@pytest.mark.parametrize("text", ["SELECT 'query sqlite_scan(1)' AS one", "SELECT 'é—' AS one -- sqlite_scan"])
def test_words_in_strings_and_remarks_are_only_words(text: str) -> None:
    need_one_select(text)


def test_an_unknown_table_is_refused_with_the_names_of_those_there_are(settings: Settings) -> None:
    with pytest.raises(WrongUsage, match=r"(?s)the query cannot be run: .*nothing.*Hint: tables are account_drift, "):
        query(settings, "SELECT * FROM nothing")


def test_a_mistake_of_spelling_is_refused_as_a_sentence(settings: Settings) -> None:
    with pytest.raises(WrongUsage, match="the query cannot be run: Parser Error"):
        query(settings, "SELEKT 1")


def test_the_names_offered_are_those_that_can_be_read() -> None:
    assert public_names() == sorted({*PUBLIC, *LAB, *LEDGER_VIEWS})
