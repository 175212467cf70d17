import json

import polars as pl

from schemas.enums import ProfileFormat
from schemas.exports import Profile
from tasks.core.export import jsonl
from tasks.core.export.words import first_faults
from tests.support.packages import release

PROFILE = Profile(name="lines", format=ProfileFormat.JSONL)


def lines_of(path: str) -> list[dict[str, object]]:
    files = pl.concat(jsonl.files(release(), PROFILE))
    (text,) = files.filter(pl.col("path") == path)["content"]
    return [json.loads(line) for line in text.splitlines()]


def test_every_account_has_a_file_and_every_order_a_line() -> None:
    files = pl.concat(jsonl.files(release(), PROFILE))
    assert files.select("path", "rows").rows() == [("-A3.jsonl", 2), ("A1.jsonl", 2), ("A2.jsonl", 2)]
    assert [line["client_order_id"] for line in lines_of("A1.jsonl")] == ["A1-sell-S2", "A1-buy-S1"]


def test_numbers_are_exact_text_and_a_sell_names_its_lots() -> None:
    sell, buy = lines_of("A1.jsonl")
    assert (sell["quantity"], sell["reference_price_usd"], sell["estimated_value_usd"]) == ("12", "410.25", "4923.00")
    assert sell["lots"] == [
        {"lot_id": "L1", "quantity": "10", "unit_cost_usd": "200", "acquired_date": "2019-05-06", "term": "long"},
        {"lot_id": "L2", "quantity": "2", "unit_cost_usd": "430.5", "acquired_date": "2025-12-01", "term": "short"},
    ]
    assert buy["lots"] == []
    fraction = lines_of("A2.jsonl")[0]
    assert fraction["quantity"] == "100.125"
    assert fraction["lots"] == [
        {"lot_id": "L7", "quantity": "100.125", "unit_cost_usd": None, "acquired_date": None, "term": None}
    ]


def test_everything_can_be_said() -> None:
    assert jsonl.refusals(release(), PROFILE).is_empty()


def test_an_order_is_refused_for_its_first_fault_with_its_numbers_filled_in() -> None:
    orders = release().orders
    is_sell = pl.col("side") == "sell"
    found = first_faults(orders, {"{quantity} of {symbol} is sold": is_sell, "it is large": pl.col("quantity") > 10})
    assert found.rows() == [
        ("-A3-sell-S2", "-A3", "3 of BRK.B is sold"),
        ("A1-sell-S2", "A1", "12 of BRK.B is sold"),
        ("A1-buy-S1", "A1", "it is large"),
        ("A2-sell-S3", "A2", "100.125 of VBTLX is sold"),
    ]
    assert first_faults(orders, {"nobody knows": pl.lit(None, pl.Boolean)}).height == orders.height
