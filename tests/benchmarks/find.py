"""The search box over 100,000 accounts: one look of each kind, and reading the names once a night.

    python -m tests.benchmarks.find [--accounts 100000]

Each look is the median of several, beside the same text sought by DuckDB in the lake's own table in the same run.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from console.shared.backend import Backend
from schemas.enums import RunKind, RunState
from schemas.run import GLOBAL_SHARD, RunRef
from schemas.settings import Settings
from schemas.stored import TABLES
from schemas.tables import RUN_COLUMNS
from tasks.core.propose.orders import short_hashes
from tasks.runtime.stores import open_ledger, utc_now
from tests.benchmarks.queue import median_ms
from tests.benchmarks.results import HERE, kept
from tests.support.ledger_book import new_run, proposed
from warehouse.lake.lake import open_lake

CUSTODIANS: Final = ("northbank", "harbor", "summit", "ironwood", "lakeside")
SECURITIES: Final = 2_000
ORDERS_AN_ACCOUNT: Final = 4
RUN: Final = RunRef("r1", date(2026, 7, 1), RunKind.NIGHTLY, 1)


def rows(table: str, **columns: Any) -> pl.DataFrame:
    """Rows of a table of the lake; what is not given is null."""
    schema = {name: dtype for name, dtype in TABLES[table].items() if name not in RUN_COLUMNS}
    given = pl.DataFrame(columns)
    missing = [pl.lit(None).alias(name) for name in schema if name not in given.columns]
    return given.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def filled(settings: Settings, count: int) -> None:
    """A night of so many accounts in both stores, as far as the box reads it."""
    chance = np.random.default_rng(7)
    names = pl.Series([f"A{number:07}" for number in range(count)])
    owners = pl.Series([f"H{number // 2:07}" for number in range(count)])
    accounts = rows(
        "landed_accounts", account_id=names, household_id=owners, custodian=chance.choice(CUSTODIANS, count)
    )
    tickers = pl.Series([f"S{number:05}" for number in range(SECURITIES)])
    securities = rows(
        "landed_securities", security_id=tickers, symbol=tickers, name=[f"Fund number {one}" for one in tickers]
    )
    proposals = short_hashes([("r1", name) for name in names])
    own = pl.DataFrame({"account_id": names, "proposal_id": proposals})
    orders = pl.concat([own] * ORDERS_AN_ACCOUNT).with_columns(
        order_id=short_hashes([("o", str(number)) for number in range(count * ORDERS_AN_ACCOUNT)]),
        side=pl.lit("buy"),
        symbol=pl.lit("S00001"),
    )
    lake = open_lake(settings)
    lake.replace(RUN, 0, {"landed_accounts": accounts, "orders": rows("orders", **orders.sort("account_id").to_dict())})
    lake.replace(RUN, GLOBAL_SHARD, {"landed_securities": securities})
    now = utc_now()
    with closing(open_ledger(settings)) as ledger:
        ledger.runs.start_run(new_run(RUN.run_id), now)
        frame = proposed(RUN.run_id, names).with_columns(proposal_id=proposals)
        ledger.proposals.route_proposals(RUN.run_id, frame, frame["account_id"], now)
        ledger.runs.finish_run(RUN.run_id, {}, now)


def looks(backend: Backend, count: int) -> dict[str, Callable[[], Any]]:
    """What is sought, by what it is."""
    proposal = backend.ledger.proposals.list_proposals(limit=1)["proposal_id"][0]
    order = short_hashes([("o", "17")])[0]
    texts = {
        "an account": f"a{count - 3:07}",
        "a piece of many names": "00",
        "a household": f"H{count // 3:07}",
        "a word of a security": "number S00",
        "a proposal": proposal[:8],
        "an order": order[:8],
        "nothing": "no such thing",
    }
    return {name: lambda text=text: backend.find(text) for name, text in texts.items()}


def main(words: Sequence[str] | None = None, folder: Path = HERE) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=100_000)
    count = parser.parse_args(words).accounts
    with tempfile.TemporaryDirectory(dir="/tmp") as home, kept("find", folder) as figures:
        settings = Settings(home=Path(home))
        filled(settings, count)
        with closing(open_ledger(settings)) as ledger:
            backend = Backend(settings, ledger)
            if ledger.runs.list_runs()[0].state is not RunState.DONE:
                raise SystemExit("the night is not done")
            began = time.perf_counter()
            backend.names()
            size = f"{count:,} accounts"
            figures.add("reading the names once", size, 1000 * (time.perf_counter() - began), "ms")
            scan = median_ms(lambda: backend.lake.rows_found("household_accounts", household_id=f"H{count // 3:07}"))
            for name, look in looks(backend, count).items():
                figures.add(f"find {name}", size, median_ms(look), "ms", beside=("a scan of the lake", scan))
        for one in figures.found:
            print(f"{one.name:40} {one.value:8.1f} {one.unit}")


if __name__ == "__main__":
    main()
