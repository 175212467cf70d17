"""Executions as brokers write them: rows of ``EXECUTIONS`` as a CSV, FIX messages, Alpaca's events and a Flex statement.

Written from the specifications, apart from the readers. A row is a dictionary of the columns that it has.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from tasks.executions.read import ExecutionRecords, read_executions
from tasks.executions.words import ExecutionFormat

Row = Mapping[str, Any]
SOH = "\x01"
EXEC_TYPES = {"acknowledged": "0", "rejected": "8", "cancelled": "4", "fill": "F", "bust": "H", "correct": "G"}
EVENTS = {
    "acknowledged": "new",
    "rejected": "rejected",
    "cancelled": "canceled",
    "fill": "fill",
    "bust": "trade_bust",
    "correct": "trade_correct",
}
CSV_COLUMNS = (
    *(
        "execution_id",
        "kind",
        "client_order_id",
        "account_id",
        "symbol",
        "security_id",
        "side",
        "quantity",
        "price_usd",
    ),
    *("fees_usd", "trade_date", "executed_at", "reference_id", "text"),
    *("lot_id", "lot_acquired_date", "lot_quantity", "lot_unit_cost_usd"),
)


def read_text(
    folder: Path,
    text: str | bytes,
    format: ExecutionFormat | None = None,  # noqa: A002
    name: str = "f.txt",
) -> ExecutionRecords:
    """What is read of a file with this text."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_executions(path, format)


