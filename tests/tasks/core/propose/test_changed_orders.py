from decimal import Decimal

import polars as pl

from schemas.units import EXACT
from tasks.core.propose.changed_orders import OrderChange, order_changes


def orders(*rows: tuple[str, str, str | None, int]) -> pl.DataFrame:
    schema = {"side": pl.String, "security_id": pl.String, "symbol": pl.String, "quantity": EXACT}
    return pl.DataFrame([(*row[:3], Decimal(row[3])) for row in rows], schema=schema, orient="row")


def test_new_gone_and_changed_orders_are_told_and_equal_ones_are_not() -> None:
    before = orders(("sell", "S1", "AAA", 10), ("sell", "S2", "BBB", 5), ("buy", "S3", None, 7))
    now = orders(("sell", "S1", "AAA", 4), ("buy", "S3", None, 7), ("buy", "S2", "BBB", 1))
    assert order_changes(before, now) == [
        OrderChange("sell", "AAA", Decimal(10), Decimal(4)),
        OrderChange("sell", "BBB", Decimal(5), Decimal(0)),
        OrderChange("buy", "BBB", Decimal(0), Decimal(1)),
    ]


def test_the_same_orders_have_no_changes() -> None:
    one = orders(("sell", "S1", "AAA", 10))
    assert order_changes(one, one.reverse()) == []
