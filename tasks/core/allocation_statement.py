"""The allocation statement after the trade: what each order of a filled block got, at the block's average price, and why if not by the rule.

Grain: an order of a block that anything was filled of. What was ordered of each block, before the trade, is in the export's ``blocks.csv``
and ``allocations.csv``. As FIX it is one AllocationInstruction a block, whose name changes when the shares do.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from schemas.enums import SecurityType, Side
from schemas.exports import Profile
from schemas.units import EXACT
from tasks.core.profiles.fix_allocations import FilledBlock, allocation_instruction

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
_ID_LENGTH: Final = 8


def statement(orders: pl.DataFrame, states: pl.DataFrame, exceptions: pl.DataFrame) -> pl.DataFrame:
    """Table ``STATEMENT``, by custodian, symbol, side and block, then by account.

    Parameters
    ----------
    orders, states
        Tables ``SENT_ORDERS`` and ``ORDER_STATES``: every order of each block.
    exceptions
        ``order_id``, ``actor`` and ``note`` of the orders that a person fixed.
    """
    told = exceptions.select("order_id", exception=pl.format("{}: {}", "actor", "note"))
    return (
        orders.join(states, on="order_id")
        .join(told, on="order_id", how="left")
        .rename({"quantity": "ordered_quantity", "filled_quantity": "allotted_quantity"})
        .sort("custodian", "symbol", "side", "block_id", "account_id", "order_id")
        .select(STATEMENT.keys())
        .cast(STATEMENT)  # type: ignore[arg-type]
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
        filled = _filled(block, types)
        digest = hashlib.sha256(repr((filled, shares.rows())).encode()).hexdigest()[:_ID_LENGTH]
        yield allocation_instruction(
            filled, shares, profile, allocation_id=f"{filled.block_id}-{digest}", sequence=sequence
        )


def _filled(block: pl.DataFrame, types: dict[str, str]) -> FilledBlock:
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
