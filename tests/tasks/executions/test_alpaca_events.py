import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import InputRefused
from tasks.executions.read import ExecutionRecords
from tasks.executions.words import ExecutionFormat
from tests.support.execution_writers import alpaca_event, alpaca_text, read_text

FILL: dict[str, Any] = {
    "execution_id": "X1",
    "kind": "fill",
    "client_order_id": "O1",
    "account_id": "A1",
    "symbol": "VTI",
    "side": "buy",
    "quantity": "1.5",
    "price_usd": "289.123456",
    "executed_at": datetime(2026, 1, 6, 1, 0, tzinfo=UTC),
}
NEW = {**FILL, "kind": "acknowledged", "execution_id": "01G112NTT0XAXKDZK3AABK68TH"}


def read(folder: Path, *events: Any) -> ExecutionRecords:
    return read_text(folder, alpaca_text(events), ExecutionFormat.ALPACA)


def messages(found: ExecutionRecords) -> list[str]:
    return found.unread["message"].to_list()


def test_a_fill_is_read_with_what_it_says_of_itself_and_not_of_its_order(tmp_path: Path) -> None:
    (row,) = read(tmp_path, alpaca_event(FILL)).executions.drop("raw").to_dicts()
    assert row == {
        "row_number": 1,
        **{name: FILL[name] for name in ("execution_id", "kind", "client_order_id", "account_id", "symbol", "side")},
        "security_id": None,
        "quantity": Decimal("1.5"),
        "price_usd": Decimal("289.123456"),
        "fees_usd": None,
        "trade_date": date(2026, 1, 5),
        "executed_at": FILL["executed_at"],
        "reference_id": None,
        "text": None,
    }


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("new", "acknowledged"),
        ("accepted", "acknowledged"),
        ("rejected", "rejected"),
        ("canceled", "cancelled"),
        ("expired", "cancelled"),
        ("done_for_day", "cancelled"),
        ("fill", "fill"),
        ("partial_fill", "fill"),
    ],
)
def test_events_have_kinds(tmp_path: Path, word: str, kind: str) -> None:
    assert read(tmp_path, alpaca_event(FILL, event=word)).executions["kind"].to_list() == [kind]


@pytest.mark.parametrize("word", ["pending_new", "replaced", "order_cancel_rejected", "restated", "held"])
def test_states_between_are_ignored_by_name(tmp_path: Path, word: str) -> None:
    assert read(tmp_path, alpaca_event(FILL, event=word)).ignored == {word: 1}


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({}, "01G112NTT0XAXKDZK3AABK68TH"),
        ({"event_id": 122039, "event_ulid": "01H"}, "01H"),
        ({"event_id": 122039}, "122039"),
        ({"event_id": None}, "an-execution-of-no-trade"),
    ],
)
def test_an_event_that_is_no_trade_is_known_by_its_own_id(tmp_path: Path, changed: dict[str, Any], name: str) -> None:
    assert read(tmp_path, alpaca_event(NEW, **changed)).executions["execution_id"].to_list() == [name]


def test_a_bust_and_a_correction_name_the_execution_before(tmp_path: Path) -> None:
    bust = alpaca_event({**FILL, "kind": "bust", "execution_id": "X2", "reference_id": "X1"}, qty="-1.5", price=None)
    correct = alpaca_event({**FILL, "kind": "correct", "execution_id": "X3", "reference_id": "X1", "text": "venue"})
    found = read(tmp_path, bust, correct)
    assert found.executions.select("execution_id", "kind", "reference_id", "quantity", "text").rows() == [
        ("X2", "bust", "X1", Decimal("1.5"), None),
        ("X3", "correct", "X1", Decimal("1.5"), "venue"),
    ]


def test_the_stream_of_the_trading_api_is_read(tmp_path: Path) -> None:
    event = alpaca_event(FILL, account_id=None, at=None, event_id=None)
    found = read(
        tmp_path,
        {"stream": "authorization", "data": {"status": "authorized"}},
        {"stream": "trade_updates", "data": event},
    )
    assert found.executions.select("row_number", "execution_id", "account_id").rows() == [(2, "X1", None)]
    assert found.ignored == {"stream authorization": 1}


def test_numbers_keep_every_digit(tmp_path: Path) -> None:
    text = json.dumps(alpaca_event(FILL)).replace('"1.5"', "123456789012.123456").replace('"289.123456"', "0.1")
    found = read_text(tmp_path, text)
    assert found.executions.select("quantity", "price_usd").rows() == [(Decimal("123456789012.123456"), Decimal("0.1"))]


