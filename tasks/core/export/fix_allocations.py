"""How a block is split, in FIX: the pre-trade allocations of an order, and the AllocationInstruction (35=J) of one that is filled.

An allocation that closes a tax lot says which by the fields of extension pack 127, "MMI Specific Lot Allocation Proposal" of
2011-07-21 (https://www.fixtrading.org/?p=42898), which are members of PreAllocGrp after AllocQty (80) and repeat with it:

* CustodialLotID (1752), "the custodian's identifier for the lot": the lot's id, as the custodian's files brought it.
* VersusPurchaseDate (1753) and VersusPurchasePrice (1754), by which a lot is found where that id is not known: when it was acquired, and its
  cost per share. "If this field is used" the other "should be specified": both are left out unless both are known.
* CurrentCostBasis (1755) is left out. It is the cost of all that is held in the lot, and what is left is not known here.

IndividualAllocID (467) is to be unique among a message's allocations: the order's id, with a slash and the lot's id where lots are distinguished.

Sources: as ``fix_messages``; the group's members and their order in FIX 5.0 SP2 with extension packs:
https://www.onixs.biz/fix-dictionary/5.0.SP2.EP269/compBlock_PreAllocGrp.html.

Known limits: an AllocationInstruction has no fees and no net money (AllocType 2, preliminary); the receiver works them out. It names no lots:
a fill's shares need not be those of the order.
"""

from datetime import date
from decimal import Decimal
from typing import NamedTuple

import polars as pl

from schemas.enums import SecurityType, Side
from schemas.exports import Profile
from schemas.units import EXACT
from tasks.core.export import fix_encoding as fix
from tasks.core.export.fix_messages import VERSIONS, header, instrument, side
from tasks.core.export.package import refuse_any


def with_allocations(messages: pl.DataFrame, shares: pl.DataFrame, members: tuple[pl.Expr, ...]) -> pl.DataFrame:
    """Add ``allocations``: the group of a message as text, empty for a message that has none.

    Parameters
    ----------
    messages
        ``client_order_id`` and ``quantity``.
    shares
        A row an allocation, in order: ``client_order_id`` of its message, ``quantity``, and what the members are made of.
    members
        Fields of an allocation, in the group's order.

    Raises
    ------
    ConservationBroken
        The allocations of a message do not sum to its quantity.
    """
    groups = shares.group_by("client_order_id", maintain_order=True).agg(
        pl.col("quantity").sum().alias("allocated"),
        allocations=pl.concat_str(fix.field(78, pl.len()), pl.concat_str(*members).str.join("", ignore_nulls=False)),
    )
    both = messages.join(groups, on="client_order_id", how="left", maintain_order="left")
    is_whole = (pl.col("allocated") == pl.col("quantity")).fill_null(value=False) | pl.col("allocated").is_null()
    refuse_any(
        both.filter(~is_whole), "allocations of order {client_order_id} sum to {allocated}, its quantity is {quantity}"
    )
    return both.drop("allocated").with_columns(pl.col("allocations").fill_null(""))


def pre_trade() -> tuple[pl.Expr, ...]:
    """Members of PreAllocGrp, of an order: account, id, quantity and the lot."""
    lot = pl.col("lot_id")
    name = pl.when(lot.is_null()).then("order_id").otherwise(pl.concat_str("order_id", pl.lit("/"), lot))
    return _account(), fix.field(467, name), _quantity(), fix.field(1752, lot), _basis()


def post_trade() -> tuple[pl.Expr, ...]:
    """Members of AllocGrp, of an AllocationInstruction, where the quantity comes before the id."""
    return _account(), _quantity(), fix.field(467, pl.col("order_id"))


def _account() -> pl.Expr:
    return fix.field(79, pl.col("account_id"))


def _quantity() -> pl.Expr:
    return fix.number(80, "quantity")


def _basis() -> pl.Expr:
    is_known = pl.col("acquired_date").is_not_null() & pl.col("unit_cost_usd").is_not_null()
    basis = pl.concat_str(fix.day(1753, "acquired_date"), fix.number(1754, "unit_cost_usd"))
    return pl.when(is_known).then(basis).otherwise(pl.lit(""))


class FilledBlock(NamedTuple):
    """What became of a block. ``quantity`` is what was filled; ``security_type`` null: not known, left out. Up to six digits after the point."""

    block_id: str
    side: Side
    symbol: str
    security_type: SecurityType | None
    quantity: Decimal
    average_price_usd: Decimal
    trade_date: date


def allocation_instruction(
    filled: FilledBlock, shares: pl.DataFrame, profile: Profile, *, allocation_id: str, sequence: int = 1
) -> str:
    """One AllocationInstruction (35=J): a new, preliminary split of a filled block, in the profile's version.

    Parameters
    ----------
    filled
        The block and what was filled of it on ``trade_date``; SendingTime (52) is that day's midnight.
    shares
        Who gets how much, in this order: ``order_id``, ``account_id``, ``quantity``, each order once. They sum to ``filled.quantity``.
    profile
        Its format, sender and target.
    allocation_id
        AllocID (70), by which the receiver answers; no two instructions may share one.
    sequence
        MsgSeqNum (34).

    Raises
    ------
    ConservationBroken
        The shares do not sum to what was filled, an order has two, or a text is no plain ASCII.
    """
    message = pl.DataFrame([filled], schema=_FILLED, orient="row").with_columns(allocation_id=pl.lit(allocation_id))
    _check(message, shares)
    if shares.is_empty():
        refuse_any(message, "nothing of block {client_order_id} is allocated")
    whole = with_allocations(message, shares.with_columns(client_order_id=pl.lit(filled.block_id)), post_trade())
    head = header("J", profile, filled.trade_date, sequence=pl.lit(sequence))
    body = whole.select(pl.concat_str(head, *_instruction()))
    return str(fix.frame_messages(VERSIONS[profile.format].begin, body.to_series()).item())


_FILLED = {
    "client_order_id": pl.String(),
    "side": pl.String(),
    "symbol": pl.String(),
    "security_type": pl.String(),
    "quantity": EXACT,
    "average_price_usd": EXACT,
    "trade_date": pl.Date(),
}


def _check(message: pl.DataFrame, shares: pl.DataFrame) -> None:
    for frame, names in (
        (message, ("client_order_id", "allocation_id", "symbol")),
        (shares, ("order_id", "account_id")),
    ):
        for name in names:
            is_plain = fix.is_plain(name).fill_null(value=False)
            refuse_any(frame.filter(~is_plain), f"FIX cannot write the {name} {{{name}!r}}")
    refuse_any(shares.filter(pl.col("order_id").is_duplicated()), "order {order_id} is allocated to twice")


def _instruction() -> tuple[pl.Expr, ...]:
    """AllocNoOrdersType (857) 1: the orders are listed, here the block's own."""
    return (
        fix.field(70, pl.col("allocation_id")),
        fix.constant_field(71, "0"),
        fix.constant_field(626, "2"),
        fix.constant_field(857, "1"),
        fix.constant_field(73, "1"),
        fix.field(11, pl.col("client_order_id")),
        side(),
        instrument(),
        fix.number(53, "quantity"),
        fix.number(6, "average_price_usd"),
        fix.constant_field(15, "USD"),
        fix.day(75, "trade_date"),
        pl.col("allocations"),
    )
