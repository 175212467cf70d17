"""Drift of every class of every account, in bulk: trimtab, pandas, DuckDB and the bare scan on the same lots in one run. `make bench`, or `--accounts N`.

20 lots an account, 500 securities, 5 classes with targets and bands. Each has the lots in its own form in memory before its time begins, and gives the same
rows: value, weight, drift and whether it is out of band, by account and class. trimtab's are exact decimals, the others' are floats. The bare scan multiplies
and adds all lots up to one number: less cannot be done.
"""

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import duckdb
import numpy as np
import pandas as pd
import polars as pl

from schemas.units import EXACT
from tasks.core.drift import drift_by_class
from tasks.core.facts import account_parameters, priced_securities, valued_lots
from tasks.core.facts.facts import Facts
from tests.benchmarks.results import HERE, Figures, kept
from tests.support.facts_table import facts_of

SECURITIES: Final = 500
CLASSES: Final = ("stocks", "bonds", "gold", "property", "abroad")
TARGET, BAND = 0.2, 0.05
LOTS: Final = 20
REPEATS: Final = 3
Found = TypeVar("Found", int, float)
IN_SQL: Final = """
    WITH held AS (
        SELECT l.account_id, s.asset_class, sum(l.quantity * s.price_usd) AS value_usd
        FROM lots l JOIN securities s USING (security_id) GROUP BY ALL
    ), nav AS (SELECT account_id, sum(value_usd) AS nav_usd FROM held GROUP BY ALL),
    every AS (
        SELECT a.account_id, t.asset_class, coalesce(h.value_usd, 0) AS value_usd, n.nav_usd, t.target_weight, t.band
        FROM accounts a CROSS JOIN targets t JOIN nav n USING (account_id) LEFT JOIN held h USING (account_id, asset_class)
    )
    SELECT account_id, asset_class, value_usd, value_usd / nav_usd AS weight, value_usd / nav_usd - target_weight AS drift,
        abs(value_usd / nav_usd - target_weight) > band + 1e-9 AS is_out_of_band
    FROM every ORDER BY account_id, asset_class
"""


def book_of(accounts: int) -> tuple[Facts, pl.DataFrame]:
    """Facts of so many accounts, and ``facts.account_parameters`` of them."""
    rng = np.random.default_rng(7)
    securities = "\n".join(f"S{number:04} | {CLASSES[number % len(CLASSES)]}" for number in range(SECURITIES))
    prices = "\n".join(f"S{number:04} | {rng.uniform(10, 300):.2f}" for number in range(SECURITIES))
    targets = "\n".join(f"{name} | {TARGET} | {BAND}" for name in CLASSES)
    small = facts_of(
        lots="security_id | quantity\nS0000 | 1",
        securities=f"security_id | asset_class\n{securities}",
        prices=f"security_id | price_usd\n{prices}",
        model_targets=f"asset_class | target_weight | absolute_band\n{targets}",
    )
    ids = pl.DataFrame({"account_id": [f"A{number:07}" for number in range(accounts)]})
    lots = ids.select(pl.col("account_id").repeat_by(LOTS).explode()).with_columns(
        security_id=pl.Series(
            np.char.add("S", np.char.zfill(rng.integers(0, SECURITIES, accounts * LOTS).astype(str), 4))
        ),
        quantity=pl.Series(rng.integers(1, 400, accounts * LOTS)).cast(EXACT),
    )
    lots = lots.join(small.lots.drop("account_id", "security_id", "quantity"), how="cross").select(small.lots.columns)
    own = {name: ids.join(getattr(small, name).drop("account_id"), how="cross") for name in ("accounts", "members")}
    return replace(small, lots=lots, **own), ids.join(account_parameters(small).drop("account_id"), how="cross")


def by_trimtab(facts: Facts, accounts: pl.DataFrame) -> Callable[[], int]:
    securities = priced_securities(facts)

    def drift() -> int:
        found = drift_by_class(valued_lots(facts, securities), accounts, facts.model_targets)
        return int(found["is_out_of_band"].sum())

    return drift


