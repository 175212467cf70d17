"""Whatever executions are written in a format, reading gives them back."""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.executions import EXECUTION_LOTS, EXECUTIONS, UNREAD
from tasks.executions.read import ExecutionRecords
from tasks.executions.words import ExecutionFormat
from tests.support.execution_samples import COLUMNS, in_alpaca, in_flex, messages, table
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

Reader = Callable[[str], ExecutionRecords]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    folder: Path = tmp_path_factory.mktemp("files")
    return lambda text: read_text(folder, text)


def assert_says(found: ExecutionRecords, rows: Sequence[Row], format_: ExecutionFormat) -> None:
    assert found.unread.rows() == []
    assert_frame_equal(found.executions.select(COLUMNS), table(rows))
    assert (found.executions.schema, found.lots.schema, found.unread.schema) == tuple(
        map(pl.Schema, (EXECUTIONS, EXECUTION_LOTS, UNREAD))
    )
    assert found.executions["row_number"].to_list() == list(range(1, len(rows) + 1))
    assert (found.format, found.ignored) == (format_, {})


@given(rows=messages())
def test_a_csv_is_read_back(read: Reader, rows: list[Row]) -> None:
    assert_says(read(csv_text(rows)), rows, ExecutionFormat.CSV)


@given(rows=messages(), separator=st.sampled_from(["\x01", "|", "^A"]), end=st.sampled_from(["", "\n", "\r\n"]))
def test_fix_messages_are_read_back(read: Reader, rows: list[Row], separator: str, end: str) -> None:
    text = end.join(fix_report(row, separator) for row in rows)
    assert_says(read(text), rows, ExecutionFormat.FIX)


@given(rows=messages(), shape=st.sampled_from(["lines", "array", "stream"]))
def test_events_of_alpaca_are_read_back(read: Reader, rows: list[Row], shape: str) -> None:
    text = alpaca_text([alpaca_event(row) for row in rows], shape)
    assert_says(read(text), [in_alpaca(row) for row in rows], ExecutionFormat.ALPACA)


@given(rows=messages(("fill", "bust")))
def test_a_flex_statement_is_read_back(read: Reader, rows: list[Row]) -> None:
    rows = [{**row, "quantity": row["quantity"] or 1, "price_usd": row["price_usd"] or 2} for row in rows]
    text = flex_text(*map(flex_trade, rows))
    assert_says(read(text), [in_flex(row) for row in rows], ExecutionFormat.FLEX)


@given(rows=messages(), order=st.randoms(use_true_random=False))
def test_the_order_of_lines_changes_nothing_but_the_order_of_rows(read: Reader, rows: list[Row], order: Random) -> None:
    shuffled = list(rows)
    order.shuffle(shuffled)
    mixed = read(csv_text(shuffled)).executions.select(COLUMNS)
    assert_frame_equal(mixed.sort("execution_id"), table(rows).sort("execution_id"))
