"""Read Alpaca's trade events: of the Broker API (``/v2/events/trades``) and of the Trading API's stream ``trade_updates``.

1. Fills are ``fill`` and ``partial_fill``, each with the ``price`` and ``qty`` of this fill alone; ``trade_bust`` and
   ``trade_correct`` name the execution in ``previous_execution_id``. These are known by ``execution_id``.
2. Other events are known by ``event_ulid`` or ``event_id``; the Trading API gives neither, there by ``execution_id``.
3. An event has no trade date: it is the day in New York of ``timestamp``, or of ``at``.
4. ``qty`` of a bust may be negative. A side that we never send (sell short and the like) is read as the way it goes, and
   named in ``text``.

``row_number`` is the place among the file's records.

Sources: Alpaca, Broker API 1.1.1, schema ``TradeUpdateEventV2``, https://docs.alpaca.markets/reference/subscribetotradev2sse;
Trading API, https://docs.alpaca.markets/docs/websocket-streaming.

Known limits: ``order.commission`` is the order's, not the fill's, so fees are null. A fill of the overnight session before
midnight counts to the day on which it happened. Alpaca's ``asset_id`` is no security of ours and is left out. The description
of ``price`` names fills alone: a correction without it cannot be read.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from schemas.enums import ExecutionKind, Side
from schemas.errors import InputRefused
from tasks.executions.alpaca_stream import raw_events
from tasks.executions.file_bytes import text_of
from tasks.executions.json_text import value_of
from tasks.executions.record_tally import RecordTally
from tasks.executions.values import market_day
from tasks.executions.words import CLOSES_LOTS, Cells, Dialect, IgnoredRecord, Unreadable, quote_value

_KINDS: Final[Mapping[str, ExecutionKind]] = {
    "new": ExecutionKind.ACKNOWLEDGED,
    "accepted": ExecutionKind.ACKNOWLEDGED,
    "rejected": ExecutionKind.REJECTED,
    "canceled": ExecutionKind.CANCELLED,
    "expired": ExecutionKind.CANCELLED,
    "done_for_day": ExecutionKind.CANCELLED,
    "fill": ExecutionKind.FILL,
    "partial_fill": ExecutionKind.FILL,
    "trade_bust": ExecutionKind.BUST,
    "trade_correct": ExecutionKind.CORRECT,
}
_STATES_BETWEEN: Final = frozenset(
    {
        *("pending_new", "replaced", "stopped", "pending_cancel", "pending_replace", "calculated", "suspended", "held"),
        *("order_replace_rejected", "order_cancel_rejected", "restated"),
    }
)
_SIDES: Final[Mapping[str, Side]] = {
    "buy": Side.BUY,
    "buy_minus": Side.BUY,
    "sell": Side.SELL,
    "sell_plus": Side.SELL,
    "sell_short": Side.SELL,
    "sell_short_exempt": Side.SELL,
}
_STREAM: Final = "trade_updates"
_SHARES: Final = "us_equity"
_DIALECT: Final = Dialect(
    names={
        "execution_id": "execution_id or event_id",
        "client_order_id": "order.client_order_id",
        "symbol": "order.symbol",
        "side": "order.side",
        "quantity": "qty",
        "price_usd": "price",
        "trade_date": "timestamp",
        "executed_at": "timestamp",
        "reference_id": "previous_execution_id",
        "text": "reason",
    }
)


def read_alpaca(path: Path, data: bytes) -> RecordTally:
    """Everything in the file, whose bytes are ``data``.

    Raises
    ------
    InputRefused
        It is not UTF-8, an array that is not whole, or holds no record.
    """
    gathered = RecordTally()
    number = 0
    for number, record in enumerate(raw_events(path.name, text_of(path.name, data)), 1):
        if isinstance(record, IgnoredRecord):
            gathered.ignore(record.name)
        elif record.fault:
            gathered.set_aside(number, record.text, record.fault)
        else:
            gathered.take(number, record.text, partial(_event_cells, record.text), _DIALECT)
    if not number and not data.lstrip().startswith(b"["):
        raise InputRefused(
            f"{path.name} holds no event; needed JSON, a line for each event\n\nHint: deliver the file again."
        )
    return gathered


def _event_cells(text: str) -> Cells | IgnoredRecord:
    """What an event says; other streams and states between are ignored by name."""
    event = _object(value_of(text), "the record")
    if "stream" in event:
        if event["stream"] != _STREAM:
            return IgnoredRecord(f"stream {str(event['stream'])[:20]}")
        event = _object(event.get("data"), "data")
    word = _text(event, "event") or ""
    if word in _STATES_BETWEEN:
        return IgnoredRecord(word)
    kind = _KINDS.get(word)
    if kind is None:
        raise Unreadable(f"event is {quote_value(word)}; needed one of {', '.join(_KINDS)}")
    return _message(event, kind, _object(event.get("order"), "order"))


def _message(event: Mapping[str, Any], kind: ExecutionKind, order: Mapping[str, Any]) -> Cells:
    _refuse_unlike(event, order)
    is_trade = kind in {*CLOSES_LOTS, ExecutionKind.BUST}
    executed_at = _text(event, "timestamp") or _text(event, "at")
    side, side_name = _side(_text(order, "side"))
    return {
        "execution_id": _text(event, "execution_id") if is_trade else _event_id(event),
        "kind": kind,
        "client_order_id": _text(order, "client_order_id"),
        "account_id": _text(event, "account_id"),
        "symbol": _text(order, "symbol"),
        "side": side,
        "quantity": _quantity(event, kind) if is_trade else None,
        "price_usd": _text(event, "price") if is_trade else None,
        "trade_date": market_day(executed_at) if is_trade else None,
        "executed_at": executed_at,
        "reference_id": _text(event, "previous_execution_id") if is_trade else None,
        "text": "; ".join(filter(None, (side_name, _text(event, "reason")))),
    }


def _quantity(event: Mapping[str, Any], kind: ExecutionKind) -> str | None:
    """``qty``; that of a bust may be negative, for what is taken back."""
    quantity = _text(event, "qty")
    return quantity.removeprefix("-") if quantity and kind is ExecutionKind.BUST else quantity


def _event_id(event: Mapping[str, Any]) -> str | None:
    return _text(event, "event_ulid") or _text(event, "event_id") or _text(event, "execution_id")


def _refuse_unlike(event: Mapping[str, Any], order: Mapping[str, Any]) -> None:
    """What is not counted in shares and dollars."""
    asset_class = _text(order, "asset_class") or _SHARES
    if asset_class != _SHARES:
        raise Unreadable(f"order.asset_class is {quote_value(asset_class)}; needed {_SHARES}")
    if _text(event, "swap_rate"):
        raise Unreadable(f"the event has swap_rate {quote_value(str(event['swap_rate']))}; needed a trade in USD")


def _side(code: str | None) -> tuple[str | None, str]:
    """The way it goes, and words for ``text`` where we never send the like."""
    if code is None:
        return None, ""
    if code not in _SIDES:
        raise Unreadable(f"order.side is {quote_value(code)}; needed one of {', '.join(_SIDES)}")
    return _SIDES[code], "" if code in set(Side) else f"side {code}"


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Unreadable(f"{name} is {quote_value(str(value))}; needed a JSON object")
    return value


def _text(record: Mapping[str, Any], name: str) -> str | None:
    """A text or a number of the object, as text; null where there is none."""
    value = record.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Unreadable(f"{name} is {quote_value(str(value))}; needed text or a number")
    return value
