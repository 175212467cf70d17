"""Whatever happens to the bytes of a file, reading it gives a table or a sentence, and every record ends up somewhere."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import TrimtabError
from tasks.executions.read import ExecutionRecords, read_executions
from tasks.executions.words import ExecutionFormat
from tests.support.execution_writers import (
    Row,
    alpaca_event,
    alpaca_text,
    csv_text,
    fix_message,
    fix_report,
    flex_lot,
    flex_text,
    flex_trade,
)

AT = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
COMMON: Row = {
    "client_order_id": "O1",
    "account_id": "A1",
    "symbol": "VTI",
    "security_id": "S1",
    "side": "sell",
    "quantity": Decimal(10),
    "price_usd": Decimal("289.5"),
    "trade_date": date(2026, 1, 5),
    "executed_at": AT,
    "text": "sold, to close",
}
FILL: Row = {**COMMON, "execution_id": "E2", "kind": "fill", "fees_usd": Decimal("0.35")}
BUST: Row = {**COMMON, "execution_id": "E3", "kind": "bust", "reference_id": "E2"}
ROWS: list[Row] = [
    {**COMMON, "execution_id": "E1", "kind": "acknowledged"},
    {**FILL, "lots": [{"lot_id": "L1", "lot_quantity": 4}, {"lot_id": "L2", "lot_quantity": 6, "unit_cost_usd": 2}]},
    BUST,
    {**COMMON, "execution_id": "E4", "kind": "correct", "reference_id": "E2"},
    {"execution_id": "E5", "kind": "rejected", "client_order_id": "O2", "text": "no such symbol"},
]
HEARTBEAT = fix_message((35, "0"), (34, 1))
EVENTS = [*map(alpaca_event, ROWS), {"stream": "listening", "data": {"streams": ["trade_updates"]}}]
LOTS = [flex_lot(FILL, {"lot_id": f"L{place}", "quantity": 5, "cost": 1000}) for place in (1, 2)]
FILES: dict[str, tuple[ExecutionFormat, bytes]] = {
    "csv": (ExecutionFormat.CSV, csv_text(ROWS).encode()),
    "fix": (ExecutionFormat.FIX, (HEARTBEAT + "".join(map(fix_report, ROWS))).encode()),
    "fix log": (
        ExecutionFormat.FIX,
        "\n".join(["started", *(f"14:30 IN {fix_report(row, '|')}" for row in ROWS), "stopped", ""]).encode(),
    ),
    "lines": (ExecutionFormat.ALPACA, alpaca_text(EVENTS).encode()),
    "array": (ExecutionFormat.ALPACA, alpaca_text(EVENTS, "array").encode()),
    "stream": (ExecutionFormat.ALPACA, (": hello\n" + alpaca_text(EVENTS, "stream")).encode()),
    "flex": (
        ExecutionFormat.FLEX,
        flex_text(flex_trade(FILL), *LOTS, flex_trade(BUST), "<Order levelOfDetail='ORDER' />").encode(),
    ),
}
BITS = st.binary(min_size=1, max_size=4) | st.sampled_from(
    [b"\x01", b"|", b"\n", b'"', b"'", b",", b"<", b"&", b"{", b"}", b"[", b"\0", b"-", b"9", b"8=FIX", b"\xff"]
)


@st.composite
def damage(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes after up to four blows: a bit changed, lost, added, doubled, or the rest cut off."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + draw(st.sampled_from([1, 8, 200])))))
        blow = draw(st.sampled_from(["change", "lose", "add", "double", "cut"]))
        if blow == "cut":
            data = data[:start]
        elif blow == "double":
            data = data[:end] + data[start:end] + data[end:]
        else:
            bits = b"" if blow == "lose" else draw(BITS)
            data = data[:start] + bits + data[start if blow == "add" else end :]
    return data


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files") / "f.txt"


def assert_every_record_is_somewhere(found: ExecutionRecords, data: bytes) -> None:
    numbers = [*found.executions["row_number"], *found.unread["row_number"]]
    assert len(set(numbers)) == len(numbers)
    assert min(numbers, default=1) >= 1
    assert found.unread["message"].str.len_chars().min() != 0
    RECORDS[found.format](found, data)


def _records_of_csv(found: ExecutionRecords, data: bytes) -> None:
    extra = found.lots.height - found.lots["execution_id"].n_unique()
    lines = [line for line in data.replace(b"\r", b"\n").split(b"\n") if line]
    assert found.executions.height + extra + found.unread.height == len(lines) - 1


def _records_of_fix(found: ExecutionRecords, data: bytes) -> None:
    """Every beginning of a message begins a record, and no report is lost between them."""
    messages = sum(count for name, count in found.ignored.items() if name != "lines without a message")
    records = found.executions.height + found.unread.height + messages
    assert records >= len(re.findall(rb"(?<![0-9])8=FIX", data))
    raws = [
        re.sub(r"\\x..", "?", raw) for raw in (*found.executions["raw"], *found.unread["raw"])
    ]  # bytes that are no text
    assert sum(raw.count("35=8") for raw in raws) == data.count(b"35=8")


def _records_of_alpaca(found: ExecutionRecords, data: bytes) -> None:
    lines = [line for line in data.decode().replace("\r", "\n").split("\n") if line.strip()]
    records = found.executions.height + found.unread.height + sum(found.ignored.values())
    assert records <= len(lines) + data.count(b"{")
    if not data.lstrip().startswith((b"[", b":", b"data", b"event", b"id", b"retry", b"\xef\xbb\xbf")):
        assert records == len(lines)


def _records_of_flex(found: ExecutionRecords, data: bytes) -> None:
    elements = [element for trades in ET.fromstring(data).iter("Trades") for element in trades]  # noqa: S314 - ours
    records = found.executions.height + found.lots.height + found.unread.height + sum(found.ignored.values())
    assert records == len(elements)


RECORDS: dict[ExecutionFormat, Callable[[ExecutionRecords, bytes], None]] = {
    ExecutionFormat.CSV: _records_of_csv,
    ExecutionFormat.FIX: _records_of_fix,
    ExecutionFormat.ALPACA: _records_of_alpaca,
    ExecutionFormat.FLEX: _records_of_flex,
}


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_whole_before_they_are_damaged(path: Path, name: str) -> None:
    format_, data = FILES[name]
    path.write_bytes(data)
    found = read_executions(path)
    assert found.format is format_
    assert found.unread.rows() == []
    assert found.executions.height >= 2
    assert_every_record_is_somewhere(found, data)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=300)
@given(source=st.data())
def test_damage_gives_a_table_or_a_sentence(path: Path, name: str, source: st.DataObject) -> None:
    format_, whole = FILES[name]
    data = source.draw(damage(whole))
    path.write_bytes(data)
    for asked in (format_, None):
        try:
            found = read_executions(path, asked)
        except TrimtabError as error:
            assert len(str(error)) > 20  # noqa: PT017 - either is right
        else:
            assert_every_record_is_somewhere(found, data)


@pytest.mark.parametrize("format_", ExecutionFormat)
@given(data=st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
def test_anything_at_all_gives_a_table_or_a_sentence(path: Path, format_: ExecutionFormat, data: bytes) -> None:
    path.write_bytes(data)
    try:
        found = read_executions(path, format_)
    except TrimtabError as error:
        assert len(str(error)) > 20  # noqa: PT017 - either is right
    else:
        assert found.executions.rows() == []
