"""Read executions from the section Trades of Interactive Brokers' activity Flex statements.

1. A ``Trade`` at the level EXECUTION is a message. It is known by ``transactionID``: every trade has one of its own, while a
   trade that was cancelled and booked again comes back with the ``tradeID`` and ``ibExecID`` it had.
2. ``orderReference`` is the order's name. Quantities are signed: purchases above 0, sales below.
3. ``BUY (Ca.)`` and ``SELL (Ca.)`` are busts. ``origTransactionID`` names the trade; where the query leaves it out,
   ``origTradeID`` does, if one trade of that name stands before in the file that was not cancelled yet. A cancellation has no
   ``orderReference``: its order is that of the trade. What is booked in its place is a fill.
4. ``ibCommission`` is negative where a fee was paid, and has up to nine digits after the point.
5. Times are of New York unless they end in a zone (EST, EDT, UTC, GMT).
6. Closed lots follow their trade: ``Lot`` elements, or trades at the level CLOSED_LOT, of the same account, contract and time.
   ``transactionID`` is that of the purchase, as in the lots of a position; ``cost`` is the lot's, 0 where it is unknown; the day
   is that of ``openDateTime``. A purchase that stands twice among the lots of one trade names neither. Where one lot cannot be
   read, no lot of its trade counts; the trade does.
7. Orders and summaries are ignored by name. Trades without any execution refuse the file.

``row_number`` is the place among the elements of the sections Trades.

Sources: ibflex 1.1, ``ibflex.Types.Trade`` and ``ibflex.enums.BuySell`` (every trade has a ``transactionID`` that no query can
deselect); statements shown in https://github.com/portfolio-performance/portfolio/issues/5915 (cancelled and booked again),
https://github.com/ib-edavki/ib-edavki/issues/55 (a cancellation whole) and https://github.com/Dr-Nuke/drnuke-bean/pull/9
(lots after their trade).

Known limits: the fees of a cancelled trade go with it, what is booked in its place has none. ``TradeCorrect`` was seen by nobody
whom we could ask, and is unread.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from schemas.errors import InputRefused
from tasks.executions.execution import Execution, Lot, execution, lot, refuse_odd_lots, repeated_names
from tasks.executions.flex_cells import LOT, TRADE, OpenTrades, lot_cells, trade_cells
from tasks.executions.flex_elements import Element, trade_elements
from tasks.executions.record_tally import RecordTally
from tasks.executions.words import Unreadable

NEEDED: Final = (
    *("transactionID", "orderReference", "buySell", "quantity", "tradePrice", "tradeDate", "currency"),
    "assetCategory",
)
"""Attributes that the query must have."""


@dataclass(slots=True)
class _Trade:
    """An execution and the closed lots that follow it."""

    element: Element
    lots: list[Element] = field(default_factory=list)


def read_flex(path: Path, data: bytes) -> RecordTally:
    """Everything in the file, whose bytes are ``data``.

    Raises
    ------
    InputRefused
        The file is no Flex statement with executions, not the whole of one, or lacks an attribute.
    """
    elements = trade_elements(path.name, data)
    gathered = RecordTally()
    trades = _trades(gathered, elements)
    _refuse_without_detail(path.name, elements, [trade.element for trade in trades])
    standing = OpenTrades()
    for trade in trades:
        _take(gathered, trade, standing)
    return gathered


def _level(element: Element) -> str:
    if element.tag == "Lot":
        return "CLOSED_LOT"
    return (element.get("levelOfDetail") or "").upper() if element.tag == "Trade" else ""


def _trades(gathered: RecordTally, elements: Sequence[Element]) -> list[_Trade]:
    """Executions with their lots. Other levels are ignored, and lots that follow no execution are set aside."""
    trades: list[_Trade] = []
    for element in elements:
        level = _level(element)
        if level == "EXECUTION":
            trades.append(_Trade(element))
        elif level != "CLOSED_LOT":
            gathered.ignore(f"{element.tag[:40]} {level[:40]}".strip())
        elif trades and _is_of(element, trades[-1].element):
            trades[-1].lots.append(element)
        else:
            gathered.set_aside(
                element.number, element.raw, "the lot follows no execution that it is of; needed it after its trade"
            )
    return trades


def _is_of(lot: Element, trade: Element) -> bool:
    """Whether a lot is of the trade that it follows, as far as both tell."""
    shared = [(lot.get(name), trade.get(name)) for name in ("accountId", "conid", "symbol", "dateTime", "tradeDate")]
    return lot.statement == trade.statement and all(a == b for a, b in shared if a is not None and b is not None)


def _refuse_without_detail(name: str, elements: Sequence[Element], executions: Sequence[Element]) -> None:
    if elements and not executions:
        raise InputRefused(
            f"{name} has trades without their executions; needed executions\n\n"
            "Hint: tick Executions among the options of the query's section Trades, and select Level of Detail."
        )
    lacking = [each for each in NEEDED if executions and not any(each in trade.attributes for trade in executions)]
    if lacking:
        raise InputRefused(
            f"{name}: no Trade has the attribute {', '.join(lacking)}; needed it\n\n"
            "Hint: select the field in the query's section Trades."
        )


def _take(gathered: RecordTally, trade: _Trade, standing: OpenTrades) -> None:
    element = trade.element
    try:
        said = trade_cells(element, standing)
        found = execution(said, TRADE)
    except Unreadable as error:
        gathered.set_aside(element.number, element.raw, str(error))
        _set_lots_aside(gathered, trade, "the lot's trade cannot be read; needed it")
        return
    gathered.accept(element.number, element.raw, found, said)
    try:
        gathered.close_lots(found.execution_id, _lots(found, trade.lots))
    except Unreadable as error:
        _set_lots_aside(gathered, trade, f"a lot of trade {found.execution_id} cannot be read: {error}")


def _set_lots_aside(gathered: RecordTally, trade: _Trade, message: str) -> None:
    for each in trade.lots:
        gathered.set_aside(each.number, each.raw, message)


def _lots(found: Execution, elements: Sequence[Element]) -> list[tuple[int, Lot]]:
    lots = [lot(lot_cells(element), LOT) for element in elements]
    refuse_odd_lots(found, lots, may_be_less=True)
    twice = repeated_names(lots)
    return [
        (element.number, each._replace(lot_id=None) if each.lot_id in twice else each)
        for element, each in zip(elements, lots, strict=True)
    ]
