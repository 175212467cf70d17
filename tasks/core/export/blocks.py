"""Blocks: the orders of many accounts for one security at one custodian, and how a block is split.

Grain: a block is (custodian, security, side); an allocation is an order. Quantities are exact and dollars whole cents on
both sides, so that what is printed sums to what is printed.
"""

import hashlib
import json
from typing import Final

import polars as pl

from schemas.enums import Side
from schemas.errors import ConservationBroken

BLOCK: Final = ("custodian", "security_id", "side")
BLOCK_ID_LENGTH: Final = 24


def sells_first() -> pl.Expr:
    """Sort key of ``side``: sells come before buys, they raise the cash. Null for a side we do not know."""
    return pl.col("side").replace_strict({Side.SELL: 0, Side.BUY: 1}, default=None, return_dtype=pl.Int8)


def block_orders(orders: pl.DataFrame, *, run_id: str, sequence: int) -> pl.DataFrame:
    """Blocks of an export's orders.

    Parameters
    ----------
    orders
        One row an order; ``value_usd`` in whole cents.
    run_id, sequence
        The export. A later export of the same run makes blocks of its own, with ids of their own.

    Returns
    -------
    pl.DataFrame
        ``block_id``, custodian, side, symbol, security_id, ``quantity``, ``value_usd``, ``account_count`` and
        ``order_count``; by custodian, sells before buys, then by symbol.
    """
    blocks = (
        orders.group_by(BLOCK)
        .agg(
            pl.col("symbol").min(),
            pl.col("quantity", "value_usd").sum(),
            account_count=pl.col("account_id").n_unique().cast(pl.Int64),
            order_count=pl.len().cast(pl.Int64),
        )
        .sort("custodian", sells_first(), "symbol", "security_id")
    )
    names = (json.dumps([run_id, sequence, *key]) for key in blocks.select(BLOCK).iter_rows())
    ids = [hashlib.sha256(name.encode()).hexdigest()[:BLOCK_ID_LENGTH] for name in names]
    return blocks.select(
        pl.Series("block_id", ids, dtype=pl.String),
        *("custodian", "side", "symbol", "security_id", "quantity", "value_usd", "account_count", "order_count"),
    )


def allocate(orders: pl.DataFrame, blocks: pl.DataFrame) -> pl.DataFrame:
    """Each order with the ``block_id`` it belongs to, in the blocks' order and then by account.

    Raises
    ------
    ConservationBroken
        The allocations do not sum to the blocks.
    """
    place = blocks.select("block_id", *BLOCK).with_row_index("place")
    allocations = orders.join(place, on=BLOCK, how="left").sort("place", "account_id", "order_id").drop("place")
    for block_id, allocated, needed in allocation_gaps(blocks, allocations).iter_rows():
        raise ConservationBroken(
            f"allocations of block {block_id} sum to {allocated}, the block's quantity is {needed}"
        )
    return allocations


def allocation_gaps(blocks: pl.DataFrame, allocations: pl.DataFrame) -> pl.DataFrame:
    """Blocks whose quantity or value differs from the sum of their allocations, by ``block_id``; a missing side counts as a gap."""
    sums = allocations.group_by("block_id").agg(pl.col("quantity", "value_usd").sum())
    both = blocks.join(sums, on="block_id", how="full", coalesce=True, suffix="_allocated", nulls_equal=True)
    is_equal = pl.col("quantity").eq_missing(pl.col("quantity_allocated")) & pl.col("value_usd").eq_missing(
        pl.col("value_usd_allocated")
    )
    return both.filter(~is_equal).sort("block_id").select("block_id", "quantity_allocated", "quantity")
