"""Profile ``ibkr_allocation``: for advisors at Interactive Brokers, one order a block and its split among the accounts.

``groups.jsonl`` has a line a block, each the body of a request that makes an allocation group whose accounts get the shares written:

    {"name":"5d1c0a...","accounts":[{"name":"U1234567","amount":17},{"name":"U2345678","amount":5}],"default_method":"S"}

``blocks.csv`` is a basket file whose orders name these groups. Send the groups first, then load the basket.

Sources: the groups are the IBKR Web API's ``POST /iserver/account/allocation/group`` ("Add Allocation Group", "Allocation Method
Codes": ``S`` is Shares, https://www.interactivebrokers.com/campus/ibkr-api-page/cpapi-v1/; the same in IBKR's OpenAPI
description at https://api.ibkr.com). Groups by a method that the user specifies are "formerly known as Allocation Profiles", and a
basket's advisor field ``Profile`` is the name of an existing one ("Basket Fields",
https://clientam.com.hk/en/software/tws/usersguidebook/specializedorderentry/Basket_Fields.htm). By the method Shares an order's size is the
sum of its accounts' shares ("Create a share allocation profile" in the same guide), as a block's is.

Known limits: the block's id comes back, not the orders' own; how a partial fill is split follows the advisor's presets in TWS. The Allocation Order Tool reads no file that is
publicly described, so nothing is written for it. The Web API's own orders need IBKR's contract numbers, which are not known
here, hence the basket. That a basket's ``Profile`` finds a group made through the Web API follows from these pages and was
not tried against TWS: try one block in a paper account. Groups stay until they are deleted. Otherwise as ``ibkr_basket``.
"""

import json
from collections.abc import Iterator

import polars as pl

from schemas.exports import Profile
from tasks.core.export.blocks import allocate
from tasks.core.export.ibkr_basket import basket_cells, refusals
from tasks.core.export.package import ExportPackage, refuse_any
from tasks.core.facts import csv_files

__all__ = ["files", "refusals"]


def files(release: ExportPackage, profile: Profile) -> Iterator[pl.DataFrame]:
    """``blocks.csv`` (rows are blocks) and ``groups.jsonl`` (rows are allocations), blocks in the order of ``blocks.csv`` of the export.

    Raises
    ------
    ConservationBroken
        An order cannot be written, ``refusals`` says so before; or the allocations do not sum to the blocks.
    """
    refuse_any(refusals(release, profile), "order {order_id} cannot be written: {reason}")
    blocks = release.blocks
    cells = blocks.select(**basket_cells("block_id"), Profile="block_id", OrderRef="block_id")
    yield csv_files(pl.repeat("blocks.csv", blocks.height, dtype=pl.String, eager=True), cells)
    yield _groups(allocate(release.orders, blocks))


def _groups(allocations: pl.DataFrame) -> pl.DataFrame:
    shares = allocations.with_columns(pl.col("quantity").cast(pl.Int64))
    members = shares.group_by("block_id", maintain_order=True).agg("account_id", "quantity")
    bodies = [_group(*row) for row in members.iter_rows()]
    lines = members.select(pl.lit("groups.jsonl").alias("path"), pl.Series("line", bodies, dtype=pl.String), "quantity")
    return lines.group_by("path").agg(
        rows=pl.col("quantity").list.len().sum().cast(pl.Int64), content=pl.col("line").str.join("\n") + "\n"
    )


def _group(name: str, accounts: list[str], shares: list[int]) -> str:
    """Body of one request; key order and spaces are fixed."""
    members = [{"name": account, "amount": count} for account, count in zip(accounts, shares, strict=True)]
    return json.dumps({"name": name, "accounts": members, "default_method": "S"}, separators=(",", ":"))
