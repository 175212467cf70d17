from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import InputRefused
from tasks.core.facts.cells import text_cell
from tasks.executions import csv_file
from tasks.executions.read import ExecutionRecords
from tasks.executions.words import ExecutionFormat
from tests.support.execution_writers import csv_text, read_text

FILL: dict[str, Any] = {
    "execution_id": "E1",
    "kind": "fill",
    "client_order_id": "O1",
    "side": "sell",
    "quantity": 10,
    "price_usd": "289.5",
    "trade_date": date(2026, 1, 5),
}


def read(folder: Path, *rows: dict[str, Any]) -> ExecutionRecords:
    return read_text(folder, csv_text(rows), ExecutionFormat.CSV)


def messages(found: ExecutionRecords) -> list[str]:
    return found.unread["message"].to_list()


def test_a_fill_is_read_with_all_that_it_says(tmp_path: Path) -> None:
    at = datetime(2026, 1, 5, 14, 30, 0, 250_000, UTC)
    found = read(tmp_path, {**FILL, "account_id": "A1", "fees_usd": "0.35", "executed_at": at, "text": "ok, done"})
    (row,) = found.executions.drop("raw").to_dicts()
    assert row == {
        "row_number": 1,
        "execution_id": "E1",
        "kind": "fill",
        "client_order_id": "O1",
        "account_id": "A1",
        "symbol": None,
        "security_id": None,
        "side": "sell",
        "quantity": Decimal(10),
        "price_usd": Decimal("289.5"),
        "fees_usd": Decimal("0.35"),
        "trade_date": date(2026, 1, 5),
        "executed_at": at,
        "reference_id": None,
        "text": "ok, done",
    }
    assert found.executions["raw"].item().startswith('{"execution_id":"E1","kind":"fill"')


def test_a_fill_that_closed_three_lots_stands_on_three_lines(tmp_path: Path) -> None:
    lots = [
        {"lot_id": "L1", "lot_acquired_date": date(2020, 1, 2), "lot_quantity": 5, "lot_unit_cost_usd": "100.25"},
        {"lot_id": "L2", "lot_quantity": "3"},
        {"lot_acquired_date": date(2021, 3, 4), "lot_quantity": "2", "lot_unit_cost_usd": 0},
    ]
    found = read(tmp_path, {**FILL, "lots": lots}, {**FILL, "execution_id": "E2"})
    assert found.executions["row_number"].to_list() == [1, 4]
    assert found.lots.rows() == [
        (1, "E1", "L1", date(2020, 1, 2), Decimal(5), Decimal("100.25")),
        (2, "E1", "L2", None, Decimal(3), None),
        (3, "E1", None, date(2021, 3, 4), Decimal(2), Decimal(0)),
    ]


def test_two_lots_of_one_day_and_cost_are_two_lots(tmp_path: Path) -> None:
    lot = {"lot_acquired_date": date(2020, 1, 2), "lot_quantity": 5, "lot_unit_cost_usd": 100}
    found = read(tmp_path, {**FILL, "lots": [lot, lot]})
    assert found.lots["quantity"].to_list() == [Decimal(5), Decimal(5)]


def test_lines_of_one_execution_that_differ_are_all_unread(tmp_path: Path) -> None:
    lot = {"lot_id": "L1", "lot_quantity": 5}
    found = read(
        tmp_path,
        {**FILL, "lots": [lot]},
        {**FILL, "execution_id": "E2"},
        {**FILL, "price_usd": "289.6", "lots": [{**lot, "lot_id": "L2"}]},
    )
    sentence = "execution E1 stands on 2 lines that differ in price_usd; needed them to differ in their lot alone"
    assert found.unread.select("row_number", "message").rows() == [(1, sentence), (3, sentence)]
    assert found.executions["execution_id"].to_list() == ["E2"]
    assert found.lots.rows() == []


def test_a_line_without_lots_that_stands_twice_is_two_messages(tmp_path: Path) -> None:
    found = read(tmp_path, FILL, {**FILL, "quantity": "1"})
    assert messages(found) == []
    assert found.executions.select("row_number", "execution_id").rows() == [(1, "E1"), (2, "E1")]


