"""Profiles ``fix44`` and ``fix50sp2``: orders as NewOrderSingle messages (35=D), of an account or of a block with its pre-trade allocations.

A message's fields, in the standard's order (``|`` stands for SOH), of an order and of a block:

    8=FIX.4.4|9=…|35=D|49=<sender>|56=<target>|34=1|52=20260302-00:00:00.000|11=<order_id>|1=<account_id>|21=1|55=BRK.B|167=CS|
    54=2|60=20260302-00:00:00.000|38=12|40=1|15=USD|59=0|58=drift|10=…|

    8=FIX.4.4|9=…|35=D|…|11=<block_id>|78=2|79=<account_id>|467=<order_id>|80=17|79=…|467=…|80=5|21=1|55=VTI|54=1|…|38=22|…

1. Grain ``accounts``: ``<account_id>.fix``, in the order of the accounts' own files, MsgSeqNum (34) from 1 in each. Grain ``blocks``:
   ``<block_id>.fix``, one message. A line feed follows each message; it belongs to none.
2. ClOrdID (11) is the order's id, or the block's. Account (1) is the order's account; a block has none.
3. Orders are at the market (40=1) for the day (59=0), so they have no Price (44). HandlInst (21) is 1: automated, no broker steps in.
4. FIX 5.0 SP2 (``FIXT.1.1``, ApplVerID 9) also says which lots a sell closes: an allocation per lot, with the fields of extension pack 127
   (see ``fix_allocations``):

    …|11=<order_id>|1=A1|78=2|79=A1|467=<order_id>/L1|80=10|1752=L1|1753=20190506|1754=200|79=A1|467=<order_id>/L2|80=2|1752=L2|…

5. What is ordered in dollars has CashOrderQty (152) in the place of OrderQty (38). A block of it is refused: AllocQty (80) is in shares.
6. Allocations are a group (78) whose members begin with AllocAccount (79). They sum to OrderQty (38), or nothing is written.

There is no NewOrderList (35=E). All that it would add is that orders belong to one list, by which a broker would report on them; but ours do
not depend on one another, ClOrdID brings each back alone, and who refuses one order of a list may refuse all of it.

Sources: as ``fix_messages``.

Known limits: mutual funds are bought and sold at the market as shares are, not subscribed and redeemed at the next valuation (54=D or E,
40=M), as the standard has it for collective investment vehicles. How a partly filled block is split (PreallocMethod, 591) is left to what the parties agreed. A block
of very many accounts is one long message, which engines may limit. FIX 4.4 has no field for a tax lot: which lots a sell closes stands in
``lots/*.csv`` of the same export alone; tags of one's own would be read only by counterparties that agreed to them. A receiver without
extension pack 127 refuses sells of FIX 5.0 SP2; it is agreed upon at logon (DefaultApplExtID, 1407) or beforehand, not in each message
(ApplExtID, 1156), a field that QuickFIX 1.15 does not know.
"""

from collections.abc import Iterator
from datetime import date
from typing import Final

import polars as pl

from schemas.exports import Profile
from tasks.core.export import fix_encoding as fix
from tasks.core.export.blocks import allocate
from tasks.core.export.fix_allocations import pre_trade, with_allocations
from tasks.core.export.fix_messages import (
    VERSIONS,
    exchange,
    header,
    instrument,
    midnight,
    refusals,
    sayable_lots,
    security_ids,
    side,
)
from tasks.core.export.package import ExportPackage, refuse_any

__all__ = ["files", "refusals"]

_OF_SECURITY: Final = ("symbol", "cusip", "isin", "security_type", "exchange")
FILES_PER_GROUP: Final = 1_000
"""Files rendered at a time; bounds memory."""


def files(release: ExportPackage, profile: Profile) -> Iterator[pl.DataFrame]:
    """``<account_id>.fix``, or ``<block_id>.fix`` by the profile's grain; ``rows`` are orders.

    Raises
    ------
    ConservationBroken
        An order cannot be written, ``refusals`` says so before; or allocations do not sum to their order or block.
    """
    refuse_any(refusals(release, profile), "order {order_id} cannot be written: {reason}")
    lots = sayable_lots(release, profile)
    messages = _blocks(release, lots) if profile.grain == "blocks" else _orders(release.orders, lots)
    file = pl.col("path").rle_id() // FILES_PER_GROUP
    for group in messages.with_columns(group=file).partition_by("group", maintain_order=True, include_key=False):
        yield _files(group, profile, release.export.as_of_date)


def _orders(orders: pl.DataFrame, lots: pl.DataFrame) -> pl.DataFrame:
    """A row an order, with an allocation per lot that it closes."""
    messages = orders.select(
        "account_id",
        *(*_OF_SECURITY, "side", "quantity", "reason", "amount_usd"),
        path=pl.format("{}.fix", "account_id"),
        rows=pl.lit(1, pl.Int64),
        client_order_id="order_id",
    )
    return with_allocations(messages, lots.with_columns(client_order_id="order_id"), pre_trade())


def _blocks(release: ExportPackage, lots: pl.DataFrame) -> pl.DataFrame:
    """A row a block, with an allocation per order, or per lot where an order closes lots."""
    allocations = allocate(release.orders, release.blocks)
    kinds = allocations.group_by("block_id").agg(pl.col(_OF_SECURITY).exclude("symbol").first())
    messages = release.blocks.join(kinds, on="block_id", how="left", maintain_order="left").select(
        *(*_OF_SECURITY, "side", "quantity"),
        amount_usd=pl.lit(None, pl.Decimal(38, 2)),
        account_id=pl.lit(None, pl.String),
        reason=pl.lit(None, pl.String),
        path=pl.format("{}.fix", "block_id"),
        rows="order_count",
        client_order_id="block_id",
    )
    closed = lots.select("order_id", "lot_id", "unit_cost_usd", "acquired_date", closed="quantity")
    shares = (
        allocations.select("order_id", "account_id", "quantity", client_order_id="block_id")
        .join(closed, on="order_id", how="left", maintain_order="left_right")
        .with_columns(quantity=pl.coalesce("closed", "quantity"))
    )
    return with_allocations(messages, shares, pre_trade())


def _files(messages: pl.DataFrame, profile: Profile, as_of: date) -> pl.DataFrame:
    """``path``, ``rows`` and ``content``, files and messages in the order given."""
    place = pl.int_range(1, pl.len() + 1).over("path")
    bodies = messages.select(pl.concat_str(header("D", profile, as_of, sequence=place), *_new_order_single(as_of)))
    return (
        messages.select("path", "rows", message=fix.frame_messages(VERSIONS[profile.format].begin, bodies.to_series()))
        .group_by("path", maintain_order=True)
        .agg(rows=pl.col("rows").sum(), content=pl.col("message").str.join("\n") + "\n")
    )


def _new_order_single(as_of: date) -> tuple[pl.Expr, ...]:
    return (
        fix.field(11, pl.col("client_order_id")),
        fix.field(1, pl.col("account_id")),
        pl.col("allocations"),
        fix.constant_field(21, "1"),
        instrument(security_ids()),
        exchange(),
        side(),
        fix.constant_field(60, midnight(as_of)),
        pl.when(pl.col("amount_usd").is_null())
        .then(fix.number(38, "quantity"))
        .otherwise(fix.number(152, "amount_usd")),
        fix.constant_field(40, "1"),
        fix.constant_field(15, "USD"),
        fix.constant_field(59, "0"),
        fix.field(58, pl.col("reason")),
    )
