"""Orders as the console's table draws them."""

from typing import Any

from console.pages.parts import ORDER_BODY, order_rows

ORDER: dict[str, Any] = {
    "order_id": "o",
    "side": "sell",
    "symbol": "S",
    "quantity": 3,
    "price_usd": 10.0,
    "value_usd": 30.0,
    "amount_usd": None,
    "est_tax_usd": 0.0,
    "est_cost_usd": 0.0,
    "reason": "stocks at 60% against a target of 50%",
}


def test_what_is_said_of_an_order_beside_its_reason_is_shown_and_nothing_where_there_is_nothing() -> None:
    rows = order_rows([{**ORDER, "note": "Rounded."}, {**ORDER, "note": None}, ORDER])
    assert [row["note"] for row in rows] == ["Rounded.", "", ""]
    assert "{{ props.row.note }}" in ORDER_BODY
