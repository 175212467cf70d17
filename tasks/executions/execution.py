"""What a record says, as a row of ``EXECUTIONS`` or ``EXECUTION_LOTS``: the rules that hold in every format.

1. Blank is null. A value that is there and cannot be read makes the record unreadable, needed or not.
2. Every message has an ``execution_id`` and a ``kind``, and what ``NEEDED`` says of its kind.
3. Every message names its order, but for a bust or a correction: the execution that it is about belongs to one.
4. Lots add up to their fill, but for what rounding each of them, and the fill, to six digits may have taken.
"""

from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from schemas.enums import ExecutionKind, Side
from tasks.executions import values
from tasks.executions.words import CLOSES_LOTS, IDENTIFIERS, NEEDED, Cells, Dialect, Unreadable, quote_value

NUMBERS: Final = ("quantity", "price_usd", "fees_usd")
_MOST_ROUNDED: Final = Decimal("0.0000005")
"""What rounding to six digits takes from a quantity, or adds, at most."""


class Execution(NamedTuple):
    """A row of ``EXECUTIONS`` without its place and text."""

    execution_id: str
    kind: ExecutionKind
    client_order_id: str | None
    account_id: str | None
    symbol: str | None
    security_id: str | None
    side: Side | None
    quantity: Decimal | None
    price_usd: Decimal | None
    fees_usd: Decimal | None
    trade_date: date | None
    executed_at: datetime | None
    reference_id: str | None
    text: str | None


class Lot(NamedTuple):
    """A row of ``EXECUTION_LOTS`` without its place and execution."""

    lot_id: str | None
    acquired_date: date | None
    quantity: Decimal
    unit_cost_usd: Decimal | None


def execution(cells: Cells, dialect: Dialect) -> Execution:
    """The record's row.

    Raises
    ------
    Unreadable
        Something is missing or cannot be read.
    """
    told = {column: text.strip() for column, text in cells.items() if text and text.strip()}
    kind = _kind(told, dialect)
    executed_at = _moment(told, dialect)  # before what is missing: a day may have been made of it
    _refuse_missing(told, kind, dialect)
    names = {column: values.name(told[column], dialect.name(column)) for column in IDENTIFIERS if column in told}
    return Execution(
        execution_id=names["execution_id"],
        kind=kind,
        client_order_id=names.get("client_order_id"),
        account_id=names.get("account_id"),
        symbol=names.get("symbol"),
        security_id=names.get("security_id"),
        side=_side(told, dialect),
        quantity=_amount(told, "quantity", dialect),
        price_usd=_amount(told, "price_usd", dialect),
        fees_usd=values.fee(told["fees_usd"], dialect.name("fees_usd")) if "fees_usd" in told else None,
        trade_date=_day(told, "trade_date", dialect),
        executed_at=executed_at,
        reference_id=names.get("reference_id"),
        text=values.words(told["text"], dialect.name("text")) if "text" in told else None,
    )


def lot(cells: Cells, dialect: Dialect) -> Lot:
    """A lot that a fill closed: its quantity, and its name or the day it was acquired.

    Raises
    ------
    Unreadable
        Something is missing or cannot be read.
    """
    told = {column: text.strip() for column, text in cells.items() if text and text.strip()}
    if "lot_id" not in told and "acquired_date" not in told:
        raise Unreadable(
            f"the lot has no {dialect.name('lot_id')} and no {dialect.name('acquired_date')}; needed one of them"
        )
    if "quantity" not in told:
        raise Unreadable(f"the lot has no {dialect.name('quantity')}; needed it")
    return Lot(
        values.name(told["lot_id"], dialect.name("lot_id")) if "lot_id" in told else None,
        _day(told, "acquired_date", dialect),
        values.positive(told["quantity"], dialect.name("quantity")),
        values.not_negative(told["unit_cost_usd"], dialect.name("unit_cost_usd")) if "unit_cost_usd" in told else None,
    )


def refuse_odd_lots(found: Execution, lots: list[Lot], *, may_be_less: bool = False) -> None:
    """Raise ``Unreadable`` where the lots are none that the message can have closed. ``may_be_less``: than the fill."""
    if not lots:
        return
    if found.kind not in CLOSES_LOTS:
        raise Unreadable(f"the message is {found.kind} and names a lot; needed a fill or a correction for it")
    total, quantity = sum((each.quantity for each in lots), Decimal(0)), found.quantity or Decimal(0)
    rounding = _MOST_ROUNDED * (len(lots) + 1)
    if total > quantity + rounding or (total < quantity - rounding and not may_be_less):
        raise Unreadable(
            f"the lots of execution {found.execution_id} add up to {total.normalize():f}, it is of "
            f"{quantity.normalize():f}; needed them equal"
        )


def has_long_numbers(cells: Cells) -> bool:
    """Whether a number of the record was rounded to six digits after the point."""
    return any(values.is_long((cells.get(column) or "").strip()) for column in NUMBERS)


def repeated_names(lots: list[Lot]) -> set[str]:
    """Names that more than one of the lots has."""
    counts = Counter(each.lot_id for each in lots if each.lot_id is not None)
    return {name for name, count in counts.items() if count > 1}


def _kind(told: dict[str, str], dialect: Dialect) -> ExecutionKind:
    if "execution_id" not in told:
        raise Unreadable(f"the record has no {dialect.name('execution_id')}; needed it")
    if "kind" not in told:
        raise Unreadable(f"the record has no {dialect.name('kind')}; needed it")
    try:
        return ExecutionKind(told["kind"].lower())
    except ValueError as error:
        raise Unreadable(
            f"{dialect.name('kind')} is {quote_value(told['kind'])}; needed one of {', '.join(ExecutionKind)}"
        ) from error


def _refuse_missing(told: dict[str, str], kind: ExecutionKind, dialect: Dialect) -> None:
    of_an_order = () if "reference_id" in NEEDED.get(kind, ()) else ("client_order_id",)
    missing = [dialect.name(column) for column in (*of_an_order, *NEEDED.get(kind, ())) if column not in told]
    if missing:
        raise Unreadable(f"the message is {kind} and has no {', '.join(missing)}; needed it")


def _side(told: dict[str, str], dialect: Dialect) -> Side | None:
    if "side" not in told:
        return None
    try:
        return Side(told["side"].lower())
    except ValueError as error:
        raise Unreadable(f"{dialect.name('side')} is {quote_value(told['side'])}; needed buy or sell") from error


def _amount(told: dict[str, str], column: str, dialect: Dialect) -> Decimal | None:
    return values.positive(told[column], dialect.name(column)) if column in told else None


def _day(told: dict[str, str], column: str, dialect: Dialect) -> date | None:
    return values.day(told[column], dialect.name(column), dialect.day) if column in told else None


def _moment(told: dict[str, str], dialect: Dialect) -> datetime | None:
    if "executed_at" not in told:
        return None
    return values.moment(told["executed_at"], dialect.name("executed_at"), dialect.moment)
