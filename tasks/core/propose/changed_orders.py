"""What differs between the orders of two proposals of an account."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import polars as pl

from tasks.core.export import sells_first

SAME: Final = ("security_id", "side")
"""An account has at most one order of a security and side."""


@dataclass(frozen=True, slots=True)
class OrderChange:
    """One security and side: its quantity in shares before and now; 0 where there is no such order."""

    side: str
    symbol: str
    before: Decimal
    now: Decimal


def order_changes(before: pl.DataFrame, now: pl.DataFrame) -> list[OrderChange]:
    """Orders added, removed, or of another quantity; sells first, then by symbol."""
    columns = (*SAME, "symbol", "quantity")
    joined = (
        before.select(columns)
        .join(now.select(columns), on=list(SAME), how="full", coalesce=True, suffix="_now")
        .with_columns(pl.coalesce("symbol", "symbol_now", "security_id").alias("shown"))
        .with_columns(pl.col("quantity", "quantity_now").fill_null(0))
        .filter(pl.col("quantity") != pl.col("quantity_now"))
        .sort(sells_first(), "shown")
    )
    return list(_changes(joined))


def _changes(joined: pl.DataFrame) -> Iterator[OrderChange]:
    for side, shown, before, now in joined.select("side", "shown", "quantity", "quantity_now").iter_rows():
        yield OrderChange(side, shown, Decimal(before), Decimal(now))
