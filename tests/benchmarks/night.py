"""Seconds and rows per second of each step of a night on the sample book. `make bench`, or `--accounts N`.

The steps run as plain functions in this process: Prefect's start is not in them. The drift step is also set beside DuckDB merely
scanning and summing the same columns of the landing file.
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import duckdb
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from schemas.enums import RunKind, Step
from schemas.run import GLOBAL_SHARD
from schemas.settings import load_settings
from tasks.core.solver import warm_up
from tasks.export import export_run
from tasks.guards import guard_inputs, guard_trades
from tasks.measure import measure
from tasks.propose import propose
from tasks.publish import publish
from tasks.pull import Request, pull
from tasks.route import route
from tasks.sample import make_book
from tasks.stores import current_actor, open_ledger, utc_now
from tasks.validate import validate
from warehouse.lake import open_lake


def main() -> None:
    """Print a table of the steps for one size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--export", action="store_true", help="export what policy approves too")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="trimtab-bench-") as home,
        temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: False}),
    ):
        os.environ["TRIMTAB_HOME"] = home
        run_bench(Path(home), options.accounts, is_exporting=options.export)


def run_bench(home: Path, accounts: int, *, is_exporting: bool) -> None:
    """One night in ``home``."""
    folder = home / "landing"
    began = time.perf_counter()
    book = make_book(folder, account_count=accounts)
    print(f"sample book: {accounts:,} accounts, {book.lot_count:,} lots in {time.perf_counter() - began:.1f} s")
    began = time.perf_counter()
    warm_up()
    print(f"kernel compiled or loaded: {time.perf_counter() - began:.1f} s")
    scan = scan_seconds(folder)
    settings = load_settings()
    began = time.perf_counter()
    run = pull.fn(
        Request(settings.sources_of(book.as_of_date, [str(folder)]), book.as_of_date, RunKind.NIGHTLY, "bench")
    )
    for shard in (GLOBAL_SHARD, *run.shards):
        validate.fn(run, shard)
    guard_inputs.fn(run)
    for shard in run.shards:
        measure.fn(run, shard)
    for shard in run.shards:
        propose.fn(run, shard)
    guard_trades.fn(run)
    route.fn(run)
    publish.fn(run)
    night = time.perf_counter() - began
    ledger = open_ledger(settings)
    steps = ledger.step_rows(run.run_id)
    for step in Step:
        rows, seconds = (sum(getattr(row, name) for row in steps if row.step == step) for name in ("rows", "seconds"))
        print(f"  {step:<10}{rows:>14,} rows {seconds:>8.2f} s {rows / max(seconds, 1e-9):>14,.0f} rows/s")
    drift = sum(row.seconds for row in steps if row.step is Step.MEASURE)
    print(
        f"night: {night:.1f} s, {accounts / night:,.0f} accounts/s; measure, with reading and writing the lake, is {drift / scan:.0f} x DuckDB's bare scan and sum ({scan:.2f} s)"
    )
    if is_exporting:
        began = time.perf_counter()
        made = export_run(
            run.run_id,
            lake=open_lake(settings),
            ledger=ledger,
            export_folder=settings.export_folder,
            actor=current_actor(),
            now=utc_now(),
        )
        print(f"export: {made.account_count if made else 0:,} accounts in {time.perf_counter() - began:.1f} s")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def scan_seconds(folder: Path) -> float:
    """DuckDB reading the lots and summing quantity and cost by account."""
    began = time.perf_counter()
    duckdb.sql(
        f"SELECT account_id, sum(quantity), sum(unit_cost_usd) FROM '{folder / 'lots.parquet'}' GROUP BY account_id"
    ).fetchnumpy()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