def test_one_line_with_a_lot_and_one_without_are_unread(tmp_path: Path) -> None:
    found = read(tmp_path, FILL, {**FILL, "lots": [{"lot_id": "L1", "lot_quantity": 12}]})
    assert messages(found) == ["execution E1 stands on 2 lines, not each with a lot; needed one line for each"] * 2


@pytest.mark.parametrize(
    ("lots", "message"),
    [
        (
            [{"lot_id": "L1", "lot_quantity": 4}, {"lot_id": "L2", "lot_quantity": 5}],
            "the lots of execution E1 add up to 9, it is of 10; needed them equal",
        ),
        (
            [{"lot_id": "L1", "lot_quantity": 11}],
            "the lots of execution E1 add up to 11, it is of 10; needed them equal",
        ),
        (
            [{"lot_id": "L1", "lot_quantity": 5}, {"lot_id": "L1", "lot_quantity": 5}],
            "the lot L1 is named twice for execution E1; needed it once",
        ),
        ([{"lot_id": "L1"}], "the lot has no lot_quantity; needed it"),
        ([{"lot_quantity": 10}], "the lot has no lot_id and no lot_acquired_date; needed one of them"),
        ([{"lot_id": "L1", "lot_quantity": -10}], "lot_quantity is '-10'; needed a number above 0"),
        (
            [{"lot_id": "L1", "lot_quantity": 10, "lot_unit_cost_usd": -1}],
            "lot_unit_cost_usd is '-1'; needed 0 or above",
        ),
        (
            [{"lot_acquired_date": "1/2/2020", "lot_quantity": 10}],
            "lot_acquired_date is '1/2/2020'; needed a day as YYYY-MM-DD",
        ),
    ],
)
def test_lots_that_the_fill_cannot_have_closed_leave_it_unread(
    tmp_path: Path, lots: list[dict[str, Any]], message: str
) -> None:
    found = read(tmp_path, {**FILL, "lots": lots})
    assert messages(found) == [message] * len(lots)
    assert found.executions.rows() == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"execution_id": ""}, "the record has no execution_id; needed it"),
        ({"execution_id": "x" * 201}, None),
        ({"kind": ""}, "the record has no kind; needed it"),
        (
            {"kind": "filled"},
            "kind is 'filled'; needed one of acknowledged, rejected, cancelled, fill, bust, correct",
        ),
        ({"client_order_id": " "}, "the message is fill and has no client_order_id; needed it"),
        (
            {"side": "", "quantity": "", "price_usd": "", "trade_date": ""},
            "the message is fill and has no side, quantity, price_usd, trade_date; needed it",
        ),
        ({"kind": "bust"}, "the message is bust and has no reference_id; needed it"),
        (
            {"kind": "correct", "price_usd": None},
            "the message is correct and has no reference_id, price_usd; needed it",
        ),
        ({"side": "short"}, "side is 'short'; needed buy or sell"),
        (
            {"quantity": "0.0000004"},
            "quantity is '0.0000004'; needed at most 6 decimals (rounding changes it by more than a millionth)",
        ),
        ({"fees_usd": "-0.01"}, "fees_usd is '-0.01'; needed 0 or above"),
        ({"trade_date": "01/05/2026"}, "trade_date is '01/05/2026'; needed a day as YYYY-MM-DD"),
        (
            {"executed_at": "2026-01-05T14:30:00"},
            "executed_at is '2026-01-05T14:30:00'; needed a time with its zone as 2026-01-05T14:30:00Z",
        ),
        (
            {"kind": "acknowledged", "lots": [{"lot_id": "L1", "lot_quantity": 10}]},
            "the message is acknowledged and names a lot; needed a fill or a correction for it",
        ),
    ],
)
def test_what_a_line_lacks_is_told(tmp_path: Path, changed: dict[str, Any], message: str | None) -> None:
    found = read(tmp_path, {**FILL, **changed}, {**FILL, "execution_id": "E9"})
    assert len(messages(found)) == 1
    assert message is None or messages(found) == [message]
    assert found.executions["execution_id"].to_list() == ["E9"]


