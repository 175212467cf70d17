"""Seconds and memory of pulling and validating a book, beside DuckDB merely reading the same files. `make bench`, or `--accounts N`.

Two nights: the first reads every file and compares with nothing; the second finds most files unchanged, copies them within the lake, and
compares every lot with the night before. With ``--postgres`` lots are fetched from a PostgreSQL server of its own too, beside
``COPY`` of the same table to a file.
"""

import argparse
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from adbc_driver_postgresql import dbapi
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from schemas.enums import RunKind
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.settings import load_settings
from schemas.sources import Source
from tasks.demo.sample import make_book
from tasks.propose.publish import publish_task
from tasks.pull.pull import pull_task
from tasks.pull.request import Request
from tasks.runtime.stores import open_ledger
from tasks.sources.fetch import fetch_files
from tasks.validate.guards import guard_inputs_task
from tasks.validate.validate import validate_task
from tests.benchmarks.results import HERE, Figures, kept
from tests.support.servers import PASSWORD, postgres_in
from warehouse.lake.lake import open_lake


def main(words: Sequence[str] | None = None, folder: Path = HERE) -> None:
    """Print a table for one size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=50_000)
    parser.add_argument("--postgres", action="store_true", help="fetch the lots from PostgreSQL too")
    options = parser.parse_args(words)
    with (
        tempfile.TemporaryDirectory(prefix="trimtab-bench-", dir="/tmp") as home,
        temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: False}),
    ):
        os.environ["TRIMTAB_HOME"] = home
        with kept("pull", folder) as figures:
            run_bench(Path(home), options.accounts, figures)
        if options.postgres:
            run_postgres(Path(home) / "landing" / "lots.parquet")


def run_bench(home: Path, accounts: int, figures: Figures) -> None:
    """Two nights in ``home``."""
    folder = home / "landing"
    book = make_book(folder, account_count=accounts)
    lots = book.lot_count
    print(f"{accounts:,} accounts, {lots:,} lots")
    for is_warm in (False, True):
        scanned, _ = timed(lambda: read_by_duckdb(folder))
        print(f"  {'DuckDB reads the same files' + (' again' if is_warm else ''):<44}{scanned:>8.1f} s")
    known = (figures, f"{lots:,} lots", scanned)
    first = night(folder, book.as_of_date, lots, "first night", known)
    close_off(first)
    later = book.as_of_date + timedelta(days=1)
    prices = pl.read_parquet(folder / "prices.parquet")
    prices.with_columns(price_date=pl.lit(later)).write_parquet(folder / "prices.parquet")
    night(folder, later, lots, "second night", known)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    figures.add("peak memory", f"{lots:,} lots", peak, "GB")
    print(f"  peak memory {peak:.2f} GB")


def night(folder: Path, as_of: date, lots: int, name: str, known: tuple[Figures, str, float]) -> RunRef:
    """Pull and validate one night, with the guards on its inputs. ``known``: figures, size, DuckDB's seconds for the same files."""
    figures, size, scanned = known
    settings = load_settings()
    request = Request(settings.sources_of(as_of, [str(folder)]), as_of, RunKind.NIGHTLY, "bench")
    pulled, run = timed(lambda: pull_task.fn(request))
    checked, _ = timed(lambda: [validate_task.fn(run, shard) for shard in (GLOBAL_SHARD, *run.shards)])
    guarded, _ = timed(lambda: guard_inputs_task.fn(run))
    for step, seconds in (("pull", pulled), ("validate", checked), ("guards", guarded)):
        figures.add(f"{name}: {step}", size, seconds, beside=("DuckDB's reading", scanned))
        print(f"  {f'{name}: {step}':<44}{seconds:>8.1f} s {lots / seconds:>14,.0f} lots/s")
    return run


def close_off(run: RunRef) -> None:
    """End the night as if its accounts had been in their bands, so that the next is compared with it."""
    lake = open_lake(load_settings())
    for shard in run.shards:
        scope = lake.read("scope", run.run_id, shard)
        outcomes = scope.select("account_id", outcome=pl.lit("in_band"), reason=pl.lit("no_trigger"))
        lake.replace(run, shard, {"account_outcomes": outcomes})
    publish_task.fn(run)
    open_ledger(load_settings()).close()


def read_by_duckdb(folder: Path) -> None:
    """Every cell of every file, into a table that is thrown away."""
    connection = duckdb.connect()
    for path in sorted(folder.glob("*.parquet")):
        connection.execute(f"CREATE TEMP TABLE {path.stem} AS SELECT * FROM '{path}'")
    connection.close()


def run_postgres(lots: Path) -> None:
    """The lots through PostgreSQL: fetched as the night does, and copied out by the server alone."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        with postgres_in(folder) as server:
            os.environ["PGPASSWORD"] = PASSWORD
            with dbapi.connect(server.url(), autocommit=True) as connection, connection.cursor() as cursor:
                whole = pl.read_parquet(lots).unique(["account_id", "security_id", "lot_id"]).drop_nulls("account_id")
                cursor.adbc_ingest("lots", whole.to_arrow())
            key = "ALTER TABLE lots ADD PRIMARY KEY (account_id, security_id, lot_id)"
            rows = server.run("public", key, "ANALYZE lots", "SELECT count(*) FROM lots")[0][0]
            copy = ["psql", server.url(), "--quiet", "--command", "COPY lots TO STDOUT"]
            copied, _ = timed(lambda: subprocess.run(copy, stdout=subprocess.DEVNULL, check=True))
            source = Source(name="book", url=server.url()).on(date(2026, 1, 5))
            took, files = timed(
                lambda: fetch_files(source, is_wanted="lots.parquet".__eq__, staging=folder / "staging")
            )
            assert [file.name for file in files] == ["public.lots"]
            print(f"  {'PostgreSQL: COPY TO STDOUT, thrown away':<44}{copied:>8.1f} s {rows / copied:>14,.0f} rows/s")
            print(f"  {'PostgreSQL: fetched, sorted, as Parquet':<44}{took:>8.1f} s {rows / took:>14,.0f} rows/s")
    finally:
        shutil.rmtree(folder)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and the result."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


if __name__ == "__main__":
    main()
