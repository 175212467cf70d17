"""Profile ``ibkr_basket``: one basket file for Interactive Brokers' BasketTrader, a line an order, every account in it.

    Action,Quantity,Symbol,SecType,Exchange,Currency,TimeInForce,OrderType,BasketTag,Account,OrderRef
    SELL,12,BRK B,STK,SMART,USD,DAY,MKT,9f2c41d07ab35e688123,U1234567,9f2c41d07ab35e688123

Cells and what must be true of an order are those of ``ibkr_allocation`` too.

Sources: "Basket Fields" and "Manually Create a Basket File" of the Trader Workstation Users' Guide
(https://www.ibkrguides.com/traderworkstation/basket-fields.htm and ``manually-create-a-basket-file.htm``): fields may stand in
any order as long as the header names them, and a value holds no comma and has no space beside one. That class shares are
written with a space (``BRK B`` for ``BRK/B`` or ``BRK-B``): Interactive Brokers' knowledge base, "How do I enter the symbol for
Berkshire Hathaway Class B shares onto TWS?" (https://ibkr.info/tag/stocksetfs).

The guide describes no quotes and TWS would take an apostrophe for part of the value. So cells are written bare, and what
would need either is refused: every text here is made of letters, digits and one space.

The first eight columns are those that the guide's own market orders have ("Manually Create a Basket
File", https://www.interactivebrokers.com.hk/php/webhelp/Making_Trades/baskets/manualBasket.htm). ``Account`` is the guide's field for
advisors, so one file holds the orders of many accounts. The order's id is ``BasketTag``, which "appears in the Order Reference
field of the Trade report", and ``OrderRef``, the same field by its name in the files that TWS saves.

Known limits: the guide's list has no field for the cash amount that a mutual fund is bought by, or another security in dollars, no type for bonds and only
whole quantities, so these are refused, though parts of TWS take more. The primary exchange of a security is not known here,
``SMART`` stands alone: an order of a security whose symbol another of the run has is refused. Each order is cleared on its own: a buy may lack the cash of a sell
not yet filled, so transmit the sells first (they stand first in each account). Do not save the file from a spreadsheet: an
id such as ``123e45...`` reads as a number there.
"""

from collections.abc import Iterator
from typing import Final

import polars as pl

from schemas.enums import SecurityType, Side
from schemas.exports import Profile
from tasks.core.export.package import ExportPackage, refuse_any
from tasks.core.export.words import NOT_TOLD_APART, first_faults
from tasks.core.facts import csv_files, number_cell

FILE: Final = "basket.csv"
LISTED: Final = (SecurityType.ETF, SecurityType.EQUITY)
"""What is a stock (``STK``) to TWS."""
_CLASS_SHARE: Final = r"^([A-Z0-9]+)[./ -]([A-Z])$"
_SYMBOL: Final = r"^[A-Z0-9]+( [A-Z])?$"
_PLAIN: Final = r"^[A-Za-z0-9]+$"
"""Account numbers, such as U1234567, and tags: "any unique string of alpha or numeric characters"."""


def refusals(release: ExportPackage, profile: Profile) -> pl.DataFrame:  # noqa: ARG001 - as every format
    """What is no whole number of listed shares, or has a name that a basket cannot hold."""
    return first_faults(release.orders, _faults())


def files(release: ExportPackage, profile: Profile) -> Iterator[pl.DataFrame]:
    """``basket.csv``, in the order of the accounts' own files.

    Raises
    ------
    ConservationBroken
        An order cannot be written; ``refusals`` says so before.
    """
    orders = release.orders
    refuse_any(refusals(release, profile), "order {order_id} cannot be written: {reason}")
    cells = orders.select(**basket_cells("order_id"), Account="account_id", OrderRef="order_id")
    yield csv_files(pl.repeat(FILE, orders.height, dtype=pl.String, eager=True), cells)


def _symbol() -> pl.Expr:
    """``symbol`` as TWS knows it: the letter of a share class stands after a space."""
    return pl.col("symbol").str.replace(_CLASS_SHARE, "${1} ${2}")


def _faults() -> dict[str, pl.Expr]:
    """Why an order fits into no basket file, as ``first_faults`` takes it."""
    return {
        NOT_TOLD_APART: pl.col("shares_symbol"),
        "a basket of Interactive Brokers takes exchange-listed shares, {symbol} is of type {security_type}": ~pl.col(
            "security_type"
        ).is_in(LISTED),
        "a basket of Interactive Brokers is in shares, and {symbol} is ordered in dollars": pl.col(
            "amount_usd"
        ).is_not_null(),
        "a basket of Interactive Brokers takes whole shares, this order is for {quantity} of {symbol}": number_cell(
            "quantity"
        ).str.contains(".", literal=True),
        "the symbol {symbol} is not one that Interactive Brokers writes: capitals and digits, and a share class after a space": ~(
            _symbol().str.contains(_SYMBOL)
        ),
        "the account {account_id} is no account number of Interactive Brokers: letters and digits only": ~pl.col(
            "account_id"
        ).str.contains(_PLAIN),
        "the order's id {order_id} cannot be its basket tag: letters and digits only": ~pl.col("order_id").str.contains(
            _PLAIN
        ),
    }


def basket_cells(tag: str) -> dict[str, pl.Expr]:
    """Columns of a basket file up to its tag, of rows with ``side``, ``quantity``, ``symbol``.

    Parameters
    ----------
    tag
        Column that is the order's tag, by which it comes back.
    """
    return {
        "Action": pl.col("side").replace_strict({Side.BUY: "BUY", Side.SELL: "SELL"}, return_dtype=pl.String),
        "Quantity": number_cell("quantity"),
        "Symbol": _symbol(),
        "SecType": pl.lit("STK"),
        "Exchange": pl.lit("SMART"),
        "Currency": pl.lit("USD"),
        "TimeInForce": pl.lit("DAY"),
        "OrderType": pl.lit("MKT"),
        "BasketTag": pl.col(tag),
    }