def by_pandas(lots: pl.DataFrame, securities: pl.DataFrame, targets: pl.DataFrame) -> Callable[[], int]:
    held, priced, wanted = lots.to_pandas(), securities.to_pandas(), targets.to_pandas()

    def drift() -> int:
        joined = held.merge(priced, on="security_id")
        joined["value_usd"] = joined["quantity"] * joined["price_usd"]
        values = joined.groupby(["account_id", "asset_class"], sort=True)["value_usd"].sum()
        every = pd.MultiIndex.from_product([values.index.levels[0], wanted["asset_class"]])
        classes = values.reindex(every, fill_value=0.0).rename_axis(["account_id", "asset_class"]).reset_index()
        classes["weight"] = classes["value_usd"] / classes.groupby("account_id")["value_usd"].transform("sum")
        classes = classes.merge(wanted, on="asset_class")
        classes["drift"] = classes["weight"] - classes["target_weight"]
        classes["is_out_of_band"] = classes["drift"].abs() > classes["band"] + 1e-9
        return int(classes.sort_values(["account_id", "asset_class"])["is_out_of_band"].sum())

    return drift


def by_duckdb(lots: pl.DataFrame, securities: pl.DataFrame, targets: pl.DataFrame) -> Callable[[], int]:
    connection = duckdb.connect()
    ids = lots.select(pl.col("account_id").unique())
    for name, rows in (("lots", lots), ("securities", securities), ("targets", targets), ("accounts", ids)):
        connection.register("given", rows.to_arrow())
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
        connection.unregister("given")

    def drift() -> int:
        return int(connection.execute(IN_SQL).pl()["is_out_of_band"].sum())

    return drift


def main(words: Sequence[str] | None = None, folder: Path = HERE) -> None:
    """Print seconds of each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=100_000)
    count = parser.parse_args(words).accounts
    facts, accounts = book_of(count)
    lots = facts.lots.select("account_id", "security_id", pl.col("quantity").cast(pl.Float64))
    securities = priced_securities(facts).select("security_id", "asset_class", pl.col("price_usd").cast(pl.Float64))
    targets = facts.model_targets.select("asset_class", "target_weight", band="absolute_band")
    price = lots.join(securities, on="security_id", maintain_order="left")["price_usd"].to_numpy()
    quantity = lots["quantity"].to_numpy()
    ways = {
        "trimtab": by_trimtab(facts, accounts),
        "pandas": by_pandas(lots, securities, targets),
        "DuckDB": by_duckdb(lots, securities, targets),
    }
    with kept("drift", folder) as figures:
        measure(ways, lambda: float(quantity @ price), f"{count:,} accounts", figures)
    print(
        f"{count:,} accounts, {lots.height:,} lots; peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB"
    )


def measure(ways: dict[str, Callable[[], int]], scan: Callable[[], float], size: str, figures: Figures) -> None:
    """The least of some times of each, and whether all find the same number of classes out of band."""
    bare, _ = best(scan)
    print(f"{'bare scan':<12}{bare:>9.4f} CPU s")
    ours, out = best(ways.pop("trimtab"))
    print(f"{'trimtab':<12}{ours:>9.3f} CPU s {out:,} classes out of band")
    figures.add("trimtab", size, ours, "CPU s", beside=("the bare scan", bare))
    for name, way in ways.items():
        seconds, found = best(way)
        print(
            f"{name:<12}{seconds:>9.3f} CPU s {found:,} classes out of band, {seconds / ours:.2f} times as long as trimtab"
        )
        figures.add(name, size, seconds, "CPU s", beside=("trimtab", ours))
        if found != out:
            raise SystemExit(f"{name} finds {found:,} classes out of band, trimtab {out:,}")


def best(way: Callable[[], Found]) -> tuple[float, Found]:
    """The least of some times in seconds of all processors together, which other work on the machine changes little; and what it gave."""
    seconds = float("inf")
    for _ in range(REPEATS):
        began = time.process_time()
        found = way()
        seconds = min(seconds, time.process_time() - began)
    return seconds, found


if __name__ == "__main__":
    main()
