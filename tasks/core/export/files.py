"""The bytes of an export: one file per account, the lots behind its sells, blocks, allocations and the manifest.

Everything here depends on the release alone (no clock, no process, no order of the input), so that an export
interrupted anywhere is rendered again to the same bytes.

Known limits: ``lots/*.csv`` leave the gain out, it is an estimate and the only number that could be negative.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import polars as pl

from schemas.enums import Side
from schemas.exports import Profile
from tasks.core.export.block_checks import block_warnings
from tasks.core.export.blocks import allocate
from tasks.core.export.order_formats import FORMATS
from tasks.core.export.package import ExportPackage
from tasks.core.facts import csv_files, money_cell, number_cell, text_cell

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.json.sig"
SUCCESS: Final = "_SUCCESS"
FORMAT: Final = "trimtab-export/1"
ACCOUNTS_PER_GROUP: Final = 1_000
"""Files rendered at a time; bounds memory, and an export can be stopped between groups."""


class FileEntry(NamedTuple):
    """A file as the manifest lists it; ``rows`` without the header."""

    path: str
    rows: int
    bytes: int
    sha256: str


def sha256(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def rendered_files(release: ExportPackage) -> Iterator[pl.DataFrame]:
    """Every file but the manifest, in groups of ``path``, ``rows`` (without the header), ``content``; always in the same order."""
    for orders in _by_accounts(release.orders):
        yield account_files(orders)
    for lots in _by_accounts(release.lots):
        yield lot_files(lots)
    yield block_files(release)


def profile_files(release: ExportPackage, profile: Profile) -> Iterator[pl.DataFrame]:
    """Every file of a profile but its manifest, as ``rendered_files``; paths begin with the profile's name.

    ``release`` is of the profile's custodians.
    """
    for group in FORMATS[profile.format].files(release, profile):
        yield group.with_columns(path=pl.lit(f"{profile.name}/") + pl.col("path"))


def _by_accounts(rows: pl.DataFrame) -> list[pl.DataFrame]:
    """Rows sorted by account, cut between accounts."""
    group = pl.col("account_id").rle_id() // ACCOUNTS_PER_GROUP
    return rows.with_columns(group=group).partition_by("group", maintain_order=True, include_key=False)


def account_files(orders: pl.DataFrame) -> pl.DataFrame:
    """``accounts/<account_id>.csv``: one line an order, in the order given."""
    is_sell = pl.col("side") == Side.SELL
    cells = orders.select(
        text_cell("order_id").alias("client_order_id"),
        text_cell("account_id"),
        text_cell("custodian"),
        text_cell("side"),
        text_cell("symbol"),
        text_cell("security_id"),
        number_cell("quantity"),
        order_type=pl.lit("market"),
        time_in_force=pl.lit("day"),
        reference_price_usd=number_cell("price_usd"),
        estimated_value_usd=money_cell("value_usd"),
        tax_lot_method=pl.when(is_sell).then(pl.lit("specific_lots")).otherwise(pl.lit("")),
        reason=text_cell("reason"),
    )
    return csv_files(_path("accounts", orders), cells)


def lot_files(lots: pl.DataFrame) -> pl.DataFrame:
    """``lots/<account_id>.csv``: one line per sell and lot it closes. Cost, date and term are empty where the basis is unknown."""
    cells = lots.select(
        text_cell("order_id").alias("client_order_id"),
        text_cell("account_id"),
        text_cell("symbol"),
        text_cell("security_id"),
        text_cell("lot_id"),
        number_cell("quantity"),
        number_cell("unit_cost_usd"),
        text_cell("acquired_date"),
        text_cell("term"),
    )
    return csv_files(_path("lots", lots), cells)


def _path(folder: str, rows: pl.DataFrame) -> pl.Series:
    return rows.select(pl.format(folder + "/{}.csv", pl.col("account_id"))).to_series()


def block_files(release: ExportPackage) -> pl.DataFrame:
    """``blocks.csv`` and ``allocations.csv``; refused if the second does not sum to the first."""
    block_cells = release.blocks.select(
        text_cell("block_id"),
        *(text_cell(name) for name in ("custodian", "side", "symbol", "security_id")),
        number_cell("quantity"),
        money_cell("value_usd").alias("estimated_value_usd"),
        text_cell("account_count"),
        text_cell("order_count"),
    )
    allocations = allocate(release.orders, release.blocks)
    allocation_cells = allocations.select(
        text_cell("block_id"),
        text_cell("order_id").alias("client_order_id"),
        text_cell("account_id"),
        number_cell("quantity"),
        money_cell("value_usd").alias("estimated_value_usd"),
    )
    return pl.concat(
        csv_files(pl.repeat(name, cells.height, dtype=pl.String, eager=True), cells)
        for name, cells in (("blocks.csv", block_cells), ("allocations.csv", allocation_cells))
    )


def manifest_bytes(release: ExportPackage, entries: Iterable[FileEntry], profile: str = "") -> bytes:
    """``manifest.json``: what the export is, its control totals and every file. Numbers of money and shares are text, exact.

    A profile folder's manifest names the profile, the orders that it writes and its own files.
    """
    blocks = release.blocks.select(
        "block_id",
        number_cell("quantity"),
        money_cell("value_usd").alias("estimated_value_usd"),
        accounts="account_count",
        orders="order_count",
    )
    manifest = {
        "format": FORMAT,
        "export_id": release.export.export_id,
        "run_id": release.export.run_id,
        "as_of_date": release.export.as_of_date.isoformat(),
        "sequence": release.export.sequence,
        **({"profile": profile} if profile else {}),
        "totals": control_totals(release),
        **dollar_totals(release),
        "blocks": blocks.to_dicts(),
        "warnings": block_warnings(release).to_dicts(),
        "files": [entry._asdict() for entry in entries],
    }
    return (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()


def control_totals(release: ExportPackage) -> dict[str, int | str]:
    """What a receiver adds up again: accounts, orders, lots closed, and dollars bought and sold to the cent."""
    orders = release.orders
    values = {side: orders.filter(pl.col("side") == side).select(pl.col("value_usd").sum()) for side in Side}
    return {
        "accounts": orders["account_id"].n_unique(),
        "orders": orders.height,
        "lots": release.lots.height,
        **{f"{side}_value_usd": sum_.select(money_cell("value_usd")).item() for side, sum_ in values.items()},
    }


def dollar_totals(release: ExportPackage) -> dict[str, dict[str, int | str]]:
    """What the manifest says of orders in dollars, which the files that every export has cannot say; nothing where there are none."""
    orders = release.orders.drop_nulls("amount_usd")
    if orders.is_empty():
        return {}
    said: dict[str, int | str] = {
        "orders": orders.height,
        "value_usd": str(orders.select(pl.col("amount_usd").sum()).select(money_cell("amount_usd")).item()),
        "message": "Their securities are ordered in dollars (order_in): the order is for estimated_value_usd. The columns of accounts/*.csv, "
        "blocks.csv and allocations.csv have no place for that, and give the shares that it comes to at the reference price.",
    }
    return {"ordered_in_usd": said}


def success_bytes(manifest: bytes) -> bytes:
    """``_SUCCESS``: the manifest's hash, as ``sha256sum --check`` reads it."""
    return f"{sha256(manifest)}  {MANIFEST}\n".encode()
