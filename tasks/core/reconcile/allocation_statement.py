"""The allocation statement after the trade: what each order of a filled block got, at the block's average price, and why if not by the rule.

Grain: an order of a block that anything was filled of; what an order was filled with under its own name is none of the block's. What was ordered of each block, before the trade, is in the export's ``blocks.csv``
and ``allocations.csv``. As FIX it is one AllocationInstruction a block, whose name changes when the shares do.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from schemas.enums import SecurityType, Side
from schemas.exports import Profile
from schemas.units import EXACT
from tasks.core.export import FilledBlock, allocation_instruction
from tasks.core.reconcile.fill_netting import net_fills

STATEMENT: Final[dict[str, pl.DataType]] = {
    "block_id": pl.String(),
    "custodian": pl.String(),
    "side": pl.String(),
    "symbol": pl.String(),
    "order_id": pl.String(),
    "account_id": pl.String(),
    "ordered_quantity": EXACT,
    "allotted_quantity": EXACT,
    "average_price_usd": EXACT,
    "gross_usd": pl.Decimal(38, 6),
    "fees_usd": pl.Decimal(38, 6),
    "last_trade_date": pl.Date(),
    "exception": pl.String(),
}
"""``exception``: who fixed the order's quantity and why; null where the rule gave it."""
WIDE: Final = pl.Decimal(38, 12)
_ID_LENGTH: Final = 8


def statement(
    orders: pl.DataFrame, states: pl.DataFrame, exceptions: pl.DataFrame, messages: pl.DataFrame
) -> pl.DataFrame:
    """Table ``STATEMENT``, by custodian, symbol, side and block, then by account.

    Parameters
    ----------
    orders, states
        Tables ``SENT_ORDERS`` and ``ORDER_STATES``: every order of each block.
    exceptions
        ``order_id``, ``actor`` and ``note`` of the orders that a person fixed.
    messages
        Table ``MESSAGES``: what was said of the orders and their blocks.
    """
    notes = exceptions.select("order_id", exception=pl.format("{}: {}", "actor", "note"))
    return (
        _of_blocks(orders.join(states, on="order_id"), messages)
        .join(notes, on="order_id", how="left")
        .rename({"quantity": "ordered_quantity", "filled_quantity": "allotted_quantity"})
        .sort("custodian", "symbol", "side", "block_id", "account_id", "order_id")
        .select(STATEMENT.keys())
        .cast(STATEMENT)  # type: ignore[arg-type]
    )


def _of_blocks(both: pl.DataFrame, messages: pl.DataFrame) -> pl.DataFrame:
    """Orders with their states, without what they were filled with under their own names; at the average price of their block."""
    fills = net_fills(messages)
    quantity, worth = pl.col("quantity").sum(), (pl.col("quantity").cast(WIDE) * pl.col("price_usd").cast(WIDE)).sum()
    by_order = fills.filter(pl.col("order_id").is_not_null()).group_by("order_id")
    own = by_order.agg(own_quantity=quantity, own_gross_usd=worth, own_fees_usd=pl.col("fees_usd").fill_null(0).sum())
    blocks = fills.filter(pl.col("block_id").is_not_null()).group_by("block_id")
    prices = blocks.agg(block_price=(worth / quantity.cast(WIDE)).round(6, mode="half_to_even"))
    joined = both.join(own, on="order_id", how="left").join(prices, on="block_id", how="left")
    left = pl.col("filled_quantity") - pl.col("own_quantity").fill_null(0)
    return joined.with_columns(
        filled_quantity=left,
        average_price_usd=pl.when(left > 0).then("block_price"),
        gross_usd=pl.col("gross_usd") - pl.col("own_gross_usd").fill_null(0).round(2, mode="half_to_even"),
        fees_usd=pl.col("fees_usd") - pl.col("own_fees_usd").fill_null(0),
    )


def instructions(rows: pl.DataFrame, types: dict[str, str], profile: Profile) -> str:
    """FIX AllocationInstructions of the blocks of a statement, one line each, in its order.

    Parameters
    ----------
    rows
        Table ``STATEMENT``.
    types
        Security type by symbol; one that is absent is left out of the message.
    profile
        Its format (a FIX version), sender and target.
    """
    return "".join(f"{message}\n" for message in _messages(rows, types, profile))


def _messages(rows: pl.DataFrame, types: dict[str, str], profile: Profile) -> Iterator[str]:
    shared = rows.filter(pl.col("allotted_quantity") > 0)
    for sequence, (_, block) in enumerate(shared.group_by("block_id", maintain_order=True), 1):
        shares = block.select("order_id", "account_id", quantity="allotted_quantity")
        filled = _filled_block(block, types)
        digest = hashlib.sha256(repr((filled, shares.rows())).encode()).hexdigest()[:_ID_LENGTH]
        yield allocation_instruction(
            filled, shares, profile, allocation_id=f"{filled.block_id}-{digest}", sequence=sequence
        )


def _filled_block(block: pl.DataFrame, types: dict[str, str]) -> FilledBlock:
    first: dict[str, Any] = block.row(0, named=True)
    known = types.get(first["symbol"])
    gross: Any = block["gross_usd"].sum()
    quantity: Any = block["allotted_quantity"].sum()
    return FilledBlock(
        first["block_id"],
        Side(first["side"]),
        first["symbol"],
        SecurityType(known) if known else None,
        quantity,
        round(gross / quantity, 6),
        max(block["last_trade_date"]),
    )
