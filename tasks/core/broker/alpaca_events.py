"""Reports of a simulated broker as trade events of Alpaca's Broker API, a line of JSON each (``/v2/events/trades``).

Source: as ``tasks.executions.alpaca_events`` reads them. The ids of account, order and asset that Alpaca gives are not known here: the account's
is ours, the order's is left out.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from schemas.enums import ExecutionKind

_EVENTS: Final[Mapping[str, str]] = {
    ExecutionKind.ACKNOWLEDGED: "new",
    ExecutionKind.REJECTED: "rejected",
    ExecutionKind.CANCELLED: "expired",
    ExecutionKind.FILL: "fill",
    ExecutionKind.BUST: "trade_bust",
    ExecutionKind.CORRECT: "trade_correct",
}


def alpaca_bytes(reports: pl.DataFrame) -> bytes:
    """A line for each report."""
    return "".join(json.dumps(_event(row), ensure_ascii=False) + "\n" for row in reports.iter_rows(named=True)).encode()


def _event(row: Mapping[str, Any]) -> dict[str, Any]:
    moment = f"{row['executed_at']:%Y-%m-%dT%H:%M:%SZ}"
    order = {
        "client_order_id": row["client_order_id"],
        "symbol": row["symbol"],
        "side": row["side"],
        "asset_class": "us_equity",
    }
    event = {
        "account_id": row["account_id"],
        "at": moment,
        "event": _EVENTS[row["kind"]],
        "event_id": row["execution_id"],
        "execution_id": row["execution_id"],
        "order": order,
        "previous_execution_id": row["reference_id"],
        "price": _text(row["price_usd"]),
        "qty": _text(row["quantity"]),
        "reason": row["text"],
        "timestamp": moment,
    }
    return {name: value for name, value in event.items() if value is not None}


def _text(number: Any) -> str | None:
    return None if number is None else f"{number.normalize():f}"
