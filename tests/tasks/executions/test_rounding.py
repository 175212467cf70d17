"""Numbers of more than six digits after the point, in whatever format a fill is written."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.execution_writers import (
    Row,
    alpaca_event,
    alpaca_text,
    csv_text,
    fix_report,
    flex_text,
    flex_trade,
    read_text,
)

FILL: dict[str, Any] = {
    "execution_id": "E1",
    "kind": "fill",
    "client_order_id": "O1",
    "side": "buy",
    "symbol": "VTI",
    "security_id": "VTI",
    "quantity": "10",
    "price_usd": "289.5",
    "trade_date": date(2026, 1, 5),
    "executed_at": datetime(2026, 1, 5, 14, 30, tzinfo=UTC),
}
WRITERS: dict[str, Callable[[Row], str]] = {
    "csv": lambda row: csv_text([row]),
    "fix": fix_report,
    "flex": lambda row: flex_text(flex_trade(row)),
    "alpaca": lambda row: alpaca_text([alpaca_event(row)], "lines"),
}


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize(
    ("quantity", "price", "read"),
    [
        ("12.345678912", "289.123456789", ("12.345679", "289.123457")),
        ("33.3333333", "410", ("33.333333", "410")),
        ("7", "0.987654325", ("7", "0.987654")),  # the tie goes to the even digit, as elsewhere
        ("2.0000005", "98.7654321", ("2", "98.765432")),
        ("1.5000000000", "50.250000000", ("1.5", "50.25")),
    ],
)
def test_nine_decimals_are_rounded_half_even_to_six(
    tmp_path: Path, writer: Callable[[Row], str], quantity: str, price: str, read: tuple[str, str]
) -> None:
    found = read_text(tmp_path, writer({**FILL, "quantity": quantity, "price_usd": price}))
    assert found.unread["message"].to_list() == []
    assert found.executions.select("quantity", "price_usd").rows() == [tuple(map(Decimal, read))]
    assert found.rounded == (0 if quantity.endswith("000") else 1)


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("cell", ["quantity", "price_usd"])
@pytest.mark.parametrize("text", ["0.0000004", "0.012345678", "0.0000019"])
def test_a_number_that_rounding_would_change_is_set_aside(
    tmp_path: Path, writer: Callable[[Row], str], cell: str, text: str
) -> None:
    found = read_text(tmp_path, writer({**FILL, cell: text}))
    assert found.executions.is_empty()
    (message,) = found.unread["message"].to_list()
    assert f"is '{text}'; needed at most 6 decimals" in message


@pytest.mark.parametrize("name", ["csv", "fix", "flex"])
def test_a_fee_is_rounded_whatever_is_left_of_it(tmp_path: Path, name: str) -> None:
    row = {**FILL, "fees_usd": Decimal("0.000352528")}
    found = read_text(tmp_path, WRITERS[name](row))
    assert found.executions["fees_usd"].to_list() == [Decimal("0.000353")]
    assert found.rounded == 1


def test_lots_of_nine_decimals_add_up_to_their_fill(tmp_path: Path) -> None:
    thirds = [{"lot_id": f"L{place}", "lot_quantity": "3.333333333"} for place in range(3)]
    found = read_text(tmp_path, csv_text([{**FILL, "side": "sell", "lots": thirds}]))
    assert found.unread["message"].to_list() == []
    assert found.lots["quantity"].to_list() == [Decimal("3.333333")] * 3


def test_lots_that_lack_more_than_rounding_do_not(tmp_path: Path) -> None:
    lots = [{"lot_id": "L1", "lot_quantity": "5"}, {"lot_id": "L2", "lot_quantity": "4.99999"}]
    found = read_text(tmp_path, csv_text([{**FILL, "side": "sell", "lots": lots}]))
    assert "add up to 9.99999, it is of 10; needed them equal" in found.unread["message"][0]
