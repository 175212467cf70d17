"""An export, its delivery to a folder and its reconciliation, beside a bare loop that writes the same bytes to as many files.

    python -m tests.benchmarks.export [--accounts 10000 100000]

The bare loop does ``open``, ``write``, ``close`` for every file of the export, in one folder tree like it; once more it flushes each
file as an export does. Each account has a sell of two lots and a buy.
"""

import argparse
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from schemas.enums import ProfileFormat, RunKind
from schemas.exports import Delivery, Profile
from tasks.core.export.files import profile_files
from tasks.core.export.order_formats import refusals_of
from tasks.core.export.package import Export, ProposedTables, make_release
from tasks.export.deliver import Deliverer, deliver_exports
from tasks.export.export_all import export_all
from tasks.export.packages import BOOK, Exporter
from tasks.reconcile.reconcile import reconcile
from tasks.runtime.atomic_folder import flush_tree
from tests.benchmarks.results import HERE, kept
from tests.support.export_scene import AS_OF, RUN, MemoryLake, lake_of, routed
from warehouse.ledger import Ledger, NewRun

NOW: Final = datetime(2026, 3, 3, 1, tzinfo=UTC)
PROFILES: Final = tuple(
    Profile(name=str(each), format=each, sender="T", target="D")
    for each in (ProfileFormat.FIX44, ProfileFormat.FIX50SP2, ProfileFormat.ALPACA, ProfileFormat.JSONL)
)


class Times:
    """Seconds by what was done, printed as they come."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"  {name:<44} {self.seconds[name]:8.2f} s   (peak so far {peak:.2f} GB)", flush=True)


def book(count: int) -> MemoryLake:
    """The scene's orders for that many accounts."""
    lake = lake_of(tuple(f"A{number:07}" for number in range(count)))
    symbols = pl.col("symbol").replace("=BB", "BBB")
    return MemoryLake({**lake.tables, "orders": lake.tables["orders"].with_columns(symbols)})


def prepared(home: Path, count: int) -> Ledger:
    """A ledger in which all that is proposed is approved by policy."""
    names = tuple(f"A{number:07}" for number in range(count))
    ledger = Ledger.open(f"sqlite:///{home / 'ledger.sqlite'}", owner="ops", now=NOW)
    new = NewRun(RUN, AS_OF, RunKind.NIGHTLY, "night", input_hash="i", code_version="c", source="s")
    ledger.runs.start_run(new, NOW)
    ledger.proposals.route_proposals(RUN, routed(names), pl.Series(names), NOW)
    ledger.runs.finish_run(RUN, {}, NOW)
    return ledger


def bare_loop(folder: Path, files: dict[str, bytes], *, is_flushed: bool) -> None:
    """The same bytes in as many files, with nothing else."""
    for parent in {str(Path(path).parent) for path in files}:
        (folder / parent).mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        descriptor = os.open(f"{folder}/{path}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(descriptor, content)
        os.close(descriptor)
    if is_flushed:
        flush_tree(folder)


def fills_of(ledger: Ledger, path: Path) -> Path:
    """A CSV file that fills every order in two parts."""
    orders = ledger.answers.sent_orders()
    first = (pl.col("quantity") / 2).round(0)
    parts = [("1", first), ("2", pl.col("quantity") - first)]
    rows = pl.concat(
        orders.select(
            execution_id=pl.format("{}-{}", "order_id", pl.lit(part)),
            kind=pl.lit("fill"),
            client_order_id="order_id",
            side="side",
            quantity=quantity,
            price_usd="price_usd",
            trade_date=pl.lit("2026-03-03"),
        )
        for part, quantity in parts
    )
    rows.filter(pl.col("quantity") > 0).write_csv(path)
    return path


def measure(home: Path, count: int) -> dict[str, float]:
    """Seconds by what was done."""
    times = Times()
    with times.of("(a book, and its proposals routed)"):
        lake, ledger = book(count), prepared(home, count)
    place = Delivery(name="archive", url=str(home / "drop"))
    by = Exporter(lake=lake, ledger=ledger, export_folder=home / "exports", actor="ops", now=NOW, deliveries=(place,))
    with times.of("export"):
        (result,) = export_all(by).results
    files = {
        path.relative_to(result.folder).as_posix(): path.read_bytes()
        for path in result.folder.rglob("*")
        if path.is_file()
    }
    for name, is_flushed in (("bare loop", False), ("bare loop, flushed", True)):
        with times.of(name):
            bare_loop(home / name, files, is_flushed=is_flushed)
        shutil.rmtree(home / name)
    with times.of("delivery to a folder, read back"):
        assert not [
            one.problem
            for one in deliver_exports(Deliverer(ledger=ledger, deliveries=(place,), now=lambda: NOW))
            if one.problem
        ]
    claimed = ledger.exports.export_order_ids(result.export_id)
    export = Export(RUN, AS_OF, 1, result.export_id)
    release = make_release(
        export,
        ProposedTables(*(lake.tables[name] for name in BOOK)),
        approved=ledger.proposals.list_proposals(),
        claimed=claimed,
    )
    for profile in PROFILES:
        with times.of(f"profile {profile.name}, in memory"):
            assert refusals_of(release, [profile]).is_empty()
            assert sum(group.height for group in profile_files(release, profile)) == count
    path = fills_of(ledger, home / "fills.csv")
    with times.of(f"reconcile {len(path.read_text().splitlines()) - 1:,} fills"):
        done = reconcile(path, executions=ledger.executions, answers=ledger.answers, actor="ops", now=NOW)
    assert done.aside.is_empty()
    ledger.close()
    print(
        f"  {len(files):,} files: {len(files) / times.seconds['export']:,.0f} a second, "
        f"{times.seconds['export'] / times.seconds['bare loop, flushed']:.2f} x the bare loop flushed, "
        f"{times.seconds['export'] / times.seconds['bare loop']:.2f} x the bare loop"
    )
    return times.seconds


def main(words: Sequence[str] | None = None, folder: Path = HERE) -> None:
    """Measure each size in a folder of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, nargs="+", default=[10_000, 100_000])
    for count in parser.parse_args(words).accounts:
        print(f"{count:,} accounts", flush=True)
        with tempfile.TemporaryDirectory() as home, kept("export", folder) as figures:
            seconds = measure(Path(home), count)
            bare = "bare loop, flushed"
            figures.add("export", f"{count:,} accounts", seconds["export"], beside=(bare, seconds[bare]))
            for name, taken in seconds.items():
                if not name.startswith(("(", "export", "bare")):
                    figures.add(name, f"{count:,} accounts", taken)


if __name__ == "__main__":
    main()
