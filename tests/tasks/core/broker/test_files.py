"""Files of a simulated broker say the same in every format."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from schemas.executions import MESSAGES
from tasks.core.broker.day import MARKET, ORDERS, REPORTS, BrokerModel, day_of
from tasks.core.broker.files import ENDINGS, file_of
from tasks.core.reconcile import net_fills
from tasks.executions import ExecutionFormat, read_executions

DAY = date(2026, 3, 3)
SILENT = {"flex": ("acknowledged", "rejected", "cancelled")}
"""What a format cannot say."""


@pytest.fixture(scope="module")
def orders() -> pl.DataFrame:
    rows = [
        (f"o{place}", f"-a{place}", ("buy", "sell")[place % 2], "=B.B", "s,1", Decimal(place % 7 + 1), Decimal("10.5"))
        for place in range(300)
    ]
    return pl.DataFrame(rows, schema=ORDERS, orient="row")


@pytest.fixture(scope="module")
def reports(orders: pl.DataFrame) -> pl.DataFrame:
    market = pl.DataFrame([("s,1", 3.0, 0.03, 40_000.0)], schema=MARKET, orient="row")
    model = BrokerModel(reject_rate=0.1, bust_rate=0.1, correct_rate=0.1)
    return day_of(orders, market, model, seed=7, trade_date=DAY)


def read_back(folder: Path, reports: pl.DataFrame, orders: pl.DataFrame, file_format: str) -> pl.DataFrame:
    path = folder / f"f{ENDINGS[file_format]}"
    path.write_bytes(file_of(reports, orders, file_format))
    found = read_executions(path)
    assert (found.format, found.unread.height, found.ignored, found.rounded) == (file_format, 0, {}, 0)
    return found.executions


def fills_of(rows: pl.DataFrame) -> pl.DataFrame:
    """What stands of each order in the end, as the ledger reckons it: quantity and dollars."""
    named = rows.join(
        rows.filter(kind="fill").select(reference_id="execution_id", about="client_order_id"),
        on="reference_id",
        how="left",
    )
    order = pl.coalesce("client_order_id", "about")
    messages = named.with_columns(source=pl.lit("x"), order_id=order, block_id=pl.lit(None, pl.String)).select(
        MESSAGES.keys()
    )
    net = net_fills(messages)
    return (
        net.group_by("order_id").agg(pl.col("quantity").sum(), pl.col("price_usd").unique(), pl.len()).sort("order_id")
    )


@pytest.mark.parametrize("file_format", ENDINGS)
def test_every_format_reads_back_the_same_fills(
    file_format: str, orders: pl.DataFrame, reports: pl.DataFrame, tmp_path: Path
) -> None:
    found = read_back(tmp_path, reports, orders, file_format)
    assert fills_of(found).equals(fills_of(reports))
    assert found["execution_id"].str.starts_with("SIMULATED-").all()
    assert found["text"].str.contains("simulated").all()
    counts = dict(reports["kind"].value_counts().iter_rows())
    corrected = counts.pop("correct")
    if file_format == "flex":  # a correction is a trade that was cancelled and booked again
        counts["bust"] += corrected
        counts["fill"] += corrected
    else:
        counts["correct"] = corrected
    expected = {kind: count for kind, count in counts.items() if kind not in SILENT.get(file_format, ())}
    assert dict(found["kind"].value_counts().iter_rows()) == expected


@pytest.mark.parametrize(("file_format", "lost"), [("csv", []), ("fix", ["security_id"]), ("alpaca", ["security_id"])])
def test_these_formats_lose_nothing_of_a_report_but(
    file_format: str, lost: list[str], orders: pl.DataFrame, reports: pl.DataFrame, tmp_path: Path
) -> None:
    found = read_back(tmp_path, reports, orders, file_format).select(REPORTS.keys()).drop(lost)
    is_bust = pl.col("kind") == "bust"
    told = reports.drop(lost)
    if file_format == "fix":  # LastQty and LastPx are of fills
        gone = ["quantity", "price_usd", "trade_date"]
        found, told = (
            some.with_columns(pl.when(~is_bust).then(name).alias(name) for name in gone) for some in (found, told)
        )
    assert found.equals(told)


def test_fix_says_how_an_order_stands_after_each_report(orders: pl.DataFrame, reports: pl.DataFrame) -> None:
    lines = file_of(reports, orders, "fix").decode().splitlines()
    ordered = dict(orders.select("order_id", "quantity").iter_rows())
    filled: dict[str, Decimal] = {}
    fills: dict[str, Decimal] = {}
    for place, line in enumerate(lines, 1):
        fields = dict(one.split("=", 1) for one in line.split("\x01") if one)
        name, kind = fields["11"], fields["150"]
        fills[fields["17"]] = Decimal(fields["32"]) if kind in {"F", "G"} else Decimal(0)
        gone = fills.pop(fields["19"]) if "19" in fields else Decimal(0)
        filled[name] = filled.get(name, Decimal(0)) + fills[fields["17"]] - gone
        assert fields["34"] == str(place)
        assert Decimal(fields["14"]) == filled[name]
        over = kind in {"4", "8"}
        assert Decimal(fields["151"]) == (0 if over else ordered[name] - filled[name])
        whole = "2" if filled[name] == ordered[name] else "1" if filled[name] else "0"
        assert fields["39"] == (kind if over else whole)
        assert (Decimal(fields["6"]) > 0) == (filled[name] > 0)


def test_formats_are_those_that_are_read() -> None:
    assert set(ENDINGS) == set(ExecutionFormat)


def test_a_statement_without_a_report_is_none() -> None:
    text = file_of(pl.DataFrame(schema=REPORTS), pl.DataFrame(schema=ORDERS), "flex").decode()
    assert "<Trades>\n</Trades>" in text
