"""Seconds of the gate beside bare Polars doing the same contract checks, shard by shard. `make bench`, or `--lots N`.

Bare Polars says only how many rows are bad; the gate says why, in sentences, judges the accounts, and compares with the night
before where told to, beside a bare join of the two nights' lots. One lot in 2,000 is broken; one account in 50 traded.
"""

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from schemas.enums import AccountStatus, TaxStatus
from schemas.landing_columns import IDENTIFIER, LABEL, dtypes
from schemas.stored import LANDED_COLUMNS
from schemas.units import EXACT
from tasks.core.gate import Gated, History, gate_accounts, gate_globals
from tests.benchmarks.results import HERE, Figures, kept

AS_OF, ACCEPTED = date(2026, 1, 5), date(2026, 1, 2)
SECURITIES = 500
LOTS_OF_AN_ACCOUNT, ACCOUNTS_OF_A_SHARD = 20, 50_000
ONE_BROKEN_IN, ONE_TRADED_IN = 2_000, 50
Tables = dict[str, pl.DataFrame]


def main(words: Sequence[str] | None = None, folder: Path = HERE) -> None:
    """Print seconds, ratios and memory for one size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lots", type=int, default=2_000_000)
    accounts = parser.parse_args(words).lots // LOTS_OF_AN_ACCOUNT
    with kept("gate", folder) as figures:
        measure(accounts, figures)


def measure(accounts: int, figures: Figures) -> None:
    """Shard by shard."""
    common = commons()
    gate_accounts(shard_of(np.random.default_rng(0), 0, 100, common), common, {}, AS_OF)  # contracts are built once
    spent = np.zeros(4)
    broken = 0
    for first in range(0, accounts, ACCOUNTS_OF_A_SHARD):
        tables = shard_of(np.random.default_rng(first), first, min(ACCOUNTS_OF_A_SHARD, accounts - first), common)
        history = night_before(tables, common)
        gate = partial(gate_accounts, tables, common, {}, AS_OF)
        works = [
            partial(bare, tables, common),
            gate,
            partial(bare_change, tables, history),
            partial(gate, history=history),
        ]
        seconds, (bad, gated, _, compared) = zip(*map(timed, works), strict=True)
        assert gated.quarantine.height == bad
        assert compared.quarantine.equals(gated.quarantine)
        broken += bad
        spent += seconds
    plain, gated_for, joined, compared_for = spent
    lots = accounts * LOTS_OF_AN_ACCOUNT
    size, both = f"{lots:,} lots", plain + joined
    figures.add("contract", size, gated_for, beside=("bare Polars", plain))
    figures.add("contract and change", size, compared_for, beside=("bare Polars", both))
    print(f"{'contract: bare Polars':<46}{plain:>8.2f} s")
    print(f"{'contract: the gate':<46}{gated_for:>8.2f} s {gated_for / plain:>6.2f} x")
    print(f"{'contract and change: bare Polars':<46}{both:>8.2f} s")
    print(f"{'contract and change: the gate':<46}{compared_for:>8.2f} s {compared_for / both:>6.2f} x")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    figures.add("peak memory", size, peak, "GB")
    print(
        f"{lots:,} lots of {accounts:,} accounts, {broken:,} rows broken; {lots / compared_for:,.0f} lots/s; peak memory {peak:.2f} GB"
    )


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and the result."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def commons() -> Gated:
    """Securities with a price each, one model, one policy, as the gate accepts them."""
    names = pl.Series([f"SEC{number:04d}" for number in range(SECURITIES)])
    prices = pl.Series([f"{5 + number}.25" for number in range(SECURITIES)]).cast(EXACT)
    targets = {"model_id": "one", "asset_class": ["stocks", "cash"], "target_weight": [0.98, 0.02]}
    tables = {
        "securities": {"security_id": names, "symbol": names, "asset_class": "stocks", **SECURITY},
        "prices": {"security_id": names, "price_usd": prices, "price_date": AS_OF},
        "model_targets": targets,
        "policies": {"policy_id": ["one"]},
    }
    return gate_globals({table: landed(table, columns) for table, columns in tables.items()}, {}, AS_OF)


def shard_of(rng: np.random.Generator, first: int, count: int, common: Gated) -> Tables:
    """Accounts of 20 lots each, as parsed from typed files; a trade of one lot in some."""
    accounts = pl.Series([f"A{number:09d}" for number in range(first, first + count)])
    rows = count * LOTS_OF_AN_ACCOUNT
    held = (
        np.repeat(rng.integers(0, SECURITIES, count), LOTS_OF_AN_ACCOUNT) + np.tile(np.arange(20) // 2, count)
    ) % 500
    quantity = rng.integers(1, 100_000, rows)
    quantity[rng.integers(0, rows, rows // ONE_BROKEN_IN)] *= -1
    price = common.prices["price_usd"].gather(held)
    lots = {
        "account_id": accounts.gather(np.repeat(np.arange(count), LOTS_OF_AN_ACCOUNT)),
        "security_id": common.securities.gather(held),
        "lot_id": pl.Series([f"L{number}" for number in range(LOTS_OF_AN_ACCOUNT)] * count),
        "quantity": pl.Series(quantity).cast(EXACT),
        "unit_cost_usd": (price.cast(pl.Float64) * pl.Series(rng.uniform(0.5, 2, rows))).round(2).cast(EXACT),
        "acquired_date": pl.Series(rng.integers(15_000, 20_000, rows)).cast(pl.Int32).cast(pl.Date),
    }
    traded = np.arange(0, count, ONE_TRADED_IN) * LOTS_OF_AN_ACCOUNT
    trades = {
        "account_id": lots["account_id"].gather(traded),
        "security_id": lots["security_id"].gather(traded),
        "quantity": lots["quantity"].gather(traded).clip(1),
        "trade_date": AS_OF,
        "side": "buy",
        "price_usd": price.gather(traded),
    }
    return {
        "accounts": landed("accounts", {"account_id": accounts, **ACCOUNT}),
        "lots": landed("lots", lots),
        "cash": landed("cash", {"account_id": accounts, "settled_usd": 1_000, "pending_usd": 0}),
        "restrictions": landed("restrictions", {"account_id": accounts.clear()}),
        "trades": landed("trades", trades),
    }


SECURITY = {"name": "n", "security_type": "etf", "quantity_step": 1, "half_spread_bps": 1.0, "is_tradable": True}
ACCOUNT = {
    "custodian": "Acme",
    "tax_status": "taxable",
    "model_id": "one",
    "policy_id": "one",
    "status": "active",
    "short_term_rate": 0.37,
    "long_term_rate": 0.2,
    "cash_reserve_usd": 0,
    "ytd_short_gain_usd": 0,
    "ytd_long_gain_usd": 0,
}


def landed(table: str, columns: dict[str, Any]) -> pl.DataFrame:
    """The columns as a landed table; those not named are null."""
    rows = pl.DataFrame(columns).with_row_index("row_number", offset=1)
    types = {**dtypes(table), **LANDED_COLUMNS}
    return rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in types.items()
    )


def night_before(tables: Tables, common: Gated) -> History:
    """Every account as it was before tonight's trades."""
    bought = tables["trades"].select("account_id", "security_id", lot_id=pl.lit("L0"), bought="quantity")
    key = ["account_id", "security_id", "lot_id"]
    lots = tables["lots"].join(bought, on=key, how="left", maintain_order="left")
    then = (pl.col("quantity") - pl.col("bought").fill_null(0)).cast(EXACT)
    spent = tables["trades"].group_by("account_id").agg(spent=(pl.col("quantity") * pl.col("price_usd")).sum())
    cash = tables["cash"].join(spent, on="account_id", how="left", maintain_order="left")
    settled = (pl.col("settled_usd") + pl.col("spent").fill_null(0)).cast(EXACT)
    return History(
        lots=lots.select(*key, then, "unit_cost_usd", "acquired_date").filter(pl.col("quantity") > 0),
        cash=cash.select("account_id", settled, "pending_usd"),
        accepted=tables["accounts"].select("account_id", accepted_date=pl.lit(ACCEPTED)),
        prices=common.prices,
    )