def csv_text(rows: Iterable[Row], columns: Sequence[str] = CSV_COLUMNS) -> str:
    """A line for each row, or for each of its ``lots``."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        for lot in row.get("lots") or [{}]:
            whole = {**row, **{f"lot_{name.removeprefix('lot_')}": value for name, value in lot.items()}}
            writer.writerow([_plain(whole.get(column)) for column in columns])
    return out.getvalue()


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return "" if value is None else str(value)


def fix_message(*fields: tuple[int, Any], separator: str = SOH, version: str = "FIX.4.4") -> str:
    """A message of these fields, the first of which is MsgType; begun, counted and summed as the standard says."""
    body = "".join(f"{number}={value}{SOH}" for number, value in fields if value is not None)
    head = f"8={version}{SOH}9={len(body.encode())}{SOH}"
    total = sum((head + body).encode()) % 256
    return f"{head}{body}10={total:03d}{SOH}".replace(SOH, separator)


def fix_report(row: Row, separator: str = SOH, version: str = "FIX.4.4", **more: Any) -> str:
    """An execution report of the row. ``more``: further fields by their number, as ``f20="0"``."""
    has_fees = row.get("fees_usd") is not None
    executed_at = row.get("executed_at")
    trade_date = row.get("trade_date")
    fields = {
        35: "8",
        49: "BROKER",
        56: "TRIMTAB",
        34: "7",
        37: "order-1",
        17: row.get("execution_id"),
        150: EXEC_TYPES.get(row["kind"], row["kind"]),
        11: row.get("client_order_id"),
        1: row.get("account_id"),
        55: row.get("symbol"),
        48: row.get("security_id"),
        54: {"buy": "1", "sell": "2"}.get(row.get("side") or "", row.get("side")),
        32: row.get("quantity"),
        31: row.get("price_usd"),
        12: row.get("fees_usd"),
        13: "3" if has_fees else None,
        75: f"{trade_date:%Y%m%d}" if trade_date else None,
        60: executed_at.astimezone(UTC).strftime("%Y%m%d-%H:%M:%S.%f") if executed_at else None,
        19: row.get("reference_id"),
        58: row.get("text"),
        **{int(name.removeprefix("f")): value for name, value in more.items()},
    }
    return fix_message(*fields.items(), separator=separator, version=version)


def alpaca_event(row: Row, **changed: Any) -> dict[str, Any]:
    """An event of the Broker API."""
    is_trade = row["kind"] in {"fill", "bust", "correct"}
    event = {
        "account_id": row.get("account_id"),
        "at": "2026-01-05T15:00:00.123456Z",
        "event": EVENTS[row["kind"]],
        "event_id": "01G112NTT0XAXKDZK3AABK68TH" if is_trade else row["execution_id"],
        "execution_id": row["execution_id"] if is_trade else "an-execution-of-no-trade",
        "order": {
            "id": "edada91a-8b55-4916-a153-8c7a9817e708",
            "asset_class": "us_equity",
            "client_order_id": row.get("client_order_id"),
            "symbol": row.get("symbol"),
            "side": row.get("side"),
            "commission": "1",
            "qty": "999",
            "filled_qty": "998",
            "filled_avg_price": "997.123456789",
        },
        "previous_execution_id": row.get("reference_id"),
        "price": _plain(row.get("price_usd")) or None,
        "qty": _plain(row.get("quantity")) or None,
        "reason": row.get("text"),
        "timestamp": _plain(row.get("executed_at")) or None,
    }
    return {name: value for name, value in {**event, **changed}.items() if value is not None}


def alpaca_text(events: Sequence[Any], shape: str = "lines") -> str:
    """``lines``, an ``array`` or a ``stream`` of server-sent events."""
    if shape == "array":
        return json.dumps(events, indent=1)
    lines = [json.dumps(event, ensure_ascii=False) for event in events]
    return "".join(f"data: {line}\n\n" for line in lines) if shape == "stream" else "".join(f"{x}\n" for x in lines)


def flex_trade(row: Row, **changed: Any) -> str:
    """A trade at the level of executions, or the cancellation of one."""
    is_bust, is_sale = row["kind"] == "bust", row.get("side") == "sell"
    executed_at, trade_date = row.get("executed_at"), row.get("trade_date")
    cells = {
        "accountId": row.get("account_id"),
        "currency": "USD",
        "assetCategory": "STK",
        "symbol": row.get("symbol"),
        "conid": row.get("security_id"),
        "multiplier": "1",
        "tradeID": "",
        "dateTime": f"{executed_at.astimezone(UTC):%Y%m%d;%H%M%S} UTC" if executed_at else "",
        "tradeDate": f"{trade_date:%Y%m%d}" if trade_date else "",
        "transactionType": "TradeCancel" if is_bust else "ExchTrade",
        "quantity": f"{'-' if is_sale != is_bust else ''}{row.get('quantity') or ''}",
        "tradePrice": row.get("price_usd"),
        "ibCommission": -row["fees_usd"] if row.get("fees_usd") is not None else "",
        "ibCommissionCurrency": "USD",
        "origTradeID": "",
        "origTransactionID": row.get("reference_id") or "0",
        "buySell": f"{'SELL' if is_sale else 'BUY'}{' (Ca.)' if is_bust else ''}",
        "transactionID": row.get("execution_id"),
        "ibExecID": "0000edae.680b59d1.01.01",
        "orderReference": row.get("client_order_id"),
        "notes": row.get("text"),
        "levelOfDetail": "EXECUTION",
    }
    return _element("Trade", {name: "" if value is None else value for name, value in cells.items()} | changed)


def flex_lot(trade: Row, lot: Row, **changed: Any) -> str:
    """A closed lot of the trade."""
    executed_at, acquired = trade.get("executed_at"), lot.get("acquired_date")
    cells = {
        "accountId": trade.get("account_id"),
        "symbol": trade.get("symbol"),
        "conid": trade.get("security_id"),
        "dateTime": f"{executed_at.astimezone(UTC):%Y%m%d;%H%M%S} UTC" if executed_at else "",
        "quantity": lot.get("quantity"),
        "cost": lot.get("cost"),
        "openDateTime": f"{acquired:%Y%m%d};093000" if acquired else "",
        "transactionID": lot.get("lot_id"),
        "orderReference": "",
        "levelOfDetail": "CLOSED_LOT",
        **changed,
    }
    return _element("Lot", cells)


def _element(tag: str, cells: Mapping[str, Any]) -> str:
    """An element; an attribute that is None is not selected in the query."""
    named = " ".join(f"{name}={quoteattr(str(value))}" for name, value in cells.items() if value is not None)
    return f"<{tag} {named} />\n"


def flex_text(*elements: str, account: str = "U1") -> str:
    """An activity statement with these trades and lots."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<FlexQueryResponse queryName="q" type="AF">\n<FlexStatements count="1">\n'
        f'<FlexStatement accountId={quoteattr(account)} fromDate="20260105" toDate="20260105" period="" '
        f'whenGenerated="20260105;231500">\n<Trades>\n{"".join(elements)}'
        "</Trades>\n</FlexStatement>\n</FlexStatements>\n</FlexQueryResponse>\n"
    )
