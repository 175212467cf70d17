"""Random executions that a format can say, and the table that each format should be read into."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import strategies as st

from schemas.executions import EXECUTIONS
from tests.support.execution_writers import Row

COLUMNS = tuple(name for name in EXECUTIONS if name not in {"row_number", "raw"})
KINDS = ("acknowledged", "rejected", "cancelled", "fill", "bust", "correct")
NAMES = st.text("ABCxyz0189._:/+", min_size=1, max_size=12).map(lambda text: f"X{text}")
AMOUNTS = st.decimals(Decimal("0.000001"), Decimal(10**9), places=6)
FEES = st.decimals(0, Decimal(10**6), places=6)
DAYS = st.dates(date(1970, 1, 1), date(2099, 12, 31))
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2099, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - as it asks
WORDS = st.text("abc é,;\"'<>&=~", max_size=12).map(lambda text: f"w{text}w")
NEW_YORK = ZoneInfo("America/New_York")


def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


@st.composite
def message(draw: st.DrawFn, kinds: Sequence[str] = KINDS) -> Row:
    """One message with everything that its kind may have."""
    kind = draw(st.sampled_from(kinds))
    is_trade, is_fill = kind in {"fill", "bust", "correct"}, kind == "fill"
    must = is_fill or kind == "correct"
    return {
        "execution_id": draw(NAMES),
        "kind": kind,
        "client_order_id": draw(NAMES) if not is_trade or is_fill else draw(_maybe(NAMES)),
        "account_id": draw(_maybe(NAMES)),
        "symbol": draw(_maybe(NAMES)),
        "security_id": draw(_maybe(NAMES)),
        "side": draw(st.sampled_from(["buy", "sell"])),
        "quantity": draw(AMOUNTS) if must else None,
        "price_usd": draw(AMOUNTS) if must else None,
        "fees_usd": draw(_maybe(FEES)) if is_fill else None,
        "trade_date": draw(DAYS) if must else None,
        "executed_at": draw(MOMENTS) if must else draw(_maybe(MOMENTS)),
        "reference_id": draw(NAMES) if is_trade and not is_fill else None,
        "text": draw(_maybe(WORDS)),
    }


def messages(kinds: Sequence[str] = KINDS) -> st.SearchStrategy[list[Row]]:
    """Some messages, each with an id of its own."""
    return st.lists(message(kinds), min_size=1, max_size=6, unique_by=lambda row: str(row["execution_id"]))


def table(rows: Iterable[Row]) -> pl.DataFrame:
    """The rows as ``EXECUTIONS`` without place and text."""
    schema = {name: EXECUTIONS[name] for name in COLUMNS}
    return pl.DataFrame([[row.get(name) for name in COLUMNS] for row in rows], schema=schema, orient="row")


def in_alpaca(row: Row) -> Row:
    """What an event of Alpaca's can say of the row: no security, no fees, and the day that its time is of in New York."""
    is_trade = row["kind"] in {"fill", "bust", "correct"}
    at = row["executed_at"] or datetime(2026, 1, 5, 15, 0, 0, 123456, UTC)
    day = at.astimezone(NEW_YORK).date() if is_trade else None
    return {**row, "security_id": None, "fees_usd": None, "trade_date": day, "executed_at": at}


def in_flex(row: Row) -> Row:
    """What a statement can say of the row: a fill or a bust, to the second."""
    at = row["executed_at"]
    whole = at.replace(microsecond=0) if at else None
    return {**row, "executed_at": whole, "account_id": row["account_id"] or "U1"}