def bare(tables: Tables, common: Gated) -> int:
    """Rows that break their contract."""
    accounts, lots, cash, trades = (tables[name] for name in ("accounts", "lots", "cash", "trades"))
    lots = lots.join(common.prices.select("security_id", "price_usd"), on="security_id", how="left")
    known, priced = accounts["account_id"].implode(), common.priced_ids.implode()
    is_bad = {
        "accounts": [
            *(fails(name, IDENTIFIER) for name in ("account_id", "model_id", "policy_id")),
            (~pl.col("household_id").str.contains(IDENTIFIER)).fill_null(value=False),
            fails("custodian", LABEL),
            outside("tax_status", pl.col("tax_status").is_in(list(TaxStatus))),
            outside("status", pl.col("status").is_in(list(AccountStatus))),
            *(outside(name, pl.col(name).is_between(0, 1)) for name in ("short_term_rate", "long_term_rate")),
            outside("cash_reserve_usd", pl.col("cash_reserve_usd") >= 0),
            pl.any_horizontal(pl.col("ytd_short_gain_usd", "ytd_long_gain_usd").is_null()),
            pl.col("account_id").is_duplicated(),
            outside("account_id", pl.col("account_id").is_in(cash["account_id"].implode())),
            outside("model_id", pl.col("model_id").is_in(common.models.implode())),
            outside("policy_id", pl.col("policy_id").is_in(common.policies.implode())),
        ],
        "lots": [
            *(fails(name, IDENTIFIER) for name in ("account_id", "security_id", "lot_id")),
            outside("quantity", pl.col("quantity") > 0),
            (~pl.col("unit_cost_usd").is_between(pl.col("price_usd") / 20, pl.col("price_usd") * 20)).fill_null(
                value=False
            ),
            (pl.col("acquired_date") > AS_OF).fill_null(value=False),
            pl.struct("account_id", "security_id", "lot_id").is_duplicated(),
            outside("account_id", pl.col("account_id").is_in(known)),
            outside("security_id", pl.col("security_id").is_in(priced)),
        ],
        "cash": [
            fails("account_id", IDENTIFIER),
            pl.any_horizontal(pl.col("settled_usd", "pending_usd").is_null()),
            pl.col("account_id").is_duplicated(),
            outside("account_id", pl.col("account_id").is_in(known)),
        ],
        "trades": [
            *(fails(name, IDENTIFIER) for name in ("account_id", "security_id")),
            pl.col("trade_date").is_null(),
            outside("side", pl.col("side").is_in(["buy", "sell"])),
            *(outside(name, pl.col(name) > 0) for name in ("quantity", "price_usd")),
            outside("account_id", pl.col("account_id").is_in(known)),
            outside("security_id", pl.col("security_id").is_in(priced)),
        ],
    }
    frames = {"accounts": accounts, "lots": lots, "cash": cash, "trades": trades}
    return sum(int(frames[name].select(pl.any_horizontal(rules).sum()).item()) for name, rules in is_bad.items())


def bare_change(tables: Tables, history: History) -> int:
    """Lots that are not what they were."""
    key, values = ["account_id", "security_id", "lot_id"], ["quantity", "unit_cost_usd", "acquired_date"]
    lots = tables["lots"].select(*key, *values).join(history.lots, on=key, how="full", coalesce=True, suffix="_then")
    is_changed = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_then")) for name in values)
    return int(lots.select(is_changed.sum()).item())


def fails(column: str, pattern: str) -> pl.Expr:
    """Null, or not of the pattern."""
    return outside(column, pl.col(column).str.contains(pattern))


def outside(column: str, is_good: pl.Expr) -> pl.Expr:
    """Null, or not good."""
    return pl.col(column).is_null() | ~is_good


if __name__ == "__main__":
    main()
