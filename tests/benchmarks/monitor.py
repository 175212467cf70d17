"""Seconds and memory of one look between the nights, on a lake as a night leaves it. `make bench`, or `--accounts N`.

20 lots an account, shards of 50,000 accounts; the files of cash and models are hashed at each look and are as the night took
them. One class loses 15 % after the night: the first look finds accounts newly out of band and enters them, the second finds
the same and starts nothing. A resident book is looked at after these. Beside them stands what DuckDB takes to sum the value of the same lots at the same prices.
"""

import argparse
import hashlib
import resource
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from schemas.enums import RunKind
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.settings import Settings
from schemas.units import EXACT
from tasks.core.monitor.quotes import Quote
from tasks.monitor.breach_batches import MonitorResult, monitor_book
from tasks.monitor.intraday_inputs import newest_night
from tasks.monitor.resident_look import load_resident, look_at_resident, prices_now
from tasks.runtime.steps import Stores
from tasks.runtime.stores import open_ledger, utc_now
from tests.benchmarks.gate import ACCOUNT, SECURITY, landed
from tests.benchmarks.results import HERE, Figures, kept
from warehouse.lake.lake import open_lake
from warehouse.ledger import InputRow, InputState, Ledger, NewRun

NIGHT: Final = date(2026, 1, 5)
TODAY: Final = NIGHT + timedelta(days=1)
RUN_ID: Final = "2026-01-05-nightly-000000000000"
CLASSES: Final = ("stocks", "bonds", "gold", "property", "abroad")
FALLEN: Final = "stocks"
TARGET, BAND, NOISE, NAV_USD = 0.196, 0.05, 0.03, 250_000
SECURITIES: Final = 500
LOTS: Final = 20
PER_SHARD: Final = 50_000
BARE: Final = """
    SELECT sum(l.quantity::DOUBLE * p.price_usd::DOUBLE)
    FROM lake.landed_lots l JOIN lake.landed_prices p ON p.security_id = l.security_id AND p.run_id = l.run_id
    WHERE l.run_id = ? GROUP BY l.account_id
"""
Tables = dict[str, pl.DataFrame]


def main(words: Sequence[str] | None = None, folder: Path = HERE) -> None:
    """Print seconds, counts and memory for one size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=100_000)
    count = parser.parse_args(words).accounts
    with tempfile.TemporaryDirectory(dir="/tmp") as home, kept("monitor", folder) as figures:
        settings = Settings(home=Path(home), prices_url=f"{home}/prices")
        with closing(open_ledger(settings)) as ledger:
            at = Stores(settings, open_lake(settings), ledger)
            fill(at, count)
            began = time.perf_counter()
            at.lake._cursor.execute(BARE, [RUN_ID]).fetchall()
            bare = time.perf_counter() - began
            print(f"{'DuckDB, value of each account':<40}{bare:>8.2f} s")
            for name in ("first look, enters what is new", "second look"):
                figures.add(
                    name.partition(",")[0], f"{count:,} accounts", report(name, at, bare), beside=("DuckDB's sum", bare)
                )
            load_resident_and_look(at, figures, count, bare)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{count:,} accounts, {count * LOTS:,} lots; peak memory {peak:.2f} GB")


def load_resident_and_look(at: Stores, figures: Figures, count: int, bare: float) -> None:
    """The resident book of `--follow`: what loading it takes, and a look at all of it at quotes of every security, also in processor seconds."""
    now, night = utc_now(), newest_night(at, TODAY)
    assert night is not None
    began = time.perf_counter()
    resident = load_resident(at, night, TODAY, now)
    print(f"{'the book is loaded':<40}{time.perf_counter() - began:>8.2f} s")
    names = resident.book.securities["security_id"]
    quotes = {name: Quote(name, int(price), now) for name, price in zip(names, resident.file_prices, strict=True)}
    for name in ("resident look", "resident look again"):
        began, worked = time.perf_counter(), time.process_time()
        found, _ = look_at_resident(at, resident, prices_now(resident, quotes, now, 60).now)
        seconds, worked = time.perf_counter() - began, time.process_time() - worked
        figures.add(name, f"{count:,} accounts", seconds, beside=("DuckDB's sum", bare))
        print(
            f"{name:<40}{seconds:>8.2f} s {seconds / bare:>6.2f} x; {worked:.2f} processor seconds; {found.out_of_band:,} out of band"
        )


def report(name: str, at: Stores, bare: float) -> float:
    """One look; its seconds."""
    began = time.perf_counter()
    told: MonitorResult = monitor_book(at, TODAY, utc_now())
    seconds = time.perf_counter() - began
    print(
        f"{name:<40}{seconds:>8.2f} s {seconds / bare:>6.2f} x; {told.out_of_band:,} out of band, {told.newly:,} newly"
    )
    return seconds


def fill(at: Stores, count: int) -> None:
    """The night, done, in lake and ledger; the files it took, and fresh prices."""
    shards = -(-count // PER_SHARD)
    run = RunRef(RUN_ID, NIGHT, RunKind.NIGHTLY, shards)
    prices = start_prices()
    at.lake.replace(run, GLOBAL_SHARD, commons(prices))
    cash = []
    for shard in range(shards):
        tables = shard_of(shard, min(PER_SHARD, count - shard * PER_SHARD), prices)
        at.lake.replace(run, shard, tables)
        cash.append(tables["landed_cash"].select("account_id", "settled_usd", "pending_usd"))
    for name, frame in {
        "landing/cash": pl.concat(cash),
        "landing/model_targets": targets(),
        "prices/prices": fresh(prices),
    }.items():
        path = at.settings.home / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        frame.write_parquet(path)
    enter_night(at.ledger, at.settings.home / "landing", shards, count)


def enter_night(ledger: Ledger, folder: Path, shards: int, count: int) -> None:
    """The run as done, with what it took."""
    values: dict[str, Any] = {"submitter": "benchmark", "input_hash": "", "code_version": "", "source": str(folder)}
    ledger.runs.start_run(NewRun(run_id=RUN_ID, as_of_date=NIGHT, kind=RunKind.NIGHTLY, **values), utc_now())
    ledger.runs.set_run_shape(RUN_ID, shards, count)
    ledger.inputs.record_inputs(
        RUN_ID, [input_row(number, path) for number, path in enumerate(sorted(folder.iterdir()))]
    )
    ledger.runs.finish_run(RUN_ID, {}, utc_now())


def input_row(number: int, path: Path) -> InputRow:
    """A file that the night took."""
    return InputRow(
        number=number,
        source="landing",
        name=path.name,
        table_name=path.stem,
        first_row=1,
        row_count=1,
        last_row=1,
        size_bytes=path.stat().st_size,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        state=InputState.READ,
        taken_at=utc_now(),
    )


def start_prices() -> pl.DataFrame:
    """Securities, each of one class, with the night's prices."""
    numbers = pl.int_range(SECURITIES, eager=True)
    return pl.DataFrame(
        {
            "security_id": pl.Series([f"SEC{number:04d}" for number in numbers]),
            "asset_class": pl.Series([CLASSES[number % len(CLASSES)] for number in numbers]),
            "price_usd": 5 + numbers * 0.25,
            "price_date": NIGHT,
        }
    )


