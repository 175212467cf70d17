import hashlib
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from socket import create_server
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import InputRefused, SourceUnreachable
from schemas.sources import Source
from tasks.formats.contract_file import read_table
from tasks.sources import postgres as module
from tasks.sources.fetched_file import FetchedFile
from tasks.sources.postgres import fetch
from tasks.sources.staging import open_staging
from tests.support.servers import PASSWORD, Postgres, free_port

AS_OF = date(2026, 1, 2)
LOTS = (
    "account_id text, security_id text, lot_id text, quantity numeric(18,6), unit_cost_usd numeric, acquired_date date"
)
CASH = "account_id text, settled_usd numeric(18,2), pending_usd numeric(18,2)"


def every(_: str) -> bool:
    return True


def book(postgres: Postgres, *statements: str, **more: Any) -> Source:
    """A source with a schema of its own, made by the statements."""
    schema = postgres.new_schema()
    postgres.run(schema, *statements)
    return Source(**{"name": "ledger", "url": postgres.url(), "schema_name": schema, **more}).on(AS_OF)


def rows(file: FetchedFile) -> list[tuple[Any, ...]]:
    return pl.read_parquet(file.path).rows()


def test_tables_and_views_of_the_schema_are_fetched_and_nothing_else(postgres: Postgres, tmp_path: Path) -> None:
    source = book(
        postgres,
        f"CREATE TABLE lots ({LOTS})",
        "INSERT INTO lots VALUES ('A', 'S', 'L', 1.5, 0.10, '2020-02-29'), ('A', 'S', 'K', 2, NULL, NULL)",
        f"CREATE TABLE public.cash ({CASH})",
        "CREATE VIEW cash AS SELECT 'A' AS account_id, 1.00 AS settled_usd, 0 AS pending_usd",
        "CREATE TABLE notes (note text)",
    )
    cash, lots = fetch(source, is_wanted=every, staging=tmp_path)
    assert (cash.source, cash.name, lots.name) == ("ledger", f"{source.schema_name}.cash", f"{source.schema_name}.lots")
    assert (lots.path, lots.modified_at) == (tmp_path / "lots.parquet", None)
    assert (lots.size_bytes, lots.sha256) == (
        lots.path.stat().st_size,
        hashlib.sha256(lots.path.read_bytes()).hexdigest(),
    )
    assert rows(cash) == [("A", "1.00", 0)]
    assert rows(lots) == [("A", "S", "K", "2.000000", None, None), ("A", "S", "L", "1.500000", "0.10", "2020-02-29")]


def test_only_wanted_tables_are_fetched(postgres: Postgres, tmp_path: Path) -> None:
    source = book(postgres, f"CREATE TABLE lots ({LOTS})", f"CREATE TABLE cash ({CASH})")
    (cash,) = fetch(source, is_wanted="cash.parquet".__eq__, staging=tmp_path)
    assert cash.name == f"{source.schema_name}.cash"
    assert rows(cash) == []


def test_a_schema_without_landing_tables_delivers_nothing(postgres: Postgres, tmp_path: Path) -> None:
    assert fetch(book(postgres), is_wanted=every, staging=tmp_path) == ()


def test_the_gate_reads_what_was_fetched_and_notices_unknown_columns(postgres: Postgres, tmp_path: Path) -> None:
    source = book(
        postgres,
        f'CREATE TABLE cash ({CASH}, "Desk ""Note""" jsonb, taken interval, shape point, tags text[])',
        "INSERT INTO cash VALUES ('A', 1, 0, '{}', '1 day', '(1,2)', '{a}')",
    )
    (cash,) = fetch(source, is_wanted=every, staging=tmp_path)
    table = read_table("cash", cash.path)
    assert pl.read_parquet(cash.path).columns[3:] == ['Desk "Note"', "taken", "shape", "tags"]
    assert table.frame["settled_usd"].to_list() == ["1.00"]
    assert 'cash.parquet: the column Desk "Note" is ignored' in table.notices


