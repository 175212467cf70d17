"""A queue of 100,000 proposals: its first page, filters and totals, as the console and the API ask for them.

    python -m tests.benchmarks.queue [--proposals 100000] [--postgres]

Each is the median of several looks, beside the bare ``SELECT count(*)`` of the same ledger in the same run.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import sqlalchemy as sa
from fastapi.testclient import TestClient

from console.app import make_api
from console.shared.backend import Backend
from schemas.enums import Role, Scope
from schemas.settings import Settings
from tasks.review.access import make_token
from tasks.review.review import parse_filter
from tasks.runtime.stores import utc_now
from tests.benchmarks.results import HERE, kept
from tests.support.ledger_book import new_run, proposed
from tests.support.servers import PASSWORD, postgres_in
from warehouse.ledger import Filter, Ledger, Sort
from warehouse.ledger.store.tables import proposals

LOOKS: Final = 7
LOOKED_AT: Final = (f"first page by {Sort.PRIORITY}", "totals", "API, first page of all")
"""What is kept of it."""
CUSTODIANS: Final = ("northbank", "harbor", "summit", "ironwood", "lakeside")
REASONS: Final = ("short_cash", "large_tax", "large_turnover|harvest", "low_improvement", "")


def filled(ledger: Ledger, count: int) -> None:
    """Route that many proposals of one night."""
    chance = np.random.default_rng(7)
    names = [f"A{number:07}" for number in range(count)]
    cents = chance.integers(10_000, 50_000_000, count)
    frame = proposed("r1", names).with_columns(
        custodian=pl.Series(chance.choice(CUSTODIANS, count)),
        look_reasons=pl.Series(chance.choice(REASONS, count)),
        priority=pl.Series(chance.integers(0, 100, count)),
        gross_value_usd=pl.Series([Decimal(int(one)) / 100 for one in cents]),
        turnover=pl.Series(chance.random(count) / 4),
    )
    now = utc_now()
    ledger.runs.start_run(new_run("r1"), now)
    ledger.proposals.route_proposals("r1", frame, frame["account_id"], now)
    ledger.users.add_user("bob", [Role.REVIEWER], actor="ann", now=now)


def median_ms(work: Callable[[], Any]) -> float:
    """Milliseconds of the median look."""
    taken = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


def bare_count(ledger: Ledger) -> int:
    """What the database takes to count."""
    with ledger.reading() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(proposals)).scalar_one())


def measure(ledger: Ledger, home: Path) -> dict[str, float]:
    """Milliseconds by what was asked."""
    texts = ("custodian=harbor", "reason=harvest", "min_value=400000", "custodian=summit,min_turnover=0.2,held=no")
    found = {"bare count": median_ms(lambda: bare_count(ledger))}
    for sort in Sort:
        found[f"first page by {sort}"] = median_ms(lambda s=sort: ledger.queue.page(Filter(), sort=s, limit=50))
    found["page 1,000"] = median_ms(lambda: ledger.queue.page(Filter(), limit=50, skip=50_000))
    found["totals"] = median_ms(lambda: ledger.queue.totals(Filter()))
    for text in texts:
        wanted = parse_filter(text)
        found[f"first page of {text}"] = median_ms(lambda w=wanted: ledger.queue.page(w, limit=50))
        found[f"totals of {text}"] = median_ms(lambda w=wanted: ledger.queue.totals(w))
    secret = make_token(
        ledger.access, label="b", owner="bob", scopes=list(Scope), custodians=None, actor="bob", now=utc_now()
    )
    with TestClient(make_api(Backend(Settings(home=home), ledger))) as client:
        headers = {"authorization": f"Bearer {secret}"}
        for text in ("", *texts[:2]):
            query = {"filter": text, "limit": 50}
            found[f"API, first page of {text or 'all'}"] = median_ms(
                lambda q=query: client.get("/api/proposals", params=q, headers=headers).raise_for_status()
            )
    return found


def main(words: Sequence[str] | None = None, folder: Path = HERE) -> None:
    """Print a table for each database."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--proposals", type=int, default=100_000)
    parser.add_argument("--postgres", action="store_true", help="also on a PostgreSQL server of its own")
    given = parser.parse_args(words)
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        addresses = [f"sqlite:///{home / 'ledger.sqlite'}"]
        if given.postgres:
            server = stack.enter_context(
                postgres_in(Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp"))))
            )
            addresses.append(server.url().replace("://owner@", f"+psycopg://owner:{PASSWORD}@"))
        for address in addresses:
            ledger = stack.enter_context(closing(Ledger.open(address, owner="ann", now=utc_now())))
            began = time.perf_counter()
            filled(ledger, given.proposals)
            print(
                f"{address.split(':', maxsplit=1)[0]}: {given.proposals:,} proposals routed in {time.perf_counter() - began:.1f} s"
            )
            with kept("queue", folder) as figures:
                found = measure(ledger, home)
                database = address.partition("://")[0].partition("+")[0]
                for name in LOOKED_AT:
                    beside = ("the bare count", found["bare count"])
                    figures.add(
                        f"{name}, {database}", f"{given.proposals:,} proposals", found[name], "ms", beside=beside
                    )
            for name, taken in found.items():
                print(f"  {name:60} {taken:8.1f} ms {taken / found['bare count']:8.1f} x the bare count")


if __name__ == "__main__":
    main()
