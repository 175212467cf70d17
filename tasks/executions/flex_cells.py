"""What a trade and a closed lot of a Flex statement say, attribute by attribute; ``tasks.executions.flex_trades`` has the rules."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.enums import ExecutionKind, Side
from schemas.landing_columns import CURRENCY
from tasks.executions import values
from tasks.executions.flex_elements import Element
from tasks.executions.words import Cells, Dialect, Unreadable, quote_value

_SIDES: Final[Mapping[str, tuple[Side, bool, str]]] = {
    "BUY": (Side.BUY, False, ""),
    "SELL": (Side.SELL, False, "-"),
    "BUY (Ca.)": (Side.BUY, True, "-"),
    "SELL (Ca.)": (Side.SELL, True, ""),
}
"""The way it goes, whether it is a cancellation, and the sign of its quantity."""
_SHARES: Final = ("STK", "FUND")
_MOMENT: Final = re.compile(
    r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})(?:(?:[;,T ] ?)?([0-9]{2}):?([0-9]{2}):?([0-9]{2}))?(?: ([A-Z]{2,5}))?"
)
_ZONES: Final = {"EST": "-05:00", "EDT": "-04:00", "UTC": "Z", "GMT": "Z"}
_GROUPED: Final = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?")
TRADE: Final = Dialect(
    names={
        "execution_id": "transactionID",
        "client_order_id": "orderReference",
        "account_id": "accountId",
        "security_id": "conid",
        "side": "buySell",
        "price_usd": "tradePrice",
        "fees_usd": "ibCommission",
        "trade_date": "tradeDate",
        "executed_at": "dateTime",
        "reference_id": "origTransactionID",
    },
    day="a day as yyyyMMdd or yyyy-MM-dd",
    moment="a time as yyyyMMdd;HHmmss of New York, or with one of the zones EST, EDT, UTC, GMT",
)
LOT: Final = Dialect(
    names={"lot_id": "transactionID", "acquired_date": "openDateTime", "unit_cost_usd": "cost"},
    day="a day as yyyyMMdd or yyyy-MM-dd",
)


@dataclass(slots=True)
class OpenTrades:
    """Trades that a cancellation may be about: ``transactionID`` of those before it, by account and ``tradeID``."""

    trades: dict[tuple[str | None, str], list[str]] = field(default_factory=dict)

    def add(self, trade: Element) -> None:
        """A trade that was made."""
        name, trade_id = trade.get("transactionID"), trade.get("tradeID")
        if name is not None and trade_id is not None:
            self.trades.setdefault((_account(trade), trade_id), []).append(name)

    def cancelled_by(self, cancellation: Element) -> str:
        """``transactionID`` of the trade that is cancelled, which stands no more.

        Raises
        ------
        Unreadable
            It is not known which.
        """
        name, trade_id = cancellation.get("origTransactionID"), cancellation.get("origTradeID")
        standing = self.trades.get((_account(cancellation), trade_id or ""), [])
        if name in {None, "0"}:
            if len(standing) != 1:
                raise Unreadable(
                    f"the cancellation has no origTransactionID, and {len(standing)} trades before it have the tradeID "
                    f"{quote_value(trade_id or '')}; needed one"
                )
            name = standing[0]
        if name in standing:
            standing.remove(name)
        return str(name)


def trade_cells(trade: Element, standing: OpenTrades) -> Cells:
    """What a trade says; ``standing`` are the trades before it.

    Raises
    ------
    Unreadable
        It is not counted in shares and dollars, or contradicts itself.
    """
    _refuse_unlike(trade)
    side, is_cancellation, sign = _side(trade)
    reference = standing.cancelled_by(trade) if is_cancellation else None
    if not is_cancellation:
        standing.add(trade)
    return {
        "execution_id": trade.get("transactionID"),
        "kind": ExecutionKind.BUST if is_cancellation else ExecutionKind.FILL,
        "client_order_id": trade.get("orderReference"),
        "account_id": _account(trade),
        "symbol": trade.get("symbol"),
        "security_id": trade.get("conid"),
        "side": side,
        "quantity": _magnitude(trade, sign),
        "price_usd": _without_thousands(trade.get("tradePrice")),
        "fees_usd": _fees(trade),
        "trade_date": values.iso_day(trade.get("tradeDate")),
        "executed_at": _iso_moment(trade.get("dateTime")),
        "reference_id": reference,
        "text": trade.get("notes"),
    }


def _refuse_unlike(trade: Element) -> None:
    """What is not counted in shares and dollars, or changes a trade in a way that is not known."""
    if trade.get("assetCategory") not in _SHARES:
        raise Unreadable(
            f"assetCategory is {quote_value(trade.get('assetCategory') or '')}; needed one of {', '.join(_SHARES)}"
        )
    for name in ("currency", "ibCommissionCurrency"):
        currency = trade.get(name)
        if currency != CURRENCY and (name == "currency" or currency is not None):
            raise Unreadable(f"{name} is {quote_value(currency or '')}; needed {CURRENCY}")
    if trade.get("multiplier") not in {None, "1"}:
        raise Unreadable(f"multiplier is {quote_value(trade.get('multiplier') or '')}; needed 1")
    if trade.get("transactionType") == "TradeCorrect":
        raise Unreadable("transactionType is 'TradeCorrect', and how it changes a trade is not known; needed a person")


def _account(element: Element) -> str | None:
    return element.get("accountId") or (element.account if element.account not in {"", "-"} else None)


def _side(trade: Element) -> tuple[Side, bool, str]:
    code = trade.get("buySell") or ""
    if code not in _SIDES:
        raise Unreadable(f"buySell is {quote_value(code)}; needed one of {', '.join(_SIDES)}")
    return _SIDES[code]


def _magnitude(trade: Element, sign: str) -> str | None:
    text = _without_thousands(trade.get("quantity"))
    if text is not None and text.startswith("-") != (sign == "-"):
        needed = "below" if sign else "above"
        raise Unreadable(f"quantity is {quote_value(text)} of {trade.get('buySell')}; needed a number {needed} 0")
    return text and text.removeprefix("-")


def _fees(trade: Element) -> str | None:
    text = _without_thousands(trade.get("ibCommission"))
    if text is None:
        return None
    paid = values.number(text, "ibCommission").copy_negate()
    if paid < 0:
        raise Unreadable(f"ibCommission is {quote_value(text)}, paid to the account; needed 0 or below")
    return f"{paid:f}"


def _without_thousands(text: str | None) -> str | None:
    """A number without its thousands separators."""
    return text.replace(",", "") if text and _GROUPED.fullmatch(text) else text


def _iso_moment(text: str | None) -> str | None:
    """A time with its zone; null for a day alone. What is no time, or of another zone, stays as it is."""
    found = _MOMENT.fullmatch(text or "")
    if found is None:
        return text
    *parts, zone = found.groups()
    if parts[3] is None:
        return None
    local = "{}-{}-{}T{}:{}:{}".format(*parts)
    iso = values.in_market(local) if zone is None else local + _ZONES.get(zone, zone)
    return iso if values.market_day(iso) else text


def lot_cells(element: Element) -> Cells:
    """What a closed lot says."""
    quantity = (_without_thousands(element.get("quantity")) or "").removeprefix("-")
    opened = _MOMENT.fullmatch(element.get("openDateTime") or "")
    return {
        "lot_id": element.get("transactionID"),
        "acquired_date": values.iso_day("-".join(opened.groups()[:3])) if opened else element.get("openDateTime"),
        "quantity": quantity,
        "unit_cost_usd": _unit_cost(_without_thousands(element.get("cost")), quantity),
    }


def _unit_cost(cost: str | None, quantity: str) -> str | None:
    """Cost of one share, rounded half-even to six digits. Null where it is unknown, which is written 0."""
    if cost is None or not quantity:
        return None
    paid = values.number(cost, "cost").copy_abs()
    return f"{values.six_digits(paid / values.positive(quantity, 'quantity')):f}" if paid else None
