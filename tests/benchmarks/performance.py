"""What performance and twins add to a night: seconds, bytes and memory, beside the same night's other steps.

`python -m tests.benchmarks.performance --accounts N [--shard N] [--twin never|calendar|POLICY]`. Two nights of the sample book, the second at other prices; the
figures are those of the second. The steps run as plain functions in this process.

Measured on a machine of 2 processors for which ten processes waited (ratios hold, seconds do not), `twin_policy` never, shards of 50,000 accounts at most:

| accounts | performance | the night's other steps | more | bytes an account and night | peak memory |
|---|---|---|---|---|---|
| 10,000 | 12.4 s | 47.9 s | 26 % | 818 | 0.91 GB |
| 50,000 | 24.5 s | 71.1 s | 34 % | 810 | 1.60 GB |
| 100,000 | 53.8 s | 130.7 s | 41 % | 810 | 1.90 GB |

More than a third of the other steps from 50,000 accounts on, which is more than it is meant to be. Of the 53.8 s, 11.6 read the night's facts once more, 7.1 compute
the record and 11.2 the twins; the rest is what the lake takes to give the record of the night before and to keep that of tonight.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from schemas.enums import Step
from schemas.settings import Settings, load_settings
from tasks.core.solver.entry import warm_up
from tasks.demo.sample import BookSummary, make_book
from tasks.performance.step import performance_task
from tasks.pull.pull import run_ref
from tasks.runtime.stores import open_ledger
from tests.benchmarks.night import bytes_below, plain_night, print_peaks
from tests.benchmarks.results import HERE, Figures, kept
from warehouse.ledger import RunRow


def main(words: Sequence[str] | None = None, folder: Path = HERE) -> None:
    """Print what the step takes for one size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--shard", type=int, default=50_000, help="most accounts of a shard")
    parser.add_argument("--twin", default="never", help="the setting twin_policy")
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as home:
        os.environ["TRIMTAB_HOME"] = home
        os.environ["TRIMTAB_ACCOUNTS_PER_SHARD"] = str(options.shard)
        os.environ["TRIMTAB_TWIN_POLICY"] = options.twin
        with kept("performance", folder) as figures:
            run_bench(Path(home), options.accounts, options.twin, figures)


def run_bench(home: Path, accounts: int, twin: str, figures: Figures) -> None:
    """Two nights in ``home``."""
    folder, settings = home / "landing", load_settings()
    book = make_book(folder, account_count=accounts)
    (folder / "account_totals.parquet").unlink()
    warm_up()
    prices = pl.read_parquet(folder / "prices.parquet")
    rng = np.random.default_rng(1)
    before = 0
    for day in (book.as_of_date, book.as_of_date + timedelta(days=1)):
        moved = pl.col("price_usd").cast(pl.Float64) * pl.Series(1 + rng.normal(0, 0.01, prices.height))
        prices = prices.with_columns(price_usd=moved.round(4).cast(prices.schema["price_usd"]), price_date=pl.lit(day))
        prices.write_parquet(folder / "prices.parquet")
        row = _night(settings, folder, replace(book, as_of_date=day))
        before = bytes_below(Path(settings.lake_data_address))
        for shard in range(row.shard_count):
            performance_task.fn(run_ref(row), shard)
    written = bytes_below(Path(settings.lake_data_address)) - before
    with closing(open_ledger(settings)) as ledger:
        steps = ledger.runs.step_rows(row.run_id)
    own = sum(each.seconds for each in steps if each.step is Step.PERFORMANCE)
    others = sum(each.seconds for each in steps if each.step is not Step.PERFORMANCE)
    figures.add(f"performance, twins {twin}", f"{accounts:,} accounts", own, "s", ("the night's other steps", others))
    print(
        f"{accounts:,} accounts: performance {own:.1f} s beside {others:.1f} s of the night's other steps, {own / others:.0%} more; "
        f"{written / accounts:,.0f} bytes an account"
    )
    print_peaks()


def _night(settings: Settings, folder: Path, book: BookSummary) -> RunRow:
    """A night without its performance."""
    run_id = plain_night(settings, folder, book)
    with closing(open_ledger(settings)) as ledger:
        found = ledger.runs.get_run(run_id)
    assert found is not None
    return found


if __name__ == "__main__":
    main()
