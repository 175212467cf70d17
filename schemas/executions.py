"""What a broker or custodian says about orders: the tables that a file of executions is read into.

``EXECUTIONS`` has one row a message: an acknowledgement, a rejection, a fill, or the bust or correction of a fill.
``EXECUTION_LOTS`` has one row per fill and tax lot that it closed, where the file tells.
"""

from typing import Final

import polars as pl

from schemas.tables import USD
from schemas.units import EXACT

SIMULATED: Final = "SIMULATED-"
"""How ids of executions of a simulated broker begin, in every format; such are taken of the orders of simulations alone."""

EXECUTIONS: Final[dict[str, pl.DataType]] = {
    "row_number": pl.Int64(),
    "raw": pl.String(),
    "execution_id": pl.String(),
    "kind": pl.String(),
    "client_order_id": pl.String(),
    "account_id": pl.String(),
    "symbol": pl.String(),
    "security_id": pl.String(),
    "side": pl.String(),
    "quantity": EXACT,
    "price_usd": EXACT,
    "fees_usd": EXACT,
    "trade_date": pl.Date(),
    "executed_at": pl.Datetime("us", "UTC"),
    "reference_id": pl.String(),
    "text": pl.String(),
}
"""``execution_id`` is the sender's own and unique to one message of theirs. ``kind`` is an ``ExecutionKind``. ``client_order_id`` names the order, or the block,
as it was exported. ``quantity`` and ``price_usd`` are those of this fill alone, never running totals; a correction has those that hold
from now on. ``fees_usd`` are positive. ``reference_id``: the execution that a bust or a correction is about. ``raw``: the record as it was read."""

EXECUTION_LOTS: Final[dict[str, pl.DataType]] = {
    "row_number": pl.Int64(),
    "execution_id": pl.String(),
    "lot_id": pl.String(),
    "acquired_date": pl.Date(),
    "quantity": EXACT,
    "unit_cost_usd": EXACT,
}
"""``lot_id`` null: the file names lots by their date and cost alone."""

UNREAD: Final[dict[str, pl.DataType]] = {
    "row_number": pl.Int64(),
    "raw": pl.String(),
    "message": pl.String(),
}
"""Records that could not be read as an execution, each with a sentence that says why."""

MESSAGES: Final[dict[str, pl.DataType]] = {
    "source": pl.String(),
    "execution_id": pl.String(),
    "kind": pl.String(),
    "order_id": pl.String(),
    "block_id": pl.String(),
    "quantity": EXACT,
    "price_usd": EXACT,
    "fees_usd": EXACT,
    "trade_date": pl.Date(),
    "executed_at": pl.Datetime("us", "UTC"),
    "reference_id": pl.String(),
}
"""Executions that belong to an order of ours, or to a block: exactly one of ``order_id`` and ``block_id`` is given. ``source``: whose ``execution_id`` it is."""

SENT_ORDERS: Final[dict[str, pl.DataType]] = {
    "order_id": pl.String(),
    "proposal_id": pl.String(),
    "block_id": pl.String(),
    "account_id": pl.String(),
    "custodian": pl.String(),
    "side": pl.String(),
    "security_id": pl.String(),
    "symbol": pl.String(),
    "quantity": EXACT,
    "quantity_step": EXACT,
    "price_usd": EXACT,
    "price_factor": EXACT,
    "amount_usd": USD,
    "cusip": pl.String(),
    "isin": pl.String(),
}
"""Orders as they left in an export, for what comes back to be held against. ``price_factor`` null: 1. ``amount_usd``: dollars that it was ordered
in, where the quantity is an estimate; null: it was ordered in shares."""

ORDER_STATES: Final[dict[str, pl.DataType]] = {
    "order_id": pl.String(),
    "state": pl.String(),
    "is_closed": pl.Boolean(),
    "filled_quantity": EXACT,
    "average_price_usd": EXACT,
    "gross_usd": USD,
    "fees_usd": USD,
    "first_trade_date": pl.Date(),
    "last_trade_date": pl.Date(),
}
"""What became of each order. ``is_closed``: nothing more will be filled. ``average_price_usd`` null: nothing is filled. ``gross_usd`` is in whole cents."""

BREAKS: Final[dict[str, pl.DataType]] = {
    "order_id": pl.String(),
    "account_id": pl.String(),
    "code": pl.String(),
    "ordered_quantity": EXACT,
    "filled_quantity": EXACT,
    "amount_usd": USD,
}
"""What of an order differs from what left. ``amount_usd``: what is not filled, or filled too much, at the order's reference price."""
