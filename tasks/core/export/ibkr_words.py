"""What both Interactive Brokers formats have in common: the cells of a basket file and what an order must be to fit them.

Sources: "Basket Fields" and "Manually Create a Basket File" of the Trader Workstation Users' Guide
(https://www.ibkrguides.com/traderworkstation/basket-fields.htm and ``manually-create-a-basket-file.htm``): fields may stand in
any order as long as the header names them, and a value holds no comma and has no space beside one. That class shares are
written with a space (``BRK B`` for ``BRK/B`` or ``BRK-B``): Interactive Brokers' knowledge base, "How do I enter the symbol for
Berkshire Hathaway Class B shares onto TWS?" (https://ibkr.info/tag/stocksetfs).

The guide describes no quotes and TWS would take an apostrophe for part of the value. So cells are written bare, and what
would need either is refused: every text here is made of letters, digits and one space.
"""

from typing import Final

import polars as pl

from schemas.enums import SecurityType, Side
from tasks.core.facts import number_cell

LISTED: Final = (SecurityType.ETF, SecurityType.EQUITY)
"""What is a stock (``STK``) to TWS."""
_CLASS_SHARE: Final = r"^([A-Z0-9]+)[./ -]([A-Z])$"
_SYMBOL: Final = r"^[A-Z0-9]+( [A-Z])?$"
_PLAIN: Final = r"^[A-Za-z0-9]+$"
"""Account numbers, such as U1234567, and tags: "any unique string of alpha or numeric characters"."""


def ibkr_symbol() -> pl.Expr:
    """``symbol`` as TWS knows it: the letter of a share class stands after a space."""
    return pl.col("symbol").str.replace(_CLASS_SHARE, "${1} ${2}")


def basket_faults() -> dict[str, pl.Expr]:
    """Why an order fits into no basket file, as ``words.refused`` takes it."""
    return {
        "a basket of Interactive Brokers takes exchange-listed shares, {symbol} is of type {security_type}": ~pl.col(
            "security_type"
        ).is_in(LISTED),
        "a basket of Interactive Brokers takes whole shares, this order is for {quantity} of {symbol}": number_cell(
            "quantity"
        ).str.contains(".", literal=True),
        "the symbol {symbol} is not one that Interactive Brokers writes: capitals and digits, and a share class after a space": ~(
            ibkr_symbol().str.contains(_SYMBOL)
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
        "Symbol": ibkr_symbol(),
        "SecType": pl.lit("STK"),
        "Exchange": pl.lit("SMART"),
        "Currency": pl.lit("USD"),
        "TimeInForce": pl.lit("DAY"),
        "OrderType": pl.lit("MKT"),
        "BasketTag": pl.col(tag),
    }
