"""The statement of what each order of a filled block got, and the same as FIX."""

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import simplefix

from schemas.enums import ProfileFormat
from schemas.executions import MESSAGES, SENT_ORDERS
from schemas.exports import Profile
from tasks.core.reconcile.allocation_statement import instructions, statement
from tasks.core.reconcile.order_progress import order_states

FIX = Profile(name="desk", format=ProfileFormat.FIX44, sender="US", target="THEM")
DAY = date(2026, 3, 3)
NO_FIXED = pl.DataFrame(schema={"block_id": pl.String(), "order_id": pl.String(), "quantity": pl.Decimal(18, 6)})
NO_NOTES = pl.DataFrame(schema={"order_id": pl.String, "actor": pl.String, "note": pl.String})


def order(name: str, quantity: int, block: str = "b", symbol: str = "S") -> dict[str, Any]:
    return {
        "order_id": name,
        "proposal_id": f"p-{name}",
        "block_id": block,
        "account_id": f"account-{name}",
        "custodian": "Acme",
        "side": "sell",
        "security_id": symbol,
        "symbol": symbol,
        "quantity": Decimal(quantity),
        "quantity_step": Decimal(1),
        "price_usd": Decimal(10),
    }


def fill(number: int, quantity: int, price: str, *, fees: str = "0", **about: str) -> dict[str, Any]:
    return {
        "source": "x",
        "execution_id": f"e{number}",
        "kind": "fill",
        "quantity": Decimal(quantity),
        "price_usd": Decimal(price),
        "fees_usd": Decimal(fees),
        "trade_date": DAY,
        **about,
    }


def made(orders: list[dict[str, Any]], fills: list[dict[str, Any]], notes: pl.DataFrame = NO_NOTES) -> pl.DataFrame:
    sent, messages = pl.DataFrame(orders, schema=SENT_ORDERS), pl.DataFrame(fills, schema=MESSAGES)
    return statement(sent, order_states(sent, messages, NO_FIXED), notes, messages)


def told(rows: pl.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return rows.select(columns).rows()


def test_orders_of_a_block_get_its_average_price_and_what_adds_up() -> None:
    rows = made(
        [order("o1", 30), order("o2", 10), order("o0", 5, "a", "R")],
        [
            fill(1, 16, "10.10", block_id="b", fees="1"),
            fill(2, 4, "10.20", block_id="b"),
            fill(3, 5, "7", block_id="a"),
        ],
    )
    assert told(rows, "block_id", "order_id", "ordered_quantity", "allotted_quantity", "average_price_usd") == [
        ("a", "o0", 5, 5, Decimal(7)),
        ("b", "o1", 30, 15, Decimal("10.12")),
        ("b", "o2", 10, 5, Decimal("10.12")),
    ]
    of_b = rows.filter(block_id="b")
    assert (of_b["gross_usd"].sum(), of_b["fees_usd"].sum()) == (Decimal("202.4"), Decimal(1))
    assert set(rows["last_trade_date"]) == {DAY}


def test_what_was_filled_under_an_orders_own_name_is_none_of_the_blocks() -> None:
    fills = [fill(1, 4, "10", block_id="b", fees="0.40"), fill(2, 2, "12.005", order_id="o1", fees="0.10")]
    rows = made([order("o1", 6), order("o2", 4)], fills)
    assert rows["allotted_quantity"].sum() == 4
    assert (rows["gross_usd"].sum(), rows["fees_usd"].sum()) == (Decimal(40), Decimal("0.40"))
    assert set(rows["average_price_usd"].drop_nulls()) == {Decimal(10)}


def test_an_order_that_got_nothing_has_no_price_and_who_fixed_what_is_said() -> None:
    notes = pl.DataFrame({"order_id": ["o2"], "actor": ["ops"], "note": ["pays its rent"]})
    rows = made([order("o1", 1), order("o2", 1)], [fill(1, 1, "10", order_id="o2")], notes)
    assert told(rows, "order_id", "allotted_quantity", "average_price_usd", "exception") == [
        ("o1", 0, None, None),
        ("o2", 0, None, "ops: pays its rent"),
    ]
    assert instructions(rows, {}, FIX) == ""


def parsed(line: str) -> simplefix.FixMessage:
    parser = simplefix.FixParser()
    parser.append_buffer(line.encode())
    message = parser.get_message()
    assert message is not None
    return message


def test_as_fix_a_block_is_one_instruction_whose_name_changes_with_the_shares() -> None:
    orders = [order("o1", 30), order("o2", 10), order("o0", 5, "a", "R")]
    first = made(orders, [fill(1, 20, "10.10", block_id="b"), fill(2, 5, "7", block_id="a")])
    lines = instructions(first, {"S": "etf"}, FIX).splitlines()
    blocks = [parsed(line) for line in lines]
    assert [(one.get(35), one.get(34), one.get(53), one.get(6)) for one in blocks] == [
        (b"J", b"1", b"5", b"7"),
        (b"J", b"2", b"20", b"10.1"),
    ]
    assert [blocks[1].get(80, place) for place in (1, 2)] == [b"15", b"5"]
    more = made(
        orders, [fill(1, 20, "10.10", block_id="b"), fill(2, 5, "7", block_id="a"), fill(3, 4, "10", block_id="b")]
    )
    again = [parsed(line) for line in instructions(more, {"S": "etf"}, FIX).splitlines()]
    assert blocks[0].get(70) == again[0].get(70)
    assert blocks[1].get(70) != again[1].get(70)