def targets() -> pl.DataFrame:
    """One model: equal classes, and a little cash."""
    return pl.DataFrame(
        {
            "model_id": "one",
            "asset_class": [*CLASSES, "cash"],
            "target_weight": [*[TARGET] * len(CLASSES), 1 - TARGET * len(CLASSES)],
            "absolute_band": BAND,
            "relative_band": None,
        }
    )


def fresh(prices: pl.DataFrame) -> pl.DataFrame:
    """Prices of the day after: one class has fallen."""
    has_fallen = pl.col("asset_class") == FALLEN
    price = pl.when(has_fallen).then(pl.col("price_usd") * 0.85).otherwise("price_usd").round(6)
    return prices.select("security_id", price_usd=price, price_date=pl.lit(TODAY))


def commons(prices: pl.DataFrame) -> Tables:
    """Landed tables that belong to no account."""
    securities = {name: prices[name] for name in ("security_id", "asset_class")} | {"symbol": prices["security_id"]}
    rows = {
        "securities": {**securities, **SECURITY},
        "prices": {name: prices[name] for name in ("security_id", "price_usd", "price_date")},
        "model_targets": targets().to_dict(as_series=True),
        "policies": {"policy_id": ["one"]},
    }
    return {f"landed_{table}": landed(table, columns) for table, columns in rows.items()}


def shard_of(shard: int, count: int, prices: pl.DataFrame) -> Tables:
    """Accounts in band: four lots of each class, of two securities, their weights a little off target."""
    rng = np.random.default_rng(shard)
    names = pl.Series([f"A{shard * PER_SHARD + number:09d}" for number in range(count)])
    first = rng.integers(0, SECURITIES // len(CLASSES), (count, len(CLASSES), 2)) * len(CLASSES)
    held = np.repeat(first + np.arange(len(CLASSES))[None, :, None], 2, axis=2).reshape(-1)
    weights = TARGET + rng.uniform(-NOISE, NOISE, (count, len(CLASSES)))
    weights *= TARGET * len(CLASSES) / weights.sum(axis=1, keepdims=True)
    value = np.repeat(weights.reshape(-1) * NAV_USD / 4, 4)
    quantity = value / prices["price_usd"].to_numpy()[held]
    lots = {
        "account_id": names.gather(np.repeat(np.arange(count), LOTS)),
        "security_id": prices["security_id"].gather(held),
        "lot_id": pl.Series([f"L{number}" for number in range(LOTS)] * count),
        "quantity": pl.Series(quantity).round(3).cast(EXACT),
        "unit_cost_usd": 10,
        "acquired_date": date(2020, 1, 2),
    }
    settled = pl.Series(NAV_USD * (1 - weights.sum(axis=1))).round(2).cast(EXACT)
    return {
        "landed_accounts": landed("accounts", {"account_id": names, **ACCOUNT}),
        "landed_lots": landed("lots", lots),
        "landed_cash": landed("cash", {"account_id": names, "settled_usd": settled, "pending_usd": 0}),
        "scope": names.to_frame("account_id"),
        "account_drift": pl.DataFrame(
            {"account_id": names, "nav_usd": NAV_USD, "one_way_drift": 0.1, "max_abs_drift": 0.01, "triggers": ""}
        ),
    }


if __name__ == "__main__":
    main()
