"""A release that every format is tried on: two custodians, a household, a fraction of a fund, lots with and without a basis."""

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl

from schemas.landing_columns import dtypes
from schemas.tables import PUBLIC
from tasks.core.export.content import content_hashes
from tasks.core.export.package import Export, ExportPackage, ProposedTables, make_release

EXPORT = Export("2026-03-02-nightly-0123456789ab", date(2026, 3, 2), 1, "2026-03-02-nightly-0123456789ab-export-1")
SECURITIES = (
    {"security_id": "S1", "symbol": "VTI", "name": "Total Market", "security_type": "etf", "quantity_step": Decimal(1)},
    {
        "security_id": "S2",
        "symbol": "BRK.B",
        "name": "Berkshire",
        "security_type": "equity",
        "quantity_step": Decimal(1),
    },
    {
        "security_id": "S3",
        "symbol": "VBTLX",
        "name": "Bond, Index",
        "security_type": "mutual_fund",
        "quantity_step": Decimal("0.001"),
    },
)
ACCOUNTS = (
    {"account_id": "A1", "custodian": "Acme, Inc", "tax_status": "taxable", "household_id": "H1"},
    {"account_id": "A2", "custodian": "Acme, Inc", "tax_status": "tax_deferred", "household_id": "H1"},
    {"account_id": "-A3", "custodian": "Beta", "tax_status": "taxable"},
)
ORDERS = (
    ("A1", "sell", "S2", "12", "410.25"),
    ("A1", "buy", "S1", "17", "289.5"),
    ("A2", "buy", "S1", "5", "289.5"),
    ("A2", "sell", "S3", "100.125", "9.61"),
    ("-A3", "sell", "S2", "3", "410.25"),
    ("-A3", "buy", "S1", "4", "289.5"),
)
"""Account, side, security, quantity, price; an order is named ``<account>-<side>-<security>``."""
LOTS = (
    ("A1-sell-S2", "L1", "10", "200", date(2019, 5, 6), "long"),
    ("A1-sell-S2", "L2", "2", "430.5", date(2025, 12, 1), "short"),
    ("A2-sell-S3", "L7", "100.125", None, None, None),
    ("-A3-sell-S2", "L1", "3", "0", date(2001, 1, 2), "long"),
)


def rows(schema: dict[str, pl.DataType], found: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in found], schema=schema)


def release(
    orders: tuple[tuple[str, str, str, str, str], ...] = ORDERS, *, amounts: tuple[Decimal, ...] = (), **changes: object
) -> ExportPackage:
    """The release of these orders, in dollars where there are ``amounts``; ``changes`` are columns to set in all of them as they leave."""
    symbols = {row["security_id"]: row["symbol"] for row in SECURITIES}
    listed = [
        {
            "order_id": f"{account}-{side}-{security}",
            "proposal_id": f"p-{account}",
            "account_id": account,
            "side": side,
            "security_id": security,
            "symbol": symbols[security],
            "quantity": Decimal(quantity),
            "price_usd": Decimal(price),
            "value_usd": Decimal(quantity) * Decimal(price),
            "amount_usd": amounts[place] if amounts else None,
            "reason": "drift",
        }
        for place, (account, side, security, quantity, price) in enumerate(orders)
    ]
    names = {row["order_id"] for row in listed}
    lots = [
        {
            "order_id": order,
            "account_id": order.rsplit("-", 2)[0],
            "security_id": order.rsplit("-", 1)[1],
            "lot_id": lot,
            "quantity": Decimal(quantity),
            "unit_cost_usd": None if cost is None else Decimal(cost),
            "acquired_date": acquired,
            "term": term,
        }
        for order, lot, quantity, cost, acquired, term in LOTS
        if order in names
    ]
    frame = rows(PUBLIC["orders"], listed)
    proposals = frame.group_by("proposal_id").agg(order_count=pl.len().cast(pl.Int64)).sort("proposal_id")
    hashed = proposals.join(content_hashes(frame), on="proposal_id")
    book = ProposedTables(
        rows(PUBLIC["proposals"], hashed.select("proposal_id", "content_hash").to_dicts()),
        frame,
        rows(PUBLIC["lot_relief"], lots),
        rows(dtypes("accounts"), [dict(row) for row in ACCOUNTS]),
        rows(dtypes("securities"), [dict(row) for row in SECURITIES]),
    )
    made = make_release(EXPORT, book, approved=hashed, claimed=frame.select("order_id", "proposal_id"))
    if not changes:
        return made
    changed = made.orders.with_columns(**{name: pl.lit(value) for name, value in changes.items()})
    return ExportPackage(made.export, changed, made.lots, made.blocks)
