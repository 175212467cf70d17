"""Fills of a simulated broker as the section Trades of Interactive Brokers' activity Flex statements.

A bust is a cancelled trade. A correction is one too, and the trade that was booked in its place: it has the correction's id, its cancellation that
id and ``-0``. There is nothing else in a statement. Cancellations have no ``orderReference``.

Source: as ``tasks.executions.flex_trades`` reads them.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final
from xml.sax.saxutils import quoteattr

import polars as pl

from schemas.enums import ExecutionKind, Side

_CANCELLATION: Final = "-0"
_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<FlexQueryResponse queryName="simulated" type="AF">\n<FlexStatements count="1">\n'
    '<FlexStatement accountId="-" fromDate="{day}" toDate="{day}" period="" whenGenerated="{day};231500">\n<Trades>\n'
)
_TAIL: Final = "</Trades>\n</FlexStatement>\n</FlexStatements>\n</FlexQueryResponse>\n"


def flex_bytes(reports: pl.DataFrame) -> bytes:
    """A statement of all accounts."""
    last = reports["executed_at"].max()
    day = f"{last:%Y%m%d}" if isinstance(last, date) else ""
    trades = "".join(_trade(cells) for row in reports.iter_rows(named=True) for cells in _trades(row))
    return (_HEAD.format(day=day) + trades + _TAIL).encode()


def _trades(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What the statement has of a report."""
    if row["kind"] == ExecutionKind.BUST:
        yield {**row, "is_cancelled": True}
    elif row["kind"] == ExecutionKind.CORRECT:
        yield {**row, "is_cancelled": True, "execution_id": row["execution_id"] + _CANCELLATION}
        yield {**row, "is_cancelled": False}
    elif row["kind"] == ExecutionKind.FILL:
        yield {**row, "is_cancelled": False}


def _trade(row: Mapping[str, Any]) -> str:
    is_cancelled, is_sale = row["is_cancelled"], row["side"] == Side.SELL
    cells = {
        "accountId": row["account_id"],
        "currency": "USD",
        "assetCategory": "STK",
        "symbol": row["symbol"],
        "multiplier": "1",
        "dateTime": f"{row['executed_at']:%Y%m%d;%H%M%S} UTC",
        "tradeDate": f"{row['trade_date']:%Y%m%d}",
        "transactionType": "TradeCancel" if is_cancelled else "ExchTrade",
        "quantity": f"{'-' if is_sale != is_cancelled else ''}{row['quantity'].normalize():f}",
        "tradePrice": f"{row['price_usd'].normalize():f}",
        "ibCommission": "",
        "ibCommissionCurrency": "USD",
        "origTransactionID": row["reference_id"] if is_cancelled else "0",
        "buySell": ("SELL" if is_sale else "BUY") + (" (Ca.)" if is_cancelled else ""),
        "transactionID": row["execution_id"],
        "orderReference": "" if is_cancelled else row["client_order_id"],
        "notes": row["text"],
        "levelOfDetail": "EXECUTION",
    }
    return f"<Trade {' '.join(f'{name}={quoteattr(text)}' for name, text in cells.items())} />\n"