def test_the_same_content_gives_the_same_bytes_in_whatever_order_it_was_inserted(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GROUP_ROWS", 3000)
    fill = """INSERT INTO lots SELECT 'A' || n / 7 % 9, 'S' || n % 7, 'L' || n / 63, n % 11, n, NULL
        FROM generate_series(1, 20000) AS n ORDER BY n * {sign}"""
    twins = "INSERT INTO lots VALUES ('A0', 'S1', 'L0', {first}, NULL, NULL), ('A0', 'S1', 'L0', {second}, NULL, NULL)"
    hashes = set()
    for sign, first, second in ((1, 1, 2), (-1, 2, 1)):
        source = book(
            postgres,
            f"CREATE TABLE lots ({LOTS})",
            fill.format(sign=sign),
            twins.format(first=first, second=second),
        )
        (lots,) = fetch(source, is_wanted=every, staging=tmp_path / str(sign))
        hashes.add(lots.sha256)
        parts = pq.ParquetFile(lots.path).metadata
        assert [parts.row_group(part).num_rows for part in range(parts.num_row_groups)] == [*[3000] * 6, 2002]
    assert len(hashes) == 1


@pytest.mark.parametrize("size", [77, 1000, 20_000])
def test_bytes_do_not_depend_on_how_the_rows_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(module, "GROUP_ROWS", 20_000)
    long = [f"{n:0100}" for n in range(50_000)]
    table = pa.table({"account_id": long, "settled_usd": ["1.5", None] * 25_000})
    hashes = set()
    for batches in (table.to_batches(), table.to_batches(max_chunksize=size)):
        with open_staging(tmp_path, Source(url="x")) as stage, stage.incoming() as incoming:
            assert module._write(pa.RecordBatchReader.from_batches(table.schema, batches), incoming) == 50_000
            assert pq.read_table(incoming.path).equals(table)
            hashes.add(incoming.sha256)
    assert len(hashes) == 1


def test_a_date_column_chooses_the_rows_of_the_night_and_is_not_delivered(postgres: Postgres, tmp_path: Path) -> None:
    source = book(
        postgres,
        f"CREATE TABLE cash (as_of_date date, {CASH})",
        "INSERT INTO cash VALUES ('2026-01-01', 'A', 1, 0), ('2026-01-02', 'A', 2, 0), (NULL, 'B', 3, 0)",
    )
    (cash,) = fetch(source, is_wanted=every, staging=tmp_path)
    assert rows(cash) == [("A", "2.00", "0.00")]
    assert read_table("cash", cash.path).notices == ()


def test_a_table_without_rows_of_the_night_is_not_there_yet(postgres: Postgres, tmp_path: Path) -> None:
    source = book(
        postgres,
        f"CREATE TABLE cash (as_of_date date, {CASH})",
        "INSERT INTO cash VALUES ('2026-01-01', 'A', 1, 0)",
    )
    assert fetch(source, is_wanted=every, staging=tmp_path) == ()
    assert not (tmp_path / "cash.parquet").exists()


def between_tables(act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something when the first table has been read."""
    write, calls = module._write, []

    def write_and_act(reader: Any, incoming: Any) -> int:
        count = write(reader, incoming)
        if not calls:
            act()
        calls.append(count)
        return count

    monkeypatch.setattr(module, "_write", write_and_act)


def test_all_tables_are_as_of_one_moment(postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = book(
        postgres,
        f"CREATE TABLE cash ({CASH})",
        f"CREATE TABLE lots ({LOTS})",
        "INSERT INTO cash VALUES ('A', 100, 0)",
    )
    buy = ("DELETE FROM cash", "INSERT INTO lots VALUES ('A', 'S', 'L', 1, 100, '2026-01-02')")
    between_tables(lambda: postgres.run(source.schema_name, *buy), monkeypatch)
    cash, lots = fetch(source, is_wanted=every, staging=tmp_path)
    assert (rows(cash), rows(lots)) == ([("A", "100.00", "0.00")], [])
    cash, lots = fetch(source, is_wanted=every, staging=tmp_path)
    assert (len(rows(cash)), len(rows(lots))) == (0, 1)


def test_nothing_can_be_written_through_a_view(postgres: Postgres, tmp_path: Path) -> None:
    source = book(
        postgres,
        "CREATE TABLE seen (n int)",
        "CREATE FUNCTION look() RETURNS text LANGUAGE sql SET search_path FROM CURRENT AS $$ INSERT INTO seen VALUES (1) RETURNING 'A' $$",
        "CREATE VIEW cash AS SELECT look() AS account_id, 1 AS settled_usd, 1 AS pending_usd",
    )
    with pytest.raises(InputRefused, match=r"book\d+\.cash of ledger cannot be read"):
        fetch(source, is_wanted=every, staging=tmp_path)
    assert postgres.run(source.schema_name, "SELECT count(*) FROM seen") == [(0,)]


# --- turned away


HOSTILE = 'x"; drop table lots; --'


def test_a_schema_is_only_ever_a_name(postgres: Postgres, tmp_path: Path) -> None:
    real = book(postgres, f"CREATE TABLE lots ({LOTS})")
    source = real.model_copy(update={"schema_name": HOSTILE})
    with pytest.raises(InputRefused, match=r'has no schema "x""; drop table lots; --"; needed'):
        fetch(source, is_wanted=every, staging=tmp_path)
    assert postgres.run(real.schema_name, "SELECT count(*) FROM lots") == [(0,)]


def test_a_schema_and_a_column_of_any_name_are_read(postgres: Postgres, tmp_path: Path) -> None:
    quoted = HOSTILE.replace('"', '""')
    source = book(
        postgres,
        f'CREATE SCHEMA "{quoted}"',
        f'CREATE TABLE "{quoted}".cash ({CASH}, "{quoted}" text, "%s $1" int)',
        f"INSERT INTO \"{quoted}\".cash VALUES ('A', 1, 0, 'x', 7)",
        schema_name=HOSTILE,
    )
    (cash,) = fetch(source, is_wanted=every, staging=tmp_path)
    assert pl.read_parquet(cash.path).row(0, named=True)[HOSTILE] == "x"
    assert pl.read_parquet(cash.path).columns[-1] == "%s $1"


def test_a_wrong_password_is_refused_and_not_shown(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "not-this-one")
    with pytest.raises(InputRefused, match=r"ledger turned us away \(password authentication failed") as told:
        fetch(Source(name="ledger", url=postgres.url()).on(AS_OF), is_wanted=every, staging=tmp_path)
    assert "not-this-one" not in str(told.value)
    monkeypatch.delenv("PGPASSWORD")
    with pytest.raises(InputRefused, match=r"no password supplied(.|\n)*PGPASSFILE"):
        fetch(Source(name="ledger", url=postgres.url()).on(AS_OF), is_wanted=every, staging=tmp_path)


def test_a_password_file_is_used(postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = book(postgres)
    (tmp_path / "pgpass").write_text(f"127.0.0.1:{postgres.port}:*:owner:{PASSWORD}\n")
    (tmp_path / "pgpass").chmod(0o600)
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    assert fetch(source, is_wanted=every, staging=tmp_path / "staging") == ()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("owner@127.0.0.1:{port}/nowhere", 'database "nowhere" does not exist'),
        ("owner@127.0.0.1:{port}/postgres?sslmode=require", "SSL was required"),
        ("owner@127.0.0.1:{port}/postgres?colour=red", "invalid URI query parameter"),
    ],
)
def test_an_address_that_cannot_work_is_refused(postgres: Postgres, tmp_path: Path, place: str, said: str) -> None:
    source = Source(name="ledger", url=f"postgresql://{place.format(port=postgres.port)}").on(AS_OF)
    with pytest.raises(InputRefused, match=said) as told:
        fetch(source, is_wanted=every, staging=tmp_path)
    assert "hush" not in str(told.value)


def test_a_table_that_may_not_be_read_is_refused_by_name(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = book(
        postgres,
        f"CREATE TABLE cash ({CASH})",
        "DROP ROLE IF EXISTS reader",
        "CREATE ROLE reader LOGIN PASSWORD 'r'",
    )
    closed = book(postgres, f"CREATE TABLE cash ({CASH})")
    postgres.run(source.schema_name, f"GRANT USAGE ON SCHEMA {source.schema_name} TO reader")
    monkeypatch.setenv("PGPASSWORD", "r")
    reader = source.model_copy(update={"url": postgres.url(user="reader")})
    with pytest.raises(InputRefused, match=r"book\d+\.cash of ledger may not be read \(permission denied(.|\n)*GRANT"):
        fetch(reader, is_wanted=every, staging=tmp_path)
    with pytest.raises(InputRefused, match=r"book\d+\.cash of ledger may not be read \(permission denied for schema"):
        fetch(reader.model_copy(update={"schema_name": closed.schema_name}), is_wanted=every, staging=tmp_path)


def test_a_row_that_cannot_be_computed_is_refused_without_its_value(postgres: Postgres, tmp_path: Path) -> None:
    source = book(
        postgres,
        "CREATE TABLE raw AS SELECT 'secret-account' AS id",
        "CREATE VIEW cash AS SELECT id AS account_id, id::int AS settled_usd, 0 AS pending_usd FROM raw",
        "CREATE TABLE long AS SELECT n::text AS id FROM generate_series(1, 200000) AS n UNION ALL SELECT 'secret-account'",
        "CREATE VIEW prices AS SELECT id AS security_id, id::int AS price_usd, NULL::date AS price_date FROM long",
    )
    for table in ("cash", "prices"):
        with pytest.raises(InputRefused, match=rf"book\d+\.{table} of ledger cannot be read") as told:
            fetch(source, is_wanted=f"{table}.parquet".__eq__, staging=tmp_path)
        assert "secret-account" not in str(told.value)
    assert list(tmp_path.glob("*.parquet")) == []


# --- out of reach


def test_a_server_that_is_not_there_is_unreachable(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.url().replace(str(postgres.port), str(free_port()))
    with pytest.raises(SourceUnreachable, match=r"ledger did not answer \(.*Connection refused\)(.|\n)*Hint"):
        fetch(Source(name="ledger", url=url).on(AS_OF), is_wanted=every, staging=tmp_path)


@pytest.mark.usefixtures("_no_settings_of_mine")
def test_a_server_that_never_says_a_word_is_unreachable_after_a_while(tmp_path: Path) -> None:
    with closing(create_server(("127.0.0.1", 0))) as silent:
        url = f"postgresql://owner@127.0.0.1:{silent.getsockname()[1]}/book?connect_timeout=2"
        with pytest.raises(SourceUnreachable, match="timeout expired"):
            fetch(Source(name="ledger", url=url).on(AS_OF), is_wanted=every, staging=tmp_path)


def test_a_server_that_ends_the_session_midway_is_unreachable_and_leaves_no_file(
    postgres: Postgres, tmp_path: Path
) -> None:
    source = book(
        postgres,
        """CREATE VIEW cash AS SELECT repeat('A', 1000) || n AS account_id, 0 AS settled_usd, 0 AS pending_usd
        FROM (SELECT n, CASE WHEN n > 100000 THEN pg_sleep(0.01)::text END FROM generate_series(1, 200000) AS n) AS s""",
    )

    def end_it() -> None:
        ask = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'trimtab'"
        while not postgres.run(source.schema_name, f"{ask} AND query LIKE 'COPY%'"):
            time.sleep(0.05)

    killer = threading.Thread(target=end_it)
    killer.start()
    with pytest.raises(SourceUnreachable, match=r"book\d+\.cash of ledger broke off"):
        fetch(source, is_wanted=every, staging=tmp_path)
    killer.join()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock"]


def test_a_table_that_stays_locked_is_unreachable(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.sources.postgres_session._BEGIN", ("SET LOCAL lock_timeout = '100ms'",))
    source = book(postgres, f"CREATE TABLE cash ({CASH})")
    lock = "DO $$ BEGIN LOCK TABLE cash; PERFORM pg_sleep(3); END $$"
    holder = threading.Thread(target=postgres.run, args=(source.schema_name, lock))
    holder.start()
    held = "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'cash'::regclass AND granted"
    while not postgres.run(source.schema_name, held):
        time.sleep(0.02)
    with pytest.raises(SourceUnreachable, match=r"book\d+\.cash of ledger broke off \(SQLSTATE 55P03\)"):
        fetch(source, is_wanted=every, staging=tmp_path)
    holder.join()
