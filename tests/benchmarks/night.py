"""Seconds, rows per second and microseconds per account of each step of a night on the sample book, and peak memory.

`make bench`, or `python -m tests.benchmarks.night --accounts N [--shard N] [--dask local:2] [--export]`. Without `--dask` the
steps run as plain functions in this process: Prefect's start is not in them. With it the night is the flow, with a Prefect
server and Dask workers of its own: `night` has their start in it, the steps have not. A step's wall time is from the start of its
first shard to the end of its last; its work is the sum over its shards, whichever worker did them. The drift step is also set beside
DuckDB merely scanning and summing the same columns of the landing file. The lake's bytes are those of one night.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import duckdb
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from flows.commands.run import run_night
from schemas.enums import RunKind, Step
from schemas.run import GLOBAL_SHARD
from schemas.settings import Settings, load_settings
from tasks.core.solver.entry import warm_up
from tasks.demo.sample import BookSummary, make_book
from tasks.export.release import export_approved
from tasks.propose.measure import measure_task
from tasks.propose.propose import propose_task
from tasks.propose.publish import publish_task
from tasks.propose.route import route_task
from tasks.pull.pull import pull_task
from tasks.pull.request import Request
from tasks.runtime.stores import open_ledger
from tasks.validate.guards import guard_inputs_task, guard_trades_task
from tasks.validate.validate import validate_task
from tests.benchmarks.results import HERE, Figures, kept
from warehouse.ledger import StepRow


def main(words: Sequence[str] | None = None, folder: Path = HERE) -> None:
    """Print a table of the steps for one size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--shard", type=int, default=50_000, help="most accounts of a shard")
    parser.add_argument("--dask", default="", help="local:2, or a scheduler's address; empty: this process")
    parser.add_argument("--export", action="store_true", help="export what policy approves too")
    options = parser.parse_args(words)
    with (
        tempfile.TemporaryDirectory(prefix="trimtab-bench-") as home,
        temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: False}),
    ):
        os.environ["TRIMTAB_HOME"] = home
        os.environ["TRIMTAB_ACCOUNTS_PER_SHARD"] = str(options.shard)
        os.environ["TRIMTAB_DASK"] = options.dask
        with kept("night", folder) as figures:
            run_bench(Path(home), options.accounts, figures, is_exporting=options.export)


def run_bench(home: Path, accounts: int, figures: Figures, *, is_exporting: bool) -> None:
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
    run_id = flow_night(settings, folder, book) if settings.dask else plain_night(settings, folder, book)
    night = time.perf_counter() - began
    ledger = open_ledger(settings)
    steps = ledger.runs.step_rows(run_id)
    for step in Step:
        rows = [row for row in steps if row.step == step]
        print_step(step, rows, accounts)
        if rows:
            figures.add(f"{step}, work of its shards", f"{accounts:,} accounts", sum(row.seconds for row in rows))
    figures.add("night" + (f", {settings.dask}" if settings.dask else ""), f"{accounts:,} accounts", night)
    drift = sum(row.seconds for row in steps if row.step is Step.MEASURE)
    print(
        f"night: {night:.1f} s, {accounts / night:,.0f} accounts/s, {1e6 * night / accounts:,.0f} us/account; "
        f"measure, with reading and writing the lake, is {drift / scan:.0f} x DuckDB's bare scan and sum ({scan:.2f} s)"
    )
    if settings.lake_data_address.startswith("/"):
        data, catalogue = bytes_below(Path(settings.lake_data_address)), bytes_below(home / "lake")
        print(f"lake: {data / accounts:,.0f} bytes/account of data, {(catalogue - data) / 1e6:.1f} MB of catalogue")
    if is_exporting:
        began = time.perf_counter()
        made = export_approved(settings, run_id).results
        print(f"export: {sum(each.account_count for each in made):,} accounts in {time.perf_counter() - began:.1f} s")
    print_peaks()


def plain_night(settings: Settings, folder: Path, book: BookSummary) -> str:
    """The steps one after the other, without Prefect; the run."""
    run = pull_task.fn(
        Request(settings.sources_of(book.as_of_date, [str(folder)]), book.as_of_date, RunKind.NIGHTLY, "bench")
    )
    for shard in (GLOBAL_SHARD, *run.shards):
        validate_task.fn(run, shard)
    guard_inputs_task.fn(run)
    for shard in run.shards:
        measure_task.fn(run, shard)
    for shard in run.shards:
        propose_task.fn(run, shard)
    guard_trades_task.fn(run)
    route_task.fn(run)
    publish_task.fn(run)
    return run.run_id


def flow_night(settings: Settings, folder: Path, book: BookSummary) -> str:
    """The flow; the run."""
    return run_night(
        settings, book.as_of_date, source=[str(folder)], kind=RunKind.NIGHTLY, scope=(), submitter="bench"
    ).run_id


def print_step(step: Step, rows: Sequence[StepRow], accounts: int) -> None:
    """One line of the table; nothing where the step was not recorded."""
    if not rows:
        return
    count, work = sum(row.rows for row in rows), sum(row.seconds for row in rows)
    first = min(row.finished_at - timedelta(seconds=row.seconds) for row in rows)
    wall = (max(row.finished_at for row in rows) - first).total_seconds()
    print(
        f"  {step:<10}{count:>14,} rows {wall:>8.2f} s wall {work:>8.2f} s work {count / max(wall, 1e-9):>14,.0f} rows/s"
        f" {1e6 * work / accounts:>8.1f} us/account"
    )


def print_peaks() -> None:
    """Most memory of this process, and of the largest process that it started and that has ended."""
    own, child = (resource.getrusage(who).ru_maxrss / 1e6 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"peak memory {own:.2f} GB here, {child:.2f} GB in the largest process started from here")


def bytes_below(folder: Path) -> int:
    """Size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def scan_seconds(folder: Path) -> float:
    """DuckDB reading the lots and summing quantity and cost by account."""
    began = time.perf_counter()
    duckdb.sql(
        f"SELECT account_id, sum(quantity), sum(unit_cost_usd) FROM '{folder / 'lots.parquet'}' GROUP BY account_id"
    ).fetchnumpy()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
