"""Profile ``ibkr_basket``: one basket file for Interactive Brokers' BasketTrader, a line an order, every account in it.

    Action,Quantity,Symbol,SecType,Exchange,Currency,TimeInForce,OrderType,BasketTag,Account,OrderRef
    SELL,12,BRK B,STK,SMART,USD,DAY,MKT,9f2c41d07ab35e688123,U1234567,9f2c41d07ab35e688123

Sources: as ``ibkr_words``. The first eight columns are those that the guide's own market orders have ("Manually Create a Basket
File", https://www.interactivebrokers.com.hk/php/webhelp/Making_Trades/baskets/manualBasket.htm). ``Account`` is the guide's field for
advisors, so one file holds the orders of many accounts. The order's id is ``BasketTag``, which "appears in the Order Reference
field of the Trade report", and ``OrderRef``, the same field by its name in the files that TWS saves.

Known limits: the guide's list has no field for the cash amount that a mutual fund is bought by, no type for bonds and only
whole quantities, so these are refused, though parts of TWS take more. The primary exchange of a security is not known here,
``SMART`` stands alone and TWS asks where a symbol is ambiguous. Each order is cleared on its own: a buy may lack the cash of a sell
not yet filled, so transmit the sells first (they stand first in each account). Do not save the file from a spreadsheet: an
id such as ``123e45...`` reads as a number there.
"""

from collections.abc import Iterator
from typing import Final

import polars as pl

from schemas.exports import Profile
from tasks.core.export.ibkr_words import basket_cells, basket_faults
from tasks.core.export.package import ExportPackage, refuse_any
from tasks.core.export.words import first_faults
from tasks.core.facts import csv_files

FILE: Final = "basket.csv"


def refusals(release: ExportPackage, profile: Profile) -> pl.DataFrame:  # noqa: ARG001 - as every format
    """What is no whole number of listed shares, or has a name that a basket cannot hold."""
    return first_faults(release.orders, basket_faults())


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
