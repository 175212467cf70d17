"""Profile ``jsonl``: one JSON object an order, one line each (JSON Lines, https://jsonlines.org), a file an account.

Quantities and prices are text, exact. A sell lists the lots that it closes. Nulls are written, so that every line has the
same names. Can express every order.
"""

import json
from collections.abc import Iterator
from typing import Any

import polars as pl

from schemas.enums import OrderUnit, Side
from schemas.exports import Profile
from tasks.core.export.package import ExportPackage
from tasks.core.export.words import no_refusals
from tasks.core.facts import money_cell, number_cell


def refusals(release: ExportPackage, profile: Profile) -> pl.DataFrame:  # noqa: ARG001 - as every format
    """None: everything can be said."""
    return no_refusals()


def files(release: ExportPackage, profile: Profile) -> Iterator[pl.DataFrame]:  # noqa: ARG001
    """``<account_id>.jsonl``, in the order of the accounts' own files."""
    lots = _lots(release.lots)
    lines = [json.dumps(_order(row, lots), ensure_ascii=False) for row in _cells(release.orders).iter_rows(named=True)]
    yield (
        release.orders.select(path=pl.format("{}.jsonl", "account_id"))
        .with_columns(pl.Series("line", lines, dtype=pl.String))
        .group_by("path", maintain_order=True)
        .agg(rows=pl.len().cast(pl.Int64), content=pl.col("line").str.join("\n") + "\n")
    )


def _cells(orders: pl.DataFrame) -> pl.DataFrame:
    return orders.select(
        pl.col("order_id").alias("client_order_id"),
        *("account_id", "custodian", "side", "symbol", "security_id", "cusip", "isin"),
        pl.when(pl.col("amount_usd").is_null())
        .then(pl.lit(OrderUnit.SHARES))
        .otherwise(pl.lit(OrderUnit.USD))
        .alias("order_in"),
        number_cell("quantity"),
        pl.when(pl.col("amount_usd").is_not_null()).then(money_cell("amount_usd")).alias("amount_usd"),
        pl.lit("market").alias("order_type"),
        pl.lit("day").alias("time_in_force"),
        number_cell("price_usd").alias("reference_price_usd"),
        money_cell("value_usd").alias("estimated_value_usd"),
        "reason",
    )


def _order(row: dict[str, Any], lots: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {**row, "lots": lots.get(row["client_order_id"], []) if row["side"] == Side.SELL else []}


def _lots(lots: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    cells = lots.select(
        "order_id",
        "lot_id",
        number_cell("quantity"),
        unit_cost_usd=pl.when(pl.col("unit_cost_usd").is_not_null()).then(number_cell("unit_cost_usd")),
        acquired_date=pl.col("acquired_date").cast(pl.String),
        term="term",
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for row in cells.iter_rows(named=True):
        found.setdefault(row.pop("order_id"), []).append(row)
    return found
