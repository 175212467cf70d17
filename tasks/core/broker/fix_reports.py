"""Reports of a simulated broker as FIX 4.4 execution reports (35=8), one after the other.

Beside what is read of a report (``tasks.executions.fix_log``) each says how its order stands afterwards: OrdStatus (39), CumQty (14),
LeavesQty (151) and AvgPx (6). Text (58) says that it is simulated.

Source: FIX 4.4, volume 4 (ExecutionReport) and its order state changes, FIX Trading Community, https://www.fixtrading.org/standards/.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import polars as pl

from schemas.enums import ExecutionKind, Side
from tasks.core.export import SOH, frame_messages

_TYPES: Final[Mapping[str, str]] = {
    ExecutionKind.ACKNOWLEDGED: "0",
    ExecutionKind.CANCELLED: "4",
    ExecutionKind.REJECTED: "8",
    ExecutionKind.FILL: "F",
    ExecutionKind.CORRECT: "G",
    ExecutionKind.BUST: "H",
}
_OVER: Final = frozenset({ExecutionKind.CANCELLED, ExecutionKind.REJECTED})
_BEGIN: Final = "FIX.4.4"


@dataclass(slots=True)
class _OrderStanding:
    """An order, and the fills of it that stand: quantity and price by id."""

    ordered: Decimal
    fills: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)

    def take(self, row: Mapping[str, Any]) -> None:
        """What a report changes."""
        if row["reference_id"] is not None:
            del self.fills[row["reference_id"]]
        if row["kind"] in {ExecutionKind.FILL, ExecutionKind.CORRECT}:
            self.fills[row["execution_id"]] = row["quantity"], row["price_usd"]

    def fields(self, kind: str) -> Iterator[tuple[int, str]]:
        """OrdStatus, CumQty, LeavesQty and AvgPx."""
        filled = sum((quantity for quantity, _ in self.fills.values()), Decimal(0))
        paid = sum((quantity * price for quantity, price in self.fills.values()), Decimal(0))
        status = "2" if filled == self.ordered else "1" if filled else "0"
        yield 39, _TYPES[kind] if kind in _OVER else status
        yield 14, _number(filled)
        yield 151, _number(Decimal(0) if kind in _OVER else self.ordered - filled)
        yield 6, _number((paid / filled).quantize(Decimal("0.000001")) if filled else Decimal(0))


def fix_bytes(reports: pl.DataFrame, orders: pl.DataFrame) -> bytes:
    """A message for each report, a line feed after each."""
    standing = {name: _OrderStanding(quantity) for name, quantity in orders.select("order_id", "quantity").iter_rows()}
    bodies = [
        _body(place, row, standing[row["client_order_id"]])
        for place, row in enumerate(reports.iter_rows(named=True), 1)
    ]
    messages = frame_messages(_BEGIN, pl.Series(bodies, dtype=pl.String))
    return "".join(f"{message}\n" for message in messages).encode()


def _body(place: int, row: Mapping[str, Any], order: _OrderStanding) -> str:
    order.take(row)
    moment = f"{row['executed_at']:%Y%m%d-%H:%M:%S}"
    is_fill = row["kind"] in {ExecutionKind.FILL, ExecutionKind.CORRECT}
    fields = [
        (35, "8"),
        (49, "SIMULATED"),
        (56, "TRIMTAB"),
        (34, str(place)),
        (52, moment),
        (37, row["client_order_id"]),
        (17, row["execution_id"]),
        (150, _TYPES[row["kind"]]),
        (11, row["client_order_id"]),
        (1, row["account_id"]),
        (55, row["symbol"]),
        (54, "1" if row["side"] == Side.BUY else "2"),
        (32, _number(row["quantity"]) if is_fill else None),
        (31, _number(row["price_usd"]) if is_fill else None),
        (75, f"{row['trade_date']:%Y%m%d}" if is_fill else None),
        (60, moment),
        (19, row["reference_id"]),
        *order.fields(row["kind"]),
        (58, row["text"]),
    ]
    return "".join(f"{tag}={value}{SOH}" for tag, value in fields if value is not None)


def _number(number: Decimal) -> str:
    return f"{number.normalize():f}"