def test_a_bust_needs_no_order_but_what_it_is_about(tmp_path: Path) -> None:
    found = read(tmp_path, {"execution_id": "E2", "kind": "bust", "reference_id": "E1"})
    assert found.executions.select("client_order_id", "reference_id").rows() == [(None, "E1")]


def test_columns_stand_in_any_order_and_unknown_ones_are_named(tmp_path: Path) -> None:
    columns = (
        "venue",
        "price_usd",
        "kind",
        "trade_date",
        "client_order_id",
        "quantity",
        "side",
        "execution_id",
        "note",
    )
    found = read_text(tmp_path, csv_text([FILL], columns))
    assert found.executions["execution_id"].to_list() == ["E1"]
    assert found.unknown_columns == ("venue", "note")


@pytest.mark.parametrize("text", ["-A3", "=1+1", "@x", "+7"])
def test_an_identifier_that_was_disarmed_for_a_spreadsheet_is_armed_again(tmp_path: Path, text: str) -> None:
    import polars as pl  # noqa: PLC0415 - for this test alone

    (cell,) = pl.DataFrame({"x": [text]}).select(text_cell("x"))["x"]
    assert cell == f"'{text}"
    found = read(tmp_path, {**FILL, "account_id": cell, "client_order_id": cell, "symbol": "'tis"})
    assert found.executions.select("account_id", "client_order_id", "symbol").rows() == [(text, text, "'tis")]


def test_another_currency_is_unread(tmp_path: Path) -> None:
    columns = (*FILL, "currency")
    text = csv_text([{**FILL, "currency": "EUR"}, {**FILL, "execution_id": "E2", "currency": "USD"}], columns)
    found = read_text(tmp_path, text)
    assert messages(found) == ["currency is 'EUR'; needed USD"]
    assert found.executions["execution_id"].to_list() == ["E2"]


def test_a_line_of_the_wrong_length_takes_the_others_of_its_execution_along(tmp_path: Path) -> None:
    text = csv_text([{**FILL, "lots": [{"lot_id": "L1", "lot_quantity": 5}, {"lot_id": "L2", "lot_quantity": 5}]}])
    found = read_text(tmp_path, text.rstrip("\n") + ",more\n")
    fault = "the line has more or fewer cells than the header; needed 18"
    assert messages(found) == [f"row 2 of the same execution cannot be read: {fault}", fault]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "execution_id,kind,client_order\n1,2,3\n",
            (
                "f.txt has no column client_order_id; needed execution_id, kind, client_order_id\n\n"
                "Hint: did you mean client_order? columns found: execution_id, kind, client_order."
            ),
        ),
        (
            "execution_id,kind,client_order_id,side,side\n1,2,3,4,5\n",
            "f.txt has the column 'side' more than once; needed it once\n\nHint: leave one of them out.",
        ),
        (
            "execution_id,kind,client_order_id\n1,fill,\xe9\n".encode("latin-1"),
            (
                "f.txt line 2 is not UTF-8 (found the byte 0xE9); needed text in UTF-8\n\n"
                "Hint: save the file again as UTF-8; it may be Windows-1252 or Latin-1."
            ),
        ),
        (
            'execution_id,kind,client_order_id\n1,rejected,"3\n2,rejected,4\n',
            (
                "f.txt near row 1: a quoted cell runs over the end of its line; needed one row a line\n\n"
                'Hint: look for a missing closing quote (").'
            ),
        ),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputRefused) as found:
        read_text(tmp_path, text)
    assert str(found.value) == message


def test_rows_are_counted_through_a_file_that_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "_BATCH", 1)
    monkeypatch.setattr(csv_file, "_BLOCK", 64)
    lots = [{"lot_id": "L1", "lot_quantity": 4}, {"lot_id": "L2", "lot_quantity": 6}]
    found = read(tmp_path, FILL, *({**FILL, "execution_id": f"E{place}", "lots": lots} for place in range(2, 6)))
    assert found.executions["row_number"].to_list() == [1, 2, 4, 6, 8]
    assert found.lots["row_number"].to_list() == list(range(2, 10))


def test_a_header_alone_is_a_file_without_executions(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert (found.executions.height, found.unread.height, found.format) == (0, 0, "csv")