@pytest.mark.parametrize(
    ("code", "side", "text"), [("buy_minus", "buy", "side buy_minus"), ("sell_short", "sell", "side sell_short")]
)
def test_a_side_that_we_never_send_is_read_and_named(tmp_path: Path, code: str, side: str, text: str) -> None:
    found = read(tmp_path, alpaca_event({**FILL, "side": code}))
    assert found.executions.select("side", "text").rows() == [(side, text)]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"execution_id": None}, "the record has no execution_id or event_id; needed it"),
        ({"qty": None}, "the message is fill and has no qty; needed it"),
        ({"qty": "-1"}, "qty is '-1'; needed a number above 0"),
        (
            {"price": "0.0000004"},
            "price is '0.0000004'; needed at most 6 decimals (rounding changes it by more than a millionth)",
        ),
        ({"price": [1]}, "price is '['1']'; needed text or a number"),
        ({"price": True}, "price is 'True'; needed text or a number"),
        ({"timestamp": None, "at": None}, "the message is fill and has no timestamp; needed it"),
        (
            {"timestamp": "yesterday"},
            "timestamp is 'yesterday'; needed a time with its zone as 2026-01-05T14:30:00Z",
        ),
        ({"event": "trade_bust"}, "the message is bust and has no previous_execution_id; needed it"),
        (
            {"event": "filled"},
            (
                "event is 'filled'; needed one of new, accepted, rejected, canceled, expired, done_for_day, fill, partial_fill, "
                "trade_bust, trade_correct"
            ),
        ),
        ({"order": "O1"}, "order is 'O1'; needed a JSON object"),
        ({"order": {"client_order_id": "O1", "side": ""}}, "the message is fill and has no order.side; needed it"),
        ({"order": {"side": "cross"}}, None),
        ({"order": {"asset_class": "us_option"}}, "order.asset_class is 'us_option'; needed us_equity"),
        ({"swap_rate": "1.1"}, "the event has swap_rate '1.1'; needed a trade in USD"),
        ({"account_id": "a\0b"}, "account_id is 'a\\x00b'; needed at most 200 characters, all of them printable"),
        ({"reason": "\ud800"}, "reason is '\\ud800'; needed text without NUL characters and half characters"),
    ],
)
def test_what_an_event_lacks_is_told(tmp_path: Path, changed: dict[str, Any], message: str | None) -> None:
    text = json.dumps(alpaca_event(FILL, **changed)) + "\n" + json.dumps(alpaca_event({**FILL, "execution_id": "X9"}))
    found = read_text(tmp_path, text)
    assert len(messages(found)) == 1
    assert message is None or messages(found) == [message.replace("'['1']'", "\"['1']\"")]
    assert found.executions["execution_id"].to_list() == ["X9"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"event":"fill","event":"new"}', "the name 'event' stands twice in one object; needed it once"),
        ('{"event":"fill","qty":NaN}', "the record has NaN, which is no number; needed numbers"),
        ("[1]", "the record is '['1']'; needed a JSON object"),
        ('{"event":', None),
        ('{"a":' * 100_000, "the record is no JSON (nested too deeply); needed a whole JSON object"),
    ],
)
def test_a_line_that_is_no_event_is_unread_and_the_rest_goes_on(tmp_path: Path, line: str, message: str | None) -> None:
    found = read_text(tmp_path, f"{json.dumps(alpaca_event(FILL))}\n{line}\n", ExecutionFormat.ALPACA)
    assert message is None or messages(found) == [message.replace("'['1']'", "\"['1']\"")]
    assert found.unread["row_number"].to_list() == [2]
    assert found.executions.height == 1


def test_a_stream_of_server_sent_events_is_read(tmp_path: Path) -> None:
    first, second, third = (json.dumps(alpaca_event({**FILL, "execution_id": f"X{place}"})) for place in (1, 2, 3))
    cut = second.index(",") + 1
    text = (
        ": welcome\r\n\r\nevent: trade\r\nid: 7\r\n"
        f"data: {first}\r\n\r\ndata: {second[:cut]}\r\ndata:{second[cut:]}\r\n\r\ndata: {third}"
    )
    found = read_text(tmp_path, text)
    assert found.executions["execution_id"].to_list() == ["X1", "X2", "X3"]
    assert found.ignored == {"comments": 1}


def test_data_lines_that_nothing_parts_are_records_of_their_own(tmp_path: Path) -> None:
    lines = [f"data: {json.dumps(alpaca_event({**FILL, 'execution_id': name}))}" for name in ("X1", "X2")]
    found = read_text(tmp_path, "\n".join(lines))
    assert found.executions["execution_id"].to_list() == ["X1", "X2"]


@pytest.mark.parametrize("comment", [": you are reading too slowly, dropped 10000 messages", ": internal server error"])
def test_a_stream_that_says_that_messages_are_missing_says_so(tmp_path: Path, comment: str) -> None:
    found = read_text(tmp_path, f"data: {json.dumps(alpaca_event(FILL))}\n\n{comment}\n")
    assert messages(found) == [
        "the server says that messages are missing here; needed all of them, ask again from the event before"
    ]
    assert found.unread["raw"].item() == comment


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[{"event":"fill"},',
            (
                "f.txt cannot be read as JSON: the array goes wrong at line 1 (Expecting value: line 1 column 19 (char 18)); needed "
                "whole JSON"
            ),
        ),
        (
            '[{"event":"fill"}\n{}]',
            "f.txt cannot be read as JSON: the array goes wrong at line 2; needed a comma or its end",
        ),
        ("[]\n[]", "f.txt cannot be read as JSON: there is more after the array at line 1; needed one array"),
        (b'{"event":"\xff"}', "f.txt line 1 is not UTF-8 (found the byte 0xFF); needed text in UTF-8"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputRefused) as found:
        read_text(tmp_path, text)
    sentence, _, hint = str(found.value).partition("\n\n")
    assert sentence == message
    assert hint.startswith("Hint: ")


def test_an_empty_array_is_a_file_without_events(tmp_path: Path) -> None:
    found = read_text(tmp_path, " [ ] \n")
    assert (found.executions.height, found.unread.height, found.format) == (0, 0, "alpaca")
